"""Components: rows that share a key hang together, directly or by a chain, in whatever order they come."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.cleaning.components import DisjointSets, components, linked

ROWS = st.lists(st.lists(st.integers(0, 25).map("session:{}".format), max_size=3), max_size=15)


@given(ROWS)
@settings(deadline=None)
def test_rows_are_in_one_component_exactly_if_a_chain_of_shared_keys_joins_them(rows: list[list[str]]) -> None:
    reached = list(range(len(rows)))
    for _ in rows:
        for row, keys in enumerate(rows):
            reached[row] = min(
                reached[other] for other in range(len(rows)) if other == row or set(keys) & set(rows[other])
            )
    assert components(rows) == reached


def test_a_customer_and_a_session_of_one_name_do_not_meet() -> None:
    assert components([["customer:7"], ["session:7"], ["customer:7", "clause:3"]]) == [0, 1, 0]


def test_a_chain_of_200_000_rows_is_one_component_in_any_order() -> None:
    count = 200_000
    owners = np.repeat(np.arange(count), 2)
    keys = (np.arange(2 * count, dtype=np.uint64) + np.uint64(1)) // np.uint64(2)
    assert not linked(count, owners, keys).any()
    shuffled = np.random.default_rng(5).permutation(2 * count)
    assert not linked(count, owners[shuffled], keys[shuffled]).any()


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40), st.randoms())
@settings(deadline=None)
def test_the_order_of_unions_changes_nothing(pairs: list[tuple[int, int]], shuffle: random.Random) -> None:
    def roots(ordered: list[tuple[int, int]], step: int) -> list[int]:
        sets = DisjointSets(20)
        for first in range(0, len(ordered), step):
            part = np.array(ordered[first : first + step], dtype=np.int64).reshape(-1, 2)
            sets.union(part[:, 0], part[:, 1])
        return sets.roots().tolist()

    mixed = [pair[::-1] for pair in pairs]
    shuffle.shuffle(mixed)
    assert roots(pairs, 1) == roots(mixed, 7)
