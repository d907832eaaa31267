"""`tianjing eval suite`: check suites before a run."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Check suites of your own or published ones, before a run.",
    epilog="Example: tianjing eval suite check exam.yaml FinanceIQ/data",
)


@app.command(epilog="Example: tianjing eval suite check exam.yaml FinanceIQ/data")
def check(
    paths: list[Path] = typer.Argument(..., help="Suite YAML files, or published folders whose layout is recognised."),
    shown: int = typer.Option(3, "--show", min=0, help="Items to print as the model would be asked them."),
) -> None:
    """Read every row, report what is wrong with file and line, and show counts and some items as they are asked."""
    from rich.table import Table

    from evals.suites.load import material_of, read_suite
    from tianjing.console import make_console, print_table

    loaded = [each for path in paths for each in read_suite(path)]
    table = Table("task", "reader", "test", "worked examples", "without answer", "licence")
    for each in loaded:
        counts = (len(each.test), len(each.train), each.blind)
        table.add_row(each.task.id, each.reader, *map(str, counts), each.licence or "not stated")
    print_table(table)
    console = make_console(soft_wrap=True, markup=False)
    for doubt in (doubt for each in loaded for doubt in each.doubts):
        console.print(f"doubtful: {doubt}")
    for each in loaded:
        for example in each.test[:shown]:
            console.print(f"\n{example.id}  {example.sources[0]}", style="bold")
            console.print(f"{example.messages[1].content}\n→ {example.messages[2].content}")
    console.print(f"\nSHA-256 of the content: {material_of(loaded).digest}")


@app.command(epilog="Example: tianjing eval suite readers")
def readers() -> None:
    """List the published layouts that can be read."""
    from rich.table import Table

    from evals.suites.readers import READERS
    from tianjing.console import print_table

    table = Table("reader", "set", "checked against", "licence")
    for each in READERS.values():
        table.add_row(each.name, each.title, each.seen or "real file not seen", each.licence)
    print_table(table)
