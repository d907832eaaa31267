"""What a reader of the report sees, and what a page made of model output must never do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evals.errors import EvalError
from evals.material import task_table
from evals.records import Attempt
from evals.report import read_annexes, render_report
from evals.report.difference import side_by_side
from evals.run import evaluate, read_evidence
from tests.evals.conftest import World
from tianjing.files import read_jsonl

ATTACK = '<script>alert(1)</script><img src=x onerror=alert(2)>" onmouseover="alert(3)'


@pytest.fixture
def evidence(request: pytest.FixtureRequest, cached: dict[str, Any]) -> dict[str, Any]:
    """Summary, items and attempts of a small run, to be changed by a test."""
    if not cached:
        world: World = request.getfixturevalue("world")
        evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
        attempts = list(read_jsonl(world.out / "attempts.jsonl", Attempt))
        cached.update(summary=(world.out / "summary.json").read_text(), attempts=attempts)
        cached["items"] = read_evidence(world.out).items
    lists = {name: list(cached[name]) for name in ("items", "attempts")}
    return {"summary": json.loads(cached["summary"]), **lists, "tasks": task_table(())}


@pytest.fixture(scope="module")
def cached() -> dict[str, Any]:
    """One run for all tests of this file: they only read pages made of it."""
    return {}


def changed(attempts: list[Attempt], arm: str, condition: str, **values: Any) -> list[Attempt]:
    """The attempts, with those of an arm under a condition changed."""
    return [a.model_copy(update=values) if (a.arm, a.condition) == (arm, condition) else a for a in attempts]


def one_arm(evidence: dict[str, Any], arm: str) -> dict[str, Any]:
    """What a run of one model alone leaves behind."""
    summary = json.loads(json.dumps(evidence["summary"]))
    summary["arms"] = {arm: summary["arms"][arm]}
    summary["cost"] = {arm: summary["cost"][arm]}
    other = "base" if arm == "tuned" else "tuned"
    for task in summary["tasks"].values():
        for name in ("difference", "ci_low", "ci_high", "mde", "mcnemar_p", "wins", "losses", other):
            task[name] = None
        for name in ("intervals", "invalid", "truncated", "errors", "rules", "stability"):
            task[name] = {key: value for key, value in task[name].items() if key != other}
    return {**evidence, "summary": summary, "attempts": [a for a in evidence["attempts"] if a.arm == arm]}


def cards(page: str, heading: str) -> list[str]:
    """The cards that stand under a heading."""
    section = page.split(heading, 1)[1].split("<h3>", 1)[0] if heading in page else ""
    return section.split('<div class="card')[1:]


def test_page_needs_nothing_from_outside_and_forbids_it(evidence: dict[str, Any]) -> None:
    page = render_report(**evidence)
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href|url\(|@import)\s*=?\s*["']?\s*(?:https?:)?//""", page)
    assert not re.search(r"<(?:script|link|iframe|img|object|embed)\b", page)


@pytest.mark.parametrize("place", ["output", "question", "reason", "rule", "error"])
def test_text_of_others_stays_text(evidence: dict[str, Any], place: str) -> None:
    release = None
    if place == "output":
        evidence["attempts"] = changed(evidence["attempts"], "tuned", "greedy", output=ATTACK, score=0.0)
    elif place == "question":
        evidence["items"] = [
            item.model_copy(update={"fields": {**item.fields, "question": ATTACK}, "kind": ATTACK, "id": item.id})
            for item in evidence["items"]
        ]
        evidence["attempts"] = changed(evidence["attempts"], "tuned", "greedy", score=0.0)
    elif place == "reason":
        release = {"verdict": "block", "reasons": [ATTACK], "created": "2026-01-02", "expires": "2026-04-02"}
    elif place == "rule":
        evidence["attempts"] = changed(evidence["attempts"], "tuned", "greedy", rule=ATTACK)
    else:
        evidence["attempts"] = changed(evidence["attempts"], "tuned", "greedy", error=ATTACK, score=0.0)
    page = render_report(**evidence, release=release)
    assert "&lt;script&gt;" in page, "it is shown"
    assert "<script" not in page and "<img" not in page and '" onmouseover="' not in page


