"""The account behind the real gateway: what a request leaves in it, and what a full disk does to callers."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from serving.audit.keys import load_ring
from serving.audit.log import KEY_FILE, AuditLog
from serving.audit.settings import AuditSettings
from serving.audit.verify import Trust, verify_instance
from serving.audit.writer import Writer
from tests.serving.conftest import Served


@pytest.fixture
def audited(start: Callable[..., Served], tmp_path: Path) -> tuple[Served, AuditLog]:
    log = AuditLog(AuditSettings(instance="g", linger_ms=0), tmp_path)
    return start(audit=log), log


def bodies(log: AuditLog, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for path in sorted(log.folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [row["body"] for row in rows if row["kind"] == kind]


def test_every_answer_is_accounted_for(audited: tuple[Served, AuditLog], tmp_path: Path) -> None:
    served, log = audited
    text = "我的手机号是13812345678，想协商还款。"
    whole = served.ask(text)
    streamed, _ = served.stream(text, extra_body={"tianjing": {"customer": "C-1029"}})
    first, second = bodies(log, "accepted")
    assert whole.id.endswith(first["request"]) and not first["stream"] and second["stream"]
    assert first["prompt"] == second["prompt"] == log.digest(text) and first["entities"]
    assert second["customer"] == log.digest("C-1029") and first["release"] == "0123abcd"
    served.ask("你好")  # the end of the second request is on disk when a later one is answered
    ends = {body["request"]: body for body in bodies(log, "closed")}
    assert ends[second["request"]]["answer"] == log.digest(streamed)
    assert ends[first["request"]]["status"] == 200 and ends[first["request"]]["completion_tokens"] == 7
    report = verify_instance(log.folder, Trust(load_ring(tmp_path / KEY_FILE).keys))
    assert report.ok
    content = b"".join(path.read_bytes() for path in log.folder.glob("*.jsonl"))
    assert b"13812345678" not in content and b"C-1029" not in content


def test_on_a_full_disk_nothing_reaches_the_engine_and_callers_are_told_when_to_come_back(
    audited: tuple[Served, AuditLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, log = audited

    def full(self: Writer, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_append", full)
        before = len(served.engine.received)
        with pytest.raises(openai.APIStatusError) as caught:
            served.ask("你好")
        assert caught.value.status_code == 503 and int(caught.value.response.headers["retry-after"]) >= 1
        assert "space" not in caught.value.message
    assert len(served.engine.received) == before
    retrying = served.client.with_options(max_retries=10)
    messages: Any = [{"role": "user", "content": "你好"}]
    assert retrying.chat.completions.create(model="tianjing", messages=messages).choices
    assert bodies(log, "recovered")[0]["after"] == "No space left on device"
