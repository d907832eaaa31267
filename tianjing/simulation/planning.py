"""What happens in a shard: who calls whom when, about what, which act is tried, and whether the promise is kept."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Literal

from tianjing.simulation import agents, customer, structural
from tianjing.simulation.accounts import Arrears, Loan, lend, yuan
from tianjing.simulation.agents import SENIOR_BY_BUCKET, Agent
from tianjing.simulation.customer import CustomerState
from tianjing.simulation.people import Person, make_person
from tianjing.simulation.planted import SITUATIONS, Surface
from tianjing.simulation.policies import quality_rules
from tianjing.simulation.scenes import Debt, Inspection, Plan
from tianjing.simulation.sites import SITES, Site

FIRST_DAY = datetime(2026, 1, 5, tzinfo=timezone(timedelta(hours=8)))
DAYS = 177

_EAST_SHARE = {"a": 1.0, "b": 0.0, "both": 0.7}
_POST_LOAN_SHARE = 0.6
_NOISE_SHARE = 0.22  # of phone calls, which makes about a fifth of all dialogues
_CHAT_SHARE = 0.08
_RETURNING_SHARE = 0.16
_NEW_SPELL_DAYS, _NEW_SPELL_RATE = 45, 0.5
_INSPECTED_SHARE = 0.45
_BREACH_SHARE = 0.6
_NEAR_MISS_SHARE = 0.6  # of compliant findings
_POLICY_IN_POST_LOAN = 0.25
_OPENS_S = 8 * 3600 + 1800  # 08:30
_LAST_CALL_S = 20 * 3600 + 1500  # 20:25: the call ends before 20:30


@dataclass
class Customer:
    """A person with loans and a hidden state.

    `first_due_yuan` was overdue when the company first spoke to the person; `life` lists (day, event).
    """

    person: Person
    state: CustomerState
    first_state: CustomerState
    first_due_yuan: int = 0
    loans: list[Loan] = field(default_factory=list)
    life: list[tuple[datetime, str]] = field(default_factory=list)
    last_contact: datetime | None = None


@dataclass(frozen=True)
class Call:
    """A planned dialogue, with the customer's state before and after it; service calls have no promise to keep."""

    start: datetime
    channel: Literal["phone", "chat"]
    plan: Plan
    loan: Loan
    arrears: Arrears
    before: CustomerState
    after: CustomerState
    propensity: float | None = None
    kept: bool | None = None