def test_differences_are_marked_inside_escaped_text() -> None:
    same = side_by_side("<b>x", "<b>x")
    assert same == ("&lt;b&gt;x", "&lt;b&gt;x")
    left, right = side_by_side("逾期12天的客户<b>可以申请", "逾期30天的客户<i>可以申请")
    assert left == "逾期<del>12</del>天的客户&lt;<del>b</del>&gt;可以申请"
    assert right == "逾期<ins>30</ins>天的客户&lt;<ins>i</ins>&gt;可以申请"
    for pair in (("<b>", "《b》"), ("《b》", "<b>")):
        left, right = side_by_side(*(f"客户可以申请延期{word}办理" for word in pair))
        assert "<del>" in left and "<ins>" in right and "<b>" not in left + right, "what differs is escaped too"
    assert side_by_side("完全不同的一句", "<script>") == ("完全不同的一句", "&lt;script&gt;")
    assert "<script>" not in "".join(side_by_side("可以办理<script>", "可以办理<script>1</script>"))


def test_negative_flips_come_first_with_both_texts(evidence: dict[str, Any]) -> None:
    attempts = changed(evidence["attempts"], "base", "greedy", score=1.0, output="可以办理延期，最长12天")
    evidence["attempts"] = changed(attempts, "tuned", "greedy", score=0.0, output="可以办理延期，最长30天")
    page = render_report(**evidence)
    flips = cards(page, "退步：原来对、现在错")
    plain = [card for card in flips if "原题（贪心）" in card]
    assert len(plain) == 72, "every plain item got worse"
    assert page.index("退步：原来对") < page.index("进步：原来错")
    assert all("最长<del>12</del>天" in card and "最长<ins>30</ins>天" in card for card in plain)
    assert all("✓ 对" in card and "✗ 错" in card for card in plain)


def test_answers_that_flip_under_another_wording_show_both_prompts(evidence: dict[str, Any]) -> None:
    evidence["attempts"] = changed(evidence["attempts"], "tuned", "wording1", answer="something else")
    evidence["attempts"] = changed(evidence["attempts"], "tuned", "wording2", answer=None)
    flips = cards(render_report(**evidence), "换一种问法，答案变了")
    first = [card for card in flips if "指令措辞 1" in card.split("</div>")[0]]
    assert len(first) == 18 and all("<ins>" in card for card in first), "the instruction's difference is marked"
    assert all(card.count('class="asked"') == 2 for card in flips)
    assert sum("指令措辞 2" in card.split("</div>")[0] for card in flips) == 18
    for condition in ("greedy", "wording1", "wording2"):
        evidence["attempts"] = changed(evidence["attempts"], "tuned", condition, answer=None)
    flips = cards(render_report(**evidence), "换一种问法，答案变了")
    assert len(flips) >= 36, "an unreadable answer agrees with nothing, not even itself"


def test_filters_hide_cards_of_other_tasks_without_a_script(evidence: dict[str, Any]) -> None:
    page = render_report(**evidence)
    chosen = re.findall(r"\.flips:has\(#pick-(\w+):checked\) \.card:not\(\.(\w+)\)", page)
    assert chosen and all(pick == hidden for pick, hidden in chosen)
    for name, _ in chosen:
        assert f'id="pick-{name}"' in page and re.search(rf'class="card [^"]*\b{name}\b', page)


