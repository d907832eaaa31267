"""Preference training has TRL's losses, gradients and metrics, pair by pair as much as its weights say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.training.material import preference
from training.config import TrainConfig
from training.rows import TokenRow

BETA = 0.3


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> list[TokenRow]:
    """Four pairs of two lengths, with prompts of their own behind a common opening."""
    from transformers import AutoTokenizer

    from training.preference.pairs import tokenize_pairs

    tokens = tokenize_pairs([preference(n) for n in range(4)], AutoTokenizer.from_pretrained(tiny_model), 2048)
    assert len(tokens.rows) == 4
    return tokens.rows


def configuration(method: str, **section: Any) -> TrainConfig:
    fields = {"method": method, "preference": {"beta": BETA, **section}, "micro_rows": 4, "max_length_tokens": 2048}
    return TrainConfig.model_validate(fields)


def adapter() -> Any:
    from peft import LoraConfig

    # Random weights: the policy is not its reference.
    return LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)


def ours(tiny_model: Path, folder: Path, rows: list[TokenRow], config: TrainConfig) -> Any:
    """Our trainer with the bare base as its reference."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig

    from training.assembly import training_rows
    from training.layout.attention import NAME
    from training.preference.trainer import PreferenceTrainer
    from training.rows import TokenRows

    trainer = PreferenceTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, attn_implementation=NAME),
        args=SFTConfig(
            output_dir=str(folder),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            per_device_train_batch_size=4,
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        ),
        train_dataset=training_rows(TokenRows(rows, {}), 0),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
        peft_config=adapter(),
    )
    trainer.learn(rows, config)
    with trainer.model.disable_adapter():
        reference = trainer.reference_of(trainer.data_collator)
    trainer.data_collator = dataclasses.replace(trainer.data_collator, reference=reference)
    trainer.model.train()
    return trainer


def theirs(tiny_model: Path, folder: Path, kind: str, **fields: Any) -> Any:
    """TRL's trainer of the same model; its reference is the bare base too."""
    import torch
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pair = {"prompt": "a", "chosen": "b", "rejected": "c"}
    trainer = getattr(trl, f"{kind}Trainer")(
        model=AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32),
        args=getattr(trl, f"{kind}Config")(
            output_dir=str(folder),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            per_device_train_batch_size=8,
            max_length=None,
            beta=BETA,
            **fields,
        ),
        train_dataset=Dataset.from_list([pair] * 8),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
        peft_config=adapter(),
    )
    trainer.model.train()
    return trainer


def assert_equal(mine: Any, other: Any, inputs: dict[str, Any], batch: dict[str, Any]) -> None:
    """Loss, gradient and metrics of one batch."""
    import torch

    mine.model.load_state_dict(other.model.state_dict())
    for trainer in (mine, other):
        trainer.model.zero_grad()
    loss = mine.compute_loss(mine.model, inputs, num_items_in_batch=mine._items(inputs))
    expected = other.compute_loss(other.model, batch)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    loss.backward()
    expected.backward()
    gradients = {name: p.grad for name, p in other.model.named_parameters() if p.requires_grad}
    assert gradients
    for name, parameter in mine.model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().max() > 0, name
            assert torch.allclose(parameter.grad, gradients[name], atol=1e-5), name
    mine._read_metrics()
    shown, known = mine._metrics["train"], other._metrics["train"]
    for name in set(known) - {"num_tokens", "logits/chosen", "logits/rejected"}:
        assert shown[name][-1] == pytest.approx(known[name][-1], abs=1e-4), name


def lay_out(trainer: Any, rows: list[TokenRow]) -> dict[str, Any]:
    batch: dict[str, Any] = trainer.data_collator([row.item(number) for number, row in enumerate(rows)])
    return batch


def swap(row: TokenRow) -> TokenRow:
    """The pair with its answers the other way round."""
    from training.preference.pairs import answers, forked, prompt_of

    prompt = prompt_of(row)
    chosen, rejected = answers(row)
    return forked(row.id, prompt + rejected, prompt + chosen, len(prompt), 1.0)


def of_pairs(trainer: Any, rows: list[TokenRow]) -> dict[str, Any]:
    """The batch of TRL's DPOTrainer."""
    from training.preference.pairs import answers, prompt_of

    made = [(prompt_of(row), *answers(row)) for row in rows]
    batch: dict[str, Any] = trainer.data_collator(
        [{"prompt_ids": p, "chosen_ids": chosen, "rejected_ids": rejected} for p, chosen, rejected in made]
    )
    return batch


