"""Cross-entropy of supervised tokens against the vocabulary matrix, loss and gradients in one pass.

The gradient of the loss with respect to the hidden states is (softmax - target) times the matrix; with respect to the
matrix, where it is trained, (softmax - target) transposed times the hidden states, summed in fp32. Both are made while
the scores of a chunk are at hand, in buffers that are used again for the next one. (Autograd keeps and walks several
fresh copies of tokens x vocabulary; with the 151,936 entries of the embedded model that took a third of a training step
on two cores.) A matrix that is the embedding too gets that part of its gradient from autograd, which sums them.

Shape suffixes: S supervised tokens, C of them in a chunk, D model width, V vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

# Tokens at a time: 256 rows of 151,936 scores are 156 MB in fp32. Smaller chunks are slower on two cores.
CHUNK = 256
# An accelerator reads the whole matrix for each chunk, which 256 rows do not outweigh; 1,024 take 1.6 GB there.
ACCELERATOR_CHUNK = 1024


class HeadLoss(NamedTuple):
    """Of each token its weighted loss (differentiable), the prediction's entropy in nats, and whether its first choice
    was the target."""

    loss_S: torch.Tensor
    entropy_S: torch.Tensor
    correct_S: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Sum of the losses."""
        return self.loss_S.sum()


class SupervisedHead:
    """The loss under `matrix_VD`; its gradient is made only where it is trained, and gradients are wanted at all.

    Args:
        compute: type of the scores, None for the matrix' own. A trained matrix is fp32; its scores under autocast are
            not.
    """

    def __init__(self, matrix_VD: torch.Tensor, compute: torch.dtype | None = None):
        self.matrix_VD = matrix_VD
        self.compute = compute or matrix_VD.dtype
        self.chunk = CHUNK if matrix_VD.device.type == "cpu" else ACCELERATOR_CHUNK
        self._buffers: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def __call__(self, hidden_SD: torch.Tensor, targets_S: torch.Tensor, weights_S: torch.Tensor) -> HeadLoss:
        """Weight x cross-entropy of every token, in fp32."""
        # Without gradients autograd would still take the matrix for one that wants its own.
        matrix_VD = self.matrix_VD if torch.is_grad_enabled() else self.matrix_VD.detach()
        return HeadLoss(*_Loss.apply(hidden_SD, matrix_VD, targets_S, weights_S, self))

    def buffers(self, rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Room for `rows` x V numbers: one in the type of the scores, two in fp32."""
        if self._buffers is None or len(self._buffers[0]) < rows:
            shape, device = (rows, len(self.matrix_VD)), self.matrix_VD.device
            own = torch.empty(shape, dtype=self.compute, device=device)
            self._buffers = (own, torch.empty(shape, device=device), torch.empty(shape, device=device))
        own, scores, p = (buffer[:rows] for buffer in self._buffers)
        return own, scores, p


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: torch.Tensor,
        trained_VD: torch.Tensor,
        targets_S: torch.Tensor,
        weights_S: torch.Tensor,
        head: SupervisedHead,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        matrix_VD = trained_VD.to(head.compute)
        loss_S = torch.empty(len(targets_S), device=hidden_SD.device)
        gradient_SD = torch.empty_like(hidden_SD)
        gradient_VD = torch.zeros_like(trained_VD, dtype=torch.float32) if trained_VD.requires_grad else None
        entropy_S = torch.empty(len(targets_S), device=hidden_SD.device)
        correct_S = torch.empty(len(targets_S), device=hidden_SD.device, dtype=torch.bool)
        for start in range(0, len(targets_S), head.chunk):
            part = slice(start, start + head.chunk)
            target_C1, weight_C = targets_S[part, None], weights_S[part]
            own_CV, scores_CV, p_CV = head.buffers(len(weight_C))
            torch.mm(hidden_SD[part].to(head.compute), matrix_VD.T, out=own_CV)
            scores_CV.copy_(own_CV)
            largest_C1, choice_C1 = scores_CV.max(dim=-1, keepdim=True)
            scores_CV -= largest_C1
            torch.exp(scores_CV, out=p_CV)
            sum_C = p_CV.sum(-1)
            log_sum_C = sum_C.log()
            loss_S[part] = weight_C * (log_sum_C - scores_CV.gather(1, target_C1)[:, 0])
            correct_S[part] = (choice_C1 == target_C1)[:, 0]
            scores_CV *= p_CV
            entropy_S[part] = log_sum_C - scores_CV.sum(-1) / sum_C
            if not ctx.needs_input_grad[0]:
                continue
            p_CV *= (weight_C / sum_C)[:, None]
            p_CV.scatter_add_(1, target_C1, -weight_C[:, None])
            own_CV.copy_(p_CV)
            gradient_SD[part] = (own_CV @ matrix_VD).to(gradient_SD.dtype)
            if gradient_VD is not None:
                gradient_VD.addmm_(p_CV.T, hidden_SD[part].float())
        ctx.save_for_backward(gradient_SD)
        ctx.gradient_VD = gradient_VD
        ctx.mark_non_differentiable(entropy_S, correct_S)
        return loss_S, entropy_S, correct_S

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[torch.Tensor | None, ...]:
        (gradient_SD,) = ctx.saved_tensors
        (scale_S, *_) = gradients
        # In place, and handed on: a second one of vocabulary x width would be the largest tensor of many a step.
        gradient_VD, ctx.gradient_VD = ctx.gradient_VD, None
        if gradient_VD is not None and len(scale_S):
            if not torch.equal(scale_S, scale_S[:1].expand_as(scale_S)):
                raise ValueError("the gradient of a trained matrix is that of a sum of the losses, and of nothing else")
            gradient_VD *= scale_S[0]
        return gradient_SD * scale_S[:, None].to(gradient_SD.dtype), gradient_VD, None, None, None
