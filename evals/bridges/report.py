"""lm-eval's figures beside ours: the same documents, and what a paired comparison makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evals.records import ARMS, Item
from evals.stats import mcnemar_exact, mean_interval, paired_difference

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]


def figures(items: Sequence[Item], scores: Mapping[str, Mapping[str, float]], confidence: float) -> Json:
    """Per task the mean of every arm, and of two arms the paired difference, with clustered intervals.

    Args:
        scores: by arm and item, from 0 to 1.
    """
    tasks: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        tasks[item.task].append(item)
    found: Json = {}
    for task, rows in tasks.items():
        groups = [item.group for item in rows]
        values = {arm: [given[item.id] for item in rows] for arm, given in scores.items()}
        found[task] = {"items": len(rows), "groups": len(set(groups)), "arms": {}}
        for arm, own in values.items():
            interval = mean_interval(own, groups, confidence)
            found[task]["arms"][arm] = {"mean": interval.estimate, "low": interval.low, "high": interval.high}
        if len(values) == len(ARMS):
            base, tuned = values["base"], values["tuned"]
            interval = paired_difference(tuned, base, groups, confidence)
            wins = sum(new > old for new, old in zip(tuned, base, strict=True))
            losses = sum(new < old for new, old in zip(tuned, base, strict=True))
            found[task]["difference"] = {
                "mean": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "wins": wins,
                "losses": losses,
                "p": mcnemar_exact(wins, losses),
            }
    return found


def console_table(summary: Json) -> Table:
    """lm-eval's value and standard error beside the clustered interval, and the paired difference."""
    from rich.table import Table

    table = Table()
    for column in ("task", "arm", "documents", "lm-eval", "ours", "tuned − base, paired", "wins : losses, McNemar p"):
        table.add_column(column)
    own = summary["lm_eval"]
    for task, figure in own["figures"].items():
        for arm, values in figure["arms"].items():
            reported = own["reported"][arm][task.removeprefix("lm_eval_")]
            difference = figure.get("difference") if arm == "tuned" else None
            table.add_row(
                task,
                arm,
                str(figure["items"]),
                f"{_number(reported['value'])} ± {_number(reported['stderr'])}",
                _interval(values),
                "" if difference is None else _interval(difference, "+.3f"),
                "" if difference is None else "{wins} : {losses}, {p:.3f}".format(**difference),
            )
    return table


def _interval(values: Json, form: str = ".3f") -> str:
    return f"{values['mean']:{form}} [{values['low']:{form}}, {values['high']:{form}}]"


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else str(value)
