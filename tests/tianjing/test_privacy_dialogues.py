"""Thousands of dialogues masked at once are what each is by itself."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tianjing.privacy import Session, mask_dialogues, mask_in_sessions, mask_turns

# What is asked, answered, read out in pieces, named in full and in part: in any order, by any speaker.
PIECES = (
    "您好，请问是王建国先生吗",
    "我叫李晓梅",
    "李女士，老王在吗",
    "建国啊",
    "请问您怎么称呼",
    "陈志强",
    "您的手机号报一下",
    "幺三八",
    "一二三四",
    "5678",
    "5678，对，后面呢",
    "13812345678",
    "身份证号码多少",
    "110101",
    "19900307",
    "7715",
    "您的出生日期是",
    "一九九零年",
    "三月",
    "七号",
    "护照号念一下",
    "E123",
    "45678",
    "在哪家公司上班",
    "宏达贸易有限公司",
    "住在哪里",
    "朝阳区建国路88号",
    "欠2699元，逾期12天",
    "10月27号还",
    "卡号呢",
    "12年份3",
    "62260",
    "嗯",
    "好的。",
    "",
    "ｑｑ多少",
    "\U0001f600\ud800",
)
KNOWN = (
    None,
    {},
    {"name": "王建国", "mobile": "13812345678"},
    {"name": "热依扎·艾力江", "id_card": "110101199003077715", "address": "朝阳区建国路88号"},
    {"name": "陈志强", "landline": "+86 (010) 8888-6666", "email": "czq@example.com"},
)
TURNS = st.lists(st.tuples(st.sampled_from(["agent", "customer"]), st.sampled_from(PIECES)), max_size=9)
DIALOGUES = st.lists(st.tuples(TURNS, st.sampled_from(KNOWN)), min_size=1, max_size=4)


@settings(deadline=None)
@given(DIALOGUES)
@example(
    [([("agent", "您的手机号报一下"), ("customer", "幺三八"), ("customer", "一二三四"), ("customer", "5678")], None)]
)
@example([([("customer", "老王在吗"), ("agent", "我叫王建国")], None)])
def test_dialogues_at_once_are_masked_as_each_alone(drawn: list) -> None:
    done = mask_dialogues([turns for turns, _ in drawn], [known for _, known in drawn])
    for (turns, known), (masked, session) in zip(drawn, done, strict=True):
        alone = Session(known)
        assert masked == mask_turns(alone, turns)
        assert session.mask("王建国，李晓梅，13812345678") == alone.mask("王建国，李晓梅，13812345678")


@settings(deadline=None)
@given(DIALOGUES)
def test_texts_in_sessions_are_masked_as_one_after_another(drawn: list) -> None:
    sessions = [Session(known) for _, known in drawn]
    alone = [Session(known) for _, known in drawn]
    pairs = [(number, text) for number, (turns, _) in enumerate(drawn) for _, text in turns]
    done = mask_in_sessions([sessions[number] for number, _ in pairs], [text for _, text in pairs])
    assert done == [alone[number].mask(text) for number, text in pairs]


@settings(deadline=None)
@given(DIALOGUES)
def test_replacements_stand_where_the_findings_were(drawn: list) -> None:
    for turns, known in drawn:
        for (_, text), masked in zip(turns, mask_turns(Session(known), turns), strict=True):
            parts, position = [], 0
            for finding, new in zip(masked.findings, masked.replacements, strict=True):
                parts += [text[position : finding.start], new]
                position = finding.end
            assert "".join([*parts, text[position:]]) == masked.text


@pytest.mark.parametrize("pieces", [("幺三八", "一二三四", "5678"), ("138", "1234", "5678，对")])
def test_a_number_read_out_in_pieces_is_one_number(pieces: tuple[str, ...]) -> None:
    turns = [("agent", "您的手机号报一下"), *(("customer", piece) for piece in pieces)]
    masked, _ = mask_dialogues([turns], [None])[0]
    assert [line.text.rstrip("，对") for line in masked[1:]] == ["〔手机1〕"] * 3
