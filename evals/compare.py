"""Join two runs into one paired evaluation, after checking that they asked the same in the same way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.plan import plan_of
from evals.records import ARMS, Arm, Item, RawAttempt
from evals.run import KIND, Evidence, read_evidence, write_evidence
from tianjing.files import canonical_json
from tianjing.lineage import artefact, artefact_digest, read_manifest

Json = dict[str, Any]

# Settings that answers or figures depend on and that neither items nor prompts show.
_DECIDING = ("temperature", "top_p", "parameters", "max_model_len", "repeats", "success_at", "confidence", "bootstrap")
_NAMED = 5


@dataclass(frozen=True)
class Side:
    """One arm of one run."""

    folder: Path
    arm: Arm
    items: Mapping[str, Item]
    attempts: Sequence[RawAttempt]
    run: Json

    @property
    def name(self) -> str:
        return f"{self.folder}:{self.arm}"

    @property
    def details(self) -> Json:
        """The model and the engine that served it."""
        return dict(self.run["arms"][self.arm])

    @property
    def shots(self) -> Json:
        """The worked examples that its prompts show: only the base model gets any."""
        return dict(self.run.get("shots", {})) if self.arm == "base" else {}


def compare(first: str, second: str, out: Path, allow_differences: bool = False) -> Json:
    """Write one evaluation in which `first` is the base and `second` the tuned model; returns its summary.

    Both are read and scored anew, by one version of the extraction rules. Items are never intersected: one that only
    one run has is a difference, and stays one in the result.

    Args:
        first: `RUN`, or `RUN:base` or `RUN:tuned` where the run has both arms.
        allow_differences: write the result all the same, with the differences in it; the gate finds it INVALID.

    Raises:
        EvalError: a run was changed, has no such arm, or the two differ (every kind of difference is listed).
    """
    base, tuned = read_side(first), read_side(second)
    differences = list(find_differences(base, tuned))
    if differences and not allow_differences:
        listed = "\n".join(f"  - {line}" for line in differences)
        raise EvalError(
            f"{base.name} and {tuned.name} were not evaluated in the same way:\n{listed}",
            "evaluate both with the same dataset, configuration and version; --allow-differences joins them only to "
            "be looked at",
        )
    items = [*base.items.values(), *(item for id, item in tuned.items.items() if id not in base.items)]
    attempts = [
        attempt.model_copy(update={"arm": arm})
        for arm, side in zip(ARMS, (base, tuned), strict=True)
        for attempt in side.attempts
    ]
    run: Json = {
        **tuned.run,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "shared_groups": max(side.run["shared_groups"] for side in (base, tuned)),
        "plan": plan_of(items),
        "shots": base.shots,
        "arms": {"base": base.details, "tuned": tuned.details},
        "joined": {
            arm: {"run": artefact_digest(side.folder), "arm": side.arm}
            for arm, side in zip(ARMS, (base, tuned), strict=True)
        },
        "differences": differences,
    }
    folders = list(dict.fromkeys((base.folder, tuned.folder)))
    with artefact(out, kind=KIND, inputs=folders, parameters=run["config"]) as work:
        summary = write_evidence(work.dir, Evidence(items, attempts, run))
        work.count("items", len(items))
        work.count("requests", len(attempts))
        work.count("differences", len(differences))
    return summary


def read_side(given: str) -> Side:
    """One arm of a run, by `RUN` or `RUN:arm`.

    Raises:
        EvalError: no evaluation, changed after it was written, or which arm is meant is not clear.
    """
    path, colon, arm = given.rpartition(":")
    folder = Path(path) if colon and arm in ARMS else Path(given)
    if read_manifest(folder).kind != KIND:
        raise EvalError(f"{folder}: no evaluation", "give the folder that 'tianjing eval run' wrote")
    evidence = read_evidence(folder)
    there = [name for name in ARMS if name in evidence.run["arms"]]
    chosen: Arm
    if colon and arm in ARMS:
        if arm not in there:
            raise EvalError(f"{folder}: has no arm '{arm}'", f"it has: {', '.join(there)}")
        chosen = "base" if arm == "base" else "tuned"
    elif len(there) > 1:
        raise EvalError(f"{folder}: has two arms", f"say which: {folder}:base or {folder}:tuned")
    else:
        chosen = there[0]
    attempts = [attempt for attempt in evidence.attempts if attempt.arm == chosen]
    return Side(folder, chosen, {item.id: item for item in evidence.items}, attempts, evidence.run)


def find_differences(base: Side, tuned: Side) -> Iterable[str]:
    """Everything that makes the two sides answers to other questions, or to the same asked otherwise."""
    if base.run["dataset"] != tuned.run["dataset"]:
        yield f"dataset: {base.run['dataset'][:12]} and {tuned.run['dataset'][:12]}"
    if canonical_json(base.run["definitions"]) != canonical_json(tuned.run["definitions"]):
        yield "task definitions"
    yield from _only_one("items", base.items, tuned.items)
    yield from _listed(
        "items of other content under one id",
        [id for id, item in base.items.items() if id in tuned.items and _content(item) != _content(tuned.items[id])],
    )
    for name in _DECIDING:
        values = [side.run["config"].get(name) for side in (base, tuned)]
        if values[0] != values[1]:
            yield f"setting {name}: {values[0]} and {values[1]}"
    for name in ("chat_template", "engine"):
        values = [side.details.get(name) for side in (base, tuned)]
        if values[0] != values[1]:
            yield f"{name.replace('_', ' ')}: {values[0]} and {values[1]}"
    yield from _requests(base, tuned)


def _requests(base: Side, tuned: Side) -> Iterable[str]:
    for side in (base, tuned):
        twice = [key for key, count in Counter(map(_key, side.attempts)).items() if count > 1]
        yield from _listed(f"requests answered twice in {side.name}", twice)
    asked = {_key(attempt): attempt for attempt in base.attempts}
    other = {_key(attempt): attempt for attempt in tuned.attempts}
    yield from _only_one("requests", asked, other)
    both = [key for key in asked if key in other]
    # Worked examples in one arm's prompts are part of the plan, and named by the run; other changes are not.
    if base.shots == tuned.shots or tuned.shots:
        yield from _listed("prompts", [key for key in both if asked[key].prompt != other[key].prompt])
    yield from _listed("temperatures", [key for key in both if asked[key].temperature != other[key].temperature])


def _only_one(what: str, base: Mapping[str, object], tuned: Mapping[str, object]) -> Iterable[str]:
    yield from _listed(f"{what} only in the first run", [name for name in base if name not in tuned])
    yield from _listed(f"{what} only in the second run", [name for name in tuned if name not in base])


def _listed(what: str, names: Sequence[str]) -> Iterable[str]:
    if names:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        yield f"{what} ({len(names):,}): {', '.join(sorted(names)[:_NAMED])}{more}"


def _key(attempt: RawAttempt) -> str:
    return f"{attempt.task}/{attempt.item}/{attempt.condition}/{attempt.repeat}"


def _content(item: Item) -> str:
    """All that is asked and scored; the control's score also depends on the training rows."""
    return json.dumps(item.model_dump(mode="json", exclude={"control"}), sort_keys=True)
