"""`tianjing eval`: measure, report, and decide on a release."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(
    no_args_is_help=True, help="Measure base and tuned model, report, and decide on a release.", rich_markup_mode="rich"
)

CONFIG = typer.Option(None, "--config", help="YAML file with this stage's settings; its defaults without one.")


@app.command(
    epilog="Example: tianjing eval run runs/dataset --base embedded --tuned runs/merged --out runs/evals\n\n"
    "On a server that runs: tianjing eval run runs/dataset --endpoint http://HOST:8000/v1 --base qwen3-8b "
    "--tuned collection --adapter runs/adapter --out runs/evals"
)
def run(
    dataset: Path | None = typer.Argument(
        None, help="Folder that 'tianjing data build' wrote; its test split is asked. May be left out with --suite."
    ),
    base: str | None = typer.Option(
        None,
        help="Model before tuning: a folder, 'embedded', 'tiny' or a hub id; with --endpoint, its name there. "
        "Left out, only the tuned model is measured.",
    ),
    tuned: str | None = typer.Option(
        None, help="Merged model folder or LoRA adapter folder; with --endpoint, the model's name there."
    ),
    out: Path = typer.Option(..., help="Folder for the evidence: attempts.jsonl, summary.json, report.html."),
    suite: list[Path] = typer.Option([], help="A suite file to ask too; repeat it."),
    endpoint: str | None = typer.Option(None, help="Root of an OpenAI-compatible endpoint, like http://HOST:PORT/v1."),
    api_key_env: str | None = typer.Option(None, help="Environment variable that holds the endpoint's key."),
    adapter: Path | None = typer.Option(
        None, help="With --endpoint: folder of the adapter behind --tuned, whose digest the evidence then names."
    ),
    in_process: bool = typer.Option(False, help="Run the models by transformers in this process, without a server."),
    cache: Path | None = typer.Option(None, help="Folder of earlier answers, which are not asked again."),
    config: Path | None = CONFIG,
) -> None:
    """Ask the models the same held-out items and write the evidence: through vLLM started for it, an endpoint that is
    there, or in this process.

    Stopped or killed, the same command goes on: no answered request is asked again.
    """
    from rich.console import Console

    from evals.arms import read_endpoint
    from evals.config import EvalConfig
    from evals.errors import EvalError
    from evals.report import console_summary
    from evals.run import REPORT, evaluate, evaluate_endpoint
    from tianjing.config import load
    from tianjing.console import print_table
    from tianjing.models import resolve

    settings = load(EvalConfig, config)
    if cache is not None:
        settings = settings.model_copy(update={"cache": cache})
    if endpoint is None:
        given = {"--api-key-env": api_key_env, "--adapter": adapter}
        for option in (name for name, value in given.items() if value is not None):
            raise EvalError(f"{option} belongs to --endpoint", "give both, or neither")
        base_folder = None if base is None else resolve(base).path
        tuned_folder = None if tuned is None else Path(tuned)
        summary = evaluate(dataset, base_folder, tuned_folder, out, settings, suite, in_process)
    else:
        if in_process:
            raise EvalError("--endpoint and --in-process exclude each other", "give one of them")
        summary = evaluate_endpoint(
            dataset, read_endpoint(endpoint, base, tuned, api_key_env, adapter), out, settings, suite
        )
    console = Console(highlight=False)
    print_table(console_summary(summary))
    console.print(f"report: {out / REPORT}", soft_wrap=True)


@app.command(
    epilog="Example: tianjing eval negotiate runs/dataset --arm tuned=runs/merged --arm base=embedded --out runs/talks"
)
def negotiate(
    dataset: Path = typer.Argument(..., help="Dataset with the negotiation task; its held-out replies are asked."),
    arm: list[str] = typer.Option(..., "--arm", metavar="NAME=MODEL", help="An arm; repeat it. The first is compared."),
    out: Path = typer.Option(..., help="Folder for ablation.json, report.md and every negotiation."),
    config: Path | None = CONFIG,
) -> None:
    """Let models negotiate with the same simulated debtors, and compare the first with the others.

    Stopped or killed, the same command goes on: no finished negotiation is held again.
    """
    from rich.console import Console

    from evals.errors import EvalError
    from evals.negotiation.config import NegotiationEvalConfig
    from evals.negotiation.report import verdict
    from evals.negotiation.run import REPORT, compare
    from tianjing.config import load
    from tianjing.models import resolve

    arms: dict[str, Path] = {}
    for given in arm:
        name, equals, model = given.partition("=")
        if not (name and equals and model) or name in arms:
            raise EvalError(f"--arm {given}: not NAME=MODEL, or a name given before", "give each arm a name of its own")
        arms[name] = resolve(model).path
    summary = compare(dataset, arms, out, load(NegotiationEvalConfig, config))
    console = Console(highlight=False, soft_wrap=True)
    console.print(verdict(summary), markup=False)
    console.print(f"report: {out / REPORT}")


@app.command(epilog="Example: tianjing eval report runs/evals --release runs/release.json --out runs/report.html")
def report(
    evals: Path = typer.Argument(..., help="Folder that 'tianjing eval run' wrote."),
    out: Path | None = typer.Option(None, help="File for the report page."),
    release: Path | None = typer.Option(None, help="A release whose verdict and reasons the page shows."),
    rescored: Path | None = typer.Option(None, help="Folder for a new evaluation with all recomputed files."),
) -> None:
    """Score the stored raw outputs again, without any model, and recompute summary and report.

    The evidence given stays as it is, since a release may be signed over it.
    """
    from rich.console import Console

    from evals.report import console_summary
    from evals.run import rescore
    from tianjing.console import print_table
    from tianjing.lineage import read_release

    decision = read_release(release).model_dump(mode="json") if release is not None else None
    summary, same = rescore(evals, out, decision, rescored)
    console = Console(highlight=False)
    print_table(console_summary(summary))
    console.print("equal to the stored summary" if same else "[yellow]differs from the stored summary[/]")
    for written in filter(None, (out, rescored)):
        console.print(f"written: {written}", soft_wrap=True)


@app.command(
    epilog="Example: tianjing eval gate runs/evals --out runs/release.json --base embedded "
    "--adapter runs/adapter --merged runs/merged --dataset runs/dataset"
)
def gate(
    evals: Path = typer.Argument(..., help="Folder that 'tianjing eval run' wrote."),
    out: Path = typer.Option(..., help="File for the signed release (release.json)."),
    base: str = typer.Option(..., help="Model before tuning: a folder, 'embedded', 'tiny' or a hub id."),
    adapter: Path | None = typer.Option(None, help="Adapter folder; none for a model tuned in full."),
    merged: Path = typer.Option(..., help="Model folder, merged or tuned in full: what would be served."),
    dataset: Path = typer.Option(..., help="Dataset folder."),
    config: Path | None = typer.Option(
        None, "--config", help="YAML file with the gate policy; its defaults without one."
    ),
    strict: bool = typer.Option(
        False, help="Exit with the verdict: PROMOTE 0, BLOCK 1, INCONCLUSIVE 2, INVALID 3. Without it 0 once decided."
    ),
) -> None:
    """Decide by policy whether the tuned model may be released, and sign the decision."""
    from rich.console import Console

    from evals.config import GatePolicy
    from evals.gate import EXIT_CODES
    from evals.release import decide_and_sign
    from tianjing.config import load
    from tianjing.models import resolve

    policy = load(GatePolicy, config)
    contents = {"base": resolve(base).path, "merged": merged, "dataset": dataset}
    if adapter is not None:
        contents["adapter"] = adapter
    verdict, findings = decide_and_sign(evals, out, contents, policy)
    console = Console(highlight=False)
    colours = {"PROMOTE": "green", "BLOCK": "red", "INCONCLUSIVE": "yellow", "INVALID": "red"}
    for finding in findings:
        label = "ok" if finding.verdict == "PROMOTE" else finding.verdict
        console.print(f"[{colours[finding.verdict]}]{label:>12}[/]  ", end="")
        console.print(finding.reason, markup=False, soft_wrap=True)
    console.print(f"[bold {colours[verdict]}]{verdict}[/] → {out}", soft_wrap=True)
    if strict:
        raise typer.Exit(EXIT_CODES[verdict])
