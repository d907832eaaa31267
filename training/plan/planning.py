"""What a training run will take, before it takes it: tokens, batches, steps, memory and time, and whether it fits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tianjing.models.precision import precision
from training.base import check_modules
from training.config import TrainConfig
from training.config.run import BLOCK
from training.continued import inherit
from training.errors import TrainingError
from training.full import disk_bytes
from training.head import ACCELERATOR_CHUNK, CHUNK
from training.plan.audit import Epochs, TaskTokens, by_task, epochs
from training.plan.devices import CONTEXT_BYTES, Device, device
from training.plan.memory import Memory, Precision, Shape, adapted_layers, base_weights, estimate, step_part
from training.plan.probe import Probe, peak_bytes, probe
from training.rows import TokenRows, stop_tokens
from training.selection import Scene, choose_rows, tokenize_rows

Report = Callable[[str], None]
# Accelerators whose memory differs by less are taken for one kind.
_SAME_MEMORY = 0.03


@dataclass(frozen=True)
class Remedy:
    """A change of the configuration, and the peak it leads to in bytes."""

    change: str
    peak: int
    fits: bool


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first step; memory in bytes, time in seconds."""

    tasks: list[TaskTokens]
    dropped: dict[str, list[str]]
    epochs: Epochs
    device: Device
    precision: str
    memory: Memory
    probe: Probe | None
    """None where nothing was measured: no steps asked for, or the device is not here."""
    seconds: float | None
    """From the command to the last step, on this machine as busy as it was in the probe."""
    remedies: list[Remedy]
    disk: int
    """The most that checkpoints and artefact of full tuning take; 0 for an adapter, whose are small."""

    @property
    def peak(self) -> int:
        """Predicted; where the probe held more, what it held."""
        return max(self.memory.peak, self.probe.peak if self.probe else 0)

    @property
    def fits(self) -> bool:
        return self.peak <= self.device.capacity


def make_plan(
    dataset: Path,
    model: Path,
    config: TrainConfig,
    device_name: str = "cpu",
    probe_steps: int = 5,
    report: Report = lambda phase: None,
    scene: Scene | None = None,
) -> Plan:
    """Plan `train(dataset, model, …, config)` on a device.

    Args:
        probe_steps: steps to measure with the real trainer where the device is here; the first warms up; 0 for none.
        report: told what is being done.
        scene: of the adapter that is planned.

    Raises:
        TrainingError: no row to train on, an adapter that cannot be gone on from, no such device, a name in `lora`
            that the model does not have, a model that this trainer would compute wrongly.
    """
    target = device(device_name)
    report("loading torch and transformers")
    from transformers import AutoConfig, AutoTokenizer

    from training.layout.guard import check_config

    shape_config = AutoConfig.from_pretrained(model, local_files_only=True)
    check_config(shape_config)
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    report("tokenising")
    config = inherit(config, model)
    check_modules(model, config)
    chosen = choose_rows(dataset, config, scene)
    tokens = tokenize_rows(chosen, tokenizer, config, stop_tokens(tokenizer, model))
    run = epochs(tokens.rows, config, lambda done: report(f"laying out epoch {done}"))
    runtime = runtime_bytes() if target.is_cpu else CONTEXT_BYTES
    shape = Shape.of(shape_config)
    number_format = precision(on_gpu=not target.is_cpu)
    size = Precision.named(number_format, config.tune == "full")
    stored = sum(file.stat().st_size for file in model.glob("*.safetensors"))

    def peak(laid_out: Epochs, settings: TrainConfig) -> Memory:
        own = Precision.named(number_format, settings.tune == "full")
        # On an accelerator the file is read piece by piece; on a CPU it is mapped into the process.
        at_rest = stored if target.is_cpu else base_weights(shape, settings, own)
        chunk = CHUNK if target.is_cpu else ACCELERATOR_CHUNK
        return estimate(shape, settings, own, laid_out, runtime, at_rest, chunk)

    memory = peak(run, config)
    measured = None
    if probe_steps and is_here(target) and memory.peak <= target.capacity:
        report(f"{probe_steps} steps of the real trainer")
        measured = probe(
            chosen.rows,
            tokens.rows,
            run,
            lambda micro: step_part(shape, config, size, micro.layout),
            model,
            config,
            probe_steps,
        )
    plan = Plan(
        tasks=by_task(chosen.rows, tokens),
        dropped=tokens.dropped,
        epochs=run,
        device=target,
        precision=number_format,
        memory=memory,
        probe=measured,
        seconds=_seconds(measured, run, once=bool(memory.kept_states) or config.method != "sft"),
        remedies=[],
        disk=disk_bytes(shape.parameters, config) if config.tune == "full" else 0,
    )
    if not plan.fits:
        report("looking for what fits")
        plan.remedies.extend(_remedies(plan, tokens, shape, config, peak))
    return plan


