"""`tianjing serve handoffs`: what people answered becomes raw material that `tianjing data extract` reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from serving.handoff import export as exporting
from serving.handoff.case import last_words, new_case
from serving.handoff.cli import app
from serving.handoff.desk import Talk
from serving.handoff.ledger import Act, Said
from serving.handoff.settings import HandoffSettings
from serving.handoff.sqlite import CaseQueue
from tianjing.errors import TianjingError
from tianjing.files import read_jsonl
from tianjing.lineage import read_manifest, verify
from tianjing.records import Dialogue, Event, Outcome


def closed_cases(path: Path, *names: str, close: bool = True) -> None:
    async def work() -> None:
        store = CaseQueue(path)
        for name in names:
            texts = (("user", "你好"), ("assistant", "您好，请说。"), ("user", "你们天天打电话，我要投诉"))
            talk = Talk("acme", name, "x", texts, f"s-{name}", f"c-{name}")
            case = await store.open_case(new_case(talk, ("complaint",), "words", HandoffSettings()))
            act = Act(case.id, "A7", "acme")
            await store.claim(act)
            await store.answer(act, "您好，给您添麻烦了，请说一下情况。", "1")
            await store.hear(case.id, Said(f"{name}-2", "一天十几个电话"))
            await store.answer(act, "已为您停止外呼，回电请打13812345678。", "2")
            if close:
                await store.close(act, "停止外呼，致电13812345678确认", "resolved")
        await store.close_store()

    asyncio.run(work())


def handoffs(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


def _in_a_thread(work: Callable[..., None], *arguments: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, *arguments).result()


def ids(folder: Path) -> set[str]:
    return {dialogue.id for dialogue in read_jsonl(folder / "dialogues.jsonl", Dialogue)}


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "handoffs.sqlite"


def test_a_closed_case_is_a_dialogue_with_events_and_outcomes(queue: Path, tmp_path: Path) -> None:
    closed_cases(queue, "a")
    out = tmp_path / "raw"
    assert handoffs("export", "--queue", queue, "--out", out).exit_code == 0
    (dialogue,) = read_jsonl(out / "dialogues.jsonl", Dialogue)
    assert (dialogue.customer, dialogue.agent) == ("c-a", "A7")
    assert [turn.speaker for turn in dialogue.turns] == [
        *("customer", "system", "customer"),  # the model's turn is no agent's
        *("agent", "customer", "agent"),
    ]
    events = list(read_jsonl(out / "events.jsonl", Event))
    assert [event.activity for event in events] == ["转人工", "人工接入", "人工答复", "人工答复", "结案"]
    assert events[0].attributes["reasons"] == ["complaint"]
    outcomes = {outcome.name: outcome.value for outcome in read_jsonl(out / "outcomes.jsonl", Outcome)}
    assert outcomes == {"resolved": 1, "complaint": 1}
    assert "13812345678" not in "".join(file.read_text() for file in out.iterdir())
    assert read_manifest(out).kind == "handoffs" and not verify(out)


def test_a_message_that_could_not_be_kept_is_nobodys_words(queue: Path, tmp_path: Path) -> None:
    async def work() -> None:
        store = CaseQueue(queue)
        unread = Talk("acme", "a", "长" * 9000, (), "s-a")
        case = await store.open_case(new_case(unread, ("complaint",), "words", HandoffSettings()))
        act = Act(case.id, "A7", "acme")
        await store.claim(act)
        await store.hear(case.id, Said("a-2", last_words(unread)))
        await store.answer(act, "请您分几次说。", "1")
        await store.close(act, "已答复", "resolved")
        await store.close_store()

    asyncio.run(work())
    assert handoffs("export", "--queue", queue, "--out", tmp_path / "raw").exit_code == 0
    (dialogue,) = read_jsonl(tmp_path / "raw" / "dialogues.jsonl", Dialogue)
    assert [turn.speaker for turn in dialogue.turns] == ["system", "agent"]


def test_data_extract_reads_an_export(queue: Path, tmp_path: Path) -> None:
    closed_cases(queue, "a", "b", "c")
    out, knowledge = tmp_path / "raw", tmp_path / "knowledge"
    handoffs("export", "--queue", queue, "--out", out)
    command = [sys.executable, "-m", "tianjing", "data", "extract", str(out), "--out", str(knowledge)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert read_manifest(knowledge).kind == "knowledge"
    assert ids(knowledge) == ids(out)


def test_each_case_is_exported_once(queue: Path, tmp_path: Path) -> None:
    closed_cases(queue, "a", "b")
    closed_cases(queue, "open", close=False)
    handoffs("export", "--queue", queue, "--out", tmp_path / "first")
    nothing = handoffs("export", "--queue", queue, "--out", tmp_path / "none")
    assert nothing.exit_code == 0 and not (tmp_path / "none").exists()
    closed_cases(queue, "c")
    handoffs("export", "--queue", queue, "--out", tmp_path / "second")
    assert len(ids(tmp_path / "first")) == 2 and len(ids(tmp_path / "second")) == 1
    assert not ids(tmp_path / "first") & ids(tmp_path / "second")


@pytest.mark.parametrize("cut_at", ["_write", "_done"])
def test_an_export_that_was_cut_off_loses_and_doubles_nothing(
    queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: str
) -> None:
    closed_cases(queue, "a", "b")

    def cut(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(exporting, cut_at, cut)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(exporting.export(CaseQueue(queue).database, tmp_path / "first"))
    closed_cases(queue, "c")
    handoffs("export", "--queue", queue, "--out", tmp_path / "second")
    folders = [folder for folder in (tmp_path / "first", tmp_path / "second") if folder.exists()]
    exported = [case for folder in folders for case in ids(folder)]
    assert len(exported) == len(set(exported)) == 3


def test_of_two_exports_at_once_one_has_the_cases(queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed_cases(queue, "a", "b")
    write = exporting._write

    def interrupted(*arguments: Any) -> None:
        monkeypatch.undo()
        asyncio.run(exporting.export(CaseQueue(queue).database, tmp_path / "second"))
        write(*arguments)

    monkeypatch.setattr(exporting, "_write", lambda *arguments: _in_a_thread(interrupted, *arguments))
    with pytest.raises(TianjingError, match="one export at a time"):
        handoffs("export", "--queue", queue, "--out", tmp_path / "first")
    assert len(ids(tmp_path / "second")) == 2 and not (tmp_path / "first").exists()


def test_an_export_overwrites_nothing(queue: Path, tmp_path: Path) -> None:
    closed_cases(queue, "a")
    with pytest.raises(TianjingError, match="is there already"):
        handoffs("export", "--queue", queue, "--out", tmp_path)
    assert handoffs("export", "--queue", queue, "--out", tmp_path / "raw").exit_code == 0
    assert ids(tmp_path / "raw")


def test_cases_are_listed_and_shown(queue: Path) -> None:
    closed_cases(queue, "a", close=False)
    listed = handoffs("list", "--queue", queue).output
    assert "answered by A7" in listed and "投诉：你们天天打电话，我要投诉" in listed
    shown = json.loads(handoffs("show", listed.split()[0], "--queue", queue).output)
    assert [message["from"] for message in shown["messages"]] == ["agent", "customer", "agent"]


def _of_others() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        return connection.serialize()


@pytest.mark.parametrize("command", [("list",), ("show", "H1"), ("export", "--out", "raw")])
@pytest.mark.parametrize("content", [b"", b"no database", _of_others()], ids=["empty", "text", "of others"])
def test_a_file_that_is_no_queue_is_refused_and_stays_as_it_is(
    queue: Path, command: tuple[str, ...], content: bytes
) -> None:
    queue.write_bytes(content)
    with pytest.raises(TianjingError, match="not a queue of cases"):
        handoffs(*command, "--queue", queue)
    assert queue.read_bytes() == content
    assert [path.name for path in queue.parent.iterdir()] == [queue.name]


def test_cases_are_listed_beside_a_gateway_that_writes_and_nothing_is_changed(queue: Path) -> None:
    closed_cases(queue, "a", close=False)
    at_rest = queue.read_bytes()
    assert "answered by A7" in handoffs("list", "--queue", queue).output
    assert queue.read_bytes() == at_rest

    async def beside() -> str:
        store = CaseQueue(queue)
        talk = Talk("acme", "b", "x", (("user", "我要投诉"),), "s-b", "c-b")
        await store.open_case(new_case(talk, ("complaint",), "words", HandoffSettings()))
        listed = await asyncio.to_thread(handoffs, "list", "--queue", queue)
        await store.close_store()
        return str(listed.output)

    assert "2 cases" in asyncio.run(beside())


def test_wrong_use_names_the_remedy(queue: Path, tmp_path: Path) -> None:
    closed_cases(queue, "a")
    for arguments, words in (
        (("list",), "either --queue or --postgres"),
        (("list", "--queue", tmp_path / "none"), "no such file"),
        (("list", "--queue", queue, "--status", "gone"), "no such status"),
        (("show", "H1", "--queue", queue), "no such case"),
    ):
        with pytest.raises(TianjingError, match=words) as refused:
            handoffs(*arguments)
        assert refused.value.remedy
