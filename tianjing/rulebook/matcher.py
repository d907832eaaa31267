"""All phrase rules of a book at once, on a whole text or on the beginning of one.

`find` gives the hits in a text. `decided` says how far they can no longer change when the text goes on, so that a
stream may be released up to there: for every text and every cut,

    hits of the whole that end by decided(prefix) == hits of the prefix that end by decided(prefix)
    no hit of the whole crosses or begins before decided(prefix) without being among them
"""

from __future__ import annotations

import functools
import itertools
import operator
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from tianjing.rulebook import guards
from tianjing.rulebook.folding import REACH_CHARS, STOP, Folded, fold
from tianjing.rulebook.lexicon import Found, Lexicon, Tokens, bits
from tianjing.rulebook.patterns import Beside, Pattern
from tianjing.rulebook.schema import PhraseCheck, Rule

# A hit depends on no character further back than this; a caller that drops released text keeps this much of it.
LEFT_CONTEXT_CHARS: Final = guards.WINDOW_CHARS + REACH_CHARS


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's phrase at characters `start` to `end` (exclusive) of the raw text, which read `evidence`."""

    rule: Rule
    start: int
    end: int
    evidence: str


@dataclass(frozen=True, slots=True)
class CompiledPattern:
    """One pattern over numbered word sets; `needed` has them as bits."""

    needed: int
    rule: int
    sets: tuple[int, ...]
    gaps: tuple[int, ...]
    context: int


@dataclass(frozen=True, slots=True)
class _Analysis:
    """What one text says; kept until another text is asked about, so that `find` and `decided` share it."""

    text: str
    cells: Folded
    tokens: Tokens
    spans: list[tuple[int, int]]
    hits: tuple[Hit, ...]


_Path = tuple[tuple[int, int], ...]
_NO_PARTS: Final[Mapping[str, tuple[Beside, ...]]] = {}
_EXCUSE_CHARS: Final = 16
# How often a word of so many characters is said, roughly: what is rare tells whether a pattern is worth a look.
_COMMON: Final = {1: 1.0, 2: 0.01}
# What weighs as much as one example: so many of them.
_EXPECTED: Final = 2.0


