"""Preference pairs as rows: a prompt once, and behind it two answers that do not see each other.

A pair is one row of the batches: the prompt but for its last token, then that token and the chosen answer, then that
token again and the rejected answer (it predicts either answer's first token, so each needs its own). The attention
keeps the second branch from the first (`training.layout.attention`), so that both have the states they would have
alone; sampler, trunk and memory are those of any row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tianjing.records import Example, Preference
from training.rows import IGNORED, TokenRow, TokenRows, tokenize


def conversations(pairs: Sequence[Preference]) -> list[Example]:
    """Both answers of each pair as the conversations they end, named ID/chosen and ID/rejected."""
    return [
        Example(
            id=f"{pair.id}/{which}",
            task=pair.task,
            group=pair.group,
            split=pair.split,
            messages=(*pair.prompt, *getattr(pair, which)),
            fields={},
            reference={},
        )
        for pair in pairs
        for which in ("chosen", "rejected")
    ]


def tokenize_pairs(
    pairs: Sequence[Preference], tokenizer: Any, max_length_tokens: int, stops: frozenset[int] = frozenset()
) -> TokenRows:
    """One row for each pair, rendered as it will be served; what one answer fails in leaves out the pair.

    `max_length_tokens` bounds the prompt with either answer. A loss weight is the pair's weight. `stops` are those of
    `training.rows.tokenize`.

    Raises:
        TrainingError: as `training.rows.tokenize`.
    """
    rows: list[TokenRow] = []
    dropped: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        two = tokenize(conversations([pair]), tokenizer, max_length_tokens, stops=stops)
        if two.dropped:
            dropped[next(iter(two.dropped))].append(pair.id)
            continue
        chosen, rejected = two.rows
        if chosen.input_ids == rejected.input_ids:
            dropped["equal_answers"].append(pair.id)
            continue
        prompt = len(chosen.input_ids) - chosen.supervised
        rows.append(forked(pair.id, chosen.input_ids, rejected.input_ids, prompt, pair.weight))
    return TokenRows(rows, dict(dropped))


def forked(name: str, chosen: list[int], rejected: list[int], prompt: int, weight: float) -> TokenRow:
    """The row of two conversations that share their first `prompt` tokens."""
    first, second = prompt - 1, len(chosen)
    ids = chosen + rejected[first:]
    labels = [IGNORED] * prompt + chosen[prompt:] + [IGNORED] + rejected[prompt:]
    return TokenRow(name, ids, labels, [weight] * len(ids), (first, second))


def answers(row: TokenRow) -> tuple[list[int], list[int]]:
    """Token ids of the chosen and the rejected answer."""
    assert row.fork is not None
    first, second = row.fork
    return row.input_ids[first + 1 : second], row.input_ids[second + 1 :]


def mismatched(row: TokenRow, other: TokenRow) -> TokenRow:
    """The prompt of one pair with the answers of another."""
    prompt = prompt_of(row)
    chosen, rejected = answers(other)
    return forked(row.id, prompt + chosen, prompt + rejected, len(prompt), 1.0)


def prompt_of(row: TokenRow) -> list[int]:
    """Token ids of a pair's prompt."""
    assert row.fork is not None
    return row.input_ids[: row.fork[0] + 1]
