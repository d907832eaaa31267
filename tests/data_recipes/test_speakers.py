"""Roles are put right where the words contradict them, and left alone everywhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.cleaning.speakers import repair_many, repair_speakers

SAMPLES = Path(__file__).parents[2] / "examples" / "raw" / "dialogues.jsonl"
CALL = (
    ("agent", "您好，晨舟消费金融客服中心，工号9822，有什么可以帮您？"),
    ("customer", "是我，你们怎么老给我打电话？"),
    ("agent", "您的账单逾期3天，给您说一下还款办法。"),
    ("customer", "我没钱，我老婆也没上班。"),
    ("agent", "好的。"),
    ("customer", "挂了。"),
)
OTHER = {"agent": "customer", "customer": "agent", "system": "system"}


@pytest.fixture(scope="module")
def samples() -> list[list[tuple[str, str]]]:
    rows = [json.loads(line) for line in SAMPLES.read_text("utf-8").splitlines()]
    return [[(turn["speaker"], turn["text"]) for turn in row["turns"]] for row in rows]


def test_swapped_roles_are_swapped_back() -> None:
    done = repair_speakers([(OTHER[speaker], text) for speaker, text in CALL])
    assert done.turns == CALL and done.relabelled == len(CALL)


def test_one_channel_becomes_two_roles() -> None:
    for label in ("agent", "customer"):
        assert repair_speakers([(label, text) for _, text in CALL]).turns == CALL


def test_a_turn_beside_another_of_its_role_changes_if_its_words_say_so() -> None:
    heard = [*CALL[:3], ("agent", CALL[3][1]), *CALL[4:]]
    done = repair_speakers(heard)
    assert done.turns == CALL and done.relabelled == 1


def test_a_turn_cut_at_a_comma_is_joined_and_its_parts_stay_known() -> None:
    done = repair_speakers(
        [("agent", "您好"), ("customer", "我想问一下，"), ("customer", "利率多少"), ("agent", "12%")]
    )
    assert done.turns == (("agent", "您好"), ("customer", "我想问一下，利率多少"), ("agent", "12%"))
    assert done.sources == ((0,), (1, 2), (3,)) and done.joined == 1


@pytest.mark.parametrize(
    "turns",
    [
        [("customer", "在吗"), ("customer", "我想问利率"), ("agent", "12%")],  # messages of a chat
        [("customer", "你们给您发的短信我看了"), ("agent", "是我没说清楚")],  # unclear
        [("customer", "好"), ("customer", "行")],  # no evidence
        [("system", "本次通话将录音"), ("agent", "您好"), ("customer", "是我")],
        [],
    ],
)
def test_without_clear_evidence_nothing_is_touched(turns: list[tuple[str, str]]) -> None:
    done = repair_speakers(turns)
    assert done.turns == tuple(turns) and not done.relabelled and not done.joined


def test_no_sample_dialogue_is_touched(samples: list[list[tuple[str, str]]]) -> None:
    assert sum(done.relabelled + done.joined > 0 for done in repair_many(samples)) == 0


def test_swapped_sample_dialogues_are_put_right_or_left_alone(samples: list[list[tuple[str, str]]]) -> None:
    swapped = [[(OTHER[speaker], text) for speaker, text in turns] for turns in samples]
    done = repair_many(swapped)
    right = sum(one.turns == tuple(turns) for one, turns in zip(done, samples, strict=True))
    assert right >= 0.7 * len(samples)
    assert right + sum(not one.relabelled for one in done) == len(samples)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["agent", "customer", "system"]), st.sampled_from([t for _, t in CALL]))))
def test_no_word_is_lost_and_repairing_again_changes_nothing(turns: list[tuple[str, str]]) -> None:
    done = repair_speakers(turns)
    assert "".join(text for _, text in done.turns) == "".join(text for _, text in turns)
    assert [raw for source in done.sources for raw in source] == list(range(len(turns)))
    if not done.joined:
        assert repair_speakers(done.turns).turns == done.turns
