"""Token lengths of rows under a base model's tokenizer and chat template: counted, reported, and limited if asked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from data_recipes.errors import DataError
from tianjing.config import StrictModel
from tianjing.records import Example, Tokens

_BATCH_ROWS = 512


class TokenLengthsConfig(StrictModel):
    """Count tokens as training will see them."""

    model: str
    """Base model whose tokenizer and chat template count: a folder, `embedded`, `tiny` or a hub id. Nothing but the
    tokenizer is loaded, but a model that is not on this machine is fetched whole, as training would."""
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    """A row of more tokens (prompt and answer) is left out and counted; training leaves it out too, at its
    `max_length_tokens`. None keeps every row."""


@dataclass(frozen=True)
class LengthSummary:
    """Tokens of prompt and answer together over the rows of one task; nearest-rank percentiles."""

    task: str
    rows: int
    median: int
    p95: int
    longest: int
    answer_median: int


def load_tokenizer(model: str) -> Any:
    """The tokenizer of a base model, with a chat template.

    Raises:
        ModelError: the model cannot be found.
        DataError: its tokenizer has no chat template.
    """
    from transformers import AutoTokenizer

    from tianjing.models.resolution import resolve

    tokenizer = AutoTokenizer.from_pretrained(resolve(model).path)
    if not tokenizer.chat_template:
        raise DataError(f"model '{model}': its tokenizer has no chat template", "name a chat model")
    return tokenizer


def count_tokens(rows: Sequence[Example], tokenizer: Any) -> list[Example]:
    """The rows with `tokens`: of the prompt up to where the answer begins, and of the answer with its stop token.

    What a template writes behind the stop token is not counted: the served model never sees it.
    """
    counted: list[Example] = []
    for start in range(0, len(rows), _BATCH_ROWS):
        batch = rows[start : start + _BATCH_ROWS]
        chats = [[message.model_dump() for message in row.messages] for row in batch]
        prompts = [
            tokenizer.apply_chat_template(chat[:-1], add_generation_prompt=True, tokenize=False) for chat in chats
        ]
        wholes = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
        ids = tokenizer([*prompts, *wholes], add_special_tokens=False)["input_ids"]
        for row, prompt, whole in zip(batch, ids[: len(batch)], ids[len(batch) :], strict=True):
            answer = _until_stop(whole, len(prompt), tokenizer.eos_token_id) - len(prompt)
            counted.append(row.model_copy(update={"tokens": Tokens(prompt=len(prompt), answer=answer)}))
    return counted


def _until_stop(ids: Sequence[int], first: int, stop: int | None) -> int:
    """Length of `ids` up to and with the last stop token behind `first`; all of them without one."""
    return next((end + 1 for end in range(len(ids) - 1, first - 1, -1) if ids[end] == stop), len(ids))


def summarise(rows: Iterable[Example]) -> list[LengthSummary]:
    """By task, over the rows that have been counted."""
    by_task: dict[str, list[Tokens]] = defaultdict(list)
    for row in rows:
        if row.tokens is not None:
            by_task[row.task].append(row.tokens)
    summaries = []
    for task, tokens in sorted(by_task.items()):
        totals = sorted(counted.total for counted in tokens)
        answers = sorted(counted.answer for counted in tokens)
        summaries.append(
            LengthSummary(task, len(tokens), _at(totals, 0.5), _at(totals, 0.95), totals[-1], _at(answers, 0.5))
        )
    return summaries


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
