"""Supervised fine-tuning: dataset to LoRA adapter, resumable at the last sound checkpoint."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tianjing.dataset import read_examples
from tianjing.files import atomic_write, write_jsonl
from tianjing.lineage import artefact, artefact_digest
from tianjing.models.precision import precision
from tianjing.order import order_key
from training.base import check_context, check_requirements, load_base
from training.checkpoints import Checkpoints
from training.config import TrainConfig
from training.errors import TrainingError
from training.interruption import Interrupted, Stop, stop_on_sigterm
from training.parity import require_parity
from training.ranks import Ranks, agreed, blank_row, leave
from training.rows import TokenRow, TokenRows, choose, tokenize
from training.workspace import Resume, claim, must_have, run_digest, run_parts

console = Console(stderr=True, highlight=False, soft_wrap=True)

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


@dataclass(frozen=True)
class Measured:
    """A run that is taken to be measured: its rows in a given order, in place of the draw, and what looks on."""

    order: Sequence[Sequence[int]]
    """Numbers of the chosen rows, of each micro-batch."""
    callbacks: Sequence[Any]
    """transformers' TrainerCallbacks."""


def train(
    dataset: Path,
    model: Path,
    out: Path,
    config: TrainConfig,
    resume: Resume = "auto",
    measured: Measured | None = None,
) -> None:
    """Train an adapter on `dataset/train.parquet` and write it as an artefact to `out`.

    Args:
        resume: `auto` goes on from the last sound checkpoint when dataset, base model and configuration are the same,
            and starts afresh otherwise; `never` starts afresh; `must` refuses to.
        measured: for a probe (`training.probe`).

    Raises:
        TrainingError: the dataset leaves no row to train on; the configuration asks for what the model or the machine
            does not have; a loss is not a finite number; a checkpoint cannot be written; nothing to resume from.
        Interrupted: SIGTERM came; the running step was finished and saved.
        TianjingError: the dataset or the model is missing.
    """
    with stop_on_sigterm() as stop:
        _train(dataset, model, out, config, resume, measured, stop)


def _train(
    dataset: Path,
    model: Path,
    out: Path,
    config: TrainConfig,
    resume: Resume,
    measured: Measured | None,
    stop: Stop,
) -> None:
    ranks = Ranks.from_environment()
    ranks.share(config.micro_batches)
    console.quiet = not ranks.writes
    check_requirements(config)
    examples = choose(read_examples(dataset / "train.parquet"), config.max_rows_per_task, config.seed)
    work = out.parent / ".work" / out.name
    parts = run_parts(artefact_digest(dataset), artefact_digest(model), config.result_fields())
    if ranks.writes:  # the others touch nothing before torch's process group, which all must join, stands
        claim(work, parts, resume, console.print)
    checkpoints = Checkpoints(work, run_digest(parts), config.keep_checkpoints)

    prepare_process()
    with console.status("loading torch and transformers"):
        import torch
        import transformers

        from training.shards import is_sharded, whole_adapter

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(config.threads or ranks.threads)
    check_context(model, config.max_length_tokens)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
    tokens = tokenize(examples, tokenizer, config.max_length_tokens, config.decision_weight)
    if not tokens.rows:
        raise _no_row(dataset / "train.parquet", len(examples), tokens)
    require_parity(examples, tokenizer, model)
    validation = _validation_rows(dataset, tokenizer, config)
    _announce(tokens, validation, config)
    trainer = _trainer(model, tokenizer, tokens, validation, checkpoints, out, config, ranks, stop, measured)
    try:
        seconds = _run(trainer, checkpoints, config, resume, stop)
        # Where the weights lie in shards, every process has a part in what the first one writes.
        sharded = is_sharded(trainer.model)
        best = _take_best(trainer, config) if ranks.writes or sharded else None
        weights = whole_adapter(trainer.model) if sharded else None
    finally:
        leave()
    if not ranks.writes:
        return

    history = trainer.state.log_history
    with artefact(out, kind="adapter", inputs=[dataset, model], parameters=config.result_fields()) as result:
        from training.plot import loss_plot

        trainer.model.save_pretrained(result.dir, state_dict=weights)
        (result.dir / "README.md").unlink(missing_ok=True)  # peft's empty model card; the manifest says more
        _settle_config(result.dir / "adapter_config.json", model.name)
        tokenizer.save_pretrained(result.dir)
        write_jsonl(result.dir / "loss.jsonl", _losses(history))
        (result.dir / "loss.svg").write_text(loss_plot(history), encoding="utf-8")
        result.count("rows", len(tokens.rows))
        result.count("tokens", sum(len(row.input_ids) for row in tokens.rows))
        result.count("supervised_tokens", sum(row.supervised for row in tokens.rows))
        result.count("steps", trainer.state.global_step)
        result.count("seconds", round(seconds))
        if best is not None:
            result.count("validation_rows", len(validation))
            result.count("best_step", best)
        for reason, ids in tokens.dropped.items():
            result.drop(reason, len(ids))
    shutil.rmtree(work)


