"""Which sentences need the phrase matcher at all: a test by sound that costs a few microseconds per piece of a stream.

A phrase rule names word sets that must all be said in one sentence. The sieve hears the words (by their sound, so every
disguise that keeps the sound is heard too) and says how far text can be released: up to the first word that may begin a
phrase and is still near enough for the next word of that phrase. As soon as all words of some phrase have been heard in
order, or the text spells words in letters or split characters, the matcher decides.

Work is done when the most telling word of a phrase is heard, which is rare: what must stand before it is looked for
among the words heard lately, what must follow is waited for.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from typing import Final

from tianjing.rulebook import PhraseMatcher
from tianjing.rulebook.automaton import Automaton
from tianjing.rulebook.components import JOINED
from tianjing.rulebook.folding import CODES, PLAIN, SKIP, STOP, fold
from tianjing.rulebook.lexicon import Entry, bits, disguised

# What a character does: most are heard, and nothing else.
HEARD, LETTER, HALF, SKIPPED, ENDS = 0, 1, 2, 3, 4
_HALVES: Final = frozenset(first for first, _ in JOINED)
# A text may hold any character, and a sound many written forms; only so many are kept.
_MOST_KEPT: Final = 200_000
# Of how many other words a word remembers what they mean together.
_MOST_PAIRS: Final = 1_000


class Phrase:
    """A phrase seen from its most telling word.

    Attributes:
        before: (word set, most cells between it and the word behind it) of each word before, the nearest first.
        after: (word set, most cells between it and the word before it, cells of its longest word) of each word behind.
    """

    __slots__ = ("after", "before")

    def __init__(self, sets: tuple[int, ...], gaps: tuple[int, ...], at: int, longest: list[int]):
        self.before = tuple((sets[step], gaps[step + 1]) for step in reversed(range(at)))
        self.after = tuple((sets[step], gaps[step], longest[sets[step]]) for step in range(at + 1, len(sets)))


class Word:
    """What hearing a word means.

    Attributes:
        sets: the word sets it belongs to.
        alone: phrases of which it is the most telling word and the first.
        gap: most cells between it and the nearest word before it, over the other phrases of which it is the most
            telling word; -1: there are none.
        near: cells behind the word in which the second word of a phrase may end; 0: it begins no phrase.
        far: the same for the last word, once a second word has been heard.
    """

    __slots__ = ("_following", "_later", "_leading", "_seconds", "alone", "far", "gap", "near", "sets")

    def __init__(self, sets: frozenset[int], phrases: Iterable[Phrase], near: int, far: int, seconds: frozenset[int]):
        self.sets = sets
        self.near = near
        self.far = far
        alone: list[Phrase] = []
        later: list[Phrase] = []
        for phrase in phrases:
            (later if phrase.before else alone).append(phrase)
        self.alone = tuple(alone)
        self.gap = max((phrase.before[0][1] for phrase in later), default=-1)
        self._later = later
        self._seconds = seconds
        self._leading: dict[Word, bool] = {}
        self._following: dict[Word, tuple[Phrase, ...]] = {}

    def leads_to(self, other: Word) -> bool:
        """Whether `other` may be the second word of a phrase that begins with this one."""
        known = self._leading.get(other)
        if known is None:
            known = not self._seconds.isdisjoint(other.sets)
            if len(self._leading) < _MOST_PAIRS:
                self._leading[other] = known
        return known

    def following(self, other: Word) -> tuple[Phrase, ...]:
        """Phrases of which it is the most telling word, with `other` the nearest word before it."""
        known = self._following.get(other)
        if known is None:
            known = tuple(phrase for phrase in self._later if phrase.before[0][0] in other.sets)
            if len(self._following) < _MOST_PAIRS:
                self._following[other] = known
        return known


NO_WORD: Final = Word(frozenset(), (), 0, 0, frozenset())


class _Sound:
    """The words that sound alike."""

    __slots__ = ("_heard", "_sieve", "_words")

    def __init__(self, sieve: Sieve, words: tuple[Entry, ...]):
        self._sieve = sieve
        self._words = words
        self._heard: dict[str, Word] = {}

    def word(self, said: str) -> Word:
        """What is heard when `said`, which has this sound, is said; `NO_WORD`: none of these words."""
        known = self._heard.get(said)
        if known is not None:
            return known
        sets = 0
        for chars, mask in self._words:
            if chars == said or _plausible(chars, said):
                sets |= mask
        word = self._sieve.word(sets) if sets else NO_WORD
        if self._sieve.kept < _MOST_KEPT:
            self._sieve.kept += 1
            self._heard[said] = word
        return word


class Char:
    """A character: its sound, what it is compared as, what it does, and the word that it is by itself."""

    __slots__ = ("code", "does", "plain", "word")

    def __init__(self, code: str, plain: str, does: int, word: Word | None):
        self.code = code
        self.plain = plain
        self.does = does
        self.word = word


class Sieve:
    """Compiled from a matcher; shared by all streams."""

    def __init__(self, matcher: PhraseMatcher):
        lexicon = matcher.lexicon
        count, longest = len(lexicon.sets), lexicon.longest
        self._near, self._far = [0] * count, [0] * count
        self._seconds: list[frozenset[int]] = [frozenset()] * count
        self._phrases: list[tuple[Phrase, ...]] = [()] * count
        self.span = 1
        self.kept = 0  # written forms and steps that are remembered
        firsts = set()
        for key, group in enumerate(matcher.by_key):
            for pattern in group:
                sets, gaps, context = pattern.sets, pattern.gaps, pattern.context
                steps = [gap + longest[number] for number, gap in zip(sets, gaps, strict=True)]
                self.span = max(self.span, sum(steps))
                first, rest = sets[context], steps[context + 1 :]
                firsts.add(first)
                if rest:
                    self._near[first] = max(self._near[first], rest[0])
                    self._far[first] = max(self._far[first], sum(rest))
                if len(rest) > 1:
                    self._seconds[first] |= {sets[context + 1]}
                self._phrases[key] += (Phrase(sets, gaps, sets.index(key), longest),)
        self._words: dict[int, Word] = {}
        # A word of one cell is heard only as it is written.
        single: dict[str, int] = {}
        sounds: dict[str, _Sound] = {}
        opening: set[str] = set()
        for sound, entries in lexicon.entries.items():
            if len(sound) == 1:
                for chars, mask in entries:
                    # A syllable in letters is the matcher's.
                    if chars.isascii() == sound.isascii():
                        single[chars] = single.get(chars, 0) | mask
                continue
            sounds[sound] = _Sound(self, entries)
            if any(number in firsts for _, mask in entries for number in bits(mask)):
                opening.add(sound)
        self._single = {chars: self.word(sets) for chars, sets in single.items()}
        self.chars: dict[str, Char] = {}
        self.longest = max(map(len, sounds), default=1)
        self.automaton = Automaton(sounds, frozenset(opening))

    def word(self, sets: int) -> Word:
        """What hearing a word of these sets (as bits) means."""
        known = self._words.get(sets)
        if known is None:
            numbers = frozenset(bits(sets))
            known = self._words[sets] = Word(
                numbers,
                [phrase for number in sorted(numbers) for phrase in self._phrases[number]],
                max(self._near[number] for number in numbers),
                max(self._far[number] for number in numbers),
                frozenset().union(*(self._seconds[number] for number in numbers)),
            )
        return known

    def follow(self, state: int, code: str) -> int:
        """The automaton's next state where it has no step of its own; the next time it has."""
        following = self.automaton.after(state, code)
        if self.kept < _MOST_KEPT:
            self.kept += 1
            self.automaton.step[state][code] = following
        return following

    def char(self, char: str) -> Char:
        """What hearing this character means."""
        code, plain = sys.intern(CODES[ord(char)]), PLAIN[ord(char)]
        if code == STOP:
            does = ENDS
        elif code == SKIP:
            does = SKIPPED
        elif "a" <= code <= "z":
            does = LETTER
        else:
            does = HALF if plain in _HALVES else HEARD
        known = Char(code, plain, does, self._single.get(plain))
        if len(self.chars) < _MOST_KEPT:
            self.chars[char] = known
        return known


# Nothing around it, nothing spelt in letters.
_NO_CELLS: Final = fold("")


@functools.lru_cache(maxsize=65536)
def _plausible(word: str, said: str) -> bool:
    """Whether `said`, which sounds like `word`, may stand for it."""
    return disguised(word, said, 0, _NO_CELLS)
