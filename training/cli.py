"""`tianjing train`: tune an adapter, and merge it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Tune a LoRA adapter on a dataset, and merge it.", no_args_is_help=True)

ModelOption = Annotated[str, typer.Option("--model", help="Base model: a folder, 'embedded', 'tiny' or a hub id.")]


@app.command("run", epilog="Example: tianjing train run runs/demo/dataset --model embedded --out runs/demo/adapter")
def run(
    dataset: Annotated[Path, typer.Argument(help="Dataset artefact with train.parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the adapter artefact.")],
    model: ModelOption = "embedded",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with the fields of TrainConfig.")] = None,
) -> None:
    """Train a LoRA adapter with TRL; the same command goes on after an interruption."""
    from tianjing.config import load
    from tianjing.models import resolve
    from training.config import TrainConfig
    from training.sft import train

    train(dataset, resolve(model).path, out, load(TrainConfig, config))


@app.command("merge", epilog="Example: tianjing train merge runs/demo/adapter --model embedded --out runs/demo/merged")
def merge(
    adapter: Annotated[Path, typer.Argument(help="Adapter artefact.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the merged model.")],
    model: ModelOption = "embedded",
) -> None:
    """Merge the adapter into its base as bf16 weights."""
    from tianjing.models import resolve
    from training.merge import merge as merge_adapter

    merge_adapter(adapter, resolve(model).path, out)


@app.command("parity", epilog="Example: tianjing train parity runs/demo/dataset --model embedded")
def parity(
    dataset: Annotated[Path, typer.Argument(help="Dataset artefact with train.parquet.")],
    model: ModelOption = "embedded",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with the fields of TrainConfig.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows to compare, evenly over the tasks.")] = 256,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="A running vLLM, http://HOST:PORT/v1: compare its prompts too.")
    ] = None,
    served_name: Annotated[
        str | None, typer.Option("--served-name", help="The model's name at --endpoint; the first listed if not given.")
    ] = None,
    api_key: Annotated[
        str, typer.Option("--api-key", envvar="VLLM_API_KEY", help="Key of --endpoint, if it asks for one.")
    ] = "",
) -> None:
    """Compare what training sees with what serving will see, token by token; exit 1 where they differ."""
    from tianjing.config import load
    from tianjing.errors import EXIT_STAGE_FAILED
    from tianjing.models import resolve
    from training.config import TrainConfig
    from training.parity_report import run_parity

    found = run_parity(dataset, resolve(model).path, load(TrainConfig, config), rows, endpoint, served_name, api_key)
    if not found:
        raise typer.Exit(EXIT_STAGE_FAILED)


@app.command("plan", epilog="Example: tianjing train plan runs/demo/dataset --model embedded --device cpu")
def plan(
    dataset: Annotated[Path, typer.Argument(help="Dataset artefact with train.parquet.")],
    model: ModelOption = "embedded",
    config: Annotated[Path | None, typer.Option("--config", help="YAML with the fields of TrainConfig.")] = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu, h200, h100-80, a100-80, … or the GiB of an accelerator.")
    ] = "cpu",
    probe_steps: Annotated[
        int, typer.Option("--probe-steps", min=0, help="Steps to measure where the device is here; 0 for none.")
    ] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the plan to this file too.")] = None,
) -> None:
    """Tokens, batches, steps, memory by part and time of a run, before it runs; exit 1 where it does not fit."""
    import json

    from rich.console import Console

    from tianjing.config import load
    from tianjing.errors import EXIT_STAGE_FAILED
    from tianjing.files import atomic_write
    from tianjing.models import resolve
    from training.config import TrainConfig
    from training.plan import as_dict, make_plan
    from training.plan_report import print_plan

    settings, path = load(TrainConfig, config), resolve(model).path
    with Console(stderr=True).status("planning") as status:
        made = make_plan(dataset, path, settings, device, probe_steps, status.update)
    if json_file:
        atomic_write(json_file, json.dumps(as_dict(made), indent=2, ensure_ascii=False))
    print_plan(made)
    if not made.fits:
        raise typer.Exit(EXIT_STAGE_FAILED)
