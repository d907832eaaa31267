"""True documents keep what must hold among their fields, forged ones break it, and all show every field."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.simulation.conftest import Corpus, rows
from tianjing.simulation.documents import KINDS, violated
from tianjing.simulation.documents.facts import Facts, draw_facts
from tianjing.simulation.documents.forging import forge
from tianjing.simulation.documents.ocr import noisy_text
from tianjing.simulation.documents.rendering import boxes, render
from tianjing.simulation.documents.values import Style, capitals
from tianjing.simulation.people import make_person
from tianjing.text import chinese_number

LISTED = (
    "收入证明 在职证明 劳动合同 工资单 银行流水 存款证明 社保缴费记录 公积金缴存 个税纳税记录 完税证明 "
    "营业执照 征信报告 身份证 户口簿 结婚证 离婚证 学历证明 不动产权证 行驶证 购房合同 租赁合同 发票 "
    "养老金证明 低保证明 诊断证明 住院费用 离职证明 失业登记证明 结清证明 还款凭证"
).split()


def facts(seed: int) -> tuple[Facts, random.Random]:
    rng = random.Random(seed)
    person = make_person(1, rng.choice(("east", "west")), rng)
    day = date(2026, rng.randint(1, 6), rng.randint(1, 28))
    return draw_facts(person, rng.randint(30, 160) * 100, day, rng), rng


def test_the_listed_kinds_are_all_there() -> None:
    assert len(KINDS) >= 22
    assert [name for name in LISTED if not any(name in kind for kind in KINDS)] == []


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
@pytest.mark.parametrize("name", KINDS)
def test_true_documents_hold_and_forged_ones_do_not(name: str, seed: int) -> None:
    about, rng = facts(seed)
    fields = KINDS[name].draw(about, rng)
    assert violated(KINDS[name], fields) == ()
    for check in KINDS[name].checks:
        forged = forge(replace(KINDS[name], checks=(check,)), fields, rng)
        assert forged.violated == (check.name,)
        assert check.name in violated(KINDS[name], forged.fields)
        assert [field for field in fields if fields[field] != forged.fields[field]] == [forged.field]


@pytest.mark.parametrize("name", KINDS)
def test_every_layout_shows_every_field(name: str) -> None:
    kind = KINDS[name]
    fields = kind.draw(*facts(1))
    shown = [set(re.findall(r"\{(\w+)", layout)) for layout in kind.layouts.whole]
    assert len(shown) >= 2
    assert all(names == set(fields) for names in shown)
    if "rows" in fields:
        assert set(re.findall(r"\{(\w+)", kind.layouts.row)) == set(fields["rows"][0])
    texts = {render(kind.layouts, fields, random.Random(seed)) for seed in range(30)}
    assert len(texts) > 2 and not any("{" in text for text in texts)


@given(st.decimals(min_value=0, max_value=10**8 - 1, places=2))
def test_capital_amounts_say_the_figure(amount: Decimal) -> None:
    words = capitals(amount)
    whole, _, rest = words.partition("元")
    folded = whole.translate(str.maketrans("拾佰仟", "十百千"))
    assert chinese_number(folded) == int(amount)
    said = re.fullmatch(r"整|(?:(\w)角|零)?(?:(\w)分)?", rest)
    assert said is not None
    cents = sum("零壹贰叁肆伍陆柒捌玖".index(said[n] or "零") * unit for n, unit in ((1, 10), (2, 1)))
    assert cents == int(amount * 100) % 100


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("12345.67", "壹万贰仟叁佰肆拾伍元陆角柒分"),
        ("10000", "壹万元整"),
        ("10010.05", "壹万零壹拾元零伍分"),
        ("100200300", "壹亿零贰拾万零叁佰元整"),
        ("0.50", "零元伍角"),
    ],
)
def test_capital_amounts_as_banks_write_them(amount: str, words: str) -> None:
    assert capitals(Decimal(amount)) == words


def test_noise_keeps_lines_and_most_characters() -> None:
    text = render(KINDS["银行流水"].layouts, KINDS["银行流水"].draw(*facts(3)), random.Random(1))
    noisy = [noisy_text(text, random.Random(seed)) for seed in range(20)]
    assert all(read.count("\n") == text.count("\n") for read in noisy)
    assert sum(read != text for read in noisy) >= 15
    assert all(abs(len(read) - len(text)) < 0.1 * len(text) for read in noisy)


def test_boxes_hold_the_text_in_reading_order() -> None:
    text = "姓名：王建国  卡号：6222\n金额：100.00"
    found = boxes(text, random.Random(1))
    assert [box["text"] for box in found] == ["姓名：王建国", "卡号：6222", "金额：100.00"]
    assert found[0]["x"] + found[0]["width"] < found[1]["x"] and found[0]["y"] < found[2]["y"]


def test_the_corpus_holds_clean_noisy_and_forged_documents_whose_truth_fits(corpus: Corpus) -> None:
    truth = {row["document"]: row for row in rows(corpus.folder / "truth" / "documents.jsonl")}
    documents = rows(corpus.folder / "documents.jsonl")
    assert [row["id"] for row in documents] == list(truth)
    shares = {variant: 0 for variant in ("clean", "noisy", "forged")}
    for row in documents:
        about = truth[row["id"]]
        shares[about["variant"]] += 1
        assert ("violated" in about) == (about["variant"] == "forged")
        if about["variant"] != "noisy":
            assert _shown(about["fields"].get("name", ""), row)
    assert all(share > 0.12 * len(documents) for share in shares.values()), shares
    assert 0.3 < sum("boxes" in row for row in documents) / len(documents) < 0.5


def _shown(value: str, row: dict[str, Any]) -> bool:
    return value in (row.get("text") or "".join(box["text"] for box in row["boxes"]))


@pytest.mark.parametrize(("yuan", "printed"), [(2_000_000, "200"), (300_000, "30"), (1_234_500, "123.45")])
def test_a_capital_in_ten_thousands_keeps_its_zeros(yuan: int, printed: str) -> None:
    assert Style(random.Random(0)).write(Decimal(yuan), "wan") == printed
