"""The processes of one run, as the launcher numbers them: who writes, who waits, and batches that come out even.

A run on several processes takes the same optimiser steps as one: each step's micro-batches are dealt out in turn
(`accelerate`'s sharding of a batch sampler), so a process computes `micro_batches` / processes of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from training.errors import TrainingError
from training.rows import IGNORED

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """Where this process stands: `rank` of `world`, and of `local_world` on this machine."""

    rank: int
    world: int
    local_world: int

    @classmethod
    def from_environment(cls) -> Ranks:
        """What torchrun and accelerate set; a process that was started by neither is alone."""
        rank, world, local = (int(os.environ.get(name, default)) for name, default in _VARIABLES)
        return cls(rank, world, local)

    @property
    def writes(self) -> bool:
        """Whether this process writes what the run leaves behind: the artefact, its log, the console."""
        return self.rank == 0

    @property
    def threads(self) -> int:
        """This process' share of the cores that it may use."""
        return max(1, len(os.sched_getaffinity(0)) // self.local_world)

    def share(self, micro_batches: int) -> int:
        """Micro-batches of one process in an optimiser step.

        Raises:
            TrainingError: they cannot be dealt out evenly, so that a step would not be that of one process.
        """
        if micro_batches % self.world:
            raise TrainingError(
                f"'micro_batches' is {micro_batches}, which {self.world} processes cannot share evenly",
                f"set micro_batches to a multiple of {self.world}, or start another number of processes",
            )
        return micro_batches // self.world

    def blank_rows(self, rows: int, micro_rows: int) -> int:
        """Rows without a label that make the last micro-batches whole, one for every process; 0 for one process.

        Without them `accelerate` fills up with rows from the beginning, which would then be learned twice.
        """
        return -rows % (micro_rows * self.world) if self.world > 1 else 0

    def blank_bins(self, bins: int) -> int:
        """Bins of one row without a label (`training.layout.packing`) that let every process have as many."""
        return -bins % self.world


_HAND_BACK_S = 0.2
_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_WORLD_SIZE", "1"))


def blank_row(number: int, like: list[int]) -> dict[str, Any]:
    """A row of the training set that teaches nothing: two tokens of another one, none of them supervised."""
    return {"row": number, "input_ids": like[:2], "labels": [IGNORED] * 2, "loss_weights": [0.0] * 2}


def agreed(decide: Callable[[], Value]) -> Value:
    """What the first process decides, in all of them. Call it in every process, once torch's group stands."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([decide() if Ranks.from_environment().writes else None])[0]


def any_rank(flag: bool) -> bool:
    """Whether `flag` is set in any process. Call it in every process at the same step.

    A signal does not reach all of them between the same two steps; who acts on it alone waits for the others for ever.
    """
    import torch
    from accelerate import PartialState
    from accelerate.utils import reduce

    state = PartialState()
    if state.num_processes == 1:
        return flag
    count: Any = reduce(torch.tensor(int(flag), device=state.device), "sum")
    return bool(count.item())


def leave() -> None:
    """End the process group, where there is one; torch complains of a process that exits within it."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # The group's threads need the interpreter's lock to give back the tensors of the last exchange. Whoever frees
        # the group holds that lock and waits for the threads to end: for ever, if they have not come to it by then.
        time.sleep(_HAND_BACK_S)
        torch.distributed.destroy_process_group()
