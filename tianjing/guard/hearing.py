"""The sieve at work on one stream: which words have been heard, and how far text can be released."""

from __future__ import annotations

from typing import Final

from tianjing.guard.sieve import ENDS, HALF, LETTER, NO_WORD, SKIPPED, Char, Phrase, Sieve, Word
from tianjing.rulebook.components import JOINED
from tianjing.rulebook.folding import LETTER_RUN_CHARS, SKIP_RUN_CHARS, syllables

# Words heard lately; past so many, those too far back for any phrase are dropped.
_MOST_WORDS: Final = 512


def _is_pinyin(letters: str) -> bool:
    return 0 < len(letters) <= LETTER_RUN_CHARS and bool(syllables(letters))


class _Heard:
    """A word that fills the cells from `first` up to, not including, `behind`."""

    __slots__ = ("behind", "first", "word")

    def __init__(self, first: int, behind: int, word: Word):
        self.first = first
        self.behind = behind
        self.word = word


class _Open:
    """A word that may begin a phrase: text from `position` on waits until cell `until`, or longer if it goes on."""

    __slots__ = ("behind", "near", "position", "until", "word")

    def __init__(self, position: int, behind: int, word: Word):
        self.position = position
        self.behind = behind
        self.word = word
        self.until = behind + word.near
        self.near = True


class _Live:
    """A phrase heard up to a word that ends before cell `behind`; its word `step` of those after must come next.

    That word belongs to the set `number`, and begins by cell `latest` and ends by `until`.
    """

    __slots__ = ("behind", "latest", "number", "phrase", "step", "until")

    def __init__(self, phrase: Phrase, step: int, behind: int):
        number, gap, longest = phrase.after[step]
        self.phrase = phrase
        self.step = step
        self.behind = behind
        self.number = number
        self.latest = behind + gap
        self.until = behind + gap + longest


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
        self._words: list[_Heard] = []  # heard lately, by their ends
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
                if does == SKIPPED:
                    self.position += 1
                    continue
            self._hear(known)
            self.position += 1
            if does == ENDS:
                if self.complete:
                    return None
                self._begin(self.position)
        return self._before_open if self._before_open >= 0 else self._decided()

    def _goes_on(self, char: Char) -> bool:
        """Note where a run of letters or a split character begins or ends; whether it spells something."""
        does = char.does
        if does == LETTER:
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
        if does == SKIPPED:
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
        if does == HALF:
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

    def _hear(self, char: Char) -> None:
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
            if word is not NO_WORD:
                self._note(word, cells - size, cells)

    def _note(self, word: Word, first: int, behind: int) -> None:
        """A word has been heard: it may open a phrase, carry one on, or be the most telling one of some."""
        if word.near:
            self._open_at(self._starts[first - behind], behind, word)
        if self._live:
            self._carry_on(word, first, behind)
        for phrase in word.alone:
            self._go_on(phrase, behind)
        words = self._words
        if word.gap >= 0:
            self._look_back(word, first, behind)
        words.append(_Heard(first, behind, word))
        if len(words) > _MOST_WORDS:
            self._words = [heard for heard in words if heard.behind > behind - self._span]

    def _go_on(self, phrase: Phrase, behind: int) -> None:
        if phrase.after:
            self._live.append(_Live(phrase, 0, behind))
        else:
            self.complete = True

    def _look_back(self, word: Word, first: int, behind: int) -> None:
        """Go on with the phrases of which `word` is the most telling one and the words before it have been heard."""
        gone_on: list[Phrase] = []
        words = self._words
        farthest = first - word.gap
        for index in range(len(words) - 1, -1, -1):
            heard = words[index]
            if heard.behind < farthest:
                break
            if heard.behind <= first:
                for phrase in word.following(heard.word):
                    if phrase not in gone_on and self._preceded(phrase.before, first):
                        gone_on.append(phrase)
                        self._go_on(phrase, behind)

    def _carry_on(self, word: Word, first: int, behind: int) -> None:
        """The word may be the next one of a phrase that waits for it."""
        live = self._live
        over = False
        for index in range(len(live)):  # those that are added here wait for a later word
            item = live[index]
            if item.until < behind:
                over = True
            elif item.behind <= first <= item.latest and item.number in word.sets:
                if item.step + 1 == len(item.phrase.after):
                    self.complete = True
                else:
                    live.append(_Live(item.phrase, item.step + 1, behind))
        if over:
            self._live = [item for item in live if item.until >= behind]

    def _preceded(self, before: tuple[tuple[int, int], ...], first: int) -> bool:
        """Whether the words that must stand before cell `first` have been heard, in order and near enough."""
        words = self._words
        nearest = farthest = first
        starts = [first]
        for number, gap in before:
            found: list[int] = []
            for index in range(len(words) - 1, -1, -1):
                heard = words[index]
                if heard.behind < farthest - gap:
                    break
                if heard.behind <= nearest and number in heard.word.sets and _near(starts, heard.behind, gap):
                    found.append(heard.first)
            if not found:
                return False
            starts, nearest, farthest = found, max(found), min(found)
        return True

    def _open_at(self, position: int, behind: int, word: Word) -> None:
        """Keep the open words in the order in which they begin: a longer word is heard later."""
        waiting = self._open
        index = len(waiting)
        while index and waiting[index - 1].position > position:
            index -= 1
        if index == len(waiting):
            waiting.append(_Open(position, behind, word))
        else:
            waiting.insert(index, _Open(position, behind, word))

    def _decided(self) -> int:
        """Index up to which no phrase can begin that is still open."""
        decided, cells = self.position, self._cells
        waiting, over = self._open, 0
        # Only the first that still waits holds text back; those behind it can be asked when it no longer does.
        while over < len(waiting) and cells >= waiting[over].until and not self._second(waiting[over]):
            over += 1
        if over:
            del waiting[:over]
        if waiting and waiting[0].position < decided:
            decided = waiting[0].position
        unfinished = self._unfinished[self._state]
        if unfinished and self._starts[-unfinished] < decided:
            decided = self._starts[-unfinished]
        return decided

    def _second(self, item: _Open) -> bool:
        """Whether a second word has been heard near enough behind the first, so that more may follow."""
        if not item.near or item.word.far <= item.word.near:
            return False
        item.near = False
        words, latest, behind, opener = self._words, item.until, item.behind, item.word
        for index in range(len(words) - 1, -1, -1):
            heard = words[index]
            if heard.behind <= behind:
                break
            if heard.first >= behind and heard.behind <= latest and opener.leads_to(heard.word):
                item.until = item.behind + item.word.far
                return self._cells < item.until
        return False


def _near(starts: list[int], end: int, gap: int) -> bool:
    return any(0 <= start - end <= gap for start in starts)
