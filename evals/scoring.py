"""From raw outputs to scored attempts. Apart from requesting, so that evidence can be scored again offline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from evals.bridges.recorded import RecordedTask
from evals.extract import LENGTH, TRUNCATED
from evals.records import Attempt, Item, RawAttempt
from tianjing.tasks import Reading, Task

ERROR = "error"
TRUNCATED_THOUGHT = "truncated_thought"

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


def score_attempt(raw: RawAttempt, item: Item, task: Task) -> Attempt:
    """Read and score one output. An error and an unreadable answer score 0 and stay in the denominator."""
    values = raw.model_dump(include=set(RawAttempt.model_fields))
    if raw.error is not None:
        return Attempt(**values, answer=None, rule=ERROR, score=0.0)
    fields = item.asked(raw.condition)
    reading = read_output(raw, item, task)
    return Attempt(
        **values, answer=reading.answer, rule=reading.rule, score=task.score(reading, item.reference, fields)
    )


def read_output(raw: RawAttempt, item: Item, task: Task) -> Reading:
    """The answer of an output. One that was cut off counts unless the task says that it was not final."""
    if isinstance(task, RecordedTask):  # read by the other harness, whatever the text is
        return task.read(raw.output, item.asked(raw.condition))
    text = strip_thought(raw.output)
    if text is None:
        return Reading(None, TRUNCATED_THOUGHT, {})
    reading = task.read(text, item.asked(raw.condition))
    if raw.finish_reason == LENGTH and not reading.details.get("final", True):
        return Reading(None, TRUNCATED, reading.details)
    return reading


def score_all(raw: Iterable[RawAttempt], items: Mapping[str, Item], tasks: Mapping[str, Task]) -> list[Attempt]:
    """Scored attempts in a fixed order: task, item, condition, repeat, arm."""
    scored = []
    for attempt in raw:
        item = items[attempt.item]
        scored.append(score_attempt(attempt, item, tasks[item.task]))
    return sorted(scored, key=lambda a: (a.task, a.item, a.condition, a.repeat, a.arm))


def strip_thought(text: str) -> str | None:
    """The answer after a reasoning block; None when the output ended inside one."""
    text = _THOUGHT.sub("", text)
    if "</think>" in text:  # some chat templates open the block in the prompt
        text = text.rpartition("</think>")[2]
    return None if "<think>" in text else text.strip()
