"""Which sentences need the phrase matcher at all: a test by sound that costs a few microseconds per piece of a stream.

A phrase rule names word sets that must all be said in one sentence. The sieve hears the words (by their sound, so every
disguise that keeps the sound is heard too) and says how far text can be released: up to the first word that may begin a
phrase and is still near enough for the next word of that phrase. As soon as all words of some phrase have been heard in
order, or the text spells words in letters or split characters, the matcher decides.
"""

from __future__ import annotations

import functools
import itertools
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tianjing.rulebook import PhraseMatcher
from tianjing.rulebook.automaton import Automaton
from tianjing.rulebook.components import JOINED
from tianjing.rulebook.folding import CODES, LETTER_RUN_CHARS, PLAIN, SKIP, STOP, fold, syllables
from tianjing.rulebook.lexicon import bits, disguised

_LETTERS = re.compile("[a-z]+")
_HALVES = frozenset(first for first, _ in JOINED)
_HALF = re.compile(f"[{''.join(sorted(_HALVES))}]")


# (set, cells that may lie before it) of each word of a phrase
_Steps = tuple[tuple[int, int], ...]
# (all sets as bits, the last of them as a bit, the steps in order)
_Phrase = tuple[int, int, _Steps]


@dataclass(frozen=True, slots=True)
class _Word:
    """What hearing a word means: `sets` it belongs to, as bits, and how many cells behind it a phrase may go on."""

    chars: str
    sets: int
    near: int  # cells behind the word in which the second word of a phrase may end; 0: it begins no phrase
    far: int  # the same for the last word, once a word of `seconds` has been heard
    seconds: int


class Sieve:
    """Compiled from a matcher; shared by all streams."""

    def __init__(self, matcher: PhraseMatcher):
        lexicon = matcher.lexicon
        patterns = {id(pattern): pattern for group in matcher.by_key for pattern in group}.values()
        near, far = [0] * len(lexicon.sets), [0] * len(lexicon.sets)
        seconds = [0] * len(lexicon.sets)
        # Phrases by their most telling set: all their sets as bits, the last of them, and the steps in order.
        self.by_key: list[list[_Phrase]] = [[] for _ in lexicon.sets]
        self.span = 1
        for pattern in patterns:
            steps = [gap + lexicon.longest[number] for number, gap in zip(pattern.sets, pattern.gaps, strict=True)]
            self.span = max(self.span, sum(steps))
            first, rest = pattern.sets[pattern.context], steps[pattern.context + 1 :]
            if rest:
                near[first] = max(near[first], rest[0])
                far[first] = max(far[first], sum(rest))
            if len(rest) > 1:
                seconds[first] |= 1 << pattern.sets[pattern.context + 1]
        for number, group in enumerate(matcher.by_key):
            phrases = {(p.needed, 1 << p.sets[-1], tuple(zip(p.sets, p.gaps, strict=True))) for p in group}
            self.by_key[number] = sorted(phrases)
        self.keys = sum(1 << number for number, phrases in enumerate(self.by_key) if phrases)
        firsts = {pattern.sets[pattern.context] for pattern in patterns}
        heard: dict[str, tuple[_Word, ...]] = {}
        opening: set[str] = set()
        for key, values in lexicon.entries.items():
            words = []
            for chars, mask in values:
                numbers = tuple(bits(mask))
                following = functools.reduce(operator.or_, (seconds[number] for number in numbers))
                reach = max(near[number] for number in numbers), max(far[number] for number in numbers)
                words.append(_Word(chars, mask, *reach, following))
                if firsts.intersection(numbers):
                    opening.add(key)
            heard[key] = tuple(words)
        self.longest = max(map(len, heard), default=1)
        self.automaton = Automaton(heard, frozenset(opening))


@functools.lru_cache(maxsize=65536)
def _plausible(word: str, said: str) -> bool:
    """Whether `said`, which sounds like `word`, may stand for it."""
    return disguised(word, said, 0, fold(""))


def _is_pinyin(letters: str) -> bool:
    return 0 < len(letters) <= LETTER_RUN_CHARS and bool(syllables(letters))


