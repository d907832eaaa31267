"""A policy on restructuring (延期, 分期, 减免): clauses with limits, refused when they contradict each other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tianjing.config import StrictModel, load
from tianjing.finance.debt import Component
from tianjing.finance.money import PositiveYuan
from tianjing.finance.terms import Text


class Limits(StrictModel):
    """Smallest and largest permitted value, both included; one that is left out does not bind."""

    minimum: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    maximum: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}; swap or correct them")
        return self

    def holds(self, value: Decimal | int) -> bool:
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def meets(self, other: Limits) -> bool:
        """Whether some value lies within both."""
        lowest = max((value for value in (self.minimum, other.minimum) if value is not None), default=Decimal(0))
        return self.holds(lowest) and other.holds(lowest)

    def __str__(self) -> str:
        bounds = (("at least", self.minimum), ("at most", self.maximum))
        return ", ".join(f"{words} {value}" for words, value in bounds if value is not None) or "any"


class Case(StrictModel):
    """Where a clause applies."""

    products: tuple[Text, ...] = ()
    """By the names in the loan files; empty: every product."""
    overdue_days: Limits = Limits()
    """Days since the oldest unpaid due date; 0 when nothing is overdue."""

    def meets(self, other: Case) -> bool:
        shared = not self.products or not other.products or bool(set(self.products) & set(other.products))
        return shared and self.overdue_days.meets(other.overdue_days)


class _Clause(StrictModel):
    id: Text
    """As the policy numbers it, e.g. 第四条."""
    when: Case = Case()
    effective_from: date | None = None
    """First day; the policy's own when left out."""
    effective_to: date | None = None
    """Last day; the policy's own when left out."""

    @model_validator(mode="after")
    def _dates_in_order(self) -> _Clause:
        if self.effective_from and self.effective_to and self.effective_to < self.effective_from:
            raise ValueError(
                f"clause '{self.id}': effective_to {self.effective_to} is before effective_from {self.effective_from}; "
                "correct one of them"
            )
        return self

    @model_validator(mode="after")
    def _limits_something(self) -> _Clause:
        if not list(self.limits()):
            raise ValueError(f"clause '{self.id}' limits nothing; give it a limit, or leave it out")
        return self

    @abstractmethod
    def limits(self) -> Iterator[tuple[str, Limits]]:
        """Each field that binds, with its limits."""


class DeferralClause(_Clause):
    """Due dates move to a later day (延期)."""

    measure: Literal["deferral"]
    days: Limits | None = None
    deferrals_in_12_months: Limits | None = None
    """How many, the one asked for included."""

    def limits(self) -> Iterator[tuple[str, Limits]]:
        yield from _given(days=self.days, deferrals_in_12_months=self.deferrals_in_12_months)


class ReinstalmentClause(_Clause):
    """The debt is paid in new monthly instalments (分期)."""

    measure: Literal["reinstalment"]
    instalments: Limits | None = None
    minimum_payment: PositiveYuan | None = None
    """Smallest instalment, in yuan."""
    first_due_within_days: Annotated[int, Field(ge=0, le=365)] | None = None

    def limits(self) -> Iterator[tuple[str, Limits]]:
        yield from _given(
            instalments=self.instalments,
            payment=None if self.minimum_payment is None else Limits(minimum=self.minimum_payment),
            days_to_first_payment=None
            if self.first_due_within_days is None
            else Limits(maximum=Decimal(self.first_due_within_days)),
        )


class WaiverClause(_Clause):
    """Part of the debt is forgiven (减免)."""

    measure: Literal["waiver"]
    of: Component
    percent: Limits
    """Percent of that component of the debt."""

    @model_validator(mode="after")
    def _at_most_all(self) -> WaiverClause:
        for name, bound in (("minimum", self.percent.minimum), ("maximum", self.percent.maximum)):
            if bound is not None and bound > 100:
                raise ValueError(
                    f"clause '{self.id}': percent.{name} {bound} is above 100; no more can be waived than is owed"
                )
        return self

    def limits(self) -> Iterator[tuple[str, Limits]]:
        yield f"percent of {self.of}", self.percent


