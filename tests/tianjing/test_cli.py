"""The command line answers at once, and its errors name what is wrong."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from tests.conftest import REPOSITORY
from tianjing.cli import app


def tianjing(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tianjing", *arguments], capture_output=True, text=True, cwd=cwd, timeout=60, check=False
    )


def test_help_answers_in_under_a_second_without_a_gpu_library() -> None:
    probe = (
        "import sys, tianjing.cli\n"
        "sys.argv = ['tianjing', '--help']\n"
        "try: tianjing.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'vllm', 'pyarrow', 'evals', 'training'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Run a pipeline" in result.stdout
    assert time.monotonic() - started < 2  # well under a second on a quiet machine


@pytest.mark.parametrize(
    "command",
    [
        ("run",),
        ("ablate",),
        ("data", "extract"),
        ("data", "review"),
        ("data", "build"),
        ("data", "inspect"),
        ("data", "diff"),
        ("train", "run"),
        ("train", "merge"),
        ("eval", "run"),
        ("eval", "gate"),
        ("eval", "compare"),
        ("eval", "report"),
        ("eval", "negotiate"),
        ("serve", "run"),
        ("serve", "check"),
        ("lineage", "show"),
        ("lineage", "verify"),
        ("lineage", "keygen"),
        ("lineage", "sign"),
        ("models", "fetch"),
        ("simulate",),
    ],
)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = tianjing(*command, "--help")
    assert result.returncode == 0, result.stderr
    assert "Example" in result.stdout
    assert f"tianjing {' '.join(command)}" in result.stdout


def _groups(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        yield name, command
        for word in command.list_commands(typer.Context(command)):
            yield from _groups(command.get_command(typer.Context(command), word), f"{name} {word}")


def test_every_group_has_an_example_that_its_commands_understand() -> None:
    root = typer.main.get_command(app)
    groups = dict(_groups(root, "tianjing"))
    assert {"tianjing data", "tianjing eval canary", "tianjing serve keys"} < set(groups)
    for name, group in groups.items():
        example = str(group.epilog).removeprefix("Example: ")
        assert example.startswith(name), f"{name}: {example}"
        assert not any("completion" in parameter.name for parameter in group.params), name
        words, command = shlex.split(example)[1:], root
        while isinstance(command, TyperGroup):
            _, command, words = command.resolve_command(typer.Context(command), words)
        command.make_context(name, words)  # raises where an option or argument is wrong


def test_unknown_command_exits_2() -> None:
    assert tianjing("evaluate").returncode == 2


def test_ctrl_c_ends_a_command_that_a_script_put_in_the_background(tmp_path: Path) -> None:
    # Such a command inherits an ignored SIGINT, and Python leaves it ignored.
    command = [sys.executable, "-m", "tianjing", "simulate", "--cases", "100000", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(["bash", "-c", 'trap "" INT; exec "$@"', "bash", *command], stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert not (tmp_path / "out").exists()
