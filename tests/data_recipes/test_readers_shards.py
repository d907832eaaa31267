"""Source files in shards: the same records however a file is cut, and nothing lost of what cannot be read."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_recipes.errors import DataError
from data_recipes.readers.shards import Row, plan_shards, read_shard

WIDE = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _rows(path: Path, shard_bytes: int = 16 << 20, of_turns: bool = False, **limits: int) -> list[Row]:
    shards = plan_shards(path, path.name, shard_bytes)
    return [row for shard in shards for row in read_shard(shard, of_turns, **limits)]


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- JSON Lines ---------------------------------------------------------------------------------------------------


_LINE = st.one_of(
    st.dictionaries(st.text(max_size=3), st.text(max_size=8), max_size=2).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")),
    st.just(b""),
)


@WIDE
@given(lines=st.lists(_LINE, max_size=12), shard_bytes=st.integers(1, 60), last=st.sampled_from([b"", b"\n", b"\r\n"]))
def test_every_line_is_read_once_however_the_file_is_cut(
    tmp_path: Path, lines: list[bytes], shard_bytes: int, last: bytes
) -> None:
    path = _write(tmp_path / "d.jsonl", b"\n".join(lines) + last)
    rows = _rows(path, shard_bytes)
    assert rows == _rows(path)
    data = path.read_bytes()
    if not data.startswith(b"\xef\xbb\xbf"):
        assert [row.line for row in rows] == [n for n, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    for row in rows:
        own = data[row.offset : row.offset + row.bytes]
        assert b"\n" not in own and data[row.offset - 1 : row.offset] in (b"", b"\n", b"\xbf")
        assert row.error or row.value == json.loads(own.decode(errors="replace")) or not own.isascii()


def test_shards_meet_and_depend_on_the_file_alone(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.jsonl", b'{"a": 1}\n' * 1000)
    shards = plan_shards(path, "d.jsonl", 100)
    assert shards == plan_shards(path, "d.jsonl", 100) and len(shards) > 50
    assert [shard.end for shard in shards[:-1]] == [shard.start for shard in shards[1:]]
    assert (shards[0].start, shards[-1].end) == (0, path.stat().st_size)


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_record(tmp_path: Path) -> None:
    rows = _rows(_write(tmp_path / "d.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n\xef\xbb\xbf{"a": 3}'))
    assert [(row.line, row.offset, row.bytes, row.value) for row in rows] == [
        (1, 3, 8, {"a": 1}),
        (3, 15, 8, {"a": 2}),
        (4, 25, 11, {"a": 3}),
    ]


def test_a_file_in_gb18030_reads_like_the_same_file_in_utf8(tmp_path: Path) -> None:
    text = "".join(json.dumps({"text": f"您好，第{n}期还款𠮷"}, ensure_ascii=False) + "\n" for n in range(50))
    one = _rows(_write(tmp_path / "u.jsonl", text.encode()))
    other = _rows(_write(tmp_path / "g.jsonl", text.encode("gb18030")), 300)
    assert [row.value for row in one] == [row.value for row in other] and len(one) == 50


@pytest.mark.parametrize("main", ["utf-8", "gb18030"])
def test_a_file_that_mixes_encodings_is_read_line_by_line(tmp_path: Path, main: str) -> None:
    line = '{{"text": "{0}"}}\n'
    other = "gb18030" if main == "utf-8" else "utf-8"
    data = line.format("客户本人接听了电话").encode(main) * 20
    data += line.format("改日再联系").encode(other)
    data += b'{"text": "\xff\xff\xff"}\n'
    rows = _rows(_write(tmp_path / "d.jsonl", data))
    assert [row.value and row.value["text"] for row in rows[19:]] == ["客户本人接听了电话", "改日再联系", None]
    assert rows[-1].error == "neither UTF-8 nor GB 18030 at byte 10"
    assert "\\xff\\xff\\xff" in rows[-1].raw


def test_a_character_cut_in_half_is_an_error_and_never_other_characters(tmp_path: Path) -> None:
    cut = '{"text": "请您尽快还款'.encode()[:-1] + b'", "id": 1}'
    row = _rows(_write(tmp_path / "d.jsonl", cut))[0]
    assert row.value is None and row.error.startswith("not UTF-8 at byte")
    assert "请您尽快还" in row.raw and "\\xe6\\xac" in row.raw


def test_a_200_mb_line_is_kept_aside_not_read(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with open(path, "wb") as stream:
        stream.write(b'{"id": 1}\n{"text": "')
        stream.seek(200_000_010)
        stream.write(b'\n{"id": 3}\n')
    tracemalloc.start()
    rows = _rows(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    path.unlink()
    assert [(row.line, row.value) for row in rows] == [(1, {"id": 1}), (2, None), (3, {"id": 3})]
    assert rows[1].error == "200,000,001 bytes long; a record may have 8,388,608"
    assert (rows[1].offset, rows[1].bytes, len(rows[1].raw)) == (10, 200_000_001, 1_000)
    assert peak < 40 << 20


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": ', "broken JSON at column"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "digits"),
    ],
)
def test_a_line_that_is_no_json_says_why_and_the_next_one_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    bad, good = _rows(_write(tmp_path / "d.jsonl", line + b'\n{"a": "\\ud83d\\ude00"}'))
    assert reason in bad.error and bad.value is None and bad.raw.encode() == line
    assert good.value == {"a": "😀"}


def test_utf16_and_other_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="UTF-16"):
        plan_shards(_write(tmp_path / "d.csv", "id,text\n1,好\n".encode("utf-16")), "d.csv")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        plan_shards(_write(tmp_path / "d.parquet", b"PAR1 no"), "d.parquet")
    with pytest.raises(DataError, match=r"not one of \.jsonl, \.csv, \.parquet"):
        plan_shards(_write(tmp_path / "d.xlsx", b""), "d.xlsx")
    with pytest.raises(DataError, match="no such file"):
        plan_shards(tmp_path / "e.jsonl", "e.jsonl")


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_an_empty_file_has_no_shards(tmp_path: Path, suffix: str) -> None:
    assert plan_shards(_write(tmp_path / f"d.{suffix}", b""), "d") == []
    assert plan_shards(_write(tmp_path / f"b.{suffix}", b"\xef\xbb\xbf"), "b") == []


# --- tables -------------------------------------------------------------------------------------------------------


def _csv(rows: list[list[str]], encoding: str = "utf-8", end: str = "\n") -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end).writerows(rows)
    return stream.getvalue().encode(encoding)


_CELL = st.text(st.sampled_from('a,"\n好 '), max_size=6)


@WIDE
@given(rows=st.lists(st.lists(_CELL, min_size=2, max_size=2), max_size=8), shard_bytes=st.integers(1, 40))
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_reads_as_the_csv_module_reads_it_however_it_is_cut(
    tmp_path: Path, encoding: str, end: str, rows: list[list[str]], shard_bytes: int
) -> None:
    path = _write(tmp_path / "d.csv", _csv([["one", "two"], *rows], encoding, end))
    expected = [{name: cell for name, cell in zip(("one", "two"), row, strict=True) if cell} for row in rows]
    read = _rows(path, shard_bytes)
    assert [row.value for row in read] == expected
    assert read == _rows(path)


def test_lines_offsets_and_raw_text_of_a_csv_record_lead_back_to_it(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", b'id,text\n1,"two\nlines"\n\n2,one\n')
    data = path.read_bytes()
    rows = _rows(path)
    assert [(row.line, row.raw) for row in rows] == [(2, '1,"two\nlines"'), (5, "2,one")]
    assert [data[row.offset : row.offset + row.bytes].decode() for row in rows] == [row.raw for row in rows]


def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", b'id,text\n1,"open\n2,good\n3,"fine"\n4,5" wide\n5,9"\n')
    bad, *good = _rows(path, 4)
    assert (bad.line, bad.error) == (2, "a quote opens a cell here and is never closed")
    assert bad.raw == '1,"open'
    assert [row.value for row in good] == [
        {"id": "2", "text": "good"},
        {"id": "3", "text": "fine"},
        {"id": "4", "text": '5" wide'},
        {"id": "5", "text": '9"'},
    ]


def test_a_csv_record_longer_than_the_limit_is_kept_aside(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", b"id,text\n1," + b"x" * 5_000 + b"\n2,good\n")
    bad, good = _rows(path, max_line_bytes=2_000)
    assert bad.error == "5,003 bytes long; a record may have 2,000" and len(bad.raw) == 1_000
    assert good.value == {"id": "2", "text": "good"}


def test_cells_of_json_columns_are_values_and_empty_cells_are_absent(tmp_path: Path) -> None:
    rows = [["case", "actor", "attributes"], ["C1", "", '{"turn": 6}'], ["C2", "a", "{"], ["C3", "a", "", "more"]]
    one, two, three = _rows(_write(tmp_path / "e.csv", _csv(rows)))
    assert one.value == {"case": "C1", "attributes": {"turn": 6}}
    assert two.error.startswith("field 'attributes': broken JSON at column")
    assert three.error == "the line has more cells than the header"


def test_a_column_named_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d\.csv:1: column 'id' stands twice"):
        plan_shards(_write(tmp_path / "d.csv", b"id,id\n1,2\n"), "d.csv")


_TURNS = ["id", "customer", "agent", "channel", "started_at", "speaker", "text", "at"]


def _turn(identity: str, text: str, agent: str = "A1") -> list[str]:
    return [identity, "C1", agent, "phone", "2026-01-01T00:00:00Z", "agent", text, ""]


def _as_parquet(path: Path, rows: list[list[str]]) -> None:
    columns = {name: [row[index] or None for row in rows] for index, name in enumerate(_TURNS)}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2)


def _as_csv(path: Path, rows: list[list[str]]) -> None:
    path.write_bytes(_csv([_TURNS, *rows]))


@pytest.mark.parametrize(("suffix", "write"), [("csv", _as_csv), ("parquet", _as_parquet)])
@given(ids=st.lists(st.sampled_from("ABC"), max_size=12), shard_bytes=st.integers(1, 200))
@WIDE
def test_turns_of_one_dialogue_stay_together_however_the_file_is_cut(
    tmp_path: Path, suffix: str, write: Callable[[Path, list[list[str]]], None], ids: list[str], shard_bytes: int
) -> None:
    path = tmp_path / f"d.{suffix}"
    write(path, [_turn(identity, f"第{n}句") for n, identity in enumerate(ids)])
    runs: list[tuple[str, list[str]]] = []
    for n, identity in enumerate(ids):
        if not runs or runs[-1][0] != identity:
            runs.append((identity, []))
        runs[-1][1].append(f"第{n}句")
    read = _rows(path, shard_bytes, of_turns=True)
    assert [(row.value["id"], [turn["text"] for turn in row.value["turns"]]) for row in read] == runs
    assert read == _rows(path, of_turns=True)


def test_a_dialogue_with_one_bad_row_is_one_reject_with_all_its_rows(tmp_path: Path) -> None:
    data = _csv([_TURNS, _turn("D1", "您好"), _turn("D1", "好"), _turn("D1", "再见"), _turn("D2", "喂")])
    path = _write(tmp_path / "d.csv", data.replace("再见".encode(), b"\xff\xff\xff"))
    bad, good = _rows(path, of_turns=True)
    assert bad.error == "line 4: neither UTF-8 nor GB 18030 at byte 42" and bad.line == 2
    assert bad.raw.count("D1") == 3 and "\\xff" in bad.raw
    assert good.value["id"] == "D2"


def test_a_dialogue_without_end_needs_no_memory_and_is_one_reject(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.csv", _csv([_TURNS, *[_turn("D1", "好" * 50)] * 500, _turn("D2", "喂")]))
    bad, good = _rows(path, of_turns=True, max_line_bytes=10_000)
    assert bad.value is None and bad.bytes > 50_000 and "a record may have 10,000" in bad.error
    assert good.value["id"] == "D2"


def test_parquet_with_nested_turns_reads_as_json_lines_do(tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [
        {
            "id": f"D{n}",
            "turns": [{"speaker": "agent", "text": "您好"}, {"speaker": "customer", "text": "好", "at": "t"}],
        }
        for n in range(20)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(values), tmp_path / "d.parquet", row_group_size=3)
    rows = _rows(tmp_path / "d.parquet", 1, of_turns=True)
    assert [row.value for row in rows] == values
    assert [row.line for row in rows] == list(range(1, 21))
    assert len(plan_shards(tmp_path / "d.parquet", "d", 1)) == 7


def test_a_damaged_row_group_is_one_reject_that_names_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    table = pyarrow.table({"id": [f"客户{n:05d}" for n in range(90)]})
    pyarrow.parquet.write_table(table, path, row_group_size=30, compression="zstd", use_dictionary=False)
    start = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[start + 40 : start + 80] = b"\0" * 40
    path.write_bytes(data)
    rows = _rows(path)
    assert [row.value["id"] for row in rows if row.value] == [f"客户{n:05d}" for n in (*range(30), *range(60, 90))]
    (bad,) = [row for row in rows if row.error]
    assert bad.error.startswith("rows 31 to 60 cannot be read") and (bad.line, bad.bytes) == (31, 30)
