"""Finds rows and dialogues that hold an item of a named evaluation set, also with names and numbers changed.

An item's question, and its answer where that is long enough, are cut into grams of 13 characters that count
(`masking.py`). A text holds the item when at least a given share of the grams of one of them stand in it, wherever
they stand. What many items of a set share (the wording of a prompt) does not count. A question too short for grams is
held by a text one of whose lines is that question. The 13-gram is the
usual unit of Chinese decontamination (n-gram overlap, Brown et al. 2020, arXiv 2005.14165, appendix C).

What is not found: a passage of a long item (below the share), and a paraphrase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from data_recipes.cleaning.evaluation import EvaluationSet, Item, read_items
from data_recipes.cleaning.masking import Hashes, Ints, Masked, Masker, mixed
from tianjing.config import StrictModel
from tianjing.privacy import mask_many
from tianjing.records import Dialogue

GRAM_CHARS = 13
# Of a longer text, the grams with the smallest hashes stand for all: the same ones wherever the text stands.
_SAMPLED_GRAMS = 64
# A shorter question is found by its grams only if there are so many of them.
_FEWEST_GRAMS = 4
# What so many and this share of the first items of a set have in common is its form, not its content.
_SHARED_ITEMS, _SHARED_SHARE = 10, 0.05
# A shorter question says too little to be a copy of anything; a shorter answer (无依据) is not looked for.
_SHORTEST_QUESTION, _SHORTEST_ANSWER = 6, 30
_CHUNK_CHARS = 250_000
_BASE = np.uint64(0x2545F4914F6CDD1D)
_SHOWN_CHARS = 80


class DecontaminationConfig(StrictModel):
    """Rows and dialogues that hold an item of an evaluation set are dropped."""

    sets: tuple[EvaluationSet, ...] = ()
    """Evaluation sets that are looked for; none by default."""
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of an item's grams that a text must hold. Less finds copies with more words changed and drops more texts
    that only share phrases with an item."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A text holds item `item` (its number in the file) of evaluation set `set`: `share` of its grams, or 1 for a
    short question. `text` is the beginning of the item's question."""

    set: str
    item: int
    share: float
    text: str


@dataclass(slots=True)
class SetCounts:
    """Of one evaluation set: items looked for by their grams, only by their whole question, and those too short for
    either."""

    by_grams: int = 0
    by_question: int = 0
    too_short: int = 0


@dataclass(slots=True)
class _Parts:
    """What is looked for, being collected: per part its item and number of grams, per gram its hash and part."""

    items: list[tuple[str, int, str]] = field(default_factory=list)
    item_of: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    grams: list[Hashes] = field(default_factory=list)
    questions: dict[int, int] = field(default_factory=dict)


