"""The published folder: it loads elsewhere, says what is in it, and keeps to the licences of its sources."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml

from data_recipes.build import build
from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.extract import extract
from data_recipes.publish.card import CardFacts, card, front_matter, shared_between_splits
from data_recipes.publish.columns import COLUMNS
from data_recipes.publish.licences import LedgerEntry
from tests.data_recipes.material import BUILD
from tests.data_recipes.test_teacher import FaultInjector, Reply
from tianjing.config import parse
from tianjing.dataset import SPLITS, preference_file, read_examples
from tianjing.files import sha256_file
from tianjing.lineage import read_manifest, verify
from tianjing.records import Example, Message

THINGS = ("存款", "国债", "基金", "账款", "按揭", "黄金", "外汇", "转债", "保险", "分期")


@pytest.fixture(scope="module")
def rows(dataset: Path) -> list[Example]:
    return [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]


def test_load_dataset_reads_the_folder_with_every_split_and_column(
    dataset: Path, rows: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    moved = shutil.copytree(dataset, tmp_path / "moved")
    loaded = datasets.load_dataset(str(moved), cache_dir=str(tmp_path / "cache"))
    assert {split: len(loaded[split]) for split in loaded} == {
        split: sum(row.split == split for row in rows) for split in SPLITS
    }
    assert loaded["train"].column_names == [column.name for column in COLUMNS]
    first = next(row for row in rows if row.split == "train")
    assert loaded["train"][0]["messages"] == [message.model_dump() for message in first.messages]
    assert loaded["train"][0]["id"] == first.id and loaded["train"][0]["tokens"] is None


def test_the_columns_described_are_the_columns_there_are(dataset: Path) -> None:
    names = pyarrow.parquet.read_schema(dataset / "train.parquet").names
    assert names == [column.name for column in COLUMNS] == list(Example.model_fields)
    text = (dataset / "README.md").read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in names)


def test_croissant_metadata_is_valid_and_its_records_are_the_rows(dataset: Path, rows: list[Example]) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    metadata = mlcroissant.Dataset(jsonld=str(dataset / "croissant.json"))
    assert not metadata.metadata.ctx.issues.errors
    for split in SPLITS:
        records = list(metadata.records(split))
        assert [record[f"{split}/id"].decode() for record in records] == [r.id for r in rows if r.split == split]
    wanted = next(row for row in rows if row.split == "test")
    record = next(iter(metadata.records("test")))
    messages = [
        (m["test/messages/role"].decode(), m["test/messages/content"].decode()) for m in record["test/messages"]
    ]
    assert messages == [(message.role, message.content) for message in wanted.messages]


def test_croissant_names_each_file_with_its_size_and_digest(dataset: Path) -> None:
    metadata = json.loads((dataset / "croissant.json").read_text("utf-8"))
    for entry in metadata["distribution"]:
        path = dataset / entry["contentUrl"]
        assert entry["sha256"] == sha256_file(path) and entry["contentSize"] == f"{path.stat().st_size} B"
    rows, pairs = [f"{split}.parquet" for split in SPLITS], [preference_file(split) for split in SPLITS]
    assert [entry["contentUrl"] for entry in metadata["distribution"]] == rows + pairs
    assert verify(dataset) == []


def test_the_front_matter_is_what_hubs_read(dataset: Path, rows: list[Example]) -> None:
    text = (dataset / "README.md").read_text("utf-8")
    block = yaml.safe_load(text.split("---")[1])
    assert block["language"] == ["zh"] and block["size_categories"] == ["n<1K"]
    assert block["task_categories"] == ["question-answering", "text-classification", "text-generation"]
    files = block["configs"][0]["data_files"]
    assert files == [{"split": split, "path": f"{split}.parquet"} for split in SPLITS]
    assert block["license"] == "other" and block["license_link"] == "licences.json"  # the owner's own material


def entry(licence: str, spdx: str, rows: int = 3) -> LedgerEntry:
    return LedgerEntry(licence, "instructions", licence, spdx, "permissive", "train", "named", {"train": rows})


@pytest.mark.parametrize(
    ("spdx", "expected"),
    [
        (["MIT"], "mit"),
        (["MIT", "Apache-2.0"], ["apache-2.0", "mit"]),
        (["GPL-3.0-only"], "gpl-3.0"),
        (["ODbL-1.0"], "odbl"),
        (["MIT", ""], "other"),
        (["MIT AND Apache-2.0"], "other"),
    ],
)
def test_the_licence_of_the_front_matter_names_all_sources_or_other(spdx: list[str], expected: Any) -> None:
    block = yaml.safe_load(front_matter([], [entry(name, name) for name in spdx]).split("---")[1])
    assert block["license"] == expected


def test_the_card_counts_what_is_there_and_says_what_was_not_done(dataset: Path, rows: list[Example]) -> None:
    text = (dataset / "README.md").read_text("utf-8")
    dropped = read_manifest(dataset).counts["dropped"]
    assert isinstance(dropped, dict)
    assert all(f"| {reason} | {count} |" in text for reason, count in dropped.items())
    masked = sum("〔手机" in message.content for row in rows for message in row.messages)
    assert masked and f"- placeholders 〔手机〕: {masked}" in text
    assert "customers and held-out documents in two splits: 0" in text
    assert "surfaces of a task in both training and test rows: 0" in text
    assert "| . | raw | none | own-material | train |" in text
    assert "The rulebook was run and found no breach." in text
    for undone in ("No evaluation set was named", "no base model was named", "None: every"):
        assert undone in text


def example(number: int, split: Any, group: str, source: str) -> Example:
    messages = (Message(role="user", content="问"), Message(role="assistant", content="答"))
    return Example(
        id=str(number),
        task="policy_qa",
        group=group,
        split=split,
        messages=messages,
        fields={},
        reference={},
        surface=f"s{number}",
        sources=(source,),
    )


def test_the_audit_of_the_splits_finds_what_is_shared() -> None:
    apart = [example(1, "train", "a", "x"), example(2, "test", "b", "y")]
    assert set(shared_between_splits(apart).values()) == {0}
    shared = [*apart, example(3, "test", "a", "x"), apart[0].model_copy(update={"id": "4", "split": "test"})]
    assert shared_between_splits(shared) == {"groups": 1, "source lines": 1, "surfaces": 1}


def test_what_a_table_cell_holds_cannot_break_the_card() -> None:
    odd = entry("MIT | see\nfile", "MIT")
    text = card(CardFacts(rows=[], ledger=[odd], quarantined={"a|b": 2}, contamination={"bench": 3}))
    assert "| MIT \\| see file |" in text and "| a\\|b | 2 |" in text and "| bench | 3 |" in text


@pytest.fixture(scope="module")
def mixed_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge of a free and a non-commercial instruction set and statutes that state no licence."""
    root = tmp_path_factory.mktemp("licences")
    for folder in ("free", "forum"):
        (root / folder).mkdir()
        made = [
            {
                "instruction": f"《{folder}{thing}的说明》：{thing}{folder}{thing * number}怎么算？",
                "output": f"{folder}{thing}{number}元。",
            }
            for thing in THINGS
            for number in (1, 2)
        ]
        (root / folder / f"{folder}.json").write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    (root / "laws").mkdir()
    for letter in "甲乙丙丁":
        articles = (
            f"第一条 {letter}机构受理申请后应当自受理之日起十日内作出{letter}书面决定。",
            f"第二条 {letter}经营者不得收集与{letter}类服务无关的个人信息。",
        )
        (root / "laws" / f"{letter}法.md").write_text(f"# {letter}法\n\n" + "\n\n".join(articles), encoding="utf-8")
    sources = [
        {"kind": "instructions", "path": "free", "files": {"consulting": "free.json"}, "licence": "Apache-2.0"},
        {"kind": "instructions", "path": "forum", "files": {"consulting": "forum.json"}, "licence": "CC BY-NC-SA 4.0"},
        {"kind": "statutes", "path": "laws"},
    ]
    extract(root, root / "knowledge", parse(ExtractConfig, {"sources": sources}, "x"))
    return root / "knowledge"


