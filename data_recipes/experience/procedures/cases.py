"""Operation log and acts joined into cases: what was done in each, in which order, and what was known by then."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from data_recipes.config import PracticesConfig, ProceduresConfig
from tianjing.acts import tag
from tianjing.records import DEFAULT_TIME_ZONE, Customer, Dialogue, Event

OTHER_TASK = "其他来电"
NO_DIALOGUE = "procedures: case of the log without a dialogue"
CLOCKS_DIFFER = "procedures: acts of a dialogue whose clock disagrees with the operation log"
NO_TIMES = "procedures: acts of a dialogue whose turns have no times"
SAME_TIME = "procedures: order of steps of equal times within a case"


@dataclass(frozen=True)
class Step:
    """One thing done. Steps of equal `rank` have equal times: nothing is said about their order."""

    activity: str
    rank: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One case of a task. `attributes` were known from its beginning; `stratum` holds the confounders' values."""

    id: str
    task: str
    steps: tuple[Step, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    stratum: tuple[str, ...] = ()


def join_cases(
    events: Iterable[Event],
    dialogues: Iterable[Dialogue],
    customers: Mapping[str, Customer],
    config: ProceduresConfig,
    reasons: PracticesConfig,
    fields: Collection[str] = (),
) -> tuple[list[Case], Counter[str]]:
    """Cases in the order of their ids, and what had to be left out, by reason.

    The task of a case is the reason logged in it, else the handling of an enquiry. Acts are the agent's turns by
    `tianjing.acts`. Where there are dialogues, a case without one is left out: nobody knows whose it is, so it might be
    a held-out customer's. Without any dialogue every case of the log counts. A time without an offset is Chinese time.

    Args:
        fields: of the customer record, those that may tell which way a case goes. None that identifies a person.
    """
    logs: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        logs[event.case].append(event)
    spoken = {dialogue.id: dialogue for dialogue in dialogues}
    lost: Counter[str] = Counter()
    found = []
    for case in sorted(logs):
        dialogue = spoken.get(case)
        if spoken and dialogue is None:
            lost[NO_DIALOGUE] += 1
            continue
        log = [event for event in logs[case] if event.activity not in config.exclude]
        acts = _acts(dialogue, log, lost) if dialogue is not None and config.acts else []
        steps = _ranked([(_instant(e.at), e.activity, e.attributes) for e in log] + acts)
        if not steps:
            continue
        if len({step.rank for step in steps}) < len(steps):
            lost[SAME_TIME] += 1
        customer = customers.get(dialogue.customer) if dialogue is not None else None
        known = {name: customer.field(name) for name in fields} if customer else {}
        if dialogue is not None and dialogue.channel:
            known["channel"] = dialogue.channel
        stratum = tuple(str(customer.field(name)) if customer else "" for name in reasons.strata)
        found.append(Case(case, _task(log, reasons), steps, known, stratum))
    return found, lost


def by_task(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Cases of each task, tasks in their order."""
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        found[case.task].append(case)
    return dict(sorted(found.items()))


def _task(log: Sequence[Event], reasons: PracticesConfig) -> str:
    ordered = sorted(log, key=lambda event: _instant(event.at))
    reason = next(
        (e.attributes.get(reasons.reason_attribute) for e in ordered if e.activity == reasons.reason_activity), None
    )
    return str(reason) if reason else OTHER_TASK


def _acts(
    dialogue: Dialogue, log: Sequence[Event], lost: Counter[str]
) -> list[tuple[datetime, str, Mapping[str, Any]]]:
    """Acts of the agent's turns; none beside entries whose clock cannot be read, or a log that lies wholly before the
    dialogue, as only a wrong clock can."""
    timed = [(_instant(turn.at), turn) for turn in dialogue.turns if turn.at is not None]
    acts: list[tuple[datetime, str, Mapping[str, Any]]] = [
        (at, act, {}) for at, turn in timed if turn.speaker == "agent" for act in tag(turn.text)
    ]
    unreadable = any(event.clock == "unreadable" for event in log)
    if not timed:
        lost[NO_TIMES] += 1
    elif unreadable or (log and max(_instant(event.at) for event in log) < min(at for at, _ in timed)):
        lost[CLOCKS_DIFFER] += 1
        return []
    return acts


def _ranked(items: list[tuple[datetime, str, Mapping[str, Any]]]) -> tuple[Step, ...]:
    items.sort(key=lambda item: item[0])
    steps: list[Step] = []
    rank, last = -1, None
    for at, activity, attributes in items:
        if at != last:
            rank, last = rank + 1, at
        steps.append(Step(activity, rank, attributes))
    return tuple(steps)


def _instant(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(DEFAULT_TIME_ZONE))
