"""The workspace of a chain and the table of keys: whole or not there, resumed, found again by key."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from data_recipes.cleaning import lookup
from data_recipes.cleaning.lookup import Lookup, key_hashes, merge_places, save_places
from data_recipes.cleaning.workspace import Phase, Workspace


def _square(work: Workspace, index: int, folder: Path) -> None:
    (folder / "number").write_text(str(index * index))


def _breaks(work: Workspace, index: int, folder: Path) -> None:
    (folder / "number").write_text("half")
    raise OSError("the disk is gone")


def test_a_task_that_fails_leaves_nothing_and_is_done_again(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    with pytest.raises(OSError, match="disk"):
        work.run(Phase("squares", 3, _breaks), 1)
    assert work.open_tasks(Phase("squares", 3, _square)) == [0, 1, 2]
    assert not list((tmp_path / "work").rglob("number"))
    work.run(Phase("squares", 3, _square), 1)
    assert work.open_tasks(Phase("squares", 3, _square)) == [0, 2]


def test_two_workers_that_finish_the_same_task_do_no_harm(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")

    def overtaken(workspace: Workspace, index: int, folder: Path) -> None:
        _square(workspace, index, folder)
        other = workspace.folder("squares", index)  # another node's worker renames its copy first
        other.mkdir()
        _square(workspace, index, other)

    work.run(Phase("squares", 1, overtaken), 0)
    assert (work.folder("squares") / "number").read_text() == "0"
    assert [path.name for path in (work.root / "squares").iterdir()] == ["00000"]


def test_the_same_plan_goes_on_and_another_one_begins_again(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    assert not work.keep({"shards": 2})
    work.run(Phase("squares", 2, _square), 0)
    assert work.keep({"shards": 2})
    assert work.open_tasks(Phase("squares", 2, _square)) == [1]
    assert not work.keep({"shards": 3})
    assert work.open_tasks(Phase("squares", 2, _square)) == [0, 1]


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdfghij"), st.integers(0, 99)), max_size=40),
    parts=st.integers(1, 4),
    block=st.integers(1, 5),
    rows_at_once=st.integers(1, 50),
    wanted=st.lists(st.sampled_from("abcdefghij"), max_size=12),
)
def test_rows_are_found_by_key_in_their_order(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, int]],
    parts: int,
    block: int,
    rows_at_once: int,
    wanted: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("lookup")
    size = -(-len(rows) // parts)
    folders = []
    for part in range(parts):
        own = folder / str(part)
        own.mkdir()
        lines = [to_json({"case": key, "n": n}) + b"\n" for key, n in rows[part * size : (part + 1) * size]]
        (own / "rows").write_bytes(b"".join(lines))
        keys = key_hashes([key for key, _ in rows[part * size : (part + 1) * size]])
        save_places(own, keys, np.array(list(map(len, lines)), np.uint64))
        folders.append(own)
    table = folder / "table"
    table.mkdir()
    with patch.object(lookup, "BLOCK", block):
        merge_places(folders, table, rows_at_once)
        found = Lookup(table, [own / "rows" for own in folders], "case").lines(wanted)
    for key, lines in zip(wanted, found, strict=True):
        assert [json.loads(line)["n"] for line in lines] == [n for other, n in rows if other == key]
