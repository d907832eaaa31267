"""The headline figures as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.report.words import interval, percent, points


def console_summary(summary: Mapping[str, Any]) -> Any:
    """A rich table of the headline figures, in per cent and percentage points; one row a task."""
    from rich.table import Table

    level = round(100 * summary["config"]["confidence"])
    compared = len(summary["arms"]) > 1
    title = "tuned against base, same held-out items" if compared else f"{next(iter(summary['arms']))} alone"
    table = Table(title=f"Evaluation: {title}")
    table.add_column("task")
    paired = ("difference", f"{level} % interval") if compared else ()
    for heading in ("n", *summary["arms"], "format only", *paired, "pass^k", "paraphrase"):
        table.add_column(heading, justify="right")
    for name, task in summary["tasks"].items():
        stable = next((task["stability"][arm] for arm in ("tuned", "base") if task["stability"].get(arm)), None)
        cells = [name, str(task["n"]), *(percent(task[arm]) for arm in summary["arms"])]
        cells.append(percent(task["format_only"]["score"]))
        if compared:
            low, high = task["ci_low"], task["ci_high"]
            colour = "green" if low is not None and low > 0 else "red" if high is not None and high < 0 else "yellow"
            cells += [f"[{colour}]{points(task['difference'])}[/]", interval(low, high)]
        cells.append(f"{percent(stable['pass^1'])} → {percent(stable['pass^' + str(stable['k'])])}" if stable else "–")
        cells.append(percent(stable["paraphrase_agreement"]) if stable else "–")
        table.add_row(*cells)
    return table
