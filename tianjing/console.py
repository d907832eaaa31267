"""Consoles that print what they are given, and tables that stay whole in a pipe, a log, or a narrow terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDEST = 400


def make_console(
    *, stderr: bool = False, soft_wrap: bool = False, markup: bool = True, width: int | None = None
) -> Console:
    """The console that every command prints with.

    By itself rich makes an emoji of `:100:`, which stands in `file:100: …`, even without markup, and colours numbers.
    """
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=markup, width=width, emoji=False, highlight=False)


def print_table(table: Table) -> None:
    """Print `table` to standard output as wide as its cells need: rich would cut them at 80 columns in a log."""
    from rich.measure import Measurement

    console = make_console()
    needed = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
    make_console(width=max(console.width, needed)).print(table)
