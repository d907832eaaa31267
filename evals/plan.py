"""Which items are asked, under which conditions, in which words: the same plan for both arms.

Base sees the system prompt and worked training examples; tuned sees system prompt and question, as trained.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.perturb import Asked, vary
from evals.records import Item
from evals.requests import Shots, Tasks, build_requests, derived_seed
from tianjing.files import canonical_json, sha256_bytes
from tianjing.order import order_key
from tianjing.records import Example
from tianjing.tasks import TASKS, Fields, Reference, Task

__all__ = [
    "Shots",
    "Tasks",
    "add_control",
    "answer_kind",
    "build_requests",
    "choose_items",
    "choose_shots",
    "control_score",
    "derived_seed",
    "dropped",
    "plan_of",
]
# Clauses of other items from which irrelevant material is drawn, and references for the wrong answers of the checks.
_POOL, _REFERENCES = 2000, 200


def choose_items(test: Sequence[Example], config: EvalConfig, tasks: Tasks) -> list[Item]:
    """Seeded choice per task, balanced over kinds of answer and spread over groups; tasks in order of name.

    Raises:
        EvalError: there are no test rows, two have one id, or one is of an unknown task or has no right answer.
    """
    by_task: dict[str, list[Example]] = defaultdict(list)
    seen: dict[str, int] = {}
    for row, example in enumerate(test, 1):
        _usable(example, row, seen, tasks)
        by_task[example.task].append(example)
    if not by_task:
        raise EvalError("the dataset has no test rows", "build it again with a held-out share above 0")
    pool = _pool(test)
    items = []
    for task_id in sorted(by_task):
        references = [row.reference for row in by_task[task_id][:_REFERENCES]]
        for number, example in enumerate(_balanced(by_task[task_id], config)):
            item = _item(example, number < config.stability_items)
            items.append(_varied(item, tasks[task_id], references, pool, config) if item.stability else item)
    return items


def _usable(example: Example, row: int, seen: dict[str, int], tasks: Tasks) -> None:
    """Raises EvalError where a test row cannot be asked or scored; notes its id."""
    where = f"test row {row}, '{example.id}'"
    if example.id in seen:
        raise EvalError(
            f"{where}: test row {seen[example.id]} has the same id",
            "give every row an id of its own: answers are kept by it",
        )
    seen[example.id] = row
    task = tasks.get(example.task)
    if task is None:
        raise EvalError(f"{where}: unknown task '{example.task}'", f"known tasks: {', '.join(sorted(tasks))}")
    try:
        gold = task.target(example.reference) if example.reference else None
    except (KeyError, TypeError, ValueError) as error:
        raise EvalError(
            f"{where}: the reference of a {example.task} row lacks {error}", "mend the row, or leave it out"
        ) from None
    if gold is None or not gold.strip():
        raise EvalError(
            f"{where}: no right answer (its reference is empty)",
            "an item without gold cannot be scored: fill the reference, or leave the row out",
        )


def _pool(test: Sequence[Example]) -> list[Mapping[str, str]]:
    """Clauses of all items, each once."""
    clauses: dict[str, Mapping[str, str]] = {}
    for example in sorted(test, key=lambda row: row.id):
        for clause in example.fields.get("clauses", ()):
            clauses.setdefault(clause["label"], clause)
            if len(clauses) >= _POOL:
                return list(clauses.values())
    return list(clauses.values())


def choose_shots(train: Sequence[Example], config: EvalConfig) -> dict[str, list[Example]]:
    """Worked examples per task, of different kinds of answer as far as there are; the same for every item.

    They come from the shorter half of the training rows: a long example would crowd the question out.
    """
    by_task: dict[str, list[Example]] = defaultdict(list)
    for example in train:
        by_task[example.task].append(example)
    shots = {}
    for task_id, rows in by_task.items():
        rows.sort(key=lambda row: (sum(len(message.content) for message in row.messages), row.id))
        pool = rows[: max(config.shots, len(rows) // 2)]
        pool.sort(key=lambda row: order_key(config.seed, f"shots/{row.id}"))
        first_of_kind = {answer_kind(row): row for row in reversed(pool)}
        different = [row for row in pool if first_of_kind[answer_kind(row)] is row]
        alike = [row for row in pool if first_of_kind[answer_kind(row)] is not row]
        shots[task_id] = (different + alike)[: config.shots]
    return shots


def answer_kind(example: Example) -> str:
    """Which kind of answer is right: rule, act, intent, reason or label, the document cited, the kind of question."""
    reference = example.reference
    for name in ("rule", "act", "intent", "reason", "label"):
        if name in reference:
            return str(reference[name])
    if "clause_id" in reference:
        return str(reference["clause_label"]).partition("》")[0] if reference["clause_id"] else "none"
    return str(example.fields.get("kind", ""))


def control_score(
    task: Task, fields: Fields, reference: Reference, references: Sequence[Reference], draws: int, rng: random.Random
) -> float:
    """Mean score of well-formed answers that do not look at the input, read and scored like a model's."""
    scores = []
    for _ in range(draws):
        reading = task.read(task.format_only(fields, references, rng), fields)
        scores.append(task.score(reading, reference, fields))
    return sum(scores) / draws


