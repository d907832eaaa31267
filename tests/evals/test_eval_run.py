"""The whole evaluation against a local endpoint: evidence, figures, resume, report."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from evals.errors import EvalError
from evals.records import Attempt
from evals.report import console_summary, render_report
from evals.run import evaluate, read_evidence, rescore
from evals.runner.canary import REPEATS
from tests.evals.conftest import World, make_example
from tianjing.dataset import read_examples, write_examples
from tianjing.files import read_jsonl
from tianjing.lineage import artefact, read_manifest, verify
from tianjing.tasks import TASKS as REGISTERED

TASKS = ["next_reply", "policy_qa", "quality_inspection"]


def run(world: World) -> dict:  # type: ignore[type-arg]
    return evaluate(world.dataset, world.base, world.tuned, world.out, world.config)


def test_better_model_is_seen_to_be_better(world: World) -> None:
    summary = run(world)
    assert sorted(summary["tasks"]) == TASKS
    for task in summary["tasks"].values():
        assert task["n"] == 24 and task["groups"] <= 24
        assert task["ci_low"] > 0, "skill 0.85 against 0.3"
        # All three are written with six digits, so up to 1.5e-6 apart.
        assert task["difference"] == pytest.approx(task["tuned"] - task["base"], abs=1.6e-6)
        assert task["format_only"]["ci_low"] <= task["format_only"]["difference"] <= task["format_only"]["ci_high"]
        assert task["errors"] == {"base": 0, "tuned": 0}
        for arm in ("base", "tuned"):
            stable = task["stability"][arm]
            curve = [stable[f"pass^{k}"] for k in (1, 2, 3, 4)]
            assert curve == sorted(curve, reverse=True)
            assert stable["pass^4"] <= stable["TAR@4"] + 1e-9 <= stable["agreement"] + 2e-9
            assert stable["n"] == 6 and stable["paraphrase_items"] == 6
            assert stable["within"] == stable["agreement"]
    assert summary["requests"] == 2 * (3 * 24 + 3 * 6 * 7)
    assert summary["tokens"]["output"] > 0 and summary["error_rate"] == 0
    assert summary["shared_groups"] == 0 and summary["unmatched"] == []
    assert summary == json.loads((world.out / "summary.json").read_text())


def test_evidence_has_a_row_for_every_item_condition_and_repeat(world: World) -> None:
    summary = run(world)
    assert verify(world.out) == []
    manifest = read_manifest(world.out)
    assert manifest.kind == "evaluation" and len(manifest.inputs) == 3
    assert manifest.counts == {"items": 72, "requests": summary["requests"], "errors": 0}
    rows = list(read_jsonl(world.out / "attempts.jsonl", Attempt))
    assert len({(r.arm, r.item, r.condition, r.repeat) for r in rows}) == len(rows) == summary["requests"]
    assert {r.condition for r in rows} == {"greedy", "sampled", "wording1", "wording2", "text"}
    for row in rows:
        assert re.fullmatch("[0-9a-f]{64}", row.prompt) and row.rule and row.finish_reason == "stop"
        assert row.latency_s > 0 and row.output_tokens > 0
    assert [engine.name for engine in world.engines] == ["base", "merged"], "one engine after the other"
    assert not (world.out.parent / ".work" / "evals").exists()


def test_a_killed_evaluation_goes_on_where_it_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, count = world.endpoint.reply, 0

    def die_at_250(payload):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        if count == 250:
            world.engine_lives = False
        return 400 if count >= 250 else answer(payload)

    world.endpoint.reply = die_at_250
    with pytest.raises(EvalError, match=r"engine of the tuned model ended"):
        run(world)
    assert not world.out.exists(), "no half evaluation"
    world.endpoint.payloads.clear()
    world.endpoint.reply, world.engine_lives = answer, True
    world.engines.clear()
    summary = run(world)
    assert [engine.name for engine in world.engines] == ["merged"], "base was finished and needs no engine"
    sampled_by_canaries = 2 * REPEATS
    assert len(world.endpoint.payloads) == summary["requests"] + sampled_by_canaries - 249
    assert summary["error_rate"] == 0


def test_failed_requests_count_as_failures(world: World) -> None:
    answer = world.endpoint.reply
    world.endpoint.reply = lambda payload: 400 if payload["seed"] % 10 == 0 else answer(payload)
    summary = run(world)
    errors = sum(sum(task["errors"].values()) for task in summary["tasks"].values())
    assert errors > 10 and summary["error_rate"] == pytest.approx(errors / summary["requests"], abs=1e-6)
    assert all(task["n"] == 24 for task in summary["tasks"].values()), "they stay in the denominator"


def test_training_rows_of_a_test_customer_are_noticed(world: World) -> None:
    rows = read_examples(world.dataset / "train.parquet")
    with artefact(world.dataset, kind="dataset") as work:
        leak = make_example("policy_qa", 0, "test").model_copy(update={"split": "train"})
        write_examples(work.dir / "train.parquet", [*rows, leak])
        write_examples(
            work.dir / "test.parquet",
            [make_example(t, n, "test") for t in ("policy_qa", "next_reply", "quality_inspection") for n in range(24)],
        )
    world.endpoint.reply = lambda payload: f"第一条{payload['seed'] if payload['temperature'] else ''}"
    assert run(world)["shared_groups"] == 1


def test_scoring_again_gives_the_same_figures_and_leaves_the_evidence(world: World, tmp_path: Path) -> None:
    summary = run(world)
    again, same = rescore(world.out, tmp_path / "page.html", None, tmp_path / "again")
    assert same and again == summary
    assert verify(world.out) == [] and verify(tmp_path / "again") == []
    for name in ("attempts.jsonl", "items.jsonl", "summary.json", "report.html"):
        assert (tmp_path / "again" / name).read_bytes() == (world.out / name).read_bytes()
    assert (tmp_path / "page.html").read_bytes() == (world.out / "report.html").read_bytes()


def test_a_folder_that_is_no_evaluation_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"items\.jsonl: missing"):
        read_evidence(tmp_path)


def test_report_opens_offline_and_shows_the_figures(world: World) -> None:
    summary = run(world)
    page = (world.out / "report.html").read_text()
    assert not re.search(r"""(?:src|href|url\(|@import)\s*=?\s*["']?\s*(?:https?:)?//""", page)
    assert not re.search(r"<(?:script|link|iframe|img)\b", page)
    assert page.count("<svg") == page.count("</svg>") > 0
    for task in summary["tasks"].values():
        assert task["title"] in page
        assert f"{100 * task['tuned']:.1f}%" in page and f"{100 * task['difference']:+.1f}" in page
    assert summary["arms"]["tuned"]["digest"] in page and summary["dataset"] in page
    assert "3 项任务中，微调模型有 3 项确有提高" in page
    assert "发布判定" not in page, "there is no verdict before the gate"


def test_model_output_cannot_break_the_page(world: World) -> None:
    answer = world.endpoint.reply
    world.endpoint.reply = lambda p: "<script>alert(1)</script>" if p["seed"] % 3 == 0 else answer(p)
    run(world)
    assert "<script>" not in (world.out / "report.html").read_text()


def test_report_with_verdict_and_with_arms_that_do_not_match(world: World) -> None:
    summary = run(world)
    evidence = read_evidence(world.out)
    scored = list(read_jsonl(world.out / "attempts.jsonl", Attempt))
    release = {
        "verdict": "block",
        "reasons": ["BLOCK: policy_qa: difference −0.2"],
        "created": "2026-01-02T00:00:00Z",
        "expires": "2026-04-02T00:00:00Z",
    }
    page = render_report(summary, evidence.items, scored, REGISTERED, release)
    assert "不予发布（BLOCK）" in page and "policy_qa: difference −0.2" in page
    torn = {**summary, "tasks": {}, "unmatched": ["policy_qa/x/greedy/0"]}
    assert "只有一方有答案" in render_report(torn, evidence.items, scored, REGISTERED)


def test_console_summary_has_a_row_for_each_task(world: World) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(console_summary(run(world)))
    text = console.export_text()
    for task in TASKS:
        assert task in text
