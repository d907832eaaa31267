"""A rule's examples are its unit tests: each breach is found by that rule, each fine one is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tianjing.records import Turn
from tianjing.rulebook.book import Rulebook
from tianjing.rulebook.checking import check_contacts, check_turns
from tianjing.rulebook.schema import Example, ExampleDialogue, ExampleLog, HumanCheck, PhraseCheck, Rule


@dataclass(frozen=True, slots=True)
class Case:
    """One example of a rule and what it must show."""

    rule: Rule
    example: Example
    breach: bool

    def __str__(self) -> str:
        return f"{self.rule.id} {'breach' if self.breach else 'fine'}: {self.example!s:.60}"


def cases(book: Rulebook) -> Iterator[Case]:
    """Every example of every rule that can be checked."""
    for rule in book:
        if not isinstance(rule.check, HumanCheck):
            yield from (Case(rule, example, True) for example in rule.examples.breach)
            yield from (Case(rule, example, False) for example in rule.examples.fine)


def holds(book: Rulebook, case: Case) -> bool:
    """Whether the rule finds the breach, or leaves the fine example alone."""
    rule, example = case.rule, case.example
    if isinstance(example, ExampleLog):
        found = check_contacts(book, example.contacts)
    else:
        speaker = rule.check.speaker if isinstance(rule.check, PhraseCheck) else "agent"
        turns = (
            tuple(Turn(speaker=turn.speaker, text=turn.text) for turn in example.turns)
            if isinstance(example, ExampleDialogue)
            else (Turn(speaker=speaker, text=example),)
        )
        day = example.day if isinstance(example, ExampleDialogue) and example.day else rule.effective_from
        facts = example.facts if isinstance(example, ExampleDialogue) else None
        found = check_turns(book, turns, day, facts=facts)
    return any(finding.rule == rule.id for finding in found) == case.breach


def untested(book: Rulebook) -> list[str]:
    """Complaints about rules that lack an example on either side."""
    return [
        f"rule '{rule.id}': field 'examples': at least one 'breach' and one 'fine' example are needed"
        for rule in book
        if not isinstance(rule.check, HumanCheck) and not (rule.examples.breach and rule.examples.fine)
    ]
