"""A decision tree of depth two over what was known before a split: short enough to be read as a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

Known = Mapping[str, Any]
# A field with more values is an identifier or free text, not a condition.
_MAX_VALUES = 20
_MAX_THRESHOLDS = 32


@dataclass(frozen=True)
class Test:
    """`field` = `value`, or for numbers `field` ≤ `value`. A case without the field fails it."""

    field: str
    value: str | float
    other: str = ""
    """The only other value, where every case has one of the two."""

    def holds(self, known: Known) -> bool:
        found = known.get(self.field)
        if isinstance(self.value, str):
            return found is not None and str(found) == self.value
        return is_number(found) and float(found) <= self.value

    def text(self, holds: bool) -> str:
        if isinstance(self.value, str):
            if self.other and not holds:
                return f"{self.field} = {self.other}"
            return f"{self.field} {'=' if holds else '≠'} {self.value}"
        return f"{self.field} {'≤' if holds else '>'} {self.value:g}"


@dataclass(frozen=True)
class Node:
    """A leaf (no test) or a test with its two sides. `label` is the commonest of the cases here."""

    label: str
    test: Test | None = None
    yes: Node | None = None
    no: Node | None = None

    def predict(self, known: Known) -> str:
        if self.test is None or self.yes is None or self.no is None:
            return self.label
        return (self.yes if self.test.holds(known) else self.no).predict(known)

    def conditions(self, path: tuple[tuple[Test, bool], ...] = ()) -> list[tuple[str, str]]:
        """Each leaf's label and the path to it in words."""
        if self.test is None or self.yes is None or self.no is None:
            return [(self.label, _words(path))]
        return self.yes.conditions((*path, (self.test, True))) + self.no.conditions((*path, (self.test, False)))


def _words(path: Sequence[tuple[Test, bool]]) -> str:
    """A path without what a later test of the same field implies."""
    kept: dict[tuple[str, str], str] = {}
    for test, holds in path:
        text = test.text(holds)
        sign = text[len(test.field) + 1]
        if sign == "=":
            kept = {key: value for key, value in kept.items() if key[0] != test.field}
        kept[test.field, sign if sign != "≠" else text] = text
    return " 且 ".join(kept.values())


def fit(rows: Sequence[Known], labels: Sequence[str], min_leaf: int, depth: int = 2) -> Node:
    """Grow by the Gini impurity of classes weighted to count alike (Breiman and others 1984, CART).

    Args:
        min_leaf: fewest cases of a leaf.
    """
    sizes = Counter(labels)
    return _grow(rows, labels, {label: 1 / size for label, size in sizes.items()}, min_leaf, depth)


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _grow(
    rows: Sequence[Known], labels: Sequence[str], weights: Mapping[str, float], min_leaf: int, depth: int
) -> Node:
    sizes = Counter(labels)
    label = max(sorted(sizes), key=lambda one: sizes[one] * weights[one])
    if not depth or len(sizes) == 1 or len(rows) < 2 * min_leaf:
        return Node(label)
    best: tuple[float, Test, list[bool]] | None = None
    whole = _impurity(sizes, weights)
    for test in _tests(rows):
        side = [test.holds(row) for row in rows]
        if not min_leaf <= sum(side) <= len(rows) - min_leaf:
            continue
        yes = Counter(one for one, holds in zip(labels, side, strict=True) if holds)
        impurity = _impurity(yes, weights) + _impurity(sizes - yes, weights)
        if impurity < whole - 1e-9 and (best is None or impurity < best[0] - 1e-12):
            best = (impurity, test, side)
    if best is None:
        return Node(label)
    _, test, side = best
    sides = []
    for wanted in (True, False):
        chosen = [place for place, holds in enumerate(side) if holds is wanted]
        sides.append(_grow([rows[i] for i in chosen], [labels[i] for i in chosen], weights, min_leaf, depth - 1))
    if sides[0].test is None and sides[1].test is None and sides[0].label == sides[1].label:
        return Node(label)
    return Node(label, test, sides[0], sides[1])


def _impurity(sizes: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """Gini impurity times the weight of the cases."""
    parts = [size * weights[label] for label, size in sizes.items()]
    total = sum(parts)
    return total - sum(part * part for part in parts) / total if total else 0.0


def _tests(rows: Sequence[Known]) -> list[Test]:
    tests: list[Test] = []
    for field in sorted({name for row in rows for name in row}):
        values = [row[field] for row in rows if row.get(field) is not None]
        if all(map(is_number, values)):
            distinct = sorted({float(value) for value in values})[:-1]
            step = max(1, len(distinct) // _MAX_THRESHOLDS)
            tests += [Test(field, value) for value in distinct[::step]]
        else:
            texts = sorted({str(value) for value in values})
            if len(texts) == 2 and len(values) == len(rows):
                tests.append(Test(field, texts[0], texts[1]))
            elif len(texts) <= _MAX_VALUES:
                tests += [Test(field, text) for text in texts]
    return tests
