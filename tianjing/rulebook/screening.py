"""Which of many texts may hold a hit of a matcher, told for all of them at once with arrays.

A screen never overlooks a hit: it asks less than the matcher does. It finds the words of the patterns by their
characters and, where a disguise may count, by their sound, and keeps a text when around a word of a pattern's most
telling set every other set of that pattern has a word near enough, in order. Guards (denials, quotations) are not
asked. Texts that are written in an unusual way (pinyin in letters, split characters) are always kept.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tianjing.rulebook.cells import Cells, Tables, pair
from tianjing.rulebook.errors import RulebookError
from tianjing.rulebook.homophones import FUNCTION_CHARS, SENSITIVE_WORDS
from tianjing.rulebook.lexicon import DISGUISED_PAIRS, bits
from tianjing.rulebook.matcher import CompiledPattern, PhraseMatcher

try:
    from tianjing.rulebook._nearby import nearby
except ImportError:  # built without a C compiler: the arrays alone, several times slower
    nearby = None  # type: ignore[assignment]

Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]

# Cells between the numbering of one text and the next, more than any pattern reaches over.
_APART = 4096
# How often a word of so many characters is said, roughly; the rarer set of a pattern is asked first.
_COMMON = {1: 1.0, 2: 0.05}
_LONGER, _FUNCTION_CHAR = 0.002, 10.0
_DISGUISABLE = DISGUISED_PAIRS | SENSITIVE_WORDS
_FUNCTION_CHARS = FUNCTION_CHARS | frozenset("，。？！")


@dataclass(frozen=True, slots=True)
class _Pattern:
    """`sets[0]` is the most telling word set; `rooms[i]` cells lie at most between its word and one of `sets[i]`,
    which stands before it where `before[i]`."""

    label: int
    sets: tuple[int, ...]
    rooms: tuple[int, ...]
    before: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    """Words found: first cell and cell after the last (numbered apart by text), text, and class of each, by cell."""

    first: Ints
    after: Ints
    text: Ints
    kind: Ints

    def only(self, texts: Bools) -> _Words:
        """The words of some texts."""
        some = np.flatnonzero(texts[self.text])
        return _Words(self.first[some], self.after[some], self.text[some], self.kind[some])


@dataclass(frozen=True, slots=True)
class _Members:
    """What belongs to each class of words: to class k `numbers[start[k]:start[k + 1]]`."""

    start: Ints
    numbers: Ints

    def of(self, kinds: Ints) -> tuple[Ints, Ints]:
        """For everything that belongs to one of `kinds`: the place of that one in `kinds`, and its number."""
        begin = self.start[kinds]
        counts = self.start[kinds + 1] - begin
        which = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        place = np.arange(len(which), dtype=np.int32) + np.repeat(begin - (np.cumsum(counts) - counts), counts)
        return which, self.numbers[place]


@dataclass(frozen=True, slots=True)
class Suspect:
    """Text `text` may have a hit of matcher `matcher`, of no pattern but `patterns` (None: of any)."""

    text: int
    matcher: int
    patterns: tuple[CompiledPattern, ...] | None


class Screen:
    """Tells for each text which of `matchers` may have a hit in it."""

    def __init__(self, matchers: Sequence[PhraseMatcher]):
        self._labels = len(matchers)
        compiled: dict[_Pattern, list[CompiledPattern]] = defaultdict(list)
        by_chars: dict[str, int] = defaultdict(int)
        by_sound: dict[str, int] = defaultdict(int)
        offset = 0
        for label, matcher in enumerate(matchers):
            for pattern, one in _patterns(matcher, label, offset):
                compiled[pattern].append(one)
            for sound, entries in matcher.lexicon.entries.items():
                for chars, mask in entries:
                    if sound and len(sound) <= 2:
                        by_chars[chars] |= mask << offset
                    if len(sound) > 2 or (len(sound) == 2 and chars in _DISGUISABLE):
                        by_sound[sound] |= mask << offset
            offset += len(matcher.lexicon.sets)
        self._sets = offset
        self._patterns = list(compiled)
        self._compiled = list(compiled.values())
        masks = sorted({*by_chars.values(), *by_sound.values()})
        kinds = {mask: kind for kind, mask in enumerate(masks, 1)}
        self._members = _members([list(bits(mask)) for mask in masks])
        by_key: dict[int, list[int]] = defaultdict(list)
        for number, pattern in enumerate(self._patterns):
            by_key[pattern.sets[0]].append(number)
        self._slots = _members([list(set(pattern.sets)) for pattern in self._patterns], first=0)
        self._keyed = _members([[n for number in bits(mask) for n in by_key[number]] for mask in masks])
        # The second set of each pattern is asked first, and of many texts: those sets are the first bits.
        second = [pattern.sets[min(1, len(pattern.sets) - 1)] for pattern in self._patterns]
        bit = {number: i for i, number in enumerate(dict.fromkeys((*second, *range(offset))))}
        self._masks = _as_bits([[], *([bit[number] for number in bits(mask)] for mask in masks)], offset)
        self._needed = _as_bits([[bit[number] for number in pattern.sets] for pattern in self._patterns], offset)
        places = np.array([bit[number] for number in second], np.int64)
        self._second = places // 64, (places % 64).astype(np.uint64)
        self._second_rows = len(set(second)) // 64 + 1
        self._alphabet = {char: i for i, char in enumerate(sorted({c for word in by_chars for c in word}), 1)}
        self._sounds = {code: i for i, code in enumerate(sorted({c for word in by_sound for c in word}), 1)}
        size = len(self._alphabet) + 1
        self._single = np.zeros(size, np.int32)
        self._pairs = np.zeros((size, size), np.int32)
        for word, mask in by_chars.items():
            place = tuple(self._alphabet[char] for char in word)
            table = self._single if len(place) == 1 else self._pairs
            table[place] = kinds[mask]
        self._trie = _Trie(
            {tuple(map(self._sounds.__getitem__, word)): kinds[mask] for word, mask in by_sound.items()},
            len(self._sounds) + 1,
        )
        self._tables = Tables(self._alphabet, self._sounds)
        self._compiled_tables = self._for_compiled([0, *masks])

    def _for_compiled(self, masks: Sequence[int]) -> tuple[int, int, int, tuple[NDArray[Any], ...]]:
        """The arguments of `nearby` behind the cells."""
        slots = [0, *itertools.accumulate(len(pattern.sets) for pattern in self._patterns)]
        width = self._sets // 64 + 1
        held = np.frombuffer(b"".join(mask.to_bytes(8 * width, "little") for mask in masks), "<u8")
        arrays = (
            *(self._single, self._pairs, self._trie.pairs, self._trie.kind),
            *self._trie.children(),
            held,
            *(self._keyed.start, self._keyed.numbers.astype(np.int32), np.array(slots, np.int32)),
            *(
                np.array([value for pattern in self._patterns for value in getattr(pattern, name)], np.int32)
                for name in ("sets", "rooms", "before")
            ),
        )
        return len(self._alphabet) + 1, len(self._sounds) + 1, width, arrays

    def suspects(self, texts: Sequence[str]) -> Iterator[Suspect]:
        """Where one of the matchers may have a hit; it has none in any other text."""
        if not texts or not self._patterns:
            return
        cells = self._tables.read(texts)
        unusual = frozenset(cells.unusual.tolist())
        yield from (Suspect(text, label, None) for text in sorted(unusual) for label in range(self._labels))
        for text, numbers in self._nearby(cells, len(texts)):
            if text not in unusual:
                by_label: dict[int, list[CompiledPattern]] = {}
                for number in numbers:
                    by_label.setdefault(self._patterns[number].label, []).extend(self._compiled[number])
                yield from (Suspect(text, label, tuple(some)) for label, some in by_label.items())

    def _nearby(self, cells: Cells, texts: int) -> Iterable[tuple[int, list[int]]]:
        """Texts, each with the numbers of the patterns whose sets have words near each other in it, in order."""
        if nearby is not None:
            size, sounds, width, arrays = self._compiled_tables
            return nearby(size, sounds, width, (cells.chars, cells.sounds, cells.text, *arrays))
        words = self._words(cells)
        near: dict[int, list[int]] = defaultdict(list)
        for number, some in self._near(words, *self._complete(words, texts), texts):
            for text in some:
                near[text].append(number)
        return near.items()

    def _complete(self, words: _Words, texts: int) -> tuple[Ints, Ints]:
        """Texts, each with a pattern of which it has a word of every set."""
        which, pattern = self._keyed.of(words.kind)
        text = words.text[which]
        present = _present(words, self._masks[: self._second_rows], texts)
        row, bit = self._second[0][pattern], self._second[1][pattern]
        has_two = np.flatnonzero((present[row, text] >> bit) & np.uint64(1))
        text, pattern = text[has_two], pattern[has_two]
        some = np.zeros(texts, bool)
        some[text] = True
        present = _present(words.only(some), self._masks, texts)
        for needed, held in zip(self._needed, present, strict=True):
            has_all = np.flatnonzero((needed[pattern] & ~held[text]) == 0)
            text, pattern = text[has_all], pattern[has_all]
        return text, pattern

    def _words(self, cells: Cells) -> _Words:
        single = np.take(self._single, cells.chars)
        pairs = pair(self._pairs, cells.chars[:-1], cells.chars[1:])
        places: list[Ints] = [np.flatnonzero(single), np.flatnonzero(pairs)]
        kinds: list[Ints] = [single[places[0]], pairs[places[1]]]
        sizes = [1, 2]
        for size, place, kind in self._trie.walk(cells.sounds):
            places.append(place)
            kinds.append(kind)
            sizes.append(size)
        first = np.concatenate(places).astype(np.int32)
        order = np.argsort(first, kind="stable")
        first = first[order]
        text = cells.text[first]
        numbered = first + text * np.int32(_APART)
        size_of = np.repeat(np.array(sizes, np.int32), [len(place) for place in places])[order]
        return _Words(numbered, numbered + size_of, text, np.concatenate(kinds)[order])

    def _near(self, words: _Words, texts: Ints, patterns: Ints, count: int) -> Iterator[tuple[int, list[int]]]:
        """Each of `patterns` with those of its `texts`, of `count`, where its sets have words near each other."""
        some, rows = np.unique(texts, return_inverse=True)
        wanted = np.zeros((len(some), self._sets), bool)
        slot_of, sets_of = self._slots.of(patterns)
        wanted[rows[slot_of], sets_of] = True
        row = np.full(count, -1, np.int32)
        row[some] = np.arange(len(some))
        words = words.only(row >= 0)
        which, sets = self._members.of(words.kind)
        kept = np.flatnonzero(wanted[row[words.text[which]], sets])
        which, sets = which[kept], sets[kept]
        order = np.argsort(sets, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(sets, minlength=self._sets))]).tolist()

        @functools.cache
        def of(number: int) -> Ints:
            """The words of a set, by their places in `words`."""
            return which[order[bounds[number] : bounds[number + 1]]]

        @functools.cache
        def firsts(number: int) -> Ints:
            return words.first[of(number)]

        for which_pattern in np.unique(patterns).tolist():
            pattern = self._patterns[which_pattern]
            if any(bounds[number] == bounds[number + 1] for number in pattern.sets):
                continue
            left = of(pattern.sets[0])
            for i, number in enumerate(pattern.sets[1:], 1):
                others = firsts(number)
                if pattern.before[i]:
                    latest = words.first[left] - 1
                    earliest = latest + 1 - pattern.rooms[i]
                else:
                    earliest = words.after[left]
                    latest = earliest + pattern.rooms[i]
                place = np.searchsorted(others, earliest)
                near = others[np.minimum(place, len(others) - 1)]
                left = left[(near >= earliest) & (near <= latest)]
                if not len(left):
                    break
            else:
                yield which_pattern, np.unique(words.text[left]).tolist()


class _Trie:
    """Words of two and more sounds, walked from every cell at once, one level of the trie a step.

    Attributes:
        pairs: the node of each pair of sounds, 0 for none.
        kind: the class of the word that ends at each node, 0 for none.
    """

    def __init__(self, words: dict[tuple[int, ...], int], alphabet: int):
        self._alphabet = alphabet
        self.pairs = np.zeros((alphabet, alphabet), np.int32)
        nodes: dict[tuple[int, ...], int] = {}
        for word in sorted(words):
            for size in range(2, len(word) + 1):
                nodes.setdefault(word[:size], len(nodes) + 1)
        self.kind = np.zeros(len(nodes) + 1, np.int32)
        for word, kind in words.items():
            self.kind[nodes[word]] = kind
        levels: dict[int, dict[int, int]] = defaultdict(dict)
        for prefix, node in nodes.items():
            if len(prefix) == 2:
                self.pairs[prefix] = node
            else:
                levels[len(prefix)][nodes[prefix[:-1]] * alphabet + prefix[-1]] = node
        self._steps = [
            (
                size,
                np.array(sorted(levels[size]), np.int64),
                np.array([node for _, node in sorted(levels[size].items())]),
            )
            for size in sorted(levels)
        ]

    def children(self) -> tuple[Ints, Ints, Ints]:
        """The nodes behind each node: to node k belong the places `start[k]` to `start[k + 1]`, in order of sounds."""
        keys = np.concatenate([np.empty(0, np.int64), *(keys for _, keys, _ in self._steps)])
        nodes = np.concatenate([np.empty(0, np.int64), *(following for _, _, following in self._steps)])
        order = np.argsort(keys, kind="stable")
        parents, sounds = np.divmod(keys[order], self._alphabet)
        counts = np.bincount(parents, minlength=len(self.kind))
        start = np.concatenate([[0], np.cumsum(counts)])
        return start.astype(np.int32), sounds.astype(np.int32), nodes[order].astype(np.int32)

    def walk(self, sounds: Ints) -> Iterable[tuple[int, Ints, Ints]]:
        """For each length: the length, the cells at which a word of it begins, and its class."""
        padded = np.concatenate([sounds, np.zeros(len(self._steps) + 2, sounds.dtype)])
        node = pair(self.pairs, padded[: len(sounds)], padded[1 : len(sounds) + 1])
        place = np.flatnonzero(node)
        node = node[place]
        yield 2, *self._ends(place, node)
        for size, keys, following in self._steps:
            wanted = node.astype(np.int64) * self._alphabet + padded[place + size - 1]
            index = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            goes_on = np.flatnonzero(keys[index] == wanted)
            place, node = place[goes_on], following[index[goes_on]]
            yield size, *self._ends(place, node)

    def _ends(self, place: Ints, node: Ints) -> tuple[Ints, Ints]:
        kind = self.kind[node]
        ended = np.flatnonzero(kind)
        return place[ended], kind[ended]


def _patterns(matcher: PhraseMatcher, label: int, offset: int) -> Iterable[tuple[_Pattern, CompiledPattern]]:
    longest = matcher.lexicon.longest
    common = [
        sum(_FUNCTION_CHAR if word in _FUNCTION_CHARS else _COMMON.get(len(word), _LONGER) for word in words)
        for words in matcher.lexicon.sets
    ]
    # A word of nothing but skipped characters stands everywhere; its set tells nothing.
    everywhere = functools.reduce(or_, (mask for _, mask in matcher.lexicon.entries.get("", ())), 0)
    for key, some in enumerate(matcher.by_key):
        for pattern in some:
            telling = [i for i, number in enumerate(pattern.sets) if not everywhere >> number & 1]
            slots = sorted(telling, key=lambda i: (pattern.sets[i] != key, common[pattern.sets[i]], i))
            if not slots:
                raise RulebookError(
                    f"rule '{matcher.rules[pattern.rule].id}': a phrase holds no word that can be told from others",
                    "give it a word of letters or Chinese characters",
                )
            rarest = slots[0]
            rooms = []
            for slot in slots:
                low, high = min(slot, rarest), max(slot, rarest)
                between = sum(pattern.gaps[low + 1 : high + 1]) + sum(longest[n] for n in pattern.sets[low + 1 : high])
                # What stands before is told by its first cell.
                rooms.append(between + longest[pattern.sets[slot]] if slot < rarest else between)
            sets = tuple(offset + pattern.sets[slot] for slot in slots)
            yield _Pattern(label, sets, tuple(rooms), tuple(slot < rarest for slot in slots)), pattern


def _members(belonging: list[list[int]], first: int = 1) -> _Members:
    """What belongs to the classes from `first` on; nothing to those before."""
    sizes = [0] * (first + 1) + [len(some) for some in belonging]
    return _Members(
        np.cumsum(sizes, dtype=np.int32), np.array([number for some in belonging for number in some], np.int16)
    )


def _present(words: _Words, masks: NDArray[np.uint64], texts: int) -> NDArray[np.uint64]:
    """The sets of which each text has a word, as a column of bits, where `masks` has those of each class of words."""
    present = np.zeros((len(masks), texts), np.uint64)
    if len(words.text):
        starts = np.flatnonzero(np.diff(words.text, prepend=-1))
        held = words.text[starts]
        kinds = words.kind.astype(np.intp)
        each = np.empty(len(kinds), np.uint64)
        for row, some in zip(present, masks, strict=True):
            # "clip" spares a check of each place, and so half of the time.
            np.take(some, kinds, out=each, mode="clip")
            row[held] = np.bitwise_or.reduceat(each, starts)
    return present


def _as_bits(numbers: Iterable[Sequence[int]], size: int) -> NDArray[np.uint64]:
    """Each set of numbers as a column of 64-bit words, the lowest on top."""
    words = size // 64 + 1
    masks = (functools.reduce(or_, (1 << number for number in some), 0) for some in numbers)
    rows = np.frombuffer(b"".join(mask.to_bytes(8 * words, "little") for mask in masks), "<u8").reshape(-1, words)
    return np.ascontiguousarray(rows.T)
