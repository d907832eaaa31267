"""`tianjing privacy`: find personal data in a file, de-identify it, and test whether people can be told apart after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tianjing.console import make_console

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Find and replace Chinese personal data (de-identification, not anonymisation).",
    epilog="Example: tianjing privacy scan raw/dialogues.jsonl --customers raw/customers.jsonl --out masked.jsonl",
)


@app.callback()
def _privacy() -> None:
    """Find and replace Chinese personal data (de-identification, not anonymisation)."""


@app.command(
    epilog="Example: tianjing privacy scan raw/dialogues.jsonl --customers raw/customers.jsonl --out masked.jsonl"
)
def scan(
    file: Annotated[Path, typer.Argument(help="JSON Lines with `turns` or `text`, or .txt/.md read line by line.")],
    customers: Annotated[
        Path | None, typer.Option(help="customers.jsonl: known values, and the table of the re-identification test.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the de-identified records here, as JSON Lines.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report here, as HTML.")] = None,
    act: Annotated[str, typer.Option(help="placeholder, mask (stars), pseudonym or surrogate.")] = "placeholder",
    key: Annotated[
        Path | None, typer.Option(help="File with the key (16 bytes or more) of pseudonym and surrogate.")
    ] = None,
) -> None:
    """Count personal data by kind, show it masked, write the de-identified file, and try to re-identify it."""
    from tianjing.files import require_target
    from tianjing.privacy.scan import make_act, totals, write_report
    from tianjing.privacy.scan import scan as run

    require_target(report)
    chosen = make_act(act, key)
    with make_console(stderr=True).status("reading …") as status:
        result = run(file, customers, out, chosen, lambda done: status.update(f"{done} records"))
    console = make_console()
    for name, value in totals(result).items():
        console.print(f"{name}: {value}")
    table = Table("kind", "类别", "findings", "after de-identification")
    for kind, word, count in result.lines():
        table.add_row(kind, word, str(count), "\n".join(result.samples.get(kind, [])))
    console.print(table, markup=False)
    if result.before and result.after:
        console.print(
            f"re-identification: {result.before.rate:.2%} of {result.before.dialogues} before, "
            f"{result.after.rate:.2%} after ({result.after.right} right, {result.after.wrong} wrong; "
            f"chance {result.after.chance:.2%})"
        )
    if report:
        write_report(result, file, act, report)
        console.print(f"{report}: report")
    if out:
        console.print(f"{out}: {result.records} records, de-identified (not anonymised)")
