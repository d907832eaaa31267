"""What a turn is told apart by: grams of its characters and words, of what was said before it, and of the log.

Needs scikit-learn (extra `experience`), which is loaded when a matrix is made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from data_recipes.errors import DataError
from tianjing.text import fold

_PLACEHOLDER = re.compile(r"〔[^〕]*〕|<[A-Za-z_]+>|\[[A-Z_]+\]")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W_]+")
_MASKED = "□"


@dataclass(frozen=True)
class Utterance:
    """A turn and what surrounds it. `context` holds short marks, e.g. of the log and of the place in the dialogue."""

    text: str
    before: str = ""
    """What the other side said last."""
    own_before: str = ""
    """What the same side said last."""
    own_after: str = ""
    """What the same side says next."""
    context: tuple[str, ...] = ()


def folded(text: str) -> str:
    """Lower case and half width; every number is one sign, and so is every placeholder of a masked value."""
    return _NUMBER.sub("0", _PLACEHOLDER.sub(_MASKED, fold(text).lower()))


def grams(text: str) -> list[str]:
    """Character grams within words, and words and pairs of words.

    Latin words give 2- to 4-grams, padded at both ends; Chinese has no spaces, so a stretch of it is one word whose
    1- to 3-grams count (a word of Chinese is one or two characters long).
    """
    found: list[str] = []
    plain = folded(text)
    for word in plain.split():
        if word.isascii():
            padded = f" {word} "
            found.extend(padded[i : i + n] for n in (2, 3, 4) for i in range(len(padded) - n + 1))
        else:
            found.extend(word[i : i + n] for n in (1, 2, 3) for i in range(len(word) - n + 1))
    words = [word for word in _WORD.findall(plain) if word.isascii()]
    found.extend(f"w:{word}" for word in words)
    found.extend(f"w:{one} {other}" for one, other in pairwise(words))
    return found


class Grams:
    """TF-IDF of grams with rows of length 1: (1 + ln tf) · (1 + ln((1 + n) / (1 + df))), Salton and Buckley 1988."""

    def __init__(self, texts: Sequence[str], min_rows: int = 1):
        """Take the vocabulary from `texts`: grams that at least `min_rows` of them have."""
        self._vectoriser = sklearn_part("feature_extraction.text").TfidfVectorizer(
            analyzer=grams, sublinear_tf=True, min_df=min_rows, dtype=np.float32
        )
        # The sign of masked values is always in it, so that no vocabulary is empty.
        self._vectoriser.fit([*texts, *[_MASKED] * min_rows])

    def matrix(self, texts: Sequence[str]) -> Any:
        """Sparse rows (texts, grams), float32."""
        return self._vectoriser.transform(texts)

    def names(self) -> list[str]:
        """The gram of each column."""
        return list(self._vectoriser.get_feature_names_out())

    def known_share(self, texts: Sequence[str]) -> list[float]:
        """Of each text's distinct grams, the share that is in the vocabulary; 0 for a text without any."""
        vocabulary = self._vectoriser.vocabulary_
        found = []
        for text in texts:
            own = set(grams(text))
            found.append(sum(gram in vocabulary for gram in own) / len(own) if own else 0.0)
        return found


def words(text: str) -> list[str]:
    """Readable pieces of a text: Latin words, pairs of them, and stretches of 2 to 4 Chinese characters."""
    found: list[str] = []
    for word in _WORD.findall(folded(text)):
        if not word.isascii():
            found.extend(word[i : i + n] for n in (2, 3, 4) for i in range(len(word) - n + 1))
    latin = [word for word in _WORD.findall(folded(text)) if word.isascii() and not word.isdigit()]
    return found + latin + [f"{one} {other}" for one, other in pairwise(latin)]


def sklearn_part(name: str) -> Any:
    """A module of scikit-learn, loaded when it is needed.

    Raises:
        DataError: it is not installed.
    """
    try:
        return import_module(f"sklearn.{name}")
    except ModuleNotFoundError:
        raise DataError(
            "tagging acts and situations needs scikit-learn, which is not installed",
            "pip install 'tianjing[experience]'",
        ) from None
