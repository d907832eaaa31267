"""Checking many dialogues at once finds exactly what checking each of them finds."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tianjing.records import Dialogue, Turn
from tianjing.rulebook import Rulebook, batch, check_dialogue, check_many, screening

ROOT = Path(__file__).parents[2]
CHANNELS = ("phone", "voice", "chat", "marketing", "bot")


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return Rulebook.load()


def _sentences() -> list[str]:
    names = ("rulebook_turns", "rulebook_turns_b")
    lines = [json.loads(line)["text"] for name in names for line in _lines(f"tests/data/{name}.jsonl")]
    rules = Rulebook.load()
    shipped = [
        example if isinstance(example, str) else example.turns[0].text
        for rule in rules
        for example in (*rule.examples.breach, *rule.examples.fine)
        if isinstance(example, str) or hasattr(example, "turns")
    ]
    costs = [json.loads(line)["text"] for line in _lines("tests/data/cost_statements.jsonl")]
    return [*lines, *shipped, *costs]


def _lines(path: str) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8").splitlines()


SENTENCES = _sentences()


def _dialogue(turns: list[tuple[str, str]], channel: str = "phone", days: int = 0, number: int = 0) -> Dialogue:
    return Dialogue(
        id=f"d{number}",
        customer="c1",
        agent="a1",
        channel=channel,
        started_at=datetime.fromisoformat("2024-01-01T23:30:00+08:00") + timedelta(days=days),
        turns=tuple(Turn(speaker=speaker, text=text) for speaker, text in turns),
    )


def _one_by_one(book: Rulebook, dialogues: list[Dialogue]) -> list[list]:
    return [check_dialogue(book, dialogue) for dialogue in dialogues]


def test_every_labelled_turn_is_judged_as_it_is_alone(book: Rulebook) -> None:
    dialogues = [
        _dialogue([("agent", text), ("customer", text)], CHANNELS[i % 5], 1000, i)
        for i, text in enumerate(SENTENCES[::3])
    ]
    found = check_many(book, dialogues)
    assert found == _one_by_one(book, dialogues)
    assert sum(map(bool, found)) > 200


def test_the_sample_corpus_is_judged_as_each_dialogue_is_alone(book: Rulebook) -> None:
    dialogues = [Dialogue.model_validate_json(line) for line in _lines("examples/raw/dialogues.jsonl")[::8]]
    found = check_many(book, dialogues)
    assert found == _one_by_one(book, dialogues)
    assert any(found)


# What people do to a sentence so that it is not found, and what recognisers do to it.
_MUTATIONS = st.sampled_from(
    [
        lambda text: text,
        lambda text: " ".join(text),
        lambda text: "\u200b".join(text),
        lambda text: text.replace("的", "").replace("，", ""),
        lambda text: text[::2] + text[1::2],
        lambda text: text.replace("起诉", "气素").replace("征信", "正信").replace("逾期", "愉期"),
        lambda text: text.replace("家人", "jia人").replace("电话", "dianhua"),
        lambda text: text.replace("诉", "讠斥").replace("法", "氵去").replace("还", "環"),
        lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
        lambda text: text.replace("24", "二十四").replace("36", "三十六"),
        lambda text: text[len(text) // 2 :] + text[: len(text) // 2],
        lambda text: f"您说“{text}”，不会的",
        lambda text: text + "*" * 20 + text,
        lambda text: text + "\ud83d",
    ]
)
_TEXT = st.builds(lambda mutate, text: mutate(text), _MUTATIONS, st.sampled_from(SENTENCES)) | st.lists(
    st.sampled_from(SENTENCES), min_size=2, max_size=3
).map("".join)
_DIALOGUE = st.builds(
    _dialogue,
    st.lists(st.tuples(st.sampled_from(["agent", "customer", "system"]), _TEXT), min_size=1, max_size=4),
    st.sampled_from(["phone", "marketing"]),
    st.sampled_from([-900, 0, 1000]),
)


@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.lists(_DIALOGUE, min_size=1, max_size=12))
def test_disguised_and_joined_sentences_are_judged_as_alone(dialogues: list[Dialogue]) -> None:
    book = _BOOKS.setdefault("book", Rulebook.load())
    assert check_many(book, dialogues) == _one_by_one(book, dialogues)


_BOOKS: dict[str, Rulebook] = {}


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(_TEXT)
def test_a_look_for_named_patterns_alone_finds_the_same_hits(text: str) -> None:
    book = _BOOKS.setdefault("book", Rulebook.load())
    for speaker in ("agent", "customer"):
        matcher = book.matcher(speaker)
        assert matcher.find_only(text, [pattern for some in matcher.by_key for pattern in some]) == matcher.find(text)


@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.lists(_TEXT | st.just(""), max_size=30))
def test_the_compiled_loop_and_the_arrays_suspect_the_same(texts: list[str]) -> None:
    if screening.nearby is None:
        pytest.skip("built without a C compiler: there are the arrays alone")
    for screen in _BOOKS.setdefault("book", Rulebook.load()).prepared(batch._Checker)._screens.values():
        found = list(screen.suspects(texts))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(screening, "nearby", None)
            by_arrays = {(suspect.text, suspect.matcher): suspect for suspect in screen.suspects(texts)}
        assert {(suspect.text, suspect.matcher): suspect for suspect in found} == by_arrays
        assert len(found) == len(by_arrays)


def test_a_sentence_said_again_is_judged_by_the_day_and_channel_of_each_dialogue(book: Rulebook) -> None:
    said = [[("agent", text), ("customer", text)] for text in SENTENCES[::40]]
    for days in (-900, 0, 1000):
        dialogues = [_dialogue(turns, CHANNELS[i % 5], days, i) for i, turns in enumerate(said * 2)]
        assert check_many(book, dialogues) == _one_by_one(book, dialogues)


def test_only_so_many_sentences_are_remembered_and_no_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_REMEMBERED_TEXTS", 14)
    book = Rulebook.load()
    dialogues = [_dialogue([("agent", text), ("agent", text * 30)], number=i) for i, text in enumerate(SENTENCES[:18])]
    for start in (0, 6, 0):
        some = dialogues[start : start + 12]
        assert check_many(book, some) == _one_by_one(book, some)
        known = [text for texts in book.prepared(batch._Checker)._known.values() for text in texts]
        assert 0 < len(known) <= 14
        assert max(map(len, known)) <= 256


def test_scope_counts_as_it_does_for_one_dialogue(book: Rulebook) -> None:
    dialogues = [_dialogue([("agent", "您的年化利率是36%，年利率是20%")], number=i) for i in range(3)]
    for institution in ("bank", "private_lender"):
        alone = [check_dialogue(book, dialogue, institution=institution) for dialogue in dialogues]
        assert check_many(book, dialogues, institution=institution) == alone
        assert alone[0]


def test_no_dialogues_and_empty_turns_are_no_error(book: Rulebook) -> None:
    assert check_many(book, []) == []
    assert check_many(book, [_dialogue([("customer", ""), ("agent", "")])]) == [[]]


def test_many_are_checked_several_times_faster_than_one_by_one(book: Rulebook) -> None:
    dialogues = [Dialogue.model_validate_json(line) for line in _lines("examples/raw/dialogues.jsonl")]
    check_many(book, dialogues)
    started = time.process_time()
    check_many(book, dialogues)
    together = (time.process_time() - started) / len(dialogues)
    started = time.process_time()
    _one_by_one(book, dialogues[:100])
    assert together < (time.process_time() - started) / 100 / 3
