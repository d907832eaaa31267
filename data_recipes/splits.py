"""Train, validation and test by whole components: whatever hangs together is learned from or tested on, never both.

Rows hang together by links such as `customer:c17`, `session:d4`, `near_duplicate:812`, `clause:第三条` or `document:…`.
Three ways: by fraction of the rows, by a held-out population (`holdout`), by time (what comes later is tested on).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from data_recipes.cleaning.components import components
from data_recipes.config import SplitConfig, TimeSplit
from data_recipes.errors import DataError
from tianjing.order import order_key
from tianjing.records import Split


@dataclass(frozen=True)
class LinkedRow:
    """A row to split: its links (kind:value), whether its population is held out, and when it took place."""

    id: str
    links: tuple[str, ...] = ()
    held_out: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class RowSplits:
    """Where each row goes, and what whole components cost."""

    splits: dict[str, Split]
    """Row -> split, without the dropped ones."""
    dropped: dict[str, str]
    """Row -> why it stands in no split."""
    components: int
    """Connected components among the rows that were free to go anywhere."""
    largest: int
    """Rows of the largest of them; it is always learned from."""

    @property
    def largest_share(self) -> float:
        """Share of the largest component in all rows with a split: near 1, everything hangs together (by a clause that
        every dialogue cites, say) and the fractions cannot be met."""
        return self.largest / max(1, len(self.splits))

    def counts(self) -> Counter[str]:
        """Rows per split."""
        return Counter(self.splits.values())


def split_rows(rows: Iterable[LinkedRow], config: SplitConfig) -> RowSplits:
    """Split rows so that no two splits share a link; the order of the rows plays no part.

    By fraction: components go to test, then to validation, in the order of a seeded hash, as far as they fit into the
    number of rows that `test_fraction` and `validation_fraction` (of the rest) ask for. That number is missed by at
    most half of the smallest component left over. The largest component is always learned from, and one goes to each
    split that asks for any and can have it.

    By `holdout`: the rows held out are the test split and nothing else is, so that it measures that population. A row
    elsewhere that shares a link with one of them is dropped; validation is taken from the rest by fraction.

    By `time`: rows from `test_from` on are the test split, those from `validation_from` on validation. An earlier row
    that shares a link with a later split is dropped, as is a row without a time. Only rows that share a link themselves
    go: what they alone connected to the later rows stays.

    Raises:
        DataError: two rows have one id, or nothing is left to learn from or to test on.
    """
    ordered = sorted(rows, key=lambda row: row.id)
    for row, following in pairwise(ordered):
        if row.id == following.id:
            raise DataError(f"two rows to split have the id {row.id}", "give each row an id of its own")
    splits: dict[str, Split] = {}
    dropped: dict[str, str] = {}
    test_fraction, validation_fraction = config.test_fraction, config.validation_fraction
    if config.time is not None:
        ordered = _by_time(ordered, config.time, splits, dropped)
        test_fraction = 0.0
        validation_fraction = 0.0 if config.time.validation_from else validation_fraction
    elif config.holdout is not None:
        held = [row for row in ordered if row.held_out]
        splits.update(dict.fromkeys((row.id for row in held), "test"))
        ordered = _unlinked([row for row in ordered if not row.held_out], held, "the rows held out", dropped)
        test_fraction = 0.0
    members: dict[int, list[LinkedRow]] = defaultdict(list)
    for row, component in zip(ordered, components(row.links for row in ordered), strict=True):
        members[component].append(row)
    names = {_name(component): component for component in members.values()}
    shuffled = sorted(names, key=lambda name: (order_key(config.seed, name.partition(":")[2]), name))
    chosen = _take({name: len(names[name]) for name in shuffled}, test_fraction, validation_fraction)
    for name, split in chosen.items():
        splits.update(dict.fromkeys((row.id for row in names[name]), split))
    if splits or dropped:
        _usable(splits, dropped, config)
    return RowSplits(splits, dropped, len(names), max(map(len, names.values()), default=0))


def check_disjoint(rows: Iterable[tuple[Split, Sequence[str]]]) -> Counter[str]:
    """Audit (split, links) of every row; returns how many links of each kind were looked at.

    Raises:
        DataError: a link stands in two splits. The message counts them by kind and names one of each.
    """
    found: dict[str, set[Split]] = defaultdict(set)
    for split, links in rows:
        for link in links:
            found[link].add(split)
    shared: dict[str, list[str]] = defaultdict(list)
    for link in sorted(found):
        if len(found[link]) > 1:
            shared[_kind(link)].append(link)
    if shared:
        said = "; ".join(f"{len(links)} of kind {kind}, e.g. {links[0]}" for kind, links in sorted(shared.items()))
        raise DataError(f"links stand in more than one split: {said}", "report this as a defect")
    return Counter(map(_kind, found))


def split_groups(groups: Iterable[str], config: SplitConfig) -> dict[str, Split]:
    """Split by `test_fraction` and `validation_fraction` (of the rest), in the order of a seeded hash."""
    shuffled = sorted(set(groups), key=lambda group: order_key(config.seed, group))
    return _take(dict.fromkeys(shuffled, 1), config.test_fraction, config.validation_fraction)


def _name(component: Sequence[LinkedRow]) -> str:
    """The smallest of the rows' first links (the customer, of a dialogue): one more dialogue moves no customer."""
    return min(row.links[0] if row.links else f":{row.id}" for row in component)


