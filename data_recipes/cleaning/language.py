"""The language of a dialogue by the scripts it is written in.

Scripts tell Chinese, Japanese and Korean apart, and Chinese from what is written in Latin letters; they do not tell
English from French (both count as `en`), nor Mandarin from Cantonese (both `zh` or `zh-Hant`, as they are written).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    found: list[Language] = []
    for row in count_kinds(texts).tolist():
        traditional, simplified = row[kinds.TRADITIONAL_HAN], row[kinds.SIMPLIFIED_HAN]
        han = row[kinds.HAN] + traditional + simplified
        kana, korean = row[kinds.KANA], row[kinds.HANGUL]
        latin = (row[kinds.LATIN] + row[kinds.WESTERN]) / _LETTERS_A_CHARACTER
        foreign = row[kinds.OTHER_LETTER] / _LETTERS_A_CHARACTER
        is_japanese = kana > _KANA_SHARE * (han + kana)
        shares: dict[Language, float] = {
            "ja": han + kana if is_japanese else kana,
            "zh-Hant" if traditional > simplified else "zh": 0 if is_japanese else han,
            "ko": korean,
            "en": latin,
            "other": foreign,
        }
        total = sum(shares.values())
        main = max(shares, key=shares.__getitem__)
        found.append("other" if not total else main if shares[main] >= _MAIN_SHARE * total else "mixed")
    return found


def language(dialogue: Dialogue) -> Language:
    """The language of one dialogue; `languages` is much faster for many."""
    return languages(["".join(turn.text for turn in dialogue.turns)])[0]


def unwanted(found: Language, config: LanguageConfig) -> str | None:
    """Why a dialogue in this language is dropped, or None."""
    return None if found in config.keep else f"language: {found}"
