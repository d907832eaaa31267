"""Review: what people decide is recorded whole, kept, and goes on; what is vetoed never does."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data_recipes.build import build
from data_recipes.config import BuildConfig
from data_recipes.errors import DataError
from data_recipes.experience.accepted import decided
from data_recipes.experience.decisions import Decision, latest, read_decisions, standing
from data_recipes.experience.review import PAGE, SHEET, apply_review, write_review
from data_recipes.experience.units import Unit
from data_recipes.knowledge import Knowledge, read_knowledge
from tianjing.dataset import read_examples
from tianjing.errors import TianjingError
from tianjing.lineage import artefact, read_manifest, verify
from tianjing.records import Clause, Practice
from tianjing.rulebook import PhraseMatcher, Rulebook

GOOD, VETOED = "practice:失业/offer_deferral", "practice:失业/demand_full_payment"
Fill = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def matcher() -> PhraseMatcher:
    return Rulebook.load().matcher("agent")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "review"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def rows_of(sheet: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.read_bytes().decode("utf-8-sig"), newline="")))


def fill(sheet: Path, values: Fill, encoding: str = "utf-8-sig") -> Path:
    """Fill in cells by key of the unit, as a spreadsheet would save them."""
    rows = rows_of(sheet)
    assert set(values) <= {row["key"] for row in rows}
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(row | values.get(row["key"], {}) for row in rows)
    sheet.write_bytes(text.getvalue().encode(encoding))
    return sheet


def reviewed(knowledge: Path, out: Path, log: Path, values: Fill, **more: Any) -> list[Decision]:
    shown = log if log.exists() else None
    write_review(knowledge, out, shown)
    return apply_review(knowledge, fill(out / SHEET, values), log, "王敏", **more)


def changed_copy(knowledge: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A later extraction: the same knowledge with other practices."""
    with artefact(target, "knowledge", [], read_manifest(knowledge).parameters) as work:
        for path in knowledge.glob("*.jsonl"):
            shutil.copy(path, work.dir / path.name)
        rows = [json.loads(line) for line in (knowledge / "practices.jsonl").read_text("utf-8").splitlines()]
        for row in rows:
            change(row)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (work.dir / "practices.jsonl").write_text(lines, encoding="utf-8")
    return target


def test_page_and_sheet_show_every_unit_with_its_evidence(knowledge: Path, out: Path) -> None:
    counts = write_review(knowledge, out)
    assert counts == {"practice open": 4, "procedure open": 2, "clause open": 9}
    rows = {row["key"]: row for row in rows_of(out / SHEET)}
    assert len(rows) == 15 and rows[VETOED]["verdict"] == "vetoed Q01"
    assert float(rows[GOOD]["effect"]) > 0.5 and "treated 35" in rows[GOOD]["evidence"]
    assert "earlier_outcome says cannot tell" in rows[GOOD]["evidence"]
    page = (out / PAGE).read_text("utf-8")
    assert all(key in page for key in rows) and "您可以申请延期" in page  # the words of an exemplar
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_sheet_is_read_in_the_encodings_of_spreadsheets(knowledge: Path, out: Path, log: Path, encoding: str) -> None:
    write_review(knowledge, out)
    fill(out / SHEET, {GOOD: {"decision": " Accept ", "comment": "话术稳妥", "reviewer": "李静"}}, encoding)
    (made,) = apply_review(knowledge, out / SHEET, log)
    assert (made.decision, made.comment, made.reviewer, made.number) == ("accept", "话术稳妥", "李静", 1)
    assert read_decisions(log) == [made] and made.reviewed["effect"] > 0.5


def test_a_vetoed_practice_is_never_accepted_and_the_rule_is_named(knowledge: Path, out: Path, log: Path) -> None:
    write_review(knowledge, out)
    fill(out / SHEET, {GOOD: {"decision": "accept"}, VETOED: {"decision": "accept"}})
    with pytest.raises(DataError, match=r"review\.csv:3: column 'decision': vetoed by Q01") as failed:
        apply_review(knowledge, out / SHEET, log, "王敏")
    assert "nothing was recorded" in str(failed.value) and read_decisions(log) == []
    assert len(reviewed(knowledge, out.with_name("other"), log, {VETOED: {"decision": "reject"}})) == 1


