"""The cost engine beside an independent solver with 50 digits, and its speed beside numpy-financial.

    python scripts/bench/finance.py

Random schedules of every method, with fees, irregular dates, and cash flows that change sign several times. Nothing of
the engine's arithmetic is reused: money is computed again in exact fractions and from the closed form of the annuity,
rates in mpmath, by a bracketed search (one change of sign) or as all roots of the polynomial (several). Exit 1 when a
rate is off by more than 1e-9, a root is missed, or a cent differs.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import sys
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import numpy_financial
from rich.progress import track

from tianjing.finance import CashFlow, LoanTerms, Quote, all_dated_irr, monthly_irr, quote
from tianjing.finance.cost import cash_flows
from tianjing.finance.schedule import debt_at_start

LIMIT = 1e-9
START = date(2026, 8, 15)
LATE = date(2040, 1, 1)
mpmath.mp.dps = 50


@dataclass
class Tally:
    """What one kind of schedule showed."""

    count: int = 0
    rates: int = 0
    worst_rate: float = 0.0
    wrong_root_counts: int = 0
    wrong_cents: int = 0
    several: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)


def half_up(yuan: Fraction) -> Decimal:
    return Decimal(math.floor(yuan * 100 + Fraction(1, 2))) / 100


def random_terms(rng: random.Random, kind: str) -> LoanTerms:
    principal = Decimal(rng.randrange(50_000, 30_000_000)) / 100
    terms: dict[str, Any] = {
        "product": "x",
        "lender": "x",
        "principal": principal,
        "disbursed_on": START + timedelta(days=rng.randrange(1500)),
        "rate": {"percent": Decimal(rng.randrange(0, 3600)) / 100, "per": "year", "day_count": rng.choice((360, 365))},
        "method": kind,
        "fees": [random_fee(rng, principal) for _ in range(rng.randrange(3))],
    }
    if kind in ("equal_instalment", "equal_principal", "interest_first"):
        terms |= {"instalments": rng.randrange(1, 61), "accrual": rng.choice(("monthly", "actual_days"))}
    elif kind == "daily_interest":
        terms |= {"term_days": rng.randrange(1, 720)}
    else:
        terms["payments"] = random_payments(rng, LoanTerms.model_validate(terms | {"payments": [{"due_on": LATE}]}))
    return LoanTerms.model_validate(terms)


def random_payments(rng: random.Random, terms: LoanTerms) -> list[dict[str, Any]]:
    """Irregular payments that cover the interest and some principal; the last one settles."""
    owed = Fraction(debt_at_start(terms))
    due_on, payments = terms.disbursed_on, []
    for _ in range(rng.randrange(1, 25)):
        gap = rng.randrange(1, 150)
        due_on += timedelta(days=gap)
        interest = half_up(owed * Fraction(terms.rate.percent) / 100 * gap / terms.rate.day_count)
        repaid = half_up(owed * rng.randrange(0, 30) / 100)
        owed -= Fraction(repaid)
        payments.append({"due_on": due_on, "amount": interest + repaid or Decimal("0.01")})
    payments[-1]["amount"] = None
    return payments


def random_fee(rng: random.Random, principal: Decimal) -> dict[str, Any]:
    fee = {"name": "x", "payee": "x", "when": rng.choice(("deducted", "upfront", "financed", "each_instalment"))}
    if fee["when"] == "each_instalment" and rng.random() < 0.5:
        return fee | {"percent": Decimal(rng.randrange(1, 60)) / 100, "of": "balance"}
    return fee | {"amount": half_up(Fraction(principal) * rng.randrange(1, 30) / 1000)}


def wrong_cents(quoted: Quote) -> int:
    """Rows whose interest, principal or balance differ from exact fractions, and payments off the closed form."""
    terms, wrong = quoted.terms, 0
    balance = quoted.schedule[0].balance + quoted.schedule[0].principal
    start = terms.disbursed_on
    for row in quoted.schedule:
        share = Fraction((row.due_on - start).days, terms.rate.day_count) if terms.by_days else Fraction(1, 12)
        interest = half_up(Fraction(balance) * Fraction(terms.rate.percent) / 100 * share)
        balance -= row.principal
        wrong += row.interest != interest or row.balance != balance
        wrong += row.payment != row.principal + row.interest + row.fees
        start = row.due_on
    wrong += balance != 0
    if terms.method == "equal_instalment" and not terms.by_days and len(quoted.schedule) > 1:
        debt = sum(row.principal for row in quoted.schedule)
        first = quoted.schedule[0]
        wrong += first.principal + first.interest != annuity(debt, terms.rate.percent, len(quoted.schedule))
    return int(wrong)


def annuity(debt: Decimal, annual_percent: Decimal, count: int) -> Decimal:
    """debt · i ÷ (1 − (1+i)^−n), half up to the cent."""
    i = mpmath.mpf(str(annual_percent)) / 1200
    level = mpmath.mpf(str(debt)) / count if i == 0 else mpmath.mpf(str(debt)) * i / (1 - (1 + i) ** -count)
    return Decimal(int(mpmath.floor(level * 100 + mpmath.mpf("0.5")))) / 100


def bracketed(amounts: list[int], times: list[int], times_a_year: int) -> mpmath.mpf:
    """The one annual rate of flows that change sign once; asserts that the value changes sign within 1e-25 of it."""

    def value(discount: mpmath.mpf) -> mpmath.mpf:
        return mpmath.fsum(c * discount**t for c, t in zip(amounts, times, strict=True))

    sign = 1 if amounts[0] > 0 else -1  # of the value near a discount factor of zero
    low, high = mpmath.mpf(1), mpmath.mpf(1)
    step = 1 + mpmath.mpf(1) / times[-1]
    while value(low) * sign <= 0:
        low /= step
    while value(high) * sign >= 0:
        high *= step
    root = mpmath.findroot(value, (low, high), solver="anderson", tol=1e-45, verify=False)
    near = mpmath.mpf("1e-25")
    assert value(root - near) * value(root + near) < 0, (amounts, times)
    return root**-times_a_year - 1


def polynomial_rates(amounts: list[int], times: list[int], per_year: mpmath.mpf) -> list[mpmath.mpf]:
    """Every annual rate of flows at small integer times: the positive real roots of the whole polynomial."""
    dense = [0] * (times[-1] + 1)
    for amount, moment in zip(amounts, times, strict=True):
        dense[moment] += amount
    roots = mpmath.polyroots(dense[::-1], maxsteps=2000, extraprec=150)
    real = [root.real for root in roots if abs(root.imag) < mpmath.mpf("1e-30") and root.real > 0]
    return sorted(root**-per_year - 1 for root in real)


def check_loan(tally: Tally, quoted: Quote) -> None:
    flows: dict[date, int] = defaultdict(int)
    for flow in cash_flows(quoted.terms, quoted.schedule):
        flows[flow.day] += int(flow.amount * 100)
    days = sorted(flows)
    amounts = [flows[day] for day in days]
    compare(tally, quoted.rates.irr_by_days, bracketed(amounts, [(day - days[0]).days for day in days], 365))
    if quoted.rates.nominal is not None:
        monthly = bracketed(amounts, list(range(len(amounts))), 1)
        compare(tally, quoted.rates.nominal, monthly * 12)
        compare(tally, quoted.rates.irr, (1 + monthly) ** 12 - 1)
    tally.wrong_cents += wrong_cents(quoted)


def check_several(tally: Tally, rng: random.Random) -> None:
    """Flows in whole weeks with several changes of sign; the engine sees days, the polynomial sees weeks."""
    weeks = sorted(rng.sample(range(1, 15), rng.randrange(2, 9)))
    amounts = [rng.choice((-1, 1)) * rng.randrange(1_000, 500_000) for _ in range(len(weeks) + 1)]
    flows = [
        CashFlow(day=START + timedelta(weeks=week), amount=Decimal(amount) / 100, label="x")
        for week, amount in zip([0, *weeks], amounts, strict=True)
    ]
    started = time.perf_counter()
    ours = all_dated_irr(flows)
    tally.seconds += time.perf_counter() - started
    theirs = polynomial_rates(amounts, [0, *weeks], mpmath.mpf(365) / 7)
    tally.count += 1
    tally.several += len(theirs) > 1
    if len(ours) != len(theirs):
        tally.wrong_root_counts += 1
        tally.examples.append(f"{amounts} at weeks {[0, *weeks]}: {len(ours)} against {len(theirs)}")
        return
    for (rate, _), true in zip(ours, theirs, strict=True):
        compare(tally, rate, true)


def compare(tally: Tally, ours: Decimal, true: mpmath.mpf) -> None:
    """Absolute error; relative to 1 + rate where that is above 1, since random flows reach rates of 1e20."""
    error = abs(mpmath.mpf(str(ours)) - true) / max(mpmath.mpf(1), abs(1 + true))
    tally.rates += 1
    tally.worst_rate = max(tally.worst_rate, float(error))


def accuracy(count: int, seed: int) -> bool:
    rng = random.Random(seed)
    kinds = ("equal_instalment", "equal_principal", "interest_first", "daily_interest", "irregular", "several signs")
    tallies = {kind: Tally() for kind in kinds}
    for number in track(range(count), "schedules", transient=True):
        kind = kinds[number % len(kinds)]
        tally = tallies[kind]
        if kind == "several signs":
            check_several(tally, rng)
            continue
        terms = random_terms(rng, kind)
        started = time.perf_counter()
        quoted = quote(terms)
        tally.seconds += time.perf_counter() - started
        tally.count += 1
        check_loan(tally, quoted)
    print(
        f"{'kind':17} {'cases':>6} {'rates':>6} {'worst rate error':>17} "
        f"{'cents off':>9} {'roots off':>9} {'ms each':>8}"
    )
    for kind, tally in tallies.items():
        each = 1000 * tally.seconds / max(tally.count, 1)
        print(
            f"{kind:17} {tally.count:6} {tally.rates:6} {tally.worst_rate:17.1e} {tally.wrong_cents:9} "
            f"{tally.wrong_root_counts:9} {each:8.2f}"
        )
        for example in tally.examples[:5]:
            print(f"    {example}")
    print(f"cash flows with more than one rate: {tallies['several signs'].several}")
    return all(t.worst_rate <= LIMIT and not t.wrong_cents and not t.wrong_root_counts for t in tallies.values())


def speed(repeats: int) -> None:
    print(f"\n{'monthly IRR of':16} {'numpy-financial ms':>19} {'ours ms':>8} {'ratio':>6} {'their error':>12}")
    warnings.simplefilter("ignore")
    for count in (12, 36, 120, 360):
        payment = Decimal(round(12_000_00 * 0.01 / (1 - 1.01**-count))) / 100
        amounts = [Decimal(12_000), *[-payment] * count]
        floats = [float(amount) for amount in amounts]
        theirs, their_rate = clocked(lambda values=floats: numpy_financial.irr(values), repeats)
        ours, rate = clocked(lambda values=amounts: monthly_irr(values), repeats)
        error = abs(float(rate) - float(their_rate))
        print(f"{count:>4} instalments {theirs:19.2f} {ours:8.2f} {theirs / ours:6.1f} {error:12.1e}")


def clocked(work: Any, repeats: int) -> tuple[float, Any]:
    """Best of the repeats, in milliseconds."""
    best = math.inf
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
    return best * 1000, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="random schedules")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--repeats", type=int, default=5, help="for the speed table")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, seed {options.seed}")
    good = accuracy(options.count, options.seed)
    speed(options.repeats)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
