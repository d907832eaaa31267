"""`tianjing cost`: every command on the shipped examples, JSON that is exact, exit status that a script can trust."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tianjing.errors import TianjingError
from tianjing.finance.cli import app

EXAMPLES = REPOSITORY / "examples" / "cost"
LOAN = str(EXAMPLES / "loan.yaml")
run = CliRunner().invoke


@pytest.mark.parametrize("command", ["quote", "schedule", "table", "validate", "rate", "debt", "restructure", "mcp"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: tianjing cost {command}" in result.output


@pytest.mark.parametrize("file", sorted(path.name for path in EXAMPLES.glob("loan*.yaml")))
def test_every_example_loan_is_quoted_and_its_table_is_in_order(file: str, tmp_path: Path) -> None:
    assert run(app, ["quote", str(EXAMPLES / file)]).exit_code == 0
    table = tmp_path / "table.json"
    assert run(app, ["table", str(EXAMPLES / file), "--form", "json", "--out", str(table)]).exit_code == 0
    assert run(app, ["validate", str(table)]).exit_code == 0


def test_quote_shows_total_and_each_rate_by_its_name() -> None:
    output = run(app, ["quote", LOAN]).output
    for words in ("992.79 元", "远帆融资担保有限公司", "simple 单利", "15.00%", "compound 复利, IRR ", "16.08%"):
        assert words in output
    assert "not in the total: 逾期罚息" in output
    assert json.loads(run(app, ["quote", LOAN, "--json"]).output)["total_cost"] == "992.79"


def test_the_worked_example_of_the_documentation_is_what_the_command_prints() -> None:
    shown = (REPOSITORY / "docs" / "finance.md").read_text("utf-8").split("```text\n")[1].split("```")[0]
    printed = [line.rstrip() for line in run(app, ["quote", LOAN]).output.splitlines()]
    assert shown.splitlines() == printed


def test_schedule_debt_and_restructure_agree_with_their_json() -> None:
    assert "1,096.19" in run(app, ["schedule", LOAN]).output
    assert json.loads(run(app, ["schedule", LOAN, "--json"]).output)[0]["payment"] == "1096.19"
    debt = ["debt", LOAN, "--paid", "3", "--on", "2027-01-20"]
    assert "36 days overdue" in run(app, debt).output
    assert json.loads(run(app, [*debt, "--json"]).output)["penalty"] == "19.74"
    plan = ["restructure", LOAN, str(EXAMPLES / "request.yaml"), "--policy", str(EXAMPLES / "policy.yaml")]
    assert "附表一（减免罚息）" in run(app, plan).output
    assert json.loads(run(app, [*plan, "--json"]).output)["total_waived"] == "56.68"


def test_a_table_with_a_finding_exits_1_and_says_what_to_do(tmp_path: Path) -> None:
    value = json.loads(run(app, ["table", LOAN, "--form", "json"]).output)
    del value["nothing_else"]
    file = tmp_path / "table.json"
    file.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    result = run(app, ["validate", str(file)])
    assert result.exit_code == 1
    assert "nothing_else: the statement that nothing else is charged is missing" in result.output
    assert "→ state:" in result.output


def test_the_rate_of_cash_flows_on_odd_days() -> None:
    flows = str(EXAMPLES / "flows.yaml")
    assert "25.174214%" in run(app, ["rate", flows]).output
    # 650 on 9,700, half of it repaid after 55 days and half after 158: 650 × 365 ÷ (9,700 × 106.5) = 22.966…%.
    expected = {"irr_by_days": "0.251742139413", "simple": "0.229659745414"}
    assert json.loads(run(app, ["rate", flows, "--json"]).output) == expected


def test_bad_input_exits_2_with_line_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "loan.yaml"
    file.write_text((EXAMPLES / "loan.yaml").read_text("utf-8").replace("12000.00", "12000.005"), encoding="utf-8")
    with pytest.raises(TianjingError, match=r"loan\.yaml:4: 'principal': 12000\.005 元: an amount has at most two"):
        run(app, ["quote", str(file)], catch_exceptions=False)


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, tianjing.finance.cli\nprint(sorted({'mcp', 'numpy', 'jinja2', 'rich.table'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"
