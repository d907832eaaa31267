"""What is learned from experience: nothing vetoed, nothing invented, everything traced to what was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_recipes.browse.inspect import inspect
from data_recipes.build import build
from data_recipes.experience.accepted import decided
from data_recipes.experience.decisions import Decision
from data_recipes.experience.units import Unit
from data_recipes.extract import extract
from data_recipes.knowledge import read_knowledge
from data_recipes.publish.columns import PREFERENCE_COLUMNS
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.material import BUILD, EXTRACT, write_raw
from tests.data_recipes.talks import (
    BOTH,
    EACH,
    TALK,
    pairs_of,
    practice,
    rows_of,
    world,
)
from tianjing import acts
from tianjing.dataset import SPLITS, preference_file, read_examples, read_preferences
from tianjing.records import Dialogue, Example, Practice, Preference
from tianjing.rulebook import PhraseMatcher, Rulebook
from tianjing.text import compact


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts(Rulebook.load())


@pytest.fixture(scope="module")
def matcher() -> PhraseMatcher:
    return Rulebook.load().matcher("agent")


# What is vetoed

_PRACTICES = st.lists(
    st.builds(
        lambda pair, effect, verdict, exploratory: practice(
            *pair,
            effect=effect,
            verdict=verdict,
            exploratory=exploratory,
            rules=("Q01",) if verdict == "vetoed" else (),
        ),
        st.sampled_from([(situation, act) for situation, (_, said) in TALK.items() for act in said]),
        st.floats(-0.9, 0.9),
        st.sampled_from(["allowed", "vetoed"]),
        st.booleans(),
    ),
    unique_by=lambda one: one.id,
    max_size=5,
)
_WORDS = st.lists(st.sampled_from(["", "accept", "edit", "reject"]), min_size=5, max_size=5)


@example(
    now=[practice("失业", "offer_deferral"), practice("失业", "demand_full_payment", verdict="vetoed", rules=("Q01",))],
    words=[""] * 5,
    reviewed_as="now",
    taken="all",
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    now=_PRACTICES,
    words=_WORDS,
    reviewed_as=st.sampled_from(["allowed", "now"]),
    taken=st.sampled_from(["all", "accepted"]),
)
def test_a_vetoed_practice_is_never_taught_whatever_was_decided(
    now: list[Practice], words: list[str], reviewed_as: str, taken: Any, verdicts: Verdicts, matcher: PhraseMatcher
) -> None:
    decisions = []
    for one, word in zip(now, words, strict=False):
        if word:
            # Also a decision of a time when the practice was allowed and looked splendid.
            seen = practice(one.situation, one.action, 0.8) if reviewed_as == "allowed" else one
            edits = {"situation": "没收入"} if word == "edit" else {}
            decisions.append(_decision(Unit("practice", seen), word, len(decisions) + 1, edits))
    knowledge, _ = decided(world(now, [*EACH, *BOTH]), decisions, taken, matcher)
    vetoed = {(one.situation, one.action) for one in now if one.verdict == "vetoed"}
    names = {f"{situation}/{act}" for situation, act in vetoed}
    taught = {one.id for one in now} if taken == "all" else {d.unit for d in decisions if d.decision != "reject"}
    for row in rows_of(knowledge, verdicts):
        assert set(row.practice_ids) <= taught - names
        situation = row.practice_ids[0].partition("/")[0]
        said = (
            row.reference["reply"]
            if row.task == "next_reply"
            else row.reference["empathy"] + row.reference["reasoning"]
        )
        assert not any((situation, act) in vetoed for act in acts.tag(said))
        assert (situation, row.reference["act"]) not in vetoed
    for pair in pairs_of(knowledge, verdicts):
        assert set(pair.practice_ids) <= taught - names and not set(pair.rejected_practice_ids) & names
        situation = pair.practice_ids[0].partition("/")[0]
        assert not any((situation, act) in vetoed for act in acts.tag(pair.chosen[0].content))
        if any((situation, act) in vetoed for act in acts.tag(pair.rejected[0].content)):
            assert pair.why == "breach" and "Q01" in pair.rules


def _decision(unit: Unit, word: Any, number: int, edits: dict[str, str]) -> Decision:
    return Decision(
        number=number,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        reviewer="王敏",
        kind=unit.kind,
        unit=unit.record.id,
        decision=word,
        edits=edits,
        digest=unit.digest,
        reviewed=unit.record.model_dump(mode="json"),
        knowledge="k",
    )


# The trail, from the dataset to the raw lines


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Raw folder, knowledge and dataset of a corpus in which some agents say a word of sympathy."""
    base = tmp_path_factory.mktemp("traced")
    raw = write_raw(base / "raw", cases=180)
    words = "您可以申请延期，缓一段再还，"
    text = (raw / "dialogues.jsonl").read_text("utf-8").replace(words, f"我理解您，确实不容易。{words}", 30)
    (raw / "dialogues.jsonl").write_text(text, encoding="utf-8")
    extract(raw, base / "knowledge", EXTRACT)
    build(base / "knowledge", base / "dataset", BUILD)
    return raw, base / "knowledge", base / "dataset"


