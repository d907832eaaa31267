"""Calls, log lines and knowledge written out by hand, for tests of single builders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from data_recipes.clauses import parse_clauses
from data_recipes.readers.document import build_document
from tianjing.records import Clause, Dialogue, Event, Outcome, Turn

START = datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=8)))
SPEAKERS = {"客": "customer", "坐": "agent"}


def moment(turn: int) -> datetime:
    return START + timedelta(seconds=20 * turn)


def call(case: str, *lines: str, customer: str = "") -> Dialogue:
    """A phone call of lines such as 客：… and 坐：…, twenty seconds apart."""
    turns = tuple(
        Turn.model_validate({"speaker": SPEAKERS[line[0]], "text": line[2:], "at": moment(number)})
        for number, line in enumerate(lines)
    )
    owner = customer or f"C{case}"
    return Dialogue(id=case, customer=owner, agent="A1", channel="phone", started_at=START, turns=turns)


def logged(case: str, turn: int, activity: str, /, **attributes: Any) -> Event:
    """A line of the log, five seconds after a turn began."""
    at = moment(turn) + timedelta(seconds=5)
    return Event(case=case, at=at, actor="A1", activity=activity, attributes=attributes)


def ended(case: str, value: float, name: str = "complaint", days: int = 2) -> Outcome:
    return Outcome(case=case, name=name, value=value, at=START + timedelta(days=days))


def articles(document: str, *texts: str, strength: str = "internal") -> list[Clause]:
    """A rule document whose articles are numbered from one."""
    numerals = "一二三四五六七八九"
    lines = [(f"第{numerals[number]}条 {text}", 0) for number, text in enumerate(texts)]
    return list(parse_clauses(build_document(f"{document}.md", document, lines), strength).clauses)


def all_train(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    return {dialogue.customer: "train" for dialogue in dialogues}
