"""The supervised-token head gives the loss of the full head."""

from __future__ import annotations

from pathlib import Path


def test_loss_on_supervised_tokens_equals_the_full_head_in_fp32(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig

    from training.layout.attention import NAME
    from training.layout.batches import SharedPrefix
    from training.trainer import SupervisedTokenTrainer

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, attn_implementation=NAME)
    rows = Dataset.from_list(
        [{"input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8], "loss_weights": [1.0, 1.0, 1.0, 1.0]}]
    )
    trainer = SupervisedTokenTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            report_to="none",
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        ),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
        peft_config=LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    )
    ids = torch.randint(5, 200, (3, 17))
    labels = ids.clone()
    labels[:, :9] = -100
    rows = [
        {"input_ids": row.tolist(), "labels": label.tolist(), "loss_weights": [1.0] * 17}
        for row, label in zip(ids, labels, strict=True)
    ]
    inputs = SharedPrefix()(rows)
    weights = inputs["loss_weights"]
    ours = trainer.compute_loss(trainer.model, dict(inputs))
    logits = trainer.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    reference = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    assert abs(ours.item() - reference.item()) < 1e-5

    doubled = trainer.compute_loss(trainer.model, inputs | {"loss_weights": 2 * weights})
    assert abs(doubled.item() - 2 * ours.item()) < 1e-5

    ours.backward()
    assert all(p.grad is not None for p in trainer.model.parameters() if p.requires_grad)
