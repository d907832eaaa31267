"""`tianjing simulate`: write a sample corpus in the raw formats, and what was planted in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tianjing.simulation.planted import Surface

app = typer.Typer(add_completion=False)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier corpus there is replaced.")],
    cases: Annotated[int, typer.Option(help="Number of dialogues (at least 20).")] = 1600,
    seed: Annotated[int, typer.Option(help="Seed; the same seed writes the same bytes.")] = 20260,
    surface: Annotated[
        Surface, typer.Option(help="Way of speaking: a (site east), b (site west, another dialect), or both, 70 to 30.")
    ] = "both",
    workers: Annotated[int | None, typer.Option(help="Processes; without it, one for each processor.")] = None,
) -> None:
    """Write every raw file of the fictional 晨舟消费金融, its rules, and the planted truth.

    Example: tianjing simulate --cases 200 --seed 7 --out /tmp/raw
    """
    from rich.progress import Progress

    from tianjing.console import make_console
    from tianjing.simulation.corpus import simulate as write

    console = make_console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("dialogues", total=cases)
        rows = write(out, cases, seed, surface, workers, lambda done: progress.update(task, completed=done))
    told = ", ".join(f"{rows[f'{name}.jsonl']} {name}" for name in ("dialogues", "events", "outcomes", "customers"))
    console.print(f"{told} → {out}", highlight=False, soft_wrap=True)
