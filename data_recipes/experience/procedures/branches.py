"""Where the cases of a task part, which way they go, and what known before goes with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from data_recipes.config import ProceduresConfig
from data_recipes.experience.procedures.cases import Case
from data_recipes.experience.procedures.counts import first_ranks
from data_recipes.experience.procedures.tree import Known, fit
from tianjing.order import order_key
from tianjing.records import Branch, BranchOption

SKIPPED = ""
_FOLDS = 5
_LEAST_LEAF, _LEAF_SHARE = 20, 0.02


def find_branches(
    cases: Sequence[Case], course: Sequence[str], optional: Sequence[str], config: ProceduresConfig
) -> tuple[Branch, ...]:
    """Exclusive ways on after a step, and optional steps whose doing a condition tells.

    An option is the first new step after the split. Two exclude each other if few cases that take one come to the
    other later (`max_together`). A case that ends at the split takes no way. Conditions: a tree of depth two over the
    case's own attributes and those of the events up to the split, kept if it tells the ways apart on cases it was not
    grown on.
    """
    place = {step: number for number, step in enumerate(course)}
    ranks = [first_ranks(case, place) for case in cases]
    found = []
    exclusive: set[str] = set()
    for after in course:
        came = [number for number, first in enumerate(ranks) if after in first]
        ways = {number: _next(ranks[number], after, place) for number in came}
        options = _exclusive(ways, ranks, config)
        if len(options) < 2:
            continue
        exclusive |= set(options)
        taken = {number: way for number, way in ways.items() if way in options}
        found.append(_branch(cases, after, options, taken, len(came), config))
    for step in optional:
        if step in exclusive:
            continue
        # The split stands before the step: the nearest earlier step that nearly all cases with the step have passed.
        earlier = [one for one in course[: place[step]] if _passed(ranks, one, step) >= config.min_required]
        if not earlier:
            continue
        after = earlier[-1]
        came = [number for number, first in enumerate(ranks) if after in first]
        taken = {number: step if step in ranks[number] else SKIPPED for number in came}
        if len(set(taken.values())) == 2:
            branch = _branch(cases, after, (step, SKIPPED), taken, len(came), config)
            if branch.accuracy is not None:
                found.append(branch)
    return tuple(found)


def _next(first: dict[str, int], after: str, place: dict[str, int]) -> str | None:
    later = [step for step, rank in first.items() if rank > first[after] and place[step] > place[after]]
    return later[0] if later else None


def _passed(ranks: Sequence[dict[str, int]], earlier: str, step: str) -> float:
    having = [first for first in ranks if step in first]
    return sum(earlier in first and first[earlier] < first[step] for first in having) / max(1, len(having))


def _exclusive(
    ways: dict[int, str | None], ranks: Sequence[dict[str, int]], config: ProceduresConfig
) -> tuple[str, ...]:
    """Options, commonest first, each exclusive of those before it."""
    taken = Counter(way for way in ways.values() if way is not None)
    chosen: list[str] = []
    for option, count in sorted(taken.items(), key=lambda item: (-item[1], item[0])):
        if count < max(config.min_cases, config.min_branch_share * len(ways)):
            break
        if all(
            _comes_to(ways, ranks, one, other) <= config.max_together
            for way in chosen
            for one, other in ((option, way), (way, option))
        ):
            chosen.append(option)
    return tuple(chosen)


def _comes_to(ways: dict[int, str | None], ranks: Sequence[dict[str, int]], one: str, other: str) -> float:
    cases = [number for number, way in ways.items() if way == one]
    return sum(other in ranks[number] for number in cases) / max(1, len(cases))


def _branch(
    cases: Sequence[Case],
    after: str,
    options: Sequence[str],
    taken: dict[int, str],
    came: int,
    config: ProceduresConfig,
) -> Branch:
    counted = Counter(taken.values())
    rows = [_known(cases[number], after) for number in taken]
    conditions, accuracy = _conditions([cases[n].id for n in taken], rows, list(taken.values()), config)
    return Branch(
        after=after,
        options=tuple(
            BranchOption(
                step=option,
                count=counted[option],
                share=round(counted[option] / came, 6),
                condition=conditions.get(option, ""),
            )
            for option in options
        ),
        accuracy=accuracy,
    )


def _known(case: Case, after: str) -> dict[str, Any]:
    """What was known when the case first came to the split. A later event of one activity overwrites an earlier one."""
    known = {name: value for name, value in case.attributes.items() if _plain(value)}
    for step in case.steps:
        known |= {f"{step.activity}.{name}": value for name, value in step.attributes.items() if _plain(value)}
        if step.activity == after:
            break
    return known


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _conditions(
    names: Sequence[str], rows: Sequence[Known], labels: Sequence[str], config: ProceduresConfig
) -> tuple[dict[str, str], float | None]:
    """Condition of each option and its balanced accuracy, every case judged by a tree grown without it.

    None where the cases are few or nothing tells.
    """
    least = max(_LEAST_LEAF, int(_LEAF_SHARE * len(labels)))
    sizes = Counter(labels)
    if min(sizes.values()) < least or not any(rows):
        return {}, None
    order = sorted(range(len(names)), key=lambda number: order_key(0, names[number]))
    right: Counter[str] = Counter()
    for fold in range(_FOLDS):
        held_out = order[fold::_FOLDS]
        learned = sorted(set(order) - set(held_out))
        tree = fit([rows[n] for n in learned], [labels[n] for n in learned], least)
        right.update(labels[n] for n in held_out if tree.predict(rows[n]) == labels[n])
    accuracy = sum(right[label] / size for label, size in sizes.items()) / len(sizes)
    tree = fit(rows, labels, least)
    if tree.test is None or accuracy <= config.min_balanced_accuracy:
        return {}, None
    paths: dict[str, list[str]] = {}
    for label, path in tree.conditions():
        paths.setdefault(label, []).append(path)
    return {label: "；或 ".join(found) for label, found in paths.items()}, round(accuracy, 6)
