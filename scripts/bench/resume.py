"""Random kills over training runs on the tiny model: is the adapter, bit for bit, that of a run nobody interrupted?

One process has loaded the libraries; each attempt is a fork of it that calls `train` and is sent SIGKILL (or, one time
in four, SIGTERM) at a random moment between its start and the length of a whole run. The next attempt resumes; when one
finishes, its adapter is compared and a new run begins. Checkpoints are written every second step, so many kills fall
into a save.
Usage: python scripts/bench/resume.py [--kills 50] [--minutes 60] [--seed 0]
"""

from __future__ import annotations

import argparse
import collections
import gc
import os
import platform
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tianjing.dataset import write_examples
from tianjing.files import sha256_file
from tianjing.lineage import artefact
from tianjing.models import resolve
from tianjing.records import Example
from tianjing.tasks import TASKS, conversation
from training.config import TrainConfig
from training.run import prepare_process, train

CONFIG = TrainConfig.model_validate(
    {
        # Dropout and LoRA+ put random numbers and parameter groups into what has to be restored.
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.05, "loraplus_ratio": 4},
        "epochs": 3,
        "micro_rows": 2,
        "save_every_steps": 2,
        "evaluation": {"every_steps": 5, "max_rows": 4},
        "threads": 1,
    }
)
_SIGTERM_SHARE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=60, help="no further kill after this time")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    arguments = parser.parse_args()

    prepare_process()
    import torch
    import transformers
    from transformers import AutoTokenizer

    from tianjing.models.precision import precision
    from training import resumable  # noqa: F401  what `train` loads is loaded once, before the first fork
    from training.base import load_base

    torch.set_num_threads(1)  # no thread pool may exist when a process forks
    model = resolve("tiny").path
    transformers.logging.disable_progress_bar()
    AutoTokenizer.from_pretrained(model)
    load_base(model, precision(on_gpu=False), None)
    gc.freeze()  # a collection in a fork would otherwise copy all the memory that it shares
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = make_dataset(root / "dataset")
        started = time.monotonic()
        reference, status = attempt(dataset, model, root / "whole", root / "log", None, 0)
        whole_s = time.monotonic() - started
        if status != 0:
            sys.exit((root / "log").read_text(encoding="utf-8"))
        print(f"uninterrupted: {whole_s:.1f} s, adapter sha256 {reference[:16]}…")

        ends: collections.Counter[str] = collections.Counter()
        equal = runs = kills = 0

        def more() -> bool:
            return kills < arguments.kills and time.monotonic() - started < 60 * arguments.minutes

        while more():
            runs += 1
            out = root / f"run-{runs}"
            while True:
                kind = signal.SIGTERM if draw.random() < _SIGTERM_SHARE else signal.SIGKILL
                wanted = kind if more() else None
                digest, status = attempt(dataset, model, out, root / "log", wanted, draw.uniform(0.0, whole_s))
                if status == 0:
                    break
                if status not in (-signal.SIGKILL, -signal.SIGTERM, 75):  # SIGTERM before there is a handler kills
                    sys.exit((root / "log").read_text(encoding="utf-8"))
                kills += 1
                ends["exit 75" if status == 75 else "killed"] += 1
                print(f"\r{kills}/{arguments.kills} kills", end="", file=sys.stderr, flush=True)
            equal += digest == reference
        log = (root / "log").read_text(encoding="utf-8", errors="replace")
    gc.unfreeze()
    seconds = time.monotonic() - started
    print(f"\n{'kills':<44}{kills}  ({ends['killed']} killed at once, {ends['exit 75']} left with 75 after SIGTERM)")
    print(f"{'attempts that went on from a checkpoint':<44}{log.count('going on from checkpoint')}")
    print(f"{'checkpoints found damaged':<44}{log.count('is not used and removed')}")
    print(f"{'runs whose adapter is bit-equal':<44}{equal} of {runs}")
    print(f"{seconds:.0f} s, {platform.machine()}, torch {torch.__version__}, 1 thread")
    sys.exit(equal != runs)


def attempt(
    dataset: Path, model: Path, out: Path, log: Path, kind: signal.Signals | None, after_s: float
) -> tuple[str, int]:
    """Train in a fork and send it `kind` after `after_s`; (SHA-256 of the adapter if it finished, exit status)."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            train(dataset, model, out / "adapter", CONFIG)
            status = 0
        except BaseException as error:
            print(error, file=sys.stderr)
            status = getattr(error, "exit_code", 1)
        finally:
            os._exit(status)
    if kind is not None:
        deadline = time.monotonic() + after_s
        while time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(child, kind)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    weights = out / "adapter" / "adapter_model.safetensors"
    return (sha256_file(weights) if status == 0 else ""), status


def make_dataset(out: Path) -> Path:
    """A dataset artefact of a dozen short rows, and four to validate on."""
    with artefact(out, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", [_example(n) for n in range(12)])
        write_examples(work.dir / "validation.parquet", [_example(n) for n in range(12, 16)])
    return out


def _example(number: int) -> Example:
    said = f"我上个月失业了，第{number}次了。" + "收入不稳定。" * (number % 5)
    fields = {"turns": [{"speaker": "customer", "text": said}]}
    reference = {"situation": "失业", "act": "offer_deferral", "reply": "您可以申请延期还款。" * (1 + number % 3)}
    return Example(
        id=f"row-{number}",
        task="next_reply",
        group=f"customer-{number}",
        split="train" if number < 12 else "validation",
        messages=conversation(TASKS["next_reply"], fields, reference),
        fields=fields,
        reference=reference,
    )


if __name__ == "__main__":
    main()
