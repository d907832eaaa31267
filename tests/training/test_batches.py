"""Every row once an epoch, no step of one kind of row alone, and a shared prefix changes no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from training.layout.attention import NAME
from training.layout.batches import SharedPrefix, StratifiedRows
from training.rows import IGNORED


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), max_size=60),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_every_row_is_seen_once_an_epoch(kinds: list[tuple[int, int]], rows: int, seed: int) -> None:
    sampler = StratifiedRows([[kind] * (16 + length) for kind, length in kinds], rows, seed)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        assert sorted(sampler) == list(range(len(kinds)))


def test_a_micro_batch_has_one_opening_and_a_step_has_both() -> None:
    rows = [[1] * 50] * 40 + [[2] * 80] * 40
    order = list(StratifiedRows(rows, micro_rows=4, seed=0))
    for start in range(0, 80, 8):
        openings = [[rows[i][0] for i in order[start + k : start + k + 4]] for k in (0, 4)]
        assert sorted(openings) == [[1] * 4, [2] * 4]


def test_rare_kinds_of_rows_do_not_wait_for_the_end_of_the_epoch() -> None:
    rows = [[1] * 50] * 72 + [[kind] * 60 for kind in (2, 3, 4, 5, 6, 7) for _ in range(2)]
    places = [place for place, row in enumerate(StratifiedRows(rows, micro_rows=4, seed=0)) if row >= 72]
    assert len(places) == 12 and min(places) < 28 and max(places) - min(places) >= 36


def test_order_repeats_for_the_same_epoch_and_differs_for_another() -> None:
    sampler = StratifiedRows([[1] * n for n in range(20, 70)], 4, seed=7)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_a_shared_prefix_gives_the_loss_and_gradients_of_separate_rows(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, attn_implementation=NAME)
    common = list(range(20, 50))
    rows = []
    for own in ([60, 61, 62, 63], [70, 71, 72], [80, 81, 82, 83, 84, 85]):
        ids = common + own
        labels = [IGNORED] * (len(ids) - 2) + ids[-2:]
        rows.append({"input_ids": ids, "labels": labels, "loss_weights": [1.0] * len(ids)})
    batch = SharedPrefix()(rows)
    assert batch["input_ids"].shape == (1, 30 + 4 + 3 + 6)

    def loss(ids: torch.Tensor, labels: torch.Tensor, **more: Any) -> torch.Tensor:
        logits = model(input_ids=ids, use_cache=False, **more).logits
        return torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum")

    shared = loss(
        batch["input_ids"],
        batch["labels"],
        position_ids=batch["position_ids"],
        layout=batch["layout"],
    )
    shared.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    separate = sum(loss(torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])) for row in rows)
    separate.backward()
    assert abs(shared.item() - separate.item()) < 1e-4
    for name, value in model.named_parameters():
        if value.grad is not None:
            assert torch.allclose(value.grad, gradients[name], atol=1e-5), name


def test_the_prefix_stops_before_the_token_that_predicts_the_answer() -> None:
    row = {"input_ids": [1, 2, 3, 4], "labels": [IGNORED, IGNORED, 3, 4], "loss_weights": [1.0] * 4}
    batch = SharedPrefix()([row, row])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 2, 3, 4]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 3, 4, IGNORED, 3, 4]]
