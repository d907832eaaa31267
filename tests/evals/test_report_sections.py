"""What each section of the report shows of the figures it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evals.errors import EvalError
from evals.report import read_annexes, render_report
from tests.evals.reporting import cached, changed, evidence

__all__ = ["cached", "evidence"]


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


def test_parity_section_shows_pairs_and_differing_items(evidence: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"parity\.json: missing"):
        read_annexes(tmp_path, [])
    outcomes = {"identical": 198, "rounding": 1, "fault": 1, "prompt": 0, "error": 0}
    pair = {
        "a": "peft-float32@1", "b": "merged-bfloat16@1", "decides": "bfloat16", "outcomes": outcomes,
        "first_divergence": {"median": 7},
        "closed": {"n": 200, "equal": 198, "share": 0.99, "low": 0.964, "high": 0.999},
    }  # fmt: skip
    summary = {
        "met": False, "reasons": ["too few <b>"], "items": 300, "closed_items": 200, "pairs": [pair],
        "served": "bfloat16",
        "formats": {
            "bfloat16": {"served": True, "met": False, "reasons": ["too few <b>"]},
            "float32": {"served": False, "met": True, "reasons": []},
        },
    }  # fmt: skip
    row = {
        "a": "peft-float32@1", "b": "merged-bfloat16@1", "item": "i1", "task": "policy_qa", "closed": True,
        "outcome": "fault",
        "equal": False, "answer_a": "A", "answer_b": None, "position": 7, "gap": {"behind": 0.51, "step": 0.125},
        "text_a": "答案是甲，理由如下", "text_b": "答案是乙，理由如下",
    }  # fmt: skip
    same = {**row, "item": "i2", "outcome": "identical", "equal": True, "text_a": None, "text_b": None}
    (tmp_path / "parity.json").write_text(json.dumps(summary))
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (same, row)))
    section = render_report(**evidence, annexes=read_annexes(tmp_path, [])).split('id="parity"')[1].split("<h2")[0]
    assert section.count("✗ 不一致") == 1 and "格式 bfloat16 判定" in section
    assert section.count("✓ 一致") == 1 and "float32 计算时" in section and "不能代替 bfloat16 的结论" in section
    assert "198 / 200" in section and "96.4% – 99.9%" in section
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
