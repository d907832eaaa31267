"""Whether an evaluation still holds what was asked and answered: against its manifest, its plan, and the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.config import EvalConfig
from evals.material import Material, read_material, task_table
from evals.plan import Shots, build_requests, choose_items, plan_of
from evals.records import ARMS, Arm, Item, RawAttempt
from evals.requests import conditions
from evals.run import RESCORED, RUN, Evidence
from evals.safety.probes import add_probes
from tianjing.config import parse
from tianjing.files import canonical_json
from tianjing.lineage import is_artefact, verify
from tianjing.lineage.manifest import Manifest

Json = Mapping[str, Any]
Key = tuple[str, str, int]
"""Item, condition and repeat of a request."""

# What an item takes from its row of the dataset; its variants and its control are made from these.
_OF_ROW = {"id", "task", "group", "kind", "stability", "fields", "reference"}
_NAMED = 3


def of_manifest(manifest: Manifest, evidence: Evidence) -> Iterator[str]:
    """Where the manifest says other things than the files beside it; lines for people."""
    config, parameters = evidence.run["config"], manifest.parameters
    if config.keys() <= parameters.keys():
        yield from (
            f"{RUN}: {name} is {value}, and the evaluation was made with {parameters[name]}"
            for name, value in config.items()
            if value != parameters[name]
        )
    if RESCORED in parameters:
        yield from (
            f"{name}: not what the evaluation held that was scored again: that may change scores and figures alone"
            for name, digest in evidence.digests().items()
            if digest != parameters[RESCORED].get(name)
        )
    elif manifest.inputs and not manifest.counts:
        # Earlier versions wrote nothing down, and did not look whether the source had been changed.
        yield "scored again by a version that did not check its source: do so again from the evaluation itself"


def of_plan(evidence: Evidence) -> Iterator[str]:
    """Items or requests that the run planned and the evidence lacks, or the other way about; lines for people."""
    plan, there = evidence.run.get("plan"), plan_of(evidence.items)
    if plan is not None and plan != there:
        yield f"the items are not those of the run: {_counted(there)} are there, {_counted(plan)} were planned"
    config = _config(evidence)
    planned = {
        (item.id, name, k) for item in evidence.items for name, count in conditions(item, config) for k in range(count)
    }
    for arm in evidence.run["arms"]:
        asked = {_key(row) for row in evidence.attempts if row.arm == arm}
        yield from _listed(f"requests of the plan without an answer of the {arm} model", planned - asked)
        yield from _listed(f"answers of the {arm} model to requests that are not of the plan", asked - planned)


def of_dataset(dataset: Path, evidence: Evidence) -> Iterator[str]:
    """What the evidence asks that the test split of `dataset` does not give: other items, gold answers or prompts.

    Raises:
        TianjingError: the dataset, or a file of its probes, cannot be read.
    """
    if is_artefact(dataset) and (changed := verify(dataset)):
        yield f"the dataset was changed: {changed[0]}"
        return
    config, run = _config(evidence), evidence.run
    material = add_probes(read_material(dataset), config.safety)
    if material.digest != run["dataset"]:
        yield f"{dataset} is not what was evaluated as dataset: {material.digest[:12]} ≠ {run['dataset'][:12]}"
        return
    if canonical_json(list(material.definitions)) != canonical_json(run["definitions"]):
        yield "the task definitions are not those of the dataset"
        return
    yield from _items(material, evidence.items, config)
    yield from _prompts(material, evidence, config)


def _items(material: Material, items: Sequence[Item], config: EvalConfig) -> Iterator[str]:
    """The choice of items is a function of the test split and the configuration; variants are made from them later."""
    plain = config.model_copy(update={"wordings": (), "perturb_text": False, "conditions": "none"})
    chosen = {item.id: _of_row(item) for item in choose_items(material.test, plain, material.tasks)}
    there = {item.id: _of_row(item) for item in items}
    yield from _listed("items of the dataset's test split that were to be asked and are missing", chosen.keys() - there)
    yield from _listed("items that the dataset's test split does not give", there.keys() - chosen)
    altered = [name for name in chosen.keys() & there.keys() if chosen[name] != there[name]]
    yield from _listed("items whose question or gold answer is not that of the dataset", altered)


def _prompts(material: Material, evidence: Evidence, config: EvalConfig) -> Iterator[str]:
    """Prompts are rendered again: what a model was shown is what its items say, and the worked examples named."""
    rows = {row.id: row for row in material.train}
    named: Mapping[str, Sequence[str]] = evidence.run.get("shots", {})
    unknown = [name for names in named.values() for name in names if name not in rows]
    yield from _listed("worked examples that are not of the dataset's training split", unknown)
    if unknown:
        return
    tasks = task_table(evidence.run["definitions"])
    shots: dict[Arm, Shots] = {"base": {task: [rows[name] for name in names] for task, names in named.items()}}
    for arm in (arm for arm in ARMS if arm in evidence.run["arms"]):
        requests = build_requests(evidence.items, shots.get(arm, {}), config, tasks)
        prompts = {(one.item, one.condition, one.repeat): one.prompt_digest for one in requests}
        own = [row for row in evidence.attempts if row.arm == arm]
        other = [_key(row) for row in own if prompts.get(_key(row), row.prompt) != row.prompt]
        yield from _listed(f"prompts of the {arm} model that its items do not give", other)


def _config(evidence: Evidence) -> EvalConfig:
    return parse(EvalConfig, evidence.run["config"], RUN)


def _of_row(item: Item) -> Json:
    return item.model_dump(mode="json", include=_OF_ROW)


def _key(row: RawAttempt) -> Key:
    return row.item, row.condition, row.repeat


def _counted(plan: Json) -> str:
    return ", ".join(f"{task} {count}" for task, count in plan["items"].items())


def _listed(what: str, found: Iterable[object]) -> Iterator[str]:
    names = sorted("/".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in found)
    if names:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        yield f"{what} ({len(names):,}): {', '.join(names[:_NAMED])}{more}"
