"""Dialogues that nothing can be learned from are told by name of their fault; ordinary ones are kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_recipes.cleaning.characters import KINDS, count_kinds
from data_recipes.cleaning.language import LanguageConfig, language, languages, unwanted
from data_recipes.cleaning.quality import QualityConfig, qualities, quality
from tianjing.records import Dialogue, Turn

ROOT = Path(__file__).parents[2]
SAMPLE = [
    Dialogue.model_validate_json(line)
    for line in (ROOT / "examples/raw/dialogues.jsonl").read_text(encoding="utf-8").splitlines()
]
ORDINARY = (
    ("agent", "您好，这里是晨舟消费金融，请问是张女士本人吗？"),
    ("customer", "是我，有什么事情？"),
    ("agent", "您这个月的账单还差八百元没有到账，方便说说原因吗？"),
    ("customer", "工资晚发了，周五之前我会存进去的。"),
)


def _dialogue(*turns: tuple[str, str]) -> Dialogue:
    said = tuple(Turn(speaker=speaker, text=text) for speaker, text in turns)
    return Dialogue(id="d", customer="c", agent="a", channel="phone", started_at="2026-01-01T00:00:00", turns=said)


def _as_gbk(text: str) -> str:
    return text.encode().decode("gbk", "replace")


def _as_latin(text: str) -> str:
    return text.encode().decode("latin-1")


POOR = {
    "too few characters": [("agent", "您好"), ("customer", "打错了")],
    "too few turns": [("agent", "您好，这里是晨舟消费金融，请问是张女士本人吗？")],
    "only the agent speaks": [turn for turn in ORDINARY if turn[0] == "agent"],
    "only the customer speaks": [turn for turn in ORDINARY if turn[0] == "customer"],
    "says the same again and again": [("agent", "您好，您的来电正在排队，请稍候。")] * 6 + [("customer", "喂，有人吗")],
    "garbled": [(speaker, _as_gbk(text)) for speaker, text in ORDINARY],
    "mostly digits": [("agent", "62220212345678901234"), ("customer", "13812345678，是吗")],
    "turns too short": [("agent", "在"), ("customer", "嗯")] * 8,
    "turns too long": [("agent", "第一条 借款人应当按照约定的期限返还借款。" * 100), ("customer", "好" * 10)],
    "low score": [("agent", "您好，有什么可以帮到您的。" + "这样的事情，" * 9), ("customer", "嗯"), ("agent", "12345")],
}


@pytest.mark.parametrize("reason", POOR)
def test_a_poor_dialogue_is_dropped_by_the_name_of_its_fault(reason: str) -> None:
    config = QualityConfig(min_score=0.4) if reason == "low score" else QualityConfig()
    found = quality(_dialogue(*POOR[reason]), config)
    assert f"quality: {reason}" in found.reasons
    assert found.score < quality(_dialogue(*ORDINARY), config).score


def test_text_read_as_latin_is_garbled_and_french_is_not() -> None:
    broken = quality(_dialogue(*((speaker, _as_latin(text)) for speaker, text in ORDINARY)), QualityConfig())
    assert "quality: garbled" in broken.reasons
    french = [("agent", "Bonjour, votre crédit a été accordé."), ("customer", "Très bien, merci à vous, ça m'arrange.")]
    assert quality(_dialogue(*french), QualityConfig()).reasons == ()


def test_an_ordinary_dialogue_is_kept_with_a_full_score_and_one_cut_off_with_less() -> None:
    assert quality(_dialogue(*ORDINARY), QualityConfig()) == (1.0, ())
    cut = quality(_dialogue(*ORDINARY[:-1], ("customer", "工资晚发了，周五之前我会存进去，但是")), QualityConfig())
    assert cut.score == 0.8 and cut.reasons == ()


def test_the_sample_corpus_is_kept_whole() -> None:
    assert {found.reasons for found in qualities(SAMPLE, QualityConfig())} == {()}


def test_limits_are_the_configuration_s() -> None:
    message = _dialogue(("customer", "请问提前还清要不要收违约金？"))
    assert quality(message, QualityConfig()).reasons == ("quality: too few turns", "quality: only the customer speaks")
    assert quality(message, QualityConfig(min_turns=1, one_sided=True, min_score=0)).reasons == ()
    with pytest.raises(ValidationError):
        QualityConfig(max_garbled_share=1.5)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["agent", "customer", "system"]), st.text(max_size=40)), min_size=1),
        max_size=6,
    )
)
def test_a_score_is_a_share_and_does_not_depend_on_other_dialogues(turns: list[list[tuple[str, str]]]) -> None:
    dialogues = [_dialogue(*some) for some in turns]
    found = qualities(dialogues, QualityConfig())
    assert found == [quality(dialogue, QualityConfig()) for dialogue in dialogues]
    assert all(0 <= one.score <= 1 for one in found)


@given(st.lists(st.text()))
def test_every_character_is_counted_once(texts: list[str]) -> None:
    counts = count_kinds(texts)
    assert counts.shape == (len(texts), KINDS)
    assert counts.sum(axis=1).tolist() == [len(text) for text in texts]


LANGUAGES = {
    "您好，请问贷款怎么还": "zh",
    "您好，請問貸款怎麼還": "zh-Hant",
    "我的APP登录不上，提示error": "zh",
    "Hello, how can I repay my loan?": "en",
    "お支払いはどうすればいいですか": "ja",
    "返済期日は毎月末日です": "ja",
    "대출 상환은 어떻게 하나요": "ko",
    "帮我check一下bill的payment status谢谢": "mixed",
    "Как погасить кредит": "other",
    "12345，。": "other",
    "": "other",
}


def test_languages_are_told_by_their_scripts() -> None:
    assert dict(zip(LANGUAGES, languages(list(LANGUAGES)), strict=True)) == LANGUAGES


def test_a_dialogue_in_another_language_is_dropped_by_its_name() -> None:
    english = _dialogue(("agent", "Hello, how may I help you?"), ("customer", "I want to repay early."))
    assert unwanted(language(english), LanguageConfig()) == "language: en"
    assert unwanted(language(english), LanguageConfig(keep=("en",))) is None
    assert unwanted(language(SAMPLE[0]), LanguageConfig()) is None
