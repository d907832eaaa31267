"""Every kind of personal data is found in the forms people use, look-alikes stay, and the stream equals the whole."""

from __future__ import annotations

import gc
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.streams import masked_stream, text_of
from tianjing.privacy import Session, find, find_many, find_turns, mask, mask_many, mask_turns
from tianjing.privacy.checks import credit_code_check, is_card_prefix, is_credit_code, is_luhn, is_resident_id

CREDIT_CODE = "91350100M000100Y43"
KNOWN = {"name": "王建国", "mobile": "13812345678", "birthday": "1990-03-05", "employer": "宏达机械"}


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("我的护照号是E12345678", "passport", "E12345678"),
        ("护照ＥＡ１２３４５６７", "passport", "ＥＡ１２３４５６７"),
        ("港澳通行证C12345678", "permit", "C12345678"),
        ("回乡证H0123456789", "permit", "H0123456789"),
        ("台胞证12345678", "permit", "12345678"),
        ("永久居留证FRA310078010203", "permit", "FRA310078010203"),
        ("居住证810000199408230021", "permit", "810000199408230021"),
        (f"统一社会信用代码{CREDIT_CODE}", "credit_code", CREDIT_CODE),
        ("车牌京A12345", "plate", "京A12345"),
        ("那辆粤B·D12345", "plate", "粤B·D12345"),
        ("车是沪A幺二三四五", "plate", "沪A幺二三四五"),
        ("微信号是wxid_abc123", "wechat", "wxid_abc123"),
        ("vx：abc12345", "wechat", "abc12345"),
        ("我QQ12345678", "qq", "12345678"),
        ("扣扣是幺二三四五六", "qq", "幺二三四五六"),
        ("邮箱zhang艾特163点com", "email", "zhang艾特163点com"),
        ("我是1990年3月5日出生的", "birth_date", "1990年3月5日"),
        ("生日是九零年三月五号", "birth_date", "九零年三月五号"),
        ("出生日期：1990-03-05", "birth_date", "1990-03-05"),
        ("我在华为技术有限公司上班", "employer", "华为技术有限公司"),
        ("就职于中国移动", "employer", "中国移动"),
        ("我住在北京市朝阳区建国路88号院3号楼2单元501室然后", "address", "北京市朝阳区建国路88号院3号楼2单元501室"),
        (
            "家住江苏省南京市鼓楼区中山北路二十八号三栋二单元五零一",
            "address",
            "江苏省南京市鼓楼区中山北路二十八号三栋二单元五零一",
        ),
        ("阳光花园3栋2单元501", "address", "阳光花园3栋2单元501"),
        ("一三八……对，后面是一二三四，嗯，五六七八", "mobile", "一三八……对，后面是一二三四，嗯，五六七八"),
        ("138\u200b1234\u200b5678", "mobile", "138\u200b1234\u200b5678"),
        ("138.1234.5678", "mobile", "138.1234.5678"),
        ("张总您好", "name", "张"),
        ("我叫王芳电话多少", "name", "王芳"),
    ],
)
def test_each_kind_is_found_where_it_stands(text: str, kind: str, found: str) -> None:
    findings = find(text)
    assert [(finding.kind, finding.text) for finding in findings] == [(kind, found)]
    assert text[findings[0].start : findings[0].end] == found


@pytest.mark.parametrize(
    "text",
    [
        "订单号6222020200112230",
        "产品编码SKU-13812345678",
        "付了13812345678.50",
        "今天是2024年3月5日",
        "流水号是202411236700492042",
        "北京市朝阳区人民法院的通知",
        "我在深圳上班",
        "拨打400-666-5353",
        "型号AX829413B，E12345678",
        "金额13812345678",
        "在贷款审核过程中工作人员会联系您",
        "借款人应当按照约定的期限返还借款",
        "各机关、单位负责人批准",
    ],
)
def test_look_alikes_stay(text: str) -> None:
    assert find(text) == ()


@pytest.mark.parametrize("text", ["老王在吗", "王总那边", "建国说他还了", "王 建 国", "王建国的账单", "小王的贷款"])
def test_a_customer_is_found_by_the_record_in_every_form_of_address(text: str) -> None:
    assert [finding.kind for finding in find(text, KNOWN)] == ["name"]
    assert "王" not in mask(text, KNOWN).text and "建国" not in mask(text, KNOWN).text


def test_the_customers_own_date_of_birth_needs_no_context() -> None:
    assert [finding.text for finding in find("对，一九九零年三月五号", KNOWN)] == ["一九九零年三月五号"]
    assert find("对，一九九一年三月五号", KNOWN) == ()


def test_a_name_heard_once_is_known_through_the_dialogue() -> None:
    turns = [("agent", "晓梅在吗"), ("customer", "我叫李晓梅"), ("agent", "好的晓梅，老李还了吗")]
    assert [turn.text for turn in mask_turns(Session(), turns)] == [
        "〔姓名1〕在吗",
        "我叫〔姓名1〕",
        "好的〔姓名1〕，老〔姓名1〕还了吗",
    ]


