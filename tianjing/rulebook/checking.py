"""Run a book over dialogues, contact logs and offers: what is broken, where, and what is to be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from tianjing.config import StrictModel
from tianjing.finance.statements import Facts, check_statements
from tianjing.records import DEFAULT_TIME_ZONE, Contact, Dialogue, Speaker, Turn
from tianjing.rulebook.book import Rulebook
from tianjing.rulebook.contacts import breaches
from tianjing.rulebook.matcher import Hit
from tianjing.rulebook.numbers import Stated, offers, rates
from tianjing.rulebook.schema import (
    Action,
    ContactCheck,
    DisclosureCheck,
    Institution,
    NumberCheck,
    OfferCheck,
    Rule,
    Severity,
    StatementCheck,
)


class Finding(StrictModel):
    """One breach. `turn` and the characters `start` to `end` of its raw text are absent for a contact log."""

    rule: str
    dialogue: str = ""
    turn: int | None = None
    start: int | None = None
    end: int | None = None
    evidence: str
    severity: Severity
    action: Action
    customer: str = ""
    contact: int | None = None
    """Index of the contact in the log."""


def check_dialogue(
    book: Rulebook,
    dialogue: Dialogue,
    institution: Institution | None = None,
    product: str | None = None,
    facts: Facts | None = None,
) -> list[Finding]:
    """Breaches of the rules in force on the (Chinese) day of the dialogue, by turn; `facts` are those of that day."""
    scope = book.within(institution, product, dialogue.channel)
    return check_turns(scope, dialogue.turns, local_day(dialogue), dialogue.id, facts)


def local_day(dialogue: Dialogue) -> date:
    """The (Chinese) day of a dialogue."""
    at = dialogue.started_at
    return (at.astimezone(ZoneInfo(DEFAULT_TIME_ZONE)) if at.tzinfo else at).date()


def check_turns(
    book: Rulebook, turns: Iterable[Turn], day: date, dialogue: str = "", facts: Facts | None = None
) -> list[Finding]:
    """Breaches in `turns`, judged by the rules of `book` in force on `day`; stated numbers only against `facts`."""
    turns, book = tuple(turns), book.on(day)
    said = [
        (number, Said.by(turn.speaker, turn.text, book.matcher(turn.speaker).find(turn.text)))
        for number, turn in enumerate(turns)
    ]
    due = frozenset(rule.id for rule in book)
    return check_said(book, turns, day, dialogue, said, due, _untrue(book, turns, facts, dialogue) if facts else ())


@dataclass(frozen=True, slots=True)
class Said:
    """What one turn says that rules ask about: phrases, rates with the annual rate in percent of each, and offers."""

    hits: Sequence[Hit] = ()
    rates: Sequence[tuple[Stated, float]] = ()
    offers: Sequence[Stated] = ()

    @classmethod
    def by(cls, speaker: Speaker, text: str, hits: Sequence[Hit]) -> Said:
        """`hits` and the numbers of a text; only the agent's count."""
        return cls(hits, tuple(rates(text)), tuple(offers(text))) if speaker == "agent" else cls(hits)


def check_said(
    book: Rulebook,
    turns: tuple[Turn, ...],
    day: date,
    dialogue: str,
    said: Sequence[tuple[int, Said]],
    due: Collection[str],
    untrue: Iterable[Finding] = (),
) -> list[Finding]:
    """Breaches of the rules of `book` (all in force on `day`), and `untrue`, by turn.

    Args:
        said: turns by number and what they say, also by the measure of rules that are not in `book`; a turn that is not
            named says nothing.
        due: ids of the disclosure rules that may have become due; those due in every dialogue need not be named.
    """
    found = [
        *_phrases(book, turns, dialogue, said),
        *_stated(book, turns, day, dialogue, said),
        *untrue,
        *_disclosures(book, turns, dialogue, due),
    ]
    return sorted(found, key=lambda finding: (finding.turn or 0, finding.start or 0, finding.rule))


def check_contacts(book: Rulebook, contacts: Iterable[Contact]) -> list[Finding]:
    """Breaches in a contact log, each contact judged by the rules in force on its local day."""
    log = list(contacts)
    found = []
    for rule, check in book.having(ContactCheck):
        for breach in breaches(check, log):
            if rule.in_force(breach.contact.local.date()):
                found.append(
                    Finding(
                        rule=rule.id,
                        evidence=breach.evidence,
                        severity=rule.severity,
                        action=rule.action,
                        customer=breach.contact.customer,
                        contact=breach.index,
                    )
                )
    return sorted(found, key=lambda finding: (finding.contact or 0, finding.rule))


