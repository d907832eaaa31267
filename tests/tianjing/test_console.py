"""What is printed is what was given, and whole where the output is no terminal."""

from __future__ import annotations

import re

import pytest
from rich.table import Table

from tests.conftest import REPOSITORY
from tianjing.console import make_console, print_table


def test_a_name_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    for markup in (True, False):
        make_console(markup=markup).print("raw/d.jsonl:100: :memo: broken JSON")
    print_table(Table("a:100:b"))
    assert capsys.readouterr().out.count(":100:") == 3


def test_every_console_is_made_in_one_place() -> None:
    packages = ("tianjing", "data_recipes", "training", "evals", "serving")
    sources = [path for name in packages for path in (REPOSITORY / name).rglob("*.py")]
    made = {str(path.relative_to(REPOSITORY)) for path in sources if re.search(r"\bConsole\(", path.read_text("utf-8"))}
    assert made == {"tianjing/console.py"}


def test_a_wide_table_is_not_cut_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    table = Table("任务", "95% CI", *(f"column {number}" for number in range(8)))
    table.add_row("quality_inspection", "+0.022 … +0.422", *("value that needs its room" for _ in range(8)))
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "quality_inspection" in lines[3] and "+0.022 … +0.422" in lines[3]
