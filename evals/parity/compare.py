"""Two answers side by side: where they part, and whether rounding explains it. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from evals.parity.config import ParityConfig
from evals.parity.records import WAYS, Answer, Cell, Distance, Gap, Outcome, Pair, Scored
from evals.records import Item
from evals.scoring import strip_thought
from tianjing.models.precision import Precision
from tianjing.tasks import Task

BFLOAT16_BITS = 7  # stored bits of the significand

# Where two answers to an item part: what the models had seen, and the tokens they chose.
Fork = tuple[str, tuple[int, ...], int, int]
ENDED = -1


def cells(concurrency: int, dtypes: Sequence[Precision]) -> list[Cell]:
    """Every way, alone and with `concurrency` at a time; engines in each of `dtypes`, transformers in float32."""
    return [
        Cell(way, load, dtype)
        for way in WAYS
        for dtype in (dtypes if way != "peft" else ("float32",))
        for load in (1, concurrency)
    ]


def decides(a: Cell, b: Cell) -> Precision | None:
    """The number format whose verdict rests on this pair: two ways at the same load, engines in the same format."""
    if a.way == b.way or a.load != b.load:
        return None
    formats = {cell.dtype for cell in (a, b) if cell.way != "peft"}
    return formats.pop() if len(formats) == 1 else None


def compared(a: Cell, b: Cell) -> bool:
    """Whether this pair is looked at: it decides, or shows what load alone or the number format alone changes."""
    return decides(a, b) is not None or (a.way == b.way and (a.load == b.load) != (a.dtype == b.dtype))


def first_divergence(a: Sequence[int], b: Sequence[int]) -> int | None:
    """Index of the first token in which two answers differ, an end counting as a token; None for equal ones."""
    for position, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return position
    return None if len(a) == len(b) else min(len(a), len(b))


def fork(a: Answer, b: Answer) -> Fork | None:
    """Where two answers to the same prompt part; None where they do not, or cannot be compared."""
    if a.error or b.error or a.prompt != b.prompt:
        return None
    position = first_divergence(a.tokens, b.tokens)
    if position is None:
        return None
    left, right = (tokens[position] if position < len(tokens) else ENDED for tokens in (a.tokens, b.tokens))
    return a.item, tuple(a.tokens[:position]), min(left, right), max(left, right)


def bfloat16_step(value: float) -> float:
    """Distance between neighbouring bfloat16 numbers at the size of `value`."""
    return 2.0 ** (math.floor(math.log2(max(abs(value), 1e-30))) - BFLOAT16_BITS)


def compare_cells(
    answers: Mapping[Cell, Mapping[str, Answer]],
    items: Sequence[Item],
    tasks: Mapping[str, Task],
    gaps: Mapping[Fork, Gap],
    config: ParityConfig,
) -> list[Pair]:
    """Every two cells that are compared, on every item.

    Args:
        answers: by cell and item.
        gaps: for every fork of these answers.
    """
    readings = {
        cell: {item.id: _read(given[item.id], item, tasks[item.task]) for item in items}
        for cell, given in answers.items()
    }
    pairs = []
    for a, b in _together(answers):
        rounding_steps = max(config.limits(cell.dtype).rounding_steps for cell in (a, b))
        for item in items:
            left, right = answers[a][item.id], answers[b][item.id]
            parted = fork(left, right)
            gap = gaps[parted] if parted is not None else None
            outcome = _outcome(left, right, gap, rounding_steps)
            read_a, read_b = readings[a][item.id], readings[b][item.id]
            same = outcome == "identical"
            position = len(parted[1]) if parted is not None else None
            pairs.append(
                Pair(
                    a=a.name,
                    b=b.name,
                    item=item.id,
                    task=item.task,
                    group=item.group,
                    decides=decides(a, b),
                    closed=tasks[item.task].closed,
                    outcome=outcome,
                    # Nothing read equals nothing else, but the same tokens are the same answer, however unreadable.
                    equal=same or (outcome != "error" and read_a is not None and read_a == read_b),
                    answer_a=read_a,
                    answer_b=read_b,
                    position=position,
                    token_a=_at(left.tokens, position),
                    token_b=_at(right.tokens, position),
                    gap=gap,
                    error=left.error or right.error,
                    text_a=None if same else left.text,
                    text_b=None if same else right.text,
                )
            )
    return pairs


def distance(answers: Sequence[Answer], scored: Mapping[str, Scored]) -> Distance | None:
    """Of one cell's answers from the float32 reference; None where it gave no log-probabilities.

    Args:
        scored: by the key of the answer.
    """
    nats: list[float] = []
    steps: list[float] = []
    for answer in answers:
        if not answer.logprobs:
            continue
        reference = scored[answer.key]
        nats += [abs(own - other) for own, other in zip(answer.logprobs, reference.logprobs, strict=True)]
        steps += reference.steps
    if not nats:
        return None
    total = math.fsum(nats)
    return Distance(tokens=len(nats), mean_nats=total / len(nats), steps=total / max(math.fsum(steps), 1e-12))


def forks(answers: Mapping[Cell, Mapping[str, Answer]], items: Sequence[Item]) -> list[Fork]:
    """Every fork between any two cells that are compared, each once, in the order of the items."""
    found = {
        parted: None
        for item in items
        for a, b in _together(answers)
        if (parted := fork(answers[a][item.id], answers[b][item.id])) is not None
    }
    return list(found)


def _together(grid: Iterable[Cell]) -> list[tuple[Cell, Cell]]:
    return [(a, b) for a, b in combinations(grid, 2) if compared(a, b)]


def _outcome(a: Answer, b: Answer, gap: Gap | None, rounding_steps: float) -> Outcome:
    if a.error or b.error:
        return "error"
    if a.prompt != b.prompt:
        return "prompt"
    if gap is None:
        return "identical"
    return "rounding" if gap.steps <= rounding_steps else "fault"


def _read(answer: Answer, item: Item, task: Task) -> str | None:
    text = None if answer.error else strip_thought(answer.text)
    return None if text is None else task.read(text, item.fields).answer


def _at(tokens: Sequence[int], position: int | None) -> int | None:
    return tokens[position] if position is not None and position < len(tokens) else None
