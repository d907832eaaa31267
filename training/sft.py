"""Supervised fine-tuning: dataset to LoRA adapter, resumable at the last complete checkpoint."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tianjing.dataset import read_examples
from tianjing.files import atomic_write, canonical_json, sha256_bytes, write_jsonl
from tianjing.lineage import artefact, artefact_digest
from tianjing.models.precision import precision
from training.config import TrainConfig
from training.errors import TrainingError
from training.ranks import Ranks, agreed, blank_row, leave
from training.rows import TokenRows, choose, tokenize

console = Console(stderr=True)

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def train(dataset: Path, model: Path, out: Path, config: TrainConfig) -> None:
    """Train an adapter on `dataset/train.parquet` and write it as an artefact to `out`.

    A run that was stopped goes on from its last checkpoint when dataset, model and configuration are
    the same; otherwise it starts afresh.

    Raises:
        TrainingError: the dataset leaves no row to train on.
        TianjingError: the dataset or the model is missing.
    """
    ranks = Ranks.from_environment()
    ranks.share(config.micro_batches)
    console.quiet = not ranks.writes
    examples = choose(read_examples(dataset / "train.parquet"), config.max_rows_per_task, config.seed)
    work = out.parent / ".work" / out.name
    if ranks.writes:  # the others touch nothing before torch's process group, which all must join, stands
        _claim(work, canonical_json([artefact_digest(dataset), artefact_digest(model), config.model_dump(mode="json")]))

    prepare_process()
    with console.status("loading torch and transformers"):
        import torch
        import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(config.threads or ranks.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
    tokens = tokenize(examples, tokenizer, config.max_length_tokens, config.decision_weight)
    if not tokens.rows:
        raise TrainingError(
            f"{dataset}: no row to train on; left out: { {k: len(v) for k, v in tokens.dropped.items()} }",
            "raise max_length_tokens, or rebuild the dataset",
        )
    _announce(tokens, config)
    trainer = _trainer(model, tokenizer, tokens, work, config, ranks)

    from training.progress import latest_checkpoint

    checkpoint = agreed(lambda: latest_checkpoint(work))
    if checkpoint is not None:
        console.print(f"going on from {checkpoint.name}")
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.monotonic() - started
    leave()
    if not ranks.writes:
        return

    with artefact(out, kind="adapter", inputs=[dataset, model], parameters=config.model_dump(mode="json")) as result:
        trainer.model.save_pretrained(result.dir)
        (result.dir / "README.md").unlink(missing_ok=True)  # peft's empty model card; the manifest says more
        _settle_config(result.dir / "adapter_config.json", model.name)
        tokenizer.save_pretrained(result.dir)
        write_jsonl(result.dir / "loss.jsonl", _losses(trainer.state.log_history))
        result.count("rows", len(tokens.rows))
        result.count("tokens", sum(len(row.input_ids) for row in tokens.rows))
        result.count("supervised_tokens", sum(row.supervised for row in tokens.rows))
        result.count("steps", trainer.state.global_step)
        result.count("seconds", round(seconds))
        for reason, ids in tokens.dropped.items():
            result.drop(reason, len(ids))
    shutil.rmtree(work)


def prepare_process() -> None:
    """Settings of the C runtime that must stand before torch is loaded."""
    # Spinning OpenMP threads wait for one another at every layer: beside any other work on the cores a step took
    # three to five times as long; on quiet cores the difference is within the noise.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "linux":
        # Keep freed activations in the process: returning them to the system cost half of the kernel time.
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, -1)


def _claim(work: Path, fingerprint: str) -> None:
    """Keep the checkpoints in `work` only when they belong to this very run."""
    mark = work / "fingerprint"
    digest = sha256_bytes(fingerprint.encode())
    if work.exists() and (not mark.exists() or mark.read_text() != digest):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    atomic_write(mark, digest)


def _announce(tokens: TokenRows, config: TrainConfig) -> None:
    total = sum(len(row.input_ids) for row in tokens.rows)
    supervised = sum(row.supervised for row in tokens.rows)
    console.print(
        f"{len(tokens.rows)} rows, {total} tokens ({supervised} supervised), "
        f"{config.epochs:g} epochs in batches of {config.batch_rows}, seed {config.seed}"
    )
    for reason, ids in tokens.dropped.items():
        console.print(f"left out {len(ids)} rows ({reason}): {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")


def _trainer(model: Path, tokenizer: Any, tokens: TokenRows, work: Path, config: TrainConfig, ranks: Ranks) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, PrinterCallback

    from training.attention import NAME as SHARED_PREFIX
    from training.batches import SharedPrefix
    from training.progress import CompleteCheckpoints, ProgressBar
    from training.trainer import SupervisedTokenTrainer

    dtype = precision(on_gpu=torch.cuda.is_available())
    console.print(f"computing in {dtype}")
    base = AutoModelForCausalLM.from_pretrained(
        model, dtype=dtype, local_files_only=True, attn_implementation=SHARED_PREFIX
    )
    blank = ranks.blank_rows(len(tokens.rows), config.micro_rows)
    steps_per_epoch = -(-len(tokens.rows) // config.batch_rows)
    trainer = SupervisedTokenTrainer(
        model=base,
        args=_arguments(work, config, ranks),
        train_dataset=_training_rows(tokens, blank),
        data_collator=SharedPrefix(),
        processing_class=tokenizer,
        peft_config=_lora(base.config.num_hidden_layers, config),
        callbacks=[
            *([ProgressBar(sum(len(row.input_ids) for row in tokens.rows) / steps_per_epoch)] if ranks.writes else []),
            CompleteCheckpoints(),
        ],
    )
    trainer.blank_rows = blank
    # TRL adds a callback that prints every log line; the bar above shows the same.
    trainer.remove_callback(PrinterCallback)
    layers, top = base.config.num_hidden_layers, config.lora.top_layers
    if top and top < layers and config.epochs > 1:
        _keep_trunk(trainer, layers - top, len(tokens.rows))
    return trainer


def _lora(layers: int, config: TrainConfig) -> Any:
    """The adapter: on all `layers` of the base model, or on the `top_layers` nearest to its output."""
    from peft import LoraConfig

    top = config.lora.top_layers
    return LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=list(config.lora.targets),
        layers_to_transform=list(range(max(0, layers - top), layers)) if top else None,
        layers_pattern="layers" if top else None,
        task_type="CAUSAL_LM",
    )


def _arguments(work: Path, config: TrainConfig, ranks: Ranks) -> Any:
    import torch
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(work),
        use_cpu=not torch.cuda.is_available(),
        bf16=precision(on_gpu=torch.cuda.is_available()) == "bfloat16",
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.micro_rows,
        gradient_accumulation_steps=ranks.share(config.micro_batches),
        ddp_find_unused_parameters=False,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_ratio,
        weight_decay=config.weight_decay,
        max_length=config.max_length_tokens,
        # Rows share their common prefix instead (training.batches).
        packing=False,
        gradient_checkpointing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        save_strategy="steps",
        save_steps=config.save_every_steps,
        save_total_limit=2,
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        seed=config.seed,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )


def _training_rows(tokens: TokenRows, blank: int) -> Any:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    return Dataset.from_list(
        [
            {"row": number, "input_ids": row.input_ids, "labels": row.labels, "loss_weights": row.loss_weights}
            for number, row in enumerate(tokens.rows)
        ]
        + [blank_row(len(tokens.rows) + number, tokens.rows[0].input_ids) for number in range(blank)]
    )


def _keep_trunk(trainer: Any, first_adapted: int, rows: int) -> None:
    """What no step changes is computed once; after an interruption, again."""
    from rich.progress import Progress

    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(f"layers 1 to {first_adapted}, which stay as they are", total=rows)
        kept = trainer.keep_trunk(first_adapted, lambda done: progress.advance(bar, done))
    console.print(
        f"states of the {first_adapted} frozen layers kept for {rows} rows"
        if kept
        else f"the {first_adapted} frozen layers are computed in every epoch: their states cannot be kept"
    )


def _settle_config(path: Path, base: str) -> None:
    """Make the adapter's configuration the same wherever, and however often, it is trained.

    The base stands in it by name, not by a path of this machine, and its layers in order: peft keeps them as a set,
    whose order changes from process to process and with it the adapter's digest.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    config["target_modules"] = sorted(config["target_modules"])
    atomic_write(path, json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False))


def _losses(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = ("loss", "mean_token_accuracy", "learning_rate", "grad_norm")
    return [
        {"step": entry["step"], **{key: round(float(entry[key]), 8) for key in keys if key in entry}}
        for entry in history
        if "loss" in entry
    ]
