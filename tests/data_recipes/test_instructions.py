"""Open instruction sets import as they are, in three forms and three kinds of file; bad rows are kept aside."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from data_recipes.errors import DataError
from data_recipes.readers.instructions import read_instructions

ALPACA = [
    {
        "instruction": "请概括材料",
        "input": "《某银行年度报告》全文",
        "output": "营收增长。",
        "history": [["这是什么？", "一份报告。"], ["哪一年？", "去年。"]],
    },
    {"instruction": "什么是年化利率", "input": None, "output": "按年计算的利率。", "history": []},
]
SHAREGPT = [
    {
        "id": "a",
        "system": "",
        "conversations": [
            {"from": "human", "value": "这是什么？"},
            {"from": "gpt", "value": "一份报告。"},
            {"from": "human", "value": "哪一年？"},
            {"from": "gpt", "value": "去年。"},
            {"from": "human", "value": "请概括材料\n《某银行年度报告》全文"},
            {"from": "gpt", "value": "营收增长。"},
            {"from": "human", "value": "还有呢？"},
        ],
    },
    {
        "id": "b",
        "system": "",
        "conversations": [{"from": "human", "value": "什么是年化利率"}, {"from": "gpt", "value": "按年计算的利率。"}],
    },
]
NAMES = {"human": "user", "gpt": "assistant"}
MESSAGES = [
    {
        "messages": [{"role": NAMES[turn["from"]], "content": turn["value"]} for turn in row["conversations"]],  # type: ignore[attr-defined]
        "source": "web",
    }
    for row in SHAREGPT
]
EXPECTED = [
    (
        "s:1",
        "qa:某银行年度报告",
        "问：这是什么？\n答：一份报告。\n问：哪一年？\n答：去年。\n请概括材料\n《某银行年度报告》全文",
        "营收增长。",
    ),
    ("s:2", "qa:什么是年化利率", "什么是年化利率", "按年计算的利率。"),
]


def _json(path: Path, rows: list[Any]) -> Path:
    path = path.with_suffix(".json")
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def _lines(path: Path, rows: list[Any]) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _lines_called_json(path: Path, rows: list[Any]) -> Path:
    return _lines(path, rows).rename(path.with_suffix(".json"))


def _parquet(path: Path, rows: list[Any]) -> Path:
    path = path.with_suffix(".parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def _read(path: Path) -> list[tuple[str, str, str, str]]:
    return list(read_instructions(path, "qa", "stop", []))


@pytest.mark.parametrize("write", [_json, _lines, _lines_called_json, _parquet])
@pytest.mark.parametrize("rows", [ALPACA, SHAREGPT, MESSAGES], ids=["alpaca", "sharegpt", "messages"])
def test_one_set_reads_alike_in_every_form_and_file(
    tmp_path: Path, rows: list[Any], write: Callable[[Path, list[Any]], Path]
) -> None:
    assert _read(write(tmp_path / "s", rows)) == EXPECTED


def test_a_system_prompt_stands_first_and_parts_of_one_speaker_are_joined(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "你是客服。"},
        {"role": "user", "content": [{"type": "text", "text": "在吗"}]},
        {"role": "user", "content": "利率多少"},
        {"role": "assistant", "content": "您好。"},
        {"role": "assistant", "content": "年化18%。"},
    ]
    ((_, _, prompt, answer),) = _read(_json(tmp_path / "s", [{"messages": turns}]))
    assert (prompt, answer) == ("你是客服。\n在吗\n利率多少", "您好。\n年化18%。")


def test_a_file_of_no_known_form_names_its_fields_and_the_forms(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _read(_json(tmp_path / "s", [{"prompt": "问", "completion": "答"}]))
    assert "s.json: row 1 has prompt, completion" in caught.value.message
    assert all(word in caught.value.remedy for word in ("Alpaca", "ShareGPT", "messages"))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"conversations": [{"from": "observation", "value": "{}"}]}, "field 'conversations.0.role'"),
        ({"conversations": [{"from": "gpt", "value": "您好"}]}, "no question with an answer"),
        ({"conversations": []}, "field 'conversations'"),
        ({"instruction": "x", "output": "y"}, "field 'conversations': Field required"),
        (7, "field 'row'"),
    ],
)
def test_a_bad_row_stops_or_is_kept_aside(tmp_path: Path, bad: Any, reason: str) -> None:
    path = _json(tmp_path / "s", [SHAREGPT[0], bad, SHAREGPT[1]])
    with pytest.raises(DataError, match="row 2"):
        _read(path)
    rejected: list[dict[str, Any]] = []
    assert [row[0] for row in read_instructions(path, "qa", "skip", rejected)] == ["s:1", "s:3"]
    (reject,) = rejected
    assert (reject["file"], reject["line"]) == ("s.json", 2) and reason in reject["error"]
    assert json.loads(reject["text"]) == bad


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"text"', "the top level is no list"),
        ("", "the top level is no list"),
        ('[{"instruction": "a", "output": "b"} {"instruction"', "not a JSON list after row 1"),
        ('[{"instruction": "a", "output": "b"}, {"instruction"', "row 2: broken JSON"),
        ('[{"instruction": "a", "output": "b"}', "not a JSON list after row 1"),
    ],
)
def test_a_broken_list_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(read_instructions(path, "qa", "skip", []))


def test_a_long_list_is_never_held_whole(tmp_path: Path) -> None:
    row = {"instruction": "问题" * 2_000, "output": "回答" * 2_000}
    path = _json(tmp_path / "s", [row] * 1_500)
    assert path.stat().st_size > 30 << 20
    tracemalloc.start()
    count = sum(1 for _ in read_instructions(path, "qa", "stop", []))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1_500 and peak < 8 << 20


def test_gb18030_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    text = json.dumps(ALPACA, ensure_ascii=False)
    for encoding in ("gb18030", "utf-8-sig"):
        (tmp_path / "s.json").write_text(text, encoding=encoding)
        assert _read(tmp_path / "s.json") == EXPECTED


def test_a_missing_file_points_to_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such instruction file"):
        _read(tmp_path / "s.json")
