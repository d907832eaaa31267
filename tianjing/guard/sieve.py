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

from tianjing.rulebook import PhraseMatcher
from tianjing.rulebook.automaton import Automaton
from tianjing.rulebook.components import JOINED
from tianjing.rulebook.folding import CODES, LETTER_RUN_CHARS, PLAIN, SKIP, SKIP_RUN_CHARS, STOP, fold, syllables
from tianjing.rulebook.lexicon import Entry, bits, disguised

# What a character does: most are heard, and nothing else.
_HEARD, _LETTER, _HALF, _SKIPPED, _ENDS = 0, 1, 2, 3, 4
_HALVES = frozenset(first for first, _ in JOINED)
# A text may hold any character, and a sound many written forms; only so many are kept.
_MOST_KEPT = 200_000
# Heard lately; past this those too far back for any phrase are dropped.
_MOST_WORDS = 512


class _Phrase:
    """A phrase seen from its most telling word.

    Attributes:
        before: (word set, most cells between it and the word behind it) of each word before, the nearest first.
        after: (word set, most cells between it and the word before it, cells of its longest word) of each word behind.
    """

    __slots__ = ("after", "before")

    def __init__(self, sets: tuple[int, ...], gaps: tuple[int, ...], at: int, longest: list[int]):
        self.before = tuple((sets[step], gaps[step + 1]) for step in reversed(range(at)))
        self.after = tuple((sets[step], gaps[step], longest[sets[step]]) for step in range(at + 1, len(sets)))


class _Word:
    """What hearing a word means.

    Attributes:
        sets: the word sets it belongs to.
        phrases: those of which it is the most telling word.
        near: cells behind the word in which the second word of a phrase may end; 0: it begins no phrase.
        far: the same for the last word, once a word of `seconds` has been heard.
    """

    __slots__ = ("far", "near", "phrases", "seconds", "sets")

    def __init__(
        self, sets: frozenset[int], phrases: tuple[_Phrase, ...], near: int, far: int, seconds: frozenset[int]
    ):
        self.sets = sets
        self.phrases = phrases
        self.near = near
        self.far = far
        self.seconds = seconds


class _Sound:
    """The words that sound alike."""

    __slots__ = ("_heard", "_sieve", "_words")

    def __init__(self, sieve: Sieve, words: tuple[Entry, ...]):
        self._sieve = sieve
        self._words = words
        self._heard: dict[str, _Word | None] = {}

    def word(self, said: str) -> _Word | None:
        """What is heard when `said`, which has this sound, is said; None: none of these words."""
        if said in self._heard:
            return self._heard[said]
        sets = 0
        for chars, mask in self._words:
            if chars == said or _plausible(chars, said):
                sets |= mask
        word = self._sieve.word(sets) if sets else None
        if self._sieve.kept < _MOST_KEPT:
            self._sieve.kept += 1
            self._heard[said] = word
        return word


class _Open:
    """A word that may begin a phrase: text from `position` on waits until cell `until`, or longer if it goes on."""

    __slots__ = ("behind", "near", "position", "until", "word")

    def __init__(self, position: int, behind: int, word: _Word):
        self.position = position
        self.behind = behind
        self.word = word
        self.until = behind + word.near
        self.near = True


class _Live:
    """A phrase heard up to a word that ends before cell `behind`; its next word is `phrase.after[step]`."""

    __slots__ = ("behind", "phrase", "step", "until")

    def __init__(self, phrase: _Phrase, step: int, behind: int):
        self.phrase = phrase
        self.step = step
        self.behind = behind
        _, gap, longest = phrase.after[step]
        self.until = behind + gap + longest


