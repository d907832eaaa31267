from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.extract import find_choice, read_choice, read_judgement

SHAPES = Path(__file__).with_name("shapes.jsonl")
DATA = Path(__file__).parents[2] / "data"
OPTIONS = ["货币市场", "债券市场", "商品市场", "金融衍生品市场"]


def read(text: str, multiple: bool = False, finish_reason: str = "stop", options: list[str] = OPTIONS) -> str | None:
    return read_choice(text, options, multiple, finish_reason)[0]


def read_row(row: dict[str, Any]) -> tuple[str | None, str]:
    if row["kind"] == "judge":
        return read_judgement(row["output"], row["finish_reason"], row["options"], row["question"])
    return read_choice(row["output"], row["options"], row["kind"] == "multiple", row["finish_reason"], row["question"])


def misread(path: Path) -> list[tuple[str, str, str, str | None, str]]:
    """Id, output, gold, answer and rule of each row that is not read as it should be."""
    wrong = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        answer, rule = read_row(row)
        if (answer or "INVALID") != row["gold"]:
            wrong.append((row["id"], row["output"], row["gold"], answer, rule))
    return wrong


def test_every_shape_of_the_collection_is_read_as_it_should_be() -> None:
    assert not misread(SHAPES)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("answer_shapes", 0),
        ("answer_shapes_b", 0),
        ("answer_shapes_c", 0),
        ("answer_shapes_d", 5),
        ("answer_shapes_e", 0),
    ],
)
def test_the_frozen_sets_are_read_and_nothing_is_read_where_there_is_no_answer(name: str, most: int) -> None:
    wrong = misread(DATA / f"{name}.jsonl")
    assert len(wrong) <= most and not [row for row in wrong if row[2] == "INVALID"], wrong


@pytest.mark.parametrize(
    "behind",
    [
        "<eoa>\nHuman: 选A还是B？答案：A",
        "<|im_end|>\n<|im_start|>user\n判断：股票有风险。\n<|im_start|>assistant\n正确",
        "[UNUSED_TOKEN_145]",
        "\nHuman: 股票一般在哪个市场交易？\nAssistant: B",
    ],
)
def test_what_a_model_writes_behind_its_turn_changes_no_reading(behind: str) -> None:
    for line in (DATA / "answer_shapes_e.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["finish_reason"] == "stop":
            assert read_row(row | {"output": row["output"] + behind})[0] == read_row(row)[0], row["id"]


def test_of_the_hard_shapes_few_are_refused_and_next_to_none_misread() -> None:
    wrong = misread(DATA / "answer_shapes_hard.jsonl")
    assert len(wrong) <= 86 and len([row for row in wrong if row[3]]) <= 3, wrong


@pytest.mark.parametrize(
    ("text", "right"),
    [
        # first_capital reads C, L and T here, and nothing from the fourth.
        ("CPA考试中，正确答案是B", "B"),
        ("根据LPR规定，选C", "C"),
        ("The answer is D", "D"),
        ("答案：b", "B"),
        # A prompt that shows 答案：[LETTER] must accept what it shows, and these.
        ("答案：[C]", "C"),
        ("答案: C", "C"),
        ("答案：**C**", "C"),
        ("答案是C", "C"),
        ("答案： C", "C"),
    ],
)
def test_the_failures_found_in_other_harnesses_do_not_occur(text: str, right: str) -> None:
    assert read(text) == right


def test_the_order_of_letters_does_not_matter_in_multiple_choice() -> None:
    assert read("答案：CBA", True) == read("答案：A、B、C", True) == "ABC"


@pytest.mark.parametrize(
    "text", ["CPA", "LPR是贷款市场报价利率", "GDP", "A股市场规模很大", "A公司与B公司合并", "B端客户"]
)
def test_abbreviations_and_names_give_no_letters(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("答案：A\n答案：B", "invalid_contradiction"),
        ("答案：A。解析：……因此选B。", "invalid_contradiction"),
        ("答案：E", "invalid_outside"),
        ("A、B", "invalid_several"),
        ("答案是A或B", "invalid_hedge"),
        ("答案：A. 债券市场", "invalid_letter_and_text"),
        ("", "invalid_empty"),
        ("请看题目", "invalid"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_guessed(text: str, rule: str) -> None:
    assert read_choice(text, OPTIONS, False) == (None, rule)


def test_a_second_answer_counts_only_where_it_takes_the_first_back() -> None:
    assert read("答案是A。不对，应该选B") == "B"
    assert read("答案是A。应该选B") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("首先分析A选项，它是", None),
        ("A选项正确，接下来", None),
        ("答案：B。解析：因为", "B"),
        ("因此，本题答案为B。解析：进一步", "B"),
        ("<think>选B吧", None),
    ],
)
def test_a_cut_output_has_only_the_answer_it_had_finished(text: str, answer: str | None) -> None:
    assert read_choice(text, OPTIONS, False, "length") == (answer, "truncated" if answer is None else "answer")


def test_letters_at_the_end_of_a_cut_output_may_be_incomplete() -> None:
    assert read("答案：A、B", True) == "AB"
    assert read("答案：A、B", True, "length") is None


def test_a_base_model_that_runs_on_is_read_up_to_the_next_question() -> None:
    text = "B\n\n题目：下列属于存款的是（）\nA. 活期\nB. 定期\n答案：A"
    assert read(text) == "B"
    restated = "题目：下列哪项是债券交易的场所\nA. 货币市场\nB. 债券市场\nC. 商品市场\nD. 金融衍生品市场\n答案：B"
    assert read(restated) == "B"


def test_a_permutation_of_the_options_moves_the_letter_with_the_text() -> None:
    turned = OPTIONS[1:] + OPTIONS[:1]
    assert read("债券市场") == "B"
    assert read("债券市场", options=turned) == "A"


def test_a_letter_read_from_an_options_text_is_not_final() -> None:
    assert not find_choice("债券市场", OPTIONS, False).final
    assert find_choice("答案：B", OPTIONS, False).final


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("该说法没有错误", "对"),
        ("并非不正确", "对"),
        ("不正确", "错"),
        ("没有错", "对"),
        ("√", "对"),
        ("×", "错"),
        ("正确的做法是按时还款", None),
        ("对于逾期，会影响征信", None),
        ("前半句正确，后半句错误", None),
        ("正确。因此该说法错误。", None),
        ("该说法正确。不对，应该是错误的。", "错"),
    ],
)
def test_verdicts_count_every_negation(text: str, verdict: str | None) -> None:
    assert read_judgement(text)[0] == verdict


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("前三项", "ABC"),
        ("第一、三项", "AC"),
        ("前两项和最后一项", "ABD"),
        ("前五项", None),
    ],
)
def test_options_named_by_place_are_letters_only_where_the_place_exists(text: str, letters: str | None) -> None:
    assert read(text, multiple=True) == letters


