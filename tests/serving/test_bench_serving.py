"""The scripts that measure serving: the played engine behaves as one, and short runs of each end well."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.conftest import REPOSITORY

SCRIPTS = REPOSITORY / "scripts" / "bench"


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """Address of a played engine that writes a token every 2 ms."""
    command = [sys.executable, str(SCRIPTS / "serving_mock.py"), "--tokens", "40", "--ms", "2", "--per-event", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/v1"
        process.terminate()


@pytest.fixture
def client(engine: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=engine, api_key="none", max_retries=0, timeout=60)


def test_a_played_stream_says_what_the_played_answer_says(client: openai.OpenAI) -> None:
    asked = {"model": "mock", "messages": [{"role": "user", "content": "你好"}], "n": 2, "max_tokens": 20}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    for index in (0, 1):
        said = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert "".join(choice.delta.content or "" for choice in said) == whole.choices[index].message.content
        assert [choice.finish_reason for choice in said if choice.finish_reason] == ["stop"]
    assert len(whole.choices[0].message.content) == 40
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) == 20
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 40


def test_a_played_tool_call_has_whole_arguments(client: openai.OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "note", "parameters": {}}}
    stream = client.chat.completions.create(
        model="mock", messages=[{"role": "user", "content": "你好"}], tools=[tool], stream=True
    )
    calls = [call for chunk in stream for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert calls[0].function.name == "note"
    assert json.loads("".join(call.function.arguments for call in calls)) == {"day": "2026-01-05", "amount": "300.00"}


def test_a_caller_who_leaves_is_counted(client: openai.OpenAI, engine: str) -> None:
    def stats() -> dict[str, int]:
        return dict(client.with_options(base_url=engine.removesuffix("/v1")).get("/mock/stats", cast_to=object))

    before = stats()["left"]
    stream = client.completions.create(model="mock", prompt="还款日", stream=True)
    next(iter(stream))
    stream.close()
    until = time.monotonic() + 30
    while stats()["left"] == before:
        assert time.monotonic() < until, "the engine never noticed"
    assert stats()["streams"] == 0


def run(script: str, *arguments: str) -> str:
    """The output of a script that must end with 0."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_a_minute_of_streams_is_served_whole_and_with_flat_memory() -> None:
    # The limits of the figures are those of docs/benchmarks.md; here two tests and more share two cores.
    told = run("serving_load.py", "--streams", "200", "--minutes", "0.75", "--tokens", "60", "--rise", "10")
    assert "LOST" not in told


@pytest.mark.slow
def test_more_than_there_is_room_for_is_refused_and_never_lost() -> None:
    over = ("--over-capacity", "--minutes", "0.5", "--places", "20", "--tokens", "40", "--ms", "50", "--slack", "20")
    told = run("serving_load.py", *over)
    assert "LOST" not in told
    assert "Retry-After" in told


@pytest.mark.slow
def test_decisions_at_a_steady_rate_are_all_answered() -> None:
    told = run("serving_decide.py", "--rate", "20", "--seconds", "10", "--target-ms", "2000")
    assert "no_contact" in told


@pytest.mark.slow
def test_the_openai_client_finds_what_it_expects() -> None:
    assert "FAILED" not in run("serving_peers.py", "--only", "openai")


@pytest.mark.slow
def test_the_cost_of_the_gateway_is_told_line_by_line(tmp_path: Path) -> None:
    """The figures have targets on a quiet machine only; what is asked for here is that every line is there."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "serving_cost.py"), "--pairs", "20", "--streams", "8", "--state", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 or "not met" in done.stderr, done.stderr[-2000:]
    for line in ("added above one fdatasync", "hold-back", "CPU a guarded chunk, one event", "chunks a second"):
        assert line in done.stdout
