"""Figures beside the score that a kind of answer calls for: per-option F1, precision of fields, macro-F1, MCC.

They are computed from stored outputs, so that evidence can be measured again without a suite's files.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from evals.records import GREEDY, Arm, Attempt, Item
from evals.scoring import ERROR, read_output
from evals.suites.tasks import FieldsTask, LabelTask, SuiteTask
from tianjing.tasks import Task


def suite_figures(
    items: Sequence[Item], attempts: Sequence[Attempt], tasks: Mapping[str, Task], arm: Arm
) -> dict[str, dict[str, float]]:
    """task → figure → value, over the greedy answers of one arm; only tasks of suites, and figures that their kind has.

    multiple_choice: options_f1, mean over items of 2|said ∩ right| / (|said| + |right|). keywords: keywords_found, mean
    share. fields: see `_fields`. label: see `_labels`. What failed counts as nothing said.
    """
    known = {item.id: item for item in items}
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    labelled: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for attempt in attempts:
        task = tasks[attempt.task]
        if attempt.arm != arm or attempt.condition != GREEDY or not isinstance(task, SuiteTask):
            continue
        item = known[attempt.item]
        reading = read_output(attempt.model_copy(update={"output": ""} if attempt.rule == ERROR else {}), item, task)
        for name, value in task.measures(reading, item.reference, item.fields).items():
            sums[task.id][name] += value
        if isinstance(task, LabelTask):
            labelled[task.id].append((str(item.reference["answer"]), reading.answer))
    figures: dict[str, dict[str, float]] = {}
    for name, total in sums.items():
        if isinstance(tasks[name], FieldsTask):
            figures[name] = _fields(total)
        elif total["items"]:
            figures[name] = {key: value / total["items"] for key, value in total.items() if key != "items"}
    return figures | {name: _labels(pairs) for name, pairs in labelled.items()}


def _fields(total: Mapping[str, float]) -> dict[str, float]:
    """Over all fields: exact_match (null for null counts), precision = TP/(TP+FP), recall = TP/(TP+FN), f1,
    where a wrong value is a false positive and a miss; hallucination_rate = values given where there are none / fields
    without a value; document_exact and parse_rate over documents. NaN where nothing was to be counted."""
    given, wanted = total["true"] + total["false"], total["true"] + total["missed"]
    precision, recall = _ratio(total["true"], given), _ratio(total["true"], wanted)
    return {
        "exact_match": _ratio(total["right"], total["fields"]),
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * total["true"], given + wanted),
        "hallucination_rate": _ratio(total["invented"], total["null"]),
        "document_exact": _ratio(total["exact"], total["items"]),
        "parse_rate": _ratio(total["parsed"], total["items"]),
    }


def _labels(pairs: Sequence[tuple[str, str | None]]) -> dict[str, float]:
    """accuracy, missing (no label read), macro_f1 over the right labels, and the multi-class MCC of Gorodkin (2004), in
    which what was not read is a class of its own."""
    classes = sorted({truth for truth, _ in pairs})
    right = Counter(truth for truth, said in pairs if truth == said)
    truths, said = Counter(truth for truth, _ in pairs), Counter(answer or "" for _, answer in pairs)
    n = len(pairs)
    f1 = [2 * right[name] / (truths[name] + said[name]) for name in classes]
    correct = sum(right.values())
    cross = sum(truths[name] * said[name] for name in classes)
    spread = (n * n - sum(v * v for v in said.values())) * (n * n - sum(v * v for v in truths.values()))
    return {
        "accuracy": correct / n,
        "missing": said[""] / n,
        "macro_f1": sum(f1) / len(f1),
        "mcc": (correct * n - cross) / math.sqrt(spread) if spread else math.nan,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