class Contamination:
    """An index of evaluation sets, of about 14 bytes a gram and 64 grams at most of a question and of an answer: 1.8 GB
    for a million items with long answers, 0.5 GB for a million questions of 45 characters; twice that for items with
    personal data, which are looked for as they are and redacted.

    Attributes:
        counts: by name of set, how its items are looked for.
    """

    def __init__(self, sets: Sequence[EvaluationSet], root: Path = Path(), min_share: float = 0.2):
        """Read `sets`, whose paths are relative to `root`.

        Raises:
            DataError: a set cannot be read; see `read_items`.
        """
        self._masker = Masker()
        self._min_share = min_share
        self.counts = {source.name: SetCounts() for source in sets}
        parts = _Parts()
        for source in sets:
            shared: Hashes | None = None
            for items in _batches(read_items(source, root), 4096):
                shared = self._add(source.name, items, shared, parts)
        self._items = parts.items
        self._item_of = np.array(parts.item_of, np.int32)
        self._sizes = np.array(parts.sizes, np.int32)
        hashes = np.concatenate([np.zeros(0, np.uint64), *parts.grams])
        part = np.repeat(np.arange(len(parts.sizes), dtype=np.int32), parts.sizes)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._parts = hashes[order], part[order]
        self._likely = _Bitmap(self._hashes)
        self._questions = np.array(sorted(parts.questions), np.uint64)
        self._question_items = np.array([parts.questions[key] for key in sorted(parts.questions)], np.int32)

    def find_many(self, texts: Sequence[str]) -> list[Hit | None]:
        """For each text, the item of which it holds most, or None."""
        found: list[Hit | None] = []
        for chunk in _chunks(texts):
            found += self._find(chunk)
        return found

    def _add(self, name: str, items: Sequence[Item], shared: Hashes | None, parts: _Parts) -> Hashes:
        """Index `items`; gives the grams that items of this set share, which are those of its first batch."""
        counts = self.counts[name]
        said = [text for item in items for text in (item.question, item.answer)]
        # A row is redacted before it is looked at: what stands in an item as a name is a placeholder there.
        texts = [text for pair in zip(said, (masked.text for masked in mask_many(said)), strict=True) for text in pair]
        masked = self._masker.mask(texts)
        grams, text_of = _distinct(*_grams(masked))
        if shared is None:
            values, held_by = np.unique(grams, return_counts=True)
            # Every item is there twice, as it is and redacted.
            shared = values[held_by >= 2 * max(_SHARED_ITEMS, _SHARED_SHARE * len(items))]
        sizes = np.bincount(masked.text, minlength=len(texts))
        bounds = np.searchsorted(text_of, np.arange(len(texts) + 1))
        whole = dict(zip(*_whole(masked.chars, masked.text), strict=True))
        for i, item in enumerate(items):
            place = len(parts.items)
            parts.items.append((name, item.number, item.question[:_SHOWN_CHARS]))
            by_grams = by_question = False
            for text, redacted in ((4 * i, False), (4 * i + 1, True), (4 * i + 2, False), (4 * i + 3, True)):
                if redacted and texts[text] == texts[text - 1]:
                    continue
                is_question = text < 4 * i + 2
                if sizes[text] >= (GRAM_CHARS + _FEWEST_GRAMS - 1 if is_question else _SHORTEST_ANSWER):
                    own = grams[bounds[text] : bounds[text + 1]]
                    telling = own[~np.isin(own, shared)]
                    sample = (telling if len(telling) >= _FEWEST_GRAMS else own)[:_SAMPLED_GRAMS]
                    parts.item_of.append(place)
                    parts.sizes.append(len(sample))
                    parts.grams.append(sample)
                    by_grams = True
                elif is_question and sizes[text] >= _SHORTEST_QUESTION:
                    parts.questions.setdefault(int(whole[text]), place)
                    by_question = True
            counts.by_grams += by_grams
            counts.by_question += by_question and not by_grams
            counts.too_short += not (by_grams or by_question)
        return shared

    def _find(self, texts: Sequence[str]) -> list[Hit | None]:
        masked = self._masker.mask(texts)
        best: list[tuple[float, int] | None] = [None] * len(texts)
        for text, share, item in (*self._by_grams(masked), *self._by_question(masked)):
            before = best[text]
            if before is None or (-share, item) < (-before[0], before[1]):
                best[text] = share, item
        return [None if found is None else self._hit(*found) for found in best]

    def _hit(self, share: float, item: int) -> Hit:
        name, number, question = self._items[item]
        return Hit(name, number, round(share, 4), question)

    def _by_grams(self, masked: Masked) -> Iterator[tuple[int, float, int]]:
        grams, text_of = _grams(masked)
        likely = self._likely.has(grams)
        grams, text_of = grams[likely], text_of[likely]
        low = np.searchsorted(self._hashes, grams)
        counts = np.searchsorted(self._hashes, grams, side="right") - low
        some = np.flatnonzero(counts)
        if not len(some):
            return
        # A gram that a text says twice is one.
        pairs = np.unique(np.stack([text_of[some].astype(np.int64), low[some]]), axis=1)
        text, low = pairs
        counts = np.searchsorted(self._hashes, self._hashes[low], side="right") - low
        which = np.repeat(np.arange(len(low)), counts)
        parts = self._parts[low[which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)]
        keys, held = np.unique(text[which] * len(self._sizes) + parts, return_counts=True)
        text, part = np.divmod(keys, len(self._sizes))
        share = held / self._sizes[part]
        for i in np.flatnonzero(share >= self._min_share).tolist():
            yield int(text[i]), float(share[i]), int(self._item_of[part[i]])

    def _by_question(self, masked: Masked) -> Iterator[tuple[int, float, int]]:
        if not len(self._questions) or not len(masked.chars):
            return
        lines, hashes = _whole(masked.chars, masked.line)
        place = np.minimum(np.searchsorted(self._questions, hashes), len(self._questions) - 1)
        text_of_line = masked.text[np.searchsorted(masked.line, lines)]
        for i in np.flatnonzero(self._questions[place] == hashes).tolist():
            yield int(text_of_line[i]), 1.0, int(self._question_items[place[i]])


