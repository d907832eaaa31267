from __future__ import annotations

import pytest

from evals.bridges.recorded import RecordedTask, recorded_output
from evals.records import Attempt, Item, RawAttempt
from evals.scoring import score_attempt, strip_thought
from tianjing.tasks import TASKS

ITEM = Item(
    id="i",
    task="quality_inspection",
    group="g",
    kind="Q01",
    stability=True,
    fields={"rules": [{"id": "Q01", "title": "威胁恐吓"}], "customer": "没钱", "agent": "上门找你"},
    reference={"rule": "Q01", "evidence": "上门找你", "rewrite": "请尽快安排"},
)


def scored(output: str = "", error: str | None = None, reason: str = "stop") -> Attempt:
    raw = RawAttempt(
        key="k", item="i", task="quality_inspection", arm="tuned", condition="greedy", repeat=0, prompt="p", seed=1,
        temperature=0, output=output, error=error, finish_reason=reason,
    )  # fmt: skip
    return score_attempt(raw, ITEM, TASKS["quality_inspection"])


def test_an_answer_is_traced_to_the_rule_that_read_it() -> None:
    attempt = scored('{"rule":"Q01"}')
    assert (attempt.answer, attempt.rule, attempt.score) == ("Q01", "json", 1.0)


def test_errors_and_unreadable_answers_score_nothing() -> None:
    assert (scored(error="HTTP 500").rule, scored(error="HTTP 500").score) == ("error", 0.0)
    assert (scored("天气不错").answer, scored("天气不错").score) == (None, 0.0)


@pytest.mark.parametrize("said", ["2+2 is 4 </think> 4", "<think> so 4"])
def test_what_another_harness_has_scored_is_not_read_anew(said: str) -> None:
    raw = RawAttempt(
        key="k", item="i", task="t", arm="tuned", condition="greedy", repeat=0, prompt="p", seed=1,
        temperature=0, output=recorded_output(said, "4", 1.0),
    )  # fmt: skip
    attempt = score_attempt(raw, ITEM, RecordedTask("t", "t", "lm-eval"))
    assert (attempt.answer, attempt.rule, attempt.score) == ("4", "lm-eval", 1.0)


def test_reasoning_is_not_scored() -> None:
    assert scored("<think>像是没有违规</think>Q01").answer == "Q01"
    assert strip_thought("没有违规</think> Q01") == "Q01"
    unfinished = scored("<think>先看 Q01 是不是", reason="length")
    assert (unfinished.answer, unfinished.rule) == (None, "truncated_thought")
