"""What is learned from experience: nothing vetoed, nothing invented, everything traced to what was said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_recipes.browse.inspect import inspect
from data_recipes.build import build
from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.experience.accepted import decided
from data_recipes.experience.decisions import Decision
from data_recipes.experience.evidence import evidence, weigh
from data_recipes.experience.units import Unit
from data_recipes.extract import extract
from data_recipes.knowledge import Knowledge, QualityRule, read_knowledge
from data_recipes.publish.columns import PREFERENCE_COLUMNS
from data_recipes.selection import select
from data_recipes.tasks.config import PreferenceConfig
from data_recipes.tasks.draft import Draft
from data_recipes.tasks.emotions import emotion
from data_recipes.tasks.mediation import draft_mediation
from data_recipes.tasks.next_reply import draft_next_reply
from data_recipes.tasks.preferences import draft_preferences
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.calls import all_train, articles, call, ended, logged
from tests.data_recipes.material import BUILD, EXTRACT, write_raw
from tianjing import acts
from tianjing.dataset import SPLITS, preference_file, read_examples, read_preferences
from tianjing.records import Dialogue, Event, Example, Outcome, Practice, Preference, Support
from tianjing.rulebook import PhraseMatcher, Rulebook
from tianjing.tasks import TASKS
from tianjing.text import compact

MINING = PracticesConfig()
CONFIG = BuildConfig()
CLAUSES = articles(
    "还款安排办法", "延期还款每次最长30日。", "分期还款的期数为3至24期。", "因病住院的，暂停催收。", "投诉当日答复。"
)
ITEMS = [QualityRule(id="Q01", title="威胁恐吓", text="以安全相威胁。")]
# Situation, then what the agent may say to it; the first act of each is the practice that works.
TALK: dict[str, tuple[str, dict[str, str]]] = {
    "失业": (
        "活儿都停了，愁得睡不着。",
        {
            "offer_deferral": "换作是我也难，我理解您。给您申请延期，缓一段再还。",
            "demand_full_payment": "请您全额还清。",
            "confirm_date": "约个日期，您看哪天？",
        },
    ),
    "多头负债": (
        "好几家都在催我。",
        {"offer_instalment": "给您办分期，按月还。", "demand_full_payment": "请您一次性结清。"},
    ),
}

EACH = [(s, text, kept) for s, (_, said) in TALK.items() for text in said.values() for kept in (1, 0)]
# Two acts in one reply, of which either may be vetoed.
BOTH = [
    ("失业", "给您申请延期，缓一段；要不您全额还清。", 1),
    ("多头负债", "给您办分期，按月还；要不您一次性结清。", 1),
]


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts(Rulebook.load())


@pytest.fixture(scope="module")
def matcher() -> PhraseMatcher:
    return Rulebook.load().matcher("agent")


def practice(situation: str, action: str, effect: float = 0.4, **more: Any) -> Practice:
    values = {
        "id": f"{situation}/{action}",
        "situation": situation,
        "action": action,
        "outcome": "promise_kept",
        "support": Support(cases=200, treated=100, agents=9),
        "rate_treated": 0.5 + effect / 2,
        "rate_control": 0.5 - effect / 2,
        "effect": effect,
        "ci_low": effect - 0.1,
        "ci_high": effect + 0.1,
        "p": 0.001,
        "q": 0.001,
        "strata": (),
        "exploratory": False,
        "exemplars": (),
        "verdict": "allowed",
    }
    return Practice.model_validate(values | more)


def _case(case: str, situation: str, reply: str, kept: int) -> tuple[Dialogue, Event, Outcome]:
    reason = TALK[situation][0]
    dialogue = call(case, "坐：怎么没还上？", f"客：{reason}", f"坐：{reply}", "客：行，就这么办。", "坐：再见。")
    return dialogue, logged(case, 1, "登记逾期原因", reason=situation), ended(case, kept, "promise_kept")


def world(practices: Sequence[Practice], replies: Sequence[tuple[str, str, int]] = ()) -> Knowledge:
    """Cases of (situation, reply, kept); without any, each reply of TALK once kept and once not."""
    found = replies or EACH
    made = [_case(f"P{number}", *one) for number, one in enumerate(found)]
    breach = logged("P0", 4, "质检", turn=4, rule="Q01", evidence="再见", rewrite="祝好")
    return Knowledge(
        dialogues=[dialogue for dialogue, *_ in made],
        events=[*(event for _, event, _ in made), breach],
        outcomes=[outcome for *_, outcome in made],
        practices=practices,
        clauses=CLAUSES,
        quality_rules=ITEMS,
    )


BREACHED = {("P0", 4)}


def rows_of(knowledge: Knowledge, verdicts: Verdicts, config: BuildConfig = CONFIG) -> list[Draft]:
    splits = all_train(knowledge.dialogues) | {"CP1": "test", "CP8": "test"}
    replies = draft_next_reply(knowledge, splits, BREACHED, MINING, config)
    mediation = draft_mediation(knowledge, splits, BREACHED, MINING, "质检", verdicts, config)
    return replies.rows + mediation.rows


def pairs_of(knowledge: Knowledge, verdicts: Verdicts, config: BuildConfig = CONFIG) -> list[Preference]:
    splits = all_train(knowledge.dialogues)
    drafts = draft_next_reply(knowledge, splits, BREACHED, MINING, config).rows
    rows = select(drafts, config.model_copy(update={"near_duplicate": 1.0}), [])
    return draft_preferences(rows, knowledge, splits, BREACHED, MINING, verdicts, config)[0]


WORKS = (practice("失业", "offer_deferral"), practice("多头负债", "offer_instalment"))

# What is vetoed

_PRACTICES = st.lists(
    st.builds(
        lambda pair, effect, verdict, exploratory: practice(
            *pair,
            effect=effect,
            verdict=verdict,
            exploratory=exploratory,
            rules=("Q01",) if verdict == "vetoed" else (),
        ),
        st.sampled_from([(situation, act) for situation, (_, said) in TALK.items() for act in said]),
        st.floats(-0.9, 0.9),
        st.sampled_from(["allowed", "vetoed"]),
        st.booleans(),
    ),
    unique_by=lambda one: one.id,
    max_size=5,
)
_WORDS = st.lists(st.sampled_from(["", "accept", "edit", "reject"]), min_size=5, max_size=5)


@example(
    now=[practice("失业", "offer_deferral"), practice("失业", "demand_full_payment", verdict="vetoed", rules=("Q01",))],
    words=[""] * 5,
    reviewed_as="now",
    taken="all",
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    now=_PRACTICES,
    words=_WORDS,
    reviewed_as=st.sampled_from(["allowed", "now"]),
    taken=st.sampled_from(["all", "accepted"]),
)
def test_a_vetoed_practice_is_never_taught_whatever_was_decided(
    now: list[Practice], words: list[str], reviewed_as: str, taken: Any, verdicts: Verdicts, matcher: PhraseMatcher
) -> None:
    decisions = []
    for one, word in zip(now, words, strict=False):
        if word:
            # Also a decision of a time when the practice was allowed and looked splendid.
            seen = practice(one.situation, one.action, 0.8) if reviewed_as == "allowed" else one
            edits = {"situation": "没收入"} if word == "edit" else {}
            decisions.append(_decision(Unit("practice", seen), word, len(decisions) + 1, edits))
    knowledge, _ = decided(world(now, [*EACH, *BOTH]), decisions, taken, matcher)
    vetoed = {(one.situation, one.action) for one in now if one.verdict == "vetoed"}
    names = {f"{situation}/{act}" for situation, act in vetoed}
    taught = {one.id for one in now} if taken == "all" else {d.unit for d in decisions if d.decision != "reject"}
    for row in rows_of(knowledge, verdicts):
        assert set(row.practice_ids) <= taught - names
        situation = row.practice_ids[0].partition("/")[0]
        said = (
            row.reference["reply"]
            if row.task == "next_reply"
            else row.reference["empathy"] + row.reference["reasoning"]
        )
        assert not any((situation, act) in vetoed for act in acts.tag(said))
        assert (situation, row.reference["act"]) not in vetoed
    for pair in pairs_of(knowledge, verdicts):
        assert set(pair.practice_ids) <= taught - names and not set(pair.rejected_practice_ids) & names
        situation = pair.practice_ids[0].partition("/")[0]
        assert not any((situation, act) in vetoed for act in acts.tag(pair.chosen[0].content))
        if any((situation, act) in vetoed for act in acts.tag(pair.rejected[0].content)):
            assert pair.why == "breach" and "Q01" in pair.rules


def _decision(unit: Unit, word: Any, number: int, edits: dict[str, str]) -> Decision:
    return Decision(
        number=number,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        reviewer="王敏",
        kind=unit.kind,
        unit=unit.record.id,
        decision=word,
        edits=edits,
        digest=unit.digest,
        reviewed=unit.record.model_dump(mode="json"),
        knowledge="k",
    )


# Mediation


def test_a_mediation_row_says_what_was_said_and_found(verdicts: Verdicts) -> None:
    knowledge = world(WORKS)
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    (row,) = made.rows
    assert row.reference == {
        "situation": "失业",
        "emotion": "焦虑",
        "practice": "延期",
        "words": "愁",
        "analysis": "同类情形用“延期”履约率高40个百分点（95%区间30至50，100件），是关联，不代表因果。",
        "empathy": "换作是我也难，我理解您。",
        "reasoning": "给您申请延期，缓一段再还。",
        "clause": "《还款安排办法》第一条",
        "law": "延期还款每次最长30日。",
        "risk": "同类通话出现过“威胁恐吓”，不得以安全相威胁。",
        "act": "offer_deferral",
        "clause_id": "还款安排办法:第一条",
    }
    assert row.sources == ("P0#1", "P0#2", "P0#4") and row.practice_ids == ("失业/offer_deferral",)
    task = TASKS["mediation"]
    assert task.score(task.read(task.target(row.reference), row.fields), row.reference, row.fields) == 1.0
    assert made.dropped == {
        "mediation: the agent did not follow the practice": 3,
        "mediation: no words of empathy where such a promise was kept": 1,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clauses": articles("办法", "投诉当日答复。")}, "no clause speaks of the practice or of the situation"),
        ({"quality_rules": ()}, "no rule was broken in such talks, and none calls for a person"),
    ],
)
def test_a_part_without_evidence_gives_no_row_and_is_counted(
    change: dict[str, Any], reason: str, verdicts: Verdicts
) -> None:
    knowledge = replace(world(WORKS), **change)
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    assert not made.rows and made.dropped[f"mediation: {reason}"] == 1


def test_words_with_a_number_that_is_not_shown_are_not_taught(verdicts: Verdicts) -> None:
    knowledge = world(WORKS, [("失业", "我理解您。给您延期到26号，缓一段再还。", 1)])
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    assert not made.rows and made.dropped["mediation: the agent's words state a number that is not shown"] == 1


def test_a_customer_who_needs_a_person_is_the_risk(verdicts: Verdicts) -> None:
    knowledge = world(WORKS)
    angry = call(
        "P0", "坐：怎么没还？", "客：气人，我要投诉你们！", *("坐：我理解您。给您申请延期。", "客：行。", "坐：再见。")
    )
    knowledge = replace(knowledge, dialogues=[angry, *knowledge.dialogues[1:]])
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    (row,) = made.rows
    assert row.reference["risk"] == "客户说“我要投诉”（投诉），应转人工处理。" and row.reference["emotion"] == "愤怒"


def test_an_emotion_is_what_the_words_show() -> None:
    assert emotion(["网贷滚雪球一样，你说怎么办"]) == ("未表露", "")
    assert emotion(["我愁得睡不着", "真是气死人"]) == ("愤怒", "气死")
    assert emotion(["催命嘛，晚点说"]) == ("抵触", "催命")
    assert emotion(["不知道先还谁，压力大"]) == ("焦虑", "不知道先")
    assert emotion(["忘了还"]) == ("未表露", "")


def test_a_mediation_answer_that_breaks_a_rule_or_invents_a_number_scores_nothing(verdicts: Verdicts) -> None:
    knowledge = world(WORKS)
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    row, task = made.rows[0], TASKS["mediation"]

    def scored(**parts: str) -> float:
        answer = json.dumps({**json.loads(task.target(row.reference)), **parts}, ensure_ascii=False)
        return round(task.score(task.read(answer, row.fields), row.reference, row.fields), 3)

    assert scored(reasoning="再不还我们上门砸了你家。") == 0.0
    assert scored(analysis="履约率高90个百分点。") == 0.0
    assert scored(law="延期还款每次都可以。") == round(5 / 6, 3)
    assert scored(clause="《还款安排办法》第九条") == round(4 / 6, 3)  # cited as nothing, so its words stand nowhere
    assert scored(emotion="愤怒", situation="受灾", practice="分期", words="我没说过") == round(2 / 6, 3)


# Preference pairs


def test_a_pair_has_the_prompt_of_the_next_reply_and_says_why_the_other_did_not_work(verdicts: Verdicts) -> None:
    harmful = practice("失业", "confirm_date", -0.3)
    replies = [("失业", text, kept) for text in TALK["失业"][1].values() for kept in (1, 0)]
    knowledge = world([*WORKS, harmful], replies)
    splits = all_train(knowledge.dialogues)
    drafts = draft_next_reply(knowledge, splits, BREACHED, MINING, CONFIG).rows
    (reply,) = select(drafts, CONFIG, [])
    config = BuildConfig(preference=PreferenceConfig(pairs=3))
    pairs = pairs_of(knowledge, verdicts, config)
    assert [(pair.why, pair.rejected[0].content) for pair in sorted(pairs, key=lambda pair: pair.why)] == [
        ("harmful", "【失业：约定日期】约个日期，您看哪天？"),
        ("other", "【失业：全额还款】请您全额还清。"),
    ]
    for pair in pairs:
        assert (*pair.prompt, *pair.chosen) == reply.messages and pair.weight == reply.weight
        assert pair.chosen[0].content == "【失业：延期】换作是我也难，我理解您。给您申请延期，缓一段再还。"


def test_an_unlawful_answer_is_rejected_as_a_breach_with_its_rules(verdicts: Verdicts) -> None:
    veto = practice("失业", "demand_full_payment", 0.6, verdict="vetoed", rules=("Q01",))
    replies = [
        ("失业", TALK["失业"][1]["offer_deferral"], 1),
        ("失业", "请您全额还清。", 1),
        ("失业", "约个日期，您看哪天？不还就上门砸你家。", 1),
    ]
    knowledge = world([*WORKS, veto], replies)
    found = pairs_of(knowledge, verdicts, BuildConfig(preference=PreferenceConfig(pairs=3)))
    assert {pair.why for pair in found} == {"breach"} and {"Q01"} in [set(pair.rules) for pair in found]
    assert any("collect.threat.violence" in pair.rules for pair in found)
    lawful = BuildConfig(preference=PreferenceConfig(pairs=3, breaches=False))
    assert not pairs_of(knowledge, verdicts, lawful)


def test_both_answers_of_a_pair_or_neither_state_a_number_that_is_not_shown(verdicts: Verdicts) -> None:
    plain, counted = TALK["失业"][1]["offer_deferral"], "给您延期20天，缓一段再还。"
    bare, priced = "请您全额还清。", "请您全额还清3200元。"
    for chosen, rejected, expected in ((plain, priced, 0), (plain, bare, 1), (counted, bare, 0), (counted, priced, 1)):
        replies = [("失业", chosen, 1), ("失业", rejected, 0)]
        assert len(pairs_of(world(WORKS, replies), verdicts)) == expected


# Weights


def test_rows_weigh_by_the_evidence_of_their_practice() -> None:
    sure, unsure = practice("失业", "offer_deferral", 0.5), practice("多头负债", "offer_instalment", 0.2)
    few = practice("失业", "offer_deferral", 0.5, support=Support(cases=40, treated=10, agents=2))
    assert evidence(sure) > evidence(few) > 0 and evidence(practice("失业", "x", 0.05)) == 0.0
    rows = [_row("a", sure), _row("b", sure), _row("c", unsure)]
    weights = [row.weight for row in weigh(rows, {one.id: one for one in (sure, unsure)})]
    assert weights[0] == weights[1] > 1 > weights[2] >= 0.5
    assert [row.weight for row in weigh([_row("d", sure)], {sure.id: sure})] == [1.0]


def _row(name: str, followed: Practice) -> Draft:
    return Draft(
        id=name,
        task="next_reply",
        group=name,
        split="train",
        fields={},
        reference={},
        informative=name,
        stratum="",
        sources=(),
        practice_ids=(followed.id,),
    )


# The trail, from the dataset to the raw lines


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Raw folder, knowledge and dataset of a corpus in which some agents say a word of sympathy."""
    base = tmp_path_factory.mktemp("traced")
    raw = write_raw(base / "raw", cases=180)
    words = "您可以申请延期，缓一段再还，"
    text = (raw / "dialogues.jsonl").read_text("utf-8").replace(words, f"我理解您，确实不容易。{words}", 30)
    (raw / "dialogues.jsonl").write_text(text, encoding="utf-8")
    extract(raw, base / "knowledge", EXTRACT)
    build(base / "knowledge", base / "dataset", BUILD)
    return raw, base / "knowledge", base / "dataset"


