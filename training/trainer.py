"""TRL's SFTTrainer with a head that meets the vocabulary matrix only where a label stands.

Shape suffixes: B rows, T tokens, D model width, S supervised tokens, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from trl import SFTTrainer

from training.batches import StratifiedRows
from training.rows import IGNORED


class SupervisedTokenTrainer(SFTTrainer):
    """On CPU, TRL 1.16 scores every position over the whole vocabulary, prompts included.

    Overriding `compute_loss` is the extension point that its documentation names.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> StratifiedRows:
        """Rows that open alike together, in place of transformers' own grouping by length."""
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        micro_batches = self.args.gradient_accumulation_steps
        return StratifiedRows(
            list(dataset["input_ids"]), self.args.per_device_train_batch_size, micro_batches, self.args.seed
        )

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Weighted sum of the token losses over `num_items_in_batch` (the supervised tokens of the whole step)."""
        if return_outputs:
            raise ValueError("the head meets supervised tokens only; there are no full logits to return")
        causal = self.accelerator.unwrap_model(model).get_base_model()
        # On a CPU an additive mask is a tenth faster than the boolean one that says the same.
        mask = torch.zeros(inputs["attention_mask"].shape, dtype=causal.dtype, device=inputs["attention_mask"].device)
        mask.masked_fill_(~inputs["attention_mask"], torch.finfo(causal.dtype).min)
        with self.accelerator.autocast():
            hidden_BTD = causal.get_decoder()(
                input_ids=inputs["input_ids"],
                position_ids=inputs["position_ids"],
                attention_mask=mask,
                use_cache=False,
            ).last_hidden_state
            labels_BT = inputs["labels"][:, 1:]
            supervised_BT = labels_BT != IGNORED
            logits_SV = causal.lm_head(hidden_BTD[:, :-1][supervised_BT])
        targets_S = labels_BT[supervised_BT]
        logits_SV = logits_SV.float()
        losses_S = functional.cross_entropy(logits_SV, targets_S, reduction="none")
        total = (losses_S * inputs["loss_weights"][:, 1:][supervised_BT]).sum()
        count = torch.as_tensor(num_items_in_batch if num_items_in_batch is not None else targets_S.numel())
        self._record(logits_SV.detach(), targets_S, inputs["input_ids"].numel())
        # A batch without a label reduces to a finite zero rather than 0 / 0.
        return total / count.clamp(min=1)

    def _record(self, logits_SV: torch.Tensor, targets_S: torch.Tensor, tokens: int) -> None:
        """The metrics that TRL logs under the same names."""
        mode = "train" if self.model is not None and self.model.training else "eval"
        log_probabilities_SV = functional.log_softmax(logits_SV, dim=-1)
        entropy_S = -(log_probabilities_SV.exp() * log_probabilities_SV).sum(-1)
        self._metrics[mode]["entropy"].append(entropy_S.mean().item())
        self._metrics[mode]["mean_token_accuracy"].append((logits_SV.argmax(-1) == targets_S).float().mean().item())
        if mode == "train":
            self._total_train_tokens += tokens
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
