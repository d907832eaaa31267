"""Connected components: which rows hang together because they share a customer, a session, a near-duplicate, a clause.

Arrays throughout, because the rows of a corpus come in millions. N rows, P pairs, L links.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


class DisjointSets:
    """Union-find over N rows; the root of a set is its smallest row, whatever the order of the unions."""

    def __init__(self, rows: int):
        self._parent = np.arange(rows, dtype=np.int64)

    def union(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
        """Join `left[i]` with `right[i]`, each [P].

        Every root is hung below the smallest root it is paired with and the trees are flattened, until no pair spans
        two sets: the label propagation of Shiloach and Vishkin (1982), O((N + P) log N).
        """
        parent = self._parent
        while len(left):
            left, right = parent[left], parent[right]
            apart = left != right
            left, right = left[apart], right[apart]
            np.minimum.at(parent, np.maximum(left, right), np.minimum(left, right))
            while not np.array_equal(flatter := parent[parent], parent):
                parent[:] = flatter

    def roots(self) -> NDArray[np.int64]:
        """[N]: the smallest row of each row's set. A view: it follows later unions."""
        return self._parent


def components(rows: Iterable[Sequence[str]]) -> list[int]:
    """Per row, the first row of its component; two rows that share a key are in one.

    A key carries its kind, e.g. `customer:c17`, so that a customer and a session of one name do not meet.
    """
    numbers: dict[str, int] = {}
    owners: list[int] = []
    keys: list[int] = []
    count = 0
    for count, own in enumerate(rows, start=1):
        for key in own:
            owners.append(count - 1)
            keys.append(numbers.setdefault(key, len(numbers)))
    return linked(count, np.array(owners, dtype=np.int64), np.array(keys, dtype=np.uint64)).tolist()


def linked(rows: int, owners: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """`components` for millions of rows: row `owners[i]` has the key `keys[i]`, each [L]; returns [rows].

    About 40 bytes a row and 32 a link. Keys may be 64-bit hashes: among 10 million of them two differing ones meet with
    probability 3e-6, which would keep two groups together, never divide one.
    """
    sets = DisjointSets(rows)
    order = np.argsort(keys, kind="stable")
    keys, owners = keys[order], owners[order]
    same = keys[1:] == keys[:-1]
    sets.union(owners[:-1][same], owners[1:][same])
    return sets.roots()
