"""Annual rates from cash flows: internal rate of return (IRR, compound) and simple annual rate, never mixed up.

The announcement 中国人民银行公告〔2021〕第3号 (known at second hand) asks for all costs over the principal that is
really outstanding, annualised; compound (IRR) and simple rates are both allowed, a simple one must be called simple.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from tianjing.config import StrictModel
from tianjing.finance.errors import FinanceError
from tianjing.finance.money import SignedYuan, exactly, in_cents, round_rate, show_percent
from tianjing.finance.roots import Root, positive_roots

DAYS_A_YEAR = 365
MONTHS_A_YEAR = 12
_MOST_SIGN_CHANGES = 50


Part = Literal["disbursement", "principal", "interest", "fee"]


class CashFlow(StrictModel):
    """One movement of money, from the borrower's side: received is positive, paid is negative."""

    day: date
    amount: SignedYuan
    label: Annotated[str, Field(min_length=1, max_length=100)]
    """What it is, e.g. 放款, 第3期利息."""
    part: Part | None = None
    """What it moves; the simple rate needs to know which payments repay principal."""


class CashFlows(StrictModel):
    """A file of cash flows."""

    cash_flows: tuple[CashFlow, ...] = Field(max_length=5000)


def dated_irr(flows: Iterable[CashFlow]) -> Decimal:
    """Effective annual rate by days, act/365 (XIRR): Σ amount · (1 + rate)^(−days/365) = 0. A fraction, 0.18 for 18%.

    Raises:
        FinanceError: no rate fits, several do (all are named), or the only one is a touching root.
    """
    with exactly():
        return _only_rate(*_by_day(flows), _from_daily)


def all_dated_irr(flows: Iterable[CashFlow]) -> tuple[tuple[Decimal, int], ...]:
    """Every effective annual rate above −100% that fits, ascending, each with its multiplicity.

    Raises:
        FinanceError: more than 50 changes of sign.
    """
    with exactly():
        return _rates(*_by_day(flows), _from_daily)


def monthly_irr(amounts: Sequence[Decimal]) -> Decimal:
    """Rate per month at which amounts one month apart, in yuan, are worth zero. A fraction.

    Raises:
        FinanceError: as `dated_irr`.
    """
    with exactly():
        return _only_rate([in_cents(amount) for amount in amounts], range(len(amounts)), _from_period)


def compounded(monthly_rate: Decimal) -> Decimal:
    """Effective annual rate (复利): (1 + monthly)^12 − 1."""
    with exactly():
        return (1 + monthly_rate) ** MONTHS_A_YEAR - 1


def simple_annual_rate(cost: Decimal, principal_years: Decimal) -> Decimal:
    """Cost ÷ principal outstanding (单利): `principal_years` is Σ principal outstanding in yuan × time in years.

    Raises:
        FinanceError: no principal was outstanding.
    """
    if principal_years <= 0:
        raise FinanceError("simple annual rate: no principal was outstanding", "check the amount that was received")
    with exactly():
        return cost / principal_years


def dated_simple_rate(flows: Sequence[CashFlow]) -> Decimal:
    """Simple annual rate (单利) of one loan by days: everything paid beyond what was received ÷ principal outstanding.

    Raises:
        FinanceError: the flows do not say which payments repay principal, or more was received after the first day.
    """
    start = min((flow.day for flow in flows), default=date.min)
    unmarked = [flow.label for flow in flows if flow.part is None]
    later = [flow.label for flow in flows if flow.amount > 0 and flow.day > start]
    if unmarked or later:
        raise FinanceError(
            f"simple annual rate: '{(unmarked or later)[0]}' " + ("has no part" if unmarked else "is received later"),
            "mark each flow's part (disbursement, principal, interest, fee) of one loan paid out on one day",
        )
    with exactly():
        received = sum((flow.amount for flow in flows if flow.day == start), Decimal(0))
        repaid = sorted((flow.day, -flow.amount) for flow in flows if flow.part == "principal")
        cost = -sum((flow.amount for flow in flows), Decimal(0))
        return simple_annual_rate(cost, principal_years(start, received, repaid, by_days=True))


def principal_years(start: date, received: Decimal, repaid: Sequence[tuple[date, Decimal]], by_days: bool) -> Decimal:
    """Σ principal outstanding in yuan × time in years, by days on 365 or with one twelfth for each repayment.

    What was received is spread over the schedule: a repayment of some share of the debt repays that share of the cash
    received, so that a fee deducted beforehand is cost and not principal (民法典 670).
    """
    with exactly():
        debt = owed = sum((principal for _, principal in repaid), Decimal(0))
        total = Decimal(0)
        for on, principal in repaid:
            total += owed * ((on - start).days if by_days else 1)
            start, owed = on, owed - principal
        return total * received / (debt * (DAYS_A_YEAR if by_days else MONTHS_A_YEAR)) if debt else total


def twelve_decimals(rate: Decimal) -> Decimal:
    """A rate as it is handed out: far beyond what anyone states, far within what the solver knows."""
    return round_rate(rate, 12)


def _by_day(flows: Iterable[CashFlow]) -> tuple[list[int], list[int]]:
    by_day: dict[date, int] = defaultdict(int)
    for flow in flows:
        by_day[flow.day] += in_cents(flow.amount)
    days = sorted(by_day)
    return [by_day[day] for day in days], [(day - days[0]).days for day in days]


def _from_period(root: Root) -> Decimal:
    return 1 / root.value - 1


def _from_daily(root: Root) -> Decimal:
    return root.value**-DAYS_A_YEAR - 1


def _sign_changes(cents: Sequence[int]) -> int:
    return sum((one > 0) != (other > 0) for one, other in pairwise(amount for amount in cents if amount))


def _rates(
    cents: Sequence[int], times: Sequence[int], to_rate: Callable[[Root], Decimal]
) -> tuple[tuple[Decimal, int], ...]:
    if (changes := _sign_changes(cents)) > _MOST_SIGN_CHANGES:
        raise FinanceError(
            f"cash flows: they change sign {changes} times, at most {_MOST_SIGN_CHANGES} can be solved",
            "split the flows into loans that change sign once",
        )
    return tuple((to_rate(root), root.multiplicity) for root in reversed(positive_roots(cents, times)))


def _only_rate(cents: Sequence[int], times: Sequence[int], to_rate: Callable[[Root], Decimal]) -> Decimal:
    changes = _sign_changes(cents)
    if not changes:
        raise FinanceError(
            f"cash flows: the {sum(map(bool, cents))} amounts do not change sign, so no rate fits",
            "what the borrower receives is positive, what is paid is negative; both are needed, on different days",
        )
    rates = _rates(cents, times, to_rate)
    if len(rates) == 1 and rates[0][1] % 2:
        return rates[0][0]
    per = "annual" if to_rate is _from_daily else "monthly"
    if not rates:
        raise FinanceError(
            f"cash flows: they change sign {changes} times and no {per} rate above -100% makes them worth zero",
            "state the cost as a simple annual rate",
        )
    if len(rates) == 1:
        raise FinanceError(
            f"cash flows: the only {per} rate, {show_percent(rates[0][0], 6)}, has multiplicity {rates[0][1]}; "
            "the present value touches zero there without crossing it",
            "state the cost as a simple annual rate",
        )
    named = ", ".join(
        show_percent(rate, 6) + (f" (multiplicity {count})" if count > 1 else "") for rate, count in rates
    )
    raise FinanceError(
        f"cash flows: they change sign {changes} times and {len(rates)} {per} rates fit: {named}",
        "state the cost as a simple annual rate, or split the flows into loans that change sign once",
    )
