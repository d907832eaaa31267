"""`tianjing eval`: measure, report, and decide on a release."""

from __future__ import annotations

from pathlib import Path

import typer

from evals.suites.cli import app as suites

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Measure base and tuned model, report, and decide on a release.",
    epilog="Example: tianjing eval run runs/dataset --base embedded --tuned runs/merged --out runs/evals",
    rich_markup_mode="rich",
)

canary_app = typer.Typer(
    no_args_is_help=True,
    help="Canaries: random records that a training set must not give away.",
    epilog="Example: tianjing eval canary plant runs/dataset --out runs/planted --canaries runs/canaries.jsonl",
)
app.add_typer(canary_app, name="canary")
app.add_typer(suites, name="suite")
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

    from evals.arms import read_endpoint
    from evals.config import EvalConfig
    from evals.errors import EvalError
    from evals.report import console_summary
    from evals.run import REPORT, evaluate, evaluate_endpoint
    from tianjing.config import load
    from tianjing.console import make_console, print_table
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
    console = make_console()
    print_table(console_summary(summary))
    console.print(f"report: {out / REPORT}", soft_wrap=True)


@app.command(epilog="Example: tianjing eval plan --pilot runs/evals --items 48,100,200,500 --differences 0.03,0.05,0.1")
def plan(
    items: str = typer.Option("36,48,100,200,300,500", help="Items per task to compare, separated by commas."),
    differences: str = typer.Option("0.02,0.03,0.05,0.1,0.15", help="True differences in score, as shares."),
    pilot: Path | None = typer.Option(None, help="An earlier evaluation, to measure what is assumed without it."),
    discordance: float = typer.Option(0.2, help="Without a pilot: share of items that the two models score apart."),
    icc: float = typer.Option(0.1, help="Without a pilot: correlation of the differences within a cluster."),
    cluster_size: float = typer.Option(1.5, help="Without a pilot: items per customer or document."),
    within: float = typer.Option(0.0, help="Without a pilot: part of the discordance that is noise of the seed."),
    variants: int = typer.Option(3, help="Without a pilot: variants asked of each stability item."),
    tasks: int = typer.Option(1, help="Without a pilot: number of tasks."),
    repeats: int = typer.Option(1, help="Runs per item that a score is the mean of; accuracy is greedy, so 1."),
    margin: float | None = typer.Option(None, help="Loss to exclude; the gate policy's guardrail margin without it."),
    config: Path | None = CONFIG,
    policy: Path | None = typer.Option(None, help="YAML file with the gate policy; its defaults without one."),
) -> None:
    """How many items show which difference, before anything is run: power, requests and time.

    Power is simulated with the interval that the gate reads: the share of evaluations that show the difference.
    """

    from evals.config import EvalConfig
    from evals.errors import EvalError
    from evals.gate.policy import GatePolicy
    from evals.sizing import assumed, console_tables, numbers, read_pilot
    from tianjing.config import load
    from tianjing.console import make_console, print_table

    settings = load(EvalConfig, config)
    excluded = load(GatePolicy, policy).score_margin() if margin is None else margin
    if excluded is None:
        raise EvalError(f"{policy}: no guardrail on the score, so no loss to exclude", "give --margin")
    known = (
        read_pilot(pilot, settings.concurrency)
        if pilot is not None
        else assumed(discordance, within, icc, cluster_size, settings, variants, tasks)
    )
    counts, asked = numbers(items, "--items", int), numbers(differences, "--differences", float)
    console = make_console()
    for title, table, note in console_tables(known, counts, asked, excluded, repeats, settings):
        console.print(title, soft_wrap=True)
        print_table(table)
        console.print(note, soft_wrap=True)


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

    from evals.errors import EvalError
    from evals.negotiation.config import NegotiationEvalConfig
    from evals.negotiation.report import verdict
    from evals.negotiation.run import REPORT, compare
    from tianjing.config import load
    from tianjing.console import make_console
    from tianjing.models import resolve

    arms: dict[str, Path] = {}
    for given in arm:
        name, equals, model = given.partition("=")
        if not (name and equals and model) or name in arms:
            raise EvalError(f"--arm {given}: not NAME=MODEL, or a name given before", "give each arm a name of its own")
        arms[name] = resolve(model).path
    summary = compare(dataset, arms, out, load(NegotiationEvalConfig, config))
    console = make_console(soft_wrap=True)
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
    float32: bool = typer.Option(
        False, "--float32", help="Ask the engines in float32 too: what differs there is not rounding of theirs."
    ),
    config: Path | None = CONFIG,
) -> None:
    """Check that adapter in transformers, merged weights in vLLM and adapter in vLLM answer alike, alone and loaded.

    Exits 0 when they do in the number format that is served, and 1 when not, with the reasons. Stopped or killed, the
    same command goes on.
    """

    from evals.parity.config import ParityConfig
    from evals.parity.report import console_table, verdicts
    from evals.parity.run import REPORT, check_parity
    from tianjing.config import load
    from tianjing.console import make_console, print_table
    from tianjing.models import resolve

    settings = load(ParityConfig, config)
    if float32 and "float32" not in settings.formats:
        settings = settings.model_copy(update={"formats": (*settings.formats, "float32")})
    summary = check_parity(dataset, resolve(base).path, adapter, merged, out, settings)
    print_table(console_table(summary))
    console = make_console(soft_wrap=True)
    for line in verdicts(summary):
        console.print(line, markup=False)
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

    from evals.bridges.inspect_log import export_inspect
    from evals.errors import EvalError
    from tianjing.console import make_console

    if form != "inspect":
        raise EvalError(f"--format {form}: not known", "give inspect")
    for written in export_inspect(evals, out, dataset):
        make_console().print(f"written: {written}", soft_wrap=True)


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

    from evals.bridges.lm_eval import LmEvalConfig, evaluate_lm_eval
    from evals.bridges.report import console_table
    from evals.records import Arm
    from tianjing.config import load
    from tianjing.console import make_console, print_table
    from tianjing.models import resolve

    given: dict[Arm, str] = {"tuned": tuned}
    if base is not None:
        given["base"] = base if endpoint is not None else str(resolve(base).path)
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    summary = evaluate_lm_eval(names, include, given, endpoint, out, load(LmEvalConfig, config), program)
    print_table(console_table(summary))
    make_console(soft_wrap=True).print(f"evidence: {out}")


