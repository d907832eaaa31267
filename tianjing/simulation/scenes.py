"""One conversation: its turns, and what the operation log will say about them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tianjing.simulation import noise
from tianjing.simulation.accounts import Arrears, Loan, yuan
from tianjing.simulation.grammar import Marked
from tianjing.simulation.people import Person, spoken
from tianjing.simulation.planted import ACTIVITIES, SITUATIONS
from tianjing.simulation.policies import articles
from tianjing.simulation.sites import Site

MAX_TURNS = 14

# Of each policy question: no policy covers it; the agent misstates a number of the article.
_NO_BASIS_RATE = 0.12
_WRONG_ANSWER_RATE = 0.04

_ANSWER_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Inspection:
    """What a dialogue's quality inspection (质检) is about.

    kind: `breach`; `near` for a compliant turn that sounds like one; `plain` for any other agent turn.
    """

    kind: Literal["breach", "near", "plain"]
    rule: str


@dataclass(frozen=True)
class Debt:
    """What the dialogue is about, in whole yuan as people say it; the parts add up to `amount`."""

    product: str
    days: int
    amount: int
    principal: int
    interest: int
    penalty: int

    @classmethod
    def of(cls, loan: Loan, arrears: Arrears) -> Debt:
        amount, interest, penalty = yuan(arrears.total), yuan(arrears.interest), yuan(arrears.penalty)
        return cls(loan.product, arrears.days, amount, amount - interest - penalty, interest, penalty)


@dataclass(frozen=True)
class Plan:
    """What happens in a dialogue; the scene finds the words. `act` and `situation` are empty for service."""

    person: Person
    debt: Debt
    agent: str
    site: Site
    noisy: bool
    situation: str = ""
    act: str = ""
    promises: bool = False
    questions: int = 0
    inspection: Inspection | None = None


@dataclass(frozen=True)
class Answered:
    """A policy question of a dialogue: `article` is "" when no policy covers it."""

    turn: int
    article: str
    wrong: bool


@dataclass
class Scene:
    """Turns as (speaker, text); events as (turn, activity, attributes)."""

    turns: list[tuple[Literal["customer", "agent"], str]] = field(default_factory=list)
    events: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    finding: dict[str, str | int] | None = None
    decisive: int | None = None


def slots_of(person: Person, debt: Debt, rng: random.Random) -> dict[str, str]:
    """What the grammars fill in of a person and the debt; numbers are spoken in one way per dialogue."""
    return {
        "name": person.name,
        "surname": person.name[0],
        "title": person.title,
        "call": person.call,
        "product": debt.product,
        "amount": str(debt.amount),
        "half": str(debt.amount // 2),
        "principal": str(debt.principal),
        "interest": str(debt.interest),
        "penalty": str(debt.penalty),
        "days": str(debt.days),
        "day": str(rng.randint(3, 28)),
        "mobile": spoken(person.mobile, rng),
        "id_tail": spoken(person.id_card[-4:], rng),
        "id_card": spoken(person.id_card, rng),
        "card": spoken(person.card, rng),
        "spouse": "老公" if person.female else "老婆",
        "worker": str(rng.randint(1001, 9899)),
    }


class SceneWriter:
    """Writes the scene of one plan."""

    def __init__(self, plan: Plan, rng: random.Random):
        self.plan = plan
        self.rng = rng
        self.scene = Scene()
        self.slots = slots_of(plan.person, plan.debt, rng)
        self._asked: set[str] = set()

    def write(self) -> Scene:
        """The whole conversation, 3 to 14 turns."""
        if self.plan.situation:
            self._collect()
        else:
            self._serve()
        self._inspect_plain_turn()
        return self.scene

    # Speaking

    def customer(self, text: str) -> int:
        noisy = noise.noisy_customer(text, self.rng) if self.plan.noisy else text
        self.scene.turns.append(("customer", noisy))
        return len(self.scene.turns) - 1

    def agent(self, text: str) -> int:
        noisy = noise.noisy_agent(text, self.rng) if self.plan.noisy else text
        self.scene.turns.append(("agent", noisy))
        return len(self.scene.turns) - 1

    def say(self, symbol: str, extra: Mapping[str, str] | None = None) -> str:
        return self.plan.site.grammar.say(symbol, self.rng, {**self.slots, **(extra or {})})

    def _log(self, turn: int, activity: str) -> None:
        """Agents forget to log one step in ten."""
        if self.rng.random() < 0.9:
            self.scene.events.append((turn, activity, {}))

    # Post-loan (贷后) calls

    def _collect(self) -> None:
        plan, rng = self.plan, self.rng
        inspected = plan.inspection is not None and plan.inspection.kind != "plain"
        opening = self.agent(self.say("open_collect"))
        self._log(opening, "打开客户档案")
        self.customer(self.say("confirm_me"))
        if rng.random() < 0.26:
            self._verify()
        self.agent(self.say("ask_reason"))
        if inspected:
            self._inspected_exchange()
            self.agent(self.say("probe"))
        elif plan.questions:
            self._question(first=True)
            self.customer(self.say("ack_answer"))
            self.agent(self.say("probe"))
        reason = self.customer(self.say(SITUATIONS[plan.situation].symbol))
        self.scene.events.append((reason, "登记逾期原因", {"reason": plan.situation}))
        self.scene.decisive = self.agent(self.say(f"act_{plan.act}"))
        self._log(self.scene.decisive, ACTIVITIES[plan.act])
        self.customer(self._reply())
        self._close("close_yes" if plan.promises else "close_no")

    def _verify(self) -> None:
        kind = self.rng.choice(("mobile", "mobile", "tail", "id", "card"))
        if kind == "card":
            self.agent(self.say("card_ask"))
            self.customer(self.say("give_card"))
            return
        asked = self.agent(self.say("verify_ask" if kind == "mobile" else "verify_tail_ask"))
        self.customer(self.say({"mobile": "give_mobile", "tail": "give_tail", "id": "give_id"}[kind]))
        self._log(asked, "核对身份")

    def _reply(self) -> str:
        mood = "yes" if self.plan.promises else "no"
        own = f"{mood}_{self.plan.act}"
        symbol = own if own in self.plan.site.grammar and self.rng.random() < 0.65 else mood
        return self.say(symbol)

    def _close(self, symbol: str) -> None:
        closing = self.agent(self.say(symbol))
        self._log(closing, "填写通话小结")
        if len(self.scene.turns) < MAX_TURNS and self.rng.random() < 0.4:
            self.customer(self.say("bye"))

    # Service (客服) calls

    def _serve(self) -> None:
        plan, rng = self.plan, self.rng
        inspected = plan.inspection is not None and plan.inspection.kind != "plain"
        opening = self.agent(self.say("open_service"))
        self._log(opening, "打开客户档案")
        for number in range(plan.questions):
            self._question(first=number == 0, introduce=number == 0 and rng.random() < 0.3)
        if inspected:
            self._inspected_exchange()
        elif rng.random() < 0.4:
            self.customer(self.say("ack_answer"))
            if rng.random() < 0.5:
                self.agent(self.say("ask_more"))
                self.customer(self.say("no_more"))
        else:
            self.customer(self.say("no_more"))
        closing = self.agent(self.say("close_service"))
        self._log(closing, "填写通话小结")

    # Policy questions (制度问答)

    def _question(self, first: bool, introduce: bool = False) -> None:
        lead = self.say("service_id") if introduce else self.say("q_lead" if first else "q_next")
        if self.rng.random() < _NO_BASIS_RATE:
            self.customer(self.say("question", {"lead": lead, "asked": self.say("ask_no_basis")}))
            turn = self.agent(self.say("no_basis_reply"))
            self.scene.answered.append(Answered(turn, "", False))
            return
        key = self.rng.choice([key for key in self.plan.site.articles if key not in self._asked])
        self._asked.add(key)
        self.customer(self.say("question", {"lead": lead, "asked": self.say(f"ask_{key}")}))
        content = self.say(f"answer_{key}")
        wrong = self.rng.random() < _WRONG_ANSWER_RATE and bool(_ANSWER_NUMBER.search(content))
        if wrong:
            content = self._misstate(content)
        label = articles()[key].label
        turn = self.agent(self.say("cited_answer", {"label": label, "content": content}))
        self.scene.answered.append(Answered(turn, key, wrong))

    def _misstate(self, content: str) -> str:
        """The same sentence with one number changed."""
        match = self.rng.choice(list(_ANSWER_NUMBER.finditer(content)))
        value = int(match[0])
        other = self.rng.choice([n for n in (value * 2, value + 5, max(1, value // 2), value + 1) if n != value])
        return content[: match.start()] + str(other) + content[match.end() :]

    # Quality inspection (质检)

    def _inspected_exchange(self) -> None:
        inspection = self.plan.inspection
        assert inspection is not None
        self.customer(self.say(f"{inspection.rule}_cue"))
        grammar = self.plan.site.grammar
        breach = inspection.kind == "breach"
        marked = grammar.mark(f"{inspection.rule}_{'breach' if breach else 'ok'}", self.rng, self.slots)
        if self.plan.noisy:
            marked = noise.noisy_marked(marked, self.rng)
        turn = self._agent_marked(marked)
        self.customer(self.say(self._reaction(inspection.rule) if breach else "react_ok"))
        self.scene.finding = {
            "turn": turn,
            "rule": inspection.rule if breach else "none",
            "evidence": marked.evidence,
            "rewrite": self.say(f"{inspection.rule}_rewrite") if breach else "",
        }

    @staticmethod
    def _reaction(rule: str) -> str:
        """A tempting offer makes a customer wary; anything else offends."""
        return "react_doubt" if rule in ("Q04", "Q05", "Q07") else "react"

    def _agent_marked(self, marked: Marked) -> int:
        self.scene.turns.append(("agent", marked.text))
        return len(self.scene.turns) - 1

    def _inspect_plain_turn(self) -> None:
        if self.plan.inspection is None or self.plan.inspection.kind != "plain":
            return
        turns = [i for i, (speaker, text) in enumerate(self.scene.turns) if speaker == "agent" and i and len(text) > 8]
        turn = self.rng.choice(turns or [0])
        self.scene.finding = {"turn": turn, "rule": "none", "evidence": "", "rewrite": ""}