def test_every_row_traces_to_the_raw_lines_it_was_made_of(traced: tuple[Path, Path, Path]) -> None:
    raw, folder, dataset = traced
    knowledge = read_knowledge(folder)
    trail = {row.id: row for row in knowledge.trail}
    dialogues = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    lines = {row.file: (raw / row.file).read_bytes().split(b"\n") for row in knowledge.trail}
    rows = [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]
    pairs = [pair for split in SPLITS for pair in read_preferences(dataset / preference_file(split))]
    assert {row.task for row in rows} >= {"next_reply", "mediation", "policy_qa"} and pairs
    practices, clauses = {one.id for one in knowledge.practices}, {one.id: one for one in knowledge.clauses}
    for item in (*rows, *pairs):
        assert item.sources and set(item.practice_ids) <= practices
        for source in (*item.sources, *getattr(item, "rejected_sources", ())):
            case, _, turn = source.rpartition("#")
            where = trail[case]
            record = json.loads(lines[where.file][where.line - 1])
            assert record["id"] == case and (raw / where.file).read_bytes()[where.offset :].startswith(b'{"id"')
            assert dialogues[case].turns[int(turn)].speaker == record["turns"][int(turn)]["speaker"]
    for row in rows:
        assert set(row.clause_ids) <= clauses.keys()
        if row.task == "mediation":
            _said_and_written(row, dialogues, clauses[row.clause_ids[0]].text)


def _said_and_written(row: Example, dialogues: dict[str, Dialogue], clause: str) -> None:
    said = [dialogues[case].turns[int(turn)].text for case, _, turn in (s.rpartition("#") for s in row.sources)]
    assert any(row.reference["empathy"] in text for text in said)
    assert any(row.reference["reasoning"] in text for text in said)
    assert any(row.reference["words"] in turn["text"] for turn in row.fields["turns"])
    assert compact(row.reference["law"]) in compact(clause)


def test_the_pairs_load_as_a_configuration_of_the_folder(traced: tuple[Path, Path, Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(traced[2]), "preferences", cache_dir=str(tmp_path))
    for split in SPLITS:
        pairs = read_preferences(traced[2] / preference_file(split))
        assert [row["rejected"] for row in loaded[split]] == [[pair.rejected[0].model_dump()] for pair in pairs]
    assert (
        loaded["train"].column_names == [column.name for column in PREFERENCE_COLUMNS] == list(Preference.model_fields)
    )


@pytest.mark.slow  # TRL brings torch in
def test_trl_reads_the_pairs_as_they_are(traced: tuple[Path, Path, Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data_utils = pytest.importorskip("trl.data_utils")
    folder = str(traced[2])
    loaded = datasets.load_dataset(folder, "preferences", cache_dir=str(tmp_path))["train"]
    pairs = read_preferences(traced[2] / preference_file("train"))
    assert [row["id"] for row in loaded] == [pair.id for pair in pairs]
    assert data_utils.is_conversational(loaded[0])
    unpaired = data_utils.unpair_preference_dataset(loaded.select_columns(["prompt", "chosen", "rejected"]))
    assert len(unpaired) == 2 * len(loaded) and set(unpaired.column_names) == {"prompt", "completion", "label"}


def test_inspect_shows_both_answers_of_a_pair(traced: tuple[Path, Path, Path]) -> None:
    tab = next(tab for tab in inspect(traced[2]).tabs if tab.name == "pairs")
    pairs = read_preferences(traced[2] / preference_file("train"))
    shown = {entry.id: dict(entry.messages) for entry in tab.entries}
    assert all(shown[pair.id]["rejected"] == pair.rejected[0].content for pair in pairs)
    assert tab.total == sum(len(read_preferences(traced[2] / preference_file(split))) for split in SPLITS)
