"""Batches without waste: rows that open alike share one computation of their common prefix.

The rows of a task begin with the same system prompt (and often the same list of rules): in a short service
task that is most of the tokens. A causal model computes the same states for them in every row, so a micro-batch
is laid out as one sequence, prefix once, then each row's own rest, which attends to the prefix and to itself
alone (`training.layout.attention`). Loss and gradients are those of the separate rows.

Shape suffixes: T tokens of the laid-out sequence, P tokens of the common prefix, S supervised tokens.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Sampler

from training.layout.attention import Layout
from training.rows import IGNORED

# Rows whose first tokens are equal have the same system prompt.
_OPENING_TOKENS = 16


def by_opening(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Indices of rows of token ids, one list for each opening."""
    openings: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        openings[tuple(row[:_OPENING_TOKENS])].append(index)
    return [openings[opening] for opening in sorted(openings)]


class StratifiedRows(Sampler[int]):
    """A sampler of row indices, the same for the same seed and epoch (so that a resumed run goes on exactly).

    Micro-batches hold rows of one opening and of like length, and those of each opening are spread evenly over the
    epoch, so that neither a step nor a stretch of steps teaches one kind of row alone. (Sorting by length, as
    transformers' `group_by_length` does, teaches a small dataset one task after another.) Rows that fill no micro-batch
    of their opening form mixed ones, spread alike: at the end, where the learning rate is near zero, rare kinds of rows
    would hardly be learned.

    The last `blank` rows teach nothing (`training.ranks`) and end every epoch. With `order`, epochs have those rows.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[int]],
        micro_rows: int,
        seed: int,
        blank: int = 0,
        order: Sequence[int] | None = None,
    ):
        self._order = order
        self._lengths = [len(row) for row in rows]
        self._taught = len(rows) - blank
        self._openings = by_opening(rows[: self._taught])
        self._micro_rows = micro_rows
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(self._order) if self._order is not None else self._drawn()

    def _drawn(self) -> Iterator[int]:
        draw = random.Random(f"{self._seed}:{self._epoch}")
        kinds: list[list[list[int]]] = []
        left_over: list[int] = []
        for opening in self._openings:
            rows = list(opening)
            draw.shuffle(rows)  # ties of length, and who is left over, fall differently in every epoch
            full = len(rows) - len(rows) % self._micro_rows
            left_over += rows[full:]
            rows = sorted(rows[:full], key=lambda row: self._lengths[row])
            kinds.append([rows[start : start + self._micro_rows] for start in range(0, full, self._micro_rows)])
        draw.shuffle(left_over)
        # Only the last micro-batch of an epoch may be less than full.
        full = len(left_over) - len(left_over) % self._micro_rows
        kinds.append([left_over[start : start + self._micro_rows] for start in range(0, full, self._micro_rows)])
        placed: list[tuple[float, list[int]]] = []
        for micro in kinds:
            draw.shuffle(micro)
            begin = draw.random()
            placed += [((place + begin) / len(micro), rows) for place, rows in enumerate(micro)]
        for _, rows in sorted(placed):
            yield from rows
        yield from left_over[full:]
        yield from range(self._taught, len(self._lengths))


@dataclass(frozen=True)
class SharedPrefix:
    """Collator: rows {row, input_ids, labels, loss_weights, perhaps fork} to one sequence of batch size 1.

    Gives input_ids, position_ids, labels, loss_weights of shape [1, T], predicting [S], the numbers of the rows, and
    the layout, which `training.layout.attention` reads; with `states` (one [length, D] for each row of the dataset,
    which `row` counts) also inputs_embeds [1, T, D].
    """

    states: Sequence[torch.Tensor] | None = None

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        laid = lay_out(rows)
        prefix = laid.layout.prefix
        batch: dict[str, Any] = {
            "input_ids": torch.tensor([laid.ids]),
            "position_ids": torch.tensor([laid.positions]),
            "labels": torch.tensor([laid.labels]),
            "loss_weights": torch.tensor([laid.weights]),
            "predicting": predicting(laid.labels),
            "layout": laid.layout,
            "rows": tuple(row["row"] for row in rows if "row" in row),
        }
        if self.states is not None:
            own = [self.states[row["row"]] for row in rows]
            batch["inputs_embeds"] = torch.cat([own[0][:prefix], *(state[prefix:] for state in own)])[None]
        return batch


@dataclass(frozen=True)
class LaidOut:
    """Rows in one sequence; every list has its length T."""

    ids: list[int]
    labels: list[int]
    weights: list[float]
    positions: list[int]
    layout: Layout


def lay_out(rows: Sequence[dict[str, Any]]) -> LaidOut:
    """The common prefix of `rows` once, then each row's own part; positions are those of the row alone."""
    prefix = common_prefix([row["input_ids"] for row in rows], [row["labels"] for row in rows])
    ends = [len(row["input_ids"]) for row in rows]
    forks = [row.get("fork") or (end, end) for row, end in zip(rows, ends, strict=True)]
    forked = any(row.get("fork") for row in rows)
    laid = LaidOut(
        ids=list(rows[0]["input_ids"][:prefix]),
        labels=[IGNORED] * prefix,
        weights=[0.0] * prefix,
        positions=list(range(prefix)),
        layout=Layout(
            prefix,
            tuple(end - prefix for end in ends),
            tuple((first - prefix, second - prefix) for first, second in forks) if forked else (),
        ),
    )
    for row, end, (first, second) in zip(rows, ends, forks, strict=True):
        laid.ids.extend(row["input_ids"][prefix:])
        laid.labels.extend(row["labels"][prefix:])
        laid.weights.extend(row["loss_weights"][prefix:])
        # The second branch stands behind the first, and goes on from where the first began.
        laid.positions.extend((*range(prefix, second), *range(first, first + end - second)))
    return laid


def predicting(labels: Sequence[int]) -> torch.Tensor:
    """Places [S] of the tokens that predict a supervised one: each stands before it."""
    places = [place - 1 for place, label in enumerate(labels) if place and label != IGNORED]
    return torch.tensor(places, dtype=torch.long)


def common_prefix(ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> int:
    """Length P of what all rows open with; it ends before the last prompt token of every row.

    That token predicts the row's first supervised one, so it must stand in the row's own part.
    """
    limit = min(next((index for index, label in enumerate(row) if label != IGNORED), len(row)) - 1 for row in labels)
    first = ids[0]
    for index in range(max(0, limit)):
        if any(row[index] != first[index] for row in ids):
            return index
    return max(0, limit)
