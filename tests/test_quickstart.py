"""The main job as the README prints it, on the tiny model: real training, real vLLM, every stage."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tianjing.engine import free_port
from tianjing.lineage import artefact_digest, verify

pytestmark = pytest.mark.slow

# Stage -> seconds within which it is killed: less than it takes, so that each is killed in the middle.
STAGES = {
    "extract": 1.0,
    "build": 1.0,
    "train": 6.0,
    "merge": 4.0,
    "evaluate": 20.0,
    "gate": 0.4,
    "report": 0.4,
    "serve_check": 8.0,
}


def run_quickstart(out: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./scripts/quickstart.sh", "--model", "tiny", "--out", str(out)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one uninterrupted `./scripts/quickstart.sh --model tiny --out DIR`."""
    out = tmp_path_factory.mktemp("quickstart") / "out"
    result = run_quickstart(out, timeout_s=900)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def test_quickstart_writes_what_the_readme_promises(quickstart: Path) -> None:
    for folder in ("knowledge", "dataset", "adapter", "merged", "evals", "serving"):
        assert verify(quickstart / folder) == [], folder
    summary = json.loads((quickstart / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["tasks"]) == {"policy_qa", "quality_inspection", "next_reply"}
    for task in summary["tasks"].values():
        assert {"base", "tuned", "difference", "ci_low", "ci_high", "n"} <= set(task)
        assert task["ci_low"] <= task["difference"] <= task["ci_high"]
        assert task["difference"] == pytest.approx(task["tuned"] - task["base"], abs=1e-6)
    assert all(summary["stages"][name]["seconds"] >= 0 for name in STAGES)
    page = (quickstart / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert 'src="http' not in page and 'href="http' not in page


def test_a_random_model_is_not_promoted(quickstart: Path) -> None:
    release = json.loads((quickstart / "release.json").read_text(encoding="utf-8"))
    assert release["verdict"] != "promote"
    assert release["merged"] == artefact_digest(quickstart / "merged")


def test_every_check_of_the_served_endpoint_passed(quickstart: Path) -> None:
    checks = json.loads((quickstart / "serving" / "check.json").read_text(encoding="utf-8"))
    assert len(checks) >= 5
    assert [check for check in checks if not check["ok"]] == []


def test_evaluation_kept_every_request(quickstart: Path) -> None:
    rows = [json.loads(line) for line in (quickstart / "evals" / "attempts.jsonl").read_text("utf-8").splitlines()]
    assert {row["arm"] for row in rows} == {"base", "tuned"}
    assert len({(row["arm"], row["item"], row["condition"], row["repeat"]) for row in rows}) == len(rows)


def test_a_second_call_skips_every_stage(quickstart: Path) -> None:
    started = time.monotonic()
    result = run_quickstart(quickstart, timeout_s=120)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("unchanged, skipped") == len(STAGES)
    assert time.monotonic() - started < 30


def test_serve_leaves_an_endpoint_that_the_openai_client_talks_to(quickstart: Path, tmp_path: Path) -> None:
    import openai

    port, key = free_port(), "tianjing-quickstart-test"
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            ["./scripts/quickstart.sh", "--model", "tiny", "--out", str(quickstart), "--serve", "--port", str(port)],
            cwd=REPOSITORY,
            env={**os.environ, "TIANJING_API_KEY": key},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0)
        deadline = time.monotonic() + 180
        while "The endpoint answers" not in (text := (tmp_path / "log").read_text("utf-8", errors="replace")):
            assert process.poll() is None and time.monotonic() < deadline, text
            time.sleep(0.2)
        assert [model.id for model in client.models.list()] == ["tianjing"]
        question: list[Any] = [{"role": "user", "content": "工资晚发，可以晚几天还款吗？"}]
        answer = client.chat.completions.create(model="tianjing", messages=question, max_tokens=8)
        assert answer.usage is not None and answer.usage.completion_tokens > 0
        chunks = list(client.chat.completions.create(model="tianjing", messages=question, max_tokens=8, stream=True))
        assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    finally:
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
        status = process.wait(timeout=60)
    assert status == 0


def test_kill_9_in_every_stage_then_the_same_command_finishes(quickstart: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    moments = random.Random(20260601)
    for stage, longest_s in STAGES.items():
        _kill_during(stage, out, tmp_path / f"{stage}.log", delay_s=moments.uniform(0.0, longest_s))
    status = subprocess.run(_command(out), cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    assert status.returncode == 0, status.stdout + status.stderr
    for folder in ("knowledge", "dataset"):
        assert artefact_digest(out / folder) == artefact_digest(quickstart / folder), folder
    for folder in ("adapter", "merged", "evals", "serving"):
        assert verify(out / folder) == [], folder
    leftovers = [path.name for path in out.iterdir() if path.name.endswith(".tmp")]
    assert leftovers == []


def _command(out: Path) -> list[str]:
    return [sys.executable, "-m", "tianjing", "run", "examples/tiny.yaml", "--out", str(out)]


def _kill_during(stage: str, out: Path, log: Path, delay_s: float) -> None:
    """Start the pipeline, wait until `stage` runs, then SIGKILL the pipeline alone; its children must die too."""
    with open(log, "wb") as stream:
        pipeline = subprocess.Popen(_command(out), cwd=REPOSITORY, stdout=stream, stderr=stream, start_new_session=True)
    deadline = time.monotonic() + 600
    while f"▶ {stage} " not in log.read_text("utf-8", errors="replace"):
        assert pipeline.poll() is None, log.read_text("utf-8", errors="replace")
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(delay_s)
    if pipeline.poll() is not None:
        return  # the stage was quicker than the chosen moment
    os.kill(pipeline.pid, signal.SIGKILL)
    pipeline.wait()
    _wait_until_nobody_works_on(out)


def _wait_until_nobody_works_on(out: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        alive = [
            entry.parent.name
            for entry in Path("/proc").glob("[0-9]*/cmdline")
            if entry.parent.name != str(os.getpid()) and str(out).encode() in _read(entry)
        ]
        if not alive:
            return
        assert time.monotonic() < deadline, f"still running after kill -9: {alive}"
        time.sleep(0.2)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
