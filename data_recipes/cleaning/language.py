"""The language of a dialogue by the scripts it is written in.

Scripts tell Chinese, Japanese and Korean apart, and Chinese from what is written in Latin letters; they do not tell
English from French (both count as `en`), nor Mandarin from Cantonese (both `zh` or `zh-Hant`, as they are written).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from data_recipes.cleaning import characters as kinds
from data_recipes.cleaning.characters import count_kinds
from tianjing.config import StrictModel
from tianjing.records import Dialogue

Language = Literal["zh", "zh-Hant", "en", "ja", "ko", "mixed", "other"]
# A word of four letters weighs as much as one character of another script.
_LETTERS_A_CHARACTER = 4
# A share of Japanese text that is kana even where it is full of Han characters.
_KANA_SHARE = 0.1
_MAIN_SHARE = 0.65


class LanguageConfig(StrictModel):
    """Which languages are kept."""

    keep: tuple[Language, ...] = Field(default=("zh", "zh-Hant", "mixed"), min_length=1)
    """Languages that are kept; `mixed` has no script with two thirds of the text, `other` no letters at all or those
    of another script."""


def languages(texts: Sequence[str]) -> list[Language]:
    """The language of each text."""
    return languages_of(count_kinds(texts))


def languages_of(counts: kinds.Counts) -> list[Language]:
    """The language of each text whose characters are counted."""
    column = counts.T.astype(np.float64)
    traditional, simplified = column[kinds.TRADITIONAL_HAN], column[kinds.SIMPLIFIED_HAN]
    han = column[kinds.HAN] + traditional + simplified
    kana = column[kinds.KANA]
    latin = (column[kinds.LATIN] + column[kinds.WESTERN]) / _LETTERS_A_CHARACTER
    foreign = column[kinds.OTHER_LETTER] / _LETTERS_A_CHARACTER
    is_japanese = kana > _KANA_SHARE * (han + kana)
    names: tuple[Language, ...] = ("ja", "zh", "ko", "en", "other", "zh-Hant", "mixed")
    japanese, chinese = np.where(is_japanese, han + kana, kana), np.where(is_japanese, 0, han)
    shares = np.stack([japanese, chinese, column[kinds.HANGUL], latin, foreign])
    main = shares.argmax(axis=0)
    total = shares.sum(axis=0)
    found = np.where((main == names.index("zh")) & (traditional > simplified), names.index("zh-Hant"), main)
    found[shares.max(axis=0) < _MAIN_SHARE * total] = names.index("mixed")
    found[total == 0] = names.index("other")
    return [names[number] for number in found.tolist()]


def language(dialogue: Dialogue) -> Language:
    """The language of one dialogue; `languages` is much faster for many."""
    return languages(["".join(turn.text for turn in dialogue.turns)])[0]


def unwanted(found: Language, config: LanguageConfig) -> str | None:
    """Why a dialogue in this language is dropped, or None."""
    return None if found in config.keep else f"language: {found}"
