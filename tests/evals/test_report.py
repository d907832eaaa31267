"""What a reader of the report sees, and what a page made of model output must never do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from evals.report import render_report
from evals.report.difference import side_by_side
from tests.evals.reporting import cached, cards, changed, evidence

__all__ = ["cached", "evidence"]

ATTACK = '<script>alert(1)</script><img src=x onerror=alert(2)>" onmouseover="alert(3)'


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
    assert "差别本次看不清" in page and "没有测量：安全探针" in page
    silent = {**evidence, "summary": {**evidence["summary"], "safety": None}}
    assert "没有测量：安全与合规" in render_report(**silent)
    evidence["attempts"] = [a for a in evidence["attempts"] if a.condition != "wording2" or a.item.endswith("1")]
    assert re.search(r"只覆盖部分题目：.*指令措辞 2（\d/6 题）", render_report(**evidence))
    for task in evidence["summary"]["tasks"].values():
        task.update(few_groups=False, mde=0.02)
    text = render_report(**evidence)
    assert "独立群组不足" not in text.split("分任务结果")[0] and "差别本次看不清" not in text


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
