"""The customer's side of a negotiation: a state machine that answers each turn of an agent.

Facts come out step by step: the reason when asked or once something is proposed, what can be paid when asked by an
agent who has some trust, the secret deadline only to one who has more. Nothing said is untrue.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, replace
from typing import Literal

from tianjing import acts
from tianjing.records import Turn
from tianjing.rulebook import Rule, Rulebook, check_turns
from tianjing.rulebook.schema import PhraseCheck
from tianjing.simulation import structural
from tianjing.simulation.customer import CustomerState, after_act
from tianjing.simulation.negotiation.debtor import TODAY, Debtor
from tianjing.simulation.negotiation.offers import Offer, find_offer
from tianjing.simulation.planted import HARMFUL_ACTS, SITUATIONS
from tianjing.simulation.scenes import slots_of

Move = Literal[
    "confirm", "reason", "accept", "too much", "too early", "affordable", "deadline", "evade", "unsure", "angry",
    "hang up", "calmer", "waiting", "done",
]  # fmt: skip
Fact = Literal["reason", "affordable", "deadline"]

_SYMBOLS: dict[Move, str] = {
    "confirm": "confirm_me",
    "accept": "yes",
    "too much": "n_too_much",
    "too early": "n_too_early",
    "affordable": "n_affordable",
    "deadline": "n_deadline",
    "evade": "n_evade",
    "unsure": "n_unsure",
    "angry": "n_angry",
    "hang up": "n_hang_up",
    "calmer": "n_calmer",
    "waiting": "n_waiting",
    "done": "n_done",
}
_TRUST_TO_TELL: dict[Fact, float] = {"reason": 0.0, "affordable": 0.3, "deadline": 0.55}
_TRUST_TO_AGREE = 0.15
_ANGRY_TURNS_TO_LEAVE = 3


@dataclass(frozen=True)
class NegotiationState:
    """Where a negotiation stands after a turn of the customer; `inner` is hidden from the agent."""

    inner: CustomerState
    move: Move = "waiting"
    told: frozenset[Fact] = frozenset()
    agreed: Offer | None = None
    ended: bool = False
    turns: int = 0
    angry_turns: int = 0
    breaches: int = 0
    complained: bool = False


class NegotiatingCustomer:
    """A debtor who answers an agent; the same debtor, seed and turns give the same answers."""

    def __init__(self, debtor: Debtor, seed: int):
        self.debtor = debtor
        self.rng = random.Random(f"{seed}:negotiation:{debtor.person.id}")
        self.state = NegotiationState(debtor.state)

    def reply(self, agent_turn: str, offer: Offer | None = None) -> tuple[Turn, NegotiationState]:
        """The customer's answer, and the state after it.

        Args:
            agent_turn: what the agent says; its acts (`tianjing.acts`) and breaches of the rulebook are felt.
            offer: the offer that the turn makes, where the agent has it in a structured form; else it is read from
                the text.

        Raises:
            ValueError: the customer has hung up.
        """
        if self.state.ended:
            raise ValueError("the customer has hung up: look at `state.ended` before the next turn")
        offer = offer or find_offer(agent_turn)
        self.state = respond(self.state, self.debtor, agent_turn, offer, self.rng)
        return Turn(speaker="customer", text=self._words(self.state.move, offer)), self.state

    def _words(self, move: Move, offer: Offer | None) -> str:
        debtor = self.debtor
        asked = (offer or Offer()).instalment(debtor.outstanding)
        symbol = SITUATIONS[debtor.state.situation].symbol if move == "reason" else _SYMBOLS[move]
        slots = slots_of(debtor.person, debtor.debt, self.rng) | {
            "asked_monthly": f"{asked:.0f}",
            "monthly": str(debtor.monthly_limit_yuan),
            "wait": str(debtor.state.deadline_days),
        }
        return debtor.site.grammar.say(symbol, self.rng, slots)


def respond(
    state: NegotiationState, debtor: Debtor, agent_turn: str, offer: Offer | None, rng: random.Random
) -> NegotiationState:
    """The state after the customer's answer to `agent_turn`, which makes `offer` (None: no offer)."""
    done, broke = acts.tag(agent_turn), is_breach(agent_turn)
    felt = _feel(state, done, broke, rng)
    if state.agreed is not None:
        return replace(felt, move="done")
    if felt.angry_turns > state.angry_turns:
        leaves = felt.angry_turns >= _ANGRY_TURNS_TO_LEAVE
        after = replace(felt, move="hang up" if leaves else "angry", ended=leaves)
    elif offer is not None:
        after = _answer_to(offer, felt, debtor)
    elif "ask_affordable_amount" in done:
        after = _tell("affordable", "evade", felt)
    elif "confirm_date" in done:
        after = _tell("deadline", "unsure", felt)
    elif state.inner.mood == "upset" and felt.inner.mood != "upset":
        after = replace(felt, move="calmer")
    elif felt.turns == 1:
        after = replace(felt, move="confirm")
    else:
        after = _tell("reason", "waiting", felt)
    if not after.ended and after.agreed is None:
        return after
    complaint = structural.complaint_probability(breach=after.breaches > 0, upset=after.inner.mood == "upset")
    return replace(after, complained=rng.random() < complaint)


def _feel(state: NegotiationState, done: tuple[str, ...], broke: bool, rng: random.Random) -> NegotiationState:
    """What the agent's acts, and a breach of conduct, do to trust and mood."""
    inner = after_act(state.inner, "", rng, broke)
    for act in done:
        inner = after_act(inner, act, rng)
    harmed = broke or any(act in HARMFUL_ACTS for act in done)
    return replace(
        state,
        inner=inner,
        turns=state.turns + 1,
        breaches=state.breaches + broke,
        angry_turns=state.angry_turns + (harmed and inner.mood == "upset"),
    )


def _answer_to(offer: Offer, state: NegotiationState, debtor: Debtor) -> NegotiationState:
    refusal = debtor.refusal(offer)
    if refusal is None:
        if state.inner.mood == "upset" or state.inner.trust < _TRUST_TO_AGREE:
            return replace(state, move="evade")
        return replace(state, move="accept", agreed=offer)
    fact: Fact = "affordable" if refusal == "too much" else "deadline"
    return _tell(fact, refusal, state) if "reason" in state.told else _tell("reason", refusal, state)


def _tell(fact: Fact, otherwise: Move, state: NegotiationState) -> NegotiationState:
    """Tell the fact to an agent who is trusted enough, once; else answer with `otherwise`."""
    if fact in state.told or state.inner.trust < _TRUST_TO_TELL[fact]:
        return replace(state, move=otherwise)
    return replace(state, move=fact, told=state.told | {fact})


def is_breach(agent_turn: str) -> bool:
    """Whether the turn says what a rule of the rulebook forbids."""
    return bool(check_turns(_conduct_rules(), [Turn(speaker="agent", text=agent_turn)], TODAY))


@functools.cache
def _conduct_rules() -> Rulebook:
    def forbids_words(rule: Rule) -> bool:
        return isinstance(rule.check, PhraseCheck) and rule.action in ("block", "rewrite")

    return Rulebook.load().only(forbids_words)
