from __future__ import annotations

import random

import pytest

from evals.perturb import noise
from evals.perturb.content import same_content
from evals.perturb.homophones import misheard
from evals.perturb.protect import untouchable
from evals.perturb.rewording import OPENINGS

TALK = "我现在公司平台上查账单，3个月没还，王先生说不，可以分期，你们什么时候处理？"


def noisy(text: str, error, seeds: int = 40, gold: tuple[str, ...] = ()) -> list[str]:  # type: ignore[no-untyped-def]
    return [error(text, untouchable(text, gold), random.Random(seed)) for seed in range(seeds)]


def test_what_is_misheard_sounds_the_same_and_is_no_word() -> None:
    from pypinyin import lazy_pinyin

    assert len(misheard()) > 80
    for word, forms in misheard().items():
        for form in forms:
            assert sum(a != b for a, b in zip(word, form, strict=True)) == 1
            assert form not in misheard()
            heard = [sound for a, b in zip(word, form, strict=True) if a != b for sound in lazy_pinyin(b)]
            assert heard[0] in lazy_pinyin(word)
            assert same_content(word, form, "spoken")


@pytest.mark.parametrize("error", [noise.heard, noise.typed])
def test_numbers_negations_names_and_deciding_words_are_never_touched(error) -> None:  # type: ignore[no-untyped-def]
    heard = noisy(TALK, error)
    assert len(set(heard)) > 10
    for text in heard:
        for kept in ("3个月", "没还", "王先生", "分期", "说不"):
            assert kept in text
        assert same_content(TALK, text, "spoken")
    assert any("账单" not in text or "公司" not in text or "平台" not in text for text in heard), (
        "some words are misheard"
    )


def test_a_comma_that_carries_the_meaning_is_not_dropped() -> None:
    assert all("不，可以" in text for text in noisy("说不，可以分期再还的话也行。", noise.heard))
    assert all("没有，" in text for text in noisy("没有，上周还了，你再查查看。", noise.heard))
    assert all("认不，要" in text for text in noisy("外国字的材料认不，要翻译吗，图个明白。", noise.heard))
    assert all("三千，一" in text for text in noisy("上回还了三千，一直都没断过。", noise.heard))
    assert all("1，2" in text for text in noisy("选1，2都可以的，你看着办。", noise.heard))
    assert all("？" in text for text in noisy("可以延期？", noise.heard)), "without its mark it would be a statement"
    assert any("？" not in text for text in noisy("什么时候能延期？", noise.heard))


def test_a_filler_says_neither_yes_nor_something_else() -> None:
    openings = [*noise.FILLERS, *OPENINGS]
    assert not [word for word in openings if word.startswith(("嗯", "好", "对", "是的", "行", "就是，"))]
    assert "再" not in noise._TYPED and "哪" not in noise.OCR


def test_the_gold_stays_as_it_is_quoted() -> None:
    gold = "现在公司平台上查账单，3个月没还"
    assert all(gold in text for text in noisy(TALK, noise.heard, gold=(gold,)))


def test_a_scan_confuses_look_alikes_but_no_number_and_no_negation() -> None:
    page = "在职证明\n员工姓名：李晓明\n入职日期：2024年6月24日\n月收入（元）：15300.00，末次调薪未登记\n银行账户已核对"
    pages = noisy(page, noise.scanned)
    assert any("曰" in text or "人职" in text or "锒" in text or "帐" in text for text in pages)
    for text in pages:
        assert "15300.00" in text and "2024年6月24日" in text and "未" in text
        assert same_content(page, text, "document")
