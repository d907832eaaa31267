"""Redacted dialogues and events: nothing personal left, and every character still points at the raw turn."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.cleaning.alignment import Aligned
from data_recipes.cleaning.normalise import normalise_many
from data_recipes.cleaning.redaction import CaseLog, Redacted, redact_dialogues, redact_events
from tianjing.privacy import Session

KNOWN = {"name": "王建国", "mobile": "13800138000", "bank_card": "6222021001122334455"}
RAW = (
    ("agent", "嗯，您好，请问是王建国先生吗？"),
    ("customer", "呃，我我我是，手机１３８００１３８０００，打不通就找老王"),
    ("agent", "那个，建国先生，逾期12天，2699元"),
    ("customer", "我老婆叫李晓梅，卡号6222 0210 0112 2334 455"),
    ("customer", "晓梅的工资下周发"),
)
TURNS = st.lists(
    st.sampled_from([*RAW, ("agent", "嗯嗯，好的"), ("customer", "１３８　００１３\u200b８０００")]), max_size=7
)


def _redacted(raw: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> Redacted:
    lines = normalise_many([text for _, text in raw])
    spoken = [(speaker, line.text) for (speaker, _), line in zip(raw, lines, strict=True)]
    return redact_dialogues([spoken], [dict(enumerate(lines))], [KNOWN])[0]


def test_personal_data_becomes_placeholders_that_stay_the_same() -> None:
    done = _redacted(RAW)
    assert [line.text for line in done.turns] == [
        "您好，请问是〔姓名1〕先生吗？",
        "我是，手机〔手机1〕，打不通就找老〔姓名1〕",
        "〔姓名1〕先生，逾期12天，2699元",
        "我老婆叫〔姓名2〕，卡号〔银行卡1〕",
        "〔姓名2〕的工资下周发",
    ]
    assert done.findings == {"name": 5, "mobile": 1, "bank_card": 1}


def test_a_placeholder_stands_for_the_whole_datum_of_the_raw_turn() -> None:
    line = _redacted(RAW).turns[1]
    raw = RAW[1][1]
    start = line.text.index("〔手机1〕")
    begin, end = line.raw_span(start, start + 5)
    assert raw[begin:end] == "１３８００１３８０００"
    assert line.slice_of(begin + 3, begin + 5) == "〔手机1〕"  # half a number gives no digit away


@settings(deadline=None)
@given(TURNS)
def test_alignments_stay_total_and_monotone_and_nothing_known_is_left(raw: list[tuple[str, str]]) -> None:
    done = _redacted(raw)
    for (_, text), line in zip(raw, done.turns, strict=True):
        assert line.raw_length == len(text)
        spans = [line.raw_span(index, index + 1) for index in range(len(line.text))]
        assert spans == sorted(spans) and all(start < end for start, end in spans)
        assert line.slice_of(0, len(text)) == line.text
        assert not any(value in line.text for value in (*KNOWN.values(), "建国", "李晓梅", "13800138000"))
    spoken = [(who, line.text) for (who, _), line in zip(raw, done.turns, strict=True)]
    again = redact_dialogues([spoken], [{}], [{}])
    assert [line.text for line in again[0].turns] == [line.text for line in done.turns]


def test_events_quote_the_redacted_turn_and_keep_its_placeholders() -> None:
    done = _redacted(RAW)
    events = [
        {"turn": 1, "evidence": "我我我是，手机１３８０", "rule": "Q05"},
        {
            "note": "嗯，客户老王说１３８００１３８０００打不通",
            "amount": 2699,
            "who": ["李晓梅", {"name": "王建国"}],
            "empty": "  ",
        },
        {},
    ]
    log = CaseLog(events, done.session, [text for _, text in RAW], done.turns, tuple((i,) for i in range(len(RAW))))
    assert redact_events([log]) == [
        [
            {"turn": 1, "evidence": "我是，手机〔手机1〕", "rule": "Q05"},
            {
                "note": "客户老〔姓名1〕说〔手机1〕打不通",
                "amount": 2699,
                "who": ["〔姓名2〕", {"name": "〔姓名1〕"}],
                "empty": "",
            },
            {},
        ]
    ]


def test_an_event_on_a_turn_that_was_joined_points_at_the_joined_turn() -> None:
    raw = ["您好，我想问，", "利率是多少", "百分之十二"]
    turns = [Aligned("您好，我想问，利率是多少"), Aligned("百分之十二")]
    log = CaseLog([{"turn": 1, "evidence": "利率"}, {"turn": 2}, {"turn": 9}], Session(), raw, turns, ((0, 1), (2,)))
    assert redact_events([log]) == [[{"turn": 0, "evidence": "利率"}, {"turn": 1}, {"turn": 9}]]


def test_numbers_and_keys_of_an_event_are_redacted_as_their_digits_are() -> None:
    event = {
        "phone": 13800138000,
        "mobile": 13912345678.0,
        "13800138000": "本人",
        "contacts": [{"13912345678": 138_0013_8000}],
        "amount": 2699,
        "rate": 0.5,
        "paid": 1200.0,
        "done": True,
        "none": None,
    }
    assert redact_events([CaseLog([event], _redacted(RAW).session)]) == [
        [
            {
                "phone": "〔手机1〕",
                "mobile": "〔手机2〕",
                "〔手机1〕": "本人",
                "contacts": [{"〔手机2〕": "〔手机1〕"}],
                "amount": 2699,
                "rate": 0.5,
                "paid": 1200.0,
                "done": True,
                "none": None,
            }
        ]
    ]


def test_two_keys_of_one_person_keep_both_values() -> None:
    event = {"13800138000": "白天", "138-0013-8000": "晚上"}
    assert redact_events([CaseLog([event], Session())]) == [[{"〔手机1〕": "白天", "〔手机1〕′": "晚上"}]]


def test_a_key_without_personal_data_stays_as_it_is() -> None:
    event = {"嗯，备注　Ａ": "嗯，好的", "turn": 0}
    assert redact_events([CaseLog([event], Session())]) == [[{"嗯，备注　Ａ": "好的", "turn": 0}]]


def test_events_without_a_dialogue_are_redacted_too() -> None:
    assert redact_events([CaseLog([{"note": "联系人电话13800138000"}], Session())]) == [
        [{"note": "联系人电话〔手机1〕"}]
    ]
