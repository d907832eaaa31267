"""Batches of preference pairs, and for KTO beside each pair's own answers those of another prompt.

Shape suffixes: N pairs of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from tianjing.order import order_key
from training.errors import TrainingError
from training.layout.batches import SharedPrefix, by_opening
from training.preference.pairs import answers, mismatched, prompt_of
from training.rows import TokenRow


def partners(rows: Sequence[TokenRow], max_length_tokens: int, seed: int) -> list[int]:
    """For each pair, another one with another prompt, whose answers stand in for what a policy might say to it.

    Pairs of one opening (a task) are put in a seeded order, and each takes the next that fits `max_length_tokens`;
    where none does, the one with the shortest answers, since no gradient is taken of it. So every answer serves about
    once.

    Raises:
        TrainingError: all pairs have one prompt.
    """
    prompts = [prompt_of(row) for row in rows]
    found: dict[int, int] = {}
    for members in by_opening([row.input_ids for row in rows]):
        ordered = sorted(members, key=lambda index: order_key(seed, rows[index].id))
        for place, index in enumerate(ordered):
            room = max_length_tokens - len(prompts[index])
            shortest: tuple[int, int] | None = None
            following = (ordered[(place + step) % len(ordered)] for step in range(1, len(ordered)))
            for other in chain(following, range(len(rows))):
                if prompts[other] == prompts[index]:
                    continue
                length = max(map(len, answers(rows[other])))
                shortest = min(shortest or (length, other), (length, other))
                if length <= room:
                    shortest = length, other
                    break
            if shortest is None:
                raise TrainingError(
                    "method kto needs pairs of at least two prompts: it compares with answers to other prompts",
                    "use method: dpo, or a dataset with more pairs",
                )
            found[index] = shortest[1]
    return [found[index] for index in range(len(rows))]


@dataclass(frozen=True)
class PairCollator(SharedPrefix):
    """Lays out pairs as `SharedPrefix` does; which rows they are, `row` says by its place in `pairs`.

    Gives beside its tensors `answers` (tokens of each pair's chosen and rejected answer), `pair_weights` [N],
    `reference` [N, 2] (log-probabilities; with `partners` [N, 4], those of the mismatched answers behind), and
    `mismatched`, the batch of the prompts with their partners' answers, with `answers` of its own. Rows that are no
    pair (`training.ranks`) come last and count nowhere.
    """

    pairs: Sequence[TokenRow] = ()
    partners: Sequence[int] = ()
    reference: Sequence[Sequence[float]] = ()

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batch = super().__call__(rows)
        numbers = [row["row"] for row in rows if row.get("fork")]
        batch["answers"] = _lengths([self.pairs[number] for number in numbers])
        batch["pair_weights"] = torch.tensor([self.pairs[number].loss_weights[0] for number in numbers])
        # A preference is between whole answers: their log-probabilities are plain sums.
        batch["loss_weights"] = torch.ones_like(batch["loss_weights"])
        if self.reference:
            batch["reference"] = torch.tensor([self.reference[number] for number in numbers])
        if self.partners and numbers:
            made = [mismatched(self.pairs[number], self.pairs[self.partners[number]]) for number in numbers]
            batch["mismatched"] = SharedPrefix()([row.item(n) for n, row in zip(numbers, made, strict=True)])
            batch["mismatched"]["answers"] = _lengths(made)
        return batch


def _lengths(rows: Sequence[TokenRow]) -> tuple[tuple[int, int], ...]:
    return tuple((len(chosen), len(rejected)) for chosen, rejected in map(answers, rows))