def built(knowledge: Path, out: Path, **settings: Any) -> tuple[list[Example], dict[str, Any]]:
    build(knowledge, out, parse(BuildConfig, settings, "build"))
    found = [row for split in SPLITS for row in read_examples(out / f"{split}.parquet")]
    ledger = json.loads((out / "licences.json").read_text("utf-8"))["sources"]
    return found, {row["source"]: row for row in ledger}


def test_a_non_commercial_source_is_refused_and_nothing_is_written(mixed_sources: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"source 'forum': licence 'CC BY-NC-SA 4\.0' is non-commercial"):
        build(mixed_sources, tmp_path / "d", BuildConfig())
    assert not (tmp_path / "d").exists()


def test_a_refused_source_may_be_left_out_and_is_counted(mixed_sources: Path, tmp_path: Path) -> None:
    found, ledger = built(mixed_sources, tmp_path / "d", licences={"refused": "drop"})
    assert {row.source for row in found} == {"free", "laws"}
    assert ledger["forum"]["use"] == "refused" and ledger["forum"]["rows"] == {}
    dropped = read_manifest(tmp_path / "d").counts["dropped"]
    assert isinstance(dropped, dict) and dropped["instruction of source forum, refused by its licence"] == 20
    assert "| forum | instructions | CC BY-NC-SA 4.0 | non-commercial | refused |" in (
        tmp_path / "d" / "README.md"
    ).read_text("utf-8")


