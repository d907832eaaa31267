"""Cross-entropy of supervised tokens against a frozen vocabulary matrix, loss and gradient in one pass.

The matrix is not trained, so the gradient of the loss with respect to the hidden states is all that the backward pass
needs: (softmax - target) times the matrix. It is made while the scores of a chunk are at hand, in buffers that are
used again for the next one. (Autograd keeps and walks several fresh copies of tokens x vocabulary; with the 151,936
entries of the embedded model that took a third of a training step on two cores.)

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
    """Weighted sum of the token losses (differentiable); of each token the prediction's entropy in nats, and whether
    its first choice was the target."""

    total: torch.Tensor
    entropy_S: torch.Tensor
    correct_S: torch.Tensor


class SupervisedHead:
    """The loss under `matrix_VD`, which gets no gradient.

    Raises:
        ValueError: the matrix is trained.
    """

    def __init__(self, matrix_VD: torch.Tensor):
        if matrix_VD.requires_grad:
            raise ValueError("the vocabulary matrix is trained; its gradient is not computed here")
        self.matrix_VD = matrix_VD
        self.chunk = CHUNK if matrix_VD.device.type == "cpu" else ACCELERATOR_CHUNK
        self._buffers: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def __call__(self, hidden_SD: torch.Tensor, targets_S: torch.Tensor, weights_S: torch.Tensor) -> HeadLoss:
        """Sum over tokens of weight x cross-entropy, in fp32."""
        return HeadLoss(*_Loss.apply(hidden_SD, targets_S, weights_S, self))

    def buffers(self, rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Room for `rows` x V numbers: one in the matrix' own type, two in fp32."""
        if self._buffers is None or len(self._buffers[0]) < rows:
            shape, device = (rows, len(self.matrix_VD)), self.matrix_VD.device
            own = torch.empty(shape, dtype=self.matrix_VD.dtype, device=device)
            self._buffers = (own, torch.empty(shape, device=device), torch.empty(shape, device=device))
        own, scores, p = (buffer[:rows] for buffer in self._buffers)
        return own, scores, p


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_SD: torch.Tensor, targets_S: torch.Tensor, weights_S: torch.Tensor, head: SupervisedHead
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        matrix_VD = head.matrix_VD
        total = torch.zeros((), device=hidden_SD.device)
        gradient_SD = torch.empty_like(hidden_SD)
        entropy_S = torch.empty(len(targets_S), device=hidden_SD.device)
        correct_S = torch.empty(len(targets_S), device=hidden_SD.device, dtype=torch.bool)
        for start in range(0, len(targets_S), head.chunk):
            part = slice(start, start + head.chunk)
            target_C1, weight_C = targets_S[part, None], weights_S[part]
            own_CV, scores_CV, p_CV = head.buffers(len(weight_C))
            torch.mm(hidden_SD[part].to(matrix_VD.dtype), matrix_VD.T, out=own_CV)
            scores_CV.copy_(own_CV)
            largest_C1, choice_C1 = scores_CV.max(dim=-1, keepdim=True)
            scores_CV -= largest_C1
            torch.exp(scores_CV, out=p_CV)
            sum_C = p_CV.sum(-1)
            log_sum_C = sum_C.log()
            total += (weight_C * (log_sum_C - scores_CV.gather(1, target_C1)[:, 0])).sum()
            correct_S[part] = (choice_C1 == target_C1)[:, 0]
            scores_CV *= p_CV
            entropy_S[part] = log_sum_C - scores_CV.sum(-1) / sum_C
            p_CV *= (weight_C / sum_C)[:, None]
            p_CV.scatter_add_(1, target_C1, -weight_C[:, None])
            own_CV.copy_(p_CV)
            gradient_SD[part] = (own_CV @ matrix_VD).to(gradient_SD.dtype)
        ctx.save_for_backward(gradient_SD)
        ctx.mark_non_differentiable(entropy_S, correct_S)
        return total, entropy_S, correct_S

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[torch.Tensor | None, ...]:
        (gradient_SD,) = ctx.saved_tensors
        return gradient_SD * gradients[0].to(gradient_SD.dtype), None, None, None
