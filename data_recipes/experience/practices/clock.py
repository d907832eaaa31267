"""Clocks: the desktop that writes the operation log and the recorder of the calls need not agree.

What an agent logs about a call is logged while it runs, so a shift of the log's clock is right for a case when it
brings all of the case's entries into the call. The shift that is right for most cases is found
per actor, since each desktop has its own clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tianjing.records import DEFAULT_TIME_ZONE, Dialogue, Event

# Summaries are written up to so long after the last turn; the first entry may come so long before the first turn.
_GRACE_S = 120.0
_MIN_CASES = 5
# Shares of an actor's cases that a shift must fit: to be left alone, and to be believed.
_ENOUGH = 0.9
_ZONE = ZoneInfo(DEFAULT_TIME_ZONE)


@dataclass(frozen=True)
class Clocks:
    """What was found: seconds added to each actor's clock, and actors whose clock fits no shift."""

    shifts: Mapping[str, int]
    unreadable: tuple[str, ...]


def instant(at: datetime) -> datetime:
    """`at` in UTC; a time without an offset is that of Asia/Shanghai."""
    return (at if at.tzinfo else at.replace(tzinfo=_ZONE)).astimezone(UTC)


def align(
    dialogues: Iterable[Dialogue], events: Sequence[Event], exclude: Sequence[str] = ()
) -> tuple[list[Event], Clocks]:
    """Events on the dialogues' clock, without those of an actor whose clock cannot be read.

    `exclude` names activities that are logged after the call, such as quality inspection; they are not moved.
    """
    spans = {}
    for dialogue in dialogues:
        times = [instant(turn.at) for turn in dialogue.turns if turn.at is not None]
        if times:
            spans[dialogue.id] = (times[0].timestamp(), times[-1].timestamp())
    during = [event for event in events if event.case in spans and event.activity not in exclude]
    limits: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for event in during:
        start, end = spans[event.case]
        at = instant(event.at).timestamp()
        limit = limits[event.actor].setdefault(event.case, [start - at, end - at])
        limit[0], limit[1] = max(limit[0], start - at), min(limit[1], end - at)
    shifts, unreadable = _shifts(limits)
    moved = []
    for event in events:
        if event.case in spans and event.activity not in exclude:
            if event.actor in unreadable:
                continue
            if event.actor in shifts:
                event = event.model_copy(update={"at": event.at + timedelta(seconds=shifts[event.actor])})
        moved.append(event)
    return moved, Clocks(shifts, tuple(sorted(unreadable)))


def _shifts(limits: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[dict[str, int], set[str]]:
    """Shift in seconds of every actor whose clock is off; actors of few cases follow what most of the others need."""
    shifts: dict[str, int] = {}
    unreadable: set[str] = set()
    everyone = [interval for cases in limits.values() for interval in cases.values()]
    common = _best(everyone)
    for actor, cases in limits.items():
        intervals = list(cases.values())
        if _fit(intervals, 0.0) >= _ENOUGH:
            continue
        own = _best(intervals) if len(intervals) >= _MIN_CASES else common
        if own is not None and _fit(intervals, own) >= _ENOUGH:
            shifts[actor] = round(own)
        elif len(intervals) >= _MIN_CASES:
            unreadable.add(actor)
    return shifts, unreadable


def _fit(intervals: Sequence[Sequence[float]], shift: float) -> float:
    """Share of cases whose entries all lie in their call, give or take the grace."""
    return sum(low - _GRACE_S <= shift <= high + _GRACE_S for low, high in intervals) / len(intervals)


def _best(intervals: Sequence[Sequence[float]]) -> float | None:
    """The shift that lies in most intervals (a sweep over their ends): the middle of where it does, in seconds."""
    ends: Counter[float] = Counter()
    for low, high in intervals:
        if low <= high:
            ends[low] += 1
            ends[high + 1e-6] -= 1
    count = most = 0
    best: tuple[float, float] | None = None
    open_since: float | None = None
    for at in sorted(ends):
        if open_since is not None and count == most:
            best, open_since = (open_since, at), None
        count += ends[at]
        if count > most:
            most, open_since = count, at
    return sum(best) / 2 if best else None