def test_every_bad_cell_is_named_with_line_and_column_and_nothing_is_recorded(
    knowledge: Path, out: Path, log: Path
) -> None:
    write_review(knowledge, out)
    rows = rows_of(out / SHEET)
    wrong: Fill = {
        rows[0]["key"]: {"decision": "ok"},
        rows[1]["key"]: {"decision": "reject", "situation": "没工作"},
        rows[3]["key"]: {"decision": "edit"},
        rows[4]["key"]: {"decision": "accept", "digest": "r0"},
        rows[6]["key"]: {"comment": "再看看"},
        rows[7]["key"]: {"decision": "edit", "modality": "shall"},
        rows[8]["key"]: {"decision": "edit", "steps": "a→b"},
        rows[9]["key"]: {"decision": "accept", "key": "clause:没有"},
    }
    fill(out / SHEET, wrong)
    with pytest.raises(DataError) as failed:
        apply_review(knowledge, out / SHEET, log, "王敏")
    places = [
        line.split("review.csv:")[1].split("': ")[0] for line in str(failed.value).splitlines() if ".csv:" in line
    ]
    assert places == [
        "2: column 'decision",
        "3: column 'decision",
        "5: column 'decision",
        "6: column 'digest",
        "8: column 'decision",
        "9: column 'modality",
        "10: column 'steps",
        "11: column 'key",
    ]
    assert "'ok' is no decision; write accept, edit, reject" in str(failed.value)
    assert log.read_bytes() == b""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"key,decision\r\n", r"review.csv:1: no column 'digest'"),
        (b"key;decision;digest;seen\r\n", r"no column 'key' in the first row"),
        (b"key,decision,digest,seen,coment\r\n", r"column 5 is called 'coment', which no review has"),
        (b"key,decision,digest,seen,seen\r\n", r"two columns 'seen'"),
        (b'key,decision,digest,seen\r\na,"b,c,d\r\n', r"review.csv:2: unexpected end of data"),
        ("key,decision,digest,seen\r\nclause:条,采".encode()[:-1], r"review.csv:2: column 2: not UTF-8 at byte"),
        (b"\xff\xfek\x00", r"UTF-16 text"),
    ],
)
def test_a_file_that_is_no_review_is_refused(
    knowledge: Path, tmp_path: Path, log: Path, data: bytes, message: str
) -> None:
    sheet = tmp_path / "review.csv"
    sheet.write_bytes(data)
    with pytest.raises(DataError, match=message):
        apply_review(knowledge, sheet, log, "王敏")


def test_what_somebody_filled_in_is_not_written_over(knowledge: Path, out: Path, log: Path) -> None:
    write_review(knowledge, out)
    write_review(knowledge, out)
    fill(out / SHEET, {GOOD: {"decision": "accept"}})
    with pytest.raises(DataError, match="somebody has filled it in"):
        write_review(knowledge, out)
    with pytest.raises(DataError, match=r"review.csv:2: column 'reviewer': 1 decisions name nobody"):
        apply_review(knowledge, out / SHEET, log)
    apply_review(knowledge, out / SHEET, log, "王敏")
    write_review(knowledge, out, log)  # all of it is recorded
    assert rows_of(out / SHEET)[0]["decided"].startswith("accept by 王敏")


def test_the_same_sheet_twice_decides_once_and_a_later_decision_keeps_the_history(
    knowledge: Path, out: Path, log: Path
) -> None:
    assert len(reviewed(knowledge, out, log, {GOOD: {"decision": "accept"}})) == 1
    assert apply_review(knowledge, out / SHEET, log, "王敏") == []
    (second,) = reviewed(knowledge, out.with_name("again"), log, {GOOD: {"decision": "reject", "comment": "太贵"}})
    assert second.supersedes == 1 and [d.decision for d in read_decisions(log)] == ["accept", "reject"]
    assert latest(read_decisions(log))[GOOD].decision == "reject"


def test_of_two_reviewers_at_once_the_second_hears_of_the_first(knowledge: Path, out: Path, log: Path) -> None:
    one, other = out / "one", out / "other"
    write_review(knowledge, one)
    write_review(knowledge, other)
    apply_review(knowledge, fill(one / SHEET, {GOOD: {"decision": "accept"}}), log, "王敏")
    fill(other / SHEET, {GOOD: {"decision": "reject"}})
    with pytest.raises(DataError, match=r"review.csv:2: column 'seen': 王敏 decided accept \(decision 1\)"):
        apply_review(knowledge, other / SHEET, log, "李静")
    assert len(read_decisions(log)) == 1
    apply_review(knowledge, other / SHEET, log, "李静", supersede=True)
    assert [(d.reviewer, d.decision) for d in read_decisions(log)] == [("王敏", "accept"), ("李静", "reject")]


def _apply(knowledge: Path, sheet: Path, log: Path) -> None:
    apply_review(knowledge, sheet, log, sheet.parent.name)


