"""Which rows a run learns from: those of its method and scene, and of an older dataset; and what is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tianjing.dataset import preference_file, read_examples, read_preferences, stream_examples
from tianjing.order import order_key
from tianjing.records import Example, Preference, Split
from training.config import TrainConfig
from training.errors import TrainingError
from training.preference.pairs import conversations, tokenize_pairs
from training.rows import TokenRow, TokenRows, choose, tokenize


@dataclass(frozen=True)
class Scene:
    """What an adapter is for: a name, and the tasks that it is trained on alone."""

    name: str
    tasks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For the parameters of a manifest."""
        return {"name": self.name, "tasks": list(self.tasks)}


@dataclass(frozen=True)
class Chosen:
    """The rows of a run before they are tokens: conversations, or preference pairs."""

    file: Path
    rows: Sequence[Example] | Sequence[Preference]
    replayed: Counter[str] = field(default_factory=Counter)
    """Rows of the older dataset among them, by task."""
    other_scenes: int = 0
    """Rows of the dataset that belong to tasks of no interest here."""

    def conversations(self) -> list[Example]:
        """Every conversation that is trained on; of a pair both."""
        return [row for each in self.rows for row in ([each] if isinstance(each, Example) else conversations([each]))]


def choose_rows(dataset: Path, config: TrainConfig, scene: Scene | None = None) -> Chosen:
    """The rows of the training split that the configuration asks for, and those replayed from an older dataset.

    Raises:
        TrainingError: preferences are asked for, and the dataset holds none.
        TianjingError: a dataset is missing, or is not one.
    """
    if config.method == "sft":
        file = dataset / "train.parquet"
        rows, others = _of_scene(read_examples(file), scene)
        chosen = choose(rows, config.max_rows_per_task, config.seed)
        old = _replayed(chosen, config, scene)
        return Chosen(file, [*chosen, *old], Counter(row.task for row in old), others)
    file = dataset / preference_file("train")
    pairs, others = _of_scene(_read_pairs(file, config), scene)
    return Chosen(file, choose(pairs, config.max_rows_per_task, config.seed), other_scenes=others)


def tasks_of(dataset: Path, config: TrainConfig) -> Counter[str]:
    """Rows of each task that the method learns from.

    Raises:
        TrainingError: preferences are asked for, and the dataset holds none. TianjingError: as `read_examples`.
    """
    if config.method == "sft":
        return Counter(row.task for row in stream_examples(dataset / "train.parquet"))
    return Counter(pair.task for pair in _read_pairs(dataset / preference_file("train"), config))


def tokenize_rows(chosen: Chosen, tokenizer: Any, config: TrainConfig, stops: frozenset[int]) -> TokenRows:
    """The chosen rows as tokens; a pair is one row.

    Args:
        stops: where the model stops (`training.rows.stop_tokens`).

    Raises:
        TrainingError: nothing is left; or as `training.rows.tokenize`.
    """
    tokens = _tokenize(chosen.rows, tokenizer, config, stops)
    if not tokens.rows:
        raise _no_row(chosen, tokens)
    return tokens


def validation_rows(
    dataset: Path, tokenizer: Any, config: TrainConfig, stops: frozenset[int], scene: Scene | None = None
) -> list[TokenRow]:
    """Rows of the validation split that the configuration asks for.

    Args:
        stops: as for `tokenize_rows`.

    Raises:
        TrainingError: there is none that can be used.
    """
    if config.evaluation is None:
        return []
    split: Split = "validation"
    file = dataset / ("validation.parquet" if config.method == "sft" else preference_file(split))
    read: Sequence[Any] = read_examples(file) if config.method == "sft" else _read_pairs(file, config)
    of_scene, _ = _of_scene(read, scene)
    ordered = sorted(of_scene, key=lambda row: order_key(config.seed, row.id))
    rows = _tokenize(ordered[: config.evaluation.max_rows], tokenizer, config, stops).rows
    if not rows:
        raise TrainingError(
            f"{file}: no row to take the validation loss on ({len(read)} read)",
            "build the dataset with a validation split (data.extract.split.validation_fraction), or leave evaluation "
            "out",
        )
    return rows