def _run(trainer: Any, checkpoints: Checkpoints, config: TrainConfig, resume: Resume, stop: Stop) -> float:
    """Take the steps that are left; returns the seconds they took.

    Raises:
        Interrupted: a stop was asked for before the last step.
    """
    from training.progress import ProgressBar
    from training.validation import exhausted

    found = agreed(lambda: checkpoints.newest(console.print))
    if found is None and resume == "must":
        raise must_have(checkpoints.folder)
    if found is not None:
        console.print(f"going on from {found.path.name}")
        if found.record.world_size != trainer.args.world_size:
            console.print(
                f"{found.path.name} was saved by {found.record.world_size} processes and goes on with "
                f"{trainer.args.world_size}: rows and random numbers fall otherwise, so the result is not exactly that "
                "of an uninterrupted run"
            )
        trainer.restore_state(found.record.step)

    def finished() -> bool:
        section, state = config.evaluation, trainer.state
        stopped_early = section and exhausted(state.log_history, section.patience, section.min_improvement)
        return bool(stopped_early) or 0 < state.max_steps <= state.global_step

    started = time.monotonic()
    if found is not None and finished():  # stopped after its last step, before its artefact was written
        trainer.restore(found.record.step)
        return 0.0
    stop.keep_until_a_step_is_done()
    bars = [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, ProgressBar)]
    try:
        trainer.train(resume_from_checkpoint=str(found.path) if found else None)
    finally:
        for bar in bars:
            bar.close()
    if stop.requested and not finished():
        step, total = trainer.state.global_step, trainer.state.max_steps
        raise Interrupted(f"stopped after step {step} of {total}; saved in {checkpoints.path(step)}")
    return time.monotonic() - started


def _take_best(trainer: Any, config: TrainConfig) -> int | None:
    """Give the trainer's model the weights of the lowest validation loss; returns their step, None without one."""
    from training.validation import best_step, losses

    best = best_step(trainer.state.log_history) if config.evaluation else None
    if best is not None:
        lowest = dict(losses(trainer.state.log_history))[best]
        console.print(f"lowest validation loss {lowest:.4f} at step {best} of {trainer.state.global_step}: its weights")
        if best != trainer.state.global_step:
            trainer.restore(best)
    return best


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


