"""Whether two texts say the same words: read aloud, without punctuation, numbers by value, synonyms of register as one.

Errors of speech recognition and of pinyin input keep the sound, so two texts that sound alike are one; what must not be
misheard (numbers, negations, names, deciding words) is compared by its spelling elsewhere (`checks`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from evals.perturb import noise, rewording
from evals.perturb.numerals import find_numbers
from evals.perturb.slots import Kind
from tianjing.text import fold

# Characters that a scanner takes for one another, each as the first of its pair.
_LOOKALIKES = str.maketrans({char: min(pair) for pair in noise.OCR.items() for char in pair})
_SILENT = re.compile(r"[^\w]|_")
_STUTTER = re.compile(rf"([{noise.STUTTERS}])\1+")


def same_content(before: str, after: str, kind: Kind) -> bool:
    """Whether `after` says what `before` says, but for a known opening and closing."""
    heard, told = _sounds(after, kind), _sounds(before, kind)
    if heard == told:
        return True
    for opening in _openings():
        for closing in _closings():
            if heard == " ".join(part for part in (opening, told, closing) if part):
                return True
    return False


@functools.lru_cache(maxsize=4096)
def _sounds(text: str, kind: Kind) -> str:
    """Syllables joined by spaces; each number as its value between #, a stutter once."""
    folded, spoken, behind = fold(text), [], 0
    for found in find_numbers(text):
        spoken += [*_syllables(folded[behind : found.start], kind), *(f"#{value}" for value in found.value.split())]
        behind = found.unit_end
    spoken += _syllables(folded[behind:], kind)
    return _synonyms_as_one(" ".join(spoken))


def _syllables(text: str, kind: Kind) -> list[str]:
    plain = _SILENT.sub("", text.translate(_LOOKALIKES) if kind == "document" else text)
    return [_syllable(char) for char in _STUTTER.sub(r"\1", plain)]


@functools.lru_cache(maxsize=8192)
def _syllable(char: str) -> str:
    from pypinyin import Style, pinyin

    return str(pinyin(char, style=Style.NORMAL)[0][0])


def _synonyms_as_one(sounds: str) -> str:
    pattern, one = _synonyms()
    return pattern.sub(lambda match: one[match[0]], sounds)


@functools.lru_cache(maxsize=1)
def _synonyms() -> tuple[re.Pattern[str], Mapping[str, str]]:
    """Each word of the register tables and what stands for it and all that it is exchanged with."""
    groups: dict[str, set[str]] = {}
    for words in rewording.SYNONYMS:
        for word, other in words.items():
            joined = groups.get(word, {word}) | groups.get(other, {other})
            groups |= dict.fromkeys(joined, joined)
    one = {_spelt(word): _spelt(min(group)) for word, group in groups.items()}
    longest = sorted(one, key=len, reverse=True)
    return re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, longest))})(?!\S)"), one


def _spelt(word: str) -> str:
    return " ".join(map(_syllable, word))


@functools.lru_cache(maxsize=1)
def _openings() -> Sequence[str]:
    return ("", *dict.fromkeys(_sounds(text, "spoken") for text in (*rewording.OPENINGS, *noise.FILLERS)))


@functools.lru_cache(maxsize=1)
def _closings() -> Sequence[str]:
    return ("", *dict.fromkeys(_sounds(text, "spoken") for text in rewording.CLOSINGS if text))
