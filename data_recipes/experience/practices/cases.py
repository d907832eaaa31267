"""Cases: one customer's call about arrears, its situation, what the agent did in time, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_recipes.config import PracticesConfig
from data_recipes.errors import DataError
from data_recipes.experience.practices.clock import instant
from data_recipes.experience.practices.exposure import Exposure, Tagger, customer_turn_at, exposures
from data_recipes.knowledge import InferredSituation
from tianjing.acts import tag
from tianjing.records import Customer, Dialogue, Event, Outcome


@dataclass(frozen=True)
class Told:
    """A situation and the index of the customer turn that tells it.

    `probability` is 1 where it is logged; what is left is that of `otherwise`, the next probable situation.
    """

    situation: str
    turn: int
    probability: float = 1.0
    otherwise: str = ""


@dataclass(frozen=True)
class Case:
    """One dialogue with its situation, what the agent did in time, and what became of it.

    `reason_turn` is the index of the customer turn that tells the situation, `kept` None where the outcome is not
    known; `stratum` holds the customer's fields that the configuration compares within; `probability` and `otherwise`
    are those of the situation (`Told`). `known_at` is when the outcome was known, None where nobody says.
    """

    dialogue: Dialogue
    situation: str
    reason_turn: int
    exposures: tuple[Exposure, ...]
    kept: bool | None
    stratum: tuple[str, ...] = ()
    probability: float = 1.0
    otherwise: str = ""
    known_at: datetime | None = None

    @property
    def id(self) -> str:
        """The dialogue's id."""
        return self.dialogue.id

    @property
    def agent(self) -> str:
        return self.dialogue.agent

    @property
    def month(self) -> str:
        """E.g. 2026-03."""
        return instant(self.dialogue.started_at).strftime("%Y-%m")

    @property
    def acts(self) -> frozenset[str]:
        """Acts heard between the reason and the decision."""
        return frozenset(exposure.action for exposure in self.exposures if exposure.kind == "act")


def told(rows: Iterable[InferredSituation]) -> dict[str, Told]:
    """Inferred situations by dialogue id, as `cases` takes them."""
    return {row.dialogue: Told(row.situation, row.turn, row.probability, row.otherwise) for row in rows}


def cases(
    dialogues: Iterable[Dialogue],
    events: Iterable[Event],
    outcomes: Iterable[Outcome],
    customers: Mapping[str, Customer],
    config: PracticesConfig,
    situations: Mapping[str, Told] | None = None,
    tagger: Tagger = tag,
) -> tuple[list[Case], dict[str, int]]:
    """Cases with a situation, and how many dialogues fell out by reason.

    Args:
        events: on the dialogues' clock (`clock.align`); what a clock logged that cannot be read counts nowhere.
        situations: what was inferred from the text, by dialogue id (`told`); used as `config.situation` says.
        tagger: acts of one agent turn.

    Raises:
        DataError: situations are to come from the text, and none were inferred.
    """
    if config.situation != "logged" and situations is None:
        raise DataError(
            f"practices.situation: {config.situation} needs situations inferred from the text", "use logged"
        )
    logged, logs = _logs(events, config)
    results = {outcome.case: outcome for outcome in outcomes if outcome.name == config.outcome}
    found: list[Case] = []
    dropped: dict[str, int] = defaultdict(int)
    for dialogue in dialogues:
        told = situations.get(dialogue.id) if situations is not None and config.situation != "logged" else None
        reason = logged.get(dialogue.id) if config.situation != "text" else None
        if reason is not None:
            turn = customer_turn_at(dialogue, reason.at)
            if turn is not None:
                told = Told(str(reason.attributes[config.reason_attribute]), turn)
            elif told is None:
                dropped["practices: no customer turn at the time of the logged reason"] += 1
        if told is None:
            continue
        customer = customers.get(dialogue.customer)
        result = results.get(dialogue.id)
        done = exposures(dialogue, told.turn, logs.get(dialogue.id, ()), tagger, config.actions)
        found.append(
            Case(
                dialogue=dialogue,
                situation=told.situation,
                reason_turn=told.turn,
                exposures=done,
                kept=result.value > 0 if result else None,
                stratum=tuple(str(customer.field(name)) if customer else "" for name in config.strata),
                probability=told.probability,
                otherwise=told.otherwise,
                known_at=result.at if result else None,
            )
        )
    return found, dict(dropped)


def _logs(events: Iterable[Event], config: PracticesConfig) -> tuple[dict[str, Event], dict[str, Sequence[Event]]]:
    """The first logged reason of each case, and the activities that may be actions."""
    logged: dict[str, Event] = {}
    logs: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.clock == "unreadable":
            continue
        if event.activity == config.reason_activity:
            if config.reason_attribute in event.attributes:
                logged.setdefault(event.case, event)
        elif event.activity not in config.exclude_activities:
            logs[event.case].append(event)
    return logged, dict(logs)