def _finding(rule: Rule, dialogue: str, turn: int, text: str, start: int, end: int, evidence: str = "") -> Finding:
    return Finding(
        rule=rule.id,
        dialogue=dialogue,
        turn=turn,
        start=start,
        end=end,
        evidence=evidence or text[start:end],
        severity=rule.severity,
        action=rule.action,
    )


def _phrases(
    book: Rulebook, turns: tuple[Turn, ...], dialogue: str, said: Sequence[tuple[int, Said]]
) -> Iterator[Finding]:
    # What hits one rule does not depend on the others.
    wanted = book.prepared(_ids)
    for number, one in said:
        for hit in one.hits:
            if hit.rule.id in wanted:
                yield _finding(hit.rule, dialogue, number, turns[number].text, hit.start, hit.end)


def _ids(book: Rulebook) -> frozenset[str]:
    return frozenset(rule.id for rule in book)


def _stated(
    book: Rulebook, turns: tuple[Turn, ...], day: date, dialogue: str, said_by_turn: Sequence[tuple[int, Said]]
) -> Iterator[Finding]:
    number_rules, offer_rules = book.having(NumberCheck), book.having(OfferCheck)
    for number, one in said_by_turn:
        turn = turns[number]
        for stated, annual in one.rates:
            for rule, check in number_rules:
                limit = rate_limit(book, check, day)
                if check.quantity == stated.quantity and limit is not None and annual > limit + 1e-9:
                    said = turn.text[stated.start : stated.end]
                    evidence = f"{said}: {annual:g}% a year (simple), {limit:g}% is the limit"
                    yield _finding(rule, dialogue, number, turn.text, stated.start, stated.end, evidence)
        for offer in one.offers:
            for rule, offered in offer_rules:
                if offered.quantity == offer.quantity and offer.value > offered.maximum:
                    said = turn.text[offer.start : offer.end]
                    evidence = f"{said}: {offer.value:g}, {offered.maximum:g} is the limit of the policy"
                    yield _finding(rule, dialogue, number, turn.text, offer.start, offer.end, evidence)


def _untrue(book: Rulebook, turns: tuple[Turn, ...], facts: Facts, dialogue: str) -> Iterator[Finding]:
    rules = book.having(StatementCheck)
    for number, turn in enumerate(turns):
        if turn.speaker != "agent" or not rules:
            continue
        for said in check_statements(turn.text, facts):
            for rule, check in rules:
                if said.verdict in check.verdicts:
                    yield _finding(rule, dialogue, number, turn.text, said.start, said.end, said.reason)


def rate_limit(book: Rulebook, check: NumberCheck, day: date) -> float | None:
    """Largest permitted simple annual rate in percent on `day`; None when the LPR of that day is not known."""
    limits = [check.maximum_percent] if check.maximum_percent is not None else []
    lpr = book.lpr_on(day)
    if check.maximum_lpr_multiple is not None and lpr is not None:
        limits.append(check.maximum_lpr_multiple * lpr)
    return min(limits, default=None)


def _disclosures(book: Rulebook, turns: tuple[Turn, ...], dialogue: str, due: Collection[str]) -> Iterator[Finding]:
    rules = [(rule, check) for rule, check in book.having(DisclosureCheck) if not check.when or rule.id in due]
    spoken = [(number, turn.text) for number, turn in enumerate(turns) if turn.speaker == "agent"] if rules else []
    for rule, check in rules if spoken else ():
        for position, start, end in _due(book, rule, check, spoken):
            if not any(book.phrases(rule, "require").find(text) for text in _where(check, spoken, position)):
                number, text = spoken[position]
                yield _finding(rule, dialogue, number, text, start, end, f"not said: {rule.title}")
                break


def _due(
    book: Rulebook, rule: Rule, check: DisclosureCheck, spoken: list[tuple[int, str]]
) -> Iterator[tuple[int, int, int]]:
    """Where a disclosure falls due: position among the agent's turns, and the characters that made it due."""
    if not check.when:
        yield 0, 0, len(spoken[0][1])
        return
    for position, (_, text) in enumerate(spoken):
        for hit in book.phrases(rule, "when").find(text):
            yield position, hit.start, hit.end


def _where(check: DisclosureCheck, spoken: list[tuple[int, str]], position: int) -> list[str]:
    texts = [text for _, text in spoken]
    return {
        "same_turn": texts[position : position + 1],
        "first_turn": texts[:1],
        "next_turn": texts[position : position + 2],
        "dialogue": texts,
    }[check.within]
