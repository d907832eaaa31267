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


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("chunk", [4, 256])
def test_a_trained_matrix_gets_autograds_gradient_also_where_it_is_the_embedding_too(
    chunk: int, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from training import head

    monkeypatch.setattr(head, "CHUNK", chunk)
    torch.manual_seed(0)
    first, last = torch.randn(97, 12), torch.randn(97, 12)
    ids, targets, weights = torch.randint(0, 97, (11,)), torch.randint(0, 97, (11,)), torch.rand(11) * 3
    found = []
    for ours in (True, False):
        embedding = first.clone().requires_grad_()
        matrix = embedding if tied else last.clone().requires_grad_()
        for share in (5, 7):  # the second micro-batch adds up
            hidden = embedding[ids].tanh()
            if ours:
                loss = head.SupervisedHead(matrix)(hidden, targets, weights).total
            else:
                logits = torch.nn.functional.linear(hidden, matrix)
                loss = (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
            (loss / share).backward()
        found.append((loss.detach(), embedding.grad, matrix.grad))
    for one, other in zip(*found, strict=True):
        assert one is not None and other is not None and torch.allclose(one, other, atol=1e-5)


def test_no_gradient_of_the_matrix_is_made_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from training.head import SupervisedHead

    made = []
    real = torch.zeros_like
    monkeypatch.setattr(torch, "zeros_like", lambda *given, **more: made.append(given) or real(*given, **more))
    batch = (torch.randn(3, 4), torch.tensor([0, 1, 2]), torch.ones(3))
    SupervisedHead(torch.randn(5, 4))(*batch)
    trained = SupervisedHead(torch.randn(5, 4, requires_grad=True))
    with torch.no_grad():
        trained(*batch)
    assert made == []
    assert trained(*batch).total.requires_grad and len(made) == 1
    blank = trained(torch.randn(0, 4, requires_grad=True), torch.zeros(0, dtype=torch.long), torch.ones(0))
    blank.total.backward()  # a process whose batch teaches nothing takes part in the exchange all the same
    assert trained.matrix_VD.grad is not None and not trained.matrix_VD.grad.any()


def test_scores_in_bfloat16_leave_the_gradient_of_a_float32_matrix_float32() -> None:
    import torch

    from training.head import SupervisedHead

    torch.manual_seed(0)
    targets, weights = torch.randint(0, 97, (11,)), torch.ones(11)
    found = []
    for compute in (torch.bfloat16, None):
        torch.manual_seed(1)
        matrix, hidden = torch.randn(97, 12, requires_grad=True), torch.randn(11, 12, requires_grad=True)
        SupervisedHead(matrix, compute)(hidden, targets, weights).total.backward()
        assert matrix.grad is not None and hidden.grad is not None and matrix.grad.dtype == torch.float32
        found.append((matrix.grad, hidden.grad))
    for low, high in zip(*found, strict=True):
        assert 0 < (low - high).norm() < 0.02 * high.norm()
