"""Clean the dialogues of a raw folder: plan, run the phases on an executor, gather what they wrote."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.executors import ExecutorConfig, run_phases
from data_recipes.cleaning.ingest import INGEST, REJECTED
from data_recipes.cleaning.join import DIALOGUES, DUPLICATES, EVENTS, JOIN, QUARANTINE, TRAIL
from data_recipes.cleaning.phases import (
    COUNTS,
    DROPPED,
    FINISH,
    OUTCOMES,
    REST,
    SECONDS,
    phases,
)
from data_recipes.cleaning.plan import Plan, make_plan
from data_recipes.cleaning.workspace import Workspace
from data_recipes.errors import DataError
from tianjing.files import OnError, read_jsonl
from tianjing.lineage import Manifest, artefact, check_target, read_manifest
from tianjing.records import Dialogue, Event, Outcome

KIND = "clean"
FILES = (DIALOGUES, EVENTS, OUTCOMES, TRAIL, QUARANTINE, DROPPED, REJECTED, DUPLICATES)
Progress = Callable[[str], None]


@dataclass
class Gathered:
    """What cleaning counted, and its core seconds by step."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)


@dataclass
class CleanedMaterial:
    """The dialogues of one raw folder, cleaned, with what belongs to them; for material that fits into memory."""

    dialogues: list[Dialogue] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    trail: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    duplicates: list[dict[str, Any]] = field(default_factory=list)
    dropped_rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def clean_material(
    raw: Path,
    work: Path,
    config: CleanConfig,
    identity_fields: tuple[str, ...],
    on_error: OnError,
    executor: ExecutorConfig,
    progress: Progress,
) -> CleanedMaterial:
    """Clean the dialogues of a raw folder in the workspace `work` and read what came of it."""
    space = Workspace(work)
    plan = prepare(raw, space, config, identity_fields, on_error, progress)
    run_phases(space, phases(plan), executor, progress)
    folder = space.root / "gathered"
    folder.mkdir(exist_ok=True)
    counts = gather(space, folder).counts

    def rows(name: str) -> list[dict[str, Any]]:
        with open(folder / name, "rb") as stream:
            return [json.loads(line) for line in stream]

    return CleanedMaterial(
        dialogues=list(read_jsonl(folder / DIALOGUES, Dialogue)),
        events=list(read_jsonl(folder / EVENTS, Event)),
        outcomes=list(read_jsonl(folder / OUTCOMES, Outcome)),
        trail=rows(TRAIL),
        quarantine=rows(QUARANTINE),
        duplicates=rows(DUPLICATES),
        dropped_rows=rows(DROPPED),
        rejected=rows(REJECTED),
        read=Counter({name.removeprefix("read "): count for name, count in counts.items() if name.startswith("read")}),
        dropped=Counter({name[9:]: count for name, count in counts.items() if name.startswith("dropped: ")}),
    )


def clean(
    raw: Path,
    out: Path,
    config: CleanConfig,
    identity_fields: tuple[str, ...],
    on_error: OnError = "stop",
    executor: ExecutorConfig | None = None,
    progress: Progress = lambda step: None,
) -> Manifest:
    """Write the artefact `out`: the dialogues of the raw folder, cleaned, with their events and outcomes.

    It is itself a raw folder, so `data extract` reads it. Memory does not grow with the material (about 100 bytes a
    dialogue). Killed, the same command goes on where it was; the bytes do not depend on workers or executor.

    Raises:
        DataError: no dialogues, or a bad line unless `on_error` is `skip`; a worker failed.
    """
    raw, out = Path(raw), Path(out)
    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder", "give the folder that holds dialogues")
    check_target(out, KIND, [raw])
    work = workspace(out)
    plan = prepare(raw, work, config, identity_fields, on_error, progress)
    if not plan.dialogues:
        raise DataError(f"{raw}: no dialogues here", "dialogues.jsonl, .csv or .parquet is what this command cleans")
    run_phases(work, phases(plan), executor or ExecutorConfig(), progress)
    progress("gathering")
    parameters = {"config": config.model_dump(mode="json"), "identity_fields": identity_fields, "on_error": on_error}
    with artefact(out, KIND, [raw], parameters) as result:
        gathered = gather(work, result.dir)
        for name, count in sorted(gathered.counts.items()):
            reason = name.removeprefix("dropped: ")
            if reason != name:
                result.drop(reason, count)
            else:
                result.count(name, count)
    work.clear()
    return read_manifest(out)


def workspace(out: Path) -> Workspace:
    """The hidden folder beside an artefact in which its dialogues are cleaned."""
    return Workspace(out.absolute().with_name(f".{out.name}.work"))


def prepare(
    raw: Path,
    work: Workspace,
    config: CleanConfig,
    identity_fields: tuple[str, ...],
    on_error: OnError,
    progress: Progress,
) -> Plan:
    """Plan the work, and keep the plan in the workspace."""
    progress("planning shards")
    plan = make_plan(raw, config, identity_fields, on_error)
    if work.keep(plan.kept()):
        progress("going on where an earlier run stopped")
    return plan


def gather(work: Workspace, out: Path) -> Gathered:
    """Join what the shards left, in their order, into one file of each kind below `out`."""
    plan = Plan.of(work)
    done = [(FINISH, len(plan.dialogues)), (REST, len(plan.joined))]
    for name in FILES:
        with open(out / name, "wb") as target:
            folders = [work.folder(phase, number) for phase, count in done for number in range(count)]
            if name == REJECTED:
                folders = [work.folder(INGEST, number) for number in range(len(plan.joined))] + folders
            for folder in [*folders, work.folder(JOIN)]:
                if (folder / name).is_file():
                    with open(folder / name, "rb") as source:
                        shutil.copyfileobj(source, target, 1 << 20)
    found = Gathered()
    for phase, count in done:
        for number in range(count):
            found.counts.update(json.loads((work.folder(phase, number) / COUNTS).read_text("utf-8")))
    for path in work.root.glob(f"{SECONDS}.*"):
        found.seconds.update(json.loads(path.read_text("utf-8")))
    return found
