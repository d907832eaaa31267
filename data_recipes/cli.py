"""`tianjing data`: extract and build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tianjing.files import OnError

app = typer.Typer(help="Raw material to knowledge to an instruction dataset.", no_args_is_help=True)

_OUT = typer.Option("--out", help="Folder of the artefact to write.")
_CONFIG = typer.Option("--config", help="YAML file with this command's section only; defaults without it.")


@app.command("extract", epilog="Example: tianjing data extract examples/raw --out runs/knowledge --on-error skip")
def extract_command(
    raw: Annotated[Path, typer.Argument(help="Folder with dialogues, events, outcomes, customers and rules/.")],
    out: Annotated[Path, _OUT],
    config: Annotated[Path | None, _CONFIG] = None,
    on_error: Annotated[
        OnError, typer.Option(help="At a bad line: stop, or skip it and keep it in rejected.jsonl.")
    ] = "stop",
) -> None:
    """Read, clean and redact raw material, and write it as knowledge: clauses, practices, procedures, dialogues."""
    from data_recipes.config import ExtractConfig
    from data_recipes.extract import extract
    from data_recipes.report import reporting
    from tianjing.config import load

    with reporting("extract") as report:
        report.show(extract(raw, out, load(ExtractConfig, config), on_error, report.step), out)


@app.command("build", epilog="Example: tianjing data build runs/knowledge --out runs/dataset --config build.yaml")
def build_command(
    knowledge: Annotated[Path, typer.Argument(help="Folder that `data extract` wrote.")],
    out: Annotated[Path, _OUT],
    config: Annotated[Path | None, _CONFIG] = None,
) -> None:
    """Build the instruction dataset: train, validation and test as Parquet, split by customer or document."""
    from data_recipes.build import build
    from data_recipes.config import BuildConfig
    from data_recipes.report import reporting
    from tianjing.config import load

    with reporting("build") as report:
        report.show(build(knowledge, out, load(BuildConfig, config), report.step), out)
