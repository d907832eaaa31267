"""Run a book over many dialogues at once: the findings of `check_dialogue`, many times faster.

Nearly every turn of a lawful corpus breaks no rule. Screens that read all turns together with arrays say which turns
may break one, and only those are checked; a screen never overlooks a breach (`screening.py`, `cues.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tianjing.records import Dialogue, Speaker
from tianjing.rulebook.book import Rulebook
from tianjing.rulebook.checking import Finding, Said, check_said, local_day
from tianjing.rulebook.matcher import Hit, PhraseMatcher
from tianjing.rulebook.schema import DisclosureCheck, Institution, NumberCheck, OfferCheck, PhraseCheck

if TYPE_CHECKING:
    from tianjing.rulebook.screening import Screen

# Dialogues read together: more need more memory (about 20 KB each), fewer take longer (5 ms of work for each chunk).
_CHUNK_DIALOGUES = 8192
# Service talk repeats itself: so many texts of each kind of speaker are remembered with what they say, about 10 MB,
# and none longer than this, for the long ones do not come again.
_REMEMBERED_TEXTS = 65_536
_REMEMBERED_CHARS = 256
# The place of a turn: the number of its dialogue, then its own in so many bits.
_PLACE_BITS = 32


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
        self._matchers = {
            speaker: [book.matcher(speaker), *(book.phrases(rule, "when") for rule in due if speaker == "agent")]
            for speaker in dict.fromkeys(["agent", *(check.speaker for _, check in book.having(PhraseCheck))])
        }
        self._screens = {speaker: _screen(matchers) for speaker, matchers in self._matchers.items()}
        self._known: dict[Speaker, dict[str, _Noted | None]] = {speaker: {} for speaker in self._screens}
        offered = [check for _, check in book.having(OfferCheck)]
        self._reads_numbers = bool(offered or book.having(NumberCheck))
        self._instalments = min((c.maximum for c in offered if c.quantity == "instalments"), default=float("inf"))
        self._days = min((c.maximum for c in offered if c.quantity == "deferral_days"), default=float("inf"))
        # The rules in force change only on these days.
        self._changes = sorted(
            {rule.effective_from for rule in book}
            | {rule.effective_to + timedelta(days=1) for rule in book if rule.effective_to}
        )
        self._books: dict[tuple[str, int], Rulebook] = {}
        self._always_due: dict[str, bool] = {}

    def check(self, dialogues: Sequence[Dialogue]) -> Iterator[list[Finding]]:
        """The findings of each dialogue."""
        noted = self._noted(dialogues)
        for number, dialogue in enumerate(dialogues):
            here = noted.get(number, ())
            if here or self._is_always_due(dialogue.channel):
                day = local_day(dialogue)
                said = [(position, one.said) for position, one in here]
                due = {rule for _, one in here for rule in one.due}
                yield check_said(self._book_on(day, dialogue.channel), dialogue.turns, day, dialogue.id, said, due)
            else:
                yield []

    def _is_always_due(self, channel: str) -> bool:
        """Whether some rule asks for something in every dialogue of a channel."""
        if channel not in self._always_due:
            asked = self._book.within(channel=channel).having(DisclosureCheck)
            self._always_due[channel] = any(not check.when for _, check in asked)
        return self._always_due[channel]

    def _book_on(self, day: date, channel: str) -> Rulebook:
        key = channel, bisect_right(self._changes, day)
        if key not in self._books:
            self._books[key] = self._book.within(channel=channel).on(day)
        return self._books[key]

    def _noted(self, dialogues: Sequence[Dialogue]) -> dict[int, list[tuple[int, _Noted]]]:
        """By dialogue, the turns that say something, each with what it says."""
        said: dict[str, tuple[list[str], list[int]]] = {speaker: ([], []) for speaker in self._screens}
        for number, dialogue in enumerate(dialogues):
            for place, turn in enumerate(dialogue.turns, number << _PLACE_BITS):
                if turn.speaker in said:
                    texts, places = said[turn.speaker]
                    texts.append(turn.text)
                    places.append(place)
        found: dict[int, list[tuple[int, _Noted]]] = defaultdict(list)
        for speaker in self._screens:
            texts, places = said[speaker]
            for place, noted in zip(places, self._judged(speaker, texts), strict=True):
                if noted:
                    found[place >> _PLACE_BITS].append((place & (1 << _PLACE_BITS) - 1, noted))
        return found

    def _judged(self, speaker: Speaker, texts: list[str]) -> list[_Noted | None]:
        """For each text what it says, if anything."""
        known = self._known[speaker]
        distinct = dict.fromkeys(texts)
        new = [text for text in distinct if text not in known]
        if len(known) + len(new) > _REMEMBERED_TEXTS:
            known.clear()
            new = list(distinct)
        known.update(dict.fromkeys(new))
        known.update(self._read(speaker, new))
        judged = [known[text] for text in texts]
        for text in new:
            if len(text) > _REMEMBERED_CHARS:
                del known[text]
        if len(known) > _REMEMBERED_TEXTS:
            known.clear()
        return judged

    def _read(self, speaker: Speaker, texts: list[str]) -> dict[str, _Noted]:
        """Those of `texts` that say something."""
        hits: dict[int, tuple[Hit, ...]] = {}
        due: dict[int, list[str]] = defaultdict(list)
        for suspect in self._screens[speaker].suspects(texts):
            text = texts[suspect.text]
            if suspect.matcher:
                due[suspect.text].append(self._due[suspect.matcher - 1])
            elif suspect.patterns is None:
                hits[suspect.text] = tuple(self._matchers[speaker][0].find(text))
            else:
                hits[suspect.text] = tuple(self._matchers[speaker][0].find_only(text, suspect.patterns))
        numbers = frozenset(self._numbered(texts) if speaker == "agent" else ())
        found = {}
        for which in sorted({*hits, *due, *numbers}):
            said = Said(hits.get(which, ()))
            if which in numbers:
                said = Said.by(speaker, texts[which], said.hits)
            if said != _NOTHING or which in due:
                found[texts[which]] = _Noted(said, tuple(due.get(which, ())))
        return found

    def _numbered(self, texts: list[str]) -> list[int]:
        """Which of the agent's `texts` may state a number that a rule limits."""
        from tianjing.rulebook.cues import may_break

        return may_break(texts, self._instalments, self._days).nonzero()[0].tolist() if self._reads_numbers else []


def _screen(matchers: Sequence[PhraseMatcher]) -> Screen:
    from tianjing.rulebook.screening import Screen

    return Screen(matchers)


@dataclass(frozen=True, slots=True)
class _Noted:
    """What a text says, and the disclosure rules that it may make due."""

    said: Said
    due: tuple[str, ...]


_NOTHING = Said()
