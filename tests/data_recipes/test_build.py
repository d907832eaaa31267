"""The dataset: verified rows, no leakage between splits, the same bytes on every run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_recipes.bm25 import BM25
from data_recipes.build import build
from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.extract import extract
from data_recipes.selection import select
from data_recipes.splits import check_disjoint
from data_recipes.surface import NearDuplicates, grams, surface
from data_recipes.tasks.draft import Draft
from data_recipes.tasks.finance_qa import shorten_answer, shorten_prompt
from data_recipes.tasks.statute_qa import questions
from tests.data_recipes.material import BUILD, EXTRACT, write_raw
from tianjing import acts
from tianjing.config import parse
from tianjing.dataset import SPLITS, read_examples
from tianjing.lineage import read_manifest, verify
from tianjing.privacy import find
from tianjing.records import Example
from tianjing.tasks import TASKS, prompt
from tianjing.text import compact, numbers


@pytest.fixture(scope="module")
def rows(dataset: Path) -> list[Example]:
    return [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]


def _of(rows: list[Example], task: str, split: str) -> list[Example]:
    return [row for row in rows if row.task == task and row.split == split]


def test_no_customer_and_no_surface_stands_in_two_splits(rows: list[Example], raw: Path) -> None:
    customers = [json.loads(line) for line in (raw / "customers.jsonl").read_text("utf-8").splitlines()]
    site = {row["customer"]: row["site"] for row in customers}
    assert {site[row.group] for row in rows if row.split == "test"} == {"west"}
    assert {site[row.group] for row in rows if row.split != "test"} == {"east"}
    for task in {row.task for row in rows}:
        learned = {row.surface for row in _of(rows, task, "train")}
        for row in _of(rows, task, "test"):
            assert row.surface not in learned
            assert max(len(grams(row.surface) & grams(s)) / len(grams(row.surface) | grams(s)) for s in learned) < 0.6


def test_a_group_in_two_splits_is_refused(rows: list[Example]) -> None:
    row = next(row for row in rows if row.split == "train")
    with pytest.raises(DataError, match=row.group):
        check_disjoint([("train", [f"customer:{row.group}"]), ("test", [f"customer:{row.group}"])])


def test_every_policy_answer_is_borne_out_by_its_clause(rows: list[Example], knowledge: Path) -> None:
    clauses = {row["id"]: row for row in map(json.loads, (knowledge / "clauses.jsonl").read_text("utf-8").splitlines())}
    answered = [row for row in rows if row.task == "policy_qa" and row.reference["clause_id"]]
    assert answered
    for row in answered:
        clause = clauses[row.reference["clause_id"]]
        assert compact(row.reference["quote"]) in compact(clause["text"])
        assert {c["id"] for c in row.fields["clauses"]} >= {clause["id"]}
        labels = [c["label"] for c in row.fields["clauses"]]
        assert len(labels) == 4 == len(set(labels))
        task = TASKS["policy_qa"]
        assert task.score(task.read(row.messages[-1].content, row.fields), row.reference, row.fields) == 1.0


def test_wrong_numbers_and_clauses_that_do_not_exist_are_dropped_with_the_reason(dataset: Path) -> None:
    dropped = read_manifest(dataset).counts["dropped"]
    assert dropped["policy_qa: the answer states a number the clause does not have"] == 24
    assert dropped["policy_qa: the clause cited does not exist"] == 24


def test_limited_classes_keep_their_share(rows: list[Example]) -> None:
    learned = _of(rows, "policy_qa", "train")
    without = sum(1 for row in learned if not row.reference["clause_id"])
    assert 0 < without / len(learned) <= 0.15


def test_evidence_stands_in_the_turn(rows: list[Example]) -> None:
    found = [row for row in rows if row.task == "quality_inspection" and row.reference["rule"] != "none"]
    assert found
    assert all(row.reference["evidence"] in row.fields["agent"] for row in found)


def test_the_practice_is_taught_where_it_was_followed_and_worked(rows: list[Example], raw: Path) -> None:
    kept = {r["case"]: r["value"] for r in map(json.loads, (raw / "outcomes.jsonl").read_text("utf-8").splitlines())}
    learned, tested = _of(rows, "next_reply", "train"), _of(rows, "next_reply", "test")
    assert learned and {row.practice_ids for row in rows if row.task == "next_reply"} == {("失业/offer_deferral",)}
    for row in learned:
        assert "offer_deferral" in acts.tag(row.messages[-1].content)
        assert kept[row.sources[0].split("#")[0]] == 1
        assert row.fields["turns"][-1]["speaker"] == "customer"
    outcomes = {kept[row.sources[0].split("#")[0]] for row in tested}
    assert outcomes == {0, 1}  # held-out cases are asked about whatever became of them
    assert any(not row.reference["reply"] for row in tested)


def test_a_turn_found_in_breach_is_never_an_answer(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw")
    events = [json.loads(line) for line in (raw / "events.jsonl").read_text("utf-8").splitlines()]
    cases = {e["case"] for e in events if e["activity"] == "登记逾期原因"}
    marked = {c for c in cases if int(c[1:]) % 4 == 0}
    breach = {"turn": 4, "rule": "Q01", "evidence": "您", "rewrite": "好"}
    moment = "2026-05-01T09:00:00+08:00"
    with open(raw / "events.jsonl", "a", encoding="utf-8") as stream:
        for case in sorted(marked):
            row = {"case": case, "at": moment, "actor": "qa", "activity": "质检", "attributes": breach}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    extract(raw, tmp_path / "k", EXTRACT)
    build(tmp_path / "k", tmp_path / "d", BUILD)
    rows = [row for row in read_examples(tmp_path / "d" / "train.parquet") if row.task == "next_reply"]
    assert rows and not {row.sources[0].split("#")[0] for row in rows} & marked


def test_a_reply_in_breach_of_the_rulebook_is_never_an_answer(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw")
    dialogues = (raw / "dialogues.jsonl").read_text("utf-8")
    threat = "您可以申请延期，缓一段再还，不然我们上门砸了你家"
    (raw / "dialogues.jsonl").write_text(dialogues.replace("您可以申请延期，缓一段再还", threat, 20), encoding="utf-8")
    extract(raw, tmp_path / "k", EXTRACT)
    counts = build(tmp_path / "k", tmp_path / "d", BUILD).counts
    rows = [row for row in read_examples(tmp_path / "d" / "train.parquet") if row.task == "next_reply"]
    assert rows and not any("砸" in row.messages[-1].content for row in rows)
    assert counts["dropped"]["next_reply: the reply breaks a rule"] > 5


def test_only_the_tasks_asked_for_are_built(knowledge: Path, tmp_path: Path) -> None:
    build(knowledge, tmp_path / "two", BuildConfig(tasks=("policy_qa", "intent")))
    assert {row.task for row in read_examples(tmp_path / "two" / "train.parquet")} == {"policy_qa", "intent"}


def test_a_task_that_nothing_can_be_learned_of_is_not_tested_either(rows: list[Example]) -> None:
    fields = {"intents": [{"id": "a", "title": "甲"}], "turns": [{"speaker": "customer", "text": "没钱"}]}
    draft = Draft("x", "intent", "C", "test", fields, {"intent": "a", "title": "甲"}, "没钱", "a", ("D#1",))
    rejected: list[dict[str, str]] = []
    assert select([draft], BUILD, rejected) == []
    assert rejected[0]["reason"] == "intent: no row of this task to learn from"
    turns = [{"speaker": "customer", "text": "我忘记了这回事"}]
    learned = replace(
        draft, id="y", group="D", split="train", informative="我忘记了", fields={**fields, "turns": turns}
    )
    assert {row.id for row in select([draft, learned], BUILD, [])} == {"x", "y"}


def test_hard_negatives_stay_when_a_class_is_cut_to_its_share() -> None:
    def inspected(number: int, rule: str, **more: Any) -> Draft:
        fields = {"rules": [{"id": "Q01", "title": "威胁"}], "customer": "", "agent": f"话{number}说"}
        reference = {"rule": rule, "title": "", "evidence": "", "rewrite": ""}
        shown = "甲乙丙丁戊己庚辛壬癸"[number] * 9
        return Draft(str(number), "quality_inspection", "C", "train", fields, reference, shown, rule, (), **more)

    drafts = [inspected(0, "Q01"), inspected(1, "Q01")]
    drafts += [inspected(number, "none", at_most=0.5, turn_away=int(number not in (3, 7))) for number in range(2, 10)]
    assert {row.id for row in select(drafts, BUILD, [])} == {"0", "1", "3", "7"}


def test_evidence_that_nobody_said_is_dropped_with_the_reason(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", cases=60)
    text = (raw / "events.jsonl").read_text("utf-8")
    (raw / "events.jsonl").write_text(text.replace("我就上你家去", "我就去你单位"), encoding="utf-8")
    extract(raw, tmp_path / "k", EXTRACT)
    counts = build(tmp_path / "k", tmp_path / "d", BUILD).counts
    assert counts["dropped"]["quality_inspection: the evidence does not stand in the turn"] > 0
    assert all(
        row.reference["rule"] == "none"
        for split in SPLITS
        for row in read_examples(tmp_path / "d" / f"{split}.parquet")
        if row.task == "quality_inspection"
    )


def test_a_test_row_in_the_words_of_a_training_row_is_dropped_with_the_reason(raw: Path, tmp_path: Path) -> None:
    extract(raw, tmp_path / "k", ExtractConfig())  # split at random: both sides hold the same templates
    manifest = build(tmp_path / "k", tmp_path / "d", BUILD)
    assert manifest.counts["dropped"]["policy_qa: surface_seen_in_training"] > 0
    rejected = [json.loads(line) for line in (tmp_path / "d" / "rejected.jsonl").read_text("utf-8").splitlines()]
    assert {row["split"] for row in rejected if "surface_seen" in row["reason"]} == {"test"}


def test_a_row_that_still_holds_personal_data_is_dropped(rows: list[Example]) -> None:
    fields = {"turns": [{"speaker": "customer", "text": "我电话13812345678，没钱还"}]}
    draft = Draft(
        "x",
        "next_reply",
        "C",
        "train",
        fields,
        {"situation": "失业", "act": "empathise", "reply": "抱歉"},
        "没钱",
        "失业",
        ("D#1",),
    )
    rejected: list[dict[str, str]] = []
    assert select([draft], BUILD, rejected) == []
    assert rejected == [{"id": "x", "task": "next_reply", "split": "train", "reason": "next_reply: personal_data"}]


def test_messages_are_what_the_task_renders_and_hold_nothing_personal(rows: list[Example]) -> None:
    for row in rows:
        assert row.messages[:2] == prompt(TASKS[row.task], row.fields)
        assert row.messages[2].content == TASKS[row.task].target(row.reference)
        assert not any(find(message.content) for message in row.messages)


def test_building_again_gives_the_same_bytes(knowledge: Path, dataset: Path, tmp_path: Path) -> None:
    again = build(knowledge, tmp_path / "again", BUILD)
    assert again.digest == read_manifest(dataset).digest
    for split in SPLITS:
        assert (tmp_path / "again" / f"{split}.parquet").read_bytes() == (dataset / f"{split}.parquet").read_bytes()
    assert verify(tmp_path / "again") == []


def test_limits_take_rows_in_turn(knowledge: Path, tmp_path: Path) -> None:
    build(knowledge, tmp_path / "small", BuildConfig(max_rows_per_task={"train": 10, "test": 4}))
    learned = read_examples(tmp_path / "small" / "train.parquet")
    assert {task: sum(row.task == task for row in learned) for task in ("policy_qa", "next_reply")} == {
        "policy_qa": 10,
        "next_reply": 10,
    }
    assert sum(1 for row in learned if row.task == "policy_qa" and not row.reference["clause_id"]) == 1
    rejected = (tmp_path / "small" / "rejected.jsonl").read_text("utf-8")
    assert "policy_qa: over the limit of rows" in rejected


def test_the_card_loads_as_a_dataset_and_counts_rows(dataset: Path, rows: list[Example]) -> None:
    card = (dataset / "README.md").read_text("utf-8")
    assert card.startswith("---\n") and "path: train.parquet" in card
    assert f"| {len(_of(rows, 'next_reply', 'train'))} |" in card
    assert "not anonymised" in card


def test_something_else_than_knowledge_is_a_clear_error(dataset: Path, raw: Path, tmp_path: Path) -> None:
    for folder in (dataset, raw):
        with pytest.raises(DataError) as caught:
            build(folder, tmp_path / "x", BUILD)
        assert str(folder) in caught.value.message and "tianjing data extract" in caught.value.remedy


STATUTES = {
    f"第{letter}法": f"# 第{letter}法\n\n2020年1月1日 施行\n\n"
    + "\n\n".join(
        f"第{number}条 {letter}{who}{verb}{what}。"
        for number, (who, verb, what) in enumerate(
            (
                ("机构受理申请后", "应当自受理之日起", f"{letter}十日内作出书面决定"),
                ("经营者", "不得", f"收集与{letter}类服务无关的个人信息"),
                ("消费者", "有权", f"要求查阅{letter}类交易的全部记录"),
            ),
            start=1,
        )
    )
    for letter in "甲乙丙丁戊己庚辛"
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of statutes and instructions, as examples/real.yaml reads it."""
    root = tmp_path_factory.mktemp("real")
    (root / "laws").mkdir()
    for name, text in STATUTES.items():
        (root / "laws" / f"{name}(2020-01-01).md").write_text(text, encoding="utf-8")
    (root / "laws" / "第甲法(2024-01-01).md").write_text(STATUTES["第甲法"].replace("2020", "2024"), encoding="utf-8")
    things = (
        "定期存款",
        "国债逆回购",
        "货币基金份额",
        "企业应收账款",
        "住房按揭",
        "黄金积存",
        "外汇掉期",
        "可转债",
        "养老保险",
        "信用卡分期",
    )
    computing = [
        {
            "instruction": f"{thing}本金{n}00元{thing}收益率{n}%{thing}一年后多少",
            "output": f"[Calculator(1)→{n}]{n}.5元。",
            "history": [],
        }
        for n, thing in enumerate(things, start=1)
    ]
    computing.append({"instruction": "为什么要存款？", "output": "因为安全。"})
    retrieval = [
        {
            "instruction": f"参考材料：《关于{things[n % 5]}的报告》\n{things[n % 5] * 6}{n}。\n问题：{n}如何？",
            "output": f"情况{n}良好。",
        }
        for n in range(20)
    ]
    (root / "sft").mkdir()
    (root / "sft" / "c.json").write_text(json.dumps(computing, ensure_ascii=False), encoding="utf-8")
    (root / "sft" / "r.json").write_text(json.dumps(retrieval, ensure_ascii=False), encoding="utf-8")
    sources = [
        {"kind": "statutes", "path": "laws", "licence": "none"},
        {
            "kind": "instructions",
            "path": "sft",
            "files": {"computing": "c.json", "retrieval": "r.json"},
            "licence": "MIT",
        },
    ]
    extract(root, root / "knowledge", parse(ExtractConfig, {"sources": sources}, "x"))
    build(root / "knowledge", root / "dataset", BuildConfig())
    return root / "knowledge", root / "dataset"


