"""A customer who owes money and negotiates: what is owed, and what is hidden."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Literal

from tianjing.simulation.accounts import Loan, lend
from tianjing.simulation.customer import CustomerState, after_event, new_state
from tianjing.simulation.negotiation.offers import Offer
from tianjing.simulation.people import Person, make_person
from tianjing.simulation.planted import SITUATIONS
from tianjing.simulation.scenes import Debt
from tianjing.simulation.sites import SITES, Site

Refusal = Literal["too much", "too early"]

# What an offer may be: the sample company's repayment policy, with waivers in steps of five percent up to half.
ALLOWED_INSTALMENTS = (1, *range(3, 25))
ALLOWED_DEFERRAL_DAYS = (0, 7, 15, 30)
ALLOWED_WAIVER_PERCENT = tuple(range(0, 55, 5))

TODAY = date(2026, 4, 15)  # the day of every negotiation
_LEAST_MONTHLY_YUAN = 200
_SHARE_OF_DISPOSABLE = 0.6


@dataclass(frozen=True)
class Debtor:
    """A person in arrears. The state and everything that follows from it is hidden from the agent.

    A payment is possible if it is within the monthly limit; before the secret deadline, within what is left of the
    present income. The limit is the floor: what lies within it is accepted by a customer who is not upset.
    """

    person: Person
    site: Site
    loan: Loan
    outstanding: Decimal
    debt: Debt
    state: CustomerState

    @property
    def monthly_limit_yuan(self) -> int:
        """The most that can be paid a month once the money of the deadline is there; the willing pay more of it."""
        state = self.state
        disposable = max(0, state.usual_income_yuan - state.needs_yuan - state.other_debt_yuan)
        share = _SHARE_OF_DISPOSABLE * (0.8 + 0.4 * state.willingness)
        return max(_LEAST_MONTHLY_YUAN, int(disposable * share) // 10 * 10)

    @property
    def limit_now_yuan(self) -> int:
        """The most that can be paid before the deadline."""
        return min(self.monthly_limit_yuan, int(self.state.disposable_yuan * _SHARE_OF_DISPOSABLE))

    def refusal(self, offer: Offer) -> Refusal | None:
        """Why the offer cannot be kept, or None."""
        instalment = offer.instalment(self.outstanding)
        if instalment > self.monthly_limit_yuan:
            return "too much"
        early = offer.deferral_days < self.state.deadline_days
        return "too early" if early and instalment > self.limit_now_yuan else None

    @cached_property
    def best_offer(self) -> Offer | None:
        """The allowed offer that is worth most to the lender among those that can be kept."""
        plans = [(instalments, days) for instalments in ALLOWED_INSTALMENTS for days in ALLOWED_DEFERRAL_DAYS]
        possible = []
        for instalments, days in plans:
            waived = (Offer(instalments, days, percent) for percent in ALLOWED_WAIVER_PERCENT)
            offer = next((offer for offer in waived if self.refusal(offer) is None), None)
            if offer is not None:
                possible.append(offer)
        return max(possible, key=self.present_value, default=None)

    def present_value(self, offer: Offer) -> float:
        """Value today of what the offer pays, at the loan's own rate."""
        return offer.present_value(self.outstanding, self.loan.annual_percent / 100)


def make_debtor(seed: int, site: Literal["east", "west"] = "east", situation: str | None = None) -> Debtor:
    """A random debtor; the same arguments give the same one. `situation` is one of `planted.SITUATIONS`."""
    rng = random.Random(f"{seed}:debtor:{site}")
    person = make_person(seed, site, rng)
    loan = lend(f"a{seed:06d}-1", person.id, person.bucket, TODAY, rng)
    oldest = loan.oldest_overdue(TODAY, person.bucket)
    assert oldest is not None, "a new loan is in arrears on the day it is looked at"
    arrears = loan.arrears(TODAY, oldest)
    unpaid = sum((principal for principal, _ in loan.instalments[oldest:]), Decimal(0))
    state = after_event(new_state(rng), situation or rng.choice(list(SITUATIONS)), rng)
    return Debtor(person, SITES[site], loan, unpaid + arrears.interest + arrears.penalty, Debt.of(loan, arrears), state)
