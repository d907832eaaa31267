"""Which items are asked, under which conditions, in which words: the same plan for both arms.

Base sees the system prompt and worked training examples; tuned sees system prompt and question, as trained.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.paraphrase import perturb
from evals.records import GREEDY, SAMPLED, TEXT, WORDING, Item, Request, Variant
from tianjing.order import order_key
from tianjing.records import Example, Message
from tianjing.tasks import TASKS, Fields, Reference, Task, prompt

Shots = Mapping[str, Sequence[Example]]
Tasks = Mapping[str, Task]


def choose_items(test: Sequence[Example], config: EvalConfig, tasks: Tasks) -> list[Item]:
    """Seeded choice per task, balanced over kinds of answer and spread over groups; tasks in order of name.

    Raises:
        EvalError: there are no test rows, or one is of a task that this version does not know.
    """
    by_task: dict[str, list[Example]] = defaultdict(list)
    for example in test:
        if example.task not in tasks:
            raise EvalError(
                f"test row '{example.id}': unknown task '{example.task}'", f"known tasks: {', '.join(sorted(tasks))}"
            )
        by_task[example.task].append(example)
    if not by_task:
        raise EvalError("the dataset has no test rows", "build it again with a held-out share above 0")
    items = []
    for task_id in sorted(by_task):
        chosen = _balanced(by_task[task_id], config)
        for number, example in enumerate(chosen):
            items.append(_item(example, number < config.stability_items, config))
    return items


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


def build_requests(items: Sequence[Item], shots: Shots, config: EvalConfig, tasks: Tasks) -> list[Request]:
    """Every request of one arm, in an order that keeps shared prefixes together, longest first.

    Args:
        shots: worked examples per task; empty for the tuned model.
    """
    requests = []
    for item in items:
        task = tasks[item.task]
        examples = shots.get(item.task, ())
        itself = Variant(check="unchanged")
        requests.append(_request(task, item, GREEDY, itself, examples, config))
        if not item.stability:
            continue
        for repeat in range(config.repeats):
            requests.append(_request(task, item, SAMPLED, itself, examples, config, repeat))
        for name, variant in item.variants.items():
            requests.append(_request(task, item, name, variant, examples, config))
    return sorted(
        requests, key=lambda r: (r.task, r.prefix, -len(r.messages[-1].content), r.item, r.condition, r.repeat)
    )


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


def derived_seed(run: int, item: str, condition: str, repeat: int) -> int:
    """A sampling seed of its own for every request, in [0, 2^31): equal seeds would make repeats copies."""
    digest = hashlib.sha256(f"{run}|{item}|{condition}|{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _item(example: Example, stability: bool, config: EvalConfig) -> Item:
    variants = {}
    if stability:
        for wording in config.wordings:
            variants[f"{WORDING}{wording}"] = Variant(wording=wording, check="the input is untouched")
        if config.perturb_text:
            changed = perturb(example.task, example.fields, random.Random(f"{config.seed}/text/{example.id}"))
            if changed is not None:
                variants[TEXT] = Variant(fields=changed, check="numbers, negations and names are the same")
    return Item(
        id=example.id,
        task=example.task,
        group=example.group,
        kind=answer_kind(example),
        stability=stability,
        fields=example.fields,
        reference=example.reference,
        variants=variants,
    )


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


def _request(
    task: Task,
    item: Item,
    condition: str,
    variant: Variant,
    examples: Sequence[Example],
    config: EvalConfig,
    repeat: int = 0,
) -> Request:
    wording = variant.wording
    system, question = prompt(task, item.asked(condition), wording)
    worked: list[Message] = []
    for example in examples:
        worked.append(Message(role="user", content=task.render(example.fields, wording)))
        worked.append(Message(role="assistant", content=task.target(example.reference)))
    sampled = condition == SAMPLED
    return Request(
        item=item.id,
        task=item.task,
        condition=condition,
        repeat=repeat,
        messages=(system, *worked, *variant.before, question),
        max_tokens=task.max_tokens,
        temperature=config.temperature if sampled else 0.0,
        top_p=config.top_p if sampled else 1.0,
        seed=derived_seed(config.seed, item.id, condition, repeat),
    )