def test_a_source_for_evaluation_only_is_tested_on_and_never_learned_from(mixed_sources: Path, tmp_path: Path) -> None:
    found, ledger = built(mixed_sources, tmp_path / "d", licences={"evaluation_only": ["forum"]})
    by_source = Counter((row.source, row.split) for row in found)
    assert by_source["forum", "test"] == 20 and by_source["forum", "train"] == by_source["forum", "validation"] == 0
    assert ledger["forum"]["rows"] == {"test": 20} and ledger["laws"]["licence_class"] == "public-domain"
    assert shared_between_splits(found)["groups"] == 0


def test_a_source_allowed_by_name_is_learned_from_with_the_reason_in_the_ledger(
    mixed_sources: Path, tmp_path: Path
) -> None:
    found, ledger = built(mixed_sources, tmp_path / "d", licences={"allow": {"forum": "licence bought in 2026"}})
    assert any(row.source == "forum" and row.split == "train" for row in found)
    assert ledger["forum"]["rule"] == "allowed by name: licence bought in 2026"
    counted = Counter((row.source, row.split) for row in found)
    assert all(counted[name, split] == n for name, e in ledger.items() for split, n in e["rows"].items())


def test_lengths_and_mixture_stand_on_the_rows_and_in_the_card(mixed_sources: Path, tmp_path: Path) -> None:
    settings = {
        "licences": {"refused": "drop"},
        "token_lengths": {"model": "tiny", "max_tokens": 600},
        "mixture": {"shares": {"policy_qa": 1, "finance_qa": 1}, "by": "weight"},
    }
    found, _ = built(mixed_sources, tmp_path / "d", **settings)
    assert found and all(row.tokens is not None and row.tokens.total <= 600 for row in found)
    weight = {
        task: sum(r.weight for r in found if (r.task, r.split) == (task, "train"))
        for task in settings["mixture"]["shares"]
    }  # type: ignore[index]
    assert weight["policy_qa"] == pytest.approx(weight["finance_qa"], rel=1e-4)
    text = (tmp_path / "d" / "README.md").read_text("utf-8")
    assert re.search(r"\| policy_qa \| \d+ \| \d+ \| [\d.]+ \| 50.0 % \| 50.0 % \|", text)
    assert "chat template of `tiny`" in text and re.search(r"\| finance_qa \| \d+ \| \d+ \| \d+ \| \d+ \| \d+ \|", text)


