"""Packed rows: each once an epoch, in bins that are full, and computed as if each stood alone."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.material import example, make_dataset
from tianjing.config import load
from tianjing.errors import TianjingError
from tianjing.lineage import artefact_digest
from training.config import TrainConfig
from training.errors import TrainingError
from training.interruption import Interrupted
from training.layout.attention import NAME
from training.layout.batches import StratifiedRows
from training.layout.packing import PackedBatch, PackedRows, pack
from training.progress import EpochOrder
from training.resumable import ResumableTrainer
from training.rows import IGNORED
from training.run import train

KINDS = ("LlamaConfig", "Qwen2Config", "Qwen3Config", "Gemma3TextConfig")


def model_of(name: str, **more: Any) -> Any:
    import transformers

    torch.manual_seed(0)
    sizes = {"hidden_size": 48, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    more = {"num_hidden_layers": 2} | more
    config = getattr(transformers, name)(**sizes, **more, vocab_size=200, pad_token_id=0)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=NAME, dtype=torch.float32)


def row(opening: int, own: int, number: int = 0, answer: int = 3) -> dict[str, Any]:
    """Twenty tokens that rows of this opening share, then `own` of its own."""
    draw = random.Random(number)
    ids = [opening + 2] * 20 + [draw.randrange(10, 200) for _ in range(own)]
    return {
        "row": number,
        "input_ids": ids,
        "labels": [IGNORED] * (len(ids) - answer) + ids[-answer:],
        "loss_weights": [1.0] * len(ids),
    }


def alone(model: Any, one: dict[str, Any]) -> torch.Tensor:
    """Loss of a row by itself, without anything of ours."""
    logits = model(input_ids=torch.tensor([one["input_ids"]]), use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits[0, :-1], torch.tensor(one["labels"][1:]), reduction="sum")


def packed(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    from training.layout.trunk import run

    logits = model.lm_head(run(model.get_decoder(), batch))
    return torch.nn.functional.cross_entropy(logits[0, :-1], batch["labels"][0, 1:], reduction="sum")


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


ROWS = [row(0, 9, 1), row(1, 14, 2), row(0, 25, 3), row(2, 7, 4), row(0, 12, 5)]


def separate(model: Any) -> torch.Tensor:
    return torch.stack([alone(model, one) for one in ROWS]).sum()


@pytest.mark.parametrize("name", KINDS)
def test_packed_rows_have_the_logits_loss_and_gradients_of_separate_rows(name: str) -> None:
    model = model_of(name)
    batch = PackedBatch(160)(ROWS)
    assert batch["input_ids"].shape == (1, 160)
    assert [group.prefix for group in batch["layout"].groups] == [20, 30, 23]  # shared; for one row all but the last
    loss, expected = packed(model, batch), separate(model)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)
    ours, theirs = gradients(model, loss), gradients(model, expected)
    assert ours.keys() == theirs.keys()
    for parameter, gradient in theirs.items():
        assert torch.allclose(ours[parameter], gradient, atol=1e-5), parameter


def test_a_sliding_window_is_kept_within_packed_rows() -> None:
    model = model_of("Gemma3TextConfig", sliding_window=8, layer_types=["sliding_attention", "full_attention"])
    reference = model_of("Gemma3TextConfig", sliding_window=8, layer_types=["sliding_attention", "full_attention"])
    reference.set_attn_implementation("eager")
    expected = separate(reference)
    loss = packed(model, PackedBatch(160)(ROWS))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)
    wider = model_of("Gemma3TextConfig", sliding_window=40, layer_types=["sliding_attention", "full_attention"])
    assert packed(wider, PackedBatch(160)(ROWS)).item() != pytest.approx(expected.item(), abs=1e-2)


@pytest.mark.parametrize("window", [None, 8])
def test_the_kernel_of_a_gpu_computes_what_the_mask_of_a_cpu_does(
    window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.nn.attention import flex_attention as torch_flex

    from training.layout import flex

    # Torch refuses the backward pass on a CPU because no fast kernel is there; its reference computes it.
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *_: None)
    monkeypatch.setattr(flex, "_compiled", lambda: torch_flex.flex_attention)
    batch = PackedBatch(256)(ROWS)
    config = model_of("Gemma3TextConfig", sliding_window=window or 99).config
    config.layer_types = ["sliding_attention" if window else "full_attention"]
    torch.manual_seed(1)
    query, key, value = (torch.randn(1, heads, 256, 16, requires_grad=True) for heads in (4, 2, 2))
    towards = torch.randn(1, 256, 4, 16)
    made = []
    for blocks in (True, False):
        mask = flex.masks(batch, config, torch.device("cpu"), blocks)[window]
        out = flex.attend_packed(query, key, value, mask, 0.0, 0.3)
        made.append((out, *torch.autograd.grad((out * towards).sum(), (query, key, value))))
    for kernel, dense in zip(*made, strict=True):
        assert torch.allclose(kernel, dense, atol=1e-5)


def test_dropped_attention_weights_are_refused() -> None:
    model = model_of("LlamaConfig", attention_dropout=0.1).train()
    with pytest.raises(TrainingError, match=r"drops 0\.1 of its attention weights"):
        packed(model, PackedBatch(160)(ROWS))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(4, 40)), max_size=50),
    st.integers(1, 5),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_every_row_is_in_one_bin_of_an_epoch_and_every_bin_fits(
    kinds: list[tuple[int, int]], micro_batches: int, seed: int, blank: int
) -> None:
    rows = [row(kind, length, number) for number, (kind, length) in enumerate(kinds)]
    rows += [{"input_ids": [7, 7], "labels": [IGNORED] * 2, "loss_weights": [0.0] * 2}] * blank
    ids, labels = [one["input_ids"] for one in rows], [one["labels"] for one in rows]
    sampler = PackedRows(ids, labels, 96, micro_batches, seed, blank)
    shapes = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        bins = list(sampler)
        assert sorted(number for members in bins for number in members) == list(range(len(rows)))
        assert len(bins) == len(sampler)
        assert all(len(members) == 1 and members[0] >= len(kinds) for members in bins[len(bins) - blank :])
        batches = [PackedBatch(96)([rows[number] for number in members]) for members in bins]
        assert all(batch["input_ids"].shape == (1, 96) for batch in batches)
        shapes.append(sorted(sorted(len(ids[number]) for number in members) for members in bins))
    assert shapes[0] == shapes[1]


def test_bins_are_nearly_full_and_a_shared_prefix_counts_once() -> None:
    draw = random.Random(0)
    rows = [row(number % 3, draw.randint(4, 60), number) for number in range(400)]
    bins = pack([one["input_ids"] for one in rows], [one["labels"] for one in rows], 256)
    layouts = [PackedBatch(256)([rows[number] for number in members])["layout"] for members in bins]
    filled = sum(layout.own for layout in layouts) / sum(layout.room for layout in layouts)
    assert filled > 0.97
    tokens = sum(len(one["input_ids"]) for one in rows)
    assert sum(layout.row_tokens for layout in layouts) == tokens > sum(layout.room for layout in layouts)


def test_a_step_meets_every_opening() -> None:
    rows = [row(number % 2, 30, number) for number in range(80)]
    sampler = PackedRows([one["input_ids"] for one in rows], [one["labels"] for one in rows], 128, 2, seed=0)
    order = list(sampler)
    for first, second in zip(order[::2], order[1::2], strict=False):
        assert {rows[number]["input_ids"][0] for number in (*first, *second)} == {2, 3}


def test_order_repeats_for_the_same_epoch_and_differs_for_another() -> None:
    rows = [row(number % 2, 20 + number % 7, number) for number in range(60)]
    sampler = PackedRows([one["input_ids"] for one in rows], [one["labels"] for one in rows], 128, 2, seed=0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_a_row_longer_than_a_bin_is_refused_with_what_to_set() -> None:
    one = row(0, 200)
    with pytest.raises(TrainingError, match="220 tokens does not fit") as refusal:
        pack([one["input_ids"]], [one["labels"]], 128)
    assert "at least 220" in refusal.value.remedy


def test_a_bin_shorter_than_the_longest_row_is_refused_with_both_numbers(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("max_length_tokens: 1024\npack_tokens: 512\n", encoding="utf-8")
    with pytest.raises(TianjingError, match=r"train\.yaml:2(.|\n)*pack_tokens(.|\n)*1024"):
        load(TrainConfig, file)


PACKED = TrainConfig.model_validate(
    {
        "lora": {"rank": 4, "alpha": 8},
        "max_length_tokens": 512,
        "pack_tokens": 512,
        "micro_batches": 2,
        "epochs": 2,
        "evaluation": {"every_steps": 4},
        "threads": 1,
    }
)


def test_a_packed_run_goes_on_exactly_where_it_was_stopped(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(tmp_path / "dataset", [example(n) for n in range(48)])
    train(data, tiny_model, tmp_path / "whole", PACKED)
    log = [json.loads(line) for line in (tmp_path / "whole" / "loss.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    steps = len(losses)
    assert steps % 2 == 0 and steps > 4, "the stop is to fall into the second epoch"
    assert any("eval_loss" in entry for entry in log)

    real = ResumableTrainer.training_step

    def stopped(self: Any, *given: Any) -> Any:
        if self.state.global_step == steps // 2 + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, *given)

    monkeypatch.setattr(ResumableTrainer, "training_step", stopped)
    with pytest.raises(Interrupted):
        train(data, tiny_model, tmp_path / "adapter", PACKED)
    monkeypatch.undo()
    train(data, tiny_model, tmp_path / "adapter", PACKED, "must")
    assert artefact_digest(tmp_path / "adapter") == artefact_digest(tmp_path / "whole")


def test_a_resumed_epoch_of_several_processes_has_its_own_order() -> None:
    from accelerate.data_loader import prepare_data_loader, skip_first_batches
    from torch.utils.data import DataLoader

    rows = [row(number % 2, 20 + number % 7, number) for number in range(60)]
    ids, labels = [one["input_ids"] for one in rows], [one["labels"] for one in rows]

    def loader(sampler: Any, rank: int) -> Any:
        packed = isinstance(sampler, PackedRows)
        how: dict[str, Any] = {"batch_sampler": sampler} if packed else {"batch_size": 4, "sampler": sampler}
        made: Any = DataLoader(ids, collate_fn=list, **how)
        return prepare_data_loader(
            made, num_processes=2, process_index=rank, put_on_device=False, even_batches=not packed
        )

    for make in (lambda: PackedRows(ids, labels, 128, 2, seed=0), lambda: StratifiedRows(ids, 4, seed=0)):
        order = make()
        order.set_epoch(1)
        batches = list(order) if isinstance(order, PackedRows) else [list(order)[n : n + 4] for n in range(0, 60, 4)]
        for rank in (0, 1):
            whole = loader(make(), rank)
            EpochOrder().on_epoch_begin(None, SimpleNamespace(epoch=1.25), None, train_dataloader=whole)
            seen = list(skip_first_batches(whole, 2))
            expected = [[ids[number] for number in members] for members in batches[4 + rank :: 2]]
            assert seen[: len(expected)] == expected
