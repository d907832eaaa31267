"""What a data command shows on stderr: the step it is at, and at the end a table of counts and drops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table

from tianjing.console import make_console
from tianjing.lineage import Manifest
from tianjing.records import Conclusion


class Report:
    """Shows progress, then a manifest's counts."""

    def __init__(self, console: Console, status: Status, title: str):
        self._console = console
        self._status = status
        self._title = title

    def step(self, text: str) -> None:
        """Say what is being done now: on a terminal in place, elsewhere as a line."""
        self._status.update(f"{self._title}: {text}")
        if not self._console.is_terminal:
            self._console.print(f"{self._title}: {text}", markup=False, highlight=False)

    def show(self, manifest: Manifest, out: Path) -> None:
        """Print the counts of the artefact that was written to `out`."""
        self._status.stop()
        table = Table(title=f"{manifest.kind} {manifest.digest[:12]} in {out}", title_justify="left")
        table.add_column("count", overflow="fold")
        table.add_column("rows", justify="right")
        for name, value in manifest.counts.items():
            if isinstance(value, dict):
                table.add_section()
                for reason, count in value.items():
                    table.add_row(f"dropped: {reason}", str(count))
            else:
                table.add_row(name, str(value))
        self._console.print(table)

    def conclude(self, conclusions: Iterable[Conclusion]) -> None:
        """Print what can and what cannot be concluded, and what would help."""
        for said in conclusions:
            self._console.print(f"{said.statement}\n    → {said.remedy}", markup=False, highlight=False)


@contextmanager
def reporting(title: str) -> Iterator[Report]:
    """A spinner on stderr while the command runs."""
    console = make_console(stderr=True)
    with console.status(f"{title}: starting") as status:
        yield Report(console, status, title)
