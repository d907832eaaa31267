from __future__ import annotations

import re
from pathlib import Path

import pytest

from evals.config import PRESETS, EvalConfig
from evals.perturb import FAMILIES, family_of, surroundings
from evals.perturb.checks import before_prompt
from evals.perturb.layout import LAYOUTS, lay_out, same_words
from evals.perturb.numerals import values
from tests.evals.perturb.conftest import choice, policy, triage
from tianjing.config import parse
from tianjing.errors import TianjingError
from tianjing.records import Message
from tianjing.tasks import TASKS

PROMPTS = [TASKS["policy_qa"].render(policy().fields), TASKS["handoff_triage"].render(triage().fields)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_marks_and_no_word(layout: str) -> None:
    for prompt in (*PROMPTS, choice("1,000元", "30%（年化）", "A股", "无").task.render(choice("甲", "乙").fields)):
        other = lay_out(prompt, layout)
        assert same_words(prompt, other)
    assert lay_out(PROMPTS[0], layout) != PROMPTS[0]
    assert not same_words(PROMPTS[0], PROMPTS[0].replace("不超过", "超过"))


def test_layouts_look_as_people_write_them() -> None:
    markdown = lay_out(PROMPTS[0], "_markdown")
    assert markdown.startswith("### 条款\n- [1] 《还款安排管理办法》第五条") and "**问题：**" in markdown
    assert lay_out("客户：你好\n坐席：", "_markdown") == "**客户：**你好\n**坐席：**"
    assert lay_out("〔姓名1〕欠1500元", "_spaces") == "〔姓名1〕欠 1500 元"
    assert lay_out("[1] 甲\n问题：几天？", "_brackets") == "（1）甲\n【问题】几天？"
    assert (
        lay_out("分期，可以吗？", "_width") == "分期,可以吗?" and lay_out("分期,可以吗?", "_width") == "分期，可以吗？"
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "text", ["还了3，500元。", "选1，2都可以", "借了1.5万元", "欠3万2，还5w", "A. 三千3天\n答案："]
)
def test_no_layout_makes_another_number(text: str, layout: str) -> None:
    other = lay_out(text, layout)
    assert values(text) == values(other) and same_words(text, other)


def test_the_check_of_a_layout_sees_numbers_that_ran_together() -> None:
    assert not same_words("还了3，500元", "还了3,500元") and not same_words("1.5万", "15万")


def test_what_is_added_around_an_item_decides_nothing() -> None:
    talk = [text for exchange in surroundings._SMALL_TALK for _, text in exchange]
    chat = [text for exchange in surroundings._CHATTER for text in exchange]
    notices = [*surroundings._NOTICES.values(), *(line.format(about="电梯") for line in surroundings._COMMON_LINES)]
    for text in (*talk, *chat, *notices):
        assert before_prompt([Message(role="user", content=text)]) is None, text


def test_small_talk_stands_before_the_last_exchange(varied) -> None:  # type: ignore[no-untyped-def]
    turns = triage().fields["turns"]
    told = varied(triage(), "distractor")[0]["distractor"].fields["turns"]
    assert told[-2:] == turns and len(told) == 5
    chat = varied(policy(), "distractor")[0]["distractor"]
    assert chat.fields is None and [message.role for message in chat.before] == ["user", "assistant"]


def test_every_family_says_its_class_and_check_and_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "perturbations.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        assert family.invariance in ("INV", "DIR", "MFT") and family.checked
        assert re.search(rf"^\| `{family.name}", page, re.M), family.name
    assert {family_of(name).name for name in PRESETS["full"]} == {family.name for family in FAMILIES}


def test_an_unknown_condition_is_named_with_the_known_ones() -> None:
    for wrong in (["optoin"], ["wording0"], ["context2"], ["register_rude"]):
        with pytest.raises(TianjingError, match=rf"no condition '{wrong[0]}'; families are alone, asr.*presets none"):
            parse(EvalConfig, {"conditions": wrong}, "eval.yaml")
    with pytest.raises(TianjingError, match="wordings"):
        parse(EvalConfig, {"wordings": [0]}, "eval.yaml")
    with pytest.raises(TianjingError, match="no condition 'aks'"):
        parse(EvalConfig, {"variant_repeats": ["aks"]}, "eval.yaml")


def test_padding_that_the_engine_could_not_read_is_refused_before_the_run() -> None:
    with pytest.raises(TianjingError, match="context of 2k characters needs max_model_len of at least 3000"):
        parse(EvalConfig, {"conditions": "full"}, "eval.yaml")
    assert parse(EvalConfig, {"conditions": "full", "max_model_len": 4096}, "eval.yaml").varied
    with pytest.raises(TianjingError, match="context of 8k"):
        parse(EvalConfig, {"conditions": ["context8k"], "max_model_len": 4096}, "eval.yaml")


def test_the_default_asks_no_more_than_wordings_and_text() -> None:
    assert EvalConfig().varied == ("wording1", "wording2", "text")
    assert EvalConfig(wordings=(1,), perturb_text=False, conditions=("option", "text")).varied == (
        "wording1",
        "option",
        "text",
    )
