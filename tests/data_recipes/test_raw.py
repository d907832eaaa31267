"""Reading a raw folder: good lines in both formats, and errors that say where and why."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.extract import extract
from data_recipes.readers.raw import read_raw
from tests.conftest import REPOSITORY
from tests.data_recipes.material import EXTRACT, write_raw
from tianjing.config import parse
from tianjing.errors import TianjingError
from tianjing.lineage import read_manifest


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", cases=12)


def _append(path: Path, line: str) -> int:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "X1", "customer": "C1", "agent"', "broken JSON at column"),
        ('{"id": "X1", "customer": "C1", "agent": "A", "channel": "c", "started_at": "2026-01-01T00:00:00Z"}', "turns"),
        (
            '{"id": "X1", "customer": "C", "agent": "A", "channel": "c", "started_at": "2026-01-01T00:00:00Z",'
            ' "mood": 1, "turns": [{"speaker": "agent", "text": "好"}]}',
            "unknown field 'mood'",
        ),
        (
            '{"id": "P0000", "customer": "C", "agent": "A", "channel": "c", "started_at": "2026-01-01T00:00:00Z",'
            ' "turns": [{"speaker": "agent", "text": "好"}]}',
            "'P0000' already stands on line 1",
        ),
    ],
)
def test_a_bad_line_stops_with_file_line_and_reason_or_is_kept_aside(
    small: Path, tmp_path: Path, line: str, reason: str
) -> None:
    number = _append(small / "dialogues.jsonl", line)
    with pytest.raises(DataError) as caught:
        extract(small, tmp_path / "knowledge", ExtractConfig())
    assert f"dialogues.jsonl:{number}: " in caught.value.message and reason in caught.value.message
    assert "--on-error skip" in caught.value.remedy
    assert not (tmp_path / "knowledge").exists()

    manifest = extract(small, tmp_path / "knowledge", ExtractConfig(), "skip")
    rejected = [json.loads(row) for row in (tmp_path / "knowledge" / "rejected.jsonl").read_text("utf-8").splitlines()]
    assert [(row["file"], row["line"], row["text"]) for row in rejected] == [("dialogues.jsonl", number, line)]
    assert reason in rejected[0]["error"]
    assert manifest.counts["rejected_lines"] == 1 and manifest.counts["kept_dialogues"] == 18


def test_csv_with_the_same_columns_gives_the_same_knowledge(small: Path, tmp_path: Path) -> None:
    extract(small, tmp_path / "from_json", ExtractConfig())
    table = tmp_path / "table"
    shutil.copytree(small, table)
    for name in ("dialogues", "events", "outcomes", "customers"):
        rows = [json.loads(line) for line in (table / f"{name}.jsonl").read_text("utf-8").splitlines()]
        (table / f"{name}.jsonl").unlink()
        if name == "dialogues":
            rows = [{**{k: v for k, v in row.items() if k != "turns"}, **turn} for row in rows for turn in row["turns"]]
        if name == "events":
            rows = [{**row, "attributes": json.dumps(row["attributes"], ensure_ascii=False)} for row in rows]
        with open(table / f"{name}.csv", "w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    extract(table, tmp_path / "from_csv", ExtractConfig())
    for name in ("dialogues", "events", "outcomes", "customers", "practices"):
        one, other = (tmp_path / d / f"{name}.jsonl" for d in ("from_json", "from_csv"))
        assert one.read_bytes() == other.read_bytes(), name


def test_a_csv_row_of_another_agent_inside_a_dialogue_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dialogues.csv").write_text(
        "id,customer,agent,channel,started_at,speaker,text,at\n"
        "D1,C1,A1,phone,2026-01-01T00:00:00Z,agent,您好,\n"
        "D1,C1,A2,phone,2026-01-01T00:00:00Z,customer,好,\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match=r"dialogues.csv:2: field 'agent': line 3 differs"):
        read_raw(tmp_path)


def _unpack(tmp_path: Path, name: str, **rows: list[dict[str, Any]]) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    for table, values in rows.items():
        lines = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        (folder / f"{table}.jsonl").write_text(lines, encoding="utf-8")
    return folder


MATERIAL: dict[str, list[dict[str, Any]]] = {
    "dialogues": [
        {
            "id": f"D{n}",
            "customer": "C1",
            "agent": "A1",
            "channel": "phone",
            "started_at": "2026-01-01T00:00:00Z",
            "turns": [{"speaker": "agent", "text": "您好，请问是本人吗"}, {"speaker": "customer", "text": "是\n的"}],
        }
        for n in range(3)
    ],
    "events": [
        {
            "case": "D1",
            "at": "2026-01-01T00:00:00Z",
            "actor": "A1",
            "activity": "质检",
            "attributes": {"turn": 6, "rule": "Q01", "score": 0.5, "ok": True},
        }
    ],
    "outcomes": [{"case": "D1", "name": "promise_kept", "value": 1}],
    "customers": [{"customer": "C1", "site": "east"}],
    "accounts": [
        {
            "account": "L1",
            "customer": "C1",
            "product": "循环贷",
            "principal": "12000.00",
            "rate": "18.0",
            "schedule": {
                "method": "equal_instalment",
                "instalments": 12,
                "first_due_on": "2026-02-01",
                "instalment": "1100.16",
            },
            "arrears": {
                "days": 0,
                "instalments": 0,
                "principal": "0",
                "interest": "0",
                "penalty": "0",
                "total": "0",
            },
            "as_of": "2026-01-05",
        }
    ],
    "contacts": [{"customer": "C1", "number": "13800000000", "at": "2026-01-01T09:00:00+08:00", "kind": "attempt"}],
    "records": [{"customer": "C1", "source": "征信", "as_of": "2026-01-01", "fields": {"score": 610, "flags": ["a"]}}],
    "documents": [
        {"id": "P1", "customer": "C1", "kind": "收入证明", "text": "月薪八千元"},
        {
            "id": "P2",
            "customer": "C1",
            "kind": "离职证明",
            "boxes": [{"text": "离职", "x": 1, "y": 2, "width": 3, "height": 4}],
        },
    ],
}
NESTED = ("attributes", "schedule", "arrears", "fields", "boxes")


def _as_csv(folder: Path, name: str) -> None:
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
    (folder / f"{name}.jsonl").unlink()
    if name == "dialogues":
        rows = [{**{k: v for k, v in row.items() if k != "turns"}, **turn} for row in rows for turn in row["turns"]]
    rows = [{k: json.dumps(v, ensure_ascii=False) if k in NESTED else v for k, v in row.items()} for row in rows]
    with open(folder / f"{name}.csv", "w", encoding="gb18030", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(column for row in rows for column in row)))
        writer.writeheader()
        writer.writerows(rows)


def _as_parquet(folder: Path, name: str) -> None:
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
    (folder / f"{name}.jsonl").unlink()
    columns = dict.fromkeys(column for row in rows for column in row)
    table = {column: [row.get(column) for row in rows] for column in columns}
    pyarrow.parquet.write_table(pyarrow.table(table), folder / f"{name}.parquet")


@pytest.mark.parametrize("convert", [_as_csv, _as_parquet])
def test_every_table_reads_alike_from_json_lines_csv_and_parquet(
    tmp_path: Path, convert: Callable[[Path, str], None]
) -> None:
    one = read_raw(_unpack(tmp_path, "one", **MATERIAL))
    folder = _unpack(tmp_path, "other", **MATERIAL)
    for name in MATERIAL:
        convert(folder, name)
    other = read_raw(folder)
    assert one.read == {name: len(rows) for name, rows in MATERIAL.items()}
    for name in MATERIAL:
        assert getattr(other, name) == getattr(one, name), name


def test_the_sample_corpus_reads_whole() -> None:
    raw = read_raw(REPOSITORY / "examples" / "raw")
    assert set(raw.read) == {*MATERIAL, "rules"} and all(raw.read.values())
    assert not raw.rejected and raw.unknown == ["truth/", "truth.json"]


def test_what_is_no_raw_file_is_named_and_left_alone(tmp_path: Path) -> None:
    folder = _unpack(tmp_path, "raw", outcomes=MATERIAL["outcomes"])
    (folder / "rules").mkdir()
    (folder / "rules" / "制度.doc").write_bytes(b"old")
    (folder / "notes.xlsx").write_bytes(b"")
    steps: list[str] = []
    raw = read_raw(folder, progress=steps.append)
    assert raw.unknown == ["notes.xlsx", "rules/制度.doc"] and raw.read == {"outcomes": 1, "rules": 0}
    assert any("notes.xlsx, rules/制度.doc" in step for step in steps)


def test_an_empty_file_is_counted_and_said_and_only_empty_files_are_an_error(tmp_path: Path) -> None:
    folder = _unpack(tmp_path, "raw", outcomes=MATERIAL["outcomes"], events=[])
    (folder / "customers.csv").write_text("customer,site\n", encoding="utf-8")
    steps: list[str] = []
    assert read_raw(folder, progress=steps.append).read == {"events": 0, "outcomes": 1, "customers": 0}
    assert {"events.jsonl is empty", "customers.csv is empty"} <= set(steps)
    (folder / "outcomes.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"events\.jsonl, outcomes\.jsonl, customers\.csv hold no row"):
        read_raw(folder)


def test_the_same_document_id_twice_is_an_error(tmp_path: Path) -> None:
    folder = _unpack(tmp_path, "raw", documents=[*MATERIAL["documents"], MATERIAL["documents"][0]])
    with pytest.raises(DataError, match=r"documents\.jsonl:3: field 'id': 'P1' already stands on line 1"):
        read_raw(folder)


def test_a_bad_rule_document_costs_no_other(tmp_path: Path) -> None:
    folder = write_raw(tmp_path / "raw", cases=2)
    (folder / "rules" / "坏.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "rules" / "空.md").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"坏\.pdf"):
        read_raw(folder)
    raw = read_raw(folder, "skip")
    assert [row["file"] for row in raw.rejected] == ["rules/坏.pdf", "rules/空.md"]
    assert "cannot be read as PDF" in raw.rejected[0]["error"] and raw.rejected[1]["error"] == "holds no text"
    assert raw.read["rules"] == 2


def test_a_reject_says_where_it_stands_in_its_file(tmp_path: Path) -> None:
    folder = _unpack(tmp_path, "raw", outcomes=MATERIAL["outcomes"] * 2)
    _append(folder / "outcomes.jsonl", '{"case": "客户')
    data = (folder / "outcomes.jsonl").read_bytes()
    (reject,) = read_raw(folder, "skip").rejected
    assert data[reject["offset"] : reject["offset"] + reject["bytes"]].decode() == reject["text"] == '{"case": "客户'


def test_rules_alone_are_enough(small: Path, tmp_path: Path) -> None:
    for name in ("dialogues", "events", "outcomes", "customers"):
        (small / f"{name}.jsonl").unlink()
    manifest = extract(small, tmp_path / "knowledge", ExtractConfig())
    assert manifest.counts["kept_clauses"] == 9 and manifest.counts["kept_dialogues"] == 0


def test_an_empty_or_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(DataError) as caught:
            read_raw(tmp_path / name)
        assert str(tmp_path / name) in caught.value.message
        assert "dialogues.jsonl" in caught.value.remedy and "rules/" in caught.value.remedy


def test_a_dialogue_repeated_word_for_word_counts_once(small: Path, tmp_path: Path) -> None:
    first = json.loads((small / "dialogues.jsonl").read_text("utf-8").splitlines()[0])
    _append(small / "dialogues.jsonl", json.dumps({**first, "id": "AGAIN"}, ensure_ascii=False))
    manifest = extract(small, tmp_path / "knowledge", ExtractConfig())
    assert manifest.counts["kept_dialogues"] == 18
    dropped = {reason: count for reason, count in manifest.counts["dropped"].items() if "dialogue" in reason}
    assert dropped == {"dialogue repeated word for word": 1}


def test_nothing_personal_passes_into_the_knowledge(raw: Path, knowledge: Path) -> None:
    customers = [json.loads(line) for line in (raw / "customers.jsonl").read_text("utf-8").splitlines()]
    written = "".join(path.read_text("utf-8") for path in sorted(knowledge.glob("*.jsonl")))
    assert "〔姓名1〕" in written and "〔手机1〕" in written
    for customer in customers:
        assert customer["mobile"] not in written and customer["name"] not in written
    assert set(json.loads((knowledge / "customers.jsonl").read_text("utf-8").splitlines()[0])) == {
        "customer",
        "split",
        "site",
        "overdue_bucket",
    }


@pytest.mark.parametrize(
    ("model", "value", "message"),
    [
        (ExtractConfig, {"splits": {}}, "unknown key 'splits'; did you mean 'split'?"),
        (ExtractConfig, {"split": {"holdout": {"field": "site", "value": ["west"]}}}, "Allowed here: field, values"),
        (BuildConfig, {"policy_qa": {"candidate": 3}}, "did you mean 'candidates'?"),
        (BuildConfig, {"max_rows_per_task": {"train": 0}}, "at least 1"),
    ],
)
def test_an_unknown_key_names_the_allowed_ones(model: type, value: dict[str, object], message: str) -> None:
    with pytest.raises(TianjingError) as caught:
        parse(model, value, "x.yaml")
    assert message in caught.value.message


def test_a_held_out_value_that_no_customer_has_is_an_error(small: Path, tmp_path: Path) -> None:
    config = parse(ExtractConfig, {"split": {"holdout": {"field": "site", "values": ["north"]}}}, "x")
    with pytest.raises(DataError) as caught:
        extract(small, tmp_path / "knowledge", config)
    assert "east, west" in caught.value.remedy


def test_extracting_again_gives_the_same_digest(raw: Path, knowledge: Path, tmp_path: Path) -> None:
    again = extract(raw, tmp_path / "again", EXTRACT)
    assert again.digest == read_manifest(knowledge).digest
    assert again.files == read_manifest(knowledge).files
