"""Offers of a repayment plan: what they ask of the customer, and what they are worth to the lender."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tianjing.finance.money import to_cent
from tianjing.rulebook import numbers

DAYS_A_MONTH, DAYS_A_YEAR = 30, 365


@dataclass(frozen=True)
class Offer:
    """A share of the debt waived (减免), the rest in monthly instalments, the first after some days (延期)."""

    instalments: int = 1
    deferral_days: int = 0
    waiver_percent: float = 0.0

    def instalment(self, outstanding: Decimal) -> Decimal:
        """One payment in yuan."""
        return to_cent(outstanding * (100 - Decimal(str(self.waiver_percent))) / 100 / self.instalments)

    def payments(self, outstanding: Decimal) -> Iterator[tuple[int, Decimal]]:
        """(days from today, yuan) of every payment."""
        for number in range(self.instalments):
            yield self.deferral_days + number * DAYS_A_MONTH, self.instalment(outstanding)

    def present_value(self, outstanding: Decimal, annual_rate: Decimal) -> float:
        """Value today of all payments, discounted at `annual_rate` (a fraction) by the day, compounded yearly."""
        growth = 1 + float(annual_rate)
        return sum(float(paid) / growth ** (days / DAYS_A_YEAR) for days, paid in self.payments(outstanding))


def find_offer(text: str) -> Offer | None:
    """The offer that an agent's turn states, found as the rulebook finds offers to limit; None without one."""
    stated = {found.quantity: found.value for found in numbers.offers(text)}
    if not stated:
        return None
    return Offer(
        instalments=max(1, int(stated.get("instalments", 1))),
        deferral_days=int(stated.get("deferral_days", 0)),
        waiver_percent=min(100.0, stated.get("waiver_percent", 0.0)),
    )
