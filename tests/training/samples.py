"""A dataset small enough to train on in a test."""

from __future__ import annotations

from pathlib import Path

from tianjing.dataset import write_examples
from tianjing.lineage import artefact
from tianjing.records import Example
from tianjing.tasks import TASKS, conversation


def service_dataset(folder: Path, rows: int) -> Path:
    """A dataset artefact of `rows` service turns of different lengths."""
    examples = []
    for number in range(rows):
        fields = {"turns": [{"speaker": "customer", "text": "我上个月失业了，" * (1 + number % 4) + f"第{number}次。"}]}
        reference = {"situation": "失业", "act": "offer_deferral", "reply": "您可以申请延期还款。" * (1 + number % 3)}
        examples.append(
            Example(
                id=f"row-{number}",
                task="next_reply",
                group=f"customer-{number}",
                split="train",
                messages=conversation(TASKS["next_reply"], fields, reference),
                fields=fields,
                reference=reference,
            )
        )
    with artefact(folder, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples)
    return folder
