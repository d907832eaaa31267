"""Personal data is found in every written and spoken form, and a stream never releases a part of it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tianjing.streams import masked_stream, text_of
from tianjing.guard import Guard, PrivacyDetector, Stream
from tianjing.privacy import Session, find, mask
from tianjing.privacy.checks import is_luhn, is_resident_id

ID = "11010519491231002X"
CARD = "6222020200112230"  # Luhn-valid
KNOWN = {"name": "王建国", "mobile": "13812345678", "contract": "HT2024-0001", "address": "朝阳路8号"}


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("我的电话13812345678你记一下", "mobile", "13812345678"),
        ("１３８－１２３４－５６７８", "mobile", "１３８－１２３４－５６７８"),
        ("幺三八嗯幺二三四，五六七八对", "mobile", "幺三八嗯幺二三四，五六七八"),
        ("一三八1234五六七八", "mobile", "一三八1234五六七八"),
        ("幺三八三个八两个六零零一二", "mobile", "幺三八三个八两个六零零一"),
        ("+8613812345678", "mobile", "8613812345678"),
        ("13812345678一直打不通", "mobile", "13812345678"),
        ("幺三八幺二三四五六七八一直打不通", "mobile", "幺三八幺二三四五六七八"),
        ("打幺三九洞洞洞洞幺二三四", "mobile", "幺三九洞洞洞洞幺二三四"),
        (f"身份证{ID}吗", "id_card", ID),
        ("身份证幺幺零幺零五幺九四九幺二三幺零零二叉", "id_card", "幺幺零幺零五幺九四九幺二三幺零零二叉"),
        ("老证110105491231002", "id_card", "110105491231002"),
        ("身份证号110105194912310021", "id_card", "110105194912310021"),  # misheard check digit, but called an ID
        (f"转到{CARD}", "bank_card", CARD),
        ("卡号是6222 0202 0011 2233 445", "bank_card", "6222 0202 0011 2233 445"),
        ("座机010-88886666", "landline", "010-88886666"),
        ("打我电话8765 4321", "landline", "8765 4321"),
        ("邮箱a.b-c@mail.example.com。", "email", "a.b-c@mail.example.com"),
        ("您好，请问是李晓梅吗？", "name", "李晓梅"),
        ("我叫张伟想问一下", "name", "张伟"),
        ("免贵姓欧阳", "name", "欧阳"),
        ("这边是陈女士对吧", "name", "陈"),
    ],
)
def test_personal_data_is_found_where_it_stands(text: str, kind: str, found: str) -> None:
    findings = find(text)
    assert [(finding.kind, finding.text) for finding in findings] == [(kind, found)]
    assert text[findings[0].start : findings[0].end] == found


@pytest.mark.parametrize(
    "text",
    [
        "我欠13812345678元",
        "一百三十八万五千二百",
        "分12期，每期500元，年化24%",
        "客服热线95588、400-820-8820、12378、110",
        "订单2024091513812345678",
        "2024年11月23日 13:45，还有3天",
        "还款日9时首次发起，余额不足的，当日20时再发起1次",
        "您好，金额多少，您好，周五，马上",
        "每日21时至次日8时不得拨打催收电话",
        "《还款安排管理办法》第十二条",
        "0.13812345678",
    ],
)
def test_quantities_hotlines_and_everyday_words_stay(text: str) -> None:
    assert find(text) == ()
    assert mask(text).text == text


def test_known_values_of_the_customer_are_masked_without_context() -> None:
    masked = mask("建国的合同HT2024-0001，王建国住朝阳路8号，王先生您好", KNOWN)
    assert masked.text == "〔姓名1〕的合同〔信息1〕，〔姓名1〕住〔地址1〕，〔姓名1〕先生您好"


def test_placeholders_are_consistent_through_a_session() -> None:
    session = Session()
    assert session.mask("打13812345678或者13900001111").text == "打〔手机1〕或者〔手机2〕"
    assert session.mask("幺三九零零零零幺幺幺幺").text == "〔手机2〕"


def test_masking_twice_changes_nothing() -> None:
    once = mask(f"王女士的电话13812345678，身份证{ID}").text
    assert mask(once).text == once


def test_check_characters() -> None:
    assert is_resident_id(ID) and not is_resident_id("110105194912310021")
    assert not is_resident_id("11010519491331002X")  # month 13
    assert is_luhn(CARD) and not is_luhn(CARD[:-1] + "1")


PIECES = st.sampled_from(
    [
        "13812345678",
        "幺三八幺二三四五六七八",
        "138 1234 5678",
        "1 3 8，1234嗯5678",
        "三个八两个六",
        "一三八",
        "８６１３８",
        ID,
        CARD,
        "010-88886666",
        "卡号",
        "身份证",
        "电话",
        "a.b@mail.example.com",
        "x@",
        "@y.cn.",
        "您好，王建国先生",
        "请问是欧阳锋吗",
        "我叫张伟想",
        "免贵姓李",
        "高女士",
        "王建",
        "朝阳路8",
        "HT2024-0001",
        "元",
        "期",
        " ",
        "，",
        "。",
        "-",
        ".",
        "嗯",
        "X",
        "叉",
        "我们会尽快处理",
        "\n",
    ]
)
TEXT = st.lists(
    st.one_of(PIECES, st.text(alphabet="0159一三幺八个王张高，。 -@.aX元姓叫", max_size=6)), max_size=14
).map("".join)


def guarded() -> Stream:
    """A stream in which personal data is masked."""
    return Guard([PrivacyDetector(Session())]).open()


@settings(max_examples=400, deadline=None)
@given(text=TEXT, cuts=st.lists(st.integers(0, 200), max_size=25), known=st.sampled_from([None, KNOWN]))
@example(text="电话13812345678", cuts=list(range(20)), known=None)
def test_masking_a_stream_equals_masking_the_whole(text: str, cuts: list[int], known: dict[str, str] | None) -> None:
    assert text_of(masked_stream(text, cuts, known)) == mask(text, known).text


@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_a_stream_by_single_characters_never_releases_what_is_masked(text: str) -> None:
    whole = mask(text).text
    stream, released = guarded(), ""
    for char in text:
        released += stream.push(char).text
        assert whole.startswith(released)
        assert stream.held <= 200
    assert released + stream.finish().text == whole


def test_prose_streams_without_delay() -> None:
    stream = guarded()
    assert stream.push("我们会尽快为您核实处理，").text == "我们会尽快为您核实处理，"
    assert stream.held == 0


def test_a_number_cut_at_any_place_never_leaks_a_digit() -> None:
    text = "电话13812345678，好"
    for cut in range(len(text)):
        stream = guarded()
        assert "13" not in stream.push(text[:cut]).text
        assert "5678" not in stream.push(text[cut:]).text + stream.finish().text
