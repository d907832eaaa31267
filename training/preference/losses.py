"""The losses of preference training, pair by pair: those of TRL 1.16's DPOTrainer and KTOTrainer.

A batch of pairs of weight 1 has TRL's loss and gradient (tests/training/test_preference.py). What differs is around it:

- A step is the mean over all its pairs, each times its weight. TRL, which knows no weights, takes the mean of the
  micro-batches' means, so that a short last micro-batch counts in full.
- KTO's KL term is an estimate from answers to other prompts, over one micro-batch. In TRL these are the answers of the
  rows beside it in the batch, which forbids shuffling; here each pair has one partner for the whole run
  (`training.preference.batches.partners`), so that the reference of both is computed once. TRL averages the term over
  processes; here it is the micro-batch's own, so that several processes take the steps of one.

Shape suffixes: N pairs; a 2 behind it is (chosen, rejected).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from training.config.preference import PreferenceSection


def dpo(
    section: PreferenceSection, logps_N2: torch.Tensor, reference_N2: torch.Tensor, lengths: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """Loss [N] of each pair, from the log-probabilities of its answers under the policy and under the reference.

    Args:
        lengths: tokens of each answer, stop token included.
    """
    ratio_N2 = logps_N2 - reference_N2
    if section.loss == "ipo":
        # A mean over tokens, as the paper's authors confirmed to TRL: the margin must not grow with the length.
        mean_N2 = ratio_N2 / torch.tensor(lengths, device=ratio_N2.device)
        return (mean_N2[:, 0] - mean_N2[:, 1] - 1 / (2 * section.beta)) ** 2
    margin_N = section.beta * (ratio_N2[:, 0] - ratio_N2[:, 1])
    if section.loss == "sigmoid":
        return -functional.logsigmoid(margin_N)
    swapped = section.label_smoothing
    right_N, wrong_N = functional.logsigmoid(margin_N), functional.logsigmoid(-margin_N)
    return (swapped * wrong_N - (1 - swapped) * right_N) / (1 - 2 * swapped)


def kto(
    section: PreferenceSection, logps_N2: torch.Tensor, reference_N2: torch.Tensor, kl: torch.Tensor
) -> torch.Tensor:
    """Loss [N] of each pair: the mean of its answers', the chosen one desirable and the rejected one not.

    Args:
        kl: the estimate of how far the policy has moved from the reference, nats; no gradient is taken of it.
    """
    ratio_N2 = logps_N2 - reference_N2
    desirable_N = 1 - torch.sigmoid(section.beta * (ratio_N2[:, 0] - kl))
    undesirable_N = 1 - torch.sigmoid(section.beta * (kl - ratio_N2[:, 1]))
    return (section.desirable_weight * desirable_N + section.undesirable_weight * undesirable_N) / 2


def imitation(logps_N2: torch.Tensor, lengths: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Cross-entropy [N] of the chosen answers; its mean over the pairs is the mean over their tokens, as in TRL."""
    tokens = sum(chosen for chosen, _ in lengths)
    return -logps_N2[:, 0] * len(lengths) / tokens
