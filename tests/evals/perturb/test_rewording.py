from __future__ import annotations

import random

import pytest

from evals.paraphrase import keeps_meaning, perturb

POLICY = {"clauses": []}


def ask(text: str, seed: int = 0) -> str | None:
    changed = perturb("policy_qa", {"question": text, **POLICY}, random.Random(seed))
    return changed["question"] if changed else None


@pytest.mark.parametrize(
    ("before", "spelt"),
    [
        ("逾期3个月可以申请延期吗？", "三个月"),
        ("我想分十二期还", "12期"),
        ("罚息200元还是2000元", "二百元还是二千元"),
        ("最多宽限2天吗", "两天"),
        ("105天以后呢", "一百零五天"),
        ("每个月还500块钱行不行", "五百块钱"),
    ],
)
def test_numerals_change_form_and_keep_their_value(before: str, spelt: str) -> None:
    after = ask(before)
    assert after is not None and spelt in after
    assert after != before and keeps_meaning(before, after)


@pytest.mark.parametrize(
    "text", ["2024年5月的账单", "第3期怎么还", "我三五天就还", "电话13812345678", "【姓名1】问的", "编号A12期"]
)
def test_years_ordinals_vague_counts_and_codes_stay(text: str) -> None:
    after = ask(text)
    assert after is not None and text in after.replace(",", "，").replace("?", "？")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("最多24期", "最多25期"),
        ("我没有逾期", "我有逾期"),
        ("不能减免", "能减免"),
        ("王先生来电", "李先生来电"),
        ("依据《还款安排管理办法》", "依据《投诉处理管理办法》"),
        ("联系【姓名1】", "联系【姓名2】"),
        ("欠三个月", "欠四个月"),
        ("过三五天还", "过四六天还"),
    ],
)
def test_a_change_of_meaning_is_caught(before: str, after: str) -> None:
    assert not keeps_meaning(before, after)
    assert keeps_meaning(before, before)


def test_a_rewording_that_loses_something_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.paraphrase._respell", lambda text: text.replace("不", ""))
    assert ask("能还") is not None
    assert ask("不能还") is None


def test_only_the_customers_text_changes() -> None:
    fields = {
        "turns": [
            {"speaker": "customer", "text": "我失业了"},
            {"speaker": "agent", "text": "您能还多少"},
            {"speaker": "customer", "text": "每个月500元"},
            {"speaker": "agent", "text": "好的"},
        ]
    }
    changed = perturb("next_reply", fields, random.Random(1))
    assert changed is not None
    different = [i for i, (a, b) in enumerate(zip(fields["turns"], changed["turns"], strict=True)) if a != b]
    assert different == [2]
    assert fields["turns"][2]["text"] == "每个月500元", "the original stays as it was"
    inspected = {"rules": [], "customer": "我没钱", "agent": "那就上门"}
    assert perturb("quality_inspection", inspected, random.Random(1))["agent"] == "那就上门"  # type: ignore[index]


def test_an_item_without_customer_text_is_not_used() -> None:
    assert perturb("quality_inspection", {"rules": [], "customer": "", "agent": "您好"}, random.Random(0)) is None
    assert perturb("finance_qa", {"kind": "computing", "instruction": "1+1"}, random.Random(0)) is None
    assert ask("  ") is None


def test_the_same_seed_gives_the_same_rewording() -> None:
    assert ask("逾期3个月怎么办？", 4) == ask("逾期3个月怎么办？", 4)
    assert len({ask("逾期3个月怎么办？", seed) for seed in range(12)}) > 3
