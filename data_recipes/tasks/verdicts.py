"""What the rulebook says of single turns on their day: breaches of an agent, a customer's reasons for a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from data_recipes.tasks.config import HandoffReason
from tianjing.records import DEFAULT_TIME_ZONE, Dialogue, Turn
from tianjing.rulebook import Finding, Rulebook, check_turns
from tianjing.rulebook.schema import DisclosureCheck, Institution
from tianjing.tasks.handoff_triage import REASONS


class Verdicts:
    """A book, and what it has said of the texts it was asked about.

    Rules on what must be said somewhere in a call do not count: of one turn they would all be broken.
    """

    def __init__(self, book: Rulebook, institution: Institution = "consumer_finance"):
        self._book = book.within(institution).only(lambda rule: not isinstance(rule.check, DisclosureCheck))
        # Choosing the rules in force costs more than asking them.
        self._books: dict[tuple[str, date], Rulebook] = {}
        self._breaches: dict[tuple[str, str, date], tuple[Finding, ...]] = {}

    def breaches(self, dialogue: Dialogue, text: str) -> tuple[Finding, ...]:
        """Breaches in `text`, were it said by the agent of this dialogue."""
        day = _day(dialogue)
        key = (text, dialogue.channel, day)
        if key not in self._breaches:
            turn = Turn(speaker="agent", text=text)
            self._breaches[key] = tuple(check_turns(self._in_force(dialogue.channel, day), (turn,), day))
        return self._breaches[key]

    def handoff(
        self, dialogue: Dialogue, turn: int, reasons: Mapping[str, HandoffReason]
    ) -> tuple[str, HandoffReason | None] | None:
        """(evidence, kind of reason) of the most urgent hand-off rule that a customer's turn meets; None for none.

        The kind is None where `reasons` does not know any of the rules met.
        """
        text = dialogue.turns[turn].text
        matcher = self._in_force(dialogue.channel, _day(dialogue)).matcher("customer")
        met = [hit for hit in matcher.find(text) if hit.rule.action == "handoff"]
        if not met:
            return None
        known = [hit for hit in met if hit.rule.id in reasons]
        if not known:
            return text[met[0].start : met[0].end], None
        urgency = list(REASONS)
        hit = min(known, key=lambda hit: (urgency.index(reasons[hit.rule.id]), hit.start))
        return text[hit.start : hit.end], reasons[hit.rule.id]

    def _in_force(self, channel: str, day: date) -> Rulebook:
        if (channel, day) not in self._books:
            self._books[channel, day] = self._book.within(channel=channel).on(day)
        return self._books[channel, day]


def _day(dialogue: Dialogue) -> date:
    moment = dialogue.started_at
    return (moment.astimezone(ZoneInfo(DEFAULT_TIME_ZONE)) if moment.tzinfo else moment).date()
