"""The labelled sets are the ones that the published figures were measured on, and the rules still reach theirs."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

DATA = REPOSITORY / "tests" / "data"
FROZEN = [line.split() for line in (DATA / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("digest", "name"), FROZEN)
def test_a_labelled_set_is_as_it_was_frozen(digest: str, name: str) -> None:
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest


def test_every_labelled_set_is_frozen() -> None:
    assert {name for _, name in FROZEN} == {path.name for path in DATA.glob("*.jsonl")}


@pytest.mark.slow
def test_the_rules_keep_recall_and_precision_on_the_labelled_turns() -> None:
    command = [sys.executable, "scripts/bench/rulebook.py", "--turns", "tests/data/rulebook_turns.jsonl"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
