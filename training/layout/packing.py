"""Micro-batches of a fixed number of tokens: rows are packed into bins, and a step still meets every kind of row.

A GPU wants every forward pass full and of one shape. Rows that open alike are packed together, behind their common
prefix, by best-fit decreasing (Johnson 1973: the longest first, each into the fullest bin that still takes it); what
then fills no bin by itself is packed once more, over all openings. The rest of a bin is padded with a part of its own.

Shape suffixes: T tokens of a bin, S supervised tokens.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Sampler

from training.errors import TrainingError
from training.layout.attention import Layout
from training.layout.batches import by_opening, common_prefix, lay_out, predicting
from training.rows import IGNORED

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True)
class PackedLayout:
    """One sequence of `room` tokens: groups of rows, each behind its own prefix, and padding at the end."""

    groups: tuple[Layout, ...]
    room: int

    @property
    def tokens(self) -> int:
        """Length T of the sequence: what the decoder computes."""
        return self.room

    @property
    def row_tokens(self) -> int:
        """Tokens of the rows, each in full."""
        return sum(group.row_tokens for group in self.groups)

    @property
    def own(self) -> int:
        """Tokens that are no padding."""
        return sum(group.tokens for group in self.groups)

    @property
    def padded(self) -> int:
        """Tokens of the same rows where each is padded to the longest and nothing is shared."""
        lengths = [group.prefix + length for group in self.groups for length in group.lengths]
        return len(lengths) * max(lengths)


@dataclass(frozen=True)
class PackedBatch:
    """Collator: rows {row, input_ids, labels, loss_weights} to one sequence of `room` tokens and batch size 1.

    Gives input_ids, position_ids, labels, loss_weights, documents and prefixes (`training.layout.flex.rule`) of shape
    [1, T], predicting [S], the numbers of the rows, and the layout.
    """

    room: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Raises ValueError if the rows do not fit."""
        groups = [
            lay_out([rows[index] for index in members]) for members in by_opening([row["input_ids"] for row in rows])
        ]
        layout = PackedLayout(tuple(group.layout for group in groups), self.room)
        padding = self.room - layout.own
        if padding < 0:
            raise ValueError(f"rows of {layout.own} tokens do not fit a bin of {self.room}")
        documents: list[int] = []
        prefixes: list[int] = []
        for group in layout.groups:
            prefix = len(documents)  # a number that no part before has
            documents += [prefix] * group.prefix
            prefixes += [prefix] * group.prefix
            for length in group.lengths:
                own = len(documents)
                documents += [own] * length
                prefixes += [prefix if group.prefix else own] * length
        return {
            "input_ids": _joined([group.ids for group in groups], [0] * padding),
            "position_ids": _joined([group.positions for group in groups], range(padding)),
            "labels": _joined([group.labels for group in groups], [IGNORED] * padding),
            "loss_weights": _joined([group.weights for group in groups], [0.0] * padding),
            "predicting": predicting([label for group in groups for label in group.labels]),
            "documents": _joined([documents], [self.room] * padding),
            "prefixes": _joined([prefixes], [self.room] * padding),
            "layout": layout,
            "rows": tuple(row["row"] for row in rows if "row" in row),
        }


def packed_layout(rows: Sequence[dict[str, Any]], room: int) -> PackedLayout:
    """How `PackedBatch` lays these rows out."""
    groups = by_opening([row["input_ids"] for row in rows])
    return PackedLayout(tuple(lay_out([rows[index] for index in members]).layout for members in groups), room)


def _joined(parts: Sequence[Sequence[Any]], padding: Sequence[Any]) -> torch.Tensor:
    """A tensor [1, T] of all parts and the padding."""
    return torch.tensor([[value for part in (*parts, padding) for value in part]])


