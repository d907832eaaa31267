"""`tianjing ablate`: the same base trained with and without experience, and what either achieves in negotiations.

Both arms have the same stages, settings, seed and number of rows; only `negotiation.experience` of the build differs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tianjing.config import StrictModel, load_yaml, parse
from tianjing.console import make_console, print_table
from tianjing.errors import TianjingError
from tianjing.files import atomic_write
from tianjing.lineage import read_manifest
from tianjing.models import resolve
from tianjing.pipeline.config import DataSection, check_sections
from tianjing.pipeline.run import check_forced, console, fetch_model, resumable, run_stage
from tianjing.pipeline.stages import Stage, tuning, weights
from tianjing.pipeline.state import Finished

EXPERIENCE, CONTROL, BASE = "experience", "control", "base"
TUNED = (EXPERIENCE, CONTROL)
# Arms whose numbers of rows differ by more than this share are not compared.
_MAX_ROWS_APART = 0.02


class AblationConfig(StrictModel):
    """One ablation file, e.g. examples/ablation.yaml."""

    name: str
    """Names the run; the default output folder is runs/NAME."""

    raw: str | None = None
    """Raw folder, relative to this file. None: it must be given with --data."""

    model: str = "embedded"
    """Base model: a folder, `embedded`, `tiny` or a hub id."""

    data: DataSection = DataSection()
    """Settings of `data extract` and `data build`; the arms differ in `build.negotiation.experience`."""

    train: dict[str, Any] = {}
    """Fields of training.config.TrainConfig, the same for both arms."""

    negotiate: dict[str, Any] = {}
    """Fields of evals.negotiation.config.NegotiationEvalConfig."""

    def build(self, arm: str) -> dict[str, Any]:
        """Settings of `data build` for an arm."""
        own = {**self.data.build.get("negotiation", {}), "experience": arm == EXPERIENCE}
        return {**self.data.build, "tasks": ["negotiation"], "negotiation": own}


def load_ablation(path: Path) -> AblationConfig:
    """Read an ablation file and check every section before anything runs.

    Raises:
        TianjingError: naming the key or field; also where the file sets what the arms differ in.
    """
    config = parse(AblationConfig, load_yaml(path), str(path), path)
    for name, there in (
        ("tasks", "tasks" in config.data.build),
        ("negotiation.experience", "experience" in config.data.build.get("negotiation", {})),
    ):
        if there:
            raise TianjingError(f"{path}: data.build.{name} is what the ablation sets itself", "leave it out")
    sections: dict[str, Mapping[str, Any]] = {
        "data.extract": config.data.extract,
        "data.build": config.build(EXPERIENCE),
        "train": config.train,
        "negotiate": config.negotiate,
    }
    check_sections(sections, path)
    return config


def ablation_stages(config: AblationConfig, raw: Path, model: Path, out: Path) -> list[Stage]:
    """The stages in order, for resolved paths of the raw folder and the base model.

    Both datasets come first: arms of unlike size fail before anything is trained.
    """
    knowledge, talks = out / "knowledge", out / "negotiations"
    arms = {**{arm: weights(config.train, out / arm) for arm in TUNED}, BASE: model}
    named = [part for arm, folder in arms.items() for part in ("--arm", f"{arm}={folder}")]
    asked = out / EXPERIENCE / "dataset"
    return [
        Stage(
            "extract",
            "data_recipes",
            ("data", "extract", str(raw), "--out", str(knowledge)),
            (raw,),
            knowledge,
            config.data.extract,
        ),
        *(_build(arm, config, out) for arm in TUNED),
        *(stage for arm in TUNED for stage in _tune(arm, config, model, out)),
        Stage(
            "negotiate",
            "evals",
            ("eval", "negotiate", str(asked), *named, "--out", str(talks)),
            (asked, *arms.values()),
            talks,
            config.negotiate,
            ("tianjing.simulation",),
        ),
    ]


def _build(arm: str, config: AblationConfig, out: Path) -> Stage:
    knowledge, dataset = out / "knowledge", out / arm / "dataset"
    arguments = ("data", "build", str(knowledge), "--out", str(dataset))
    return Stage(f"build_{arm}", "data_recipes", arguments, (knowledge,), dataset, config.build(arm))


def _tune(arm: str, config: AblationConfig, model: Path, out: Path) -> tuple[Stage, ...]:
    return tuning(config.train, out / arm / "dataset", model, out / arm, f"_{arm}")[0]


def run_ablation(config: AblationConfig, raw: Path, out: Path, *, model: str, force: Sequence[str] = ()) -> int:
    """Run every stage that is not already done; returns the exit status.

    0: finished, whatever came out. 1: a stage failed. 2: bad input. 130: interrupted; the same command goes on.
    """
    out = out.absolute()
    return resumable(out, lambda: _run(config, raw, out, model, force))


def _run(config: AblationConfig, raw: Path, out: Path, model: str, force: Sequence[str]) -> int:
    started = time.monotonic()
    console.rule(f"[bold]{config.name}[/] → {out}")
    fetch_model(model)
    todo = ablation_stages(config, raw.absolute(), resolve(model).path, out)
    check_forced(force, todo)
    done: dict[str, tuple[Finished, bool]] = {}
    for number, stage in enumerate(todo, start=1):
        finished = run_stage(stage, out, f"[bold]{stage.name}[/] ({number}/{len(todo)})", again=stage.name in force)
        if isinstance(finished, int):
            return finished
        done[stage.name] = finished
        if stage.name == f"build_{CONTROL}":
            _check_alike(out)
    trained = {stage.name: stage.output for stage in todo}
    result = json.loads((out / "negotiations" / "ablation.json").read_text(encoding="utf-8"))
    summary = {
        "name": config.name,
        "model": model,
        **{key: result[key] for key in ("arms", "candidate", "differences")},
        "rows": {arm: _rows(out / arm / "dataset") for arm in TUNED},
        "tokens": {arm: read_manifest(trained[f"train_{arm}"]).counts["tokens"] for arm in TUNED},
        "stages": {name: {"seconds": record.seconds, "skipped": skipped} for name, (record, skipped) in done.items()},
        "wall_seconds": round(time.monotonic() - started, 1),
        "cores": len(os.sched_getaffinity(0)),
    }
    atomic_write(out / "ablation.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    atomic_write(out / "report.md", (out / "negotiations" / "report.md").read_text(encoding="utf-8"))
    _print(summary, out)
    return 0


def _rows(dataset: Path) -> int:
    return int(read_manifest(dataset).counts.get("negotiation/train", 0))  # type: ignore[arg-type]


def _check_alike(out: Path) -> None:
    """Raises TianjingError where one arm would learn from more rows than the other."""
    rows = {arm: _rows(out / arm / "dataset") for arm in TUNED}
    if max(rows.values()) - min(rows.values()) > _MAX_ROWS_APART * max(rows.values()):
        raise TianjingError(
            f"the arms have {rows[EXPERIENCE]} and {rows[CONTROL]} rows to learn from",
            f"set data.build.max_rows_per_task.train to {min(rows.values())} or less",
        )


def _print(summary: Mapping[str, Any], out: Path) -> None:
    table = Table(title="negotiations with simulated debtors")
    table.add_column("arm")
    for column in ("recovery", "agreed", "over-concession"):
        table.add_column(column, justify="right")
    for arm, figures in summary["arms"].items():
        shown = (figures[name]["estimate"] for name in ("recovery", "agreed", "over_concession"))
        table.add_row(arm, *("–" if value is None else f"{value:.3f}" for value in shown))
    print_table(table)
    figure = summary["differences"][CONTROL]["recovery"]
    span = "" if figure["low"] is None else f" [{figure['low']:+.3f}, {figure['high']:+.3f}]"
    plain = make_console(soft_wrap=True)
    plain.print(f"recovery, {EXPERIENCE} − {CONTROL}: {figure['estimate']:+.3f}{span}", markup=False)
    plain.print(f"report: {out / 'report.md'}", markup=False)
