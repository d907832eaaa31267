"""The validation loss while training: which rows, which step was best, and when to stop looking.

Best step and patience are read off the run's log, which each checkpoint holds, so that a resumed run decides as an
uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from training.layout.batches import by_opening
from training.rows import TokenRow

# The name under which transformers and every tracker know it.
VALIDATION_LOSS = "eval_loss"
# TRL's name for the reward of the chosen answers over that of the rejected ones; only preference training logs it.
MARGIN = "rewards/margins"


def batches(rows: Sequence[TokenRow], size: int) -> Iterator[list[dict[str, Any]]]:
    """Rows as the collator takes them, `size` at a time, of one opening and of like length."""
    for members in by_opening([row.input_ids for row in rows]):
        members = sorted(members, key=lambda index: len(rows[index].input_ids))
        for start in range(0, len(members), size):
            yield [rows[index].item(index) for index in members[start : start + size]]


def losses(history: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """(step, validation loss) of each evaluation in the trainer's log."""
    return [(entry["step"], entry[VALIDATION_LOSS]) for entry in history if VALIDATION_LOSS in entry]


def best_step(history: Sequence[dict[str, Any]]) -> int | None:
    """The step with the lowest validation loss, the earlier of equal ones; None without an evaluation."""
    found = losses(history)
    return min(found, key=lambda entry: (entry[1], entry[0]))[0] if found else None


def exhausted(history: Sequence[dict[str, Any]], patience: int | None, min_improvement: float) -> bool:
    """Whether the last `patience` evaluations brought no loss that is lower by more than `min_improvement` (nats)."""
    if patience is None:
        return False
    lowest, waited = float("inf"), 0
    for _, loss in losses(history):
        if loss < lowest - min_improvement:
            lowest, waited = loss, 0
        else:
            waited += 1
    return waited >= patience
