"""Run an evaluation: plan, ask base, ask tuned, score, summarise, report, as one artefact.

One engine at a time serves one arm, so two models never share the memory of a small machine.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.material import read_material, task_table
from evals.plan import Shots, add_control, build_requests, choose_items, choose_shots, dropped
from evals.progress import ArmProgress
from evals.records import ARMS, Arm, Attempt, Item, RawAttempt, Request
from evals.requests import planned
from evals.runner import load_attempts, pending, require_different_repeats, run_requests
from evals.safety.probes import add_probes
from evals.scoring import score_all
from evals.summary import summarise
from tianjing.config import parse
from tianjing.engine import ChatClient, Engine, EngineConfig
from tianjing.files import atomic_write, read_jsonl, write_jsonl
from tianjing.lineage import artefact, artefact_digest
from tianjing.lineage.environment import compute

if TYPE_CHECKING:
    from evals.report import Annexes

KIND = "evaluation"
ATTEMPTS, ITEMS, RUN, SUMMARY, REPORT = "attempts.jsonl", "items.jsonl", "run.json", "summary.json", "report.html"

Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """An evaluation as read back from its folder."""

    items: list[Item]
    attempts: list[RawAttempt]
    run: Json


def evaluate(dataset: Path, base: Path, tuned: Path, out: Path, config: EvalConfig) -> Json:
    """Measure `tuned` against `base` on the test split of `dataset`; returns the summary.

    Answers are kept in `out`'s sibling `.work/` until the artefact is finished: after a kill, the same call goes on.

    Raises:
        EvalError: no usable test rows, the engine stopped answering, or repeats are copies of one another.
        TianjingError: an input is missing or broken; the engine does not start.
    """
    parameters = config.model_dump(mode="json")
    with artefact(out, kind=KIND, inputs=[dataset, base, tuned], parameters=parameters) as work:
        material = add_probes(read_material(dataset), config.safety)
        tasks = material.tasks
        _say("choosing items and scoring the format-only control")
        items = add_control(choose_items(material.test, config, tasks), material.train, config, tasks)
        counts = planned(items, config)
        kinds = ", ".join(f"{name} {count}" for name, count in counts.items())
        _say(f"{len(items)} items, {sum(counts.values())} requests to each arm: {kinds}")
        learnt = {example.group for example in material.train}
        shots: dict[Arm, Shots] = {"base": choose_shots(material.train, config), "tuned": {}}
        scratch = out.parent / ".work" / out.name
        run: Json = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "dataset": material.digest,
            "definitions": list(material.definitions),
            "config": parameters,
            "machine": compute().model_dump(mode="json"),
            "shared_groups": len({item.group for item in items} & learnt),
            "dropped": dropped(items),
            "shots": {task: [row.id for row in rows] for task, rows in sorted(shots["base"].items())},
            "arms": {},
        }
        attempts: list[RawAttempt] = []
        for arm, model in zip(ARMS, (base, tuned), strict=True):
            digest = artefact_digest(model)
            requests = build_requests(items, shots[arm], config, tasks)
            answered, engine = _ask(arm, model, digest, requests, scratch, config)
            attempts += answered
            run["arms"][arm] = {"model": model.name, "digest": digest, **engine}
        summary = write_evidence(work.dir, Evidence(items, attempts, run))
        work.count("items", len(items))
        work.count("requests", len(attempts))
        work.count("errors", sum(attempt.error is not None for attempt in attempts))
    shutil.rmtree(scratch, ignore_errors=True)
    return summary


def write_evidence(directory: Path, evidence: Evidence) -> Json:
    """Score, summarise and report: writes all files of the artefact and returns the summary."""
    from evals.report import render_report

    summary, scored = _figures(evidence)
    write_jsonl(directory / ITEMS, (item.model_dump(mode="json") for item in evidence.items))
    write_jsonl(directory / ATTEMPTS, (attempt.model_dump(mode="json") for attempt in scored))
    atomic_write(directory / RUN, _pretty(evidence.run))
    atomic_write(directory / SUMMARY, _pretty(summary))
    atomic_write(
        directory / REPORT, render_report(summary, evidence.items, scored, task_table(evidence.run["definitions"]))
    )
    return summary


def read_evidence(directory: Path) -> Evidence:
    """Read an evaluation back, raw outputs only: whatever was scored before is scored anew.

    Raises:
        EvalError: the folder is no evaluation.
    """
    for name in (ITEMS, ATTEMPTS, RUN, SUMMARY):
        if not (directory / name).is_file():
            raise EvalError(f"{directory / name}: missing", "give the folder that 'tianjing eval run' wrote")
    with open(directory / ATTEMPTS, encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    known = RawAttempt.model_fields
    attempts = [RawAttempt(**{name: value for name, value in row.items() if name in known}) for row in rows]
    run = json.loads((directory / RUN).read_text(encoding="utf-8"))
    return Evidence(list(read_jsonl(directory / ITEMS, Item)), attempts, run)


def rescore(
    directory: Path,
    page: Path | None,
    release: Json | None,
    evidence_out: Path | None,
    annexes: Annexes | None = None,
) -> tuple[Json, bool]:
    """Score an evaluation's raw outputs again and recompute its figures.

    The evidence itself is never changed, for a release is signed over its digest.

    Args:
        page: file for the report.
        release: a release whose verdict the page shows.
        evidence_out: folder for a new evaluation artefact with all recomputed files; its input is `directory`.
        annexes: what other checks say of the same models, for the page.

    Returns:
        The summary, and whether it equals the stored one.

    Raises:
        EvalError: the folder is no evaluation.
    """
    from evals.report import render_report

    evidence = read_evidence(directory)
    summary, scored = _figures(evidence)
    if page is not None:
        tasks = task_table(evidence.run["definitions"])
        atomic_write(page, render_report(summary, evidence.items, scored, tasks, release, annexes))
    if evidence_out is not None:
        with artefact(evidence_out, kind=KIND, inputs=[directory], parameters=evidence.run["config"]) as work:
            write_evidence(work.dir, evidence)
    stored = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
    return summary, json.loads(_pretty(summary)) == stored


def _figures(evidence: Evidence) -> tuple[Json, list[Attempt]]:
    """Summary and scored attempts, from raw outputs."""
    config = parse(EvalConfig, evidence.run["config"], RUN)
    tasks = task_table(evidence.run["definitions"])
    scored = score_all(evidence.attempts, {item.id: item for item in evidence.items}, tasks)
    return {**summarise(evidence.items, scored, config, tasks), **evidence.run}, scored


def _ask(
    arm: Arm, model: Path, digest: str, requests: Sequence[Request], scratch: Path, config: EvalConfig
) -> tuple[list[RawAttempt], Json]:
    """All attempts of one arm, from disk as far as they are there; and the engine that gave them."""
    path = scratch / f"attempts-{arm}.jsonl"
    note = scratch / f"engine-{arm}.json"
    details: Json = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {"seconds": 0.0}
    left = pending(requests, digest, load_attempts(path))
    if left:
        began = time.monotonic()
        title = f"evaluate {arm}"
        engine_config = EngineConfig(
            model=model,
            max_model_len=config.max_model_len,
            max_num_seqs=config.concurrency,
            kv_cache_gib=config.kv_cache_gib,
            start_timeout_s=config.start_timeout_s,
        )
        with Engine(engine_config, scratch / f"engine-{arm}.log", lambda phase: _say(f"{title}: {phase}")) as engine:
            details["engine"] = engine.version
            try:
                with ArmProgress(title, len(requests), len(requests) - len(left)) as progress:
                    asyncio.run(_run_arm(left, engine, arm, digest, path, config, progress))
                if not engine.alive():
                    raise EvalError(
                        f"the engine of the {arm} model ended before all requests were answered",
                        f"read {engine.log_path}, then give the same command again: answered requests are kept",
                    )
            finally:
                details["seconds"] = round(details["seconds"] + time.monotonic() - began, 1)
                atomic_write(note, _pretty(details))
    known = load_attempts(path)
    answered = [known[request.key(digest)] for request in requests]
    try:
        require_different_repeats(answered)
    except EvalError:
        # Once the cause is mended these must be asked again, so they may not count as answered.
        write_jsonl(path, (attempt for attempt in known.values() if attempt.temperature == 0))
        raise
    return answered, details


async def _run_arm(
    left: Sequence[Request],
    engine: Engine,
    arm: Arm,
    digest: str,
    path: Path,
    config: EvalConfig,
    progress: ArmProgress,
) -> None:
    async with ChatClient(engine.base_url, engine.api_key, config.request_timeout_s) as client:
        await run_requests(
            left,
            client,
            engine.config.served_name,
            arm,
            digest,
            path,
            config,
            lambda attempt: progress.step(attempt.error is not None),
        )


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