class Hearing:
    """The sieve at work on one stream. Positions count from the beginning of the stream."""

    def __init__(self, sieve: Sieve):
        self._sieve = sieve
        self.position = 0
        self.sentence = 0  # where the present sentence begins
        self.complete = False  # the words of some phrase have been heard: the matcher should look
        self._half = ""  # the last plain character, if it may be the first half of a split one
        self._letters = ""  # the run of letters at the end
        self._before_open: int | None = None  # what was decided before those; None: there are none
        self._reset()

    def _reset(self) -> None:
        """A sentence has ended: no phrase crosses it."""
        # The last cells, as many as a word has: what is written there, and where.
        self._chars = ""
        self._starts: list[int] = []
        self._cells = 0
        self._recent = self._before = 0  # sets heard in this stretch of `span` cells, and in the one before
        self._turn = 0
        self._armed: dict[_Phrase, int] = {}  # phrases of which the most telling set has been heard, and that set
        self._live: dict[_Steps, int] = {}  # phrases of which all sets have been heard, and their last sets
        self._words: list[tuple[int, int, int]] = []  # (first cell, cell behind it, sets) of the words heard lately
        # (position, cell behind it, word) of words that may begin a phrase
        self._open: list[tuple[int, int, _Word]] = []
        self._state = 0  # of the automaton

    def restart(self, position: int) -> None:
        """Go on from the beginning of a sentence."""
        self.position = self.sentence = position
        self._half = self._letters = ""
        self._before_open = None
        self.complete = False
        self._reset()

    def push(self, text: str) -> int | None:
        """Index up to which no phrase can begin but those that are complete (the matcher looks at them).

        None: nothing can be said about this sentence; the matcher looks at it up to its end, then `restart` comes.
        """
        codes, chars = text.translate(CODES), text.translate(PLAIN)
        if (self._letters or _LETTERS.search(codes)) and self._spells(codes):
            return None
        plain = self._half + chars
        if _HALF.search(plain) and any(pair in JOINED for pair in itertools.pairwise(plain)):
            return None
        self._half = plain[-1:] if plain[-1:] in _HALVES else ""
        # What the end of the text says is open while more letters, or the other half, may follow: nothing is decided
        # beyond what was decided before it, for it may go on with a word that begins there.
        letters = len(self._letters) if len(self._letters) <= LETTER_RUN_CHARS else 0
        known = len(text) - max(letters, len(self._half))
        if known == len(text):
            self._before_open = None
        elif known >= 0:
            if not self._take(codes[:known], chars[:known]):
                return None
            self._before_open = self._decided()
            codes, chars = codes[known:], chars[known:]
        if not self._take(codes, chars):
            return None
        return self._decided() if self._before_open is None else self._before_open

    def _take(self, codes: str, chars: str) -> bool:
        """Hear text of one or more sentences; False if one that has ended may hold a phrase."""
        position = self.position
        self.position += len(codes)
        if STOP in codes:
            *ended, codes = codes.split(STOP)
            for sentence in ended:
                self._hear(sentence, chars, position)
                if self.complete:
                    return False
                chars = chars[len(sentence) + 1 :]
                position += len(sentence) + 1
                self._reset()
                self.sentence = position
        self._hear(codes, chars, position)
        return True

    def close(self) -> bool:
        """Whether the text may end here without a look of the matcher."""
        return not _is_pinyin(self._letters)

    def _spells(self, codes: str) -> bool:
        """Whether some run of letters that ends here spells syllables."""
        codes = self._letters + codes
        self._letters = ""
        for run in _LETTERS.finditer(codes):
            if run.end() == len(codes):
                self._letters = run[0][: LETTER_RUN_CHARS + 1]
            elif _is_pinyin(run[0]):
                return True
        return False

    def _hear(self, codes: str, chars: str, position: int) -> None:
        """Take cells of one sentence."""
        if not codes:
            return
        starts: Iterable[int] = range(position, position + len(codes))
        if SKIP in codes:
            seen = [item for item in zip(starts, codes, chars, strict=False) if item[1] != SKIP]
            starts = [start for start, _, _ in seen]
            codes, chars = "".join(code for _, code, _ in seen), "".join(char for _, _, char in seen)
        if self._cells - self._turn > self._sieve.span:
            # No phrase reaches back behind the stretch that ends here.
            self._before, self._recent = self._recent, 0
            self._armed = {phrase: key for phrase, key in self._armed.items() if key & self._before}
            self._words = [word for word in self._words if word[1] > self._turn]
            self._turn = self._cells
        known = len(self._chars)
        self._chars += chars[: len(codes)]
        self._starts += starts
        said, opened, words_heard, new = self._chars, self._open, self._words, 0
        shift = self._cells - known
        automaton, state = self._sieve.automaton, self._state
        step, fail, found = automaton.step, automaton.fail, automaton.found
        for end, code in enumerate(codes, known + 1):
            following = step[state].get(code)
            while following is None and state:
                state = fail[state]
                following = step[state].get(code)
            state = following or 0
            for size, words in found[state]:
                heard = said[end - size : end]
                for word in words:
                    if word.chars == heard or (size > 1 and _plausible(word.chars, heard)):
                        new |= word.sets
                        behind = shift + end
                        words_heard.append((behind - size, behind, word.sets))
                        if word.near:
                            opened.append((self._starts[end - size], behind, word))
        self._state = state
        self._cells += len(codes)
        keep = self._sieve.longest
        if len(said) > keep:
            self._chars, self._starts = said[-keep:], self._starts[-keep:]
        if new:
            self._note(new)

    def _note(self, new: int) -> None:
        """Remember the sets heard just now; the last of a phrase may be among them."""
        heard = self._recent | self._before
        self._recent |= new
        for key in bits(new & ~heard & self._sieve.keys):
            self._armed.update(dict.fromkeys(self._sieve.by_key[key], 1 << key))
        if self._armed:
            missing = ~(heard | new)
            for phrase in [phrase for phrase in self._armed if not phrase[0] & missing]:
                del self._armed[phrase]
                self._live[phrase[2]] = phrase[1]
        if self._live and any(new & last and self._in_order(steps) for steps, last in self._live.items()):
            self.complete = True

    def _in_order(self, steps: _Steps) -> bool:
        """Whether the words of a phrase have been heard lately in its order, and near enough to one another."""
        (first, _), *following = steps
        ends = [end for _, end, sets in self._words if sets >> first & 1]
        for number, gap in following:
            ends = [
                end
                for begin, end, sets in self._words
                if sets >> number & 1 and any(behind <= begin <= behind + gap for behind in ends)
            ]
        return bool(ends)

    def _decided(self) -> int:
        decided, cells = self.position, self._cells
        if self._open:
            heard = self._recent | self._before
            self._open = [
                item
                for item in self._open
                if cells < item[1] + (item[2].far if item[2].seconds & heard else item[2].near)
            ]
            if self._open:
                decided = min(decided, *(item[0] for item in self._open))
        if unfinished := self._sieve.automaton.unfinished[self._state]:
            decided = min(decided, self._starts[-unfinished])
        return decided
