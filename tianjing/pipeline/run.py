"""Run a pipeline: skip what is done, run what is not, and say in the end what came out."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from tianjing.console import make_console, print_table
from tianjing.errors import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    EXIT_NOT_RELEASED,
    EXIT_RESUMABLE,
    EXIT_STAGE_FAILED,
    TianjingError,
)
from tianjing.files import OnError, atomic_write
from tianjing.lineage import artefact_digest
from tianjing.models import resolve
from tianjing.pipeline import process
from tianjing.pipeline.config import PipelineConfig
from tianjing.pipeline.stages import Stage, stages, weights
from tianjing.pipeline.state import Finished, locked, read_finished, stage_key, write_finished

console = make_console(stderr=True)


def run_pipeline(
    config: PipelineConfig, raw: Path, out: Path, *, model: str, force: Sequence[str] = (), on_error: OnError = "stop"
) -> int:
    """Run every stage that is not already done; returns the exit status.

    0: finished (and released, where that is required). 1: a stage failed. 2: bad input. 3: the gate did
    not promote. 130: interrupted; the same command goes on.
    """
    out = out.absolute()
    return resumable(out, lambda: _run(config, raw, out, model, force, on_error))


def _run(config: PipelineConfig, raw: Path, out: Path, model: str, force: Sequence[str], on_error: OnError) -> int:
    started = time.monotonic()
    console.rule(f"[bold]{config.name}[/] → {out}")
    fetched = fetch_model(model)
    base = resolve(model).path
    todo = stages(config, raw.absolute(), base, out, on_error)
    check_forced(force, todo)

    done: dict[str, tuple[Finished, bool]] = {}
    for number, stage in enumerate(todo, start=1):
        title = f"[bold]{stage.name}[/] ({number}/{len(todo)})"
        if stage.name == "serve_check" and config.require_release and _verdict(out) != "promote":
            console.print(f"✗ {title} not run: the gate did not promote")
            break
        finished = run_stage(stage, out, title, again=stage.name in force)
        if isinstance(finished, int):
            return finished
        done[stage.name] = finished
    summary = _summary(config, model, out, done, fetched, time.monotonic() - started)
    atomic_write(out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    _print(summary, out, weights(config.train, out))
    if config.require_release and summary["verdict"] != "promote":
        return EXIT_NOT_RELEASED
    return 0


def run_stage(stage: Stage, out: Path, title: str, *, again: bool) -> tuple[Finished, bool] | int:
    """Run a stage unless it stands finished: its record and whether it was skipped, or the exit status of a failure.

    Raises:
        KeyboardInterrupt: the stage was interrupted.
    """
    key = stage_key(stage)
    record = read_finished(out, stage)
    if record is not None and record.key == key and not again:
        console.print(f"✓ {title} unchanged, skipped")
        return record, True
    console.print(f"▶ {title}")
    result = process.run(stage.command(_settings_file(out, stage)))
    if result.status != 0:
        return _failed(stage, result.status)
    record = Finished(
        key=key,
        digest=artefact_digest(stage.output),
        seconds=round(result.seconds, 1),
        peak_memory_gib=round(result.peak_memory_gib, 2),
    )
    write_finished(out, stage, record)
    return record, False


def check_forced(force: Sequence[str], todo: Sequence[Stage]) -> None:
    """Raises TianjingError when a stage that is to be run again is none."""
    unknown = sorted(set(force) - {stage.name for stage in todo})
    if unknown:
        names = ", ".join(stage.name for stage in todo)
        raise TianjingError(f"--force {unknown[0]}: no such stage", f"stages are: {names}")


def resumable(out: Path, work: Callable[[], int]) -> int:
    """Do `work` alone in `out`; Ctrl-C and a scheduler's SIGTERM stop the running stage cleanly, status 130."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with locked(out):
        try:
            return work()
        except KeyboardInterrupt:
            console.print("\n[yellow]stopped[/]; the same command goes on from here")
            return EXIT_INTERRUPTED