def test_documents_are_held_out_whole(real: tuple[Path, Path]) -> None:
    knowledge, dataset = real
    rows = [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.group, set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {row.task for row in rows if row.split == "test"} == {"policy_qa", "finance_qa"}
    documents = {
        row["document"]: row for row in map(json.loads, (knowledge / "documents.jsonl").read_text("utf-8").splitlines())
    }
    for row in rows:
        if row.task == "policy_qa":  # not even the distractors come from a document of another split
            assert {documents[c["id"].split(":")[0]]["split"] for c in row.fields["clauses"]} == {row.split}
    assert (
        len({row.group for row in rows if row.group.startswith("retrieval:")}) == 5
    )  # rows on one report stay together


def test_every_question_on_statutes_has_clauses_to_choose_from(real: tuple[Path, Path]) -> None:
    _, dataset = real
    rows = [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet") if row.task == "policy_qa"]
    assert {bool(row.reference["clause_id"]) for row in rows} == {True, False}
    for row in rows:
        shown = {clause["id"].split(":")[0] for clause in row.fields["clauses"]}
        assert len(row.fields["clauses"]) > 1
        # Without a basis means that the law asked about is not among them, however few other laws there are.
        assert (row.group in shown) == bool(row.reference["clause_id"])


def test_the_newer_version_of_a_law_counts(real: tuple[Path, Path]) -> None:
    knowledge, _ = real
    documents = [json.loads(line) for line in (knowledge / "documents.jsonl").read_text("utf-8").splitlines()]
    assert len(documents) == 8
    assert next(row["version"] for row in documents if row["document"] == "第甲法") == "2024-01-01"
    assert read_manifest(knowledge).counts["dropped"] == {"rule document of which a newer or equal version is here": 1}


def test_calculations_are_scored_by_their_last_number(real: tuple[Path, Path]) -> None:
    _, dataset = real
    rows = [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet") if row.task == "finance_qa"]
    computing = [row for row in rows if row.fields["kind"] == "computing"]
    assert len(computing) == 10 and all("Calculator" not in row.reference["answer"] for row in computing)
    task = TASKS["finance_qa"]
    for row in computing:
        assert task.score(task.read(row.messages[-1].content, row.fields), row.reference, row.fields) == 1.0
    assert {row.licence for row in rows} == {"MIT"}
    assert read_manifest(dataset).counts["dropped"]["finance_qa: a calculation without a number in its answer"] == 1


def test_questions_on_a_norm_ask_for_its_quantity_or_modal(real: tuple[Path, Path]) -> None:
    knowledge, _ = real
    from data_recipes.knowledge import read_knowledge

    asked = {question for clause in read_knowledge(knowledge).clauses for question, _ in questions(clause)}
    assert "乙经营者能不能收集与乙类服务无关的个人信息？" in asked
    assert "丙机构受理申请后应当自受理之日起丙多少日内作出书面决定？" in asked


def test_long_prompts_keep_their_question_and_long_answers_their_result() -> None:
    assert shorten_prompt("材料" * 200 + "\n问题：结论是什么？", 120).endswith("问题：结论是什么？")
    assert len(shorten_prompt("材料" * 200 + "\n问题：结论是什么？", 120) or "") <= 120
    long = "第一步很长的说明。" * 20 + "所以等于5元。"
    assert shorten_answer(long, 60, keep_end=True).endswith("等于5元。")
    assert shorten_answer(long, 60, keep_end=False).startswith("第一步") and len(shorten_answer(long, 60, False)) <= 60


def test_surfaces_mask_what_varies_within_a_template() -> None:
    assert surface("王先生〔姓名1〕，第3期还500元吗？") == surface("王先生〔姓名2〕第12期还八百元吗")
    near = NearDuplicates([surface("请问延期还款最多可以延多少天呢")], 0.6)
    assert near.seen(surface("请问延期还款最多可以延多少天啊"))
    assert not near.seen(surface("投诉多久有结果"))


def test_search_finds_the_clause_by_shared_words() -> None:
    index = BM25(["延期还款每次最长30日", "投诉受理之日起15日内出决定", "分期每期不得低于200元"])
    assert index.rank("投诉几天出决定")[0][0] == 1
    assert index.rank("完全无关")[:1] == []


def test_numbers_are_one_number_however_written() -> None:
    assert numbers("三万元、百分之二十四、十二期") == numbers("30000元、24％、12期")
    assert numbers("一般情况下一次性处理") == frozenset()


def test_a_raw_folder_moved_elsewhere_gives_the_same_knowledge(raw: Path, knowledge: Path, tmp_path: Path) -> None:
    shutil.copytree(raw, tmp_path / "elsewhere")
    assert extract(tmp_path / "elsewhere", tmp_path / "k", EXTRACT).digest == read_manifest(knowledge).digest
