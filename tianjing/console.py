"""Tables on the console that stay whole in a pipe, a log, or a narrow terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_WIDEST = 400


def print_table(table: Table) -> None:
    """Print `table` to standard output as wide as its cells need: rich would cut them at 80 columns in a log."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(highlight=False)
    needed = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    Console(width=max(console.width, needed), highlight=False).print(table)
