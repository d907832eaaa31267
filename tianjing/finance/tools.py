"""The cost engine as tools for a served model: OpenAI tool schemas from the models themselves, and one call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import to_jsonable_python

from tianjing.config import StrictModel, parse
from tianjing.finance.cost import quote
from tianjing.finance.debt import debt_on
from tianjing.finance.errors import FinanceError
from tianjing.finance.policy import Policy
from tianjing.finance.restructure import Request, restructure
from tianjing.finance.schedule import make_schedule
from tianjing.finance.table import make_table, render
from tianjing.finance.terms import MAX_INSTALMENTS, Day, LoanTerms


class LoanArguments(StrictModel):
    loan: LoanTerms


class TableArguments(StrictModel):
    loan: LoanTerms
    form: Literal["markdown", "html", "json"] = "markdown"


class DebtArguments(StrictModel):
    loan: LoanTerms
    paid_instalments: Annotated[int, Field(ge=0, le=MAX_INSTALMENTS)]
    as_of: Day


class RestructureArguments(StrictModel):
    loan: LoanTerms
    request: Request


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: what the model reads about it, what it must send, and what is then run."""

    name: str
    description: str
    arguments: type[StrictModel]
    run: Callable[[Any], Any]

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, without the titles that only repeat the names: the model reads every word."""
        return dict(_without_titles(self.arguments.model_json_schema()))


class CostTools:
    """The tools; restructuring only with a policy, which the caller sets and the model cannot choose."""

    def __init__(self, policy: Policy | None = None):
        offered = [
            Tool(
                "quote",
                "Cost of a loan (综合融资成本): cash received, totals, every item with its payee, annual rates (IRR, "
                "simple), contingent costs apart. Amounts in yuan, rates as fractions.",
                LoanArguments,
                lambda given: _quote(given.loan),
            ),
            Tool(
                "schedule",
                "Repayment schedule (还款计划), in yuan: date, payment, principal, interest, fees, balance by row.",
                LoanArguments,
                lambda given: {"rows": make_schedule(given.loan)},
            ),
            Tool(
                "table",
                "The cost table that is shown before signing (综合融资成本明示表), as text.",
                TableArguments,
                lambda given: {"table": render(make_table(quote(given.loan)), given.form)},
            ),
            Tool(
                "debt",
                "What is owed on a day, in yuan: principal, interest, fees, penalty, settlement fee; days overdue.",
                DebtArguments,
                _debt,
            ),
        ]
        if policy is not None:
            offered.append(
                Tool(
                    "restructure",
                    "New schedule after a deferral (延期), new instalments (分期) or waivers (减免) within the policy "
                    f"“{policy.name}”; outside of it refused, with the clause and its limit.",
                    RestructureArguments,
                    lambda given: restructure(given.loan, given.request, policy),
                )
            )
        self.tools = {tool.name: tool for tool in offered}

    def openai(self) -> list[dict[str, Any]]:
        """For the `tools` field of a chat completion request."""
        return [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema()},
            }
            for tool in self.tools.values()
        ]

    def call(self, name: str, arguments: str | Mapping[str, Any]) -> dict[str, Any]:
        """Run a tool; amounts, rates and dates come back as text, so that no digit is lost.

        Args:
            arguments: a mapping, or the JSON text of a tool call.

        Raises:
            TianjingError: no such tool, arguments that cannot be right, or a loan or plan that is refused.
        """
        if name not in self.tools:
            raise FinanceError(f"no tool '{name}'", f"one of: {', '.join(self.tools)}")
        tool = self.tools[name]
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except json.JSONDecodeError as error:
                raise FinanceError(f"{name}: the arguments are not JSON: {error}", "send one JSON object") from None
        return dict(to_jsonable_python(tool.run(parse(tool.arguments, arguments, name))))


def _without_titles(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_titles(part) for key, part in schema.items() if key != "title" or not isinstance(part, str)}


def _quote(loan: LoanTerms) -> dict[str, Any]:
    quoted = quote(loan)
    return {
        field.name: getattr(quoted, field.name) for field in fields(quoted) if field.name not in ("terms", "schedule")
    }


def _debt(given: DebtArguments) -> dict[str, Any]:
    debt = debt_on(given.loan, given.paid_instalments, given.as_of)
    return {**to_jsonable_python(debt), "total": debt.total}
