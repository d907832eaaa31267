"""Figures that an evaluation does not hold itself: of a parity check, and of a judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.gate.policy import GatePolicy
from evals.gate.words import level
from evals.judge.run import KIND as JUDGEMENT
from evals.judge.run import judge_measures
from evals.measures import Measure
from evals.parity.run import KIND as PARITY
from evals.parity.run import SUMMARY, parity_measures
from tianjing.lineage import artefact_digest, is_artefact, read_manifest, verify

Json = Mapping[str, Any]
_READERS: Mapping[str, Callable[[Path], list[Measure]]] = {PARITY: parity_measures, JUDGEMENT: judge_measures}


@dataclass(frozen=True)
class Beside:
    """What folders beside an evaluation add to it.

    Attributes:
        measures: of all of them.
        problems: why a folder cannot be read together with this evaluation; lines for people.
        notes: which folders were read, with their digests.
    """

    measures: list[Measure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_beside(folders: Sequence[Path], evals: Path, summary: Json, policy: GatePolicy) -> Beside:
    """Measures of folders that `eval parity` and `eval judge` wrote of the models that were evaluated.

    Args:
        evals: the evaluation, and `summary` the content of its summary.json.
        policy: says which level their intervals must have.

    Raises:
        EvalError: a folder is neither.
        TianjingError: a folder is missing.
    """
    found = Beside()
    for folder in folders:
        kind = read_manifest(folder).kind if is_artefact(folder) else ""
        if kind not in _READERS:
            raise EvalError(
                f"{folder}: neither a parity check nor a judgement",
                "give the folder that 'tianjing eval parity' or 'tianjing eval judge' wrote",
            )
        if changed := verify(folder):
            found.problems.append(f"{folder} was changed after it was written: {changed[0]}")
        elif problem := _of_others(folder, kind, evals, summary) or _lower_level(folder, policy):
            found.problems.append(problem)
        else:
            found.measures.extend(m for m in _READERS[kind](folder) if not m.task or m.task in summary["tasks"])
            found.notes.append(f"with {kind} {folder.name}, {artefact_digest(folder)}")
    return found


def _lower_level(folder: Path, policy: GatePolicy) -> str:
    """Why the intervals of a folder show less than the policy asks for, or ""."""
    found = read_manifest(folder).parameters["confidence"]
    if found >= policy.min_confidence:
        return ""
    return (
        f"{folder}: its intervals have a level of {level(found)}, and the policy asks for at least "
        f"{level(policy.min_confidence)}: make it again with confidence: {policy.min_confidence:g}"
    )


def _of_others(folder: Path, kind: str, evals: Path, summary: Json) -> str:
    """Why what a folder says is not about these models and answers, or ""."""
    if kind == JUDGEMENT:
        judged = {record.sha256 for record in read_manifest(folder).inputs}
        return "" if artefact_digest(evals) in judged else f"{folder} judges the answers of another evaluation"
    digests = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["digests"]
    tuned = summary["arms"].get("tuned", {}).get("digest")
    if tuned not in (digests["adapter"], digests["merged"]):
        return f"{folder} compares another model than was evaluated: {str(tuned)[:12]} is neither of its two"
    return ""
