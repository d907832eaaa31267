"""`tianjing ablate ABLATION.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: tianjing ablate examples/ablation.yaml --out runs/ablation")
def ablate(
    ablation: Annotated[Path, typer.Argument(help="Ablation file (YAML).")],
    out: Annotated[Path | None, typer.Option("--out", help="Output folder; default runs/NAME.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Raw folder, in place of the file's.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Base model, in place of the file's.")] = None,
    force: Annotated[
        list[str] | None, typer.Option("--force", metavar="STAGE", help="Run this stage again; repeatable.")
    ] = None,
) -> None:
    """Train the same base with and without experience, and let both negotiate with the same simulated debtors.

    Exit status: 0 finished, whatever came out; 1 a stage failed, 2 bad input, 130 interrupted.
    """
    from tianjing.errors import TianjingError
    from tianjing.pipeline.ablation import load_ablation, run_ablation

    config = load_ablation(ablation)
    raw = data or (ablation.parent / config.raw if config.raw else None)
    if raw is None or not raw.is_dir():
        raise TianjingError(f"{raw or ablation}: no folder of raw material", "pass --data DIR")
    target = out or Path("runs") / config.name
    raise typer.Exit(run_ablation(config, raw, target, model=model or config.model, force=tuple(force or ())))
