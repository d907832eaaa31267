"""Exact and near duplicates of a corpus of any size: `minhash.row_keys` shard by shard (map), then `clusters` (reduce).

Two texts are near duplicates if their sets of character 5-grams have a Jaccard index of at least
`DuplicatesConfig.jaccard`. MinHash only proposes pairs; each is checked exactly. N rows, B bands, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_recipes.cleaning.components import DisjointSets
from data_recipes.cleaning.config import DuplicatesConfig
from data_recipes.cleaning.minhash import BANDS, Int64, Uint64, gram_sets, overlap

Texts = Callable[[Int64], Sequence[str]]
"""Reader of the texts of the rows asked for, in that order."""

# A bucket of up to this many rows has all its pairs checked; in a larger one a row meets so many others before it.
NEIGHBOURS = 8

_PAIRS_PER_CHUNK = 2_048


class PairChunk(NamedTuple):
    """Work for `near_pairs` in any process: candidates by their place in `texts`."""

    texts: Sequence[str]
    left: Int64
    right: Int64
    jaccard: float


@dataclass(frozen=True)
class Clusters:
    """Who is a duplicate of whom, and how much was looked at."""

    exact: Int64
    """[N]: the first row with the same folded text; the row itself if it is that one."""
    near: Int64
    """[N]: the first row of the near-duplicate cluster, exact copies included."""
    candidates: int
    """Pairs checked exactly; a pair met in several bands before it is joined counts again."""
    confirmed: int
    """Pairs of those that reached the Jaccard index."""


class KeysOnDisk:
    """`row_keys` of a shard that `np.save` wrote column by column: memory holds the column that is asked for.

    Of a map of the file it would hold every page: they count as the process's own until another one needs the room.

    Args:
        wanted: [n] which rows there are.
    """

    def __init__(self, path: Path, wanted: NDArray[np.bool_]):
        self._path = path
        self._wanted = None if wanted.all() else wanted
        self._rows, self._count = len(wanted), int(wanted.sum())
        with open(path, "rb") as stream:
            np.lib.format.read_magic(stream)
            _, by_columns, self._dtype = np.lib.format.read_array_header_1_0(stream)
            self._offset = stream.tell()
        assert by_columns or self._rows < 2

    def __len__(self) -> int:
        return self._count

    def column(self, number: int) -> Uint64:
        """[len(self)]: one column of the rows there are."""
        offset = self._offset + number * self._rows * self._dtype.itemsize
        values = np.fromfile(self._path, self._dtype, self._rows, offset=offset)
        return values if self._wanted is None else values[self._wanted]


def near_pairs(chunk: PairChunk) -> NDArray[np.bool_]:
    """[P]: which candidates of the chunk reach the Jaccard index."""
    return overlap(gram_sets(chunk.texts), chunk.left, chunk.right) >= chunk.jaccard


def clusters(
    keys: Sequence[Uint64 | KeysOnDisk],
    texts: Texts,
    config: DuplicatesConfig,
    apply: Callable[[Callable[[PairChunk], NDArray[np.bool_]], Iterable[PairChunk]], Iterable[NDArray[np.bool_]]] = map,
) -> Clusters:
    """Clusters of the rows whose `row_keys` are given shard by shard; row numbers run through the shards in order.

    A list of texts in one call: `clusters([row_keys(texts)], lambda rows: [texts[row] for row in rows], config)`.

    Args:
        keys: per shard [n, 1 + B], in memory or on disk.
        texts: reads texts again for the exact check; asked for a few thousand rows at a time.
        apply: `map`, or a process pool's `imap` (which asks for texts from a thread): where `near_pairs` runs. The
            result does not depend on it.

    Clusters are connected components over confirmed pairs, so a chain may hold two texts that are further apart.

    In a bucket of up to 8 rows every pair is checked. A larger one (a script that all agents read) would cost the
    square of its rows: there one row stands for each cluster found so far, rows are ordered by their keys in the next
    two bands, each is paired with its 8 predecessors, and a pair is checked if a second band agrees too. So there are
    at most 8·B·N candidates. The price: of pairs at J = 0.8 that meet in large buckets only, 1.6 % lack the second
    band, and one with more than 8 rows between them in every order is found only if a third row joins them.

    Memory: about 60 bytes a row besides one chunk of texts for each process.
    """
    rows = sum(len(shard) for shard in keys)
    exact = DisjointSets(rows)
    near = DisjointSets(rows)
    copies = _equal(_column(keys, 0))
    exact.union(*copies)
    near.union(*copies)
    firsts = np.flatnonzero(exact.roots() == np.arange(rows))
    candidates = confirmed = 0
    for band in range(1, 1 + BANDS):
        left, right = _candidates(keys, firsts, band, near.roots())
        found = np.zeros(len(left), dtype=np.bool_)
        done = 0
        for verdict in apply(near_pairs, _chunks(left, right, texts, config.jaccard)):
            found[done : done + len(verdict)] = verdict
            done += len(verdict)
        near.union(left[found], right[found])
        candidates += len(left)
        confirmed += int(found.sum())
    return Clusters(exact.roots(), near.roots(), candidates, confirmed)


def _column(keys: Sequence[Uint64 | KeysOnDisk], column: int) -> Uint64:
    parts = [shard.column(column) if isinstance(shard, KeysOnDisk) else shard[:, column] for shard in keys]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _equal(values: Uint64) -> tuple[Int64, Int64]:
    order = np.argsort(values, kind="stable")
    same = values[order[1:]] == values[order[:-1]]
    return order[:-1][same], order[1:][same]


def _candidates(keys: Sequence[Uint64 | KeysOnDisk], rows: Int64, band: int, roots: Int64) -> tuple[Int64, Int64]:
    """Pairs of rows of different clusters whose keys agree in the band, ascending."""
    values = _column(keys, band)[rows]
    order = np.argsort(values, kind="stable")
    values = values[order]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if len(values) else order
    sizes = np.diff(np.append(starts, len(values)))
    pairs = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for step in range(1, NEIGHBOURS):
        # Every row of a small bucket that has another one `step` places later.
        wide = (sizes > step) & (sizes <= NEIGHBOURS)
        counts = sizes[wide] - step
        places = np.arange(counts.sum()) + np.repeat(starts[wide] - (np.cumsum(counts) - counts), counts)
        pairs.append((rows[order[places]], rows[order[places + step]]))
    large = sizes > NEIGHBOURS
    members = rows[order[np.repeat(large, sizes)]]
    pairs += _neighbours(keys, members, np.repeat(np.arange(large.sum()), sizes[large]), band, roots)
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    apart = roots[left] != roots[right]
    left, right = np.minimum(left[apart], right[apart]), np.maximum(left[apart], right[apart])
    ascending = np.lexsort((right, left))
    return left[ascending], right[ascending]


def _neighbours(
    keys: Sequence[Uint64 | KeysOnDisk], members: Int64, bucket: Int64, band: int, roots: Int64
) -> list[tuple[Int64, Int64]]:
    """Candidates in large buckets: a row per cluster, near in the order of the next two bands, a second band equal."""
    order = np.lexsort((members, roots[members], bucket))
    members, bucket = members[order], bucket[order]
    if not len(members):
        return []
    once = np.append(True, (bucket[1:] != bucket[:-1]) | (roots[members[1:]] != roots[members[:-1]]))
    members, bucket = members[once], bucket[once]
    second, third = (_column(keys, 1 + (band + ahead - 1) % BANDS)[members] for ahead in (1, 2))
    order = np.lexsort((members, third, second, bucket))
    members, bucket = members[order], bucket[order]
    steps = range(1, min(NEIGHBOURS, len(members) - 1) + 1)
    agreeing = [np.zeros(len(members) - step, dtype=np.int8) for step in steps]
    for other in range(1, 1 + BANDS):
        values = _column(keys, other)[members]
        for step, agree in zip(steps, agreeing, strict=True):
            agree += values[step:] == values[:-step]
    together = [
        np.flatnonzero((agree >= 2) & (bucket[step:] == bucket[:-step]))
        for step, agree in zip(steps, agreeing, strict=True)
    ]
    return [(members[places], members[places + step]) for step, places in zip(steps, together, strict=True)]


def _chunks(left: Int64, right: Int64, texts: Texts, jaccard: float) -> Iterator[PairChunk]:
    for first in range(0, len(left), _PAIRS_PER_CHUNK):
        a, b = left[first : first + _PAIRS_PER_CHUNK], right[first : first + _PAIRS_PER_CHUNK]
        rows, places = np.unique(np.concatenate([a, b]), return_inverse=True)
        yield PairChunk(texts(rows), places[: len(a)], places[len(a) :], jaccard)
