"""`tianjing eval`: measure, report, and decide on a release."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(
    no_args_is_help=True, help="Measure base and tuned model, report, and decide on a release.", rich_markup_mode="rich"
)

CONFIG = typer.Option(None, "--config", help="YAML file with this stage's settings; its defaults without one.")


@app.command(epilog="Example: tianjing eval run runs/dataset --base embedded --tuned runs/merged --out runs/evals")
def run(
    dataset: Path = typer.Argument(..., help="Folder that 'tianjing data build' wrote; its test split is asked."),
    base: str = typer.Option(..., help="Model before tuning: a folder, 'embedded', 'tiny' or a hub id."),
    tuned: Path = typer.Option(..., help="Merged model folder."),
    out: Path = typer.Option(..., help="Folder for the evidence: attempts.jsonl, summary.json, report.html."),
    config: Path | None = CONFIG,
) -> None:
    """Ask both models the same held-out items through vLLM and write the evidence.

    Stopped or killed, the same command goes on: no answered request is asked again.
    """
    from rich.console import Console

    from evals.config import EvalConfig
    from evals.report import console_summary
    from evals.run import REPORT, evaluate
    from tianjing.config import load
    from tianjing.console import print_table
    from tianjing.models import resolve

    summary = evaluate(dataset, resolve(base).path, tuned, out, load(EvalConfig, config))
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


@app.command(
    epilog="Example: tianjing eval parity runs/dataset --base embedded --adapter runs/adapter --merged runs/merged "
    "--out runs/parity"
)
def parity(
    dataset: Path = typer.Argument(..., help="Folder that 'tianjing data build' wrote; its test split is asked."),
    base: str = typer.Option(..., help="Model before tuning: a folder, 'embedded', 'tiny' or a hub id."),
    adapter: Path = typer.Option(..., help="LoRA adapter folder, as training wrote it."),
    merged: Path = typer.Option(..., help="Model folder with the adapter merged in: what would be served."),
    out: Path = typer.Option(..., help="Folder for parity.json, parity.md and every answer."),
    config: Path | None = CONFIG,
) -> None:
    """Check that adapter in transformers, merged weights in vLLM and adapter in vLLM answer alike, alone and loaded.

    Exits 0 when they do and 1 when not, with the reasons. Stopped or killed, the same command goes on.
    """
    from rich.console import Console

    from evals.parity.config import ParityConfig
    from evals.parity.report import console_table
    from evals.parity.run import REPORT, check_parity
    from tianjing.config import load
    from tianjing.console import print_table
    from tianjing.models import resolve

    summary = check_parity(dataset, resolve(base).path, adapter, merged, out, load(ParityConfig, config))
    print_table(console_table(summary))
    console = Console(highlight=False, soft_wrap=True)
    for reason in summary["reasons"]:
        console.print(reason, markup=False)
    console.print(f"parity {'[green]met[/]' if summary['met'] else '[red]not met[/]'}; report: {out / REPORT}")
    raise typer.Exit(0 if summary["met"] else 1)


@app.command(epilog="Example: tianjing eval export runs/evals --format inspect --out runs/logs/evals.eval")
def export(
    evals: Path = typer.Argument(..., help="Folder that 'tianjing eval run' wrote."),
    out: Path = typer.Option(..., help="File ending in .eval or .json; with two arms, one for each, named after it."),
    form: str = typer.Option("inspect", "--format", help="inspect: logs that 'inspect view' opens."),
    dataset: Path | None = typer.Option(
        None, help="Its dataset, to show the worked examples that base was asked with."
    ),
) -> None:
    """Write an evaluation for another tool's viewer."""
    from rich.console import Console

    from evals.bridges.inspect_log import export_inspect
    from evals.errors import EvalError

    if form != "inspect":
        raise EvalError(f"--format {form}: not known", "give inspect")
    for written in export_inspect(evals, out, dataset):
        Console(highlight=False).print(f"written: {written}", soft_wrap=True)


@app.command(
    "lm-eval",
    epilog="Example: tianjing eval lm-eval --tasks ceval-valid_accountant --include runs/tasks --tuned runs/merged "
    "--base embedded --out runs/lm-eval",
)
def lm_eval(
    tasks: str = typer.Option(..., help="lm-eval's names of the tasks, with commas between them."),
    tuned: str = typer.Option(..., help="Model folder to serve; with --endpoint, a name that it serves."),
    base: str | None = typer.Option(None, help="The model to compare with, given in the same way."),
    out: Path = typer.Option(..., help="Folder for the evidence, as 'tianjing eval run' writes it."),
    include: Path | None = typer.Option(None, help="Folder of task definitions; then nothing is fetched from a hub."),
    endpoint: str | None = typer.Option(None, help="OpenAI-compatible root ending in /v1; key in OPENAI_API_KEY."),
    program: str = typer.Option("lm-eval", help="lm-eval's command, if it is not on the path."),
    config: Path | None = CONFIG,
) -> None:
    """Run tasks of lm-eval against what is served, and keep them as an evaluation that compare and gate read."""
    from rich.console import Console

    from evals.bridges.lm_eval import LmEvalConfig, evaluate_lm_eval
    from evals.bridges.report import console_table
    from evals.records import Arm
    from tianjing.config import load
    from tianjing.console import print_table
    from tianjing.models import resolve

    given: dict[Arm, str] = {"tuned": tuned}
    if base is not None:
        given["base"] = base if endpoint is not None else str(resolve(base).path)
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    summary = evaluate_lm_eval(names, include, given, endpoint, out, load(LmEvalConfig, config), program)
    print_table(console_table(summary))
    Console(highlight=False, soft_wrap=True).print(f"evidence: {out}")


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