class PhraseMatcher:
    """The phrase rules of one speaker.

    Args:
        part_of: by word, what may stand beside it that makes it a part of something longer.
    """

    left_context_chars: ClassVar[int] = LEFT_CONTEXT_CHARS

    def __init__(
        self,
        rules: Iterable[tuple[Rule, PhraseCheck, list[Pattern]]],
        part_of: Mapping[str, tuple[Beside, ...]] = _NO_PARTS,
    ):
        self.rules: list[Rule] = []
        self._checks: list[PhraseCheck] = []
        numbers: dict[frozenset[str], int] = {}
        compiled: list[CompiledPattern] = []
        for rule, check, patterns in rules:
            for pattern in dict.fromkeys(patterns):
                sets = tuple(numbers.setdefault(step.words, len(numbers)) for step in pattern.steps)
                gaps = tuple(step.gap for step in pattern.steps)
                needed = sum(1 << number for number in set(sets))
                compiled.append(CompiledPattern(needed, len(self.rules), sets, gaps, pattern.context))
            self.rules.append(rule)
            self._checks.append(check)
        self.lexicon = Lexicon(numbers, part_of)
        # Each pattern is looked at only when its most telling word set occurs, and is open only after its first one.
        common = self._common(numbers)
        self.by_key: list[list[CompiledPattern]] = [[] for _ in numbers]
        self._by_first: list[list[CompiledPattern]] = [[] for _ in numbers]
        for pattern_ in compiled:
            self.by_key[min(pattern_.sets, key=common.__getitem__)].append(pattern_)
            if len(pattern_.sets) - pattern_.context > 1:
                self._by_first[pattern_.sets[pattern_.context]].append(pattern_)
        self._keys = sum(1 << number for number, some in enumerate(self.by_key) if some)
        longest = self.lexicon.longest
        # The most cells that a match can reach over from a first word of each set.
        self._reach = [max((_reach(pattern_, longest) for pattern_ in some), default=0) for some in self._by_first]
        self._farthest = max(self._reach, default=0)
        self._last: _Analysis | None = None

    def _common(self, numbers: Iterable[frozenset[str]]) -> list[float]:
        """How often each word set is said: as its words let expect, and as the lawful examples of the rules show."""
        counts = [sum(_COMMON.get(len(word), 0.001) for word in words) * _EXPECTED for words in numbers]
        for rule in self.rules:
            for example in rule.examples.fine:
                if isinstance(example, str):
                    for number, words in self.lexicon.tokens(fold(example)).of().items():
                        counts[number] += len(words)
        return counts

    def find(self, text: str) -> list[Hit]:
        """Hits in `text` by position; hits of one rule never overlap."""
        return list(self._analyse(text).hits)

    def find_only(self, text: str, patterns: Sequence[CompiledPattern]) -> list[Hit]:
        """`find` in a text that none but `patterns` can match, several times faster."""
        cells = fold(text)
        found = self.lexicon.words_of({number for pattern in patterns for number in pattern.sets}, cells)
        possible = [pattern for pattern in patterns if all(number in found for number in pattern.sets)]
        return list(self._select(text, self._matches(text, cells, possible, found)))

    def decided(self, text: str) -> int:
        """Index in `text` up to which no further text can change the hits; see the module."""
        last = self._analyse(text)
        cells, limit = last.cells, last.cells.open_from
        # Cells from here on may still be read otherwise.
        stable = len(cells.codes) if limit >= len(text) else cells.cell_at(limit)
        first = self.lexicon.open_cell(cells.codes[:stable])
        if first < stable:
            limit = min(limit, cells.starts[first])
        for start, end in last.spans:
            if start < limit and (end > cells.open_from or not guards.right_is_final(text, end)):
                limit = start
        limit = self._open_from(cells, last.tokens, stable, limit)
        # What is released may not hold half of a match, not even of one that another match covers.
        for start, end in reversed(last.spans):
            if start < limit < end:
                limit = start
        return limit

    def _analyse(self, text: str) -> _Analysis:
        last = self._last
        if last is None or last.text != text:
            cells = fold(text)
            tokens = self.lexicon.tokens(cells)
            found = self._candidates(text, cells, tokens)
            spans = sorted({span for some in found.values() for span in some})
            last = self._last = _Analysis(text, cells, tokens, spans, self._select(text, found))
        return last

    def _candidates(self, text: str, cells: Folded, tokens: Tokens) -> dict[int, set[tuple[int, int]]]:
        """number of the rule → raw spans of its matches that no guard excuses."""
        missing = ~tokens.mask
        possible = [
            pattern
            for number in bits(tokens.mask & self._keys)
            for pattern in self.by_key[number]
            if not pattern.needed & missing
        ]
        found = tokens.of(functools.reduce(operator.or_, (pattern.needed for pattern in possible), 0))
        return self._matches(text, cells, possible, found)

    def _matches(
        self, text: str, cells: Folded, possible: list[CompiledPattern], found: Found
    ) -> dict[int, set[tuple[int, int]]]:
        candidates: dict[int, set[tuple[int, int]]] = {}
        around = _Around(text)
        for pattern in possible:
            for path in _paths(pattern, cells, found):
                span = (cells.starts[path[pattern.context][0]], cells.ends[path[-1][1] - 1])
                known = candidates.get(pattern.rule)
                if (known is None or span not in known) and self._stands(around, cells, pattern, path, span):
                    candidates.setdefault(pattern.rule, set()).add(span)
        return candidates

    def _select(self, text: str, candidates: dict[int, set[tuple[int, int]]]) -> tuple[Hit, ...]:
        """Of the matches of one rule those that begin first, then those that end first, without overlaps."""
        hits = []
        for rule, spans in candidates.items():
            reached = 0
            for start, end in sorted(spans):
                if start >= reached:
                    hits.append(Hit(self.rules[rule], start, end, text[start:end]))
                    reached = end
        return tuple(sorted(hits, key=lambda hit: (hit.start, hit.end, hit.rule.id)))

    def _stands(
        self, around: _Around, cells: Folded, pattern: CompiledPattern, path: _Path, span: tuple[int, int]
    ) -> bool:
        """Whether no guard excuses this match."""
        check = self._checks[pattern.rule]
        text, (start, end) = around.text, span
        gaps = [
            text[cells.ends[left[1] - 1] : cells.starts[right[0]]]
            for left, right in itertools.pairwise(path)
            if right[0] > left[1]
        ]
        if around.refuted(end) or around.reported(start):
            return False
        if any(word in gap for word in check.unless for gap in gaps):
            return False
        if check.unless:
            clause = _clause(around.left(start))
            if any(word in clause for word in check.unless):
                return False
        if check.deniable:
            first = text[start : cells.ends[path[pattern.context][1] - 1]]
            return not around.denied(start, first) and not any(guards.denied_inside(gap) for gap in gaps)
        return True

    def _open_from(self, cells: Folded, tokens: Tokens, stable: int, limit: int) -> int:
        """Raw index at which the earliest match begins that more text could complete, or `limit`."""
        stop = cells.codes.rfind(STOP, 0, stable) + 1
        found = tokens.since(max(stop, stable - self._farthest)).of()
        for number, words in found.items():
            if words[-1][0] < max(stop, stable - self._reach[number]):
                continue
            for pattern in self._by_first[number]:
                first = _unfinished(pattern, cells, found, stable, stop, self.lexicon.longest)
                if first is not None and cells.starts[first] < limit:
                    limit = cells.starts[first]
        return limit


