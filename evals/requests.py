"""Every request of one arm in the order it is asked, rendered when it is its turn: 200,000 of them need no room."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, overload

from evals.config import EvalConfig
from evals.perturb import family_of
from evals.perturb.layout import lay_out
from evals.records import GREEDY, OF_SAMPLED, SAMPLED, Item, Request, Variant
from tianjing.files import canonical_json, sha256_bytes
from tianjing.records import Example, Message
from tianjing.tasks import Task, prompt

Shots = Mapping[str, Sequence[Example]]
Tasks = Mapping[str, Task]
_ITSELF = Variant(check="unchanged")


class _Entry(NamedTuple):
    """A request that is not rendered yet; entries sort into the order of asking."""

    task: str
    prefix: str
    shorter: int
    item: str
    condition: str
    repeat: int
    number: int


class Requests(Sequence[Request]):
    """Requests that are rendered on access. Those that share all but the last message stand together, longest first.

    Args:
        shots: worked examples per task; empty for the tuned model.
    """

    def __init__(self, items: Sequence[Item], shots: Shots, config: EvalConfig, tasks: Tasks):
        self._items, self._shots, self._config, self._tasks = items, shots, config, tasks
        self._worked: dict[tuple[str, int, str], tuple[Message, ...]] = {}
        prefixes: dict[tuple[object, ...], str] = {}
        entries: list[_Entry] = []
        for number, item in enumerate(items):
            for condition, repeats in conditions(item, config):
                *before, last = self._messages(item, condition)
                variant = _variant(item, condition)
                # Items of a task share their prefix, which with worked examples is longer than the question.
                alike = (item.task, variant.wording, variant.layout, variant.before)
                if alike not in prefixes:
                    prefixes[alike] = sha256_bytes(canonical_json([m.model_dump() for m in before]).encode())[:16]
                entries += (
                    _Entry(item.task, prefixes[alike], -len(last.content), item.id, condition, repeat, number)
                    for repeat in range(repeats)
                )
        self._entries = sorted(entries)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> list[Request]: ...

    def __getitem__(self, index: int | slice) -> Request | list[Request]:
        if isinstance(index, slice):
            return [self._request(entry) for entry in self._entries[index]]
        return self._request(self._entries[index])

    def _request(self, entry: _Entry) -> Request:
        item, config = self._items[entry.number], self._config
        variant = _variant(item, entry.condition)
        sampled = entry.condition == SAMPLED or entry.condition.endswith(OF_SAMPLED)
        # The greedy prompt again, at another concurrency: nothing else may differ, not even the seed.
        seeded = GREEDY if variant.concurrency is not None and not sampled else entry.condition
        return Request(
            item=item.id,
            task=item.task,
            condition=entry.condition,
            repeat=entry.repeat,
            messages=self._messages(item, entry.condition),
            max_tokens=self._tasks[item.task].max_tokens,
            temperature=config.temperature if sampled else 0.0,
            top_p=config.top_p if sampled else 1.0,
            seed=derived_seed(config.seed, item.id, seeded, entry.repeat),
            concurrency=variant.concurrency,
            parameters=config.parameters,
        )

    def _messages(self, item: Item, condition: str) -> tuple[Message, ...]:
        task, variant = self._tasks[item.task], _variant(item, condition)
        system, question = prompt(task, item.asked(condition), variant.wording)
        asked = Message(role=question.role, content=lay_out(question.content, variant.layout))
        return (system, *self._worked_examples(task, variant), *variant.before, asked)

    def _worked_examples(self, task: Task, variant: Variant) -> tuple[Message, ...]:
        """The worked examples in the wording and layout of the question."""
        alike = (task.id, variant.wording, variant.layout)
        if alike not in self._worked:
            messages: list[Message] = []
            for example in self._shots.get(task.id, ()):
                question = lay_out(task.render(example.fields, variant.wording), variant.layout)
                messages.append(Message(role="user", content=question))
                messages.append(Message(role="assistant", content=task.target(example.reference)))
            self._worked[alike] = tuple(messages)
        return self._worked[alike]


def build_requests(items: Sequence[Item], shots: Shots, config: EvalConfig, tasks: Tasks) -> Requests:
    """Every request of one arm, see `Requests`."""
    return Requests(items, shots, config, tasks)


def conditions(item: Item, config: EvalConfig) -> Iterator[tuple[str, int]]:
    """(condition, repeats) under which an item is asked."""
    yield GREEDY, 1
    if not item.stability:
        return
    yield SAMPLED, config.repeats
    for name in item.variants:
        yield name, 1
        if config.repeats_variant(name):
            yield name + OF_SAMPLED, config.repeats


def planned(items: Sequence[Item], config: EvalConfig) -> dict[str, int]:
    """Requests of one arm by kind: greedy, sampled, and each family of variants with its repeats."""
    counts: Counter[str] = Counter()
    for item in items:
        for condition, repeats in conditions(item, config):
            name = condition.removesuffix(OF_SAMPLED)
            counts[name if name in (GREEDY, SAMPLED) else family_of(name).name] += repeats
    return dict(counts)


def derived_seed(run: int, item: str, condition: str, repeat: int) -> int:
    """A sampling seed of its own for every request, in [0, 2^31): equal seeds would make repeats copies."""
    digest = hashlib.sha256(f"{run}|{item}|{condition}|{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _variant(item: Item, condition: str) -> Variant:
    return item.variants.get(condition.removesuffix(OF_SAMPLED), _ITSELF)
