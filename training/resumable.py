"""The trainer of a run that may be stopped, may fail, and is looked at: checkpoints, validation, and finite numbers."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Trainer, TrainerState

from tianjing.files import atomic_write
from training.checkpoints import OPTIMISER, SCHEDULE, STATE, Checkpoints
from training.errors import TrainingError
from training.layout.batches import SharedPrefix
from training.layout.packing import PackedBatch, pack
from training.plot import loss_plot
from training.progress import Meter
from training.rows import TokenRow
from training.shards import is_sharded, load_adapter, load_state, whole, whole_adapter, whole_state
from training.trainer import SupervisedTokenTrainer
from training.validation import VALIDATION_LOSS, batches, best_step

_NAMED_ROWS = 12


class ResumableTrainer(SupervisedTokenTrainer):
    """Checkpoints are whole and sealed, the validation loss is that of supervised tokens alone, and a loss or gradient
    that is no number ends the run before it reaches a weight."""

    checkpoints: Checkpoints
    """Where checkpoints go; set before training."""

    row_ids: Sequence[str] = ()
    """Ids of the training rows, in the order of the dataset."""

    validation: Sequence[TokenRow] = ()
    """Rows that `evaluate` takes the loss on."""

    loraplus_ratio: float | None = None
    """LoRA+: learning rate of B over that of A."""

    validation_collator: SharedPrefix | PackedBatch = SharedPrefix()
    """Lays out the rows of `validation`."""

    meter: Meter
    """Counts what has been trained on; set before training."""

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        # Loss and rows of each micro-batch of the running step.
        self._step: list[tuple[torch.Tensor, tuple[int, ...]]] = []

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW, with two learning rates under LoRA+."""
        if self.loraplus_ratio is None or self.optimizer is not None:
            return super().create_optimizer(model)
        from peft.optimizers import create_loraplus_optimizer

        adapted: Any = self.model
        optimizer_class, settings = self.get_optimizer_cls_and_kwargs(self.args, adapted)
        self.optimizer = create_loraplus_optimizer(
            adapted,
            optimizer_class,
            loraplus_lr_ratio=self.loraplus_ratio,
            loraplus_weight_decay=self.args.weight_decay,
            **settings,
        )
        return self.optimizer

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Loss of one micro-batch, with its gradient added up."""
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._step.append((loss, inputs["rows"]))
        self.meter.count(inputs["layout"])
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """The last look before the optimiser: what is no number would stay in the weights for good.

        Once a step, not once a micro-batch: to look at a number waits for all that is queued on the device.

        Raises:
            TrainingError: a loss or the gradient is not a finite number; names the step and the rows.
        """
        norm = super()._clip_grad_norm(model)
        step, self._step = self._step, []
        *losses, value = torch.stack(
            [*(loss.float() for loss, _ in step), torch.as_tensor(whole(norm)).float()]
        ).tolist()
        for loss, (_, rows) in zip(losses, step, strict=True):
            if not math.isfinite(loss):
                raise self._not_finite(f"the loss is {loss:g}", rows)
        if not math.isfinite(value):
            raise self._not_finite(f"the norm of the gradient is {value:g}", [row for _, rows in step for row in rows])
        return norm

    def _not_finite(self, what: str, rows: Sequence[int]) -> TrainingError:
        ids = [self.row_ids[row] for row in rows if row < len(self.row_ids)]  # not those that fill a batch up
        named = ", ".join(ids[:_NAMED_ROWS]) + (f" and {len(ids) - _NAMED_ROWS} more" if ids[_NAMED_ROWS:] else "")
        return TrainingError(
            f"step {self.state.global_step + 1}: {what}; rows of the batch: {named}",
            f"look at these rows, or lower learning_rate; {self._kept()}",
        )

    def _kept(self) -> str:
        """What stands on disk, for a message."""
        found = self.checkpoints.newest_step()
        if found is None:
            return "no checkpoint had been written yet"
        return f"the last good checkpoint is kept: {self.checkpoints.path(found)}"

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean weighted loss of what `validation` holds, by the same head as in training.

        Raises:
            TrainingError: it is not a finite number.
        """
        losses: list[torch.Tensor] = []
        items = 0
        self.model_wrapped.eval()
        with torch.no_grad():
            for batch in self._validation_batches():
                inputs = self._prepare_inputs(batch)
                # Every process evaluates all rows: the loss comes scaled for an average over the processes.
                losses.append(self.compute_loss(self.model_wrapped, inputs, num_items_in_batch=1).double())
                items += self._items(inputs)
        total = torch.stack(losses).sum().item() / self.accelerator.num_processes
        metrics = {VALIDATION_LOSS: total / items}
        if not metrics[VALIDATION_LOSS] < float("inf"):
            raise TrainingError(
                f"step {self.state.global_step}: the validation loss is {metrics[VALIDATION_LOSS]:g}",
                f"look at the rows of validation.parquet, or lower learning_rate; {self._kept()}",
            )
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _items(self, inputs: dict[str, Any]) -> int:
        """What the loss of a batch is a mean over: its supervised tokens."""
        return len(inputs["predicting"])

    def _validation_batches(self) -> Iterator[dict[str, Any]]:
        """All rows of `validation`, laid out as those of the training set."""
        collate = self.validation_collator
        if not isinstance(collate, PackedBatch):
            yield from map(collate, batches(self.validation, self.args.per_device_train_batch_size))
            return
        ids, labels = [row.input_ids for row in self.validation], [row.labels for row in self.validation]
        for rows in pack(ids, labels, collate.room):
            yield collate([self.validation[row].item(row) for row in rows])

    def restore(self, step: int) -> None:
        """Weights of the checkpoint of `step`; the state of the run stays.

        Raises:
            TrainingError: it is damaged or gone.
        """
        found = self.checkpoints.read(step)
        if isinstance(found, str):
            raise TrainingError(
                f"{self.checkpoints.path(step)}: the checkpoint with the lowest validation loss: {found}",
                "train again with --resume never",
            )
        self._load_from_checkpoint(str(found.path))

    def restore_state(self, step: int) -> None:
        """History and counters as the checkpoint of `step` holds them; the weights stay."""
        self.state = TrainerState.load_from_json(str(self.checkpoints.path(step) / STATE))

    def _get_output_dir(self, trial: Any) -> str:
        # transformers asks here where to write a checkpoint, and nowhere else.
        return str(self.checkpoints.staging)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write, seal and put in place the checkpoint of this step; older ones go.

        Raises:
            TrainingError: it cannot be written, as on a full disk; those before it stay.
        """
        with self._explained_failure():
            # Not TRL's own, which writes a model card beside it first.
            Trainer._save_checkpoint(self, model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                self.checkpoints.seal(self.state.global_step, self.args.world_size)
                self.checkpoints.retain(best_step(self.state.log_history))
                atomic_write(self.checkpoints.folder / "loss.svg", loss_plot(self.state.log_history))
            self.accelerator.wait_for_everyone()

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The adapter, whole also where its weights lie in shards."""
        if not is_sharded(self.model):  # type: ignore[arg-type]
            super().save_model(output_dir, _internal_call)
            return
        weights = whole_adapter(self.model)
        if self.args.should_save:
            self._save(output_dir, state_dict=weights)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not is_sharded(self.model):  # type: ignore[arg-type]
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = whole_state(self.optimizer)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMISER)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULE)  # type: ignore[union-attr]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not is_sharded(self.model):  # type: ignore[arg-type]
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        load_adapter(self.model, load_file(Path(resume_from_checkpoint) / "adapter_model.safetensors"))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not is_sharded(self.model):  # type: ignore[arg-type]
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        load_state(self.optimizer, torch.load(Path(checkpoint) / OPTIMISER, map_location="cpu", weights_only=True))
        schedule: Any = self.lr_scheduler
        schedule.load_state_dict(torch.load(Path(checkpoint) / SCHEDULE, weights_only=True))

    @contextlib.contextmanager
    def _explained_failure(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors wrap the system's error
            self.checkpoints.discard_unfinished()
            free_gib = shutil.disk_usage(self.checkpoints.folder).free / 2**30
            raise TrainingError(
                f"{self.checkpoints.path(self.state.global_step)}: cannot be written "
                f"({free_gib:.1f} GiB are free on this disk): {str(error).splitlines()[0]}",
                f"free space or raise the limit, then give the same command again; {self._kept()}",
            ) from error
