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


@app.command("launch", epilog="Example: tianjing train launch train.yaml --on slurm --job job.yaml --nodes 2 --submit")
def launch(
    config: Annotated[Path, typer.Argument(help="YAML with the fields of TrainConfig; the job trains by a copy.")],
    on: Annotated[str, typer.Option("--on", help="local, slurm, kubernetes, ray or skypilot.")],
    job: Annotated[Path | None, typer.Option("--job", help="YAML with the fields of JobConfig.")] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", help="Machines, in place of the description's.")] = None,
    gpus_per_node: Annotated[int | None, typer.Option("--gpus-per-node", help="GPUs of each machine.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the files. Default: jobs/NAME-ON.")] = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Hand them to the scheduler's client, if it is here.")
    ] = False,
) -> None:
    """Render the files of a training job, and submit them if asked."""
    from training.launch.cli import launch as launch_job

    launch_job(config, on, job, nodes, gpus_per_node, out, submit)


@app.command("export", epilog="Example: tianjing train export runs/demo/merged --out runs/demo/export")
def export(
    weights: Annotated[Path, typer.Argument(help="Adapter artefact, or merged weights.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to hand over.")],
) -> None:
    """Weights with their papers: a card, a CycloneDX bill of materials, and lineage down to the raw files."""
    from training.export import export as export_weights

    export_weights(weights, out)
