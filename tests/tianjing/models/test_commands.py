"""`tianjing models`: fetch, show, verify."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from tianjing.lineage import verify as differences_of
from tianjing.models.cli import app

run = CliRunner().invoke


def test_commands_show_fetch_and_mend(cache: Path) -> None:
    assert "no model yet" in run(app, ["show"]).output
    fetched = run(app, ["fetch", "tiny"])
    assert fetched.exit_code == 0, fetched.output
    path = Path(fetched.stdout.strip())
    assert path.name in run(app, ["show"]).output
    assert "every digest matches" in run(app, ["verify", "tiny"]).output

    data = bytearray((path / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "model.safetensors").write_bytes(data)
    found = run(app, ["verify", "tiny", "--check-only"])
    assert found.exit_code == 1
    assert "model.safetensors: changed" in found.output
    mended = run(app, ["verify", "tiny"])
    assert mended.exit_code == 0
    assert "made again" in mended.output
    assert differences_of(path) == []


def test_commands_have_help_with_an_example() -> None:
    for command in ("fetch", "show", "verify"):
        result = run(app, [command, "--help"])
        assert f"Example: tianjing models {command}" in result.output


def test_models_help_loads_no_heavy_library() -> None:
    code = "import sys, tianjing.models.cli; print(sorted({'torch', 'transformers', 'vllm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