class _Around:
    """What the guards say about the places of one text, each asked once: many matches share their ends."""

    def __init__(self, text: str):
        self.text = text
        self._left: dict[int, str] = {}
        self._reported: dict[int, bool] = {}
        self._refuted: dict[int, bool] = {}
        self._denied: dict[tuple[int, str], bool] = {}

    def left(self, start: int) -> str:
        if start not in self._left:
            self._left[start] = guards.left_window(self.text, start)
        return self._left[start]

    def reported(self, start: int) -> bool:
        if start not in self._reported:
            left = self.left(start)
            self._reported[start] = guards.reported(left) or guards.quoted(left)
        return self._reported[start]

    def refuted(self, end: int) -> bool:
        if end not in self._refuted:
            self._refuted[end] = guards.refuted(guards.right_window(self.text, end))
        return self._refuted[end]

    def denied(self, start: int, first: str) -> bool:
        if (start, first) not in self._denied:
            self._denied[start, first] = guards.denied(self.left(start), first)
        return self._denied[start, first]


def _clause(left: str) -> str:
    return left[-_EXCUSE_CHARS:]


def _reach(pattern: CompiledPattern, longest: list[int]) -> int:
    core = pattern.context
    return sum(pattern.gaps[core + 1 :]) + sum(longest[number] for number in pattern.sets[core:])


def _next(found: list[tuple[int, int]], after: int, gap: int, codes: str) -> Iterable[tuple[int, int]]:
    """Words of one set that begin at most `gap` cells after cell `after`, with no end of a sentence between."""
    stop = codes.find(STOP, after, after + gap + 1)
    latest = after + gap if stop < 0 else stop
    index = bisect_left(found, (after, 0))
    while index < len(found) and found[index][0] <= latest:
        yield found[index]
        index += 1


def _paths(pattern: CompiledPattern, cells: Folded, found: Found) -> Iterable[_Path]:
    """Matches of all slots; of those with one first and one last word, the first found."""
    core = pattern.context
    paths: dict[tuple[int, int, int], _Path] = {}
    for token in found[pattern.sets[0]]:
        # Words of a context are kept apart: which of them are near enough shows only at the hit.
        paths[(token[0], *token)] = (token,)
    for step in range(1, len(pattern.sets)):
        following, gap = found[pattern.sets[step]], pattern.gaps[step]
        extended: dict[tuple[int, int, int], _Path] = {}
        for (start, _, after), path in paths.items():
            for token in _next(following, after, gap, cells.codes):
                if step != core:
                    extended.setdefault((start, *token), (*path, token))
                elif cells.starts[path[0][0]] >= cells.starts[token[0]] - guards.WINDOW_CHARS:
                    extended.setdefault((token[0], *token), (*path, token))
        paths = extended
        if not paths:
            return ()
    return paths.values()


def _unfinished(
    pattern: CompiledPattern, cells: Folded, found: Found, stable: int, stop: int, longest: list[int]
) -> int | None:
    """Earliest first cell of a beginning of `pattern` that the coming text may continue."""
    earliest: int | None = None
    firsts = found[pattern.sets[pattern.context]]
    oldest = max(stop, stable - _reach(pattern, longest))
    states = set(firsts[bisect_left(firsts, (oldest, 0)) :])
    for step in range(pattern.context + 1, len(pattern.sets)):
        number, gap = pattern.sets[step], pattern.gaps[step]
        for start, after in states:
            # The next word may still begin, or has begun and is unfinished.
            if stable < after + gap + longest[number] and (earliest is None or start < earliest):
                earliest = start
        following = found.get(number)
        if not following or not states:
            break
        states = {(start, token[1]) for start, after in states for token in _next(following, after, gap, cells.codes)}
    return earliest