@app.command(
    epilog="Example: tianjing eval report runs/evals --release runs/release.json --out runs/report.html "
    "--markdown runs/summary.md --junit runs/junit.xml"
)
def report(
    evals: Path = typer.Argument(..., help="Folder that 'tianjing eval run' wrote."),
    out: Path | None = typer.Option(None, help="File for the report page."),
    release: Path | None = typer.Option(None, help="A release whose verdict and reasons the page shows."),
    parity: Path | None = typer.Option(None, help="Folder that 'tianjing eval parity' wrote, for its section."),
    judgement: list[Path] = typer.Option([], help="Folder that 'tianjing eval judge' wrote; may be given again."),
    markdown: Path | None = typer.Option(None, help="File for a summary in Markdown, as CI systems show it."),
    junit: Path | None = typer.Option(None, help="File for the figures as JUnit XML: a proven loss fails."),
    rescored: Path | None = typer.Option(None, help="Folder for a new evaluation with all recomputed files."),
) -> None:
    """Score the stored raw outputs again, without any model, and recompute summary and report.

    The evidence given stays as it is, since a release may be signed over it.
    """

    from evals.report import console_summary, junit_xml, read_annexes, summary_markdown, summary_suites
    from evals.run import rescore
    from tianjing.console import make_console, print_table
    from tianjing.files import atomic_write, require_target
    from tianjing.lineage import read_release

    require_target(out, markdown, junit)
    decision = read_release(release).model_dump(mode="json") if release is not None else None
    summary, same = rescore(evals, out, decision, rescored, read_annexes(parity, judgement))
    if markdown is not None:
        atomic_write(markdown, summary_markdown(summary, decision))
    if junit is not None:
        atomic_write(junit, junit_xml(summary_suites(summary)))
    console = make_console()
    print_table(console_summary(summary))
    console.print("equal to the stored summary" if same else "[yellow]differs from the stored summary[/]")
    for written in filter(None, (out, markdown, junit, rescored)):
        console.print(f"written: {written}", soft_wrap=True)


@app.command(epilog="Example: tianjing eval judge runs/evals --config evals.yaml --out runs/judged")
def judge(
    evals: Path = typer.Argument(..., help="Folder that 'tianjing eval run' wrote; its greedy answers are judged."),
    config: Path = typer.Option(..., "--config", help="YAML file of the evaluation, with a section `judge`."),
    out: Path = typer.Option(..., help="Folder for verdicts.jsonl and summary.json."),
) -> None:
    """Let a model judge the stored answers by one criterion, corrected by what people said of a part of them.

    Stopped or killed, the same command goes on: no verdict is asked for again. A judge advises, it decides nothing.
    """

    from evals.config import EvalConfig
    from evals.errors import EvalError
    from evals.judge.output import console_table
    from evals.judge.run import judge_evaluation
    from tianjing.config import load
    from tianjing.console import make_console, print_table

    settings = load(EvalConfig, config)
    if settings.judge is None:
        raise EvalError(f"{config}: has no section 'judge'", "see docs/safety.md for its fields")
    summary = judge_evaluation(evals, out, settings.judge, settings.confidence)
    print_table(console_table(summary))
    console = make_console(soft_wrap=True)
    for warning in summary["warnings"]:
        console.print(f"[yellow]{warning}[/]")
    console.print(f"written: {out}")


