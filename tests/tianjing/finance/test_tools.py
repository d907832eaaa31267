"""The cost engine as tools: schemas that describe themselves, exact results, errors that a model can read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client, types

from tests.conftest import REPOSITORY
from tests.tianjing.finance.loans import PLAIN
from tianjing.errors import TianjingError
from tianjing.finance import FinanceError, LoanTerms, quote
from tianjing.finance.mcp_server import serve_stdio
from tianjing.finance.policy import load_policy
from tianjing.finance.tools import CostTools

POLICY_FILE = REPOSITORY / "examples" / "cost" / "policy.yaml"
REQUEST = {"as_of": "2026-12-20", "paid_instalments": 3, "deferral": {"days": 30}}


@pytest.fixture(scope="module")
def tools() -> CostTools:
    return CostTools(load_policy(POLICY_FILE))


def test_the_schemas_accept_what_the_tools_accept_and_refuse_unknown_fields(tools: CostTools) -> None:
    by_name = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools.openai()}
    assert list(by_name) == ["quote", "schedule", "table", "debt", "restructure"]
    jsonschema.validate({"loan": PLAIN}, by_name["quote"])
    jsonschema.validate({"loan": PLAIN, "request": REQUEST}, by_name["restructure"])
    with pytest.raises(jsonschema.ValidationError, match="'annual_rate' was unexpected"):
        jsonschema.validate({"loan": {**PLAIN, "annual_rate": 12}}, by_name["quote"])


def test_every_field_of_a_loan_that_needs_words_is_described(tools: CostTools) -> None:
    loan = tools.openai()[0]["function"]["parameters"]["$defs"]["LoanTerms"]["properties"]
    assert loan["principal"]["description"] == "Amount of the contract, before anything is deducted."
    assert "随借随还" in tools.openai()[0]["function"]["parameters"]["$defs"]["LoanTerms"]["description"]


def test_a_call_gives_exact_amounts_as_text(tools: CostTools) -> None:
    result = tools.call("quote", json.dumps({"loan": PLAIN}))
    quoted = quote(LoanTerms.model_validate(PLAIN))
    assert result["total_cost"] == str(quoted.total_cost) == "794.23"
    assert result["rates"]["simple"] == str(quoted.rates.simple)
    assert tools.call("schedule", {"loan": PLAIN})["rows"][0]["payment"] == "1066.19"
    assert "综合融资成本明示表" in tools.call("table", {"loan": PLAIN})["table"]
    assert tools.call("debt", {"loan": PLAIN, "paid_instalments": 3, "as_of": "2026-12-20"})["overdue_days"] == 5
    assert tools.call("restructure", {"loan": PLAIN, "request": REQUEST})["clauses"] == ["第四条（延期）"]
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("transfer", {}, "no tool 'transfer'"),
        ("quote", "{loan", "the arguments are not JSON"),
        ("quote", "[]", "quote: "),
        ("quote", {"loan": {**PLAIN, "principal": "1066.191"}}, "at most two decimals"),
        ("restructure", {"loan": PLAIN, "request": {**REQUEST, "deferral": {"days": 60}}}, "days 60; at most 30"),
    ],
)
def test_what_is_refused_says_why(tools: CostTools, name: str, arguments: Any, reason: str) -> None:
    with pytest.raises(TianjingError) as caught:
        tools.call(name, arguments)
    assert reason in caught.value.message


def test_without_a_policy_nothing_can_be_restructured() -> None:
    with pytest.raises(FinanceError, match="no tool 'restructure'"):
        CostTools().call("restructure", {"loan": PLAIN, "request": REQUEST})


def test_a_client_lists_and_calls_the_tools_over_stdio(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "tianjing", "cost", "mcp", "--policy", str(POLICY_FILE)],
        env={"PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path,
    )

    async def talk() -> tuple[list[str], types.CallToolResult, types.CallToolResult]:
        with anyio.fail_after(60):
            async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
                await session.initialize()
                names = [tool.name for tool in (await session.list_tools()).tools]
                good = await session.call_tool("quote", {"loan": PLAIN})
                bad = await session.call_tool(
                    "restructure", {"loan": PLAIN, "request": {**REQUEST, "deferral": {"days": 60}}}
                )
                return names, good, bad

    names, good, bad = anyio.run(talk)
    assert names == ["quote", "schedule", "table", "debt", "restructure"]
    assert not good.is_error
    assert good.structured_content["total_cost"] == "794.23"
    assert bad.is_error
    assert "第四条（延期）: days 60; at most 30" in bad.content[0].text


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "mcp" or name.startswith("mcp.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(FinanceError, match="not installed") as caught:
        serve_stdio()
    assert "tianjing[mcp]" in caught.value.remedy
