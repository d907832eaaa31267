"""The dataset's card: what is in it, where it comes from, and what was checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from data_recipes.knowledge import Knowledge
from tianjing.dataset import SPLITS
from tianjing.records import Example
from tianjing.tasks import TASKS


def card(rows: Sequence[Example], knowledge: Knowledge, counts: Mapping[str, Any]) -> str:
    """README.md with the front matter that `datasets.load_dataset` reads."""
    lines = ["---", "language: zh", "configs:", "- config_name: default", "  data_files:"]
    for split in SPLITS:
        lines += [f"  - split: {split}", f"    path: {split}.parquet"]
    lines += [
        "---",
        "",
        "# Instruction dataset",
        "",
        "| task | " + " | ".join(SPLITS) + " | groups |",
        "|---|---|---|---|---|",
    ]
    number = Counter((row.task, row.split) for row in rows)
    for task in sorted({row.task for row in rows}):
        groups = len({row.group for row in rows if row.task == task})
        cells = " | ".join(str(number[task, split]) for split in SPLITS)
        lines.append(f"| {TASKS[task].title} `{task}` | {cells} | {groups} |")
    lines += ["", "## Checks", ""]
    lines += [
        "- No customer and no held-out document stands in two splits.",
        "- No test row shares its surface, or most of it, with a training row of its task.",
        "- Personal data is replaced by placeholders such as 〔手机1〕. The data is de-identified, not anonymised"
        " (个人信息保护法 第七十三条).",
        "- Every policy answer names a clause that exists and states no number that the clause does not have.",
    ]
    dropped = counts.get("dropped", {})
    if dropped:
        lines += ["", "## Dropped", "", "| reason | rows |", "|---|---|"]
        lines += [f"| {reason} | {count} |" for reason, count in dropped.items()]
    licences = sorted({row.licence for row in rows if row.licence})
    lines += ["", "## Sources", ""]
    lines += [f"- {info.document} ({info.strength}, {info.articles} articles)" for info in knowledge.documents]
    lines += [f"- {len(knowledge.dialogues)} dialogues, {len(knowledge.instructions)} open instructions"]
    lines += ["", f"Licences: {'; '.join(licences) or 'the owner’s own material'}", ""]
    return "\n".join(lines)
