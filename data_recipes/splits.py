"""Assignment of whole groups (a customer, a document) to train, validation and test.

A group is never divided: what is said to one customer, or written in one document, is either learned from or tested on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from data_recipes.config import SplitConfig
from data_recipes.errors import DataError
from tianjing.records import Customer, Split


def split_customers(names: Iterable[str], records: Mapping[str, Customer], config: SplitConfig) -> dict[str, Split]:
    """Split by `holdout`, or by fraction.

    Raises:
        DataError: `holdout` is set and no customer, or every customer, is held out.
    """
    groups = sorted(set(names))
    if config.holdout is None or not groups:
        return split_groups(groups, config)
    field, values = config.holdout.field, set(config.holdout.values)
    held = [name for name in groups if name in records and str(records[name].field(field)) in values]
    if not held or len(held) == len(groups):
        found = sorted({str(record.field(field)) for record in records.values()})[:10]
        raise DataError(
            f"split.holdout: {len(held)} of {len(groups)} customers have {field} in {sorted(values)}",
            f"values found in customers.jsonl: {', '.join(found) or 'none'}; leave holdout out to split by fraction",
        )
    rest = [name for name in groups if name not in set(held)]
    return {**_take(rest, 0.0, config), **dict.fromkeys(held, "test")}


def split_groups(groups: Iterable[str], config: SplitConfig) -> dict[str, Split]:
    """Split by `test_fraction` and `validation_fraction` (of the rest), in the order of a seeded hash."""
    return _take(sorted(set(groups)), config.test_fraction, config)


def order_key(seed: int, value: str) -> str:
    """A shuffle that does not depend on what else is there."""
    return hashlib.sha256(f"{seed}:{value}".encode()).hexdigest()


def _take(groups: list[str], test_fraction: float, config: SplitConfig) -> dict[str, Split]:
    shuffled = sorted(groups, key=lambda group: order_key(config.seed, group))
    tests = _share(len(shuffled), test_fraction)
    validations = _share(len(shuffled) - tests, config.validation_fraction)
    splits: dict[str, Split] = {}
    for index, group in enumerate(shuffled):
        splits[group] = "test" if index < tests else "validation" if index < tests + validations else "train"
    return splits


def _share(count: int, fraction: float) -> int:
    """At least one where the fraction asks for any and two or more are there."""
    wanted = round(count * fraction)
    return max(1, wanted) if fraction > 0 and count >= 2 else wanted
