"""What negotiations achieved: recovery, affordability, over-concession, complaints, breaches and length together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tianjing.records import Turn
from tianjing.simulation.negotiation.customer import NegotiatingCustomer, NegotiationState
from tianjing.simulation.negotiation.debtor import Debtor
from tianjing.simulation.negotiation.offers import Offer

# What the agent says next, given the turns so far; a pair also gives the offer in a structured form.
Agent = Callable[[Sequence[Turn]], str | tuple[str, Offer]]


@dataclass(frozen=True)
class Negotiation:
    """One finished negotiation."""

    debtor: Debtor
    turns: tuple[Turn, ...]
    state: NegotiationState

    @property
    def recovery(self) -> float:
        """Present value of what was agreed, as a share of what is outstanding; 0 without an agreement."""
        agreed = self.state.agreed
        return self.debtor.present_value(agreed) / float(self.debtor.outstanding) if agreed else 0.0

    @property
    def instalment_share(self) -> float:
        """Agreed instalment as a share of the usual income that no need or other debt takes; NaN without agreement."""
        agreed, state = self.state.agreed, self.debtor.state
        disposable = state.usual_income_yuan - state.needs_yuan - state.other_debt_yuan
        if agreed is None or disposable <= 0:
            return math.nan
        return float(agreed.instalment(self.debtor.outstanding)) / disposable

    @property
    def over_concession(self) -> float:
        """Value given away beyond what this customer needed, as a share of the outstanding; NaN without agreement.

        The best offer that the customer could have kept (`Debtor.best_offer`), less the one that was agreed.
        """
        agreed, best = self.state.agreed, self.debtor.best_offer
        if agreed is None or best is None:
            return math.nan
        lost = self.debtor.present_value(best) - self.debtor.present_value(agreed)
        return max(0.0, lost / float(self.debtor.outstanding))


@dataclass(frozen=True)
class NegotiationReport:
    """Means over negotiations; shares in [0, 1]. NaN means that nothing could be scored."""

    negotiations: int
    agreed: float
    recovery: float
    instalment_share: float
    over_concession: float
    complained: float
    hung_up: float
    breaches: float
    turns: float


def negotiate(debtor: Debtor, agent: Agent, seed: int, max_turns: int = 12) -> Negotiation:
    """Let `agent` speak first and the customer answer, until an agreement, a hang-up or `max_turns` answers."""
    customer = NegotiatingCustomer(debtor, seed)
    turns: list[Turn] = []
    while customer.state.agreed is None and not customer.state.ended and customer.state.turns < max_turns:
        said = agent(turns)
        text, offer = said if isinstance(said, tuple) else (said, None)
        turns.append(Turn(speaker="agent", text=text))
        answer, _ = customer.reply(text, offer)
        turns.append(answer)
    return Negotiation(debtor, tuple(turns), customer.state)


def report(negotiations: Iterable[Negotiation]) -> NegotiationReport:
    """The report on `negotiations`; compare two agents on the same debtors and seeds only."""
    all_of_them = list(negotiations)
    return NegotiationReport(
        negotiations=len(all_of_them),
        agreed=_mean(n.state.agreed is not None for n in all_of_them),
        recovery=_mean(n.recovery for n in all_of_them),
        instalment_share=_mean(n.instalment_share for n in all_of_them),
        over_concession=_mean(n.over_concession for n in all_of_them),
        complained=_mean(n.state.complained for n in all_of_them),
        hung_up=_mean(n.state.ended for n in all_of_them),
        breaches=_mean(n.state.breaches for n in all_of_them),
        turns=_mean(n.state.turns for n in all_of_them),
    )


def _mean(values: Iterable[float]) -> float:
    """Mean of those that could be scored."""
    scored = [value for value in values if not math.isnan(value)]
    return fmean(scored) if scored else math.nan
