from __future__ import annotations

import random

import pytest

from evals.perturb import rewording
from evals.perturb.numerals import han, respell, values
from evals.perturb.script import simplified, traditional
from tests.evals.perturb.conftest import policy, triage
from tianjing.text import number


def ask(text: str, seed: int = 0) -> str:
    return rewording.reword(text, "asked", random.Random(seed))


@pytest.mark.parametrize(
    ("before", "spelt"),
    [
        ("逾期3个月可以申请延期吗？", "三个月"),
        ("我想分十二期还", "12期"),
        ("罚息200元还是2000元", "二百元还是两千元"),
        ("最多宽限2天吗", "两天"),
        ("105天以后呢", "一百零五天"),
        ("每个月还500块钱行不行", "五百块钱"),
    ],
)
def test_numerals_change_form_and_keep_their_value(before: str, spelt: str) -> None:
    after = ask(before)
    assert spelt in after and after != before
    assert values(before) == values(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("年利率15%", "年利率百分之十五"),
        ("百分之十五点五", "15.5%"),
        ("先拿一千五", "先拿1500"),
        ("借了15000元", ("借了一万五千元", "借了1.5万元")),
        ("2024年5月1日到期", ("2024-05-01到期", "2024年5月1日到期")),
        ("门市收不到两百", "门市收不到200"),
        ("月收入：15300元", "月收入：一万五千三百元"),
    ],
)
def test_the_numerals_condition_knows_amounts_shares_and_dates(before: str, after: str | tuple[str, ...]) -> None:
    for seed in range(6):
        assert respell(before, random.Random(seed)) in ((after,) if isinstance(after, str) else after)
        assert values(respell(before, random.Random(seed))) == values(before)


@pytest.mark.parametrize(
    "text",
    [
        "2024年5月的账单", "第3期怎么还", "我三五天就还", "电话13812345678", "【姓名1】问的", "编号A12期",
        "几十期没差过", "过两天给你们弄", "征信上那一笔", "一百个不愿意", "工号8335号来电", "一直没钱", "千万别打",
        "八成是骗子", "《第2号办法》", "9:30分到", "肆仟捌佰元伍角", "缺口有小二十万噻",
    ],
)  # fmt: skip
def test_years_ordinals_vague_counts_and_idioms_stay(text: str) -> None:
    assert respell(text, random.Random(1)) == text
    assert text in ask(text).replace(",", "，").replace("?", "？")


def test_every_number_is_written_and_read_back() -> None:
    for value in (*range(1, 3000, 7), 10_005, 15_000, 20_300, 110_000, 123_456, 20_000_000):
        assert number(han(value)) == value
        for text in (f"还{value}元", f"还{han(value)}元", f"宽限{value}天", f"利率{value / 100:g}%"):
            assert values(respell(text, random.Random(value))) == values(text), text


def test_a_turn_is_not_opened_twice_nor_closed_behind_a_particle() -> None:
    for seed in range(12):
        rng = random.Random(seed)
        assert rewording.in_register("哎哟，厂子关了嘛。", "_dialect", "spoken", rng) == "哎哟，厂子关了嘛。"
        assert rewording.reword("您好，怎么还款？", "asked", rng).startswith(("您好，怎么", "您好,怎么"))
        assert not rewording.reword("你们什么态度？", "spoken", rng).endswith("您看")


def test_a_register_changes_words_not_what_is_said() -> None:
    rng = random.Random(3)
    assert "咋" in rewording.in_register("现在怎么还啊", "_colloquial", "asked", rng)
    assert "眼下没钱" in rewording.in_register("眼目前没钱还", "_colloquial", "spoken", rng), "not 眼眼下"
    assert "怎么还" in rewording.in_register("这笔咋个还", "_formal", "asked", rng)
    assert rewording.in_register("后面会咋个？", "_formal", "spoken", rng).endswith("会咋个？"), "会怎么 is no sentence"


def test_traditional_characters_read_back() -> None:
    text = "我现在联系不上老板，账单后面再还，批准的标准是什么？"
    assert traditional(text) == "我現在聯繫不上老闆，賬單後面再還，批准的標準是什麼？"
    assert simplified(traditional(text)) == text


def test_what_the_answer_quotes_is_not_reworded(varied) -> None:  # type: ignore[no-untyped-def]
    variants, _ = varied(triage(), "text", "register", "asr", "typo")
    assert len(variants) >= 4
    for variant in variants.values():
        assert "我刚从厂里下岗" in variant.fields["turns"][1]["text"]
    _, dropped = varied(triage(), "traditional")
    assert dropped == {"traditional": "quotation"}


def test_the_same_seed_gives_the_same_rewording_and_others_differ(varied) -> None:  # type: ignore[no-untyped-def]
    assert varied(policy(), "text", "asr") == varied(policy(), "text", "asr")
    assert varied(policy(), "asr")[0]["asr"] == varied(policy(), "text", "asr")[0]["asr"], "whatever else is asked"
    worded = {varied(policy(), "text", seed=str(seed))[0]["text"].fields["question"] for seed in range(12)}
    assert len(worded) > 3
