"""Dataset to LoRA adapter or to new weights, by whatever method, resumable at the last sound checkpoint."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tianjing.console import make_console
from tianjing.files import write_jsonl
from tianjing.lineage import artefact, artefact_digest
from training import adapter, full
from training.assembly import Measured, build_trainer
from training.base import check_context, check_modules, check_requirements
from training.checkpoints import Checkpoints
from training.config import TrainConfig
from training.continued import inherit
from training.interruption import Interrupted, Stop, stop_on_sigterm
from training.parity.check import require_parity
from training.ranks import Ranks, agreed, leave
from training.rows import stop_tokens
from training.selection import Scene, announce, choose_rows, tokenize_rows, validation_rows
from training.workspace import (
    Resume,
    claim,
    hold,
    must_have,
    require_target,
    require_unchanged,
    run_digest,
    run_inputs,
    run_kind,
    run_parameters,
    run_parts,
)

console = make_console(stderr=True, soft_wrap=True)

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def train(
    dataset: Path,
    model: Path,
    out: Path,
    config: TrainConfig,
    resume: Resume = "auto",
    measured: Measured | None = None,
    scene: Scene | None = None,
    ends_process: bool = False,
    stop: Stop | None = None,
) -> None:
    """Train an adapter, or all weights, on the training split of `dataset` and write it as an artefact to `out`.

    Args:
        resume: `auto` goes on from the last sound checkpoint when dataset, base model and configuration are the same,
            and starts afresh otherwise; `never` starts afresh; `must` refuses to.
        measured: for a probe (`training.plan.probe`).
        scene: what the adapter is for; rows of other tasks are left out.
        ends_process: nothing comes after this in the process, so that a late SIGTERM changes nothing any more.
        stop: of a caller that handles SIGTERM itself, over several runs.

    Raises:
        TrainingError: the dataset leaves no row to train on; the configuration asks for what the model or the machine
            does not have; a loss is not a finite number; a checkpoint cannot be written; nothing to resume from; the
            disk cannot hold the checkpoints of full tuning; an input changed in the meantime.
        Interrupted: SIGTERM came; the running step was finished and saved.
        TianjingError: the dataset or the model is missing; `out` cannot be used; another process trains into it.
    """
    with contextlib.ExitStack() as until:
        stop = until.enter_context(stop_on_sigterm(ends_process)) if stop is None else stop
        _train(dataset, model, out, config, resume, measured, scene, stop, until)


def _train(
    dataset: Path,
    model: Path,
    out: Path,
    config: TrainConfig,
    resume: Resume,
    measured: Measured | None,
    scene: Scene | None,
    stop: Stop,
    until: contextlib.ExitStack,
) -> None:
    ranks = Ranks.from_environment()
    ranks.share(config.micro_batches)
    console.quiet = not ranks.writes
    check_requirements(config)
    config = inherit(config, model)
    inputs = run_inputs(dataset, model, config)
    require_target(out, config, inputs)
    # Before anything of them is read: the manifest must not name what came later.
    digests = {name: artefact_digest(path) for name, path in inputs.items()}
    chosen = choose_rows(dataset, config, scene)

    prepare_process()
    with console.status("loading torch and transformers"):
        import torch
        import transformers

        from training.layout.guard import check_config
        from training.shards import is_sharded, whole_adapter

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(config.threads or ranks.threads)
    check_context(model, config.max_length_tokens)
    check_config(transformers.AutoConfig.from_pretrained(model, local_files_only=True))
    check_modules(model, config)
    work = out.parent / ".work" / out.name
    parameters = run_parameters(config, scene)
    parts = run_parts(digests, parameters)
    if ranks.writes:  # the others touch nothing before torch's process group, which all must join, stands
        hold(work, until)
        claim(work, parts, resume, console.print)
    checkpoints = Checkpoints(work, run_digest(parts), config.keep_checkpoints)
    if config.tune == "full" and ranks.writes and measured is None:
        full.check_disk(work, model, config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
    stops = stop_tokens(tokenizer, model)
    tokens = tokenize_rows(chosen, tokenizer, config, stops)
    require_parity(chosen.conversations(), tokenizer, model)
    validation = validation_rows(dataset, tokenizer, config, stops, scene)
    announce(chosen, tokens, validation, config, console.print)
    trainer = build_trainer(
        model, tokenizer, tokens, validation, checkpoints, out, config, ranks, stop, measured, console
    )
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

    require_unchanged(inputs, digests)
    require_target(out, config, inputs, steps_taken=True)
    history = trainer.state.log_history
    with artefact(out, run_kind(config), list(inputs.values()), parameters, list(digests.values())) as result:
        from training.plot import loss_plot

        if config.tune == "full":
            difference = full.save(trainer.model, tokenizer, result.dir)
            console.print(f"written in bfloat16; logits differ by {difference:.2%} from those of the trained weights")
        else:
            adapter.save(trainer.model, tokenizer, result.dir, model.name, weights)
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
        for task, rows in chosen.replayed.items():
            result.count(f"replayed/{task}", rows)
        if chosen.other_scenes:
            result.drop("of_another_scene", chosen.other_scenes)
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


def _losses(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from training.preference.trainer import METRICS

    keys = ["loss", "mean_token_accuracy", "learning_rate", "grad_norm", *METRICS]
    keys += [f"eval_{key}" for key in ("loss", "mean_token_accuracy", *METRICS)]
    return [
        {"step": entry["step"], **{key: round(float(entry[key]), 8) for key in keys if key in entry}}
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    ]
