"""How much a dialogue is worth learning from, by cheap signals: a score in [0, 1], and reasons to drop it.

The signals are characters, turns, balance of the speakers, turns said again, garbled characters, digits, length of the
turns, and an end in the middle of a sentence. The score is the product of what each of them leaves: 1 where it is as in
an ordinary conversation, falling linearly to 0 where nothing is left of one. It orders and weighs dialogues; the limits
of the configuration decide whether one is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_recipes.cleaning import characters as kinds
from data_recipes.cleaning.characters import count_kinds
from tianjing.config import StrictModel
from tianjing.records import Dialogue

Share = Annotated[float, Field(ge=0, le=1)]
# A turn as short as 好的 may be said twice.
_REPEATABLE_CHARS = 4
# A pause, an opening bracket, or a word that something must follow.
_CUT_OFF = re.compile(r"(?:[，、,：:；;（(“「—\-]|因为|但是|而且|所以|如果|或者|以及|并且|关于)\s*$")
# A conversation as short as an answered question costs nothing of the score.
_ORDINARY_CHARS, _ORDINARY_TURNS, _ORDINARY_TURN_CHARS = 60, 4, 6
_CUT_OFF_LEFT = 0.8


class QualityConfig(StrictModel):
    """Below or above which limits a dialogue is dropped. Each drop is counted by its reason."""

    min_chars: Annotated[int, Field(ge=1)] = 12
    """Characters of agent and customer together; less is a wrong number or a dropped call."""
    min_turns: Annotated[int, Field(ge=1)] = 2
    """Turns of agent and customer together; 1 also keeps single messages."""
    one_sided: bool = False
    """Keep dialogues in which only the agent or only the customer speaks (an announcement, a complaint letter)."""
    max_repeated_share: Share = 0.5
    """Share of characters in turns that the same speaker has said before; more is a loop of an announcement or of a
    recogniser."""
    max_garbled_share: Share = 0.1
    """Share of characters that no text is written with, or that come of a wrong encoding; more cannot be read."""
    max_digits_share: Share = 0.5
    """Share of digits; more is a list of numbers and no conversation."""
    min_mean_turn_chars: Annotated[float, Field(ge=0)] = 2.0
    """Mean characters of a turn; less is a dialogue of single syllables."""
    max_mean_turn_chars: Annotated[float, Field(gt=0)] = 1000.0
    """Mean characters of a turn; more is a document that was read as turns."""
    min_score: Share = 0.1
    """Lowest score; a higher one keeps less and better dialogues."""


class Quality(NamedTuple):
    """`score` in [0, 1]; `reasons` says why the dialogue is dropped and is empty where it is kept."""

    score: float
    reasons: tuple[str, ...]


def qualities(dialogues: Sequence[Dialogue], config: QualityConfig) -> list[Quality]:
    """The quality of each dialogue; turns of the system do not count."""
    spoken = [[(turn.speaker, turn.text) for turn in dialogue.turns] for dialogue in dialogues]
    return qualities_of(spoken, config)


def qualities_of(
    dialogues: Sequence[Sequence[tuple[str, str]]], config: QualityConfig, counts: kinds.Counts | None = None
) -> list[Quality]:
    """`qualities` of dialogues given by their turns (speaker, text).

    Args:
        counts: of each dialogue `count_kinds` of all its turns, if they are known.
    """
    if not dialogues:
        return []
    speakers = [speaker for turns in dialogues for speaker, _ in turns]
    said = dialogues
    if "system" in speakers:
        counts = None
        said = [[turn for turn in turns if turn[0] != "system"] for turns in dialogues]
        speakers = [speaker for turns in said for speaker, _ in turns]
    texts = [text for turns in said for _, text in turns]
    turns_of = np.fromiter(map(len, said), np.int64, len(said))
    ends = np.cumsum(turns_of)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    chars = _sums(lengths, ends)
    agent = _sums(lengths * np.fromiter([speaker == "agent" for speaker in speakers], np.bool_, len(speakers)), ends)
    customer = chars - agent
    some = np.maximum(chars, 1)
    repeated = np.array([_repeated_chars(turns) for turns in said]) / some
    if counts is None:
        counts = count_kinds(["".join([text for _, text in turns]) for turns in said])
    # é in an English or French text is a letter; many of them and few plain letters are UTF-8 read as Latin-1.
    western = counts[:, kinds.WESTERN]
    garbled = (counts[:, kinds.GARBLED] + western * (western > counts[:, kinds.LATIN])) / some
    digits = counts[:, kinds.DIGIT] / some
    mean_turn = chars / np.maximum(turns_of, 1)
    cut_off = np.array([bool(turns) and _CUT_OFF.search(turns[-1][1][-4:]) is not None for turns in said])
    score = (
        np.minimum(1, chars / _ORDINARY_CHARS)
        * np.minimum(1, turns_of / _ORDINARY_TURNS)
        * np.minimum(1, 0.2 + 4 * np.minimum(agent, customer) / np.maximum(np.maximum(agent, customer), 1))
        * (1 - repeated)
        * np.maximum(0, 1 - 5 * garbled)
        * np.clip(1.25 - 1.25 * digits, 0, 1)
        * np.minimum(1, mean_turn / _ORDINARY_TURN_CHARS)
        * np.where(cut_off, _CUT_OFF_LEFT, 1)
    )
    limits = {
        "too few characters": chars < config.min_chars,
        "too few turns": turns_of < config.min_turns,
        "only the agent speaks": (agent > 0) & (customer == 0) & (not config.one_sided),
        "only the customer speaks": (customer > 0) & (agent == 0) & (not config.one_sided),
        "says the same again and again": repeated > config.max_repeated_share,
        "garbled": garbled > config.max_garbled_share,
        "mostly digits": digits > config.max_digits_share,
        "turns too short": mean_turn < config.min_mean_turn_chars,
        "turns too long": mean_turn > config.max_mean_turn_chars,
    }
    limits["low score"] = (score < config.min_score) & ~np.any(list(limits.values()), axis=0)
    found = [Quality(value, ()) for value in np.round(score, 4).tolist()]
    for i in np.flatnonzero(np.any(list(limits.values()), axis=0)).tolist():
        broken = tuple(f"quality: {reason}" for reason, is_broken in limits.items() if is_broken[i])
        found[i] = Quality(found[i].score, broken)
    return found


def quality(dialogue: Dialogue, config: QualityConfig) -> Quality:
    """The quality of one dialogue; `qualities` is much faster for many."""
    return qualities([dialogue], config)[0]


def _sums(values: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of the values of each dialogue, which ends before the turn `ends`."""
    upto: NDArray[np.int64] = np.concatenate(([0], np.cumsum(values)))[ends]
    return np.diff(upto, prepend=0)


def _repeated_chars(turns: Sequence[tuple[str, str]]) -> int:
    """Characters in turns (speaker, text) that the same speaker has said before."""
    if len(set(turns)) == len(turns):
        return 0
    repeated = 0
    seen: set[tuple[str, str]] = set()
    for turn in turns:
        if turn in seen and len(turn[1]) >= _REPEATABLE_CHARS:
            repeated += len(turn[1])
        seen.add(turn)
    return repeated
