"""Multiple choice whose options were also asked in another order: consistency of the content, bias of the letters.

An item is multiple choice when its fields list `options` (and `ids`, where the answer is an id instead of a text).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals import stability, stats
from evals.config import EvalConfig
from evals.measures import Measure
from evals.records import GREEDY, Arm, Item
from evals.stats import Array, Interval
from evals.summary.columns import Column, estimate
from evals.summary.index import Runs, is_variant
from tianjing.tasks import Task

Json = dict[str, Any]

UNREADABLE = -1


@dataclass(frozen=True)
class Orders:
    """One item as asked with its options in several orders.

    Attributes:
        shown: contents in the order shown, by condition; the greedy one first.
        answers: the content chosen, by condition; None where unreadable.
        gold: the right content; None where it is no single option.
    """

    item: Item
    shown: Mapping[str, Sequence[str]]
    answers: Mapping[str, str | None]
    gold: str | None

    def position(self, condition: str) -> int | None:
        """The position chosen."""
        shown, answer = self.shown[condition], self.answers[condition]
        return shown.index(answer) if answer in shown else None

    def rotations(self) -> list[str] | None:
        """The conditions that show rotations 0 … K − 1 of the options; None when one is missing."""
        first = list(self.shown[GREEDY])
        by_order = {tuple(shown): name for name, shown in self.shown.items()}
        names = [by_order.get((*first[turn:], *first[:turn])) for turn in range(len(first))]
        return [name for name in names if name is not None] if None not in names else None


def option_orders(arm: Runs, task: Task) -> list[Orders]:
    """The items of an arm that were asked in at least two orders of their options."""
    found = []
    for item in arm.items:
        first = _contents(item.fields)
        if first is None or not arm.of(item, GREEDY):
            continue
        shown = {GREEDY: first}
        for name in arm.by_item[item.id]:
            order = _contents(item.asked(name))
            # One condition an order: other variants leave the options as they are.
            if is_variant(name) and order and sorted(order) == sorted(first) and order not in shown.values():
                shown[name] = order
        if len(shown) < 2:
            continue
        answers = {name: arm.of(item, name)[0].answer for name in shown}
        gold = task.read(task.target(item.reference), item.fields).answer
        found.append(Orders(item, shown, answers, gold if gold in first else None))
    return found


def options_profile(found: Sequence[Orders]) -> tuple[Json, list[Column]]:
    """Figures of one arm; empty where no item was asked with its options in another order."""
    if not found:
        return {}, []
    consistent = {one.item.id: stability.pairwise_agreement(list(one.answers.values())) for one in found}
    figures: Json = {
        "n": len(found),
        "consistency": stability.mean(list(consistent.values())),
        "rstd": float(stability.rstd(*_letters(found))[0]) if _letters(found)[0].size else None,
        "circular": {
            str(k): _circular([one for one in found if len(one.shown[GREEDY]) == k])
            for k in sorted({len(one.shown[GREEDY]) for one in found})
        },
    }
    note = "pairs of option orders that get the same content"
    return figures, [Column("option_consistency", consistent, note=note)]


def rstd_measure(found: Mapping[Arm, Sequence[Orders]], task: str, config: EvalConfig) -> Measure | None:
    """RStd of each arm and its difference by cluster bootstrap; None where no right option has a place."""
    rows = {arm: [one for one in orders if one.gold is not None] for arm, orders in found.items()}
    if not any(rows.values()):
        return None
    settings = (config.bootstrap, config.seed, config.confidence)
    arms: dict[str, Interval] = {}
    for arm, orders in rows.items():
        if orders:
            arms[arm] = stats.cluster_bootstrap(_statistic, np.vstack(_letters(orders)), _groups(orders), *settings)
    difference = None
    if len(arms) == 2:
        shared = {one.item.id for one in rows["base"]} & {one.item.id for one in rows["tuned"]}
        both = {arm: [one for one in orders if one.item.id in shared] for arm, orders in rows.items()}
        gold, base = _letters(both["base"])
        columns = np.vstack([gold, base, _letters(both["tuned"])[1]])
        difference = estimate(stats.cluster_bootstrap(_gap, columns, _groups(both["base"]), *settings))
    first = next(iter(arms.values()))
    return Measure(
        name="rstd",
        task=task,
        better="lower",
        unit="points",
        arms={arm: estimate(one) for arm, one in arms.items()},
        difference=difference,
        n=max(len(orders) for orders in rows.values()),
        groups=first.groups,
        note="standard deviation of recall over option positions; some is left by chance alone",
    )


def _contents(fields: Mapping[str, Any]) -> list[str] | None:
    shown = fields.get("ids") or fields.get("options")
    return [str(content) for content in shown] if isinstance(shown, list) and len(shown) > 1 else None


def _letters(found: Sequence[Orders]) -> tuple[Array, Array]:
    """Position of the right option and position chosen, one entry per item and order."""
    pairs = [
        (one.shown[name].index(one.gold), one.position(name))
        for one in found
        if one.gold is not None
        for name in sorted(one.shown)
    ]
    gold = np.asarray([right for right, _ in pairs], dtype=float)
    return gold, np.asarray([UNREADABLE if chosen is None else chosen for _, chosen in pairs], dtype=float)


def _groups(found: Sequence[Orders]) -> list[str]:
    return [one.item.group for one in found for _ in one.shown]


def _statistic(columns: Array, weights: Array) -> Array:
    return stability.rstd(columns[0], columns[1], weights)


def _gap(columns: Array, weights: Array) -> Array:
    return stability.rstd(columns[0], columns[2], weights) - stability.rstd(columns[0], columns[1], weights)


def _circular(found: Sequence[Orders]) -> Json:
    """CircularEval of questions with the same number K of options, over those asked in all K rotations."""
    circles, chosen = [], []
    for one in found:
        names = one.rotations()
        if names is None:
            continue
        letters = [one.position(name) for name in names]
        chosen += letters
        if one.gold is not None:
            circles.append(stability.circular(letters, one.shown[GREEDY].index(one.gold)))
    if not chosen:
        return {"n": 0}
    options = len(found[0].shown[GREEDY])
    histogram = Counter(letter for letter in chosen if letter is not None)
    return {
        "n": len(circles),
        "perf": stability.mean([circle.perfect for circle in circles]),
        "acc": stability.mean([circle.accuracy for circle in circles]),
        "vote": stability.mean([circle.vote for circle in circles]),
        "more": [stability.mean([circle.at_least[j] for circle in circles]) for j in range(options)],
        "letters": [histogram[letter] / len(chosen) for letter in range(options)],
        "pride_prior": stability.pride_prior_of_choices(chosen, options).tolist(),
    }
