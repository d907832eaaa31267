"""TRL's SFTTrainer with a head that meets the vocabulary matrix only where a label stands.

Shape suffixes: S supervised tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch.utils.data import DataLoader
from trl import SFTTrainer

from training.head import HeadLoss, SupervisedHead
from training.layers import causal_of
from training.layout.batches import SharedPrefix, StratifiedRows
from training.layout.packing import PackedBatch, PackedRows
from training.layout.trunk import MAX_KEPT_BYTES, OnRows, Trunk, run
from training.step import batch_loss


class SupervisedTokenTrainer(SFTTrainer):
    """On CPU, TRL 1.16 scores every position over the whole vocabulary, prompts included.

    Overriding `compute_loss` is the extension point that its documentation names.
    """

    upper: Any = None
    """What a step runs when its batch carries the states of the frozen trunk (`keep_trunk`)."""

    blank_rows: int = 0
    """Rows at the end of the dataset that teach nothing (`training.ranks`)."""

    order: Sequence[Sequence[int]] | None = None
    """Numbers of the rows of each micro-batch of an epoch, in place of the draw."""

    _head: SupervisedHead | None = None

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        # Of each micro-batch since the last log: sums, which stay on the device, where reading one would wait for all
        # that is queued there; and counts.
        self._unread: dict[str, list[tuple[torch.Tensor, list[int]]]] = {"train": [], "eval": []}

    def keep_trunk(self, first_adapted: int, on_rows: OnRows) -> bool:
        """Compute everything below layer `first_adapted` now, once, for every row.

        Returns:
            Whether it was kept; not if it is too large, or if the model does more than pass states from layer to layer.
        """
        dataset: Any = self.train_dataset
        decoder = causal_of(self.accelerator.unwrap_model(self.model)).get_decoder()
        width = decoder.config.hidden_size * torch.finfo(decoder.dtype).bits // 8
        if width * sum(len(ids) for ids in dataset["input_ids"]) > MAX_KEPT_BYTES:
            return False
        trunk = Trunk.split(decoder, first_adapted)
        rows = list(dataset)
        group = self.args.per_device_train_batch_size
        probe = rows[:1]
        collate = SharedPrefix(trunk.states(probe, group, self.accelerator.autocast))
        self.accelerator.unwrap_model(self.model).eval()
        with torch.no_grad(), self.accelerator.autocast():
            in_parts = run(trunk.upper, collate([probe[0] | {"row": 0}]))
            whole = run(decoder, SharedPrefix()(probe))
        if not torch.allclose(in_parts, whole, rtol=0.02, atol=0.02):
            return False
        states = trunk.states(rows, group, self.accelerator.autocast, on_rows)
        self.data_collator = dataclasses.replace(cast(SharedPrefix, self.data_collator), states=states)
        self.upper = trunk.upper
        return True

    def _get_train_sampler(self, train_dataset: Any = None) -> StratifiedRows:
        """Rows that open alike together, in place of transformers' own grouping by length."""
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        return StratifiedRows(
            list(dataset["input_ids"]),
            self.args.per_device_train_batch_size,
            self.args.seed,
            self.blank_rows,
            [row for rows in self.order for row in rows] if self.order is not None else None,
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Micro-batches of so many rows, or of so many tokens where the collator packs."""
        if not isinstance(self.data_collator, PackedBatch):
            return super().get_train_dataloader()
        dataset: Any = self.train_dataset
        bins = PackedRows(
            list(dataset["input_ids"]),
            list(dataset["labels"]),
            self.data_collator.room,
            self.args.gradient_accumulation_steps * self.args.world_size,
            self.args.seed,
            self.blank_rows,
            self.order,
        )
        loader: Any = DataLoader(
            dataset, batch_sampler=bins, collate_fn=self.data_collator, pin_memory=self.args.dataloader_pin_memory
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Weighted sum of the token losses over `num_items_in_batch` (the supervised tokens of the whole step)."""
        if return_outputs:
            raise ValueError("the head meets supervised tokens only; there are no full logits to return")
        inner = self.accelerator.unwrap_model(model)
        if self.accelerator.num_processes == 1:
            return self._loss(inner, inputs, num_items_in_batch)
        loss = _through(model, inner, lambda: self._loss(inner, inputs, num_items_in_batch))
        # The count is that of all processes, and their gradients are averaged, not summed.
        return loss * self.accelerator.num_processes

    def _loss(self, inner: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> torch.Tensor:
        """This process' part of the loss; `inner` is the model without what wraps it for several processes."""
        loss = self._score(inner, inputs)
        supervised = loss.correct_S.numel()
        count = torch.as_tensor(num_items_in_batch if num_items_in_batch is not None else supervised)
        self._record(loss, inputs["input_ids"].numel())
        # A batch without a label reduces to a finite zero rather than 0 / 0.
        return loss.total / count.clamp(min=1)

    def _score(self, inner: Any, inputs: dict[str, Any]) -> HeadLoss:
        """The losses of the supervised tokens of one laid-out batch."""
        causal = causal_of(inner)
        decoder = self.upper if "inputs_embeds" in inputs else causal.get_decoder()
        # The weight is another tensor after its shards were gathered anew.
        if self._head is None or self._head.matrix_VD is not causal.lm_head.weight:
            self._head = SupervisedHead(causal.lm_head.weight, torch.bfloat16 if self.args.bf16 else None)
        return batch_loss(decoder, self._head, inputs, self.accelerator.autocast())

    def _record(self, loss: HeadLoss, tokens: int) -> None:
        """Keep what TRL logs of a micro-batch."""
        self._keep([loss.entropy_S.sum(), loss.correct_S.sum()], [loss.correct_S.numel(), tokens])

    def _keep(self, sums: Sequence[torch.Tensor], counts: Sequence[int]) -> None:
        """Keep numbers of a micro-batch, unread, for `_add_metrics`."""
        mode = "train" if self.model is not None and self.model.training else "eval"
        self._unread[mode].append((torch.stack([each.float() for each in sums]), list(counts)))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the metrics that TRL logs, under its names: means over the micro-batches since the last log."""
        self._read_metrics()
        super().log(logs, start_time)

    def _read_metrics(self) -> None:
        for mode, unread in self._unread.items():
            if unread:
                sums = torch.stack([sums for sums, _ in unread]).double()
                counts = torch.tensor([counts for _, counts in unread], dtype=sums.dtype, device=sums.device)
                summed: Any = self.accelerator.reduce(torch.cat([sums, counts], dim=1), "sum")
                for values in summed.tolist():
                    self._add_metrics(mode, values)
                unread.clear()

    def _add_metrics(self, mode: str, values: list[float]) -> None:
        """What a micro-batch, over all processes, adds to the metrics: its sums and counts as they were kept."""
        entropy, correct, supervised, tokens = values
        self._metrics[mode]["entropy"].append(entropy / max(1, supervised))
        self._metrics[mode]["mean_token_accuracy"].append(correct / max(1, supervised))
        self._count_tokens(mode, tokens)

    def _count_tokens(self, mode: str, tokens: float) -> None:
        if mode == "train":
            self._total_train_tokens += int(tokens)
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


def _through(wrapped: Any, inner: Any, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    """`compute` as if it were `inner.forward`, called through what wraps it.

    DistributedDataParallel averages gradients, and FSDP2 gathers weights, only around a call of the wrapped module; the
    loss calls parts of `inner` directly.
    """
    forward = inner.forward

    def instead(*_: Any, **__: Any) -> torch.Tensor:
        inner.forward = forward
        return compute()

    inner.forward = instead
    try:
        return wrapped()
    finally:
        inner.forward = forward
