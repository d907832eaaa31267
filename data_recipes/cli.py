"""`tianjing data`: clean, extract, tag, procedures, review, build, inspect and diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tianjing.files import OnError
from tianjing.records import Split

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Raw material to knowledge to an instruction dataset.",
    epilog="Example: tianjing data extract examples/raw --out runs/knowledge",
)

_OUT = typer.Option("--out", help="Folder of the artefact to write.")
_CONFIG = typer.Option("--config", help="YAML file with this command's section only; defaults without it.")
_ON_ERROR = typer.Option(help="At a bad line: stop, or skip it and keep it in rejected.jsonl.")
_WORKERS = typer.Option(min=1, help="Shards at once; one for each core without it. The bytes do not depend on it.")
_EXECUTOR = typer.Option(
    help="processes: this machine. datatrove, ray, slurm: the same shards as datatrove pipelines (extra `scale`)."
)
_PARTITION = typer.Option(help="Slurm partition of the jobs.")
Kind = Literal["processes", "datatrove", "ray", "slurm"]


@app.command("clean", epilog="Example: tianjing data clean RAW --out CLEAN --on-error skip --workers 16")
def clean_command(
    raw: Annotated[Path, typer.Argument(help="Folder with dialogues; events, outcomes and customers may lie beside.")],
    out: Annotated[Path, _OUT],
    config: Annotated[Path | None, _CONFIG] = None,
    on_error: Annotated[OnError, _ON_ERROR] = "stop",
    workers: Annotated[int | None, _WORKERS] = None,
    executor: Annotated[Kind, _EXECUTOR] = "processes",
    slurm_partition: Annotated[str, _PARTITION] = "",
) -> None:
    """Clean dialogues of any number in bounded memory: normalised, redacted, deduplicated, checked.

    What it writes is itself a raw folder. Killed, the same command goes on where it was.
    """
    from data_recipes.cleaning.executors import ExecutorConfig
    from data_recipes.cleaning.run import clean
    from data_recipes.config import ExtractConfig
    from data_recipes.report import reporting
    from tianjing.config import load

    settings = load(ExtractConfig, config)
    where = ExecutorConfig(kind=executor, workers=workers, slurm_partition=slurm_partition)
    with reporting("clean") as report:
        report.show(clean(raw, out, settings.clean, settings.identity_fields, on_error, where, report.step), out)


@app.command("extract", epilog="Example: tianjing data extract examples/raw --out runs/knowledge --on-error skip")
def extract_command(
    raw: Annotated[Path, typer.Argument(help="Folder with dialogues, events, outcomes, customers and rules/.")],
    out: Annotated[Path, _OUT],
    config: Annotated[Path | None, _CONFIG] = None,
    on_error: Annotated[OnError, _ON_ERROR] = "stop",
    workers: Annotated[int | None, _WORKERS] = None,
    executor: Annotated[Kind, _EXECUTOR] = "processes",
    slurm_partition: Annotated[str, _PARTITION] = "",
) -> None:
    """Read, clean and redact raw material, and write it as knowledge: clauses, practices, procedures, dialogues."""
    from data_recipes.cleaning.executors import ExecutorConfig
    from data_recipes.config import ExtractConfig
    from data_recipes.extract import extract
    from data_recipes.report import reporting
    from tianjing.config import load
    from tianjing.files import read_jsonl
    from tianjing.records import Conclusion

    where = ExecutorConfig(kind=executor, workers=workers, slurm_partition=slurm_partition)
    with reporting("extract") as report:
        report.show(extract(raw, out, load(ExtractConfig, config), on_error, report.step, where), out)
        report.conclude(read_jsonl(out / "conclusions.jsonl", Conclusion))


@app.command(
    "review",
    epilog="Examples: tianjing data review runs/knowledge --out runs/review; tianjing data review runs/knowledge "
    "--apply runs/review/review.csv --decisions decisions.jsonl --reviewer 王敏",
)
def review_command(
    knowledge: Annotated[Path, typer.Argument(help="Folder that `data extract` wrote.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write: review.html to decide on, or review.csv to fill in.")
    ] = None,
    apply: Annotated[Path | None, typer.Option("--apply", help="Filled-in CSV whose decisions are recorded.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="JSON Lines file of all decisions: shown with --out, appended to with --apply.")
    ] = None,
    reviewer: Annotated[str, typer.Option(help="Who decided, where a row of the CSV names nobody.")] = "",
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Decide although somebody else did after the CSV was written.")
    ] = False,
) -> None:
    """Accept, edit or reject knowledge: a page and a CSV to decide on, and the decisions recorded, none ever lost."""
    from data_recipes.errors import DataError
    from data_recipes.experience.review import PAGE, SHEET, apply_review, write_review

    if (out is None) == (apply is None):
        raise DataError("give either --out or --apply", "--out writes the review, --apply records what was filled in")
    if apply is None and out is not None:
        counts = write_review(knowledge, out, decisions)
        for name, count in sorted(counts.items()):
            typer.echo(f"{name}: {count}", err=True)
        typer.echo(f"{out / PAGE}: open it in a browser, or fill in {out / SHEET}", err=True)
    elif apply is not None:
        if decisions is None:
            raise DataError("--apply without --decisions", "name the file that keeps them, e.g. decisions.jsonl")
        made = apply_review(knowledge, apply, decisions, reviewer, supersede)
        numbers = f" (numbers {made[0].number} to {made[-1].number})" if made else ""
        typer.echo(f"{decisions}: {len(made)} new decisions{numbers}", err=True)


@app.command(
    "procedures",
    epilog="Examples: tianjing data procedures runs/knowledge --out runs/charts; tianjing data procedures "
    "runs/knowledge --task 失业 --conform new/events.jsonl --dialogues new/dialogues.jsonl --out runs/charts",
)
def procedures_command(
    knowledge: Annotated[Path, typer.Argument(help="Folder that `data extract` wrote.")],
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for charts (SVG and Mermaid) and conformance.jsonl.")
    ] = None,
    conform: Annotated[Path | None, typer.Option(help="events.jsonl of new cases, to judge by the procedures.")] = None,
    dialogues: Annotated[
        Path | None,
        typer.Option(help="dialogues.jsonl of the new cases; without it, acts are not judged."),
    ] = None,
) -> None:
    """Show the procedures (SOP), draw them, and say how far new cases conform: steps missing, out of order, unknown."""
    from data_recipes.experience.procedures.report import run

    if dialogues is not None and conform is None:
        raise typer.BadParameter("give the operation log with --conform, too", param_hint="--dialogues")
    run(knowledge, task, out, conform, dialogues)


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


@app.command("tag", epilog="Example: tianjing data tag runs/knowledge --labels labels.jsonl --out runs/acts")
def tag_command(
    folder: Annotated[Path, typer.Argument(help="What `data clean` or `data extract` wrote.")],
    out: Annotated[Path, _OUT],
    labels: Annotated[
        Path | None,
        typer.Option(help='JSON Lines of {"text", "label"} or {"dialogue", "turn", "label"}; ten an act are enough.'),
    ] = None,
    config: Annotated[Path | None, _CONFIG] = None,
) -> None:
    """Tag every turn and desktop event with its act, and offer clusters of turns to label.

    Without labels the lexicon and the log tag; label some texts of clusters.jsonl and run it again.
    """
    from data_recipes.experience.tagging.run import TagConfig, tag_corpus
    from data_recipes.report import reporting
    from tianjing.config import load

    with reporting("tag") as report:
        report.show(tag_corpus(folder, out, load(TagConfig, config), labels, report.step), out)


@app.command("inspect", epilog="Example: tianjing data inspect runs/dataset --out dataset.html --task policy_qa")
def inspect_command(
    folder: Annotated[Path, typer.Argument(help="A dataset, or knowledge: a folder that data extract or build wrote.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML page to write; without it tables and a few rows are printed.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Rows shown of each table, evenly over tasks and splits. Default: 2000 on a page, 8 printed."
        ),
    ] = None,
    split: Annotated[Split | None, typer.Option(help="Only rows of this split.")] = None,
    task: Annotated[str | None, typer.Option(help="Only rows of this task (datasets).")] = None,
    where: Annotated[str, typer.Option(help="Only rows that contain this text, in any case.")] = "",
) -> None:
    """Show a dataset or knowledge as one page that a person can browse, without any network."""
    from data_recipes.browse.inspect import inspect, inspect_page
    from data_recipes.browse.terminal import TERMINAL_ROWS, print_view
    from data_recipes.browse.view import Selection
    from tianjing.files import atomic_write, require_target

    require_target(out)
    if out is None:
        print_view(inspect(folder, Selection(limit or TERMINAL_ROWS, split, task, where)))
        return
    atomic_write(out, inspect_page(folder, Selection(limit or Selection.limit, split, task, where)))
    typer.echo(f"{out}: open it in a browser", err=True)


@app.command(
    "diff",
    epilog="Examples: tianjing data diff runs/dataset-1 runs/dataset-2; tianjing data diff runs/knowledge-1 "
    "runs/knowledge-2 --out diff.html; tianjing data diff 办法-2025.docx 办法-2026.pdf",
)
def diff_command(
    old: Annotated[Path, typer.Argument(help="A dataset, knowledge, or a rule document (md, txt, html, docx, pdf).")],
    new: Annotated[Path, typer.Argument(help="Another of the same kind.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML page to write, instead of printing the first changes.")
    ] = None,
) -> None:
    """Say what differs between two datasets, two knowledge artefacts, or two versions of one rule document.

    Rows are compared by id, clauses by their text. Exit status: 0 nothing differs, 1 something does, 2 an error.
    """
    from data_recipes.browse.diff import diff, diff_page
    from data_recipes.browse.terminal import print_difference
    from tianjing.files import atomic_write, require_target

    require_target(out)
    difference = diff(old, new)
    if out is None:
        print_difference(difference)
    else:
        atomic_write(out, diff_page(difference))
        typer.echo(f"{out}: open it in a browser", err=True)
    if not difference.same:
        raise typer.Exit(1)
