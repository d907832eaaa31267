"""Rows of a dataset to token ids and labels, under the model's own chat template.

Shapes: `input_ids` and `labels` are lists of length T; `labels` is -100 wherever no loss is taken.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from tianjing.order import order_key
from tianjing.records import Example, Preference
from tianjing.tasks import TASKS
from training.errors import TrainingError

IGNORED = -100
Record = TypeVar("Record", Example, Preference)


@dataclass(frozen=True)
class TokenRow:
    """One training row: ids, labels and loss weights of length T; labels start with the assistant's first token."""

    id: str
    input_ids: list[int]
    labels: list[int]
    loss_weights: list[float]
    fork: tuple[int, int] | None = None
    """Where the two answers of a preference pair begin (`training.preference.pairs`); None for a conversation."""

    @property
    def supervised(self) -> int:
        """Number of tokens that carry a loss."""
        return sum(label != IGNORED for label in self.labels)

    @property
    def longest(self) -> int:
        """Tokens of the conversation; of a pair, of the longer of its two."""
        if self.fork is None:
            return len(self.input_ids)
        first, second = self.fork
        return max(second, first + len(self.input_ids) - second)

    def item(self, number: int) -> dict[str, Any]:
        """What the collator takes (`training.layout.batches`); `number` is the row's place in its dataset."""
        values = {"row": number, "input_ids": self.input_ids, "labels": self.labels, "loss_weights": self.loss_weights}
        return values if self.fork is None else values | {"fork": self.fork}


@dataclass(frozen=True)
class TokenRows:
    """Tokenised rows and what was left out, by reason and id."""

    rows: list[TokenRow]
    dropped: dict[str, list[str]]


def choose(examples: Sequence[Record], per_task: int | dict[str, int] | None, seed: int) -> list[Record]:
    """At most `per_task` rows of each task (one number, or one by task), drawn with `seed`.

    The draw is a hash of the row's id: a row more or less in the dataset changes one row of it, not all.
    """
    by_task: dict[str, list[Record]] = defaultdict(list)
    for example in examples:
        by_task[example.task].append(example)
    chosen: list[Record] = []
    for task in sorted(by_task):
        rows = sorted(by_task[task], key=lambda row: order_key(seed, row.id))
        chosen += rows[: per_task.get(task) if isinstance(per_task, dict) else per_task]
    return chosen


def stop_tokens(tokenizer: Any, model: Path) -> frozenset[int]:
    """Ids at which a server stops: the tokenizer's end of sequence and those of generation_config.json."""
    found = {tokenizer.eos_token_id}
    path = model / "generation_config.json"
    if path.is_file():
        ends = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        found |= set(ends if isinstance(ends, list) else [ends])
    return frozenset(token for token in found if token is not None)


def tokenize(
    examples: Sequence[Example],
    tokenizer: Any,
    max_length_tokens: int,
    decision_weight: float = 1.0,
    stops: frozenset[int] = frozenset(),
) -> TokenRows:
    """Render each conversation as it will be served, and supervise the answer up to its stop token.

    An answer that the template ends without one is kept whole: `training.parity.check`, which looks before every run,
    refuses such a template and says so.

    A token's loss weight is its row's weight, times `decision_weight` where the answer carries its decision, and at the
    stop token: when to end is decided too, and a short run that leaves it light repeats its last words.

    Args:
        stops: where the model stops (`stop_tokens`), beside the tokenizer's own end of sequence.

    Raises:
        TrainingError: the template does not render the prompt as a prefix of the conversation, so that
            training and serving would see different tokens; or it changes the decision that is to be weighed.
    """
    rows: list[TokenRow] = []
    stops |= {tokenizer.eos_token_id}
    dropped: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        row = _tokenize_one(example, tokenizer, max_length_tokens, decision_weight, stops)
        if isinstance(row, TokenRow):
            rows.append(row)
        else:
            dropped[row].append(example.id)
    return TokenRows(rows, dict(dropped))


def _tokenize_one(
    example: Example, tokenizer: Any, max_length_tokens: int, decision_weight: float, stops: frozenset[int]
) -> TokenRow | Literal["no_assistant_answer", "no_supervised_token", "too_long"]:
    """One row, or why it is left out."""
    messages = [message.model_dump() for message in example.messages]
    if messages[-1]["role"] != "assistant":
        return "no_assistant_answer"
    prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    full = encoded["input_ids"]
    if full[: len(prompt)] != prompt:
        raise TrainingError(
            f"row {example.id}: the chat template does not render the prompt as a prefix of the conversation",
            "use a base model whose template does; training would differ from serving",
        )
    # Templates add a newline after the stop token; the served model never sees it.
    ends = (at for at in range(len(full) - 1, len(prompt) - 1, -1) if full[at] in stops)
    ids = full[: next(ends, len(full) - 1) + 1]
    if len(ids) <= len(prompt):
        return "no_supervised_token"
    if len(ids) > max_length_tokens:
        return "too_long"
    begin = encoded["offset_mapping"][len(prompt)][0]
    first, last = _decisive_span(example, text, begin) if decision_weight != 1.0 else (0, 0)
    weights = [
        example.weight * (decision_weight if start < last and stop > first else 1.0)
        for start, stop in encoded["offset_mapping"][: len(ids)]
    ]
    weights[-1] = example.weight * decision_weight
    return TokenRow(example.id, ids, [IGNORED] * len(prompt) + ids[len(prompt) :], weights)


def _decisive_span(example: Example, text: str, begin: int) -> tuple[int, int]:
    """Where in the rendered conversation the answer's decisive part stands (characters), empty for none.

    Args:
        begin: where the answer does. The part is looked for, not the answer: templates trim answers.

    Raises:
        TrainingError: the template leaves the answer without it.
    """
    answer = example.messages[-1].content
    part = TASKS[example.task].decisive(example.reference) if example.task in TASKS else ""
    if not part or part not in answer:
        return 0, 0
    first = text.find(part, begin)
    if first < 0:
        raise TrainingError(
            f"row {example.id}: the chat template changes the answer, and {part!r} in it, which decision_weight weighs",
            "mend chat_template.jinja of the base model; `tianjing train parity` shows what it changes",
        )
    return first, first + len(part)
