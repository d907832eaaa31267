"""Run a book over many dialogues at once: the findings of `check_dialogue`, many times faster.

Nearly every turn of a lawful corpus breaks no rule. Screens that read all turns together with arrays say which turns
may break one, and only those are checked; a screen never overlooks a breach (`screening.py`, `cues.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tianjing.records import Dialogue, Speaker
from tianjing.rulebook.book import Rulebook
from tianjing.rulebook.checking import Finding, Suspects, check_suspects, local_day
from tianjing.rulebook.matcher import PhraseMatcher
from tianjing.rulebook.schema import DisclosureCheck, Institution, NumberCheck, OfferCheck, PhraseCheck

if TYPE_CHECKING:
    from tianjing.rulebook.screening import Screen

# Dialogues read together: more need more memory (about 20 KB each), fewer take longer (5 ms of work for each chunk).
_CHUNK_DIALOGUES = 8192


def check_many(
    book: Rulebook, dialogues: Sequence[Dialogue], institution: Institution | None = None, product: str | None = None
) -> list[list[Finding]]:
    """`[check_dialogue(book, dialogue, institution, product) for dialogue in dialogues]`, for thousands at a time.

    The first call on a book prepares its screens, which takes about a second for the shipped packs.
    """
    scope = book.within(institution, product)
    checker = scope.prepared(_Checker)
    return [
        found
        for start in range(0, len(dialogues), _CHUNK_DIALOGUES)
        for found in checker.check(dialogues[start : start + _CHUNK_DIALOGUES])
    ]


class _Checker:
    """The screens of one book in one scope."""

    def __init__(self, book: Rulebook):
        self._book = book
        due = [rule for rule, check in book.having(DisclosureCheck) if check.when]
        self._due = [rule.id for rule in due]
        self._screens = {
            speaker: self._screen(speaker, [book.phrases(rule, "when") for rule in due] if speaker == "agent" else [])
            for speaker in dict.fromkeys(["agent", *(check.speaker for _, check in book.having(PhraseCheck))])
        }
        offers = [check for _, check in book.having(OfferCheck)]
        self._reads_numbers = bool(offers or book.having(NumberCheck))
        self._instalments = min((c.maximum for c in offers if c.quantity == "instalments"), default=float("inf"))
        self._days = min((c.maximum for c in offers if c.quantity == "deferral_days"), default=float("inf"))
        # The rules in force change only on these days.
        self._changes = sorted(
            {rule.effective_from for rule in book}
            | {rule.effective_to + timedelta(days=1) for rule in book if rule.effective_to}
        )
        self._books: dict[tuple[str, int], tuple[Rulebook, bool]] = {}

    def check(self, dialogues: Sequence[Dialogue]) -> Iterator[list[Finding]]:
        """The findings of each dialogue."""
        suspects = self._suspects(dialogues)
        for number, dialogue in enumerate(dialogues):
            day = local_day(dialogue)
            book, always_due = self._book_on(day, dialogue.channel)
            if number in suspects:
                yield check_suspects(book, dialogue.turns, day, dialogue.id, suspects[number], larger=self._book)
            elif always_due:
                yield check_suspects(book, dialogue.turns, day, dialogue.id, _NONE, larger=self._book)
            else:
                yield []

    def _book_on(self, day: date, channel: str) -> tuple[Rulebook, bool]:
        """The book of a day and channel, and whether it asks for something in every dialogue."""
        key = channel, bisect_right(self._changes, day)
        if key not in self._books:
            book = self._book.within(channel=channel).on(day)
            always = any(not check.when for _, check in book.having(DisclosureCheck))
            self._books[key] = book, always
        return self._books[key]

    def _suspects(self, dialogues: Sequence[Dialogue]) -> dict[int, Suspects]:
        from tianjing.rulebook.cues import may_break

        texts: dict[Speaker, list[str]] = {speaker: [] for speaker in self._screens}
        places: dict[Speaker, list[tuple[int, int]]] = {speaker: [] for speaker in self._screens}
        for number, dialogue in enumerate(dialogues):
            for position, turn in enumerate(dialogue.turns):
                if turn.speaker in texts:
                    texts[turn.speaker].append(turn.text)
                    places[turn.speaker].append((number, position))
        found: dict[int, _Marks] = defaultdict(_Marks)
        for speaker, screen in self._screens.items():
            for label, which in zip(*screen.possible(texts[speaker]).nonzero(), strict=True):
                number, position = places[speaker][which]
                if label:
                    found[number].due.add(self._due[label - 1])
                else:
                    found[number].phrases.append(position)
        if self._reads_numbers:
            for which in may_break(texts["agent"], self._instalments, self._days).nonzero()[0]:
                number, position = places["agent"][which]
                found[number].numbers.append(position)
        return {number: Suspects(sorted(marks.phrases), marks.numbers, marks.due) for number, marks in found.items()}

    def _screen(self, speaker: Speaker, others: Sequence[PhraseMatcher]) -> Screen:
        from tianjing.rulebook.screening import Screen

        return Screen([self._book.matcher(speaker), *others])


@dataclass
class _Marks:
    """`Suspects` of one dialogue, being collected."""

    phrases: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    due: set[str] = field(default_factory=set)


_NONE = Suspects((), (), ())