def test_reviews_recorded_by_several_processes_at_once_lose_nothing(knowledge: Path, out: Path, log: Path) -> None:
    write_review(knowledge, out / "all")
    keys = [row["key"] for row in rows_of(out / "all" / SHEET) if row["key"] != VETOED][:4]
    context = multiprocessing.get_context("fork")
    workers = []
    for number, key in enumerate(keys):
        shutil.copytree(out / "all", out / str(number))
        sheet = fill(out / str(number) / SHEET, {key: {"decision": "reject"}})
        workers.append(context.Process(target=_apply, args=(knowledge, sheet, log)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert {d.key for d in read_decisions(log)} == set(keys)
    assert [d.number for d in read_decisions(log)] == [1, 2, 3, 4]


def test_a_line_taken_out_of_the_decisions_is_noticed_and_a_torn_one_is_cut_off(
    knowledge: Path, out: Path, log: Path
) -> None:
    keys = [row for row in (GOOD, VETOED, "practice:情绪激动/offer_deferral")]
    reviewed(knowledge, out, log, {key: {"decision": "reject"} for key in keys})
    whole = log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[::2]))
    with pytest.raises(DataError, match=r"decisions.jsonl:2: holds decision 3, so a line is missing"):
        read_decisions(log)
    log.write_bytes(whole + b'{"number": 4, "at"')
    write_review(knowledge, out.with_name("next"))
    sheet = fill(out.with_name("next") / SHEET, {"procedure:procedure/失业": {"decision": "accept"}})
    (made,) = apply_review(knowledge, sheet, log, "王敏")
    assert made.number == 4 and log.read_bytes().startswith(whole)


def test_edits_word_the_practice_anew_and_must_be_lawful_and_readable(knowledge: Path, out: Path, log: Path) -> None:
    write_review(knowledge, out)
    for value, message in (
        ({"action": "缓一缓"}, "the evidence is about 延期"),
        ({"action": "延期，不还就上门砸你家"}, "breaks rule"),
        ({"situation": "失业：没收入"}, "holds a bracket, a colon"),
        ({"situation": "失业" * 12}, "over 23 characters"),
    ):
        fill(out / SHEET, {GOOD: {"decision": "edit", "action": "", "situation": "", **value}})
        with pytest.raises(DataError, match=message):
            apply_review(knowledge, out / SHEET, log, "王敏")
    fill(out / SHEET, {GOOD: {"decision": "edit", "situation": "失业待岗", "action": "延期一个月"}})
    apply_review(knowledge, out / SHEET, log, "王敏")
    config = BuildConfig(tasks=("next_reply",), knowledge="accepted", decisions=log)
    manifest = build(knowledge, out.with_name("dataset"), config)
    rows = read_examples(out.with_name("dataset") / "train.parquet")
    assert rows and all(row.messages[-1].content.startswith("【失业待岗：延期一个月】") for row in rows)
    assert {row.practice_ids for row in rows} == {("失业/offer_deferral",)}
    assert manifest.counts["dropped"]["practice that nobody has accepted"] == 1  # the two vetoed ones are no secret
    assert verify(out.with_name("dataset")) == []  # the decisions are an input, digested


def test_only_accepted_knowledge_goes_on_and_a_rejected_practice_does_not(
    knowledge: Path, out: Path, log: Path, tmp_path: Path, matcher: PhraseMatcher
) -> None:
    reviewed(knowledge, out, log, {GOOD: {"decision": "reject"}, "procedure:procedure/失业": {"decision": "accept"}})
    read = read_knowledge(knowledge)
    every, left_out = decided(read, read_decisions(log), "all", matcher)
    assert GOOD[9:] not in {one.id for one in every.practices} and len(every.procedures) == 2
    assert left_out == {"practice rejected in a review": 1}
    accepted, left_out = decided(read, read_decisions(log), "accepted", matcher)
    assert {one.verdict for one in accepted.practices} == {"vetoed"} and len(accepted.procedures) == 1
    assert accepted.clauses == read.clauses
    with pytest.raises(DataError, match="no training rows"):
        build(knowledge, tmp_path / "d", BuildConfig(tasks=("next_reply",), decisions=log))