TAXES = "下列税种中，属于中央与地方共享税的有（ ）。"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("ACD属于共享税，BE属于中央税。", "ACD"),
        ("BE属于中央税，ACD属于共享税。", "ACD"),
        ("BE属于中央税，其余属于共享税。", "ACD"),
        ("ACD属于大税种，BE属于中央税。", None),  # sorted by another measure: no set rather than a wrong one
        ("BE属于中央税。", None),
    ],
)
def test_options_sorted_into_kinds_are_weighed_against_what_is_asked(text: str, letters: str | None) -> None:
    options = ["增值税", "关税", "企业所得税", "个人所得税", "车辆购置税"]
    assert read_choice(text, options, True, question=TAXES)[0] == letters


def test_an_option_in_brackets_or_described_is_no_choice_beside_an_answer() -> None:
    assert read('{"答案": "B", "解析": "货币市场（A）期限短"}') == "B"
    assert read("【答案】B【解析】货币市场（A）期限短") == "B"
    question = "下列属于资本市场的是（ ）。"
    assert read_choice("货币市场是短期资金融通的场所", OPTIONS, False, question=question)[0] is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("对\n判断：银行可以吸收存款。\n错\n判断：", "对"),
        ("判断题：银行可以吸收存款。\n答案：对", None),  # another statement than the one asked about
        ("判断：贷款利率可以协商。\n答案：对", "对"),
        ("正确的打√，错误的打×", None),
        ("（正确的打√，错误的打×）\n×", "错"),
        ("True or False", None),
        ("\\boxed{\\times}", "错"),
        ("对……哦不，错。", "错"),
    ],
)
def test_a_statement_is_judged_by_its_own_verdict(text: str, verdict: str | None) -> None:
    assert read_judgement(text, question="判断：贷款利率可以协商。")[0] == verdict