def _no_row(file: Path, read: int, tokens: TokenRows) -> TrainingError:
    """Why nothing is left to train on."""
    counts = {reason: len(ids) for reason, ids in tokens.dropped.items()}
    if counts.get("no_assistant_answer") == read:
        return TrainingError(
            f"{file}: none of its {read} rows ends with an assistant's turn, so there is nothing to learn from",
            "give a dataset whose last message has the role assistant, as tianjing data build writes it",
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return TrainingError(
        f"{file}: no row to train on; left out: {reasons or 'none, the file is empty'}",
        "raise max_length_tokens, or rebuild the dataset",
    )


def _validation_rows(dataset: Path, tokenizer: Any, config: TrainConfig) -> list[TokenRow]:
    """Rows of the validation split that the configuration asks for.

    Raises:
        TrainingError: there is none that can be used.
    """
    if config.evaluation is None:
        return []
    file = dataset / "validation.parquet"
    examples = sorted(read_examples(file), key=lambda row: order_key(config.seed, row.id))
    chosen = examples[: config.evaluation.max_rows]
    rows = tokenize(chosen, tokenizer, config.max_length_tokens, config.decision_weight).rows
    if not rows:
        raise TrainingError(
            f"{file}: no row to take the validation loss on ({len(examples)} read)",
            "build the dataset with a validation split (data.extract.split.validation_fraction), or leave evaluation "
            "out",
        )
    return rows


def _announce(tokens: TokenRows, validation: list[TokenRow], config: TrainConfig) -> None:
    total = sum(len(row.input_ids) for row in tokens.rows)
    supervised = sum(row.supervised for row in tokens.rows)
    packed = config.pack_tokens
    size = f"up to {config.micro_batches * packed} tokens" if packed else str(config.batch_rows)
    held_out = f", validation on {len(validation)} rows" if validation else ""
    console.print(
        f"{len(tokens.rows)} rows, {total} tokens ({supervised} supervised), "
        f"{config.epochs:g} epochs in batches of {size}, seed {config.seed}{held_out}"
    )
    for reason, ids in tokens.dropped.items():
        console.print(f"left out {len(ids)} rows ({reason}): {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")


def _trainer(
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
) -> Any:
    import torch
    from transformers import PrinterCallback

    from training.batches import SharedPrefix
    from training.guard import check_model
    from training.layers import set_up
    from training.packing import PackedBatch
    from training.progress import EpochOrder, Evaluations, Meter, ProgressBar, StopAfterStep
    from training.resumable import ResumableTrainer

    dtype = precision(on_gpu=torch.cuda.is_available())
    console.print(f"computing in {dtype}")
    base = load_base(model, dtype, config.quantize)
    check_model(base)
    meter = Meter()
    blank = _blank(tokens, config, ranks)
    trainer = ResumableTrainer(
        model=base,
        args=_arguments(checkpoints.folder, out, config, ranks),
        train_dataset=_training_rows(tokens, blank),
        data_collator=PackedBatch(config.pack_tokens) if config.pack_tokens else SharedPrefix(),
        processing_class=tokenizer,
        peft_config=_lora(base.config.num_hidden_layers, config),
        callbacks=[
            *([ProgressBar(meter)] if ranks.writes else []),
            *([Evaluations(config.evaluation)] if config.evaluation else []),
            EpochOrder(),
            StopAfterStep(stop),
            *(measured.callbacks if measured else ()),
        ],
    )
    set_up(trainer.model, config.checkpointing, config.compile)
    trainer.order = measured.order if measured else None
    trainer.blank_rows = blank
    trainer.checkpoints, trainer.meter = checkpoints, meter
    trainer.row_ids = [row.id for row in tokens.rows]
    trainer.validation = validation
    trainer.loraplus_ratio = config.lora.loraplus_ratio
    # TRL adds a callback that prints every log line; the bar above shows the same.
    trainer.remove_callback(PrinterCallback)
    layers, top = base.config.num_hidden_layers, config.lora.top_layers
    if top and top < layers and config.epochs > 1 and not config.lora.trains_base and not config.pack_tokens:
        _keep_trunk(trainer, layers - top, len(tokens.rows))
    return trainer


def _blank(tokens: TokenRows, config: TrainConfig, ranks: Ranks) -> int:
    """Rows that teach nothing, so that every process has as many micro-batches."""
    if config.pack_tokens is None:
        return ranks.blank_rows(len(tokens.rows), config.micro_rows)
    from training.packing import pack

    ids, labels = [row.input_ids for row in tokens.rows], [row.labels for row in tokens.rows]
    return ranks.blank_bins(len(pack(ids, labels, config.pack_tokens)))


def _lora(layers: int, config: TrainConfig) -> Any:
    """The adapter: on all `layers` of the base model, or on the `top_layers` nearest to its output."""
    from peft import LoraConfig

    top = config.lora.top_layers
    return LoraConfig(
        **config.lora.peft(),
        layers_to_transform=list(range(max(0, layers - top), layers)) if top else None,
        layers_pattern="layers" if top else None,
        task_type="CAUSAL_LM",
    )


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
        # Rows share their common prefix instead (training.batches), in bins of our own (training.packing).
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
        seed=config.seed,
        dataloader_num_workers=0,
        # Bins differ in their rows, and blank ones make them even (training.ranks).
        accelerator_config={"even_batches": config.pack_tokens is None, "non_blocking": on_gpu},
        dataloader_pin_memory=on_gpu,
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
    keys = ("loss", "mean_token_accuracy", "learning_rate", "grad_norm", "eval_loss", "eval_mean_token_accuracy")
    return [
        {"step": entry["step"], **{key: round(float(entry[key]), 8) for key in keys if key in entry}}
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    ]
