"""Rows validated as they are read: the same records and the same faults as when they are parsed first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.ingest import MODELS, validated
from data_recipes.cleaning.plan import Plan
from data_recipes.errors import DataError
from data_recipes.readers.shards import plan_shards, read_shard
from tianjing.files import validate_row
from tianjing.records import Dialogue

_TIMES = st.sampled_from(
    [
        "2026-03-02T10:00:00+08:00",
        "2026-03-02",
        "2026-03-02T10:00:00.5Z",
        "1772416800",
        1772416800,
        1.5,
        True,
        None,
        "x",
    ]
)
_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), _TIMES)
_NAMES = st.text(max_size=3)
_TURN = st.fixed_dictionaries(
    {"speaker": st.sampled_from(["agent", "customer", "robot", 1]), "text": st.text(max_size=8)},
    optional={"at": _TIMES, "more": _VALUES},
)
_ROWS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "dialogues": st.fixed_dictionaries(
        {"id": _NAMES, "customer": _NAMES, "agent": _VALUES | _NAMES, "channel": _NAMES, "started_at": _TIMES,
         "turns": st.lists(_TURN, max_size=3)}
    ),
    "events": st.fixed_dictionaries(
        {"case": _NAMES, "at": _TIMES, "actor": _NAMES, "activity": _NAMES},
        optional={"attributes": st.dictionaries(_NAMES, _VALUES | st.lists(_VALUES, max_size=2), max_size=3)},
    ),
    "outcomes": st.fixed_dictionaries({"case": _NAMES, "name": _NAMES, "value": _VALUES}),
    "customers": st.dictionaries(st.sampled_from(["customer", "name", "x"]), _VALUES, max_size=3),
}  # fmt: skip


def _plan(shards: Any, on_error: Any = "skip") -> Plan:
    return Plan(tuple(shards), (), CleanConfig(), (), on_error, "")


@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", _ROWS)
@given(data=st.data())
def test_reading_at_once_gives_what_parsing_first_gives(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    model = Dialogue if name == "dialogues" else MODELS[name]
    rows = data.draw(st.lists(_ROWS[name], min_size=1, max_size=8))
    lines = [json.dumps(row, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "replace") for row in rows]
    damage = data.draw(st.sampled_from([b"", b" ", b"\xef\xbb\xbf", b"{", b"\xff", "王".encode("gb18030")]))
    lines.insert(0, damage + lines[0])
    path = Path(tmp_path_factory.mktemp("rows")) / f"{name}.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    shards = plan_shards(path, path.name)
    expected: list[Any] = []
    faults: list[Any] = []
    for row in (row for shard in shards for row in read_shard(shard)):
        try:
            if row.error:
                raise ValueError(row.error)
            expected.append(validate_row(row.value, model))
        except ValueError as error:
            faults.append((row.line, row.offset, row.bytes, str(error), row.raw))
    found = [checked for shard in shards for checked in validated(_plan(shards), shard, model)]
    assert [record.model_dump_json() for checked in found for record in checked.records] == [
        record.model_dump_json() for record in expected
    ]
    assert faults == [
        (row["line"], row["offset"], row["bytes"], row["error"], row["text"])
        for checked in found
        for row in checked.rejected
    ]


def test_a_bad_line_stops_the_run_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text('{"case": "c", "name": "n", "value": 1}\n\n{"case": "c", "name": "n"}\n', encoding="utf-8")
    shards = plan_shards(path, path.name)
    with pytest.raises(DataError, match=r"outcomes\.jsonl:3: field 'value'"):
        list(validated(_plan(shards, "stop"), shards[0], MODELS["outcomes"]))