@pytest.fixture(scope="module")
def both(rows: list[TokenRow], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Our trainer for DPO, and TRL's."""
    folder = tmp_path_factory.mktemp("dpo")
    return ours(tiny_model, folder, rows, configuration("dpo")), theirs(tiny_model, folder, "DPO")


LOSSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sigmoid": ({}, {"loss_types": ["sigmoid"]}),
    "ipo": ({"loss": "ipo"}, {"loss_types": ["ipo"]}),
    "robust": ({"loss": "robust", "label_smoothing": 0.1}, {"loss_types": ["robust"], "label_smoothing": 0.1}),
    "with imitation": ({"sft_weight": 0.7}, {"loss_types": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7]}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_dpo_has_the_loss_gradient_and_metrics_of_trl(
    name: str, rows: list[TokenRow], both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    section, fields = LOSSES[name]
    mine, other = both
    monkeypatch.setattr(mine, "section", configuration("dpo", **section).preferences)
    for field, value in fields.items():
        monkeypatch.setattr(other, field, value)
    assert_equal(mine, other, lay_out(mine, rows), of_pairs(other, rows))


def test_a_pair_counts_as_much_as_its_weight_says(rows: list[TokenRow], both: tuple[Any, Any]) -> None:
    mine, _ = both
    heavy = [dataclasses.replace(row, loss_weights=[3.0] * len(row.input_ids)) for row in rows]
    light = dataclasses.replace(mine.data_collator)
    weighted = dataclasses.replace(mine.data_collator, pairs=[heavy[0], *rows[1:]])
    items = [row.item(number) for number, row in enumerate(rows)]

    def loss(collate: Any, chosen: list[dict[str, Any]]) -> float:
        return mine.compute_loss(mine.model, collate(chosen), num_items_in_batch=4).item()

    first = loss(light, items[:1])
    assert loss(weighted, items) - loss(light, items) == pytest.approx(2 * first, abs=1e-5)


def test_pairs_that_share_a_batch_have_the_log_probabilities_of_each_alone(
    rows: list[TokenRow], both: tuple[Any, Any]
) -> None:
    mine, _ = both
    together = mine.reference_of(mine.data_collator)
    alone = []
    for number, row in enumerate(rows):
        alone += mine.reference_of(dataclasses.replace(mine.data_collator, pairs=[row], reference=()))
        swapped = swap(row)
        (other_way,) = mine.reference_of(dataclasses.replace(mine.data_collator, pairs=[swapped], reference=()))
        assert other_way == pytest.approx(alone[number][::-1], abs=1e-4), "an answer sees nothing of the other"
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    mine.model.train()


def test_kto_has_the_loss_gradient_and_metrics_of_trl(rows: list[TokenRow], tiny_model: Path, tmp_path: Path) -> None:
    from training.preference.pairs import answers, prompt_of

    mine = ours(tiny_model, tmp_path, rows, configuration("kto", desirable_weight=1.5, undesirable_weight=0.5))
    other = theirs(tiny_model, tmp_path, "KTO", desirable_weight=1.5, undesirable_weight=0.5)
    # TRL moves each row's answer on to the next prompt; the same with ours, which go to their partners'.
    examples = []
    for which, label in ((0, True), (1, False)):
        for number, row in enumerate(rows):
            partner = rows[mine.data_collator.partners[number]]
            assert prompt_of(partner) != prompt_of(row)
            answer, mismatch = answers(row)[which], answers(partner)[which]
            names = {"prompt_ids": prompt_of(row), "completion_ids": answer, "KL_completion_ids": mismatch}
            examples.append(names | {"label": label})
    assert_equal(mine, other, lay_out(mine, rows), other.data_collator(examples))
    # A reference so unlikely that the KL term is not cut off at zero.
    lower = [[value - 4.0 for value in values] for values in mine.data_collator.reference]
    mine.data_collator = dataclasses.replace(mine.data_collator, reference=lower)
    other.precompute_ref_logps = True
    for number, example in enumerate(examples):
        values = lower[number % len(rows)]
        which = number // len(rows)
        example |= {"ref_logps": values[which], "ref_KL_logps": values[2 + which]}
    assert_equal(mine, other, lay_out(mine, rows), other.data_collator(examples))
    assert mine._metrics["train"]["kl"][-1] > 0.1, "the term that is compared is there"