def test_accepted_knowledge_without_decisions_is_refused(knowledge: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was decided: 'decisions' names no file"):
        build(knowledge, tmp_path / "d", BuildConfig(knowledge="accepted"))
    with pytest.raises(DataError, match="no such file of decisions"):
        build(knowledge, tmp_path / "d", BuildConfig(knowledge="accepted", decisions=tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(TianjingError, match=r"empty.jsonl holds none"):
        build(knowledge, tmp_path / "d", BuildConfig(knowledge="accepted", decisions=tmp_path / "empty.jsonl"))
    assert not (tmp_path / "d").exists()


def _weaker(row: dict[str, Any]) -> None:
    if row["id"] == GOOD[9:]:
        row |= {"effect": -0.1, "ci_low": -0.3, "ci_high": 0.1, "q": 0.4}


def test_a_decision_wins_over_a_later_extraction_and_the_change_is_shown(
    knowledge: Path, out: Path, log: Path, tmp_path: Path, matcher: PhraseMatcher
) -> None:
    reviewed(knowledge, out, log, {GOOD: {"decision": "accept"}})
    later = changed_copy(knowledge, tmp_path / "later", _weaker)
    assert write_review(later, tmp_path / "again", log)["practice changed"] == 1
    row = next(row for row in rows_of(tmp_path / "again" / SHEET) if row["key"] == GOOD)
    assert row["decided"].startswith("accept by 王敏") and "evidence changed: effect" in row["decided"]
    kept, _ = decided(read_knowledge(later), read_decisions(log), "accepted", matcher)
    practice = next(one for one in kept.practices if one.id == GOOD[9:])
    assert practice.effect > 0.5  # as it was reviewed
    build(later, tmp_path / "d", BuildConfig(tasks=("next_reply",), knowledge="accepted", decisions=log))
    assert read_examples(tmp_path / "d" / "train.parquet")


def test_a_veto_outranks_an_earlier_acceptance(
    knowledge: Path, out: Path, log: Path, tmp_path: Path, matcher: PhraseMatcher
) -> None:
    reviewed(knowledge, out, log, {GOOD: {"decision": "accept"}})

    def veto(row: dict[str, Any]) -> None:
        row |= {"verdict": "vetoed", "rules": ["Q09"]}

    later = changed_copy(knowledge, tmp_path / "later", veto)
    kept, _ = decided(read_knowledge(later), read_decisions(log), "accepted", matcher)
    assert {one.verdict for one in kept.practices} == {"vetoed"}
    with pytest.raises(DataError, match="no training rows"):
        build(later, tmp_path / "d", BuildConfig(tasks=("next_reply",), knowledge="accepted", decisions=log))


def _decision(unit: Unit, word: str, number: int = 1, **more: Any) -> Decision:
    return Decision(
        number=number,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        reviewer="王敏",
        kind=unit.kind,
        unit=unit.record.id,
        decision=word,  # type: ignore[arg-type]
        digest=unit.digest,
        reviewed=unit.record.model_dump(mode="json", exclude_none=True),
        knowledge="k",
        **more,
    )


def test_a_clause_keeps_an_edited_norm_until_its_text_changes(knowledge: Path, matcher: PhraseMatcher) -> None:
    read = read_knowledge(knowledge)
    clause = next(one for one in read.clauses if one.modality == "statement")
    edit = _decision(Unit("clause", clause), "edit", edits={"modality": "must_not", "conditions": "甲；乙"})

    def taken(clauses: list[Clause]) -> Clause:
        kept, _ = decided(Knowledge(clauses=clauses), [edit], "accepted", matcher)
        return kept.clauses[0]

    assert taken([clause]).modality == "must_not" and taken([clause]).conditions == ("甲", "乙")
    moved = clause.model_copy(update={"subject": "公司", "effective_from": "2026-09-01"})
    assert taken([moved]).modality == "must_not" and taken([moved]).effective_from == "2026-09-01"
    rewritten = clause.model_copy(update={"text": "坐席应当核实。"})
    assert taken([rewritten]).modality == "statement"
    assert standing(Unit("clause", rewritten), edit).state == "reworded"


def test_a_procedure_goes_on_as_it_was_accepted(knowledge: Path, matcher: PhraseMatcher) -> None:
    procedure = read_knowledge(knowledge).procedures[0]
    steps = "→".join(procedure.steps[:2])
    edit = _decision(Unit("procedure", procedure), "edit", edits={"steps": steps})
    later = procedure.model_copy(update={"steps": procedure.steps[::-1], "order": ()})
    kept, _ = decided(Knowledge(procedures=[later]), [edit], "accepted", matcher)
    assert kept.procedures[0].steps == procedure.steps[:2]
    assert all(set(pair) <= set(procedure.steps[:2]) for pair in kept.procedures[0].order)


def test_fields_that_practices_gain_later_are_shown_and_an_old_decision_still_reads(knowledge: Path) -> None:
    class Later(Practice):
        robustness: float = 2.5

    practice = read_knowledge(knowledge).practices[0]
    later = Later.model_validate(practice.model_dump())
    assert ("robustness", "2.5") in list(Unit("practice", later).facts())
    decision = _decision(Unit("practice", practice), "accept")
    old = decision.model_copy(update={"reviewed": {**decision.reviewed, "gone": 1}})
    assert standing(Unit("practice", later), old).state == "decided"


def test_a_text_that_a_spreadsheet_would_compute_is_made_inert(knowledge: Path, out: Path) -> None:
    def formula(row: dict[str, Any]) -> None:
        row |= {"situation": "=HYPERLINK(1)"} if row["id"] == GOOD[9:] else {}

    write_review(changed_copy(knowledge, out.with_name("later"), formula), out)
    assert any(row["summary"].startswith("'=HYPERLINK") for row in rows_of(out / SHEET))