class PackedRows(Sampler[list[int]]):
    """A sampler of bins, the same for the same seed and epoch (so that a resumed run goes on exactly).

    Every row stands in one bin of an epoch. The lengths in the bins are the same in every epoch, and so is their
    number; rows of one opening and length change places, and the bins their order. Bins are cut by opening into
    `micro_batches` strata, and each optimiser step takes one of every stratum.

    The last `blank` rows teach nothing (`training.ranks`): each is a bin of its own, at the end of every epoch. With
    `order`, epochs have those bins.
    """

    # What accelerate asks of a sampler of batches: no fixed number of rows, and none left out.
    batch_size = None
    drop_last = False

    def __init__(
        self,
        ids: Ids,
        labels: Ids,
        room: int,
        micro_batches: int,
        seed: int,
        blank: int = 0,
        order: Sequence[Sequence[int]] | None = None,
    ):
        self._order = order
        self._taught = len(ids) - blank
        self._blank = blank
        self._bins = pack(ids[: self._taught], labels[: self._taught], room)
        # Rows that can stand in for each other: of one opening, and equally long.
        self._alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        self._kind: dict[int, tuple[int, int]] = {}
        for opening, members in enumerate(by_opening(ids[: self._taught])):
            for row in members:
                self._kind[row] = (opening, len(ids[row]))
                self._alike[self._kind[row]].append(row)
        self._micro_batches = micro_batches
        self._seed = seed
        self._epoch = 0

    @property
    def sampler(self) -> PackedRows:
        """Where accelerate looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._order) if self._order is not None else len(self._bins) + self._blank

    def __iter__(self) -> Iterator[list[int]]:
        return iter([list(rows) for rows in self._order]) if self._order is not None else self._drawn()

    def _drawn(self) -> Iterator[list[int]]:
        draw = random.Random(f"{self._seed}:{self._epoch}")
        shuffled = {kind: draw.sample(rows, len(rows)) for kind, rows in self._alike.items()}
        bins = [[shuffled[self._kind[row]].pop() for row in rows] for rows in self._bins]
        strata = _strata(bins, self._micro_batches)
        for stratum in strata:
            draw.shuffle(stratum)
        for step in range(len(strata[0])):
            yield from (stratum[step] for stratum in strata if step < len(stratum))
        yield from ([row] for row in range(self._taught, self._taught + self._blank))


def _strata(bins: list[list[int]], count: int) -> list[list[list[int]]]:
    """`bins` in `count` runs, the longer ones first, so that every whole step has one of each."""
    size, longer = divmod(len(bins), count)
    ends = [number * size + min(number, longer) for number in range(count + 1)]
    return [bins[start:end] for start, end in itertools.pairwise(ends)]


def pack(ids: Ids, labels: Ids, room: int) -> list[list[int]]:
    """Rows, by number, in bins of at most `room` tokens, a common prefix counted once; bins of one opening together.

    Raises:
        TrainingError: a row is longer than a bin.
    """
    longest = max(map(len, ids), default=0)
    if longest > room:
        raise TrainingError(
            f"a row of {longest} tokens does not fit a micro-batch of pack_tokens: {room}",
            f"set pack_tokens to at least {longest}, or lower max_length_tokens",
        )
    groups: list[list[int]] = []
    sizes: list[int] = []
    for members in by_opening(ids):
        # That of all rows of the opening: those of one bin may share more, never less.
        prefix = common_prefix([ids[row] for row in members], [labels[row] for row in members])

        def own(row: int, prefix: int = prefix) -> int:
            return len(ids[row]) - prefix

        for rows in _best_fit(members, own, room - prefix):
            groups.append(rows)
            sizes.append(prefix + sum(map(own, rows)))
    joined = _best_fit(range(len(groups)), lambda group: sizes[group], room)
    return [[row for group in sorted(found) for row in groups[group]] for found in sorted(joined, key=min)]


def _best_fit(items: Sequence[int], size: Callable[[int], int], room: int) -> list[list[int]]:
    """`items` in bins: the largest first, each into the bin with the least room that still takes it."""
    if not items:
        return []
    smallest = min(map(size, items))
    bins: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (room left, number of the bin), of the bins that can take more, in order
    for item in sorted(items, key=lambda item: (-size(item), item)):
        place = bisect.bisect_left(free, (size(item), -1))
        left, number = free.pop(place) if place < len(free) else (room, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(item)
        if left - size(item) >= smallest:
            bisect.insort(free, (left - size(item), number))
    return bins
