"""Tables stay whole where the output is no terminal."""

from __future__ import annotations

import pytest
from rich.table import Table

from tianjing.console import print_table


def test_a_wide_table_is_not_cut_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    table = Table("任务", "95% CI", *(f"column {number}" for number in range(8)))
    table.add_row("quality_inspection", "+0.022 … +0.422", *("value that needs its room" for _ in range(8)))
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "quality_inspection" in lines[3] and "+0.022 … +0.422" in lines[3]