def test_a_large_run_stays_small_and_says_what_is_left_out(evidence: dict[str, Any]) -> None:
    filler = "这是一段很长的回答。" * 400
    attempts, items = [], []
    for copy in range(12):
        for item in evidence["items"]:
            items.append(item.model_copy(update={"id": f"{item.id}/{copy}"}))
        for a in evidence["attempts"]:
            flipped = {"score": 1.0 if a.arm == "base" else 0.0, "output": f"{a.arm}{filler}"}
            attempts.append(a.model_copy(update={"item": f"{a.item}/{copy}", **flipped}))
    evidence.update(items=items, attempts=attempts)
    page = render_report(**evidence)
    assert len(page.encode()) < 3_000_000
    shown = len(cards(page, "退步：原来对、现在错"))
    total = 12 * (72 + 18 * 3)
    assert 0 < shown < total
    assert f"共 {total:,} 例，此处列出 {shown} 例，其余 {total - shown:,} 例见 attempts.jsonl" in page
    assert f"另有 {len(filler) + 5 - 1200} 字" in page


@pytest.mark.parametrize("arm", ["base", "tuned"])
def test_a_run_of_one_model_has_failures_instead_of_flips(evidence: dict[str, Any], arm: str) -> None:
    page = render_report(**one_arm(evidence, arm))
    assert "没有对照，不能说它比别的模型更好或更差" in page
    assert "提高（百分点）" not in page and "退步：" not in page
    wrong = [a for a in evidence["attempts"] if a.arm == arm and a.condition != "sampled" and a.score < 0.5]
    assert len(cards(page, "答错的题")) == min(len(wrong), 80)
    assert page.count("<polyline") == 3, "a stability curve for each task"


def test_it_says_what_the_run_does_not_show(evidence: dict[str, Any]) -> None:
    page = render_report(**evidence)
    assert "独立群组不足 20 个" in page, "24 items of 20 customers: fewer than 20 groups"
    assert "差别本次看不清" in page and "没有测量：安全与合规" in page
    evidence["attempts"] = [a for a in evidence["attempts"] if a.condition != "wording2" or a.item.endswith("1")]
    assert re.search(r"只覆盖部分题目：.*指令措辞 2（\d/6 题）", render_report(**evidence))
    for task in evidence["summary"]["tasks"].values():
        task.update(few_groups=False, mde=0.02)
    text = render_report(**evidence)
    assert "独立群组不足" not in text.split("分任务结果")[0] and "差别本次看不清" not in text


def test_a_metric_that_the_report_has_never_heard_of_is_shown(evidence: dict[str, Any]) -> None:
    estimate = {"value": 0.25, "low": 0.2, "high": 0.3}
    evidence["summary"]["measures"] = [
        {
            "name": "novelty", "task": task, "better": "lower", "arms": {"base": {"value": 0.5}, "tuned": estimate},
            "difference": {"value": -0.25, "low": -0.3, "high": -0.2}, "p": 0.0001, "n": 24, "groups": 12,
            "note": "never seen before",
        }
        for task in ("policy_qa", "next_reply")
    ]  # fmt: skip
    page = render_report(**evidence)
    row = next(row for row in page.split("<tr>") if ">novelty" in row and "heat" in row)
    assert row.count("25.0% ▲") == 2, "a lower value is better here"
    assert row.count(">–<") == 1, "no such measure for the third task"
    assert "never seen before" in page and "−25.0" in page and "&lt;0.001" in page


def test_colours_can_be_read(evidence: dict[str, Any]) -> None:
    """WCAG 2.1: text at least 4.5 to 1 on its ground, marks of a chart 3 to 1; in both themes."""
    style = render_report(**evidence).split("<style>")[1].split("</style>")[0]
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.S)
    )
    for theme in (light, dark):
        for ground in ("ground", "panel"):
            for text in ("ink", "soft", "good", "bad", "open", "tuned"):
                assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
        for fill in ("gone", "new", *(f"heat{n}" for n in range(5))):
            assert contrast(theme["ink"], theme[fill]) >= 4.5, fill
        for mark in ("base", "control", "tuned"):
            assert contrast(theme[mark], theme["ground"]) >= 3, mark


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_verdict_shows_what_stands_against_it_before_what_holds(evidence: dict[str, Any]) -> None:
    release = {
        "verdict": "block", "created": "2026-01-02", "expires": "2026-04-02",
        "reasons": ["BLOCK: policy_qa fell", "ok: next_reply holds", "note: agreement 0.9"],
    }  # fmt: skip
    box = render_report(**evidence, release=release).split('<div class="verdict BLOCK">')[1].split("</div>")[0]
    against, holds = box.split("<details")
    assert "不予发布（BLOCK）" in against and "policy_qa fell" in against and "next_reply" not in against
    assert "next_reply holds" in holds and "（2 条）" in holds


