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
from typing import Literal

from data_recipes.cleaning.alignment import Aligned, Edit, replaced
from tianjing.config import StrictModel
from tianjing.text import HAN_DIGITS, KEPT_PUNCTUATION, han_quantities

# Conservative on purpose: what may be a word stays. 嗯 and 呃 are never part of one, but 嗯？ asks; 那个 or 啊 counts
# only between pauses. Numerals are never collapsed, nor Latin letters: 三三三 and www. are no stutters.
PAUSES = "，、,…"
NUMERALS = f"{HAN_DIGITS}俩幺十百千万亿拾佰仟萬"
PRONOUNS = "我你您他她"
STUTTERED = ("我想", "这个", "那个", "就是", "因为", "然后", "但是", "可以")
_OPENS = f"(?:(?<=[{PAUSES}。！？])|^)"
_TALK = re.compile(
    rf"(?P<gone>[{PAUSES}\s]+(?:嗯[呐哪]?|呃)++(?=[。！？]|$)"  # …，嗯。
    rf"|(?:(?<=[。！？])|^)(?:嗯[呐哪]?|呃)++[{PAUSES}。\s]+"
    rf"|(?:嗯[呐哪]?|呃)++(?![？！?!。])[{PAUSES}\s]*"
    rf"|{_OPENS}(?:那个|这个|就是说|那什么|额+|啊+|唔+)(?=[{PAUSES}])[{PAUSES}\s]+"
    r"|(?<=[，、,])[，、,]+|^[，、,。…\s]+)"
    rf"|([{PRONOUNS}])\2+|{_OPENS}([{PRONOUNS}])(?:[{PAUSES}]\3)+|({'|'.join(STUTTERED)})(?:[{PAUSES}]?\4)+"
    rf"|((?![{NUMERALS}])[\u4e00-\u9fff](?:(?![{NUMERALS}])[\u4e00-\u9fff]){{0,3}}?)\5{{2,}}"
)
# Said twice they are words of their own; a stutter of them keeps two.
_DOUBLED = frozenset("谢拜妈爸爷奶")
_WORD = re.compile(r"\w")
# Turns looked at in one pass.
_AT_ONCE = 65_536
# Folding would leave these as they are, in whatever order.
_PLAIN = re.compile(f"[\u4e00-\u9fff\x21-\x7e{re.escape(''.join(sorted(KEPT_PUNCTUATION)))}]*")

# What may have to change in a text, as bits: full-width letters and digits alone, other forms or white space, fillers
# or stutters, numerals.
WIDE, ODD, SPOKEN, NUMERAL = 1, 2, 4, 8
WIDE_LETTERS = {0xFEE0 + ord(char): char for char in string.digits + string.ascii_letters}


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
    """`[normalise(text, config) for text in texts]`, many times faster where most texts stay as they are.

    What is said word for word again is looked at once, and shares its `Aligned`.
    """
    numbers: dict[str, int] = {}
    which = [numbers.setdefault(text, len(numbers)) for text in texts]
    done = list(map(Aligned, numbers))
    for number, line in changed(list(numbers), config).items():
        done[number] = line
    return [done[number] for number in which]


def changed(texts: Sequence[str], config: NormaliseConfig | None = None) -> dict[int, Aligned]:
    """By number those of `texts` that do not stay as they are, normalised."""
    config = config or NormaliseConfig()
    wanted = WIDE | ODD | (SPOKEN if config.fillers else 0) | (NUMERAL if config.numerals == "arabic" else 0)
    found: dict[int, Aligned] = {}
    for first in range(0, len(texts), _AT_ONCE):
        some = texts[first : first + _AT_ONCE]
        for number, line in _normalised(some, wanted, config).items():
            if line.edits or line.text != some[number]:
                found[first + number] = line
    return found


def _normalised(texts: Sequence[str], wanted: int, config: NormaliseConfig) -> dict[int, Aligned]:
    """Those of the texts that may change."""
    from data_recipes.cleaning.glance import may_change  # numpy

    bits = dict(may_change(texts, wanted))
    done = {number: _widths(texts[number], own) for number, own in bits.items()}
    if config.fillers:
        spoken = [number for number, own in bits.items() if own & (ODD | SPOKEN)]
        done.update(zip(spoken, _said([done[number] for number in spoken]), strict=True))
    if config.numerals == "arabic":
        for number, line in done.items():
            done[number] = line.then(replaced(line.text, han_quantities(line.text)))
    return done


def _widths(text: str, bits: int) -> Aligned:
    if bits & ODD:
        return _folded(text)
    return Aligned(text.translate(WIDE_LETTERS) if bits & WIDE else text)


def _said(heard: Sequence[Aligned]) -> list[Aligned]:
    """Without fillers and stutters; one taken away may bring two halves of another, or two spaces, together."""
    from data_recipes.cleaning.glance import may_change  # numpy

    shorter = list(heard)
    left = list(range(len(heard)))
    while left:
        looked = may_change([shorter[number].text for number in left], SPOKEN)
        left = [left[place] for place, _ in looked]
        changed = []
        for number in left:
            here = shorter[number]
            changes = list(_talk(here.text))
            if changes:
                here = here.then(replaced(here.text, changes))
                shorter[number] = here if _PLAIN.fullmatch(here.text) else here.then(_folded(here.text))
                changed.append(number)
        left = changed
    return [
        less if less is item or _WORD.search(less.text) else item for item, less in zip(heard, shorter, strict=True)
    ]


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
