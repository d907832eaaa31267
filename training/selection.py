"""Which rows of a dataset a run learns from, what it is measured on, and what a person is told of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tianjing.dataset import read_examples
from tianjing.order import order_key
from training.config import TrainConfig
from training.errors import TrainingError
from training.rows import TokenRow, TokenRows, tokenize


def no_row(file: Path, read: int, tokens: TokenRows) -> TrainingError:
    """Why nothing is left to train on."""
    counts = {reason: len(ids) for reason, ids in tokens.dropped.items()}
    if counts.get("no_assistant_answer") == read:
        return TrainingError(
            f"{file}: none of its {read} rows ends with an assistant's turn, so there is nothing to learn from",
            "give a dataset whose last message has the role assistant, as tianjing data build writes it",
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return TrainingError(
        f"{file}: no row to train on; left out: {reasons or 'none, the file is empty'}",
        "raise max_length_tokens, or rebuild the dataset",
    )


def validation_rows(dataset: Path, tokenizer: Any, config: TrainConfig) -> list[TokenRow]:
    """Rows of the validation split that the configuration asks for.

    Raises:
        TrainingError: there is none that can be used.
    """
    if config.evaluation is None:
        return []
    file = dataset / "validation.parquet"
    examples = sorted(read_examples(file), key=lambda row: order_key(config.seed, row.id))
    chosen = examples[: config.evaluation.max_rows]
    rows = tokenize(chosen, tokenizer, config.max_length_tokens, config.decision_weight).rows
    if not rows:
        raise TrainingError(
            f"{file}: no row to take the validation loss on ({len(examples)} read)",
            "build the dataset with a validation split (data.extract.split.validation_fraction), or leave evaluation "
            "out",
        )
    return rows


def announce(tokens: TokenRows, validation: list[TokenRow], config: TrainConfig, tell: Callable[[str], None]) -> None:
    """Tell what the run learns from and what it leaves out."""
    total = sum(len(row.input_ids) for row in tokens.rows)
    supervised = sum(row.supervised for row in tokens.rows)
    held_out = f", validation on {len(validation)} rows" if validation else ""
    tell(
        f"{len(tokens.rows)} rows, {total} tokens ({supervised} supervised), "
        f"{config.epochs:g} epochs in batches of {config.batch_rows}, seed {config.seed}{held_out}"
    )
    for reason, ids in tokens.dropped.items():
        tell(f"left out {len(ids)} rows ({reason}): {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