Measure = Literal["deferral", "reinstalment", "waiver"]
Clause = Annotated[DeferralClause | ReinstalmentClause | WaiverClause, Field(discriminator="measure")]


class Policy(StrictModel):
    """A policy file.

    Every clause that applies to a case must hold. A measure is permitted only where a clause says how much of it: a
    deferral needs one that limits `days`, new instalments one that limits `instalments`, a waiver one on its part.
    """

    name: Text
    effective_from: date
    effective_to: date | None = None
    waivable: tuple[Component, ...] = ("penalty", "fees", "interest")
    """What may be waived at all."""
    clauses: tuple[Clause, ...] = Field(max_length=500)

    @model_validator(mode="after")
    def _no_contradiction(self) -> Policy:
        if problems := list(self._contradictions()):
            raise ValueError("; ".join(problems))
        return self

    def in_force(self, clause: Clause, day: date) -> bool:
        start, end = self._span(clause)
        return start <= day and (end is None or day <= end)

    def applying(
        self, measure: Measure, product: str, overdue_days: int, day: date, of: Component | None = None
    ) -> list[Clause]:
        """The clauses on `measure` that apply to a case; `of` is the part of the debt that a waiver forgives."""
        return [
            clause
            for clause in self.clauses
            if clause.measure == measure
            and (not isinstance(clause, WaiverClause) or clause.of == of)
            and self.in_force(clause, day)
            and (not clause.when.products or product in clause.when.products)
            and clause.when.overdue_days.holds(overdue_days)
        ]

    def _span(self, clause: Clause) -> tuple[date, date | None]:
        return clause.effective_from or self.effective_from, clause.effective_to or self.effective_to

    def _contradictions(self) -> Iterator[str]:
        if self.effective_to and self.effective_to < self.effective_from:
            yield f"effective_to {self.effective_to} is before effective_from {self.effective_from}; correct one"
        if not self.clauses:
            yield "'clauses' is empty, so nothing is permitted; write at least one clause"
        ids = [clause.id for clause in self.clauses]
        for repeated in sorted({name for name in ids if ids.count(name) > 1}):
            yield f"clause '{repeated}' stands twice; give each clause its own id"
        for clause in self.clauses:
            start, end = self._span(clause)
            if start < self.effective_from or (self.effective_to and (end is None or end > self.effective_to)):
                yield f"clause '{clause.id}': its effective dates reach beyond the policy's; correct one of them"
            if isinstance(clause, WaiverClause) and clause.of not in self.waivable:
                yield f"clause '{clause.id}': 'of: {clause.of}' is not in 'waivable'; drop the clause, or add it there"
        for one, other in combinations(self.clauses, 2):
            if self._share_a_case(one, other):
                yield from _conflicts(one, other)

    def _share_a_case(self, one: Clause, other: Clause) -> bool:
        if isinstance(one, WaiverClause) and isinstance(other, WaiverClause) and one.of != other.of:
            return False
        (start, end), (other_start, other_end) = self._span(one), self._span(other)
        together = (other_end is None or start <= other_end) and (end is None or other_start <= end)
        return one.measure == other.measure and one.when.meets(other.when) and together


def load_policy(path: Path) -> Policy:
    """Read a policy file (YAML, or JSON).

    Raises:
        TianjingError: naming file, line, clause and field; also when clauses contradict one another.
    """
    return load(Policy, path)


def _given(**fields: Limits | None) -> Iterator[tuple[str, Limits]]:
    yield from ((name, limits) for name, limits in fields.items() if limits is not None)


def _conflicts(one: Clause, other: Clause) -> Iterator[str]:
    others = dict(other.limits())
    for field, limits in one.limits():
        if field in others and not limits.meets(others[field]):
            yield (
                f"clauses '{one.id}' and '{other.id}' apply to one case and no '{field}' satisfies both "
                f"({limits}; {others[field]}); change one, or narrow its 'when'"
            )
