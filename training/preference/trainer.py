"""The trainer of preferences: a run like any other whose loss is a preference's.

Losses and metrics are those of TRL 1.16's DPOTrainer and KTOTrainer, which on CPU score every position over the whole
vocabulary, and the prompt of a pair twice; here two answers share their prompt (`training.preference.pairs`), and the
head meets their tokens alone. Where a weighted mean differs from TRL's plain one, `training.preference.losses` says
how.

Shape suffixes: S supervised tokens, N pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from trl.trainer.utils import disable_dropout_in_model

from training.config import PreferenceSection, TrainConfig
from training.head import HeadLoss
from training.preference.batches import PairCollator, partners
from training.preference.losses import dpo, imitation, kto
from training.resumable import ResumableTrainer
from training.rows import TokenRow
from training.validation import MARGIN, batches

# TRL's names of the means over pairs that a step logs; the last is KTO's alone.
METRICS = (
    "rewards/chosen",
    "rewards/rejected",
    MARGIN,
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "kl",
)


class PreferenceTrainer(ResumableTrainer):
    """Learns which of two answers is better, by their log-probabilities against those of a reference."""

    section: PreferenceSection
    """How preferences are learned; set by `learn`."""

    has_divergence: bool
    """Whether the loss has a KL term, as KTO's; set by `learn`."""

    def learn(self, rows: Sequence[TokenRow], config: TrainConfig) -> None:
        """Take `rows`, the pairs of the training set, and those of `validation`; to be called before anything else.

        Raises:
            TrainingError: method `kto`, and all pairs have one prompt.
        """
        self.section, self.has_divergence = config.preferences, config.method == "kto"
        model: Any = self.model

        def collator(pairs: Sequence[TokenRow]) -> PairCollator:
            others = partners(pairs, config.max_length_tokens, config.seed) if config.method == "kto" else ()
            return PairCollator(pairs=pairs, partners=others)

        self.data_collator = collator(rows)
        self.validation_collator = collator(self.validation)
        # As TRL does: dropout would move the policy away from its reference by chance.
        disable_dropout_in_model(model)

    @torch.no_grad()
    def reference_of(
        self, collate: PairCollator, on_rows: Callable[[int], None] = lambda rows: None
    ) -> list[list[float]]:
        """Log-probabilities of the answers under the model as it stands: [chosen, rejected] of each of the collator's
        pairs, and those of the mismatched answers where it has partners.

        The processes share the work; each gets all of it. To be called before the first step.
        """
        from accelerate.utils import gather_object

        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        found: list[tuple[int, list[float]]] = []
        share = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        for group in list(batches(collate.pairs, self.args.per_device_train_batch_size))[share]:
            inputs: dict[str, Any] = self._prepare_inputs(collate(group))
            logps = [self._log_probabilities(model, inputs)[0]]
            if "mismatched" in inputs:
                logps.append(self._log_probabilities(model, inputs["mismatched"])[0])
            values = torch.cat(logps, dim=1).tolist()
            found += zip((row["row"] for row in group), values, strict=True)
            on_rows(len(group))
        return [values for _, values in sorted(gather_object(found))]

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> torch.Tensor:
        """Pairs of the step, over all processes."""
        own = torch.tensor(sum(map(self._items, batch_samples)), device=device)
        pairs: Any = self.accelerator.gather(own)
        return torch.as_tensor(pairs).sum()

    def _items(self, inputs: dict[str, Any]) -> int:
        return len(inputs["answers"])

    def _loss(self, inner: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> torch.Tensor:
        """Sum over the pairs of weight x loss, over `num_items_in_batch` (the pairs of the whole step)."""
        lengths = inputs["answers"]
        kl = self._divergence(inner, inputs)
        logps_N2, tokens = self._log_probabilities(inner, inputs)
        reference_N2 = inputs["reference"][:, :2] if lengths else logps_N2
        self._record_pairs(logps_N2.detach(), reference_N2, tokens, inputs, kl)
        if not lengths:  # rows that are no pair: a zero that hangs on the model, as the other processes' losses do
            return tokens.total
        if kl is None:
            loss_N = dpo(self.section, logps_N2, reference_N2, lengths)
        else:
            loss_N = kto(self.section, logps_N2, reference_N2, kl)
        if self.section.sft_weight:
            loss_N = loss_N + self.section.sft_weight * imitation(logps_N2, lengths)
        count = num_items_in_batch if num_items_in_batch is not None else len(lengths)
        return (inputs["pair_weights"] * loss_N).sum() / count

    def _log_probabilities(self, inner: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, HeadLoss]:
        """Log-probabilities [N, 2] of the answers, and what the head found of their tokens."""
        tokens = self._score(inner, inputs)
        lengths = [length for pair in inputs["answers"] for length in pair]
        if not lengths:
            return tokens.loss_S.new_zeros(0, 2), tokens
        return torch.stack([-part.sum() for part in tokens.loss_S.split(lengths)]).view(-1, 2), tokens

    @torch.no_grad()
    def _divergence(self, inner: Any, inputs: dict[str, Any]) -> torch.Tensor | None:
        """KTO's KL term in nats, at least 0; None for DPO."""
        if "mismatched" not in inputs:
            return None
        logps_N2, _ = self._log_probabilities(inner, inputs["mismatched"])
        return (logps_N2 - inputs["reference"][:, 2:]).mean().clamp(min=0)

    def _record_pairs(
        self,
        logps_N2: torch.Tensor,
        reference_N2: torch.Tensor,
        tokens: HeadLoss,
        inputs: dict[str, Any],
        kl: torch.Tensor | None,
    ) -> None:
        """Keep the metrics that TRL logs under the same names; token accuracy is that of the chosen answers."""
        rewards_N2 = self.section.beta * (logps_N2 - reference_N2)
        margins_N = rewards_N2[:, 0] - rewards_N2[:, 1]
        lengths = [length for pair in inputs["answers"] for length in pair]
        answered = sum(lengths[::2])
        of_chosen = [place % 2 == 0 for place, length in enumerate(lengths) for _ in range(length)]
        correct_S = tokens.correct_S & torch.tensor(of_chosen, dtype=torch.bool, device=tokens.correct_S.device)
        # The term's place stays where this process has no pair: the processes add up the same numbers.
        kl_sum = margins_N.new_zeros(()) if kl is None else kl * len(logps_N2)
        sums = [*rewards_N2.sum(0), margins_N.sum(), (margins_N > 0).sum(), *logps_N2.sum(0), kl_sum]
        self._keep(
            [tokens.entropy_S.sum(), correct_S.sum(), *sums],
            [len(logps_N2), tokens.entropy_S.numel(), answered, inputs["input_ids"].numel()],
        )

    def _add_metrics(self, mode: str, values: list[float]) -> None:
        (entropy, correct, *sums), (pairs, supervised, answered, tokens) = values[:-4], values[-4:]
        self._count_tokens(mode, tokens)
        if not pairs:
            return
        means = {name: total / pairs for name, total in zip(METRICS, sums, strict=True)}
        if not self.has_divergence:
            del means["kl"]
        for name, value in (
            means | {"entropy": entropy / supervised, "mean_token_accuracy": correct / answered}
        ).items():
            self._metrics[mode][name].append(value)