def test_every_row_traces_to_the_raw_lines_it_was_made_of(traced: tuple[Path, Path, Path]) -> None:
    raw, folder, dataset = traced
    knowledge = read_knowledge(folder)
    trail = {row.id: row for row in knowledge.trail}
    dialogues = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    lines = {row.file: (raw / row.file).read_bytes().split(b"\n") for row in knowledge.trail}
    rows = [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]
    pairs = [pair for split in SPLITS for pair in read_preferences(dataset / preference_file(split))]
    assert {row.task for row in rows} >= {"next_reply", "mediation", "policy_qa"} and pairs
    practices, clauses = {one.id for one in knowledge.practices}, {one.id: one for one in knowledge.clauses}
    for item in (*rows, *pairs):
        assert item.sources and set(item.practice_ids) <= practices
        for source in (*item.sources, *getattr(item, "rejected_sources", ())):
            case, _, turn = source.rpartition("#")
            where = trail[case]
            record = json.loads(lines[where.file][where.line - 1])
            assert record["id"] == case and (raw / where.file).read_bytes()[where.offset :].startswith(b'{"id"')
            assert dialogues[case].turns[int(turn)].speaker == record["turns"][int(turn)]["speaker"]
    for row in rows:
        assert set(row.clause_ids) <= clauses.keys()
        if row.task == "mediation":
            _said_and_written(row, dialogues, clauses[row.clause_ids[0]].text)


