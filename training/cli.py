"""`tianjing train`: plan a run, tune an adapter, merge it, hand it over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Tune a LoRA adapter, or all weights, on a dataset.",
    epilog="Example: tianjing train run runs/dataset --model embedded --out runs/adapter",
)

DatasetArgument = Annotated[
    Path | None, typer.Argument(help="Dataset artefact with train.parquet; default: the configuration's.")
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Base model: a folder, 'embedded', 'tiny' or a hub id; default: the configuration's, else embedded.",
    ),
]
ModelOption = Annotated[str, typer.Option("--model", help="Base model: a folder, 'embedded', 'tiny' or a hub id.")]


SceneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scene",
        metavar="NAME",
        help="Train this scene's tasks alone, into OUT/NAME; repeatable. Default: the configuration's scenes, if any.",
    ),
]


@app.command(
    "run",
    epilog="Examples: tianjing train run runs/demo/dataset --model embedded --out runs/demo/adapter; preferences: "
    "tianjing train run --config examples/training/dpo.yaml; an adapter for each scene: tianjing train run "
    "runs/demo/dataset --out runs/demo/adapters --scene service --scene mediation",
)
def run(
    dataset: DatasetArgument = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the adapter artefact; default: the configuration's.")
    ] = None,
    model: BaseOption = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with the fields of TrainConfig.")] = None,
    resume: Annotated[
        Literal["auto", "never", "must"],
        typer.Option("--resume", help="Go on from a checkpoint of this run: if there is one, never, or else fail."),
    ] = "auto",
    scene: SceneOption = None,
) -> None:
    """Train a LoRA adapter, or all weights, with TRL, on answers or on preferences.

    The same command goes on after an interruption.

    Exit status: 0 finished, 2 bad input, 75 stopped by SIGTERM after a finished and saved step, 130 interrupted.
    """
    from tianjing.config import load
    from tianjing.models import resolve
    from training.config import TrainConfig
    from training.interruption import Interrupted
    from training.run import train
    from training.scenes import scenes_of, train_scenes

    settings = load(TrainConfig, config)
    scenes = scenes_of(settings, scene or ())
    data, target = _given("dataset", dataset, settings.dataset), _given("out", out, settings.out)
    base = resolve(_base(model, settings.model)).path
    try:
        if scenes:
            train_scenes(data, base, target, settings, scenes, resume, ends_process=True)
        else:
            train(data, base, target, settings, resume, ends_process=True)
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


@app.command("export", epilog="Example: tianjing train export runs/demo/merged --out runs/demo/export --quantize fp8")
def export(
    weights: Annotated[Path, typer.Argument(help="Adapter artefact, merged weights, or a model tuned in full.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to hand over.")],
    quantize: Annotated[
        Literal["fp8", "w4a16"] | None, typer.Option("--quantize", help="Quantise a whole model with llm-compressor.")
    ] = None,
    llmcompressor_python: Annotated[
        Path | None,
        typer.Option(help="Interpreter that has llm-compressor; default: .venv-llmcompressor/bin/python."),
    ] = None,
) -> None:
    """Weights with their papers: a card, a CycloneDX bill of materials, and lineage down to the raw files."""
    from training.export import export as export_weights

    export_weights(weights, out, quantize, llmcompressor_python)


@app.command("parity", epilog="Example: tianjing train parity runs/demo/dataset --model embedded")
def parity(
    dataset: DatasetArgument = None,
    model: BaseOption = None,
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
    from training.parity.report import run_parity

    settings = load(TrainConfig, config)
    data, base = _given("dataset", dataset, settings.dataset), resolve(_base(model, settings.model)).path
    found = run_parity(data, base, settings, rows, endpoint, served_name, api_key)
    if not found:
        raise typer.Exit(EXIT_STAGE_FAILED)


@app.command("plan", epilog="Example: tianjing train plan train.yaml --dataset runs/demo/dataset --device h200")
def plan(
    config: Annotated[Path | None, typer.Argument(help="YAML with the fields of TrainConfig.")] = None,
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", help="Dataset artefact with train.parquet; default: the configuration's."),
    ] = None,
    model: BaseOption = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu, h200, h100-80, a100-80, … or the GiB of an accelerator.")
    ] = "cpu",
    probe_steps: Annotated[
        int, typer.Option("--probe-steps", min=0, help="Steps to measure where the device is here; 0 for none.")
    ] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the plan to this file too.")] = None,
    scene: Annotated[str | None, typer.Option("--scene", metavar="NAME", help="The scene to plan.")] = None,
) -> None:
    """Tokens, batches, steps, memory by part and time of a run, before it runs; exit 1 where it does not fit."""
    import json

    from tianjing.config import load
    from tianjing.console import make_console
    from tianjing.errors import EXIT_STAGE_FAILED
    from tianjing.files import atomic_write, require_target
    from tianjing.models import resolve
    from training.config import TrainConfig
    from training.plan.planning import as_dict, make_plan
    from training.plan.report import print_plan
    from training.scenes import of_scene, one_scene

    require_target(json_file)
    settings = load(TrainConfig, config)
    planned = one_scene(settings, scene)
    if planned is not None:
        settings = of_scene(settings, planned)
    data, base = _given("dataset", dataset, settings.dataset), resolve(_base(model, settings.model)).path
    with make_console(stderr=True).status("planning") as status:
        made = make_plan(data, base, settings, device, probe_steps, status.update, planned)
    if json_file:
        atomic_write(json_file, json.dumps(as_dict(made), indent=2, ensure_ascii=False))
    print_plan(made)
    if not made.fits:
        raise typer.Exit(EXIT_STAGE_FAILED)


def _given(name: str, on_command_line: Path | None, in_file: str | None) -> Path:
    """A path that the command line or the configuration gives; the command line wins."""
    from training.errors import TrainingError

    if on_command_line is None and in_file is None:
        raise TrainingError(f"no {name} is given", f"name it on the command line, or as {name}: in the configuration")
    return on_command_line or Path(str(in_file))


def _base(on_command_line: str | None, in_file: str | None) -> str:
    return on_command_line or in_file or "embedded"
