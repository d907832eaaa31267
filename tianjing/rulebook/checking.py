"""Run a book over dialogues, contact logs and offers: what is broken, where, and what is to be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from tianjing.config import StrictModel
from tianjing.finance.statements import Facts, check_statements
from tianjing.records import DEFAULT_TIME_ZONE, Contact, Dialogue, Turn
from tianjing.rulebook.book import Rulebook
from tianjing.rulebook.contacts import breaches
from tianjing.rulebook.numbers import offers, rates
from tianjing.rulebook.schema import (
    Action,
    ContactCheck,
    DisclosureCheck,
    Institution,
    NumberCheck,
    OfferCheck,
    PhraseCheck,
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
    every = range(len(turns))
    suspects = Suspects(every, every, frozenset(rule.id for rule in book))
    return check_suspects(book, turns, day, dialogue, suspects, _untrue(book, turns, facts, dialogue) if facts else ())


@dataclass(frozen=True, slots=True)
class Suspects:
    """What is worth a look in one dialogue: turns whose phrases, and turns whose numbers, may break a rule, and the
    ids of the disclosure rules that may have become due. Those due in every dialogue need not be named."""

    phrases: Iterable[int]
    numbers: Iterable[int]
    due: Collection[str]


def check_suspects(
    book: Rulebook,
    turns: tuple[Turn, ...],
    day: date,
    dialogue: str,
    suspects: Suspects,
    untrue: Iterable[Finding] = (),
    larger: Rulebook | None = None,
) -> list[Finding]:
    """Breaches of the rules of `book` (all in force on `day`) where `suspects` says, and `untrue`, by turn.

    Args:
        larger: a book that holds these rules and others; its phrase matcher, made once, then serves for all its parts.
    """
    found = [
        *_phrases(book, turns, dialogue, suspects.phrases, larger or book),
        *_stated(book, turns, day, dialogue, suspects.numbers),
        *untrue,
        *_disclosures(book, turns, dialogue, suspects.due),
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
    book: Rulebook, turns: tuple[Turn, ...], dialogue: str, numbers: Iterable[int], larger: Rulebook
) -> Iterator[Finding]:
    # What hits one rule does not depend on the others.
    wanted = {rule.id for rule, _ in book.having(PhraseCheck)}
    for number in numbers:
        turn = turns[number]
        for hit in larger.matcher(turn.speaker).find(turn.text):
            if hit.rule.id not in wanted:
                continue
            yield _finding(hit.rule, dialogue, number, turn.text, hit.start, hit.end)


def _stated(
    book: Rulebook, turns: tuple[Turn, ...], day: date, dialogue: str, numbers: Iterable[int]
) -> Iterator[Finding]:
    number_rules, offer_rules = book.having(NumberCheck), book.having(OfferCheck)
    for number in numbers:
        turn = turns[number]
        if turn.speaker != "agent":
            continue
        for stated, annual in rates(turn.text):
            for rule, check in number_rules:
                limit = rate_limit(book, check, day)
                if check.quantity == stated.quantity and limit is not None and annual > limit + 1e-9:
                    said = turn.text[stated.start : stated.end]
                    evidence = f"{said}: {annual:g}% a year (simple), {limit:g}% is the limit"
                    yield _finding(rule, dialogue, number, turn.text, stated.start, stated.end, evidence)
        for offer in offers(turn.text):
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
    spoken = [(number, turn.text) for number, turn in enumerate(turns) if turn.speaker == "agent"]
    for rule, check in book.having(DisclosureCheck):
        if not spoken or (check.when and rule.id not in due):
            continue
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
