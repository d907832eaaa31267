"""Splits: whole components, by fraction, holdout or time; nothing that hangs together is learned from and tested on."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from data_recipes.cleaning.components import components
from data_recipes.config import HoldoutConfig, SplitConfig
from data_recipes.errors import DataError
from data_recipes.splits import LinkedRow, RowSplits, check_disjoint, split_groups, split_rows
from tianjing.config import parse

KINDS = ("customer", "session", "near_duplicate", "clause")
NEW_YEAR = datetime(2026, 1, 1, 9)


@st.composite
def graphs(draw: st.DrawFn) -> list[LinkedRow]:
    link = st.builds("{}:{}".format, st.sampled_from(KINDS), st.integers(0, 60))
    row = st.tuples(st.lists(link, max_size=3), st.booleans(), st.one_of(st.none(), st.integers(0, 60)))
    return [
        LinkedRow(f"r{number:03}", tuple(links), held, None if day is None else NEW_YEAR + timedelta(days=day))
        for number, (links, held, day) in enumerate(draw(st.lists(row, min_size=10, max_size=60)))
    ]


WAYS = {
    "fraction": SplitConfig(test_fraction=0.25, validation_fraction=0.1),
    "holdout": SplitConfig(holdout=HoldoutConfig(field="site", values=("west",))),
    "time": parse(SplitConfig, {"time": {"test_from": "2026-02-10"}}, "split"),
    "time with validation": parse(
        SplitConfig, {"time": {"test_from": "2026-02-10", "validation_from": "2026-01-25"}}, "split"
    ),
}


def _split_or_none(rows: list[LinkedRow], config: SplitConfig) -> RowSplits | None:
    try:
        return split_rows(rows, config)
    except DataError as error:
        assert "no rows for" in str(error)
        return None


@pytest.mark.parametrize("way", WAYS)
@given(rows=graphs(), shuffle=st.randoms())
@settings(deadline=None)
def test_no_customer_session_near_duplicate_or_clause_stands_in_two_splits(
    way: str, rows: list[LinkedRow], shuffle: random.Random
) -> None:
    config = WAYS[way]
    found = _split_or_none(rows, config)
    if found is None:
        return
    links = {row.id: row.links for row in rows}
    where: dict[str, set[str]] = {}
    for identity, split in found.splits.items():
        for link in links[identity]:
            where.setdefault(link, set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())
    assert sum(check_disjoint((split, links[i]) for i, split in found.splits.items()).values()) == len(where)
    assert found.splits.keys() | found.dropped.keys() == links.keys() and not found.splits.keys() & found.dropped.keys()
    shuffle.shuffle(rows)
    again = split_rows(rows, config)
    assert (again.splits, again.dropped, again.largest) == (found.splits, found.dropped, found.largest)


@given(rows=graphs(), seed=st.integers(0, 5))
@settings(deadline=None)
def test_fractions_are_met_as_nearly_as_whole_components_allow(rows: list[LinkedRow], seed: int) -> None:
    found = split_rows(rows, SplitConfig(test_fraction=0.3, validation_fraction=0.0, seed=seed))
    sizes = Counter(components(row.links for row in rows))
    assert found.components == len(sizes) and found.largest == max(sizes.values())
    assert found.largest_share == found.largest / len(rows)
    tested = found.counts()["test"]
    if len(sizes) == 1:
        assert tested == 0
        return
    first = {row.id: component for row, component in zip(rows, components(row.links for row in rows), strict=True)}
    left = sorted(sizes[component] for component in {first[i] for i, split in found.splits.items() if split == "train"})
    assert tested >= 1 and left[-1] == found.largest
    if len(left) > 1:
        assert abs(tested - round(0.3 * len(rows))) <= left[0] / 2 or tested == min(sizes.values())


def test_a_large_component_is_learned_from_and_reported() -> None:
    rows = [LinkedRow(f"a{i}", ("clause:1",)) for i in range(70)] + [LinkedRow(f"b{i}") for i in range(30)]
    found = split_rows(rows, SplitConfig(test_fraction=0.2, validation_fraction=0.1))
    assert found.counts() == {"train": 72, "test": 20, "validation": 8}
    assert {found.splits[f"a{i}"] for i in range(70)} == {"train"}
    assert (found.components, found.largest, found.largest_share) == (31, 70, 0.7)


def test_another_seed_gives_another_split_and_more_rows_leave_the_order_of_the_others() -> None:
    rows = [LinkedRow(f"r{i}", (f"customer:{i}",)) for i in range(100)]
    config = SplitConfig(test_fraction=0.2, validation_fraction=0.0)
    first = split_rows(rows, config).splits
    assert first != split_rows(rows, config.model_copy(update={"seed": 1})).splits
    more = split_rows([*rows, *(LinkedRow(f"s{i}") for i in range(10))], config).splits
    assert sum(first[row.id] != more[row.id] for row in rows) <= 6


def test_one_more_dialogue_of_a_customer_moves_nobody_to_another_split() -> None:
    config = SplitConfig(test_fraction=0.2, validation_fraction=0.1)
    rows = [LinkedRow(f"d{i:03}", (f"customer:c{i}", f"near_duplicate:d{i:03}")) for i in range(200)]
    first = split_rows(rows, config).splits
    earlier = [LinkedRow(f"a{i:03}", (f"customer:c{i}", f"near_duplicate:a{i:03}")) for i in range(0, 200, 5)]
    more = split_rows([*rows, *earlier], config).splits
    assert sum(first[row.id] != more[row.id] for row in rows) <= 12  # named by their first dialogue, more


def test_the_held_out_population_alone_is_tested_and_what_it_touches_is_dropped_with_the_reason() -> None:
    rows = [
        LinkedRow("west", ("customer:1", "near_duplicate:9"), held_out=True),
        LinkedRow("same words", ("customer:2", "near_duplicate:9")),
        LinkedRow("same customer as the dropped one", ("customer:2",)),
        LinkedRow("east", ("customer:3",)),
    ]
    found = split_rows(rows, SplitConfig(holdout=HoldoutConfig(field="site", values=("west",)), validation_fraction=0))
    assert found.splits == {"west": "test", "same customer as the dropped one": "train", "east": "train"}
    assert found.dropped == {"same words": "shares a near_duplicate with the rows held out"}


def test_what_came_later_is_tested_and_the_history_of_its_customers_is_dropped_with_the_reason() -> None:
    rows = [
        LinkedRow("old", ("customer:1",), at=datetime(2026, 1, 5)),
        LinkedRow("old, seen again", ("customer:2",), at=datetime(2026, 1, 6)),
        LinkedRow("watched", ("customer:3",), at=datetime(2026, 1, 31, 23, 59)),
        LinkedRow("new", ("customer:2",), at=datetime(2026, 2, 1, 0, 0)),
        LinkedRow("undated", ("customer:4",)),
    ]
    config = parse(SplitConfig, {"time": {"test_from": "2026-02-01", "validation_from": "2026-01-31"}}, "split")
    found = split_rows(rows, config)
    assert found.splits == {"old": "train", "watched": "validation", "new": "test"}
    assert found.dropped == {
        "old, seen again": "shares a customer with the test rows from 2026-02-01 on",
        "undated": "no time to split by",
    }


def test_a_split_that_leaves_nothing_to_learn_from_is_an_error_with_the_reasons() -> None:
    rows = [LinkedRow(f"r{i}", ("clause:1",), at=NEW_YEAR + timedelta(days=i)) for i in range(10)]
    with pytest.raises(DataError, match=r"no rows for train; dropped: 5 × shares a clause with the test rows"):
        split_rows(rows, parse(SplitConfig, {"time": {"test_from": "2026-01-06"}}, "split"))
    with pytest.raises(DataError, match="no rows for test"):
        split_rows(rows, parse(SplitConfig, {"time": {"test_from": "2027-01-01"}}, "split"))


def test_two_rows_with_one_id_are_an_error() -> None:
    with pytest.raises(DataError, match="the id r1"):
        split_rows([LinkedRow("r1"), LinkedRow("r2"), LinkedRow("r1")], SplitConfig())


def test_holdout_and_time_exclude_each_other_and_dates_are_in_order() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        SplitConfig.model_validate(
            {"holdout": {"field": "site", "values": ["west"]}, "time": {"test_from": "2026-01-01"}}
        )
    with pytest.raises(ValidationError, match="before test_from"):
        SplitConfig.model_validate({"time": {"test_from": "2026-01-01", "validation_from": "2026-01-01"}})


def test_the_audit_counts_shared_links_by_kind_and_names_one() -> None:
    rows = [("train", ["customer:1", "clause:3"]), ("test", ["customer:1", "clause:4"]), ("test", ["clause:3"])]
    with pytest.raises(DataError, match=r"1 of kind clause, e\.g\. clause:3; 1 of kind customer, e\.g\. customer:1"):
        check_disjoint(rows)
    assert check_disjoint(rows[:1]) == {"customer": 1, "clause": 1}


@given(st.sets(st.text(min_size=1, max_size=4), max_size=40), st.floats(0, 0.95), st.floats(0, 0.95))
@settings(deadline=None)
def test_groups_of_one_meet_the_fraction_to_the_row(groups: set[str], test: float, validation: float) -> None:
    found = Counter(split_groups(groups, SplitConfig(test_fraction=test, validation_fraction=validation)).values())
    assert found.total() == len(groups) and (found["train"] >= 1) == bool(groups)
    if len(groups) >= 2 and test > 0:
        assert found["test"] == min(max(1, round(len(groups) * test)), len(groups) - 1)
