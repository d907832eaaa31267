"""The cost engine as tools: schemas that describe themselves, exact results, errors that a model can read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


TOOLS = CostTools(load_policy(POLICY_FILE))


def test_the_schemas_accept_what_the_tools_accept_and_refuse_unknown_fields() -> None:
    by_name = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS.openai()}
    assert list(by_name) == ["quote", "schedule", "table", "debt", "restructure"]
    jsonschema.validate({"loan": PLAIN}, by_name["quote"])
    jsonschema.validate({"loan": PLAIN, "request": REQUEST}, by_name["restructure"])
    with pytest.raises(jsonschema.ValidationError, match="'annual_rate' was unexpected"):
        jsonschema.validate({"loan": {**PLAIN, "annual_rate": 12}}, by_name["quote"])


def test_every_field_of_a_loan_that_needs_words_is_described() -> None:
    loan = TOOLS.openai()[0]["function"]["parameters"]["$defs"]["LoanTerms"]["properties"]
    assert loan["principal"]["description"] == "Amount of the contract, before anything is deducted."
    assert "随借随还" in TOOLS.openai()[0]["function"]["parameters"]["$defs"]["LoanTerms"]["description"]


def test_a_call_gives_exact_amounts_as_text() -> None:
    result = TOOLS.call("quote", json.dumps({"loan": PLAIN}))
    quoted = quote(LoanTerms.model_validate(PLAIN))
    assert result["total_cost"] == str(quoted.total_cost) == "794.23"
    assert result["rates"]["simple"] == str(quoted.rates.simple)
    assert TOOLS.call("schedule", {"loan": PLAIN})["rows"][0]["payment"] == "1066.19"
    assert "综合融资成本明示表" in TOOLS.call("table", {"loan": PLAIN})["table"]
    assert TOOLS.call("debt", {"loan": PLAIN, "paid_instalments": 3, "as_of": "2026-12-20"})["overdue_days"] == 5
    assert TOOLS.call("restructure", {"loan": PLAIN, "request": REQUEST})["clauses"] == ["第四条（延期）"]
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
def test_what_is_refused_says_why(name: str, arguments: Any, reason: str) -> None:
    with pytest.raises(TianjingError) as caught:
        TOOLS.call(name, arguments)
    assert reason in caught.value.message


_amounts = st.sampled_from(("0.01", "3.33", "600", "12000", "999999999999.99", 1066.191, -4, "x", 0))
_percents = st.sampled_from((0, "0.01", 1, 12, 36, 100, 999, "1000", 18.25))
_days = st.sampled_from(("1980-01-01", "2026-08-15", "2026-12-31", "2027-01-31", "2028-02-29", "2199-12-31"))
_counts = st.sampled_from((0, 1, 2, 3, 12, 480))
_rates = st.fixed_dictionaries(
    {"percent": _percents, "per": st.sampled_from(("year", "month", "day")), "day_count": st.sampled_from((360, 365))}
)
_fees = st.fixed_dictionaries(
    {"name": st.just("f"), "payee": st.just("p"), "when": st.sampled_from(("deducted", "financed", "each_instalment"))},
    optional={"amount": _amounts, "percent": _percents, "of": st.sampled_from(("principal", "balance"))},
)
_penalties = st.fixed_dictionaries(
    {"name": st.just("p"), "payee": st.just("q")},
    optional={"rate": _rates, "markup_percent": _percents, "amount": _amounts, "cap_percent": _percents},
)
_loans = st.fixed_dictionaries(
    {
        "product": st.just("x"),
        "lender": st.just("y"),
        "principal": _amounts,
        "disbursed_on": _days,
        "rate": _rates,
        "method": st.sampled_from(("equal_instalment", "equal_principal", "interest_first", "daily_interest")),
    },
    optional={
        "instalments": _counts,
        "instalment_amount": _amounts,
        "accrual": st.sampled_from(("monthly", "actual_days")),
        "first_due_on": _days,
        "term_days": _counts,
        "fees": st.lists(_fees, max_size=2),
        "penalties": st.lists(_penalties, max_size=2),
    },
)
_requests = st.fixed_dictionaries(
    {"as_of": _days, "paid_instalments": _counts},
    optional={
        "deferral": st.fixed_dictionaries({"days": _counts}),
        "reinstalment": st.fixed_dictionaries({"instalments": _counts}, optional={"first_due_on": _days}),
        "waivers": st.lists(
            st.fixed_dictionaries({"of": st.sampled_from(("penalty", "principal")), "percent": _percents}), max_size=2
        ),
    },
)


@settings(deadline=None, max_examples=300)
@given(name=st.sampled_from(("quote", "table", "debt", "restructure")), loan=_loans, request=_requests)
def test_whatever_a_model_sends_is_answered_or_refused_with_a_reason(
    name: str, loan: dict[str, Any], request: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {"loan": loan}
    if name == "debt":
        arguments |= {"as_of": request["as_of"], "paid_instalments": request["paid_instalments"]}
    if name == "restructure":
        arguments["request"] = request
    try:
        assert json.dumps(TOOLS.call(name, arguments), allow_nan=False)
    except TianjingError as error:
        assert error.message


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