def test_rows_longer_than_the_limit_are_dropped_with_the_reason(mixed_sources: Path, tmp_path: Path) -> None:
    built(mixed_sources, tmp_path / "a", licences={"refused": "drop"}, token_lengths={"model": "tiny"})
    lengths = {
        row.id: row.tokens.total
        for split in SPLITS
        for row in read_examples(tmp_path / "a" / f"{split}.parquet")
        if row.tokens
    }
    limit = sorted(lengths.values())[len(lengths) // 2]
    found, _ = built(
        mixed_sources,
        tmp_path / "b",
        licences={"refused": "drop"},
        token_lengths={"model": "tiny", "max_tokens": limit},
    )
    assert {row.id for row in found} == {name for name, total in lengths.items() if total <= limit}
    rejected = [json.loads(line) for line in (tmp_path / "b" / "rejected.jsonl").read_text("utf-8").splitlines()]
    too_long = {row["id"] for row in rejected if row["reason"].endswith(f"longer than {limit} tokens")}
    assert too_long == {name for name, total in lengths.items() if total > limit}


def test_a_teacher_in_the_build_leaves_its_work_and_its_rejects_beside_the_rows(
    mixed_sources: Path, tmp_path: Path
) -> None:
    endpoint = FaultInjector()

    def behave(body: dict[str, Any], count: int) -> Reply:
        prompt = body["messages"][-1]["content"]
        clause = prompt.split("<<<\n")[1].split("\n>>>")[0]
        if "不得" in clause:
            return Reply("我不知道")
        asked = f"我在{clause[0]}机构递了申请，书面决定几天能下来"
        return Reply(json.dumps({"question": asked, "quote": clause}, ensure_ascii=False))

    endpoint.behave = behave
    settings: dict[str, Any] = {
        "licences": {"refused": "drop"},
        "policy_qa": {"no_basis_share": 0},
        "teacher": {"base_url": endpoint.url, "model": "m", "retries": 1, "max_rejected_share": 1, "backoff_s": 0},
    }
    try:
        found, _ = built(mixed_sources, tmp_path / "d", **settings)
        asked = len(endpoint.requests)
        again, _ = built(mixed_sources, tmp_path / "d", **settings)
    finally:
        endpoint.stop()
    written = [row for row in found if row.origin == "teacher"]
    assert written and {row.split for row in written} == {"train"}
    assert all(row.fields["question"] in row.messages[1].content for row in written)
    assert again == found and len(endpoint.requests) == asked  # the answers beside the dataset were enough
    accepted, rejected = (
        [json.loads(line) for line in (tmp_path / "d" / name).read_text("utf-8").splitlines()]
        for name in ("teacher.jsonl", "teacher_rejected.jsonl")
    )
    assert {f"teacher:{entry['request_sha256'][:16]}" for entry in accepted} >= {row.sources[-1] for row in written}
    assert rejected and all(entry["output"] == "我不知道" for entry in rejected)
    manifest = read_manifest(tmp_path / "d")
    assert manifest.counts["teacher_spoken_question: not JSON"] == len(rejected)
    assert endpoint.url not in json.dumps(manifest.parameters)
    assert f"{len(written)} rows of the training split hold wording that `m` wrote" in (
        tmp_path / "d" / "README.md"
    ).read_text("utf-8")


def test_the_same_knowledge_gives_the_same_bytes(dataset: Path, knowledge: Path, tmp_path: Path) -> None:
    build(knowledge, tmp_path / "again", BUILD)
    names = {path.name for path in dataset.iterdir()} - {"manifest.json"}
    assert {"croissant.json", "licences.json", "README.md", "rejected.jsonl"} <= names
    assert all((tmp_path / "again" / name).read_bytes() == (dataset / name).read_bytes() for name in names)
