"""Rules by which other tools decide, written for comparison with the gate (scripts/bench/evals_gate.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from evals.records import GREEDY, Arm, Attempt, Item

ARMS: tuple[Arm, ...] = ("base", "tuned")
Scores = Mapping[str, tuple[list[float], list[float]]]


def raw_threshold(items: Sequence[Item], attempts: Sequence[Attempt], target: str, margin: float) -> str:
    """Promote if the raw score of the target rose and no other fell by more than the margin (promptfoo, deepeval)."""
    gains = {task: np.mean(tuned) - np.mean(base) for task, (base, tuned) in _scores(items, attempts, False).items()}
    return "PROMOTE" if gains[target] > 0 and min(gains.values()) >= -margin else "BLOCK"


def unpaired_z(items: Sequence[Item], attempts: Sequence[Attempt], target: str, margin: float) -> str:
    """Promote if z > 1.96 in the target, block if z < -1.96 in any task; items count as independent, and as unpaired
    (lm-eval's comparison script)."""
    return _by_z(_scores(items, attempts, False), target)


def intersected(items: Sequence[Item], attempts: Sequence[Attempt], target: str, margin: float) -> str:
    """The same over items that both answered: a failed request takes its item away (NeMo Evaluator)."""
    return _by_z(_scores(items, attempts, True), target)


PEERS = {"raw difference": raw_threshold, "unpaired z": unpaired_z, "unpaired z, intersected ids": intersected}


def _scores(items: Sequence[Item], attempts: Sequence[Attempt], intersect: bool) -> Scores:
    """Greedy scores of base and tuned by task, over the items that both answered or over all."""
    greedy = {(row.arm, row.item): row for row in attempts if row.condition == GREEDY}
    scores: dict[str, tuple[list[float], list[float]]] = {}
    for item in items:
        pair = [greedy[arm, item.id] for arm in ARMS]
        if intersect and any(row.error for row in pair):
            continue
        for side, row in zip(scores.setdefault(item.task, ([], [])), pair, strict=True):
            side.append(row.score)
    return scores


def _by_z(scores: Scores, target: str) -> str:
    z = {}
    for task, (base, tuned) in scores.items():
        error = math.sqrt(np.var(base, ddof=1) / len(base) + np.var(tuned, ddof=1) / len(tuned))
        z[task] = (np.mean(tuned) - np.mean(base)) / error
    if min(z.values()) < -1.96:
        return "BLOCK"
    return "PROMOTE" if z[target] > 1.96 else "INCONCLUSIVE"
