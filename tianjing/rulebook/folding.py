"""What a disguised text says: one cell per written character, its sound, and where it stands in the raw text.

谐音 (homophones) share a sound, 拆字 (split characters) are joined again, inserted spaces, symbols and invisible
characters are left out, pinyin written in letters becomes the syllable it spells, and characters that only dialects
use (唔, 冇, 佢, 侬, 俺) and pictures (🐷) read as their standard word. Offsets always lead back to the
raw text. What a cell is depends on the raw text at most `REACH_CHARS` before and after it, so a cut far enough away
changes nothing.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from pypinyin.constants import PINYIN_DICT

from tianjing.rulebook.components import JOINED, SIMPLIFIED
from tianjing.rulebook.syllables import SYLLABLES

SKIP, STOP, PAUSE = "\0", "\1", "\2"
REACH_CHARS: Final = 26
# A question mark ends no phrase: 失业？关我什么事.
_STOPS: Final = frozenset("。！!；;\n\r")
_PAUSES: Final = frozenset("，,：:？?")
SKIP_RUN_CHARS: Final = 16
LETTER_RUN_CHARS: Final = 24
_FIRST_SOUND: Final = 0xE000

# Sounds that Mandarin speakers and recognisers confuse count as one.
_CONFUSED: Final = (("zh", "z"), ("ch", "c"), ("sh", "s"))


def _sound(syllable: str) -> str:
    for long, short in _CONFUSED:
        if syllable.startswith(long):
            syllable = short + syllable[len(long) :]
    return syllable[:-1] if syllable.endswith(("ing", "eng")) else syllable


_SOUNDS: Final = {sound: chr(_FIRST_SOUND + i) for i, sound in enumerate(dict.fromkeys(map(_sound, SYLLABLES)))}
_SYLLABLE_CODES: Final = {syllable: _SOUNDS[_sound(syllable)] for syllable in SYLLABLES}
_LONGEST_SYLLABLE: Final = max(map(len, SYLLABLES))


def _plain(reading: str) -> str:
    """shàng → shang, lǜ → lv."""
    bare = unicodedata.normalize("NFD", reading).replace("u\u0308", "v")
    return "".join(c for c in bare if c.isascii())


@functools.lru_cache(maxsize=4096)
def readings(char: str) -> tuple[str, ...]:
    """Codes of every sound that one Chinese character can have; the usual one first."""
    found = (_SYLLABLE_CODES.get(_plain(reading)) for reading in PINYIN_DICT.get(ord(char), "").split(","))
    return tuple(dict.fromkeys(code for code in found if code))


# Characters of Cantonese, Wu and northern speech, and pictures, that always stand for one standard character.
READ_AS: Final = dict(
    pair.split("=")
    for pair in (
        "唔=不 冇=没 嘅=的 佢=他 哋=们 嗰=那 俾=给 畀=给 揾=找 搵=找 嚟=来 睇=看 "
        "攞=拿 喺=在 咗=了 啲=些 冚=全 侬=你 恁=你 俺=我 勿=不 莫=别 "
        "甭=别 咁=这 谂=想 諗=想 嗌=叫 噉=这 🐷=猪 🐖=猪 🐶=狗 🐕=狗 🐢=龟 💩=屎 🔪=刀 🗡=刀 👮=警 🐴=马"
    ).split()
)


def _code(char: str) -> str:
    char = READ_AS.get(char, char)
    if char in _STOPS:
        return STOP
    if char in _PAUSES:
        return PAUSE
    folded = unicodedata.normalize("NFKC", char)
    if len(folded) != 1:
        return SKIP
    if folded in "%‰":
        return "%"
    if found := readings(folded):
        return found[0]
    bare = _plain(folded.lower())
    # Letters with tone marks are letters: táo.
    return (bare or folded.lower())[0] if folded.isalnum() else SKIP


class _Codes(dict[int, str]):
    """Character → code, worked out on first sight; only as large as the alphabet that was met."""

    def __missing__(self, point: int) -> str:
        self[point] = value = _code(chr(point))
        return value


class _Plain(dict[int, str]):
    """Character → the character it is compared as: NFKC, lower case, simplified."""

    def __missing__(self, point: int) -> str:
        written = READ_AS.get(chr(point), chr(point))
        char = unicodedata.normalize("NFKC", written).lower()
        char = written if len(char) != 1 else char
        self[point] = value = SIMPLIFIED.get(char, char)
        return value


CODES, PLAIN = _Codes(), _Plain()
_LETTERS: Final = re.compile("[a-z]+")
_SKIPPED: Final = re.compile(SKIP + "+")
_SPELT: Final = re.compile(f"[{SKIP}a-z]")


@dataclass(frozen=True, slots=True)
class Folded:
    """Cells of a text: `codes[i]` its sound, `chars[i]` its plain character, `starts[i]`/`ends[i]` in the raw text.

    `plain` is the raw text, each character as it is compared. `spelt` marks cells that were spelt in letters.
    `open_from` is the raw index from which more text may change the cells: an unfinished run of letters, or the first
    half of a split character.
    """

    codes: str
    chars: str
    plain: str
    starts: range | list[int]
    ends: range | list[int]
    spelt: frozenset[int]
    open_from: int

    def cell_at(self, raw_index: int) -> int:
        """Number of cells that begin before `raw_index`."""
        return bisect_left(self.starts, raw_index)


def fold(text: str) -> Folded:
    """Cells of `text`; linear in its length."""
    codes, chars, size = text.translate(CODES), text.translate(PLAIN), len(text)
    open_from = size - 1 if chars and chars[-1] in _HALVES else size
    if not (_SPELT.search(codes) or _SPELT.search(chars) or _is_split(codes) or _is_split(chars)):
        return Folded(codes, chars, chars, range(size), range(1, size + 1), frozenset(), open_from)
    return _fold_disguised(codes, chars, size)


_HALVES: Final = frozenset(first for first, _ in JOINED)


def _is_split(chars: str) -> bool:
    """Whether the two halves of a split character stand side by side."""
    before = ""
    for char in chars:
        if before in _HALVES and (before, char) in JOINED:
            return True
        before = char
    return False


def _fold_disguised(codes: str, chars: str, size: int) -> Folded:
    cells: list[tuple[str, str, int, int]] = []
    spelt: set[int] = set()
    index = 0
    while index < size:
        code = codes[index]
        if code == SKIP:
            end = _SKIPPED.match(codes, index).end()  # type: ignore[union-attr]
            if end - index > SKIP_RUN_CHARS:
                cells.append((STOP, STOP, index, end))
        elif "a" <= code <= "z":
            end = _LETTERS.match(codes, index).end()  # type: ignore[union-attr]
            for part, start, stop in _spell(codes, index, end):
                if len(part) == 1 and part >= chr(_FIRST_SOUND):
                    spelt.add(len(cells))
                cells.append((part, part if part < chr(_FIRST_SOUND) else chars[start:stop][:1], start, stop))
        else:
            end = index + 1
            cells.append((code, chars[index], index, end))
        index = end
    open_from = size
    if codes.endswith(tuple("abcdefghijklmnopqrstuvwxyz")):
        tail = len(codes) - len(codes.rstrip("abcdefghijklmnopqrstuvwxyz"))
        open_from = size - tail if tail <= LETTER_RUN_CHARS else size
    if cells and cells[-1][1] in _HALVES:
        open_from = min(open_from, cells[-1][2])
    return _join(cells, spelt, chars, open_from)


def _spell(codes: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """Syllables of a run of letters when the whole run spells some, else the letters one by one."""
    if end - start <= LETTER_RUN_CHARS and (parts := syllables(codes[start:end])):
        spelt, at = [], start
        for part in parts:
            spelt.append((_SYLLABLE_CODES[part], at, at + len(part)))
            at += len(part)
        return spelt
    return [(codes[i], i, i + 1) for i in range(start, end)]


@functools.lru_cache(maxsize=4096)
def syllables(letters: str) -> tuple[str, ...]:
    """Fewest pinyin syllables that spell `letters`, longest first; empty when it is no pinyin."""
    best: list[tuple[str, ...] | None] = [()] + [None] * len(letters)
    for stop in range(1, len(letters) + 1):
        for start in range(max(0, stop - _LONGEST_SYLLABLE), stop):
            before, part = best[start], letters[start:stop]
            if before is None or part not in _SYLLABLE_CODES:
                continue
            now = best[stop]
            if now is None or len(before) + 1 < len(now):
                best[stop] = (*before, part)
    return best[-1] or ()


def _join(cells: list[tuple[str, str, int, int]], spelt: set[int], plain: str, open_from: int) -> Folded:
    """Put split characters together. A pair counts unless its first half already closes a pair: local, so that a
    cut two cells away cannot change it."""
    out: list[tuple[str, str, int, int]] = []
    kept_spelt: set[int] = set()
    index, in_pair = 0, False
    while index < len(cells):
        cell = cells[index]
        pair = JOINED.get((cell[1], cells[index + 1][1])) if index + 1 < len(cells) else None
        if pair and not in_pair:
            sound = readings(pair)
            out.append((sound[0] if sound else pair, pair, cell[2], cells[index + 1][3]))
            index += 2
            in_pair = index < len(cells) and (cells[index - 1][1], cells[index][1]) in JOINED
            continue
        if index in spelt:
            kept_spelt.add(len(out))
        out.append(cell)
        index, in_pair = index + 1, pair is not None
    return Folded(
        "".join(cell[0] for cell in out),
        "".join(cell[1] for cell in out),
        plain,
        [cell[2] for cell in out],
        [cell[3] for cell in out],
        frozenset(kept_spelt),
        open_from,
    )
