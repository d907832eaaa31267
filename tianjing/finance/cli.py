"""`tianjing cost`: quotes, schedules, cost tables, debts and restructuring of a loan; the same as tools over MCP."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from decimal import Decimal

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="What a loan costs: exact schedules, annual rates, cost tables, restructuring.",
    epilog="Example: tianjing cost quote examples/cost/loan.yaml",
)

_Loan = Annotated[Path, typer.Argument(help="Loan terms, YAML or JSON; see examples/cost/.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON: amounts, rates (fractions) and dates as text.")]
_EXIT_FINDINGS = 1


@app.callback()
def _cost() -> None:
    """What a loan costs: exact schedules, annual rates, cost tables, restructuring."""


@app.command(epilog="Example: tianjing cost quote examples/cost/loan.yaml")
def quote(loan: _Loan, as_json: _Json = False) -> None:
    """Cash received, every item of the cost, totals, and the annual rates, each under its own name."""
    from tianjing.finance.cost import quote as make_quote
    from tianjing.finance.money import show_percent, show_yuan
    from tianjing.finance.terms import load_terms

    quoted = make_quote(load_terms(loan))
    if as_json:
        _print_json(quoted)
        return
    _print_rows(
        ["item", "payee", "standard", "amount"],
        [[item.name, item.payee, item.standard, show_yuan(item.amount)] for item in quoted.items],
    )
    rates = quoted.rates
    nominal = [] if rates.nominal is None else [("simple 单利, monthly IRR × 12", show_percent(rates.nominal))]
    _print_rows(
        ["", "total"],
        [
            ["cash received 实际到账", show_yuan(quoted.cash_received)],
            ["total repayment 还款总额", show_yuan(quoted.total_repayment)],
            ["total cost 综合融资成本", show_yuan(quoted.total_cost)],
            ["simple 单利, on principal outstanding", show_percent(rates.simple)],
            *nominal,
            ["compound 复利, IRR", show_percent(rates.irr)],
            ["compound 复利, IRR by days (act/365)", show_percent(rates.irr_by_days)],
        ],
    )
    for cost in quoted.contingent:
        typer.echo(f"not in the total: {cost.name}（{cost.condition}）{cost.standard}，{cost.payee}")
    for notice in quoted.notices:
        typer.echo(f"notice: {notice.text}〔{notice.source}〕")


@app.command(epilog="Example: tianjing cost schedule examples/cost/loan.yaml --json")
def schedule(loan: _Loan, as_json: _Json = False) -> None:
    """One row per due date, in yuan; the principal adds up to the debt exactly."""
    from tianjing.finance.schedule import make_schedule
    from tianjing.finance.terms import load_terms

    rows = make_schedule(load_terms(loan))
    if as_json:
        _print_json(rows)
    else:
        _print_schedule(rows, ["principal", "interest", "fees"])


@app.command(epilog="Example: tianjing cost table examples/cost/loan.yaml --form html --out table.html")
def table(
    loan: _Loan,
    form: Annotated[Literal["markdown", "html", "json"], typer.Option(help="markdown, html or json.")] = "markdown",
    out: Annotated[Path | None, typer.Option(help="Write it here instead of printing it.")] = None,
) -> None:
    """The cost table that a borrower must see before signing (综合融资成本明示表)."""
    from tianjing.files import atomic_write
    from tianjing.finance.cost import quote as make_quote
    from tianjing.finance.table import make_table, render
    from tianjing.finance.terms import load_terms

    text = render(make_table(make_quote(load_terms(loan))), form)
    if out:
        atomic_write(out, text)
    else:
        typer.echo(text, nl=False)


@app.command(epilog="Example: tianjing cost validate table.json")
def validate(
    file: Annotated[Path, typer.Argument(help="A cost table as JSON, as `tianjing cost table --form json` writes it.")],
    as_json: _Json = False,
) -> None:
    """Check a cost table: nothing missing, sums that add up, rates that follow from the payments; exit 1 if not."""
    from tianjing.finance.table import DUTY_FROM, load_table
    from tianjing.finance.table_check import check_table

    read = load_table(file)
    findings = check_table(read)
    if as_json:
        _print_json(findings)
    else:
        for finding in findings:
            typer.echo(f"{finding.field}: {finding.problem}\n  rule: {finding.rule}\n  → {finding.remedy}")
    if read.disbursed_on < DUTY_FROM:
        typer.echo(f"disbursed on {read.disbursed_on}: the duty to show a table begins on {DUTY_FROM}", err=True)
    typer.echo(f"{len(findings)} findings", err=True)
    if findings:
        raise typer.Exit(_EXIT_FINDINGS)


@app.command(epilog="Example: tianjing cost rate examples/cost/flows.yaml")
def rate(
    flows: Annotated[Path, typer.Argument(help="`cash_flows:` with day, amount (received +, paid −), label, part.")],
    as_json: _Json = False,
) -> None:
    """Annual rates of labelled cash flows by days: IRR (where several fit, all are named), and simple with `part`."""
    from tianjing.config import load
    from tianjing.finance.money import show_percent
    from tianjing.finance.rates import CashFlows, dated_irr, dated_simple_rate, twelve_decimals

    read = load(CashFlows, flows).cash_flows
    rates = {"irr_by_days": dated_irr(read)}
    if any(flow.part for flow in read):
        rates["simple"] = dated_simple_rate(read)
    if as_json:
        _print_json({name: twelve_decimals(value) for name, value in rates.items()})
        return
    names = {"irr_by_days": "compound 复利, IRR by days (act/365)", "simple": "simple 单利, on principal outstanding"}
    _print_rows(["", "annual rate"], [[names[name], show_percent(value, 6)] for name, value in rates.items()])


@app.command(epilog="Example: tianjing cost debt examples/cost/loan.yaml --paid 3 --on 2027-01-20")
def debt(
    loan: _Loan,
    paid: Annotated[int, typer.Option(help="Instalments paid on time; the later ones are unpaid.")],
    on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day (YYYY-MM-DD).")],
    as_json: _Json = False,
) -> None:
    """What is owed on a day, and what settling early costs."""
    from tianjing.finance.debt import debt_on
    from tianjing.finance.money import show_yuan
    from tianjing.finance.terms import load_terms

    owed = debt_on(load_terms(loan), paid, on.date())
    if as_json:
        _print_json(owed)
        return
    amounts = [(name, getattr(owed, name)) for name in ("principal", "interest", "fees", "penalty", "total")]
    amounts += [
        ("of it overdue, without penalty", owed.overdue_amount),
        ("fee for settling early", owed.settlement_fee),
    ]
    _print_rows([f"{owed.as_of}, {owed.overdue_days} days overdue", "amount"], [[n, show_yuan(a)] for n, a in amounts])


@app.command(
    epilog="Example: tianjing cost restructure examples/cost/loan.yaml examples/cost/request.yaml "
    "--policy examples/cost/policy.yaml"
)
def restructure(
    loan: _Loan,
    request: Annotated[Path, typer.Argument(help="What is asked for: deferral 延期, reinstalment 分期, waivers 减免.")],
    policy: Annotated[Path, typer.Option(help="The company's policy; a plan outside it is refused with the clause.")],
    as_json: _Json = False,
) -> None:
    """The new schedule within the policy, what it waives, and what it costs."""
    from tianjing.config import load
    from tianjing.finance.money import show_percent, show_yuan
    from tianjing.finance.policy import load_policy
    from tianjing.finance.restructure import Request
    from tianjing.finance.restructure import restructure as make_plan
    from tianjing.finance.terms import load_terms

    plan = make_plan(load_terms(loan), load(Request, request), load_policy(policy))
    if as_json:
        _print_json(plan)
        return
    _print_schedule(plan.schedule, ["principal", "interest", "fees", "penalty"])
    _print_rows(
        [f"within {plan.policy}", ""],
        [
            ["clauses", "、".join(plan.clauses)],
            ["debt before", show_yuan(plan.debt.total)],
            *([f"waived {component}", show_yuan(amount)] for component, amount in plan.waived.items()),
            ["total payment", show_yuan(plan.total_payment)],
            ["present value before", show_yuan(plan.value_before)],
            ["present value after", show_yuan(plan.value_after)],
            ["given up", show_yuan(plan.given_up)],
            ["whole loan, IRR by days (act/365)", show_percent(plan.whole_loan_irr)],
        ],
    )


@app.command(epilog='Example: tianjing cost check "年化利率18%，分12期" --loan examples/cost/loan.yaml')
def check(
    text: Annotated[str, typer.Argument(help="What was said: a text, or a file with one text a line.")],
    facts: Annotated[Path | None, typer.Option(help="What is true: facts.json, see docs/statements.md.")] = None,
    loan: Annotated[Path | None, typer.Option(help="What is true: loan terms, paid as agreed.")] = None,
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day on which it is said; default: of the facts.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Check every amount, rate, date and count that a text states; exit 1 when one is wrong."""
    from rich.progress import track

    from tianjing.console import make_console
    from tianjing.finance.statements import check_statements
    from tianjing.finance.statements.sources import known_truth, read_texts

    truth = known_truth(facts, loan, on.date() if on else None)
    lines = track(list(read_texts(text)), "texts", console=make_console(stderr=True), transient=True)
    stated = [(number, said) for number, line in lines for said in check_statements(line, truth)]
    if as_json:
        _print_json(
            [{"line": number, **{name: getattr(said, name) for name in said.__slots__}} for number, said in stated]
        )
    else:
        _print_rows(
            ["line", "said", "kind", "verdict", "reason"],
            [[str(number), said.evidence, said.kind, said.verdict, said.reason] for number, said in stated],
            numbers_from=5,
        )
    wrong = sum(said.verdict == "wrong" for _, said in stated)
    typer.echo(f"{len(stated)} stated values, {wrong} wrong", err=True)
    if wrong:
        raise typer.Exit(_EXIT_FINDINGS)