def _said_and_written(row: Example, dialogues: dict[str, Dialogue], clause: str) -> None:
    said = [dialogues[case].turns[int(turn)].text for case, _, turn in (s.rpartition("#") for s in row.sources)]
    assert any(row.reference["empathy"] in text for text in said)
    assert any(row.reference["reasoning"] in text for text in said)
    assert any(row.reference["words"] in turn["text"] for turn in row.fields["turns"])
    assert compact(row.reference["law"]) in compact(clause)


def test_the_pairs_load_as_a_configuration_of_the_folder(traced: tuple[Path, Path, Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(traced[2]), "preferences", cache_dir=str(tmp_path))
    for split in SPLITS:
        pairs = read_preferences(traced[2] / preference_file(split))
        assert [row["rejected"] for row in loaded[split]] == [[pair.rejected[0].model_dump()] for pair in pairs]
    assert (
        loaded["train"].column_names == [column.name for column in PREFERENCE_COLUMNS] == list(Preference.model_fields)
    )


@pytest.mark.slow  # TRL brings torch in
def test_trl_reads_the_pairs_as_they_are(traced: tuple[Path, Path, Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data_utils = pytest.importorskip("trl.data_utils")
    folder = str(traced[2])
    loaded = datasets.load_dataset(folder, "preferences", cache_dir=str(tmp_path))["train"]
    pairs = read_preferences(traced[2] / preference_file("train"))
    assert [row["id"] for row in loaded] == [pair.id for pair in pairs]
    assert data_utils.is_conversational(loaded[0])
    unpaired = data_utils.unpair_preference_dataset(loaded.select_columns(["prompt", "chosen", "rejected"]))
    assert len(unpaired) == 2 * len(loaded) and set(unpaired.column_names) == {"prompt", "completion", "label"}


def test_inspect_shows_both_answers_of_a_pair(traced: tuple[Path, Path, Path]) -> None:
    tab = next(tab for tab in inspect(traced[2]).tabs if tab.name == "pairs")
    pairs = read_preferences(traced[2] / preference_file("train"))
    shown = {entry.id: dict(entry.messages) for entry in tab.entries}
    assert all(shown[pair.id]["rejected"] == pair.rejected[0].content for pair in pairs)
    assert tab.total == sum(len(read_preferences(traced[2] / preference_file(split))) for split in SPLITS)
