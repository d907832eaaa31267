"""What a dataset is in tokens, under the model's own template, and what the real batches make of it.

Shape suffixes: T tokens of a laid-out sequence (`training.layout.batches`).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tianjing.records import Example, Preference
from training.config import TrainConfig
from training.layout.attention import Layout
from training.layout.batches import StratifiedRows, lay_out
from training.layout.packing import PackedLayout, PackedRows, packed_layout
from training.rows import TokenRow, TokenRows


@dataclass(frozen=True)
class TaskTokens:
    """Rows of one task that are trained on; lengths in tokens, of a pair that of its longer conversation; `p95` by
    nearest rank."""

    task: str
    rows: int
    tokens: int
    supervised: int
    shortest: int
    median: int
    p95: int
    longest: int


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one forward pass, by number, and how they lie in one sequence."""

    rows: tuple[int, ...]
    layout: Layout | PackedLayout
    supervised: int

    @property
    def tokens(self) -> int:
        """Length T of the sequence: what the decoder computes."""
        return self.layout.tokens


@dataclass(frozen=True)
class Epochs:
    """The micro-batches of every epoch, in the order of the real sampler, and what follows from them."""

    micro: tuple[tuple[MicroBatch, ...], ...]
    micro_batches: int
    epochs: float

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of a whole epoch."""
        return -(-len(self.micro[0]) // self.micro_batches)

    @property
    def steps(self) -> int:
        """Optimiser steps of the run, as transformers' Trainer counts them: a part of an epoch is rounded up."""
        return math.ceil(self.epochs * self.steps_per_epoch)

    @property
    def all(self) -> list[MicroBatch]:
        """Micro-batches of all steps that are taken."""
        taken: list[MicroBatch] = []
        for number, epoch in enumerate(self.micro):
            steps = min(self.steps - number * self.steps_per_epoch, self.steps_per_epoch)
            taken += epoch[: steps * self.micro_batches]
        return taken

    @property
    def computed(self) -> int:
        """Tokens that one epoch computes; a shared prefix counts once a micro-batch."""
        return sum(micro.tokens for micro in self.micro[0])

    @property
    def row_tokens(self) -> int:
        """Tokens of the rows of one epoch."""
        return sum(micro.layout.row_tokens for micro in self.micro[0])

    @property
    def padded(self) -> int:
        """Tokens that the same micro-batches would compute if each row were padded to the longest beside it."""
        return sum(micro.layout.padded for micro in self.micro[0])

    @property
    def attention_padding(self) -> float:
        """Share of padding among the queries of the rows' own parts, which attention pads to the longest; of packed
        rows, among all tokens."""
        real = sum(micro.layout.own for micro in self.micro[0])
        given = sum(micro.layout.room for micro in self.micro[0])
        return 1 - real / given


def by_task(examples: Sequence[Example | Preference], tokens: TokenRows) -> list[TaskTokens]:
    """Token statistics of each task's rows, those that are left out not counted."""
    task_of = {example.id: example.task for example in examples}
    rows: dict[str, list[TokenRow]] = defaultdict(list)
    for row in tokens.rows:
        rows[task_of[row.id]].append(row)
    return [_task(task, rows[task]) for task in sorted(rows)]


def epochs(rows: Sequence[TokenRow], config: TrainConfig, on_epoch: Callable[[int], None] = lambda n: None) -> Epochs:
    """Lay out every epoch as the trainer will: the same sampler, the same seed, the same collator.

    Args:
        on_epoch: told each finished epoch, from 1.
    """
    ids, labels = [row.input_ids for row in rows], [row.labels for row in rows]
    sampler: StratifiedRows | PackedRows
    if config.pack_tokens is None:
        sampler = StratifiedRows(ids, config.micro_rows, config.seed)
    else:
        sampler = PackedRows(ids, labels, config.pack_tokens, config.micro_batches, config.seed)
    made = []
    for epoch in range(math.ceil(config.epochs)):
        sampler.set_epoch(epoch)
        made.append(tuple(_laid_out(chosen, rows, config) for chosen in _micro_batches(sampler, config.micro_rows)))
        on_epoch(epoch + 1)
    return Epochs(tuple(made), config.micro_batches, config.epochs)


def _micro_batches(sampler: StratifiedRows | PackedRows, micro_rows: int) -> list[list[int]]:
    if isinstance(sampler, PackedRows):
        return list(sampler)
    order = list(sampler)
    return [order[start : start + micro_rows] for start in range(0, len(order), micro_rows)]


def _laid_out(chosen: list[int], rows: Sequence[TokenRow], config: TrainConfig) -> MicroBatch:
    given = [rows[n].item(n) for n in chosen]
    layout = lay_out(given).layout if config.pack_tokens is None else packed_layout(given, config.pack_tokens)
    return MicroBatch(tuple(chosen), layout, sum(rows[n].supervised for n in chosen))


def _task(task: str, rows: Sequence[TokenRow]) -> TaskTokens:
    lengths = sorted(row.longest for row in rows)
    return TaskTokens(
        task,
        rows=len(rows),
        tokens=sum(len(row.input_ids) for row in rows),
        supervised=sum(row.supervised for row in rows),
        shortest=lengths[0],
        median=round(statistics.median(lengths)),
        p95=lengths[math.ceil(0.95 * len(lengths)) - 1],
        longest=lengths[-1],
    )