def test_what_kind_of_talk_this_is_asks_for_no_name() -> None:
    turns = [("customer", "你这叫什么话嘛。"), ("agent", "莫扯远，这期咋落下了？")]
    assert [turn.text for turn in mask_turns(Session(), turns)] == [text for _, text in turns]
    turns[0] = ("customer", "你叫什么")
    assert mask_turns(Session(), turns)[1].text == "〔姓名1〕，这期咋落下了？"


def test_digits_spread_over_turns_of_a_read_back_are_one_number() -> None:
    turns = [
        ("customer", "手机是幺三八"),
        ("agent", "一三八，对，后面呢"),
        ("customer", "一二三四"),
        ("agent", "1234"),
        ("customer", "五六七八，欠了三千元"),
        ("agent", "5678，分12期"),
    ]
    assert [turn.text for turn in mask_turns(Session(), turns)] == [
        "手机是〔手机1〕",
        "〔手机1〕，对，后面呢",
        "〔手机1〕",
        "〔手机1〕",
        "〔手机1〕，欠了三千元",
        "〔手机1〕，分12期",
    ]


def test_small_numbers_over_turns_are_no_read_back() -> None:
    turns = [("customer", "我有12笔"), ("agent", "分24期，每期500"), ("customer", "好，35号那笔呢"), ("agent", "100元")]
    assert find_turns(Session(), turns) == [(), (), (), ()]


PIECES = st.sampled_from(
    [
        "京A12345",
        "粤B·D",
        "护照号E1234567",
        "8",
        "微信号wxid_abc",
        "QQ12345678",
        "生日是",
        "1990年3月5日",
        "出生的",
        "九零年三月五号",
        "我在宏达机械有限公司",
        "上班",
        "工作单位是",
        "我住在",
        "北京市朝阳区",
        "建国路88号",
        "3栋2单元501",
        "阳光花园",
        CREDIT_CODE,
        "幺三八",
        "……对，后面是",
        "一二三四",
        "五六七八",
        "1381234",
        "5678",
        "老王",
        "王 建 国",
        "建国",
        "我叫李晓梅",
        "晓梅",
        "张总",
        "您好",
        "订单号",
        "6222020200112230",
        "，",
        "。",
        " ",
        "：",
        "的",
        "元",
        "\u200b",
        "\ud800",
    ]
)
TEXT = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXT, cuts=st.lists(st.integers(0, 120), max_size=20), known=st.sampled_from([None, KNOWN]))
def test_masking_and_finding_in_a_stream_equal_the_whole(
    text: str, cuts: list[int], known: dict[str, str] | None
) -> None:
    released = masked_stream(text, cuts, known)
    assert text_of(released) == mask(text, known).text
    verdicts = [(item.kind, item.start, item.end) for part in released for item in part.verdicts]
    assert verdicts == [(finding.kind, finding.start, finding.end) for finding in find(text, known)]


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(TEXT, max_size=5))
def test_a_batch_finds_what_one_text_at_a_time_finds(texts: list[str]) -> None:
    assert find_many(texts) == [find(text) for text in texts]
    assert find_many(texts, KNOWN) == [find(text, KNOWN) for text in texts]
    assert mask_many(texts) == [mask(text) for text in texts]


@settings(max_examples=200, deadline=None)
@given(text=TEXT, known=st.sampled_from([None, KNOWN]))
def test_findings_are_what_is_masked_in_order_and_apart(text: str, known: dict[str, str] | None) -> None:
    findings = find(text, known)
    assert mask(text, known).findings == findings
    assert all(a.end <= b.start for a, b in itertools.pairwise(findings))
    assert all(finding.text == text[finding.start : finding.end] != "" for finding in findings)


@pytest.mark.parametrize(
    "piece", ["1", "一", "王", "a@", "北京市", "在", "我叫王某", "，", "138 ", "生", "地址是", "\u200b1"]
)
def test_time_grows_with_the_length_of_a_hostile_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        # A full collection walks over all that other tests have left, which may take longer than the text.
        gc.collect()
        gc.disable()
        begun = time.process_time()
        find(text)
        spent = time.process_time() - begun
        gc.enable()
        return spent

    seconds(1000)
    assert seconds(40_000) < 16 * seconds(5_000) + 0.2


def test_check_characters_of_codes_and_prefixes_of_cards() -> None:
    assert credit_code_check("91350100M000100Y4") == "3"
    assert is_credit_code(CREDIT_CODE) and not is_credit_code(CREDIT_CODE[:-1] + "4")
    assert is_card_prefix("6222020200112230") and not is_card_prefix("1222020200112230")
    assert not is_luhn("１２") and not is_resident_id("²" * 18)