@canary_app.command(
    "plant", epilog="Example: tianjing eval canary plant runs/dataset --out runs/planted --canaries runs/canaries.jsonl"
)
def canary_plant(
    dataset: Path = typer.Argument(..., help="Folder that 'tianjing data build' wrote."),
    out: Path = typer.Option(..., help="Folder for the dataset with canaries in its training split."),
    canaries: Path = typer.Option(
        ..., help="File for the canaries, to be named in `safety.canaries` of the evaluation."
    ),
    count: int = typer.Option(20, min=1, help="Canaries to plant; as many controls are made and not planted."),
    repeats: int = typer.Option(4, min=1, help="Training rows per canary: the more, the sooner it is learnt by heart."),
    seed: int = typer.Option(20260101, help="Drives the random records."),
) -> None:
    """Copy a dataset with random records planted in it: an evaluation then asks whether the model gives them away."""

    from evals.safety.canary import plant
    from tianjing.console import make_console

    made = plant(dataset, out, canaries, count, repeats, seed)
    planted = sum(canary.planted for canary in made)
    console = make_console(soft_wrap=True)
    console.print(f"{planted} canaries planted {repeats} times each, {len(made) - planted} controls kept out → {out}")
    console.print(f"canaries: {canaries}")


@app.command(epilog="Example: tianjing eval compare runs/evals:tuned runs/evals-new:tuned --out runs/compared")
def compare(
    base: str = typer.Argument(..., metavar="RUN_A", help="Evaluation that stands as the base: RUN, or RUN:tuned."),
    tuned: str = typer.Argument(..., metavar="RUN_B", help="Evaluation of the model that is judged: RUN or RUN:tuned."),
    out: Path = typer.Option(..., help="Folder for the paired evaluation; 'eval gate' and 'eval report' read it."),
    allow_differences: bool = typer.Option(
        False, help="Join runs that were asked otherwise, to look at them; the gate finds the result INVALID."
    ),
) -> None:
    """Join two runs into one paired evaluation, if they asked the same items in the same way.

    Items and requests are never intersected: what only one run has is named, and is an error.
    """

    from evals.compare import compare as join
    from evals.report import console_summary
    from evals.run import REPORT
    from tianjing.console import make_console, print_table

    summary = join(base, tuned, out, allow_differences)
    console = make_console(soft_wrap=True)
    for line in summary["differences"]:
        console.print(f"differs: {line}", markup=False)
    if summary["tasks"]:
        print_table(console_summary(summary))
    console.print(f"report: {out / REPORT}", markup=False)


@app.command(
    epilog="Example: tianjing eval gate runs/evals --config examples/gate/release.yaml --out runs/release.json "
    "--base embedded --adapter runs/adapter --merged runs/merged --dataset runs/dataset"
)
def gate(
    evals: Path = typer.Argument(..., help="Folder that 'tianjing eval run' or 'eval compare' wrote."),
    out: Path | None = typer.Option(None, help="File for the signed release (release.json); without it none is made."),
    base: str | None = typer.Option(None, help="Model before tuning: a folder, 'embedded', 'tiny' or a hub id."),
    adapter: Path | None = typer.Option(None, help="Adapter folder; none for a model tuned in full."),
    merged: Path | None = typer.Option(None, help="Model folder, merged or tuned in full: what would be served."),
    dataset: Path | None = typer.Option(None, help="Dataset folder."),
    against: Path | None = typer.Option(
        None, help="Model that was evaluated as the base, where it is another: the one released so far."
    ),
    config: Path | None = typer.Option(
        None, "--config", help="YAML file with the gate policy (docs/gate.md); its defaults without one."
    ),
    junit: Path | None = typer.Option(None, help="File for the findings as JUnit XML."),
    markdown: Path | None = typer.Option(None, help="File for the findings as Markdown."),
    exit_zero: bool = typer.Option(
        False, help="Exit with 0 once decided. Otherwise: PROMOTE 0, BLOCK 1, INCONCLUSIVE 2, INVALID 3."
    ),
    selftest: bool = typer.Option(
        False, help="Decide nothing: try the policy on these items with equal models and with one that must BLOCK."
    ),
) -> None:
    """Decide by policy whether the tuned model may be released, and sign the decision.

    The exit status is the verdict: PROMOTE 0, BLOCK 1, INCONCLUSIVE 2, INVALID 3 (also for evidence or a policy that
    cannot be read). Without --out it decides only.
    """
    from evals.gate.command import run_gate
    from tianjing.errors import TianjingError

    folders = {"base": base, "adapter": adapter, "merged": merged, "dataset": dataset, "against": against}
    try:
        status = run_gate(evals, out, folders, config, junit=junit, markdown=markdown, selftest=selftest)
    except TianjingError as error:
        if not exit_zero:
            error.exit_code = 3
        raise
    raise typer.Exit(0 if exit_zero else status)