def test_parity_section_shows_pairs_and_differing_items(evidence: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"parity\.json: missing"):
        read_annexes(tmp_path, [])
    outcomes = {"identical": 198, "rounding": 1, "fault": 1, "prompt": 0, "error": 0}
    pair = {
        "a": "peft@1", "b": "merged@1", "decides": True, "outcomes": outcomes, "first_divergence": {"median": 7},
        "closed": {"n": 200, "equal": 198, "share": 0.99, "low": 0.964, "high": 0.999},
    }  # fmt: skip
    summary = {"met": False, "reasons": ["too few <b>"], "items": 300, "closed_items": 200, "pairs": [pair]}
    row = {
        "a": "peft@1", "b": "merged@1", "item": "i1", "task": "policy_qa", "closed": True, "outcome": "fault",
        "equal": False, "answer_a": "A", "answer_b": None, "position": 7, "gap": {"behind": 0.51, "step": 0.125},
        "text_a": "答案是甲，理由如下", "text_b": "答案是乙，理由如下",
    }  # fmt: skip
    same = {**row, "item": "i2", "outcome": "identical", "equal": True, "text_a": None, "text_b": None}
    (tmp_path / "parity.json").write_text(json.dumps(summary))
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (same, row)))
    section = render_report(**evidence, annexes=read_annexes(tmp_path, [])).split('id="parity"')[1].split("<h2")[0]
    assert "✗ 不一致" in section and "198 / 200" in section and "96.4% – 99.9%" in section
    assert "too few &lt;b&gt;" in section and section.count('class="card"') == 1 and "i2" not in section
    assert "答案是<del>甲</del>" in section and "答案是<ins>乙</ins>" in section and "读不出答案" in section


def test_judgement_is_shown_as_advice(evidence: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"summary\.json: missing\n.*eval judge"):
        read_annexes(None, [tmp_path])
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9}
    measure = {
        "name": "judge_polite", "note": "judge", "arms": {"base": estimate, "tuned": estimate}, "n": 48, "groups": 30,
        "difference": {"value": 0.1, "low": -0.02, "high": 0.2},
    }  # fmt: skip
    found = {
        "judge": {"model": "a-judge", "criterion": "polite <b>"}, "measures": [measure], "warnings": ["few labels"],
        "pairs": {"disagreement": 0.25, "first_preferred": 0.6},
    }  # fmt: skip
    (tmp_path / "summary.json").write_text(json.dumps(found))
    (tmp_path / "verdicts.jsonl").write_text("")
    section = render_report(**evidence, annexes=read_annexes(None, [tmp_path])).split('id="judge"')[1].split("<h2")[0]
    assert "仅供参考" in section and "polite &lt;b&gt;" in section and "few labels" in section
    assert "+10.0" in section and "−2.0, +20.0" in section and "25.0%" in section


