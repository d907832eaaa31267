"""The one-pass head gives autograd's loss and gradient."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("chunk", [4, 256])
def test_loss_and_gradient_are_those_of_cross_entropy(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from training import head

    monkeypatch.setattr(head, "CHUNK", chunk)
    torch.manual_seed(0)
    matrix = torch.randn(97, 12)
    ours = torch.randn(11, 12, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    targets, weights = torch.randint(0, 97, (11,)), torch.rand(11) + 0.5
    result = head.SupervisedHead(matrix)(ours, targets, weights)
    logits = theirs @ matrix.T
    expected = (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
    assert abs(result.total.item() - expected.item()) < 1e-5
    (3 * result.total).backward()
    (3 * expected).backward()
    assert ours.grad is not None and theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
    p = logits.softmax(-1)
    assert torch.allclose(result.entropy_S, -(p * p.log()).sum(-1), atol=1e-5)
    assert torch.equal(result.correct_S, logits.argmax(-1) == targets)


def test_a_trained_matrix_is_refused() -> None:
    import torch

    from training.head import SupervisedHead

    with pytest.raises(ValueError, match="trained"):
        SupervisedHead(torch.randn(5, 4, requires_grad=True))
