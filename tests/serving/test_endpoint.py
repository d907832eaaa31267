"""Starting the endpoint: key, release, port, and the command line; and the real thing on the tiny model."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from serving.adapters.release import require_release
from serving.errors import ServeError
from serving.identity.bootstrap import VARIABLE, load_or_make
from serving.welcome import welcome
from tests.serving.test_launch import children as descendants
from tianjing.lineage import artefact, artefact_digest, keygen, sign_release

TIANJING = [sys.executable, "-m", "tianjing"]


def test_the_key_is_made_once_and_only_its_hash_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    made = load_or_make(tmp_path / ".serving")
    assert made.fresh and made.accepts(f"Bearer {made.fresh}")
    again = load_or_make(tmp_path / ".serving")
    assert again.fresh is None and again.accepts(f"bearer {made.fresh}")
    assert not again.accepts(None) and not again.accepts(made.fresh) and not again.accepts("Bearer ")
    stored = list((tmp_path / ".serving").iterdir())
    assert all(made.fresh not in path.read_text() for path in stored)
    assert stored[0].stat().st_mode & 0o077 == 0
    assert made.fresh in welcome("http://127.0.0.1:1/v1", "m", made)
    assert made.fresh not in welcome("http://127.0.0.1:1/v1", "m", again)


def test_the_operators_own_key_comes_first_and_must_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0123456789abcdef")
    assert load_or_make(tmp_path).accepts("Bearer 0123456789abcdef") and not list(tmp_path.iterdir())
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(ServeError, match=VARIABLE):
        load_or_make(tmp_path)


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    with artefact(tmp_path / "merged", kind="merged") as work:
        (work.dir / "config.json").write_text("{}")
        (work.dir / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "merged"


@pytest.fixture
def signer(tmp_path: Path) -> Path:
    """A private key; its public half lies beside it with the suffix .pub."""
    keygen(tmp_path / "release.pem")
    return tmp_path / "release.pem"


def release(tmp_path: Path, model: Path, signer: Path, **changes: Any) -> Path:
    now = datetime.now(UTC)
    digests = dict.fromkeys(("base", "adapter", "dataset", "evaluation", "policy"), "0" * 64)
    body = {"merged": artefact_digest(model), "verdict": "promote", "temperature": 0.3, **digests}
    times = {"created": now - timedelta(days=2), "expires": now + timedelta(days=1)}
    path = tmp_path / "release.json"
    signed = sign_release({**body, **times, **changes}, signer)
    path.write_text(json.dumps(signed), encoding="utf-8")
    return path


def test_released_weights_are_served(tmp_path: Path, merged: Path, signer: Path) -> None:
    path = release(tmp_path, merged, signer)
    assert require_release(merged, path, 0.3, signer.with_suffix(".pub")) == artefact_digest(merged)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"verdict": "block", "reasons": ["worse than the base"]}, "worse than the base"),
        ({"verdict": "inconclusive"}, "inconclusive"),
        ({"merged": "f" * 64}, "not the released weights"),
        ({"temperature": 0.2}, "up to temperature 0.2, not at 0.3"),
        ({"expires": datetime.now(UTC) - timedelta(days=1)}, "expired"),
    ],
)
def test_what_is_not_released_is_refused_with_the_reason(
    tmp_path: Path, merged: Path, signer: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ServeError, match=reason) as caught:
        require_release(merged, release(tmp_path, merged, signer, **changes), 0.3, signer.with_suffix(".pub"))
    assert caught.value.exit_code == 3 and "--allow-unreleased" in caught.value.remedy


def test_tampering_is_found(tmp_path: Path, merged: Path, signer: Path) -> None:
    path, public = release(tmp_path, merged, signer), signer.with_suffix(".pub")
    keygen(tmp_path / "stranger.pem")
    with pytest.raises(ServeError, match="unknown key"):
        require_release(merged, path, 0.3, tmp_path / "stranger.pub")
    (merged / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(ServeError, match="changed after the release"):
        require_release(merged, path, 0.3, public)
    path.write_text(path.read_text().replace("promote", "block"))
    with pytest.raises(ServeError, match="signature"):
        require_release(merged, path, 0.3, public)
    with pytest.raises(ServeError, match="no release is given"):
        require_release(merged, None, 0.3)


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TIANJING, *arguments], capture_output=True, text=True, timeout=60)


def test_a_port_in_use_is_told_before_the_model_is_loaded(merged: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = call("serve", "run", str(merged), "--allow-unreleased", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr and "--port" in done.stderr
    assert not (merged.parent / ".serving").exists()


def test_wrong_input_is_told_plainly(merged: Path, tmp_path: Path) -> None:
    absent = call("serve", "run", str(tmp_path / "absent"), "--port", "0")
    assert absent.returncode == 2 and "no such model folder" in absent.stderr
    unreleased = call("serve", "run", str(merged), "--port", "0")
    assert unreleased.returncode == 3 and "--allow-unreleased" in unreleased.stderr
    (tmp_path / "c.yaml").write_text("kv_cache: 3")
    typo = call("serve", "check", str(merged), "--out", str(tmp_path / "o"), "--config", str(tmp_path / "c.yaml"))
    assert typo.returncode == 2 and "did you mean 'kv_cache_gib'" in typo.stderr


@pytest.mark.slow
def test_the_check_passes_on_real_vllm(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text("max_model_len: 512\nkv_cache_gib: 0.1\n")
    out = tmp_path / "run" / "serving"
    config = ("--config", str(tmp_path / "serve.yaml"))
    done = subprocess.run(
        [*TIANJING, "serve", "check", str(tiny_model), "--out", str(out), "--allow-unreleased", *config],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads((out / "check.json").read_text(encoding="utf-8"))
    assert [check["name"] for check in checks] == ["start", "models", "plain", "stream", "pii", "handoff", "no_key"]
    assert all(check["ok"] for check in checks)
    assert "without a release" in done.stderr


def _survives_the_death_of_its_engine(base_url: str, headers: dict[str, str], pid: int) -> None:
    """In the middle of a stream: the caller gets an error event, and later requests are answered again."""
    body = {"model": "tianjing", "max_tokens": 400, "stream": True, "messages": [{"role": "user", "content": "你好"}]}
    seen: list[str] = []
    with httpx.stream("POST", f"{base_url}/chat/completions", json=body, headers=headers, timeout=60) as answer:
        for line in answer.iter_lines():
            seen.append(line)
            if len(seen) == 5:
                for engine in descendants(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(engine, signal.SIGKILL)
    told = [json.loads(line.removeprefix("data: ")) for line in seen if line.startswith("data: {")]
    assert told[-1]["error"]["code"] == "engine_failed" and [line for line in seen if line][-1] == "data: [DONE]"
    body |= {"stream": False, "max_tokens": 4}
    deadline = time.monotonic() + 240
    while (
        again := httpx.post(f"{base_url}/chat/completions", json=body, headers=headers, timeout=60)
    ).status_code != 200:
        assert again.status_code == 503 and "retry-after" in again.headers and time.monotonic() < deadline
        time.sleep(1)


def _new_weights_take_over(base_url: str, key: str, weights: Path) -> None:
    """A second engine is started for merged weights and takes the traffic over, while callers are answered."""
    env = {**os.environ, "TIANJING_URL": base_url.removesuffix("/v1"), "TIANJING_API_KEY": key}

    def adapters(*arguments: str) -> str:
        command = [*TIANJING, "serve", "adapters", *arguments]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=300).stdout

    body = {"model": "tianjing", "max_tokens": 4, "messages": [{"role": "user", "content": "你好"}]}
    answered: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            url, headers = f"{base_url}/chat/completions", {"authorization": f"Bearer {key}"}
            answered.append(httpx.post(url, json=body, headers=headers, timeout=60).status_code)

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        adapters("add", "tianjing", "v2", str(weights), "--override-reason", "trial")
        adapters("canary", "tianjing", "v2", "--share", "0.5")
        before = len(answered)
        deadline = time.monotonic() + 60
        while len(answered) < before + 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert re.search(r"canary 0 of [1-9]", adapters("list"))
        adapters("promote", "tianjing")
        assert "stable v2" in adapters("list")
        time.sleep(1)
    finally:
        over.set()
        caller.join()
    assert set(answered) == {200} and len(answered) > 20


@pytest.mark.slow
def test_the_endpoint_outlives_its_engine_and_changes_weights(tiny_model: Path, tmp_path: Path) -> None:
    settings = f"max_model_len: 512\nkv_cache_gib: 0.1\nadapters: {{roots: [{tmp_path}]}}\n"
    (tmp_path / "serve.yaml").write_text(settings)
    shutil.copytree(tiny_model, tmp_path / "new")
    command = [*TIANJING, "serve", "run", str(tiny_model), "--allow-unreleased", "--port", "0"]
    command += ["--config", str(tmp_path / "serve.yaml"), "--state", str(tmp_path / "state")]
    env = {name: value for name, value in os.environ.items() if name != VARIABLE}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout
        told = ""
        while "EOF\n\n" not in told and (line := process.stdout.readline()):
            told += line
        base_url, key = re.search(r"http://\S+/v1", told), re.search(r"tj-\S+", told)
        assert base_url and key
        headers = {"authorization": f"Bearer {key[0]}"}
        body = {"model": "tianjing", "max_tokens": 4, "messages": [{"role": "user", "content": "你好"}]}
        answer = httpx.post(f"{base_url[0]}/chat/completions", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200 and answer.headers["x-tianjing-release"] == "none"
        assert (tmp_path / "state" / "engine.log").exists()
        _survives_the_death_of_its_engine(base_url[0], headers, process.pid)
        _new_weights_take_over(base_url[0], key[0], tmp_path / "new")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{base_url[0]}/models")
    finally:
        process.kill()
        process.wait()