def _by_time(
    rows: list[LinkedRow], time: TimeSplit, splits: dict[str, Split], dropped: dict[str, str]
) -> list[LinkedRow]:
    """The rows before all dates that share no link with a later one; the later ones are given their split."""
    rest: list[LinkedRow] = []
    for row in rows:
        if row.at is None:
            dropped[row.id] = "no time to split by"
        else:
            rest.append(row)
    later: tuple[tuple[Split, date | None], ...] = (("test", time.test_from), ("validation", time.validation_from))
    for split, begin in later:
        if begin is not None:
            inside = [row for row in rest if row.at is not None and row.at.date() >= begin]
            splits.update(dict.fromkeys((row.id for row in inside), split))
            before = [row for row in rest if row.id not in splits]
            rest = _unlinked(before, inside, f"the {split} rows from {begin.isoformat()} on", dropped)
    return rest


def _unlinked(rows: list[LinkedRow], others: list[LinkedRow], what: str, dropped: dict[str, str]) -> list[LinkedRow]:
    """The rows that share no link with the others."""
    taken = {link for row in others for link in row.links}
    kept: list[LinkedRow] = []
    for row in rows:
        shared = sorted({_kind(link) for link in row.links if link in taken})
        if shared:
            dropped[row.id] = f"shares a {' and a '.join(shared)} with {what}"
        else:
            kept.append(row)
    return kept


def _usable(splits: dict[str, Split], dropped: dict[str, str], config: SplitConfig) -> None:
    counts = Counter(splits.values())
    asks_for_test = config.time is not None or config.holdout is not None
    missing = "train" if not counts["train"] else "test" if asks_for_test and not counts["test"] else ""
    if missing:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in Counter(dropped.values()).most_common(3))
        raise DataError(
            f"split: no rows for {missing}; dropped: {reasons or 'nothing'}",
            "move the dates of split.time, hold out other values, or leave out the kind of link that joins everything",
        )


def _take(sizes: Mapping[str, int], test_fraction: float, validation_fraction: float) -> dict[str, Split]:
    """Groups of the given sizes in rows, in the order to take them; the largest (last of equals) is learned from."""
    free = list(sizes)[::-1]
    if free:
        free.remove(max(free, key=lambda group: sizes[group]))
    free.reverse()
    splits: dict[str, Split] = dict.fromkeys(sizes, "train")
    rows = sum(sizes.values())
    wanted: tuple[tuple[Split, float], ...] = (("test", test_fraction), ("validation", validation_fraction))
    for split, fraction in wanted:
        chosen = _nearest(free, sizes, round(rows * fraction)) if fraction > 0 else []
        splits.update(dict.fromkeys(chosen, split))
        free = [group for group in free if splits[group] == "train"]
        rows -= sum(sizes[group] for group in chosen)
    return splits


def _nearest(groups: list[str], sizes: Mapping[str, int], target: int) -> list[str]:
    """Groups in order whose sizes come near the target, at least one: off by at most half of the smallest left over."""
    chosen: list[str] = []
    missing = target
    for group in groups:
        if sizes[group] <= missing:
            chosen.append(group)
            missing -= sizes[group]
    taken = set(chosen)
    left = [group for group in groups if group not in taken]
    if left and (not chosen or min(sizes[group] for group in left) < 2 * missing):
        chosen.append(min(left, key=lambda group: sizes[group]))
    return chosen


def _kind(link: str) -> str:
    return link.partition(":")[0]
