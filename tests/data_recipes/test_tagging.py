"""Tagging: few labels go a long way, what is not known is not said, and bad labels name their line."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.errors import DataError
from data_recipes.experience.tagging import features
from data_recipes.experience.tagging.classifier import Classifier, ClassifierConfig
from data_recipes.experience.tagging.clusters import distinctive, find_clusters, purity
from data_recipes.experience.tagging.features import Utterance, folded
from data_recipes.experience.tagging.labels import read_labels
from data_recipes.experience.tagging.run import TagConfig, tag_corpus
from data_recipes.experience.tagging.teacher import TaggingTeacherConfig, ask_teacher, least_sure
from data_recipes.experience.tagging.turns import END, START, spoken_turns
from data_recipes.teacher.config import TeacherConfig
from tests.data_recipes.teacher_endpoint import FaultInjector, Reply
from tianjing.acts import tag
from tianjing.files import write_jsonl
from tianjing.lineage import artefact
from tianjing.records import Dialogue, Event, Turn

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)

# Ways of saying two acts of the lexicon without its words, and one that it does not know.
WORDINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "offer_deferral": (
        ("先不着急", "这笔先放一放", "您先歇口气", "咱不赶这几天"),
        ("等发了薪水再给", "下个月再补上也成", "过阵子宽裕了再交", "手头松快了再拿过来"),
        ("您看成不成", "好吧", "行吗", "您说呢"),
    ),
    "empathise": (
        ("听着真让人心疼", "我懂您的苦处", "谁碰上都难受", "您受委屈了"),
        ("一个人扛着真累", "心里肯定堵得慌", "这日子过得紧", "换谁都得急"),
        ("慢慢说", "我听着呢", "您缓缓", "别往心里去"),
    ),
    "verify_identity": (
        ("核一下身份", "先对一下信息", "跟您确认是本人", "按规定要核验"),
        ("麻烦报下身份证尾号", "说一下预留手机号后四位", "报一下出生年月", "讲一下开户姓名"),
        ("谢谢配合", "方便吗", "麻烦了", "请讲"),
    ),
}


def _said(rng: random.Random, act: str) -> str:
    return "，".join(rng.choice(part) for part in WORDINGS[act])


@pytest.fixture(scope="module")
def spoken() -> tuple[list[Utterance], list[str]]:
    rng = random.Random(3)
    acts = [rng.choice(["offer_deferral"] * 6 + ["empathise"] * 2 + ["verify_identity"]) for _ in range(400)]
    return [Utterance(_said(rng, act)) for act in acts], acts


def _few(acts: list[str], each: int = 4) -> dict[int, str]:
    chosen = [i for act in sorted(set(acts)) for i in [i for i, one in enumerate(acts) if one == act][:each]]
    return {i: acts[i] for i in chosen}


def test_few_labels_find_acts_in_words_that_the_lexicon_does_not_know(
    spoken: tuple[list[Utterance], list[str]],
) -> None:
    utterances, acts = spoken
    few = _few(acts)
    tags = Classifier(utterances, few, ClassifierConfig()).tag(utterances)
    rest = [i for i in range(len(acts)) if i not in few]
    by_lexicon = sum(acts[i] in tag(utterances[i].text) for i in rest) / len(rest)
    by_labels = sum(tags[i].label == acts[i] for i in rest) / len(rest)
    assert by_lexicon < 0.1
    assert by_labels > 0.9


def test_turns_without_a_label_teach_too(spoken: tuple[list[Utterance], list[str]]) -> None:
    utterances, acts = spoken
    few = _few(acts, 1)
    scores = []
    for weight in (0.0, 0.1):
        found = Classifier(utterances, few, ClassifierConfig(unlabelled_weight=weight)).probabilities(utterances)
        scores.append(np.mean([sorted(set(acts))[i] == act for i, act in zip(found.argmax(axis=1), acts, strict=True)]))
    assert scores[1] > scores[0] + 0.05


@pytest.mark.parametrize("gibberish", ["qzx wvk jjpq xxzq", "咕噜哇啦哔哩啪", "", "  ", "ﷺ☂☂"])
def test_nothing_is_said_of_gibberish(spoken: tuple[list[Utterance], list[str]], gibberish: str) -> None:
    utterances, acts = spoken
    assert Classifier(utterances, _few(acts), ClassifierConfig()).tag([Utterance(gibberish)])[0].label is None


def test_the_classifier_says_how_often_it_is_right(spoken: tuple[list[Utterance], list[str]]) -> None:
    utterances, acts = spoken
    assert Classifier(utterances, _few(acts, 10), ClassifierConfig()).cross_validated > 0.8
    rng = random.Random(1)
    noise = {i: rng.choice(["x", "y", "z"]) for i in range(60)}
    classifier = Classifier(utterances, noise, ClassifierConfig())
    assert classifier.cross_validated < 0.6
    assert classifier.probabilities(utterances).max(axis=1).mean() < 0.7  # not sure of what cannot be learned


def test_what_is_said_around_a_turn_tells_same_words_apart() -> None:
    rng = random.Random(0)
    utterances, acts = [], []
    for _ in range(200):
        act = rng.choice(["confirm", "refuse"])
        before = rng.choice(["能办吗", "可以办理吗"]) if act == "confirm" else rng.choice(["不想办了", "不办行不行"])
        utterances.append(Utterance("嗯，好的", before=before))
        acts.append(act)
    few = _few(acts, 5)
    for config, least, most in ((ClassifierConfig(), 0.95, 1.0), (ClassifierConfig(context_words=0), 0.0, 0.7)):
        classifier = Classifier(utterances, few, config)
        found = classifier.probabilities(utterances).argmax(axis=1)
        assert least <= np.mean([classifier.classes[i] == act for i, act in zip(found, acts, strict=True)]) <= most


def test_one_class_is_no_classifier(spoken: tuple[list[Utterance], list[str]]) -> None:
    with pytest.raises(DataError, match=r"1 class\(es\), two are needed"):
        Classifier(spoken[0], {0: "a", 1: "a"}, ClassifierConfig())


def test_masked_values_and_numbers_do_not_tell_turns_apart() -> None:
    assert folded("您尾号〔银行卡1〕欠２,699.50元 PLEASE") == folded("您尾号〔银行卡12〕欠31元 please")


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(features, "import_module", absent)
    with pytest.raises(DataError) as error:
        features.Grams(["a"])
    assert "scikit-learn" in error.value.message and "tianjing[experience]" in error.value.remedy


# Turns and desktop events


def _dialogue(identity: str, *turns: tuple[str, str]) -> Dialogue:
    spoken = [
        Turn(speaker=speaker, text=text, at=NOW + timedelta(seconds=10 * i))  # type: ignore[arg-type]
        for i, (speaker, text) in enumerate(turns)
    ]
    return Dialogue(id=identity, customer=f"c-{identity}", agent="e1", channel="phone", started_at=NOW, turns=spoken)


def test_a_desktop_event_marks_the_next_turn_of_its_dialogue() -> None:
    dialogue = _dialogue("d1", ("agent", "您好"), ("customer", "喂"), ("agent", "查到了"), ("agent", "再见"))
    events = [
        Event(case="d1", at=NOW + timedelta(seconds=15), actor="e1", activity="查询费用明细"),
        Event(case="d2", at=NOW + timedelta(seconds=15), actor="e1", activity="转派专员"),
    ]
    first, second, last = (one.utterance for one in spoken_turns([dialogue], events, "agent"))
    assert "查询费用明细" in second.context
    assert "查询费用明细" not in first.context + last.context and "转派专员" not in second.context
    assert (first.own_before, second.own_before, last.own_after) == (START, "您好", END)
    assert (first.before, second.before) == ("", "喂")


# Labels


@pytest.fixture
def dialogues() -> list[Dialogue]:
    return [
        _dialogue("d1", ("agent", "您好，请报尾号1234"), ("customer", "好的")),
        _dialogue("d2", ("agent", "您好，请报尾号99"), ("customer", "不")),
    ]


def test_a_text_labels_every_turn_with_these_words_and_unsaid_ones_are_counted(
    tmp_path: Path, dialogues: list[Dialogue]
) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [{"text": "您好，请报尾号7", "label": "verify"}, {"text": "没人说过", "label": "x"}]
    write_jsonl(path, [*rows, {"dialogue": "d2", "turn": 1, "label": "refuse"}])
    labels = read_labels(path, dialogues)
    assert labels.by_place == {("d1", 0): "verify", ("d2", 0): "verify", ("d2", 1): "refuse"}
    assert labels.unsaid == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"text": "好的", "label"', "broken JSON"),
        ('{"text": "好的", "lable": "a"}', "unknown field 'lable'"),
        ('{"text": "好的"}', "field 'label'"),
        ('{"dialogue": "d1", "label": "a"}', "'dialogue' and 'turn'"),
        ('{"dialogue": "d9", "turn": 0, "label": "a"}', "no dialogue 'd9'"),
        ('{"dialogue": "d1", "turn": 7, "label": "a"}', "has 2 turns, there is no turn 7"),
        ('{"dialogue": "d1", "turn": 1, "label": "other"}', "is 'other' here and 'agree' in line 1"),
    ],
)
def test_a_bad_label_names_file_and_line(tmp_path: Path, dialogues: list[Dialogue], line: str, told: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"text": "好的", "label": "agree"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_labels(path, dialogues)
    assert error.value.message.startswith(f"{path}:3: ") and told in error.value.message
    assert error.value.remedy


def test_labels_of_words_that_nobody_says_are_an_error(tmp_path: Path, dialogues: list[Dialogue]) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"text": "没人说过", "label": "a"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="labels no turn"):
        read_labels(path, dialogues)
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "absent.jsonl", dialogues)


# Clusters


def test_clusters_are_named_by_what_sets_them_apart(spoken: tuple[list[Utterance], list[str]]) -> None:
    utterances, acts = spoken
    clusters = find_clusters([utterance.text for utterance in utterances], 9)
    assert sorted(i for cluster in clusters for i in cluster.members) == list(range(len(acts)))
    assert [len(c.members) for c in clusters] == sorted((len(c.members) for c in clusters), reverse=True)
    assert all(cluster.medoid in cluster.members for cluster in clusters)
    assert all(word in utterances[i].text for c in clusters for word in c.words[:1] for i in [_holder(c, word, spoken)])
    pairs = [(cluster.number, acts[i]) for cluster in clusters for i in cluster.members]
    assert purity(*zip(*pairs, strict=True)) > 0.9


def _holder(cluster: Any, word: str, spoken: tuple[list[Utterance], list[str]]) -> int:
    return next(i for i in cluster.members if word in spoken[0][i].text)


@pytest.mark.parametrize("texts", [[], ["一样"], ["一样"] * 5, ["", ""], ["ab", "cd"]])
def test_few_or_equal_texts_cluster_too(texts: list[str]) -> None:
    clusters = find_clusters(texts, 3)
    assert sorted(i for cluster in clusters for i in cluster.members) == list(range(len(texts)))


def test_a_word_that_is_everywhere_sets_nothing_apart() -> None:
    everywhere = {"您好": 100, "延期": 20, "利息": 80}
    assert distinctive({"您好": 20, "延期": 19, "利息": 1}, everywhere) == ("延期",)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), min_size=1))
def test_purity_lies_between_the_largest_class_and_one(rows: list[tuple[int, str]]) -> None:
    labels = [label for _, label in rows]
    largest = max(labels.count(label) for label in labels) / len(labels)
    assert largest - 1e-9 <= purity(*zip(*rows, strict=True)) <= 1


# The teacher


@pytest.fixture
def endpoint() -> Iterator[FaultInjector]:
    server = FaultInjector()
    yield server
    server.stop()


def _teacher(endpoint: FaultInjector) -> TaggingTeacherConfig:
    return TaggingTeacherConfig(endpoint=TeacherConfig(base_url=endpoint.url, model="m", backoff_s=0.01, sends=2))


def _asked(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"].rsplit("<<<\n", 1)[1].split("\n>>>")[0])


def test_answers_that_disagree_or_cannot_be_read_are_left_aside_and_counted(
    endpoint: FaultInjector, tmp_path: Path
) -> None:
    def behave(body: dict[str, Any], count: int) -> Reply:
        vote, text = body["seed"], _asked(body)
        act = {
            "三票一致": "a",
            "两票一致": "a" if vote else "b",
            "各说各的": ("a", "b", "none")[vote],
            "一票可读": "a" if vote == 2 else "不在单子上",
            "都不是": "none",
        }.get(text, "a")
        return Reply(text="不是 JSON" if text == "乱码" else json.dumps({"act": act}))

    endpoint.behave = behave
    texts = ["三票一致", "两票一致", "各说各的", "一票可读", "都不是", "乱码"]
    asked = {10 + i: Utterance(text) for i, text in enumerate(texts)}
    advice = ask_teacher(asked, {"a": "甲", "b": "乙"}, _teacher(endpoint), tmp_path / "answers.jsonl")
    assert advice.labels == {10: "a", 11: "a", 14: "none"}
    assert advice.counts == {
        "teacher_asked": 6,
        "teacher_agreed": 3,
        "teacher: answers disagree": 2,
        "teacher: no readable answer": 1,
    }
    assert len(endpoint.requests) == 18
    schema = endpoint.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["act"]["enum"] == ["a", "b", "none"]
    ask_teacher(asked, {"a": "甲", "b": "乙"}, _teacher(endpoint), tmp_path / "answers.jsonl")
    assert len(endpoint.requests) == 18  # answered from disk


def test_the_least_sure_turns_are_those_with_the_smallest_margin() -> None:
    assert least_sure({i: i / 100 for i in range(100)}, 0.05) == [0, 1, 2, 3, 4]
    assert least_sure({}, 0.05) == [] and least_sure({7: 0.9}, 0.05) == [7]


# The command


@pytest.fixture
def cleaned(tmp_path: Path) -> Path:
    rng = random.Random(5)
    with artefact(tmp_path / "clean", "clean") as work:
        rows = []
        for number in range(80):
            act = rng.choice(sorted(WORDINGS))
            rows.append(
                _dialogue(f"d{number:03d}", ("customer", "喂"), ("agent", _said(rng, act)), ("agent", "给您分12期"))
            )
        write_jsonl(work.dir / "dialogues.jsonl", rows)
        event = Event(case="d001", at=NOW + timedelta(seconds=12), actor="e1", activity="发起分期申请")
        write_jsonl(work.dir / "events.jsonl", [event])
    return tmp_path / "clean"


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_act_says_where_it_comes_from(tmp_path: Path, cleaned: Path) -> None:
    manifest = tag_corpus(cleaned, tmp_path / "first", TagConfig(clusters=12))
    rows = _rows(tmp_path / "first" / "acts.jsonl")
    assert {row["source"] for row in rows} == {"lexicon", "log"}
    assert [row["act"] for row in rows if row["source"] == "log"] == ["发起分期申请"]
    offered = [row for row in _rows(tmp_path / "first" / "clusters.jsonl") if row["speaker"] == "agent"]
    assert sum(row["size"] for row in offered) == 160 and 3 <= len(offered) <= 12
    known = {part: act for act, parts in WORDINGS.items() for part in parts[1]}
    answers = [
        {"text": row["text"], "label": next((act for part, act in known.items() if part in row["text"]), "none")}
        for row in offered
    ]
    write_jsonl(tmp_path / "labels.jsonl", answers)
    manifest = tag_corpus(cleaned, tmp_path / "second", TagConfig(clusters=12), tmp_path / "labels.jsonl")
    rows = _rows(tmp_path / "second" / "acts.jsonl")
    assert manifest.counts["acts_from_label"] and manifest.counts["acts_from_classifier"]
    assert not any(row["act"] == "none" for row in rows)
    said = {d["id"]: [turn["text"] for turn in d["turns"]] for d in _rows(cleaned / "dialogues.jsonl")}
    tagged = [row for row in rows if row["source"] in ("label", "classifier")]
    right = [any(part in said[r["dialogue"]][r["turn"]] for part in WORDINGS[r["act"]][1]) for r in tagged]
    assert len(tagged) >= 70 and np.mean(right) > 0.9


def test_a_teacher_labels_medoids_and_a_person_has_the_last_word(
    tmp_path: Path, cleaned: Path, endpoint: FaultInjector
) -> None:
    known = {part: act for act, parts in WORDINGS.items() for part in parts[1]}

    def behave(body: dict[str, Any], count: int) -> Reply:
        act = next((act for part, act in known.items() if part in _asked(body)), "none")
        return Reply(text=json.dumps({"act": act}))

    endpoint.behave = behave
    meanings = {act: act for act in WORDINGS}
    config = TagConfig(clusters=12, teacher=_teacher(endpoint), acts=meanings)
    by_hand = {"text": "给您分12期", "label": "by_hand"}
    write_jsonl(tmp_path / "labels.jsonl", [by_hand])
    manifest = tag_corpus(cleaned, tmp_path / "out", config, tmp_path / "labels.jsonl")
    rows = _rows(tmp_path / "out" / "acts.jsonl")
    assert manifest.counts["teacher_asked"] == manifest.counts["teacher_agreed"] <= 12
    assert len(_rows(tmp_path / "out" / "answers.jsonl")) == len(endpoint.requests)
    assert not list(tmp_path.glob(".*"))
    assert {"teacher", "label", "classifier"} <= {row["source"] for row in rows}
    last = [row for row in rows if row.get("turn") == 2 and row["source"] != "lexicon"]
    assert {(row["act"], row["source"]) for row in last} == {("by_hand", "label")}


def test_raw_material_is_refused_because_clusters_show_what_people_said(tmp_path: Path, cleaned: Path) -> None:
    (cleaned / "manifest.json").unlink()
    with pytest.raises(DataError) as error:
        tag_corpus(cleaned, tmp_path / "out", TagConfig())
    assert "tianjing data clean" in error.value.remedy
