"""A training plan on the console."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from tianjing.console import make_console, print_table
from training.plan.devices import GIB
from training.plan.planning import Plan

_IDS_SHOWN = 8
_PARTS = {
    "runtime": "runtime (Python, torch, tokens, or the device's context)",
    "weights": "weights of the model",
    "adapter": "adapter",
    "gradients": "gradients",
    "optimiser": "optimiser states",
    "kept_states": "kept states of the frozen layers",
    "activations": "activations of the largest micro-batch",
    "working_set": "working set of the backward pass",
    "head": "scores of supervised tokens",
}


def print_plan(plan: Plan) -> None:
    """Print tokens, batches, memory, time and the verdict."""
    out = make_console(soft_wrap=True)
    tasks = Table("task", box=None, header_style="bold")
    for name in ("rows", "tokens", "supervised", "shortest", "median", "p95", "longest"):
        tasks.add_column(name, justify="right")
    for task in plan.tasks:
        numbers = (task.rows, task.tokens, task.supervised, task.shortest, task.median, task.p95, task.longest)
        tasks.add_row(task.task, *(f"{number:,}" for number in numbers))
    print_table(tasks)
    for reason, ids in plan.dropped.items():
        more = f" and {len(ids) - _IDS_SHOWN} more (all with --json)" if len(ids) > _IDS_SHOWN else ""
        out.print(f"left out, {reason}: {len(ids)} rows: {escape(', '.join(ids[:_IDS_SHOWN]))}{more}")
    run = plan.epochs
    out.print(
        f"\nan epoch computes {run.computed:,} tokens for the {run.row_tokens:,} of its rows: shared prompts save "
        f"{1 - run.computed / run.row_tokens:.0%}, {1 - run.computed / run.padded:.0%} against padded rows; of what "
        f"attention is given {run.attention_padding:.0%} is padding"
    )
    out.print(f"{run.steps_per_epoch:,} steps an epoch, {run.steps:,} in all\n")
    memory = Table(f"memory, {plan.precision}", box=None, header_style="bold")
    memory.add_column("GiB", justify="right")
    for name, text in _PARTS.items():
        memory.add_row(text, f"{getattr(plan.memory, name) / GIB:.3f}")
    memory.add_row("largest step", f"{plan.memory.step / GIB:.3f}", style="bold")
    memory.add_row("while the weights are read", f"{(plan.memory.runtime + plan.memory.loading) / GIB:.3f}")
    print_table(memory)
    if plan.disk:
        out.print(f"checkpoints and artefact: up to {plan.disk / GIB:.1f} GiB of disk")
    if plan.probe is not None:
        out.print(
            f"\nprobe: {plan.probe.steps} steps after a warm-up, {1 / plan.probe.seconds_per_token:.0f} computed "
            f"tokens/s, peak {plan.probe.peak / GIB:.3f} GiB"
        )
    time = (
        "time not measured" if plan.seconds is None else f"about {_duration(plan.seconds)}, this machine as busy as now"
    )
    out.print(f"{time}")
    verdict = "fits" if plan.fits else "does not fit"
    out.print(f"{verdict}: {plan.peak / GIB:.2f} GiB of {plan.device.capacity / GIB:.1f} on {plan.device.name}")
    for remedy in plan.remedies:
        out.print(f"  {'→' if remedy.fits else 'not enough:'} {remedy.change}: {remedy.peak / GIB:.2f} GiB")
    if plan.remedies and not any(remedy.fits for remedy in plan.remedies):
        out.print("  join several of these, or take a smaller base model")
    if not plan.fits and not plan.remedies:
        out.print("  no setting lowers it: take a smaller base model, or a device with more memory")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
