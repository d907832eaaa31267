"""Checkpoints of the account, and the place outside that they are sent to."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from serving.audit.log import AuditLog
from serving.audit.settings import AnchorSettings
from serving.errors import ApiError
from tests.serving.audit_material import (
    accepted,
    checked,
    files,
    requests,
    rows,
    soon,
    with_log,
)


def test_checkpoints_come_by_number_and_by_time(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        await requests(log, 0, 20)
        await soon(lambda: rows(tmp_path)[-1]["kind"] == "checkpoint")

    with_log(tmp_path, work, checkpoint_records=10, checkpoint_s=0.2)
    signed = [row["seq"] for row in rows(tmp_path) if row["kind"] == "checkpoint"]
    assert len(signed) >= 4
    assert all(later - earlier <= 11 for earlier, later in itertools.pairwise(signed))


def test_a_file_anchor_finds_a_log_that_was_cut_short(tmp_path: Path) -> None:
    anchor = tmp_path / "elsewhere.jsonl"
    with_log(tmp_path, lambda log: requests(log, 0, 20), anchor={"file": str(anchor)}, checkpoint_records=10)
    report = checked(tmp_path, anchor)
    assert report.ok and report.anchored_seq == report.last_seq - 1 and report.unanchored == 1
    (path,) = files(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-5]))
    assert checked(tmp_path).ok  # nothing in the log itself tells
    problem = checked(tmp_path, anchor).problem
    assert problem is not None and problem.fault == "tail_lost"
    # Cutting and going on does not hide it.
    with_log(tmp_path, lambda log: requests(log, 90, 20))
    problem = checked(tmp_path, anchor).problem
    assert problem is not None and problem.fault == "edited" and "anchored" in problem.message


def test_a_command_is_given_each_checkpoint(tmp_path: Path) -> None:
    anchor = tmp_path / "by-command.jsonl"
    command = ["/bin/sh", "-c", f"cat >> {anchor}"]
    with_log(tmp_path, lambda log: requests(log, 0, 5), anchor={"command": command})
    assert checked(tmp_path, anchor).anchored_seq


def test_an_address_is_posted_each_checkpoint_until_it_takes_it(tmp_path: Path) -> None:
    anchor = tmp_path / "by-post.jsonl"
    answers = [503, 200, 200, 200, 200, 200]

    class Witness(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            status = answers.pop(0)
            if status == 200:
                with open(anchor, "ab") as stream:
                    stream.write(content)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Witness) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        async def work(log: AuditLog) -> None:
            await requests(log, 0, 5)
            await soon(lambda: log.counts().anchor_failures > 0 and log.counts().anchored > 0)

        url = f"http://127.0.0.1:{server.server_port}/anchor"
        with_log(tmp_path, work, anchor={"url": url}, checkpoint_s=0.05)
        server.shutdown()
    report = checked(tmp_path, anchor)
    assert report.ok and report.anchored_seq


def test_an_address_that_once_spoke_no_http_still_gets_the_next_checkpoint(tmp_path: Path) -> None:
    taken: list[bytes] = []
    answers = [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"]

    def witness(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                taken.append(connection.recv(65536))
                connection.sendall(answers[min(len(taken), len(answers)) - 1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=witness, args=(listener,), daemon=True).start()

        async def work(log: AuditLog) -> None:
            await requests(log, 0, 5)
            await soon(lambda: log.counts().anchored > 0)
            assert log.counts().anchor_failures == 1

        anchor = {"url": f"http://127.0.0.1:{listener.getsockname()[1]}/anchor"}
        with_log(tmp_path, work, anchor=anchor, checkpoint_s=0.05)


def test_without_an_anchor_for_too_long_requests_are_refused(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        await log.accepted(accepted(1))
        with pytest.raises(ApiError) as caught:
            async with asyncio.timeout(30):
                while True:
                    await log.accepted(accepted(2))
        assert caught.value.status == 503

    nowhere = {"file": str(tmp_path / "missing" / "anchor"), "refuse_after_s": 0.2}
    with_log(tmp_path, work, anchor=nowhere, checkpoint_s=0.05)


def test_an_anchor_is_one_place() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        AnchorSettings(file=Path("a"), url="https://witness.example/a")
    with pytest.raises(ValueError, match="exactly one"):
        AnchorSettings()
