"""Which evaluation was best and when to stop is read off the log, so that a resumed run decides alike."""

from __future__ import annotations

from typing import Any

import pytest

from training.rows import TokenRow
from training.validation import batches, best_step, exhausted


def log(*losses: float) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = []
    for number, loss in enumerate(losses, start=1):
        history += [{"step": 10 * number, "loss": 9.0}, {"step": 10 * number, "eval_loss": loss}]
    return history


def test_the_lowest_loss_is_best_and_the_earlier_of_equal_ones() -> None:
    assert best_step(log(3.0, 1.0, 2.0, 1.0)) == 20
    assert best_step([{"step": 1, "loss": 2.0}]) is None


@pytest.mark.parametrize(
    ("losses", "patience", "min_improvement", "stops"),
    [
        ((3.0, 2.0, 1.0), 1, 0.0, False),
        ((3.0, 2.0, 2.5), 1, 0.0, True),
        ((3.0, 2.0, 2.5), 2, 0.0, False),
        ((3.0, 2.0, 2.5, 1.9, 2.0), 2, 0.0, False),
        ((3.0, 2.95, 2.91), 2, 0.1, True),  # each a little lower, none by enough
        ((3.0, 2.95, 2.85), 2, 0.1, False),  # small steps add up
        ((2.0, 3.0, 4.0), None, 0.0, False),
        ((), 1, 0.0, False),
    ],
)
def test_patience(losses: tuple[float, ...], patience: int | None, min_improvement: float, stops: bool) -> None:
    assert exhausted(log(*losses), patience, min_improvement) is stops


def test_every_row_is_evaluated_once() -> None:
    rows = [TokenRow(str(n), [n % 2] * (20 + n), [n] * (20 + n), [1.0] * (20 + n)) for n in range(11)]
    given = list(batches(rows, 3))
    assert sorted(row["labels"][0] for batch in given for row in batch) == list(range(11))
    assert max(len(batch) for batch in given) == 3
    assert all(len({row["input_ids"][0] for row in batch}) == 1 for batch in given)