def is_here(target: Device) -> bool:
    """Whether training on this machine would run on the device: its accelerator, if any, of about that memory."""
    import torch

    if not torch.cuda.is_available():
        return target.is_cpu
    total = torch.cuda.get_device_properties(0).total_memory
    return not target.is_cpu and abs(total / target.capacity - 1) < _SAME_MEMORY


def _seconds(measured: Probe | None, run: Epochs, once: bool) -> float | None:
    """Start, what is computed `once` for every row where there is such, and steps."""
    if measured is None:
        return None
    steps = measured.seconds_per_token * sum(micro.tokens for micro in run.all)
    before = measured.once_seconds_per_token * run.row_tokens if once else 0.0
    return measured.start_seconds + measured.warm_up_seconds + before + steps


def _remedies(
    plan: Plan,
    tokens: TokenRows,
    shape: Shape,
    config: TrainConfig,
    peak: Callable[[Epochs, TrainConfig], Memory],
) -> list[Remedy]:
    """Changes that lower the peak, each by itself, in the order of what they cost the result."""
    remedies = []

    def offer(change: str, settings: TrainConfig, rows: Sequence[Any]) -> None:
        if not rows:
            return
        found = peak(epochs(rows, settings.model_copy(update={"epochs": 1.0})), settings).peak
        if found < plan.memory.peak:
            remedies.append(Remedy(change, found, found <= plan.device.capacity))

    for change in _smaller_micro_batches(config):
        text = " with ".join(f"{field}: {value}" for field, value in change.items())
        offer(text, config.model_copy(update=change), tokens.rows)
    for checkpointing in _more_checkpointing(config):
        offer(
            f"checkpointing: {checkpointing}", config.model_copy(update={"checkpointing": checkpointing}), tokens.rows
        )
    if config.tune == "full":
        offer("tune: lora", config.model_copy(update={"tune": "lora"}), tokens.rows)
    elif (half := adapted_layers(shape, config) // 2) >= 1:
        lora = config.lora.model_copy(update={"top_layers": half})
        offer(f"lora.top_layers: {half}", config.model_copy(update={"lora": lora}), tokens.rows)
    limit = max(task.p95 for task in plan.tasks)
    short = [row for row in tokens.rows if row.longest <= limit]
    if len(short) < len(tokens.rows):
        lost = len(tokens.rows) - len(short)
        offer(f"max_length_tokens: {limit} (leaves out {lost} rows more)", config, short)
    return remedies


def _smaller_micro_batches(config: TrainConfig) -> Iterator[dict[str, int]]:
    """Changes that halve the micro-batch again and again and leave the step as it is."""
    field, size, least = "micro_rows", config.micro_rows, 1
    if config.pack_tokens is not None:
        field, size, least = "pack_tokens", config.pack_tokens, config.max_length_tokens
    step = size * config.micro_batches
    while (size := size // 2) >= least and (field == "micro_rows" or size % BLOCK == 0):
        yield {field: size, "micro_batches": -(-step // size)}


def _more_checkpointing(config: TrainConfig) -> list[str]:
    """Kinds that keep less than the configuration's, where they can be had."""
    kinds = ["none", "selective", "full"]
    less = kinds[kinds.index(config.checkpointing) + 1 :]
    return [kind for kind in less if kind == "full" or config.compile or config.pack_tokens is None]


def runtime_bytes() -> int:
    """Resident size of a process that has loaded what training loads and taken a small step: the first product and the
    first backward pass set up threads and buffers of their libraries.

    Measured in a process of its own: the one that plans may hold more, as a notebook does.
    """
    loads = (
        "import training.trainer, transformers, peft, datasets, torch\n"
        "from training.plan.planning import resident_bytes\n"
        "layer = torch.nn.Linear(512, 512)\n"
        "for _ in range(2): layer(torch.randn(256, 512)).sum().backward()\n"
        "print(resident_bytes())"
    )
    child = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=False)
    if child.returncode != 0:
        last = child.stderr.strip().splitlines()[-1:]
        raise TrainingError(f"what training loads cannot be loaded: {' '.join(last)}", "pip install 'tianjing[train]'")
    return int(child.stdout.split()[-1])


def resident_bytes() -> int:
    """Resident size of this process now, as Linux gives it; elsewhere its largest so far."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_bytes()


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as JSON can hold it."""
    run = plan.epochs
    return {
        "device": asdict(plan.device),
        "precision": plan.precision,
        "tasks": [asdict(task) for task in plan.tasks],
        "left_out": plan.dropped,
        "epoch": {
            "rows": sum(task.rows for task in plan.tasks),
            "row_tokens": run.row_tokens,
            "computed_tokens": run.computed,
            "padded_tokens": run.padded,
            "attention_padding": round(run.attention_padding, 4),
            "steps": run.steps_per_epoch,
        },
        "steps": run.steps,
        "memory": asdict(plan.memory) | {"peak": plan.memory.peak},
        "probe": asdict(plan.probe) if plan.probe else None,
        "seconds": plan.seconds,
        "peak": plan.peak,
        "disk": plan.disk,
        "fits": plan.fits,
        "remedies": [asdict(remedy) for remedy in plan.remedies],
    }