def announce(
    chosen: Chosen, tokens: TokenRows, validation: list[TokenRow], config: TrainConfig, tell: Callable[[str], None]
) -> None:
    """Tell what the run learns from and what it leaves out."""
    total = sum(len(row.input_ids) for row in tokens.rows)
    supervised = sum(row.supervised for row in tokens.rows)
    held_out = f", validation on {len(validation)} rows" if validation else ""
    packed = config.pack_tokens
    size = f"up to {config.micro_batches * packed} tokens" if packed else str(config.batch_rows)
    what = "rows" if config.method == "sft" else f"preference pairs ({config.method})"
    tell(
        f"{len(tokens.rows)} {what}, {total} tokens ({supervised} supervised), "
        f"{config.epochs:g} epochs in batches of {size}, seed {config.seed}{held_out}"
    )
    if chosen.replayed:
        by_task = ", ".join(f"{task} {count}" for task, count in sorted(chosen.replayed.items()))
        tell(f"{chosen.replayed.total()} of them replayed from an older dataset: {by_task}")
    for reason, ids in tokens.dropped.items():
        tell(f"left out {len(ids)} rows ({reason}): {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")


def _tokenize(rows: Sequence[Any], tokenizer: Any, config: TrainConfig, stops: frozenset[int]) -> TokenRows:
    if config.method == "sft":
        return tokenize(rows, tokenizer, config.max_length_tokens, config.decision_weight, stops)
    return tokenize_pairs(rows, tokenizer, config.max_length_tokens, stops)


def _of_scene(rows: Sequence[Any], scene: Scene | None) -> tuple[list[Any], int]:
    """The rows of the scene's tasks, and how many others there are."""
    kept = [row for row in rows if scene is None or row.task in scene.tasks]
    return kept, len(rows) - len(kept)


def _read_pairs(file: Path, config: TrainConfig) -> list[Preference]:
    """Raises TrainingError where a dataset holds no pair."""
    pairs = read_preferences(file) if file.is_file() or not file.parent.is_dir() else []
    if not pairs:
        raise TrainingError(
            f"{file}: no preference pair, which method: {config.method} learns from",
            "build the dataset with next replies whose promises were kept (preference.pairs of data build), or train "
            "with method: sft",
        )
    return pairs


def _replayed(new: Sequence[Example], config: TrainConfig, scene: Scene | None) -> list[Example]:
    """Rows of the older dataset, evenly over its tasks: one of each in turn, until there are enough.

    A row that the new dataset holds word for word is not taken again. The others are named replay/ID: ids of two
    datasets may be the same.
    """
    if config.replay is None:
        return []
    file = Path(config.replay.dataset) / "train.parquet"
    known = {row.messages for row in new}
    read, _ = _of_scene(read_examples(file), scene)
    old = choose([row for row in read if row.messages not in known], None, config.seed)
    by_task = [[row for row in old if row.task == task] for task in sorted({row.task for row in old})]
    in_turn = [row for turn in zip_longest(*by_task) for row in turn if row is not None]
    share = config.replay.share
    wanted = config.replay.rows or round(len(new) * (share or 0) / (1 - (share or 0)))
    if len(in_turn) < wanted:
        raise TrainingError(
            f"{file}: holds {len(in_turn)} rows that the new dataset does not, and replay asks for {wanted}",
            f"set replay.rows to at most {len(in_turn)}, or give a lower share",
        )
    return [row.model_copy(update={"id": f"replay/{row.id}"}) for row in in_turn[:wanted]]


def _no_row(chosen: Chosen, tokens: TokenRows) -> TrainingError:
    """Why nothing is left to train on."""
    file, read = chosen.file, len(chosen.rows)
    counts = {reason: len(ids) for reason, ids in tokens.dropped.items()}
    if read and counts.get("no_assistant_answer") == read:
        return TrainingError(
            f"{file}: none of its {read} rows ends with an assistant's turn, so there is nothing to learn from",
            "give a dataset whose last message has the role assistant, as tianjing data build writes it",
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    if chosen.other_scenes:
        reasons = f"{chosen.other_scenes} of other scenes{', ' if reasons else ''}{reasons}"
    return TrainingError(
        f"{file}: no row to train on; left out: {reasons or 'none, the file is empty'}",
        "raise max_length_tokens, or rebuild the dataset",
    )
