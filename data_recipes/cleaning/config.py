"""Configuration of the cleaning of dialogues."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from data_recipes.cleaning.decontamination import DecontaminationConfig
from data_recipes.cleaning.language import LanguageConfig
from data_recipes.cleaning.normalise import NormaliseConfig
from data_recipes.cleaning.quality import QualityConfig
from data_recipes.cleaning.segment import SegmentConfig
from tianjing.config import StrictModel
from tianjing.rulebook.schema import Institution


class RulebookConfig(StrictModel):
    """Which rules the agents' turns are held against."""

    packs: tuple[Path, ...] = ()
    """A company's own rule packs, beside those that ship (`tianjing rules list`)."""
    institution: Institution | None = None
    """Kind of lender; without it, rules of every kind of lender apply."""
    product: str | None = None
    """Product; without it, rules of every product apply."""


class DuplicatesConfig(StrictModel):
    """Which dialogues count as one."""

    jaccard: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    """Near duplicates share at least this much of their character 5-grams; 1 asks for the same grams. Below 0.7 more
    than 1 pair in 14 is missed (formula in `cleaning.minhash.row_keys`). Each is told of its first one and counts as
    a case of its own, but no two are learned from, and none is learned from whose twin is tested on."""


class CleanConfig(StrictModel):
    """Raw dialogues to clean ones. Nothing is dropped without a reason, and what is dropped stays readable."""

    normalise: NormaliseConfig = NormaliseConfig()
    """Width, fillers, stutters, numerals, speakers."""
    sessions: SegmentConfig = SegmentConfig()
    """Cuts a dialogue in which a long pause shows that it is two."""
    quality: QualityConfig = QualityConfig()
    """Dialogues too poor to learn from are dropped."""
    language: LanguageConfig = LanguageConfig()
    """Dialogues in another language are dropped."""
    rulebook: RulebookConfig = RulebookConfig()
    """An agent's turn that breaks a rule is quarantined: it stays in its dialogue and is never taught."""
    decontaminate: DecontaminationConfig = DecontaminationConfig()
    """A dialogue that holds an item of an evaluation set is dropped."""
    duplicates: DuplicatesConfig = DuplicatesConfig()
    """Of one customer's dialogues with the same words the first stays; near duplicates are marked."""
    shard_mib: Annotated[int, Field(ge=1, le=1024)] = 16
    """Size of a shard: what a worker does at a time, and what is done again after a kill. A worker takes about twenty
    times this in memory."""
    max_line_mib: Annotated[int, Field(ge=1, le=1024)] = 8
    """A longer line is kept aside unread."""
