"""One negotiation between an agent and a simulated debtor, step by step.

An agent is asked for its next step until it speaks: quotations are answered by the cost engine in between. What the
customer hears is the speech alone. An offer counts as it was said; only one that repeats the amounts of the last
quotation is taken as that plan.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from evals.negotiation.config import NegotiationEvalConfig
from tianjing.config import StrictModel
from tianjing.finance.errors import FinanceError
from tianjing.finance.offers import PlanPolicy, PlanQuote, quote_plan
from tianjing.records import Turn
from tianjing.simulation.negotiation import Debtor, NegotiatingCustomer, Negotiation, Offer, find_offer, make_debtor
from tianjing.simulation.negotiation.debtor import TODAY
from tianjing.tasks import TASKS, Fields
from tianjing.tasks.negotiation import CONTEXT_CHARS, CONTEXT_TURNS
from tianjing.tasks.plan_call import PlanCall, plan_text, run_call, stated_amounts
from tianjing.tasks.talk import context

# An agent's next step, as it would be written by a model, given the fields of the task.
Step = Callable[[Fields], Awaitable[str]]

OPENING = "您好，这里是晨舟消费金融，本次通话有录音，请问现在方便吗？"
_SILENCE = "请您稍等。"


class Played(StrictModel):
    """One negotiation, scored. Shares in [0, 1]; None is what cannot be scored without an agreement."""

    debtor: int
    site: str
    situation: str
    agreed: bool
    recovery: float
    over_concession: float | None
    instalment_share: float | None
    outside_policy: bool
    """Whether what was agreed is no plan that may be offered."""
    complained: bool
    hung_up: bool
    breaches: int
    turns: int
    acts: tuple[str, ...]
    """Acts named by the agent, in order."""
    quotations: int
    offers: int
    misquoted: int
    """Offers whose amounts are not those of the quotation before, or that had none."""
    talk: tuple[dict[str, str], ...]
    """Every turn, with what the agent wrote under `wrote`."""


@dataclass
class _Table:
    """Where a negotiation stands, besides the customer."""

    turns: list[Turn]
    talk: list[dict[str, str]]
    acts: list[str]
    quotations: int = 0
    offers: int = 0
    misquoted: int = 0
    quoted: PlanQuote | None = None


def make_case(number: int, config: NegotiationEvalConfig) -> Debtor:
    """Debtor `number`; the sites take turns."""
    return make_debtor(number, config.sites[number % len(config.sites)])


def task_fields(debtor: Debtor, turns: list[Turn], config: NegotiationEvalConfig) -> dict[str, Any]:
    """The fields of the negotiation task for the talk so far."""
    return {
        "product": debtor.loan.product,
        "outstanding": f"{debtor.outstanding:.2f}",
        "as_of": TODAY.isoformat(),
        "policy": config.policy.model_dump(mode="json"),
        "turns": context(turns, CONTEXT_TURNS, CONTEXT_CHARS),
    }


async def play(number: int, step: Step, config: NegotiationEvalConfig) -> Played:
    """Negotiate with debtor `number` until an agreement, a hang-up or `max_turns` answers. The opening is given."""
    debtor = make_case(number, config)
    customer = NegotiatingCustomer(debtor, config.seed)
    table = _Table([], [], [])
    _say(table, customer, OPENING, None, "")
    while customer.state.agreed is None and not customer.state.ended and customer.state.turns < config.max_turns:
        wrote, speech, offer = await _next_speech(table, debtor, step, config)
        _say(table, customer, speech, offer, wrote)
    return _scored(number, Negotiation(debtor, tuple(table.turns), customer.state), table, config.policy)


async def _next_speech(
    table: _Table, debtor: Debtor, step: Step, config: NegotiationEvalConfig
) -> tuple[str, str, Offer | None]:
    """What the agent wrote, what of it is said, and the quoted plan if it says just that."""
    task = TASKS["negotiation"]
    for _ in range(config.max_quotes):
        fields = task_fields(debtor, table.turns, config)
        wrote = await step(fields)
        reading = task.read(wrote, fields)
        call: PlanCall | None = reading.details.get("call")
        if call is None:
            break
        table.quotations += 1
        table.quoted = run_call(call, fields)
        result = plan_text(table.quoted)
        table.turns.append(Turn(speaker="system", text=f"试算结果：{result}"))
        table.talk.append({"speaker": "system", "text": result, "wrote": wrote})
    table.acts += reading.details.get("acts", ())
    speech = reading.details.get("speech", "") or _SILENCE
    return wrote, speech, _offer(speech, table)


def _offer(speech: str, table: _Table) -> Offer | None:
    """The quoted plan where the speech states its amounts; counts what is offered otherwise."""
    said, heard, plan = stated_amounts(speech), find_offer(speech), table.quoted
    repeats = plan is not None and bool(said) and said <= {plan.payment, plan.last_payment, plan.total}
    if not repeats and (heard is None or not said):
        return None  # no offer, or terms without an amount: heard as they are
    table.offers += 1
    if not repeats:
        table.misquoted += 1
        return None
    assert plan is not None
    if heard is not None and (heard.instalments, heard.deferral_days) != (plan.instalments, plan.deferral_days):
        table.misquoted += 1
        return None
    return Offer(plan.instalments, plan.deferral_days)


def _say(table: _Table, customer: NegotiatingCustomer, speech: str, offer: Offer | None, wrote: str) -> None:
    answer, _ = customer.reply(speech, offer)
    table.turns += [Turn(speaker="agent", text=speech), answer]
    table.talk += [
        {"speaker": "agent", "text": speech, "wrote": wrote},
        {"speaker": "customer", "text": answer.text},
    ]


def _scored(number: int, result: Negotiation, table: _Table, policy: PlanPolicy) -> Played:
    state = result.state
    return Played(
        debtor=number,
        site=result.debtor.person.site,
        situation=result.debtor.state.situation,
        agreed=state.agreed is not None,
        recovery=result.recovery,
        over_concession=_known(result.over_concession),
        instalment_share=_known(result.instalment_share),
        outside_policy=state.agreed is not None and not _permitted(state.agreed, result.debtor, policy),
        complained=state.complained,
        hung_up=state.ended,
        breaches=state.breaches,
        turns=state.turns,
        acts=tuple(table.acts),
        quotations=table.quotations,
        offers=table.offers,
        misquoted=table.misquoted,
        talk=tuple(table.talk),
    )


def _permitted(offer: Offer, debtor: Debtor, policy: PlanPolicy) -> bool:
    try:
        quote_plan(debtor.outstanding, TODAY, offer.instalments, offer.deferral_days, policy)
    except FinanceError:
        return False
    return not offer.waiver_percent


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