class _Bitmap:
    """Tells most values that are not in a set, with 16 bits for each value that is."""

    def __init__(self, values: Hashes):
        size = max(1 << 16, 1 << (16 * len(values)).bit_length())
        self._mask = np.uint64(size - 1)
        self._bits = np.zeros(size // 8, np.uint8)
        place = values & self._mask
        np.bitwise_or.at(self._bits, place >> np.uint64(3), np.uint8(1) << (place & np.uint64(7)).astype(np.uint8))

    def has(self, values: Hashes) -> Ints:
        """Places of the values that may be in the set."""
        place = values & self._mask
        bit = self._bits[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8)
        return np.flatnonzero(bit & 1)


def row_text(messages: Iterable[Mapping[str, str]]) -> str:
    """What is looked at of a generated row: its messages without the system's."""
    return "\n".join(message["content"] for message in messages if message["role"] != "system")


def dialogue_text(dialogue: Dialogue) -> str:
    """What is looked at of a dialogue: its turns, a line each."""
    return "\n".join(turn.text for turn in dialogue.turns)


def hits_by_set(hits: Iterable[Hit | None]) -> dict[str, int]:
    """How many texts hold an item of each set."""
    return dict(sorted(Counter(hit.set for hit in hits if hit).items()))


def _grams(masked: Masked) -> tuple[Hashes, Ints]:
    """Hash of every gram, and the text it stands in."""
    count = len(masked.chars) - GRAM_CHARS + 1
    if count <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int32)
    rolling = masked.chars[:count].copy()
    for i in range(1, GRAM_CHARS):
        rolling *= _BASE
        rolling += masked.chars[i : i + count]
    inside = np.flatnonzero(masked.text[:count] == masked.text[GRAM_CHARS - 1 :])
    return mixed(rolling[inside]), masked.text[inside]


def _distinct(grams: Hashes, text: Ints) -> tuple[Hashes, Ints]:
    """Each gram of a text once, by text and then by hash."""
    order = np.lexsort((grams, text))
    grams, text = grams[order], text[order]
    fresh = np.ones(len(grams), bool)
    fresh[1:] = (grams[1:] != grams[:-1]) | (text[1:] != text[:-1])
    return grams[fresh], text[fresh]


def _whole(chars: Hashes, group: Ints) -> tuple[Ints, Hashes]:
    """The groups (texts or lines, in order) that hold a character, and a hash of all characters of each."""
    groups, starts = np.unique(group, return_index=True)
    within = np.arange(len(chars)) - np.repeat(starts, np.diff(np.append(starts, len(chars))))
    placed = mixed(chars ^ mixed(within.astype(np.uint64)))
    return groups, mixed(np.add.reduceat(placed, starts)) if len(starts) else placed


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for i, text in enumerate(texts):
        size += len(text)
        if size >= _CHUNK_CHARS:
            yield texts[start : i + 1]
            start, size = i + 1, 0
    if start < len(texts):
        yield texts[start:]


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
