"""Run an evaluation: plan, ask the arms, score, summarise, report, as one artefact.

Two merged models take turns, so that they never share the memory of a small machine; an adapter and its base, and all
that one endpoint serves, are asked side by side.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.arms import Endpoint, Group, endpoint_group, in_process_groups, vllm_groups
from evals.ask import ask
from evals.config import EvalConfig
from evals.errors import EvalError
from evals.material import read_material, task_table
from evals.performance import performance
from evals.plan import Shots, add_control, build_requests, choose_items, choose_shots, dropped, plan_of
from evals.records import Arm, Attempt, Item, RawAttempt
from evals.requests import planned
from evals.safety.measures import safety_measures
from evals.safety.probes import add_probes
from evals.safety.section import safety_section
from evals.safety.turns import Said, scan
from evals.scoring import score_all
from evals.suites.figures import suite_figures
from evals.summary import summarise
from tianjing.config import StrictModel, parse
from tianjing.files import atomic_write, canonical_json, read_jsonl, sha256_bytes, write_jsonl
from tianjing.lineage import artefact, verify
from tianjing.lineage.environment import compute
from tianjing.tasks import Task

if TYPE_CHECKING:
    from evals.report import Annexes

KIND = "evaluation"
ATTEMPTS, ITEMS, RUN, SUMMARY, REPORT = "attempts.jsonl", "items.jsonl", "run.json", "summary.json", "report.html"
RESCORED = "rescored"
"""Parameter of an evaluation that was scored again: `Evidence.digests` of its source."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """An evaluation as read back from its folder."""

    items: list[Item]
    attempts: list[RawAttempt]
    run: Json

    def digests(self) -> dict[str, str]:
        """SHA-256 of what was asked, what was answered, and how: what scoring again must leave as it is."""
        return {
            ITEMS: _digest_rows(self.items),
            ATTEMPTS: _digest_rows(self.attempts),
            RUN: sha256_bytes(canonical_json(self.run).encode()),
        }


def evaluate(
    dataset: Path | None,
    base: Path | None,
    tuned: Path | None,
    out: Path,
    config: EvalConfig,
    suites: Sequence[Path] = (),
    in_process: bool = False,
) -> Json:
    """Measure model folders, each a model or a LoRA adapter, on held-out items; returns the summary.

    Args:
        dataset: an instruction dataset whose test split is asked; None asks the `suites` alone.
        base: None measures `tuned` alone.
        in_process: run the models by transformers in this process, instead of by vLLM.

    Raises:
        EvalError: no usable test rows, the engine stopped answering, or it ignores the seeds of requests.
        TianjingError: an input is missing or broken; the engine does not start.
    """
    groups = (in_process_groups if in_process else vllm_groups)(base, tuned, config)
    inputs = [path for path in (base, tuned) if path is not None]
    return measure(dataset, suites, groups, inputs, out, config)


def evaluate_endpoint(
    dataset: Path | None, endpoint: Endpoint, out: Path, config: EvalConfig, suites: Sequence[Path] = ()
) -> Json:
    """Measure models that an OpenAI-compatible endpoint serves; returns the summary.

    Raises:
        EvalError: as `evaluate`, and nothing answers there, or it does not serve a model of that name.
    """
    inputs = [path for path in (endpoint.adapter,) if path is not None]
    return measure(dataset, suites, [endpoint_group(endpoint, config)], inputs, out, config)


def measure(
    dataset: Path | None,
    suites: Sequence[Path],
    groups: Sequence[Group],
    inputs: Sequence[Path],
    out: Path,
    config: EvalConfig,
) -> Json:
    """Ask every group in turn and write the evidence of all as one artefact; returns the summary.

    Answers are kept in `out`'s sibling `.work/` until the artefact is finished: after a kill, the same call goes on.
    """
    parameters = config.model_dump(mode="json")
    sources = [*([] if dataset is None else [dataset]), *suites]
    with artefact(out, kind=KIND, inputs=[*sources, *inputs], parameters=parameters) as work:
        material = add_probes(read_material(dataset, suites), config.safety)
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
            "plan": plan_of(items),
            "dropped": dropped(items),
            "shots": {task: [row.id for row in rows] for task, rows in sorted(shots["base"].items())},
            "arms": {},
        }
        attempts: list[RawAttempt] = []
        for group in groups:
            plans = {arm: build_requests(items, shots[arm], config, tasks) for arm in group.specs}
            for arm, answered in ask(group, plans, scratch, config).items():
                attempts += answered.attempts
                run["arms"][arm] = answered.details
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
        EvalError: the folder is no evaluation, or was changed after it was written: whatever is made from it would
            pass the change on under a manifest of its own.
    """
    for name in (ITEMS, ATTEMPTS, RUN, SUMMARY):
        if not (directory / name).is_file():
            raise EvalError(f"{directory / name}: missing", "give the folder that 'tianjing eval run' wrote")
    if changed := verify(directory):
        raise EvalError(
            f"the evidence was changed after it was written: {changed[0]}",
            "evaluate again, or take it from its backup",
        )
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

    The evidence itself is never changed, for a release is signed over its digest. Scoring again may change scores and
    figures, never what was asked and answered: a new artefact records the digests of these.

    Args:
        page: file for the report.
        release: a release whose verdict the page shows.
        evidence_out: folder for a new evaluation artefact with all recomputed files; its input is `directory`.
        annexes: what other checks say of the same models, for the page.

    Returns:
        The summary, and whether it equals the stored one.

    Raises:
        EvalError: the folder is no evaluation, or was changed after it was written.
    """
    from evals.report import render_report

    evidence = read_evidence(directory)
    summary, scored = _figures(evidence)
    if page is not None:
        tasks = task_table(evidence.run["definitions"])
        atomic_write(page, render_report(summary, evidence.items, scored, tasks, release, annexes))
    if evidence_out is not None:
        parameters = {**evidence.run["config"], RESCORED: evidence.digests()}
        with artefact(evidence_out, kind=KIND, inputs=[directory], parameters=parameters) as work:
            write_evidence(work.dir, evidence)
            work.count("items", len(evidence.items))
            work.count("requests", len(evidence.attempts))
    stored = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
    return summary, json.loads(_pretty(summary)) == stored


def measured(
    items: Sequence[Item],
    scored: Sequence[Attempt],
    config: EvalConfig,
    tasks: Mapping[str, Task],
    said: Sequence[Said],
) -> Json:
    """All that a gate policy may speak of: tables and measures of accuracy and stability, and measures of safety.

    Args:
        said: `scan` of the same attempts.
    """
    figures = summarise(items, scored, config, tasks)
    if figures["tasks"]:
        figures["measures"] += [m.model_dump(mode="json") for m in safety_measures(items, scored, config, said)]
    return figures


def _figures(evidence: Evidence) -> tuple[Json, list[Attempt]]:
    """Summary and scored attempts, from raw outputs."""
    config = parse(EvalConfig, evidence.run["config"], RUN)
    tasks = task_table(evidence.run["definitions"])
    items = evidence.items
    scored = score_all(evidence.attempts, {item.id: item for item in items}, tasks)
    said = scan(items, scored, config)
    figures = measured(items, scored, config, tasks, said)
    if figures["tasks"]:
        figures["safety"] = safety_section(items, scored, config, said)
        for arm in evidence.run["arms"]:
            for name, values in suite_figures(items, scored, tasks, arm).items():
                figures["tasks"][name].setdefault("beside", {})[arm] = values
    return {**figures, "performance": performance(scored, config.prices), **evidence.run}, scored


def _digest_rows(rows: Iterable[StrictModel]) -> str:
    found = hashlib.sha256()
    for row in rows:
        # Without defaults: a version that adds a field reads older rows to the same digest.
        found.update(canonical_json(row.model_dump(mode="json", exclude_defaults=True)).encode() + b"\n")
    return found.hexdigest()


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
