"""Situations from text: ten known of each suffice, a case never tells its own, and nothing is made up."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_recipes.config import PracticesConfig
from data_recipes.errors import DataError
from data_recipes.experience.situations import (
    Inferred,
    KnownReason,
    SituationsConfig,
    infer_situations,
    logged_reasons,
)
from tianjing.files import read_jsonl
from tianjing.records import Dialogue, Event, Turn
from tianjing.simulation import simulate

CONFIG = SituationsConfig(folds=3)


class Corpus:
    """Post-loan calls with their planted situations, and what was logged."""

    def __init__(self, folder: Path):
        rows = [json.loads(line) for line in (folder / "truth/dialogues.jsonl").read_text("utf-8").splitlines()]
        self.truth = {row["dialogue"]: row["situation"] for row in rows if row.get("situation")}
        self.dialogues = [d for d in read_jsonl(folder / "dialogues.jsonl", Dialogue) if d.id in self.truth]
        events = read_jsonl(folder / "events.jsonl", Event)
        self.logged = logged_reasons(self.dialogues, events, PracticesConfig())
        by_situation: dict[str, list[str]] = defaultdict(list)
        for identity in sorted(self.logged):
            by_situation[self.truth[identity]].append(identity)
        rng = random.Random(1)
        few = [i for situation in sorted(by_situation) for i in rng.sample(by_situation[situation], 10)]
        self.few = {identity: self.logged[identity] for identity in few}

    def accuracy(self, found: Mapping[str, Inferred]) -> float:
        """Of the dialogues whose reason was not known."""
        asked = [d.id for d in self.dialogues if d.id not in self.few]
        return sum(i in found and found[i].situation == self.truth[i] for i in asked) / len(asked)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("situations") / "raw"
    simulate(folder, 500, 31, "a", 1)
    return Corpus(folder)


@pytest.fixture(scope="module")
def found(corpus: Corpus) -> dict[str, Inferred]:
    return infer_situations(corpus.dialogues, corpus.few, CONFIG)


def test_ten_known_of_each_are_enough_and_the_turn_that_tells_it_is_found(
    corpus: Corpus, found: dict[str, Inferred]
) -> None:
    assert corpus.accuracy(found) > 0.9
    turns = [found[i].turn == corpus.logged[i].turn for i in found if i not in corpus.few]
    assert sum(turns) / len(turns) > 0.97


def test_probabilities_are_honest(corpus: Corpus) -> None:
    found = infer_situations(corpus.dialogues, corpus.few, CONFIG.model_copy(update={"min_probability": 0.0}))
    said = sum(one.probability for one in found.values()) / len(found)
    right = sum(one.situation == corpus.truth[i] for i, one in found.items()) / len(found)
    assert abs(said - right) < 0.06


def test_a_case_never_tells_its_own_situation(corpus: Corpus, found: dict[str, Inferred]) -> None:
    """A false reason in the log changes what is inferred of others at most, never of its own case."""
    for identity in sorted(corpus.few)[:1]:
        situation = found[identity].situation
        other = next(s for s in sorted(set(corpus.truth.values())) if s != corpus.few[identity].situation)
        lied = {**corpus.few, identity: replace(corpus.few[identity], situation=other)}
        assert infer_situations(corpus.dialogues, lied, CONFIG)[identity].situation == situation


def test_the_order_of_the_dialogues_does_not_matter(corpus: Corpus, found: dict[str, Inferred]) -> None:
    shuffled = random.Random(0).sample(corpus.dialogues, len(corpus.dialogues))
    assert infer_situations(shuffled, corpus.few, CONFIG) == found


def test_masked_values_change_little(corpus: Corpus, found: dict[str, Inferred]) -> None:
    def masked(text: str) -> str:
        return re.sub(r"[一-鿿]{2}(?=女士|先生)", "〔姓名1〕", re.sub(r"\d{3,}", "〔手机1〕", text))

    hidden = [
        d.model_copy(update={"turns": tuple(t.model_copy(update={"text": masked(t.text)}) for t in d.turns)})
        for d in corpus.dialogues
    ]
    assert corpus.accuracy(infer_situations(hidden, corpus.few, CONFIG)) > corpus.accuracy(found) - 0.02


def test_the_agent_tells_nothing(corpus: Corpus, found: dict[str, Inferred]) -> None:
    """Acts depend on the situation; were they read, practices mined within a situation would be biased."""
    silent = [
        d.model_copy(
            update={
                "turns": tuple(t if t.speaker == "customer" else t.model_copy(update={"text": "嗯"}) for t in d.turns)
            }
        )
        for d in corpus.dialogues
    ]
    assert infer_situations(silent, corpus.few, CONFIG) == found


def test_a_reason_without_its_turn_is_learned_from_too(corpus: Corpus) -> None:
    few = {identity: KnownReason(reason.situation) for identity, reason in corpus.few.items()}
    assert corpus.accuracy(infer_situations(corpus.dialogues, few, CONFIG)) > 0.8


def test_one_situation_is_not_enough(corpus: Corpus) -> None:
    one = {i: reason for i, reason in corpus.few.items() if reason.situation == "失业"}
    with pytest.raises(DataError) as error:
        infer_situations(corpus.dialogues, one, CONFIG)
    assert "1 known" in error.value.message and "ten suffice" in error.value.remedy


def test_a_dialogue_in_which_no_customer_speaks_has_none(corpus: Corpus) -> None:
    mute = Dialogue(
        id="mute",
        customer="c",
        agent="e",
        channel="phone",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        turns=(Turn(speaker="agent", text="失业了吗"), Turn(speaker="customer", text=" ")),
    )
    assert "mute" not in infer_situations([*corpus.dialogues[:200], mute], corpus.few, CONFIG)
