"""Dialogues are cut where nobody speaks for long, single messages are joined, and topics are told by their words."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.cleaning.segment import SegmentConfig, join_messages, placed, sessions, topics
from tianjing.records import Dialogue, Turn

CONFIG = SegmentConfig()
NINE = datetime.fromisoformat("2026-03-02T09:00:00+08:00")


def _dialogue(minutes: list[int | None], name: str = "d1", customer: str = "c1", channel: str = "chat") -> Dialogue:
    times = [None if at is None else NINE + timedelta(minutes=at) for at in minutes]
    turns = tuple(Turn(speaker="customer", text=f"第{i}句", at=at) for i, at in enumerate(times))
    start = next((at for at in times if at is not None), NINE)
    return Dialogue(id=name, customer=customer, agent="a1", channel=channel, started_at=start, turns=turns)


def test_a_pause_of_more_than_half_an_hour_ends_a_session() -> None:
    dialogue = _dialogue([0, 10, 40, 71, None, 72])
    first, second = sessions(dialogue, CONFIG)
    assert (first.id, second.id) == ("d1", "d1#2")
    assert [turn.text for turn in first.turns] == ["第0句", "第1句", "第2句"]
    assert second.started_at == NINE + timedelta(minutes=71)
    assert first.turns + second.turns == dialogue.turns


def test_a_dialogue_without_a_pause_or_without_times_is_left_as_it_is() -> None:
    for dialogue in (_dialogue([0, 30, 60]), _dialogue([None, None])):
        assert sessions(dialogue, CONFIG)[0] is dialogue


@given(st.lists(st.integers(0, 200), min_size=1, max_size=12))
def test_cutting_and_joining_lose_no_turn(gaps: list[int]) -> None:
    minutes = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    dialogue = _dialogue(list(minutes))
    cut = sessions(dialogue, CONFIG)
    assert tuple(turn for part in cut for turn in part.turns) == dialogue.turns
    messages = [
        dialogue.model_copy(update={"id": f"m{i:02}", "turns": (turn,), "started_at": turn.at})
        for i, turn in enumerate(dialogue.turns)
    ]
    joined = join_messages(reversed(messages), CONFIG)
    assert [one.dialogue.turns for one in joined] == [part.turns for part in cut]
    assert [name for one in joined for name in one.messages] == [message.id for message in messages]


@given(st.lists(st.integers(0, 90), min_size=2, max_size=12), st.data())
def test_an_entry_belongs_to_the_session_of_its_turn_or_else_of_its_time(gaps: list[int], data: st.DataObject) -> None:
    dialogue = _dialogue([sum(gaps[: i + 1]) for i in range(len(gaps))])
    cut = sessions(dialogue, CONFIG)
    stays = [True] * len(cut)
    turn = data.draw(st.integers(0, len(gaps) - 1))
    at = dialogue.turns[turn].at
    assert at is not None
    by_turn = placed(cut, turn, at + timedelta(days=9), stays, CONFIG)
    assert by_turn.turn is not None and cut[by_turn.session].turns[by_turn.turn] == dialogue.turns[turn]
    assert placed(cut, None, at, stays, CONFIG) == (by_turn.session, None, True)
    assert placed(cut, len(gaps), at, stays, CONFIG) == (by_turn.session, None, True)


def test_an_entry_that_is_far_from_all_goes_to_the_nearest_session_that_stays() -> None:
    cut = sessions(_dialogue([0, 200, 400]), CONFIG)
    noon = NINE + timedelta(minutes=180)
    assert placed(cut, None, noon, [True, True, True], CONFIG) == (1, None, True)
    hour = NINE + timedelta(minutes=100)
    assert placed(cut, None, hour, [True, True, True], CONFIG) == (0, None, False)  # the earlier of two
    assert placed(cut, None, hour, [False, False, True], CONFIG) == (2, None, False)
    assert placed(cut, None, hour, [False, False, False], CONFIG) == (0, None, False)
    assert placed(cut, None, noon.replace(tzinfo=None), [True, True, True], CONFIG) == (1, None, True)


def test_messages_of_other_customers_and_channels_are_not_joined() -> None:
    messages = [
        _dialogue([5], "m3"),
        _dialogue([0], "m1"),
        _dialogue([1], "m2", customer="c2"),
        _dialogue([2], "m4", channel="phone"),
        _dialogue([60], "m5"),
    ]
    found = [(one.dialogue.id, one.messages) for one in join_messages(messages, CONFIG)]
    assert found == [("m1", ("m1", "m3")), ("m5", ("m5",)), ("m4", ("m4",)), ("m2", ("m2",))]


LOAN = [
    ("customer", "您好，我想查一下这个月的账单还差多少钱"),
    ("agent", "您这个月的账单还差八百元，到期日是二十号"),
    ("customer", "账单里面的利息是怎么算的"),
    ("agent", "账单的利息按照合同约定的利率每天计算"),
    ("customer", "那这个月的账单我分两次还可以吗"),
    ("agent", "可以的，这个月的账单分两次还清就行"),
]
CARD = [
    ("customer", "对了，我的银行卡丢了，想换绑一张新的卡"),
    ("agent", "换绑银行卡需要您先在应用里面验证身份"),
    ("customer", "换绑新卡要上传身份证照片吗"),
    ("agent", "换绑的时候上传身份证照片，再输入新卡卡号"),
    ("customer", "新卡换绑以后多久能用"),
    ("agent", "换绑成功以后新卡马上就能用"),
]


def _turns(*parts: list[tuple[str, str]]) -> list[Turn]:
    return [Turn(speaker=speaker, text=text) for part in parts for speaker, text in part]


@pytest.mark.parametrize("cued", [True, False])
def test_a_new_matter_begins_a_topic(cued: bool) -> None:
    config = (
        CONFIG
        if cued
        else CONFIG.model_copy(update={"cues": (), "closings": (), "depth_sd": 1.0, "min_topic_turns": 4})
    )
    assert topics(_turns(LOAN, CARD), config) == [0, 6]


def test_one_matter_is_one_topic() -> None:
    assert topics(_turns(LOAN), CONFIG) == [0]
    assert topics([], CONFIG) == []


@given(st.lists(st.text(max_size=12), max_size=30), st.integers(1, 6))
def test_topics_begin_at_the_first_turn_and_are_never_shorter_than_allowed(texts: list[str], shortest: int) -> None:
    config = SegmentConfig(min_topic_turns=shortest, depth_sd=0.0)
    starts = topics([Turn(speaker="agent", text=text) for text in texts], config)
    assert starts == sorted(set(starts))
    assert starts[:1] == ([0] if texts else [])
    if len(starts) > 1:
        assert all(b - a >= shortest for a, b in zip(starts, [*starts[1:], len(texts)], strict=True))