def test_safety_section_has_bounds_rules_and_masked_texts(evidence: dict[str, Any]) -> None:
    rate = {"value": 4.0, "low": 0.0, "high": 9.5}
    evidence["summary"]["measures"] = [
        {
            "name": "breaches", "better": "lower", "unit": "per 1,000 agent turns", "n": 24, "groups": 20,
            "arms": {"base": rate, "tuned": {**rate, "value": 0.0, "high": 3.7}},
            "events": {"base": 2, "tuned": 0, "new": 0}, "trials": {"base": 20, "tuned": 20},
        }
    ]  # fmt: skip
    text = {"arm": "base", "item": "i1", "condition": "greedy", "repeat": 0, "digest": "ab12", "text": "〔手机1〕<b>"}
    offence = {
        "kind": "breach", "name": "collect.threat.visit", "title": "不得以上门滋扰相威胁", "source": "民法典",
        "severity": "high", "events": {"base": 2, "tuned": 0}, "items": {"base": 1, "tuned": 0},
        "texts": [{**text, "evidence": "上门"}],
    }  # fmt: skip
    bound = {"events": {"tuned": 0}, "trials": {"tuned": 40}, "arms": {"tuned": {"value": 0.0, "high": 0.088}}}
    probe = {
        "title": "提示注入", "event": "injected", "outcomes": {"tuned": {"held": 40}}, "attacks": {"encoded": bound},
        "texts": [text],
    }  # fmt: skip
    evidence["summary"]["safety"] = {
        "turns": {"base": 500, "tuned": 500}, "errors": {}, "severities": {}, "offences": [offence],
        "probes": {"injection": probe}, "twins": {"tuned": {"refused/answered": 9}},
        "canaries": {"tuned": {"planted": {"asked": 5, "hit": 1}, "controls": {"asked": 5, "hit": 0}}},
    }  # fmt: skip
    page = render_report(**evidence)
    section = page.split('id="safety"')[1].split("<h2")[0]
    assert "0 / 20" in section and "≤ 3.70" in section and "每千轮 4.00" in section
    assert "不得以上门滋扰相威胁" in section and "严重" in section and "〔手机1〕&lt;b&gt;" in section
    assert "0 / 40" in section and "8.8%" in section and "refused/answered 9" in section
    assert "没有测量：安全与合规" not in page


def test_probes_and_personal_data_are_not_shown_side_by_side(evidence: dict[str, Any]) -> None:
    secret, number = evidence["items"][0], "13912345678"
    guarded = secret.model_copy(update={"fields": {**secret.fields, "check": {"secret": "48219037"}}})
    evidence["items"] = [guarded, *evidence["items"][1:]]
    evidence["attempts"] = [
        a.model_copy(
            update={"output": f"请打{number}" if a.item != secret.id else "48219037", "score": 0.0, "answer": None}
        )
        for a in evidence["attempts"]
    ]
    page = render_report(**evidence)
    assert number not in page and "请打〔手机1〕" in page
    assert "48219037" not in page and f"{secret.id} ·" not in page


def test_stability_details_appear_as_far_as_they_were_measured(evidence: dict[str, Any]) -> None:
    evidence["summary"]["measures"] = []
    for task in evidence["summary"]["tasks"].values():
        for name in ("conditions", "determinism", "options"):
            task.pop(name, None)
        for figures in task["stability"].values():
            for name in ("wording", "spread", "calibration", "semantic_entropy"):
                figures.pop(name, None)
    plain = render_report(**evidence)
    assert not any(f"<h3>{title}<" in plain for title in ("采样噪声与措辞效应", "最差条件", "选项换位", "批次确定性"))
    assert "Uncertainty and calibration" not in plain and "Score under each condition" not in plain
    task = evidence["summary"]["tasks"]["policy_qa"]
    row = {"n": 20, "score": 0.5, "interval": [0.3, 0.7]}
    task["conditions"] = {
        "base": {"greedy": row, "option10": row, "option2": row},
        "tuned": {"greedy": {**row, "score": 0.9}, "option10": row, "option2": row},
    }
    task["determinism"] = {
        "tuned": {"n": 20, "concurrency": [1, 8], "BDR": 0.85, "BDRa": 0.95, "first_divergence_characters": 31}
    }
    circle = {"n": 20, "perf": 0.4, "acc": 0.6, "vote": 0.7, "letters": [0.4, 0.2, 0.2, 0.2]}
    task["options"] = {"base": {}, "tuned": {"n": 20, "consistency": 0.77, "rstd": 5.31, "circular": {"4": circle}}}
    task["stability"]["tuned"] |= {
        "wording": {"n": 12, "conditions": 3, "W": 0.9, "B": 0.82, "W-B": 0.08},
        "spread": {
            "n": 12, "conditions": ["greedy", "a", "b"], "worst_prompt": 0.61, "worst_prompt_null": 0.66,
            "worst_prompt_p": 0.0004, "worst_prompt_crossfit": 0.68, "range": 0.2, "range_null": 0.11,
            "all_conditions_success": 0.44,
        },
        "semantic_entropy": {"miller_madow": 0.31},
        "calibration": {
            "confidence": "vote share", "n": 12, "brier": 0.252, "ece": 0.183, "ece_null": 0.061, "ece_excess": 0.122,
            "ece_p": 0.04, "curve": [{"confidence": 0.5, "accuracy": 0.25, "n": 4}],
        },
    }  # fmt: skip
    page = render_report(**evidence)
    for told in ("82.0%", "+8.0", "61.0%", "66.0%", "&lt;0.001", "68.0%", "77.0%", "5.3", "85.0%", "95.0%", "31"):
        assert f"<td>{told}</td>" in page, told
    for told in ("20.0% (11.0%)", "40.0% / 60.0% / 70.0%", "40% 20% 20% 20%", "0.252", "0.061", "0.122"):
        assert f"<td>{told}</td>" in page, told
    plot = page.split("各条件下的得分<small>")[1].split("</details>")[0]
    assert "50.0% → 90.0% · 20 题" in plot
    assert plot.index("原题（贪心）") < plot.index("选项换位 2") < plot.index("选项换位 10")
    assert page.count('class="chart"') == 3 + 1 + 1, "pass^k, calibration of one task, latency"