@app.command("mcp", epilog="Example: tianjing cost mcp --policy examples/cost/policy.yaml")
def serve_mcp(
    policy: Annotated[Path | None, typer.Option(help="Offer restructuring too, within this policy.")] = None,
) -> None:
    """Serve the same functions to a model over the Model Context Protocol, on standard input and output."""
    from tianjing.finance.mcp_server import serve_stdio
    from tianjing.finance.policy import load_policy

    serve_stdio(load_policy(policy) if policy else None)


def _print_json(value: Any) -> None:
    import json

    from pydantic_core import to_jsonable_python

    typer.echo(json.dumps(to_jsonable_python(value), ensure_ascii=False, indent=2))


def _print_schedule(rows: Any, parts: list[str]) -> None:
    def cell(value: Decimal) -> str:
        return f"{value:,.2f}"

    columns = ["payment", *parts, "balance"]
    _print_rows(
        ["no", "due on", *columns],
        [[str(row.number), str(row.due_on), *(cell(getattr(row, column)) for column in columns)] for row in rows],
        numbers_from=2,
    )


def _print_rows(header: list[str], rows: list[Any], numbers_from: int | None = None) -> None:
    """A table; columns from `numbers_from` on (the last when left out) are set to the right."""
    from rich.table import Table

    from tianjing.console import print_table

    first_number = len(header) - 1 if numbers_from is None else numbers_from
    made = Table(box=None, header_style="bold")
    for index, name in enumerate(header):
        made.add_column(name, justify="right" if index >= first_number else "left")
    for row in rows:
        made.add_row(*row)
    print_table(made)