def fetch_model(model: str) -> float:
    """Make the base model available, in a process of its own; returns the seconds it took."""
    started = time.monotonic()
    result = process.run([sys.executable, "-m", "tianjing", "models", "fetch", model])
    if result.status == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if result.status != 0:
        raise TianjingError(f"the base model '{model}' is not available", "the line above says why and what to do")
    return time.monotonic() - started


def _settings_file(out: Path, stage: Stage) -> Path | None:
    if stage.settings is None:
        return None
    path = out / ".state" / f"{stage.name}.yaml"
    atomic_write(path, yaml.safe_dump(dict(stage.settings), allow_unicode=True, sort_keys=False))
    return path


def _failed(stage: Stage, status: int) -> int:
    if status in (EXIT_INTERRUPTED, EXIT_RESUMABLE, -signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    reason = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    console.print(f"[red]✗ {stage.name} {reason}[/]; nothing that was finished is lost. Mend the cause, then repeat.")
    return EXIT_BAD_INPUT if status == EXIT_BAD_INPUT else EXIT_STAGE_FAILED


def _verdict(out: Path) -> str:
    return str(json.loads((out / "release.json").read_text(encoding="utf-8"))["verdict"])


def _summary(
    config: PipelineConfig,
    model: str,
    out: Path,
    done: dict[str, tuple[Finished, bool]],
    fetched: float,
    wall_seconds: float,
) -> dict[str, Any]:
    evaluation = json.loads((out / "evals" / "summary.json").read_text(encoding="utf-8"))
    timings = {
        name: {"seconds": record.seconds, "peak_memory_gib": record.peak_memory_gib, "skipped": skipped}
        for name, (record, skipped) in done.items()
    }
    return {
        "name": config.name,
        "model": model,
        "verdict": _verdict(out),
        "tasks": evaluation["tasks"],
        "stages": {"model": {"seconds": round(fetched, 1), "skipped": False}, **timings},
        "wall_seconds": round(wall_seconds, 1),
        "peak_memory_gib": max((record.peak_memory_gib for record, _ in done.values()), default=0.0),
        "cores": len(os.sched_getaffinity(0)),
    }


def _print(summary: dict[str, Any], out: Path, served: Path) -> None:
    table = Table(title="Held-out customers: base against tuned", title_justify="left")
    for column in ("task", "n", "base", "format only", "tuned", "difference", "95% CI", "pass^4", "agreement"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for name, task in summary["tasks"].items():
        tuned = task.get("stability", {}).get("tuned", {})
        table.add_row(
            name,
            str(task["n"]),
            f"{task['base']:.3f}",
            _number(task.get("format_only", {}).get("score")),
            f"{task['tuned']:.3f}",
            f"{task['difference']:+.3f}",
            _interval(task),
            _number(tuned.get("pass^4")),
            _number(tuned.get("paraphrase_agreement")),
        )
    times = Table(title="Stages", title_justify="left")
    for column in ("stage", "seconds", "peak GiB", ""):
        times.add_column(column, justify="right" if column in ("seconds", "peak GiB") else "left")
    for name, stage in summary["stages"].items():
        state = "skipped" if stage["skipped"] else ""
        times.add_row(name, f"{stage['seconds']:.1f}", _number(stage.get("peak_memory_gib")), state)
    stdout = make_console()
    print_table(table)
    print_table(times)
    colour = "green" if summary["verdict"] == "promote" else "yellow"
    stdout.print(f"gate: [bold {colour}]{summary['verdict'].upper()}[/]   wall time: {summary['wall_seconds']:.0f} s")
    stdout.print(f"report: {out / 'report.html'}", soft_wrap=True)
    if summary["verdict"] == "promote":
        stdout.print(f"serve it: tianjing serve run {served} --release {out / 'release.json'}", soft_wrap=True)


def _interval(task: dict[str, Any]) -> str:
    """A task whose items all belong to one customer has no interval."""
    if task["ci_low"] is None:
        return "–"
    return f"{task['ci_low']:+.3f} … {task['ci_high']:+.3f}"


def _number(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"
