"""Normalise turns: width, invisible characters, spaces, fillers and stutters of speech recognition, numerals.

Thousands of turns at a time: one vectorised look at all of them says which may change at all, and only those meet the
regular expressions. Every character of the result remembers the raw ones it stands for (`alignment`).
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from data_recipes.cleaning.alignment import Aligned, Edit, replaced
from tianjing.config import StrictModel
from tianjing.text import HAN_DIGITS, KEPT_PUNCTUATION, han_quantities

# Conservative on purpose: what may be a word stays. 嗯 and 呃 are never part of one, but 嗯？ asks; 那个 or 啊 counts
# only between pauses. Numerals are never collapsed, nor Latin letters: 三三三 and www. are no stutters.
_PAUSE = "，、,…"
_NUMERALS = f"{HAN_DIGITS}俩幺十百千万亿拾佰仟萬"
_PRONOUNS = "我你您他她"
_WORDS = ("我想", "这个", "那个", "就是", "因为", "然后", "但是", "可以")
_OPENS = f"(?:(?<=[{_PAUSE}。！？])|^)"
_TALK = re.compile(
    rf"(?P<gone>[{_PAUSE}\s]+(?:嗯[呐哪]?|呃)++(?=[。！？]|$)"  # …，嗯。
    rf"|(?:(?<=[。！？])|^)(?:嗯[呐哪]?|呃)++[{_PAUSE}。\s]+"
    rf"|(?:嗯[呐哪]?|呃)++(?![？！?!。])[{_PAUSE}\s]*"
    rf"|{_OPENS}(?:那个|这个|就是说|那什么|额+|啊+|唔+)(?=[{_PAUSE}])[{_PAUSE}\s]+"
    r"|(?<=[，、,])[，、,]+|^[，、,。…\s]+)"
    rf"|([{_PRONOUNS}])\2+|{_OPENS}([{_PRONOUNS}])(?:[{_PAUSE}]\3)+|({'|'.join(_WORDS)})(?:[{_PAUSE}]?\4)+"
    rf"|((?![{_NUMERALS}])[\u4e00-\u9fff](?:(?![{_NUMERALS}])[\u4e00-\u9fff]){{0,3}}?)\5{{2,}}"
)
# Said twice they are words of their own; a stutter of them keeps two.
_DOUBLED = frozenset("谢拜妈爸爷奶")
_WORD = re.compile(r"\w")
# Folding would leave these as they are, in whatever order.
_PLAIN = re.compile(f"[\u4e00-\u9fff\x21-\x7e{re.escape(''.join(sorted(KEPT_PUNCTUATION)))}]*")

# What the vectorised look says of a text, as bits.
_WIDE, _ODD, _SPOKEN, _NUMERAL = 1, 2, 4, 8


class NormaliseConfig(StrictModel):
    """How the words of a turn are put in order before anything is learned from them."""

    fillers: bool = True
    """Remove fillers (嗯, 呃; 那个 and 啊 between pauses) and stutters (我我, 这个这个, 对对对)."""
    repair_speakers: bool = True
    """Put right the roles of a dialogue whose words contradict them, and join a turn that was cut at a comma."""
    numerals: Literal["keep", "arabic"] = "keep"
    """`arabic` writes quantities with digits, 三十天 as 30天; idioms (一次说清, 第二天) and numbers read out stay."""


def normalise(text: str, config: NormaliseConfig | None = None) -> Aligned:
    """One turn: NFKC but for Chinese punctuation, no invisible characters, single spaces, no fillers or stutters.

    A turn that is nothing but fillers stays. Doing it twice changes nothing more.
    """
    return normalise_many([text], config)[0]


def normalise_many(texts: Sequence[str], config: NormaliseConfig | None = None) -> list[Aligned]:
    """`[normalise(text, config) for text in texts]`, many times faster where most texts stay as they are."""
    config = config or NormaliseConfig()
    done = list(map(Aligned, texts))
    wanted = _WIDE | _ODD | (_SPOKEN if config.fillers else 0) | (_NUMERAL if config.numerals == "arabic" else 0)
    bits = _look(texts) & wanted
    for number in np.flatnonzero(bits).tolist():
        done[number] = _normalise(texts[number], int(bits[number]), config)
    return done


def _normalise(text: str, bits: int, config: NormaliseConfig) -> Aligned:
    result = Aligned(text)
    if bits & _ODD:
        result = _folded(text)
    elif bits & _WIDE:
        result = Aligned(text.translate(_WIDE_LETTERS))
    if config.fillers and bits & (_ODD | _SPOKEN):
        result = _said(result)
    if config.numerals == "arabic":
        result = result.then(replaced(result.text, han_quantities(result.text)))
    return result


def _said(heard: Aligned) -> Aligned:
    """Without fillers and stutters; one taken away may bring two halves of another, or two spaces, together."""
    shorter = heard
    while changes := list(_talk(shorter.text)):
        shorter = shorter.then(replaced(shorter.text, changes))
        if not _PLAIN.fullmatch(shorter.text):
            shorter = shorter.then(_folded(shorter.text))
    return shorter if shorter is heard or _WORD.search(shorter.text) else heard


def _talk(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _TALK.finditer(text):
        if match["gone"] is not None:
            yield match.start(), match.end(), ""
            continue
        said = next(group for group in match.groups()[1:] if group)
        if said in _DOUBLED:
            if match.end() - match.start() < 3:
                continue
            said *= 2
        if len(said) < match.end() - match.start():
            yield match.start(), match.end(), said


def _folded(text: str) -> Aligned:
    """NFKC but for Chinese punctuation, cluster by cluster; invisible characters go, white space becomes one space."""
    parts: list[str] = []
    edits: list[Edit] = []
    start = kept = 0
    blank = True  # nothing yet, or a space: another one is dropped
    for end in _cluster_ends(text):
        new = ""
        for char in _fold_cluster(text[start:end]):
            if char != " " or not blank:
                new += char
                blank = char == " "
        if end - start == len(new) == 1 or new == text[start:end]:
            kept += end - start
        else:
            edits.append((kept, end - start, len(new)))
            kept = 0
        parts.append(new)
        start = end
    folded = Aligned("".join(parts), tuple(edits))
    last = len(folded.text) - 1
    return folded.then(replaced(folded.text, [(last, last + 1, "")])) if folded.text.endswith(" ") else folded


def _cluster_ends(text: str) -> Iterator[int]:
    """A character, the marks that compose with it and what is invisible among them are folded together."""
    for index in range(1, len(text)):
        if text[index - 1].isspace() or not _continues(text[index]):
            yield index
    if text:
        yield len(text)


@functools.lru_cache(maxsize=16_384)
def _continues(char: str) -> bool:
    """Whether `char` is a mark, a vowel or final of Hangul, half-width or not, or invisible."""
    first = unicodedata.normalize("NFKC", char)[0]
    return unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff" or _is_invisible(char)


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf") and not char.isspace()


@functools.lru_cache(maxsize=16_384)
def _fold_cluster(cluster: str) -> str:
    seen = "".join(char for char in cluster if not _is_invisible(char))
    punctuation = seen[:1] if seen[:1] in KEPT_PUNCTUATION else ""
    folded = punctuation + unicodedata.normalize("NFKC", seen[len(punctuation) :])
    return "".join(" " if char.isspace() else char for char in folded if not _is_invisible(char))


class _Tables(NamedTuple):
    """Of each code unit: the bits of what may have to change, and its classes; U+FFFF stands for all beyond."""

    changes: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]


_PAUSES, _COMMA, _PRONOUN, _WORD_START, _HAN, _FILLER_END, _ALWAYS, _STOP = (1 << bit for bit in range(8))
_WIDE_LETTERS = {0xFEE0 + ord(char): char for char in string.digits + string.ascii_letters}


@functools.lru_cache(maxsize=1)
def _tables() -> _Tables:
    changes = np.zeros(0x10000, np.uint8)
    for point in range(0x10000):
        char = chr(point)
        plain = 0x4E00 <= point < 0xA000 or 0x20 <= point < 0x7F or char in KEPT_PUNCTUATION
        if not plain and (
            unicodedata.category(char)[0] in "MCZ"
            or 0x1100 <= point < 0x1200
            or unicodedata.normalize("NFKC", char) != char
        ):
            changes[point] = _WIDE if point in _WIDE_LETTERS else _ODD
    changes[[ord(char) for char in _NUMERALS]] |= _NUMERAL
    classes = np.zeros(0x10000, np.uint8)
    classes[0x4E00:0xA000] = _HAN
    classes[[ord(char) for char in _NUMERALS]] = 0
    for members, bit in (
        (_PAUSE, _PAUSES),
        ("，、,", _COMMA),
        (_PRONOUNS, _PRONOUN),
        ({word[0] for word in _WORDS}, _WORD_START),
        ("个说么额啊唔", _FILLER_END),
        ("嗯呃", _ALWAYS),
        ("。", _STOP),
    ):
        classes[[ord(char) for char in members]] |= bit
    return _Tables(changes, classes)


def _look(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Of each text the bits of what may have to change in it."""
    if not texts:
        return np.zeros(0, np.uint8)
    joined = "\0".join(texts) + "\0"
    units = np.minimum(np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4"), 0xFFFF).astype(np.uint16)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1) - 1
    tables = _tables()
    bits = tables.changes[units]
    classes = tables.classes[units]
    bits[_spoken(units, classes)] |= _SPOKEN
    space = units == ord(" ")
    border = space.copy()
    border[ends] = True
    bits[0] |= _ODD * space[0]
    bits[1:][space[1:] & border[:-1]] |= _ODD
    bits[:-1][space[:-1] & border[1:]] |= _ODD
    bits[ends] = 0
    leading = np.concatenate(([0], ends[:-1] + 1))
    bits[leading] |= np.where(classes[leading] & (_PAUSES | _STOP), _SPOKEN, 0).astype(np.uint8)
    return np.bitwise_or.reduceat(bits, leading)


def _spoken(units: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Where something `_TALK` takes may stand, but for what opens a text: all that it takes, and little else."""
    found = (classes & _ALWAYS) != 0
    found[1:] |= ((classes[1:] & classes[:-1] & _COMMA) != 0) | (
        ((classes[1:] & _PAUSES) != 0) & ((classes[:-1] & _FILLER_END) != 0)
    )
    pause, starts, pronoun = (classes & _PAUSES) != 0, (classes & _WORD_START) != 0, (classes & _PRONOUN) != 0
    han = (classes & _HAN) != 0
    # same[n - 1][i]: characters i and i + n agree
    same = [_padded(units[:-n] == units[n:], len(units)) for n in range(1, 5)]
    once, twice, thrice = same[0], same[1], same[2]
    found |= once & pronoun
    found[:-2] |= (twice & pronoun)[:-2] & pause[1:-1]
    words = starts[:-2] & twice[:-2] & twice[1:-1]
    found[:-2] |= words | (starts & thrice)[:-2] & thrice[1:-1] & pause[2:]
    for length, repeated in enumerate(same, start=1):
        run, wanted = repeated & han, 2 * length  # a unit three times: so many in a row agree with the next one
        width = 1
        while width < wanted:
            step = min(width, wanted - width)
            run = run[:-step] & run[step:]
            width += step
        found[: len(run)] |= run
    return np.flatnonzero(found)


def _padded(some: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    return np.concatenate((some, np.zeros(length - len(some), np.bool_)))
