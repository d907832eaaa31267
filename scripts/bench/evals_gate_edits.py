"""Random edits of an evaluation on disk, and how many the gate refuses (part of scripts/bench/evals_gate.py)."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from evals.config import EvalConfig
from evals.gate.policy import GatePolicy
from evals.gate.release import judge
from evals.records import ARMS, GREEDY, Arm, Item, RawAttempt
from evals.run import KIND, Evidence, write_evidence
from tianjing.errors import TianjingError
from tianjing.lineage import artefact, verify
from tianjing.lineage.environment import compute
from tianjing.tasks import TASKS

NO_GAIN = GatePolicy(min_tasks_improved=0)


def edits(count: int, seed: int) -> int:
    """Change bytes of every file of an evaluation on disk; returns how many edits were not refused."""
    rng = random.Random(seed)
    missed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "evals"
        _write(folder)
        assert judge(folder, NO_GAIN).verdict == "PROMOTE" and not verify(folder)
        print(f"\n{'edited file':<20} {'edits':>6} {'refused':>8}")
        for path in sorted(folder.iterdir()):
            whole, refused = path.read_bytes(), 0
            for _ in range(count):
                at, flip = rng.randrange(len(whole)), rng.randrange(1, 256)
                path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
                refused += _refused(folder)
            path.write_bytes(whole)
            missed += count - refused
            print(f"{path.name:<20} {count:>6} {refused:>8}")
    return missed


def _refused(folder: Path) -> bool:
    try:
        return judge(folder, NO_GAIN).verdict == "INVALID"
    except TianjingError:
        return True


def _write(folder: Path) -> None:
    """An evaluation of 40 items with real outputs, as `tianjing eval run` writes it."""
    task = TASKS["quality_inspection"]
    rules = [{"id": "Q01", "title": "威胁恐吓"}, {"id": "Q02", "title": "泄露欠款"}]
    items: list[Item] = []
    attempts: list[RawAttempt] = []
    for index in range(40):
        rule = rules[index % 2]
        items.append(
            Item(
                id=f"item-{index}", task=task.id, group=f"customer-{index // 2}", kind=rule["id"], stability=False,
                fields={"rules": rules, "customer": "我现在没钱", "agent": "再不还就上门"},
                reference={"rule": rule["id"], "title": rule["title"], "evidence": "再不还就上门", "rewrite": "请还款"},
            )
        )  # fmt: skip
        for arm in ARMS:
            said = task.target(items[-1].reference) if index % 4 or arm == "tuned" else '{"rule":"none"}'
            attempts.append(
                RawAttempt(
                    key=f"{index}/{arm}",
                    item=f"item-{index}",
                    task=task.id,
                    arm=arm,
                    condition=GREEDY,
                    repeat=0,
                    prompt="",
                    seed=0,
                    temperature=0.0,
                    output=said,
                    finish_reason="stop",
                )
            )
    arms: dict[Arm, Any] = {
        "base": {"model": "b", "digest": "b", "engine": "none", "seconds": 0.0},
        "tuned": {"model": "t", "digest": "t", "engine": "none", "seconds": 0.0},
    }
    run = {
        "created": "2026-01-01T00:00:00+00:00", "dataset": "d", "definitions": [], "shared_groups": 0, "shots": {},
        "config": EvalConfig().model_dump(mode="json"), "machine": compute().model_dump(mode="json"), "arms": arms,
    }  # fmt: skip
    with artefact(folder, kind=KIND) as work:
        write_evidence(work.dir, Evidence(items, attempts, run))
