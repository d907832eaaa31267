"""All positive roots of a polynomial with integer coefficients and few terms, to 40 digits, with their multiplicity.

How it finds every one (the proof of Descartes' rule of signs, run as an algorithm): with s changes of sign,
f(x) · x^−a, for an `a` between the exponents of one change, has a derivative with s−1 changes. Its roots, found the
same way, cut (0, ∞) into pieces on which f(x) · x^−a is monotone and so crosses zero at most once. Nothing is sampled,
so nothing is missed; thirty years of days (degree 10,950) cost no more than the number of payments. In decimals of
fifty digits, because close roots cost half of them: floating point would merge rates a billionth apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tianjing.finance.money import exactly

_CONVERGED = Decimal("1e-42")
# Of the sum of the terms' sizes: what 50 digits leave of a value that is zero. Roots nearer than about 1e-18 to one
# another are taken for one multiple root.
_ZERO_SHARE = Decimal("1e-38")
_MAX_STEPS = 400


@dataclass(frozen=True, slots=True)
class Root:
    """A positive root; an even multiplicity touches zero without crossing it."""

    value: Decimal
    multiplicity: int


class _Sum:
    """Σ coefficient · x^exponent; exponents ascend from 0, no coefficient is zero."""

    def __init__(self, coefficients: Sequence[int], exponents: Sequence[int]):
        self.coefficients = coefficients
        self.exponents = exponents
        self._decimals = [Decimal(coefficient) for coefficient in coefficients]
        self._gaps = [later - earlier for earlier, later in zip((0, *exponents), exponents, strict=False)]

    def terms(self, x: Decimal) -> Iterator[Decimal]:
        powers: dict[int, Decimal] = {}
        power = Decimal(1)
        for coefficient, gap in zip(self._decimals, self._gaps, strict=True):
            if gap not in powers:
                powers[gap] = x**gap
            power *= powers[gap]
            yield coefficient * power

    def sign(self, x: Decimal) -> int:
        """-1, 0 or 1; 0 when the value is nothing but rounding."""
        value = size = Decimal(0)
        for term in self.terms(x):
            value += term
            size += abs(term)
        return 0 if abs(value) <= size * _ZERO_SHARE else 1 if value > 0 else -1

    def newton_step(self, x: Decimal) -> tuple[Decimal, Decimal]:
        """The value at x, and how far Newton's method goes from there (0 where the slope vanishes)."""
        value = slope = Decimal(0)
        for term, exponent in zip(self.terms(x), self.exponents, strict=True):
            value += term
            slope += term * exponent
        return value, (-value * x / slope if slope else Decimal(0))

    def shifted_derivative(self, change: int) -> _Sum:
        """Same roots as the derivative of f · x^−a, a halfway between the exponents of the sign change at `change`."""
        twice_a = self.exponents[change] + self.exponents[change + 1]
        return _Sum(
            [c * (2 * n - twice_a) for c, n in zip(self.coefficients, self.exponents, strict=True)], self.exponents
        )

    def sign_changes(self) -> list[int]:
        signs = [coefficient > 0 for coefficient in self.coefficients]
        return [index for index in range(len(signs) - 1) if signs[index] != signs[index + 1]]


def positive_roots(coefficients: Sequence[int], exponents: Sequence[int]) -> tuple[Root, ...]:
    """Every root above zero, ascending.

    Args:
        coefficients: integers; zeros are allowed.
        exponents: as many, ascending.
    """
    kept = [(c, n) for c, n in zip(coefficients, exponents, strict=True) if c]
    if not kept:
        return ()
    lowest = kept[0][1]
    with exactly():
        return tuple(_roots(_Sum([c for c, _ in kept], [n - lowest for _, n in kept])))


def _roots(f: _Sum) -> list[Root]:
    changes = f.sign_changes()
    if not changes:
        return []
    cuts = [Decimal(1)]
    if len(changes) > 1:
        cuts = [root.value for root in _roots(f.shifted_derivative(changes[len(changes) // 2]))] or cuts
    signs = [f.sign(cut) for cut in cuts]
    found = [Root(cut, _multiplicity(f, cut)) for cut, sign in zip(cuts, signs, strict=True) if sign == 0]
    first, last = (1 if f.coefficients[end] > 0 else -1 for end in (0, -1))
    if first * signs[0] < 0:
        found.append(_between(f, _walk(f, cuts[0], first, outward=False), cuts[0], signs[0]))
    for index in range(len(cuts) - 1):
        if signs[index] * signs[index + 1] < 0:
            found.append(_between(f, cuts[index], cuts[index + 1], signs[index + 1]))
    if last * signs[-1] < 0:
        found.append(_between(f, cuts[-1], _walk(f, cuts[-1], last, outward=True), last))
    return sorted(found, key=lambda root: root.value)


def _walk(f: _Sum, start: Decimal, sign: int, outward: bool) -> Decimal:
    """A place beyond the outermost root, reached in steps that square each time."""
    factor = 1 + 1 / Decimal(f.exponents[-1])
    place = start
    while f.sign(place) != sign:
        place = place * factor if outward else place / factor
        factor *= factor
    return place


def _between(f: _Sum, low: Decimal, high: Decimal, sign_at_high: int) -> Root:
    """The one root in (low, high): Newton's method, or bisection where that leaves the bracket or hardly shrinks it."""
    x = (low * high).sqrt()
    before = high - low
    for _ in range(_MAX_STEPS):
        value, step = f.newton_step(x)
        # Before the bracket is asked: in the last digits the step may point out of it.
        if not value or (step and abs(step) <= x * _CONVERGED):
            break
        if value * sign_at_high > 0:
            high = x
        else:
            low = x
        following = x + step
        if not low < following < high or abs(step) > before / 2:
            following = (low * high).sqrt()
        before = abs(following - x)
        x = following
    return Root(x, 1)


def _multiplicity(f: _Sum, x: Decimal) -> int:
    """How many of f, x·f′, x·(x·f′)′, … vanish at x."""
    count, current = 0, f
    while count < len(f.coefficients) and current.sign(x) == 0:
        count += 1
        current = _Sum([c * n for c, n in zip(current.coefficients, f.exponents, strict=True)], f.exponents)
    return count