class _Char:
    """A character: its sound, what it is compared as, what it does, and the word that it is by itself."""

    __slots__ = ("code", "does", "plain", "word")

    def __init__(self, code: str, plain: str, does: int, word: _Word | None):
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
        self._phrases: list[tuple[_Phrase, ...]] = [()] * count
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
                self._phrases[key] += (_Phrase(sets, gaps, sets.index(key), longest),)
        self._words: dict[int, _Word] = {}
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
        self.chars: dict[str, _Char] = {}
        self.longest = max(map(len, sounds), default=1)
        self.automaton = Automaton(sounds, frozenset(opening))

    def word(self, sets: int) -> _Word:
        """What hearing a word of these sets (as bits) means."""
        known = self._words.get(sets)
        if known is None:
            numbers = frozenset(bits(sets))
            known = self._words[sets] = _Word(
                numbers,
                tuple(phrase for number in sorted(numbers) for phrase in self._phrases[number]),
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

    def char(self, char: str) -> _Char:
        """What hearing this character means."""
        code, plain = CODES[ord(char)], PLAIN[ord(char)]
        if code == STOP:
            does = _ENDS
        elif code == SKIP:
            does = _SKIPPED
        elif "a" <= code <= "z":
            does = _LETTER
        else:
            does = _HALF if plain in _HALVES else _HEARD
        known = _Char(code, plain, does, self._single.get(plain))
        if len(self.chars) < _MOST_KEPT:
            self.chars[char] = known
        return known


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
        self._step = sieve.automaton.step
        self._found = sieve.automaton.found
        self._unfinished = sieve.automaton.unfinished
        self._known = sieve.chars
        self._keep = sieve.longest
        self._span = sieve.span
        self.restart(0)

    def restart(self, position: int) -> None:
        """Go on from the beginning of a sentence."""
        self.position = position
        self._letters = ""  # the run of letters at the end
        self._half = ""  # the last character, if it may be the first half of a split one
        self._skipped = 0  # characters left out behind it
        # What the end of the text says is open while more letters, or the other half, may follow: nothing is decided
        # beyond what was decided before it, for it may go on with a word that begins there. -1: there is no such end.
        self._before_open = -1
        self._begin(position)

    def _begin(self, position: int) -> None:
        """A sentence begins: no phrase crosses its end."""
        self.sentence = position  # where the present sentence begins
        self.complete = False  # the words of some phrase have been heard: the matcher should look
        # The last cells, as many as a word has at least: what is written there, and where.
        self._chars = ""
        self._starts: list[int] = []
        self._cells = 0
        self._words: list[tuple[int, int, _Word]] = []  # (first cell, cell behind it, word) heard lately, by their ends
        self._live: list[_Live] = []
        self._open: list[_Open] = []
        self._state = 0  # of the automaton

    def push(self, text: str) -> int | None:
        """Index up to which no phrase can begin but those that are complete (the matcher looks at them).

        None: nothing can be said about this sentence; the matcher looks at it up to its end, then `restart` comes.
        """
        for char in text:
            known = self._known.get(char)
            if known is None:
                known = self._sieve.char(char)
            does = known.does
            if does or self._before_open >= 0 or self._letters:
                if self._goes_on(known):
                    return None
                if does == _SKIPPED:
                    self.position += 1
                    continue
            self._hear(known)
            self.position += 1
            if does == _ENDS:
                if self.complete:
                    return None
                self._begin(self.position)
        return self._before_open if self._before_open >= 0 else self._decided()

    def _goes_on(self, char: _Char) -> bool:
        """Note where a run of letters or a split character begins or ends; whether it spells something."""
        does = char.does
        if does == _LETTER:
            if not self._letters:
                self._freeze()
            elif len(self._letters) == LETTER_RUN_CHARS:
                self._before_open = -1  # too long for a word in letters
            if len(self._letters) <= LETTER_RUN_CHARS:
                self._letters += char.code
            self._half = ""
            return False
        if self._letters:
            if _is_pinyin(self._letters):
                return True
            self._letters = ""
            self._before_open = -1
        if does == _SKIPPED:
            self._skipped += 1
            if self._half and self._skipped > SKIP_RUN_CHARS:
                self._half = ""
                self._before_open = -1
            return False
        if self._half:
            if (self._half, char.plain) in JOINED:
                return True
            self._half = ""
            self._before_open = -1
        if does == _HALF:
            self._freeze()
            self._half = char.plain
            self._skipped = 0
        return False

    def _freeze(self) -> None:
        if self._before_open < 0:
            self._before_open = self._decided()

    def close(self) -> bool:
        """Whether the text may end here without a look of the matcher."""
        return not _is_pinyin(self._letters)

    def _hear(self, char: _Char) -> None:
        """Take one cell."""
        following = self._step[self._state].get(char.code)
        state = self._sieve.follow(self._state, char.code) if following is None else following
        self._state = state
        self._cells += 1
        cells = self._cells
        self._chars += char.plain
        self._starts.append(self.position)
        if len(self._starts) > 4 * self._keep:
            self._chars = self._chars[-self._keep :]
            del self._starts[: -self._keep]
        if char.word is not None:
            self._note(char.word, cells - 1, cells)
        for size, sound in self._found[state]:
            word = sound.word(self._chars[-size:])
            if word is not None:
                self._note(word, cells - size, cells)

    def _note(self, word: _Word, first: int, behind: int) -> None:
        """A word has been heard: it may open a phrase, carry one on, or be the most telling one of some."""
        if word.near:
            self._open.append(_Open(self._starts[first - behind], behind, word))
        words = self._words
        words.append((first, behind, word))
        if len(words) > _MOST_WORDS:
            self._words = words = [item for item in words if item[1] > behind - self._span]
        if self._live:
            self._carry_on(word, first, behind)
        for phrase in word.phrases:
            before = phrase.before
            if not before or self._preceded(before, first):
                if phrase.after:
                    self._live.append(_Live(phrase, 0, behind))
                else:
                    self.complete = True

    def _carry_on(self, word: _Word, first: int, behind: int) -> None:
        """The word may be the next one of a phrase that waits for it."""
        live: list[_Live] = []
        for item in self._live:
            if item.until < behind:
                continue
            live.append(item)
            number, gap, _ = item.phrase.after[item.step]
            if number in word.sets and item.behind <= first <= item.behind + gap:
                if item.step + 1 == len(item.phrase.after):
                    self.complete = True
                else:
                    live.append(_Live(item.phrase, item.step + 1, behind))
        self._live = live

    def _preceded(self, before: tuple[tuple[int, int], ...], first: int) -> bool:
        """Whether the words that must stand before cell `first` have been heard, in order and near enough."""
        words = self._words
        nearest = farthest = first
        starts = [first]
        for number, gap in before:
            found: list[int] = []
            for index in range(len(words) - 1, -1, -1):
                begin, end, word = words[index]
                if end < farthest - gap:
                    break
                if number in word.sets and (end <= nearest) and _near(starts, end, gap):
                    found.append(begin)
            if not found:
                return False
            starts, nearest, farthest = found, max(found), min(found)
        return True

    def _decided(self) -> int:
        """Index up to which no phrase can begin that is still open."""
        decided, cells = self.position, self._cells
        if self._open:
            waiting: list[_Open] = []
            for item in self._open:
                if cells >= item.until and not (item.near and self._second(item)):
                    continue
                waiting.append(item)
                if item.position < decided:
                    decided = item.position
            self._open = waiting
        unfinished = self._unfinished[self._state]
        if unfinished and self._starts[-unfinished] < decided:
            decided = self._starts[-unfinished]
        return decided

    def _second(self, item: _Open) -> bool:
        """Whether a second word has been heard behind the first, so that more may follow."""
        item.near = False
        seconds = item.word.seconds
        if seconds:
            for index in range(len(self._words) - 1, -1, -1):
                first, behind, word = self._words[index]
                if behind <= item.behind:
                    break
                if first >= item.behind and word.sets & seconds:
                    item.until = item.behind + item.word.far
                    return self._cells < item.until
        return False


def _near(starts: list[int], end: int, gap: int) -> bool:
    for start in starts:
        if 0 <= start - end <= gap:
            return True
    return False
