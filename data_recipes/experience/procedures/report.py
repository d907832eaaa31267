"""`tianjing data procedures`: the procedures of a knowledge artefact as charts, and new cases judged by them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from data_recipes.config import ExtractConfig
from data_recipes.errors import DataError
from data_recipes.experience.practices import Clocks, align
from data_recipes.experience.procedures.cases import join_cases
from data_recipes.experience.procedures.conformance import Conformance, conform
from data_recipes.experience.procedures.mermaid import mermaid
from data_recipes.experience.procedures.svg import svg
from data_recipes.knowledge import KIND
from tianjing.acts import ACTS
from tianjing.config import parse
from tianjing.console import make_console
from tianjing.files import atomic_write, read_jsonl, write_jsonl
from tianjing.lineage import is_artefact, read_manifest
from tianjing.records import Dialogue, Event, Procedure

_MOST_LISTED = 5


def read_procedures(knowledge: Path, task: str | None = None) -> list[Procedure]:
    """The procedures of a knowledge artefact, or that of one task.

    Raises:
        DataError: it is no knowledge, or no procedure is of that task.
    """
    remedy = "extract it first: tianjing data extract RAW --out KNOWLEDGE"
    if not is_artefact(knowledge) or read_manifest(knowledge).kind != KIND:
        raise DataError(f"{knowledge}: no knowledge artefact", remedy)
    found = list(read_jsonl(knowledge / "procedures.jsonl", Procedure))
    if task is None:
        return found
    chosen = [procedure for procedure in found if procedure.task == task]
    if not chosen:
        tasks = "、".join(procedure.task for procedure in found) or "none: its raw folder has no operation log"
        raise DataError(f"{knowledge}: no procedure of task '{task}'", f"tasks here: {tasks}")
    return chosen


def draw(procedures: Sequence[Procedure], out: Path) -> list[Path]:
    """Write `NAME.svg` and `NAME.mmd` of each procedure into a folder; returns the paths."""
    written = []
    for number, procedure in enumerate(procedures, start=1):
        name = f"{number:02d}-{re.sub(r'[^0-9A-Za-z_一-鿿-]+', '_', procedure.task)[:40]}"
        for suffix, text in ((".svg", svg(procedure)), (".mmd", mermaid(procedure))):
            atomic_write(out / f"{name}{suffix}", text)
            written.append(out / f"{name}{suffix}")
    return written


@dataclass(frozen=True)
class Judged:
    """New cases judged. `notes` say what could not be."""

    cases: list[Conformance]
    notes: tuple[str, ...]


def judge(knowledge: Path, events: Path, dialogues: Path | None = None, task: str | None = None) -> Judged:
    """Judge the cases of an operation log by the procedures of a knowledge artefact.

    A case's task is found as when the procedures were mined, and the log is put on the clock of the dialogues as it was
    then. Without dialogues, steps that are acts of a dialogue are
    not judged.

    Args:
        events: events.jsonl of the raw form.
        dialogues: dialogues.jsonl of the same cases.
        task: only cases of this task.

    Raises:
        DataError: no knowledge, no such task, no event, or a missing file.
        TianjingError: a line does not fit, naming it.
    """
    procedures = read_procedures(knowledge, task)
    for path in (events, dialogues):
        if path is not None and not path.is_file():
            raise DataError(f"{path}: no such file", "give the operation log (or dialogues) as JSON Lines")
    learned = read_manifest(knowledge).parameters.get("config", {})
    config = parse(ExtractConfig, learned, str(knowledge / "manifest.json"))
    log = list(read_jsonl(events, Event))
    if not log:
        raise DataError(f"{events}: no event", "give an operation log with at least one line")
    spoken = list(read_jsonl(dialogues, Dialogue)) if dialogues else []
    log, clocks = align(spoken, log, {*config.practices.exclude_activities, config.inspection_activity})
    cases, lost = join_cases(log, spoken, {}, config.procedures, config.practices)
    notes = [f"{count:,} × {reason}" for reason, count in sorted(lost.items())] + _moved(clocks)
    judged = None
    acts = sorted({step for procedure in procedures for step in procedure.steps if step in ACTS})
    if dialogues is None and acts:
        judged = frozenset(step for procedure in procedures for step in procedure.steps) - set(acts)
        notes.append(f"without --dialogues, acts are not judged: {'、'.join(ACTS[act] for act in acts)}")
    results = [one for one in conform(cases, procedures, judged) if task is None or one.task == task]
    unknown = Counter(one.task for one in results if one.fitness is None)
    if unknown:
        listed = "、".join(f"{name} ({count:,})" for name, count in unknown.most_common(_MOST_LISTED))
        notes.append(f"{unknown.total():,} cases are of tasks without a procedure and have no fitness: {listed}")
    return Judged(results, tuple(notes))


def _moved(clocks: Clocks) -> list[str]:
    if not clocks.shifts:
        return []
    shifts = [f"{actor} {seconds:+,} s" for actor, seconds in sorted(clocks.shifts.items())]
    more = ", …" if len(shifts) > _MOST_LISTED else ""
    listed = ", ".join(shifts[:_MOST_LISTED]) + more
    return [f"the log of {len(shifts):,} actors was put on the clock of the dialogues: {listed}"]


def run(knowledge: Path, task: str | None, out: Path | None, events: Path | None, dialogues: Path | None) -> None:
    """What the command does: print both tables, and with `out` write the charts and conformance.jsonl."""
    procedures = read_procedures(knowledge, task)
    judged = judge(knowledge, events, dialogues, task) if events is not None else None
    console = make_console()
    console.print(_procedures_table(procedures))
    if judged is not None:
        console.print(_conformance_table(judged))
        for note in judged.notes:
            console.print(f"note: {note}", markup=False)
    if out is None:
        return
    draw(procedures, out)
    if judged is not None:
        write_jsonl(out / "conformance.jsonl", judged.cases)
    console.print(f"{out}: {len(procedures)} charts as .svg and .mmd", markup=False)


def _procedures_table(procedures: Sequence[Procedure]) -> Table:
    table = Table(title="流程 procedures", title_justify="left")
    for heading in (
        "任务 task",
        "案例 cases",
        "步骤 steps",
        "可省 optional",
        "分支 branches",
        "合规 conform",
        "fitness",
    ):
        table.add_column(heading, overflow="fold", justify="left" if heading.endswith("task") else "right")
    for one in procedures:
        figures = (one.support, len(one.steps), len(one.optional), len(one.branches))
        table.add_row(one.task, *(f"{n:,}" for n in figures), f"{one.coverage:.0%}", f"{one.fitness:.2f}")
    return table


def _conformance_table(judged: Judged) -> Table:
    table = Table(title="新案例 new cases", title_justify="left")
    for heading in (
        "任务 task",
        "案例 cases",
        "合规 conform",
        "fitness",
        "缺 missing",
        "乱序 out of order",
        "未知 unknown",
    ):
        table.add_column(heading, overflow="fold")
    by_task: dict[str, list[Conformance]] = {}
    for one in judged.cases:
        if one.fitness is not None:
            by_task.setdefault(one.task, []).append(one)
    for task, rows in sorted(by_task.items()):
        values = [one.fitness or 0.0 for one in rows]
        table.add_row(
            task,
            f"{len(rows):,}",
            f"{sum(value == 1 for value in values) / len(values):.0%}",
            f"{sum(values) / len(values):.2f}",
            _commonest(step for one in rows for step in one.missing),
            _commonest(f"{b} 先于 {a}" for one in rows for a, b in one.out_of_order),
            _commonest(step for one in rows for step in one.unknown),
        )
    return table


def _commonest(values: Any) -> str:
    return "；".join(f"{value} {count:,}" for value, count in Counter(values).most_common(3)) or "–"
