"""The trainer of a run, put together: base model, adapter, rows, batches, and what is computed before the steps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tianjing.models.precision import precision
from training import full
from training.base import load_base, lora_config
from training.checkpoints import Checkpoints
from training.config import TrainConfig
from training.continued import load_adapter
from training.interruption import Stop
from training.ranks import Ranks, blank_row
from training.rows import TokenRow, TokenRows


@dataclass(frozen=True)
class Measured:
    """A run that is taken to be measured: its rows in a given order, in place of the draw, and what looks on."""

    order: Sequence[Sequence[int]] | None
    """Numbers of the chosen rows, of each micro-batch; None draws them as ever."""
    callbacks: Sequence[Any]
    """transformers' TrainerCallbacks."""


def build_trainer(
    model: Path,
    tokenizer: Any,
    tokens: TokenRows,
    validation: list[TokenRow],
    checkpoints: Checkpoints,
    out: Path,
    config: TrainConfig,
    ranks: Ranks,
    stop: Stop,
    measured: Measured | None,
    console: Console,
) -> Any:
    """The trainer of a run on `tokens`, with everything that is computed before the first step.

    Raises:
        TrainingError: the model or the machine is not fit for what the configuration asks.
    """
    import torch
    from transformers import PrinterCallback

    from training.layers import set_up
    from training.layout.batches import SharedPrefix
    from training.layout.guard import check_model
    from training.layout.packing import PackedBatch
    from training.preference.reference import take_reference
    from training.preference.trainer import PreferenceTrainer
    from training.progress import EpochOrder, Evaluations, Meter, ProgressBar, StopAfterStep
    from training.resumable import ResumableTrainer

    dtype = precision(on_gpu=torch.cuda.is_available())
    in_full = config.tune == "full"
    console.print(f"computing in {dtype}" + (", all weights trained in float32" if in_full else ""))
    base = load_base(model, "float32" if in_full else dtype, config.quantize)
    check_model(base)
    meter = Meter()
    layers = base.config.num_hidden_layers
    if config.adapter is not None:
        base = load_adapter(base, Path(config.adapter), config.lora.dropout)
    blank = _blank(tokens, config, ranks)
    collate = PackedBatch(config.pack_tokens) if config.pack_tokens else SharedPrefix()
    kind = ResumableTrainer if config.method == "sft" else PreferenceTrainer
    trainer = kind(
        model=base,
        args=_arguments(checkpoints.folder, out, config, ranks),
        train_dataset=training_rows(tokens, blank),
        data_collator=collate,
        processing_class=tokenizer,
        peft_config=None if in_full or config.adapter is not None else lora_config(layers, config),
        callbacks=[
            *([ProgressBar(meter)] if ranks.writes else []),
            *([Evaluations(config.evaluation)] if config.evaluation else []),
            EpochOrder(),
            StopAfterStep(stop),
            *(measured.callbacks if measured else ()),
        ],
    )
    if in_full:
        full.check_distribution(trainer)
    set_up(trainer.model, config.checkpointing, config.compile)
    trainer.order = measured.order if measured else None
    trainer.blank_rows = blank
    trainer.checkpoints, trainer.meter = checkpoints, meter
    trainer.row_ids = [row.id for row in tokens.rows]
    trainer.validation, trainer.validation_collator = validation, collate
    trainer.loraplus_ratio = config.lora.loraplus_ratio
    # TRL adds a callback that prints every log line; the bar above shows the same.
    trainer.remove_callback(PrinterCallback)
    if isinstance(trainer, PreferenceTrainer):
        trainer.learn(tokens.rows, config)
    top = config.lora.top_layers
    if top and top < layers and config.epochs > 1 and not config.lora.trains_base and not config.pack_tokens:
        _keep_trunk(trainer, layers - top, len(tokens.rows), console)
    if isinstance(trainer, PreferenceTrainer):
        take_reference(trainer, checkpoints.folder, console)
    return trainer


def _blank(tokens: TokenRows, config: TrainConfig, ranks: Ranks) -> int:
    """Rows that teach nothing, so that every process has as many micro-batches."""
    if config.pack_tokens is None:
        return ranks.blank_rows(len(tokens.rows), config.micro_rows)
    from training.layout.packing import pack

    ids, labels = [row.input_ids for row in tokens.rows], [row.labels for row in tokens.rows]
    return ranks.blank_bins(len(pack(ids, labels, config.pack_tokens)))


def _arguments(work: Path, out: Path, config: TrainConfig, ranks: Ranks) -> Any:
    import torch
    from trl import SFTConfig

    on_gpu = torch.cuda.is_available()
    # Beside the artefact: the work folder goes when the run is finished.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out.parent / "tensorboard" / out.name))
    return SFTConfig(
        output_dir=str(work),
        run_name=out.name,
        use_cpu=not on_gpu,
        bf16=precision(on_gpu=on_gpu) == "bfloat16",
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.micro_rows,
        gradient_accumulation_steps=ranks.share(config.micro_batches),
        ddp_find_unused_parameters=False,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_ratio,
        weight_decay=config.weight_decay,
        max_length=config.max_length_tokens,
        # Rows share their common prefix instead (training.layout.batches), in bins of our own
        # (training.layout.packing).
        packing=False,
        # A loss that is no number ends the run; to look at each here would wait for the device.
        logging_nan_inf_filter=False,
        gradient_checkpointing=False,  # ours keeps what is dear (training.layers)
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        save_strategy="steps",
        save_steps=config.save_every_steps,
        logging_steps=1,
        disable_tqdm=True,
        report_to=config.report_to,
        project="tianjing",  # of trackio; the others have their own variables
        seed=config.seed,
        dataloader_num_workers=0,
        # Bins differ in their rows, and blank ones make them even (training.ranks).
        accelerator_config={"even_batches": config.pack_tokens is None, "non_blocking": on_gpu},
        dataloader_pin_memory=on_gpu,
    )


def training_rows(tokens: TokenRows, blank: int) -> Any:
    """The rows as a datasets.Dataset, with `blank` ones behind them that teach nothing."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    return Dataset.from_list(
        [row.item(number) for number, row in enumerate(tokens.rows)]
        + [blank_row(len(tokens.rows) + number, tokens.rows[0].input_ids) for number in range(blank)]
    )


def _keep_trunk(trainer: Any, first_adapted: int, rows: int, console: Console) -> None:
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
