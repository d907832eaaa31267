"""What the tests of training share: a small dataset artefact, and a training run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tianjing.dataset import preference_file, write_examples, write_preferences
from tianjing.lineage import artefact
from tianjing.records import Example, Message, Preference
from tianjing.records.raw import Split
from tianjing.tasks import TASKS, conversation

REPLIES = ("您可以申请延期还款。", "我们可以为您办理分期。", "请您提供收入证明，我们三个工作日内答复您。", "已经登记。")


def example(number: int, split: Split = "train") -> Example:
    said = f"我上个月失业了，第{number}次了。" + "收入不稳定。" * (number % 5)
    fields = {"turns": [{"speaker": "customer", "text": said}]}
    reference = {"situation": "失业", "act": "offer_deferral", "reply": REPLIES[number % len(REPLIES)]}
    return Example(
        id=f"{split}-{number}",
        task="next_reply",
        group=f"customer-{number}",
        split=split,
        messages=conversation(TASKS["next_reply"], fields, reference),
        fields=fields,
        reference=reference,
    )


def unanswered(number: int) -> Example:
    """A row that ends with the customer."""
    row = example(number)
    return row.model_copy(update={"messages": (*row.messages, Message(role="user", content="好的。"))})


def preference(number: int, split: Split = "train", weight: float = 1.0) -> Preference:
    """A pair of the prompt of row `number`: its answer, and a worse one of another length."""
    row = example(number, split)
    worse = "你不还就起诉你。" * (1 + number % 3)
    return Preference(
        id=f"pair-{split}-{number}",
        task=row.task,
        group=row.group,
        split=split,
        prompt=row.messages[:-1],
        chosen=row.messages[-1:],
        rejected=(Message(role="assistant", content=f"【失业：施压】{worse}"),),
        weight=weight,
        why="breach",
        rules=("threat",),
    )


def make_pairs(out: Path, pairs: list[Preference], validation: int = 4) -> Path:
    """A dataset artefact with preference pairs."""
    with artefact(out, kind="dataset") as work:
        write_preferences(work.dir / preference_file("train"), pairs)
        held_out = [preference(n, "validation") for n in range(validation)]
        write_preferences(work.dir / preference_file("validation"), held_out)
    return out


def make_dataset(out: Path, rows: list[Example], validation: int = 8) -> Path:
    """A dataset artefact with `rows` to train on and `validation` more."""
    with artefact(out, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", rows)
        write_examples(work.dir / "validation.parquet", [example(n, "validation") for n in range(validation)])
    return out


def command(dataset: Path, model: Path, out: Path, config: Path, *more: str) -> list[str]:
    """The command line of a training run."""
    given = ("--model", str(model), "--out", str(out), "--config", str(config), *more)
    return [sys.executable, "-m", "tianjing", "train", "run", str(dataset), *given]


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a run with its output in `log`."""
    with open(log, "wb") as stream:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(arguments, cwd=REPOSITORY, stdout=stream, stderr=stream, env=environment)