class Planner:
    """Plans `cases` calls in the order of time; the same `seed` and `shard` give the same plans."""

    def __init__(self, cases: int, seed: int, shard: int, first_customer: int, surface: Surface):
        self.cases = cases
        self.rng = random.Random(f"{seed}:{shard}:calls")
        self.hidden = random.Random(f"{seed}:{shard}:hidden")
        self.lending = random.Random(f"{seed}:{shard}:loans")
        self.next_customer = first_customer
        self.surface = surface
        self.agents = {name: agents.hire(site.agents, seed) for name, site in SITES.items()}
        self.customers: dict[str, list[Customer]] = {site: [] for site in SITES}
        self.used: dict[str, Counter[str]] = {site: Counter() for site in SITES}
        self.drawn: dict[tuple[str | bool, ...], float] = {}

    def starts(self) -> list[tuple[datetime, Site, bool]]:
        """(start, site, post-loan) of every call, in the order of time."""
        kinds = self._kinds()
        starts = sorted(
            FIRST_DAY + timedelta(days=self.rng.randrange(DAYS), seconds=self.rng.randint(_OPENS_S, _LAST_CALL_S))
            for _ in range(self.cases)
        )
        return [(start, SITES[site], post_loan) for start, (site, post_loan) in zip(starts, kinds, strict=True)]

    def call(self, start: datetime, site: Site, post_loan: bool) -> Call:
        """The next call; customers remember it."""
        rng = self.rng
        someone = self._customer(site, start)
        agent = self._agent(site, someone.person)
        chat = rng.random() < _CHAT_SHARE and not post_loan
        noisy = not chat and rng.random() < _NOISE_SHARE
        loan, arrears = self._debt(someone, start)
        if someone.last_contact is not None:
            someone.state = customer.after_days(someone.state, (start - someone.last_contact).days)
        someone.last_contact = start
        if post_loan:
            return self._post_loan(start, site, someone, agent, noisy, loan, arrears)
        questions = rng.choices((1, 2, 3), weights=(42, 41, 17))[0]
        inspection = self._inspection(site, _service_rules(someone.person))
        plan = Plan(
            someone.person,
            Debt.of(loan, arrears),
            agent.id,
            site,
            noisy,
            questions=questions,
            inspection=inspection,
        )
        state = someone.state
        someone.state = customer.after_act(state, "", self.hidden, _is_breach(inspection))
        return Call(start, "chat" if chat else "phone", plan, loan, arrears, state, someone.state)

    def _kinds(self) -> list[tuple[str, bool]]:
        east = round(self.cases * _EAST_SHARE[self.surface])
        kinds = []
        for site, number in (("east", east), ("west", self.cases - east)):
            post_loan = round(number * _POST_LOAN_SHARE)
            kinds += [(site, index < post_loan) for index in range(number)]
        self.rng.shuffle(kinds)
        return kinds

    def _customer(self, site: Site, start: datetime) -> Customer:
        known = self.customers[site.name]
        if known and self.rng.random() < _RETURNING_SHARE:
            return self.rng.choice(known)
        person = make_person(self.next_customer, site.name, self.rng)
        self.next_customer += 1
        state = customer.new_state(self.hidden)
        someone = Customer(person, state, state)
        known.append(someone)
        return someone

    def _agent(self, site: Site, person: Person) -> Agent:
        senior = self.rng.random() < SENIOR_BY_BUCKET[person.bucket]
        return self.rng.choice([agent for agent in self.agents[site.name] if agent.senior == senior])

    def _debt(self, someone: Customer, start: datetime) -> tuple[Loan, Arrears]:
        """A loan that is overdue in the customer's bucket on that day: one there is already, or another product."""
        today = start.date()
        for loan in someone.loans:
            oldest = loan.oldest_overdue(today, someone.person.bucket)
            if oldest is not None:
                return loan, loan.arrears(today, oldest)
        account = f"{someone.person.id.replace('c', 'a')}-{len(someone.loans) + 1}"
        loan = lend(account, someone.person.id, someone.person.bucket, today, self.lending)
        someone.loans.append(loan)
        oldest = loan.oldest_overdue(today, someone.person.bucket)
        assert oldest is not None, "a new loan is in arrears on the day it is looked at"
        arrears = loan.arrears(today, oldest)
        someone.first_due_yuan = someone.first_due_yuan or yuan(arrears.total)
        return loan, arrears

    def _post_loan(
        self, start: datetime, site: Site, someone: Customer, agent: Agent, noisy: bool, loan: Loan, arrears: Arrears
    ) -> Call:
        rng, bucket = self.rng, someone.person.bucket
        situation = self._situation(site, someone, start, arrears)
        act = SITUATIONS[situation].act
        if not self._systematic((site.name, situation), agent.working_act_rate(start.month)):
            act = agent.fallback(situation, rng)
        state = someone.state
        resources = state.resources(float(loan.instalment))
        propensity = structural.kept_probability(situation, act, bucket, agent.effect, start.month, resources)
        works = act == SITUATIONS[situation].act
        kept = self._systematic((site.name, situation, "kept", works), propensity)
        plan = Plan(
            someone.person,
            Debt.of(loan, arrears),
            agent.id,
            site,
            noisy,
            situation=situation,
            act=act,
            promises=rng.random() < (0.9 if kept else 0.45),
            questions=int(rng.random() < _POLICY_IN_POST_LOAN),
            inspection=self._inspection(site, _post_loan_rules(situation)),
        )
        someone.state = customer.after_act(state, act, self.hidden, _is_breach(plan.inspection))
        return Call(start, "phone", plan, loan, arrears, state, someone.state, propensity, kept)

    def _situation(self, site: Site, someone: Customer, start: datetime, arrears: Arrears) -> str:
        """Why the customer is in arrears: as last time, or, after some weeks, perhaps another life event."""
        state = someone.state
        if state.situation:
            since = (start - someone.life[-1][0]).days
            if since < _NEW_SPELL_DAYS or self.rng.random() >= _NEW_SPELL_RATE:
                return state.situation
            someone.life.append((start - timedelta(days=arrears.days + 7), "恢复"))
        situation = self._least_used(site, list(SITUATIONS))
        someone.state = customer.after_event(customer.after_recovery(state), situation, self.hidden)
        someone.life.append((start - timedelta(days=arrears.days + self.hidden.randint(1, 6)), situation))
        return situation

    def _least_used(self, site: Site, names: list[str]) -> str:
        """The name used least often at this site so far, ties broken at random: keeps strata even."""
        used = self.used[site.name]
        least = min(used[name] for name in names)
        chosen = self.rng.choice([name for name in names if used[name] == least])
        used[chosen] += 1
        return chosen

    def _systematic(self, stratum: tuple[str | bool, ...], probability: float) -> bool:
        """A draw by systematic sampling: within a stratum the share of True keeps to the planted probability."""
        before = self.drawn.setdefault(stratum, self.rng.random())
        self.drawn[stratum] = before + probability
        return int(before + probability) > int(before)

    def _inspection(self, site: Site, rules: list[str]) -> Inspection | None:
        rng = self.rng
        if rng.random() >= _INSPECTED_SHARE:
            return None
        kind: Literal["breach", "near", "plain"] = "breach"
        if rng.random() >= _BREACH_SHARE:
            kind = "near" if rng.random() < _NEAR_MISS_SHARE else "plain"
        if kind == "plain":
            return Inspection(kind, "")
        chosen = self._least_used(site, [f"{kind}:{rule}" for rule in rules])
        return Inspection(kind, chosen.split(":")[1])


def _is_breach(inspection: Inspection | None) -> bool:
    return inspection is not None and inspection.kind == "breach"


def _post_loan_rules(situation: str) -> list[str]:
    """Inspection items whose cue fits: only a customer without money says "I have nothing to pay with"."""
    short = SITUATIONS[situation].short_of_money
    return [rule for rule in quality_rules() if short or rule != "Q05"]


def _service_rules(person: Person) -> list[str]:
    """A customer hardly in arrears is not dunned: only promises and passwords can go wrong."""
    return ["Q04", "Q07"] if person.bucket == "M0" else ["Q02", "Q04", "Q06", "Q07"]
