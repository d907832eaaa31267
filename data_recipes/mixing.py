"""Mixing the tasks of the training split by a recipe: shares reached by leaving rows out, or by weighing them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_recipes.errors import DataError
from tianjing.config import StrictModel
from tianjing.order import order_key
from tianjing.records import Example, Split

Share = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Rows = Annotated[int, Field(ge=1)]


class MixtureConfig(StrictModel):
    """How much of the training split each task makes up. Validation and test are not mixed, only limited."""

    shares: dict[str, Share] = Field(default_factory=dict)
    """Task -> its part, as shares or as any weights; 0 leaves a task out. Every task that is built must be named.
    Without it, tasks keep their sizes, tempered by `temperature`."""
    temperature: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 1.0
    """Without `shares`, a task of n rows counts n^(1/temperature): 1 leaves sizes as they are, a large one evens them
    out, so that a task with much data does not drown the others."""
    by: Literal["rows", "weight"] = "rows"
    """Reach the shares by leaving rows out (no row counts more than another), or keep every row and set its `weight`
    (the loss of a small task's rows then counts several times, and training repeats them no oftener)."""
    max_rows: dict[str, dict[Split, Rows]] = Field(default_factory=dict)
    """Task -> split -> largest number of rows, applied first."""
    max_train_rows: Rows | None = None
    """Largest training split over all tasks; only with `by: rows`."""

    @model_validator(mode="after")
    def _consistent(self) -> MixtureConfig:
        if self.shares and not any(self.shares.values()):
            raise ValueError("shares: at least one task needs a share above 0")
        if self.shares and self.temperature != 1.0:
            raise ValueError("give either 'shares' or a 'temperature'")
        if self.max_train_rows is not None and self.by == "weight":
            raise ValueError("'max_train_rows' leaves rows out, so it needs 'by: rows'")
        return self


@dataclass(frozen=True)
class TaskShare:
    """What was asked for one task and what came of it, in the training split. `got` is its share of the weight."""

    task: str
    available_rows: int
    rows: int
    weight: float
    asked: float
    got: float


@dataclass(frozen=True)
class Mixed:
    """The rows that stay, in the order they came, and the shares of the training split by task."""

    rows: list[Example]
    shares: tuple[TaskShare, ...]


def mix(rows: Sequence[Example], config: MixtureConfig, seed: int, reject: Callable[[Example, str], None]) -> Mixed:
    """Limit, then mix. The same rows give the same mixture, whatever their order.

    By rows, the training split is the largest that has the asked shares: the task that is scarcest for its share keeps
    all its rows. By weight, rows of task t weigh share_t * N / n_t, so that the mean weight stays 1.

    Args:
        reject: is told each row that is left out, with the reason.

    Raises:
        DataError: a task has rows and no share, or a share names no task that is built.
    """
    limited = _limit(rows, config, seed, reject)
    train = [row for row in limited if row.split == "train"]
    available = Counter(row.task for row in train)
    asked = _asked(available, {row.task for row in rows}, config)
    if config.by == "weight":
        total = sum(count for task, count in available.items() if asked[task] > 0)
        weights = {task: asked[task] * total / available[task] for task in available}
        keep = {task: available[task] if asked[task] > 0 else 0 for task in available}
    else:
        weights = dict.fromkeys(available, 1.0)
        keep = _quotas(available, asked, config.max_train_rows)
    chosen = {row.id for task in available for row in _first(train, task, keep[task], seed)}
    mixed = []
    for row in limited:
        if row.split != "train":
            mixed.append(row)
        elif row.id not in chosen:
            reject(row, "over its share of the mixture")
        else:
            weight = round(row.weight * weights[row.task], 6)
            mixed.append(row if weight == row.weight else row.model_copy(update={"weight": weight}))
    return Mixed(mixed, _shares(mixed, available, asked))


def _limit(
    rows: Sequence[Example], config: MixtureConfig, seed: int, reject: Callable[[Example, str], None]
) -> list[Example]:
    by_part: dict[tuple[str, Split], list[Example]] = defaultdict(list)
    for row in rows:
        by_part[row.task, row.split].append(row)
    kept: set[str] = set()
    for (task, split), part in by_part.items():
        limit = config.max_rows.get(task, {}).get(split, len(part))
        kept.update(row.id for row in _first(part, task, limit, seed))
    for row in rows:
        if row.id not in kept:
            reject(row, "over the limit of its task and split")
    return [row for row in rows if row.id in kept]


def _first(rows: Sequence[Example], task: str, count: int, seed: int) -> list[Example]:
    """Rows of one task drawn by a seeded hash of their id: what else is there does not change the draw."""
    own = [row for row in rows if row.task == task]
    return sorted(own, key=lambda row: order_key(seed, f"mix|{row.id}"))[:count]


def _asked(available: Mapping[str, int], built: set[str], config: MixtureConfig) -> dict[str, float]:
    """Share of each task of the training split, summing to 1."""
    if config.shares:
        unnamed = sorted(set(available) - set(config.shares))
        if unnamed:
            raise DataError(
                f"mixture.shares: task '{unnamed[0]}' has rows and no share", "give it one; 0 leaves it out"
            )
        strange = sorted(task for task in set(config.shares) - built if config.shares[task] > 0)
        if strange:
            raise DataError(
                f"mixture.shares: no rows of a task '{strange[0]}' were built", f"built: {', '.join(sorted(built))}"
            )
        parts = {task: config.shares[task] for task in available}
    else:
        parts = {task: count ** (1 / config.temperature) for task, count in available.items()}
    whole = math.fsum(parts.values())
    if available and not whole:
        raise DataError("mixture.shares: no task with a share has training rows", "give a share to a task that has")
    return {task: part / whole for task, part in parts.items()}


def _quotas(available: Mapping[str, int], asked: Mapping[str, float], limit: int | None) -> dict[str, int]:
    """Rows by task: the largest total that has the shares, rounded by largest remainder, and never to nothing."""
    wanted = {task: share for task, share in asked.items() if share > 0}
    if not wanted:
        return dict.fromkeys(available, 0)
    total = min(available[task] / share for task, share in wanted.items())
    whole = min(math.floor(total + 1e-9), limit if limit is not None else sum(available.values()))
    exact = {task: share * whole for task, share in wanted.items()}
    quotas = {task: math.floor(value + 1e-9) for task, value in exact.items()}
    for task in sorted(exact, key=lambda task: (quotas[task] - exact[task], task))[: whole - sum(quotas.values())]:
        quotas[task] = min(quotas[task] + 1, available[task])
    return {task: max(1, quotas[task]) if task in quotas else 0 for task in available}


def _shares(rows: Sequence[Example], available: Mapping[str, int], asked: Mapping[str, float]) -> tuple[TaskShare, ...]:
    train = [row for row in rows if row.split == "train"]
    weight = {task: math.fsum(row.weight for row in train if row.task == task) for task in available}
    whole = math.fsum(weight.values()) or 1.0
    count = Counter(row.task for row in train)
    return tuple(
        TaskShare(task, available[task], count[task], round(weight[task], 6), asked[task], weight[task] / whole)
        for task in sorted(available)
    )