def add_control(items: Sequence[Item], train: Sequence[Example], config: EvalConfig, tasks: Tasks) -> list[Item]:
    """The same items with the format-only control's mean score; its answers come from the training rows."""
    references: dict[str, list[Reference]] = defaultdict(list)
    for example in train:
        references[example.task].append(example.reference)
    scored = []
    for item in items:
        # Probes have no training rows and no worked examples; their control does not draw from any.
        if not references[item.task] and item.task in TASKS:
            raise EvalError(
                f"task '{item.task}' has test rows but no training rows",
                "the worked examples and the format-only control need some: build the dataset again",
            )
        rng = random.Random(f"{config.seed}/control/{item.id}")
        task, draws = tasks[item.task], config.format_only_draws
        score = control_score(task, item.fields, item.reference, references[item.task], draws, rng)
        scored.append(item.model_copy(update={"control": score}))
    return scored


def dropped(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """By condition, how many stability items are not asked under it, and why."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        for condition, reason in item.dropped.items():
            counts[condition][reason] += 1
    return {condition: dict(counts[condition].most_common()) for condition in sorted(counts)}


def plan_of(items: Sequence[Item]) -> dict[str, Any]:
    """What the run records of its items, so that one that is not there any more is noticed: number by task, and the
    digest of their ids."""
    ids = sorted([item.task, item.id] for item in items)
    return {
        "items": dict(sorted(Counter(item.task for item in items).items())),
        "sha256": sha256_bytes(canonical_json(ids).encode()),
    }


def _item(example: Example, stability: bool) -> Item:
    return Item(
        id=example.id,
        task=example.task,
        group=example.group,
        kind=answer_kind(example),
        stability=stability,
        fields=example.fields,
        reference=example.reference,
    )


def _varied(
    item: Item, task: Task, references: Sequence[Reference], pool: Sequence[Mapping[str, str]], config: EvalConfig
) -> Item:
    """The item with the variants of the plan; a variant depends on the item and the seed alone."""
    asked = Asked(task, item.fields, item.reference, pool)
    variants, reasons = vary(asked, config.varied, f"{config.seed}/{item.id}", references)
    return item.model_copy(update={"variants": variants, "dropped": reasons})


def _balanced(rows: Sequence[Example], config: EvalConfig) -> list[Example]:
    """Kinds in turn, one row each, a group at most `max_per_group` times while other groups are left.

    Drawn by a hash of the row's id, so that another dataset with most of the same rows is asked most of the same items.
    """
    kinds: dict[str, list[Example]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: order_key(config.seed, f"items/{row.id}")):
        kinds[answer_kind(row)].append(row)
    order = sorted(kinds, key=lambda kind: order_key(config.seed, f"items/{kind}"))
    chosen: list[Example] = []
    used: Counter[str] = Counter()
    cap = config.max_per_group
    while len(chosen) < min(config.items, len(rows)):
        before = len(chosen)
        for kind in order:
            free = next((row for row in kinds[kind] if used[row.group] < cap), None)
            if free is not None and len(chosen) < config.items:
                kinds[kind].remove(free)
                used[free.group] += 1
                chosen.append(free)
        if len(chosen) == before:
            cap += 1  # every group is at the cap: take one more from each rather than measure on fewer items
    return chosen