def test_cost_shows_what_was_measured_and_no_empty_columns(evidence: dict[str, Any]) -> None:
    plain = render_report(**evidence).split('id="cost"')[1].split("</table>")[0]
    assert "首词元" not in plain and "费用" not in plain and "时延" in plain
    evidence["summary"]["performance"] = {
        arm: {
            "requests": 198, "failed": {}, "sent_again": 3, "reused": 0, "prompt_tokens": 1782, "cached_tokens": 900,
            "output_tokens": 4000, "latency_s": {"p50": 0.5, "p95": 1.25},
            "first_token_s": {"p50": 0.05, "p95": 0.11}, "cost": {"currency": "CNY", "total": 12.5},
        }
        for arm in ("base", "tuned")
    }  # fmt: skip
    evidence["summary"]["arms"]["tuned"]["seconds"] = 20.0
    full = render_report(**evidence).split('id="cost"')[1].split("</table>")[0]
    for told in ("0.50 / 1.25", "0.05 / 0.11", "CNY 12.50", "<td>200</td>", "<td>900</td>"):
        assert told in full, told
    assert "沿用旧答案" not in full


def test_failures_are_listed_by_kind_and_by_rule(evidence: dict[str, Any]) -> None:
    attempts = changed(evidence["attempts"], "tuned", "wording1", error="timeout after 180 s", rule="error", score=0.0)
    evidence["attempts"] = changed(attempts, "base", "greedy", finish_reason="length")
    evidence["summary"]["performance"] = {"tuned": {"failed": {"timeout": 18}, "requests": 198}}
    section = render_report(**evidence).split('id="failures"')[1].split("<h2")[0]
    assert "微调模型：超时 18。" in section
    assert "<tr><td>timeout after N s</td><td>0</td><td>18</td></tr>" in section
    assert section.count("<code>error</code></td>\n<td>0 / 0</td>\n<td>6 / 6</td>") == 3, "six stability items a task"
    assert section.count("·原模型 24/66") == 3, "truncated answers of all"


def test_kinds_of_answer_are_counted_per_arm(evidence: dict[str, Any]) -> None:
    evidence["attempts"] = changed(
        changed(evidence["attempts"], "base", "greedy", score=0.0), "tuned", "greedy", score=1.0
    )
    section = render_report(**evidence).split("按答案类别")[1].split("<h2")[0]
    rows = re.findall(
        r"<tr><td>([^<]+)</td><td>(\d+)</td><td>0\.0%</td><td>100\.0%</td><td>\+100\.0</td></tr>", section
    )
    assert sum(int(n) for _, n in rows) == 72
