"""`tianjing train`: tune an adapter, and merge it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Tune a LoRA adapter on a dataset, and merge it.", no_args_is_help=True)

ModelOption = Annotated[str, typer.Option("--model", help="Base model: a folder, 'embedded', 'tiny' or a hub id.")]


@app.command("run", epilog="Example: tianjing train run runs/demo/dataset --model embedded --out runs/demo/adapter")
def run(
    dataset: Annotated[
        Path | None, typer.Argument(help="Dataset artefact with train.parquet; default: the configuration's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the adapter artefact; default: the configuration's.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Base model: a folder, 'embedded', 'tiny' or a hub id; default: the configuration's, else embedded.",
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with the fields of TrainConfig.")] = None,
    resume: Annotated[
        Literal["auto", "never", "must"],
        typer.Option("--resume", help="Go on from a checkpoint of this run: if there is one, never, or else fail."),
    ] = "auto",
) -> None:
    """Train a LoRA adapter with TRL; the same command goes on after an interruption.

    Exit status: 0 finished, 2 bad input, 75 stopped by SIGTERM after a finished and saved step, 130 interrupted.
    """
    from tianjing.config import load
    from tianjing.models import resolve
    from training.config import TrainConfig
    from training.errors import TrainingError
    from training.interruption import Interrupted
    from training.sft import train

    settings = load(TrainConfig, config)
    data, target = dataset or settings.dataset, out or settings.out
    if data is None or target is None:
        missing = "dataset" if data is None else "out"
        raise TrainingError(
            f"no {missing} is given", f"name it on the command line, or as {missing}: in the file that --config names"
        )
    try:
        train(Path(data), resolve(model or settings.model or "embedded").path, Path(target), settings, resume)
    except Interrupted as stopped:
        typer.echo(f"{stopped.message}; {stopped.remedy}", err=True)
        raise typer.Exit(stopped.exit_code) from None


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
