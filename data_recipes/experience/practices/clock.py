"""Clocks: the desktop that writes the operation log and the recorder of the calls need not agree.

What an agent logs about a call is logged while it runs, so a shift of the log's clock is right for a case when it
brings all of the case's entries into the call. The shift that is right for most cases is found
per actor, since each desktop has its own clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
_Limits = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Clocks:
    """What was found: seconds added to each actor's clock, and actors whose clock fits no shift."""

    shifts: Mapping[str, int]
    unreadable: tuple[str, ...]


def instant(at: datetime) -> datetime:
    """`at` in UTC; a time without an offset is that of Asia/Shanghai."""
    return (at if at.tzinfo else at.replace(tzinfo=_ZONE)).astimezone(UTC)


def align(
    dialogues: Iterable[Dialogue],
    events: Sequence[Event],
    exclude: Collection[str] = (),
    held_out: Iterable[Dialogue] = (),
) -> tuple[list[Event], Clocks]:
    """Events on the dialogues' clock, in their order; those of an actor whose clock cannot be read are marked.

    What is learned from is put right by itself. Of a held-out case the entries are, too, else the wrong turns would be
    tested on: by what is known of the actor's clock, or by held-out cases where too few others tell of it.

    Args:
        exclude: activities that are logged after the call, such as quality inspection; they are not moved.
        held_out: the dialogues that are not learned from.
    """
    learned, tested = _spans(dialogues), _spans(held_out)
    during = [event for event in events if event.activity not in exclude]
    limits, others = _limits(learned, during), _limits(tested, during)
    clocks = _read(limits, _everyone(limits))
    strange = {actor: cases for actor, cases in others.items() if len(limits.get(actor, ())) < _MIN_CASES}
    theirs = _read(strange, _everyone(limits) + _everyone(others))
    moved = []
    for event in events:
        span = learned.get(event.case) or tested.get(event.case)
        if span and event.activity not in exclude:
            event = _put_right(event, span, theirs if event.case in tested and event.actor in strange else clocks)
        moved.append(event)
    unreadable = {*clocks.unreadable, *theirs.unreadable}
    return moved, Clocks({**theirs.shifts, **clocks.shifts}, tuple(sorted(unreadable)))


def _put_right(event: Event, span: tuple[float, float], clocks: Clocks) -> Event:
    """On the dialogues' clock; what is moved and still lies outside its dialogue is no more readable than before."""
    if event.actor in clocks.unreadable:
        return event.model_copy(update={"clock": "unreadable"})
    shift = clocks.shifts.get(event.actor)
    if shift is None:
        return event
    at = event.at + timedelta(seconds=shift)
    within = span[0] - _GRACE_S <= instant(at).timestamp() <= span[1] + _GRACE_S
    clock = event.clock if within else "unreadable"
    return event.model_copy(update={"at": at, "logged_at": event.logged_at or event.at, "clock": clock})


def _spans(dialogues: Iterable[Dialogue]) -> dict[str, tuple[float, float]]:
    """First and last turn of each dialogue whose turns have times, in seconds."""
    spans = {}
    for dialogue in dialogues:
        times = [instant(turn.at) for turn in dialogue.turns if turn.at is not None]
        if times:
            spans[dialogue.id] = (times[0].timestamp(), times[-1].timestamp())
    return spans


def _limits(spans: Mapping[str, tuple[float, float]], events: Iterable[Event]) -> _Limits:
    """Of each actor and case between which shifts, in seconds, its entries lie in the dialogue."""
    limits: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for event in events:
        if event.case in spans:
            start, end = spans[event.case]
            at = instant(event.at).timestamp()
            limit = limits[event.actor].setdefault(event.case, [start - at, end - at])
            limit[0], limit[1] = max(limit[0], start - at), min(limit[1], end - at)
    return limits


def _everyone(limits: _Limits) -> list[Sequence[float]]:
    return [interval for cases in limits.values() for interval in cases.values()]


def _read(limits: _Limits, everyone: Sequence[Sequence[float]]) -> Clocks:
    """Every actor's clock; actors of few cases follow what most of `everyone` needs."""
    shifts: dict[str, int] = {}
    unreadable: list[str] = []
    common = _best(everyone)
    for actor, cases in limits.items():
        intervals = list(cases.values())
        if _fit(intervals, 0.0) >= _ENOUGH:
            continue
        own = _best(intervals) if len(intervals) >= _MIN_CASES else common
        if own is not None and _fit(intervals, own) >= _ENOUGH:
            shifts[actor] = round(own)
        elif len(intervals) >= _MIN_CASES:
            unreadable.append(actor)
    return Clocks(shifts, tuple(sorted(unreadable)))


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
