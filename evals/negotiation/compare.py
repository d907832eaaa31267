"""Figures of arms that negotiated with the same debtors: means, and paired differences with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evals.negotiation.play import Played
from evals.stats import Interval, mean_interval, paired_difference
from tianjing.config import StrictModel

Json = dict[str, Any]

# Scripted arms: the act of the situation's practice, and any act.
SCRIPTS = ("script_practice", "script_chance")

# One number a negotiation; NaN is what cannot be scored.
MEASURES: dict[str, Callable[[Played], float]] = {
    "recovery": lambda row: row.recovery,
    "agreed": lambda row: float(row.agreed),
    "over_concession": lambda row: math.nan if row.over_concession is None else row.over_concession,
    "outside_policy": lambda row: float(row.outside_policy),
    "breached": lambda row: float(row.breaches > 0),
    "complained": lambda row: float(row.complained),
    "hung_up": lambda row: float(row.hung_up),
}


class Reply(StrictModel):
    """An arm's answer to one held-out next reply; `score` is 1 where it is the practice's act."""

    item: str
    group: str
    situation: str
    output: str
    answer: str | None
    score: float


def summarise(
    arms: Sequence[str],
    played: Mapping[str, Sequence[Played]],
    replies: Mapping[str, Sequence[Reply]],
    confidence: float,
) -> Json:
    """Means of every arm and script, and the first arm's difference to each of the others, debtor by debtor."""
    first = arms[0]
    return {
        "arms": {name: _means(rows, replies.get(name, ()), confidence) for name, rows in played.items()},
        "candidate": first,
        "differences": {
            other: _differences(
                played[first], played[other], replies.get(first, ()), replies.get(other, ()), confidence
            )
            for other in played
            if other != first
        },
    }


def _means(rows: Sequence[Played], replies: Sequence[Reply], confidence: float) -> Json:
    found = {name: _interval(_mean(rows, value, confidence)) for name, value in MEASURES.items()}
    if replies:
        scores, groups = [row.score for row in replies], [row.group for row in replies]
        found["next_reply"] = _interval(mean_interval(scores, groups, confidence))
    offers = sum(row.offers for row in rows)
    return {
        **found,
        "turns": round(sum(row.turns for row in rows) / len(rows), 3),
        "quotations": round(sum(row.quotations for row in rows) / len(rows), 3),
        "misquoted": round(sum(row.misquoted for row in rows) / offers, 4) if offers else None,
    }


def _mean(rows: Sequence[Played], value: Callable[[Played], float], confidence: float) -> Interval:
    scored = [row for row in rows if not math.isnan(value(row))]
    return mean_interval([value(row) for row in scored], [row.debtor for row in scored], confidence)


def _differences(
    one: Sequence[Played], other: Sequence[Played], mine: Sequence[Reply], theirs: Sequence[Reply], confidence: float
) -> Json:
    found = {}
    for name, value in MEASURES.items():
        # Concessions are compared where both came to an agreement.
        pairs = [(a, b) for a, b in zip(one, other, strict=True) if not math.isnan(value(a) + value(b))]
        groups = [a.debtor for a, _ in pairs]
        difference = paired_difference([value(a) for a, _ in pairs], [value(b) for _, b in pairs], groups, confidence)
        found[name] = _interval(difference)
    if mine and theirs:
        groups_of_replies = [row.group for row in mine]
        scores = [row.score for row in mine], [row.score for row in theirs]
        found["next_reply"] = _interval(paired_difference(*scores, groups_of_replies, confidence))
    return found


def _interval(value: Interval) -> Json:
    """NaN becomes null: JSON has none."""
    numbers = {"estimate": value.estimate, "low": value.low, "high": value.high}
    return {name: None if math.isnan(number) else round(number, 5) for name, number in numbers.items()} | {"n": value.n}
