"""`tianjing simulate`: write a sample corpus in the raw formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write; existing corpus files in it are replaced.")],
    cases: Annotated[int, typer.Option(help="Number of dialogues (at least 20).")] = 1400,
    seed: Annotated[int, typer.Option(help="Seed; the same seed writes the same bytes.")] = 20260,
    rules: Annotated[bool, typer.Option("--rules", help="Also write the six policies as Markdown to rules/.")] = False,
    truth: Annotated[bool, typer.Option("--truth", help="Also write truth.json: what was planted.")] = False,
) -> None:
    """Write dialogues, events, outcomes and customers of the fictional 晨舟消费金融 as JSON Lines.

    Example: tianjing simulate --cases 200 --seed 7 --out /tmp/raw --rules --truth
    """
    from rich.console import Console
    from rich.progress import Progress

    from tianjing.simulation.corpus import generate, save

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("dialogues", total=cases)
        corpus = generate(cases, seed, on_case=lambda done: progress.update(task, completed=done))
    save(corpus, out, rules=rules, truth=truth)
    console.print(
        f"{len(corpus.dialogues)} dialogues, {len(corpus.events)} events, {len(corpus.outcomes)} outcomes, "
        f"{len(corpus.customers)} customers → {out}"
    )
