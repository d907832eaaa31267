"""Speed of LoRA training on one GPU: this project's step, part by part, and the plain transformers Trainer beside it.

Weights are random, of the shape of Qwen3-8B or Qwen3-1.7B; rows have log-normal lengths of up to 4,096 tokens and are
packed, the same bins for both. Ours is a plain loop over `training.step` (what `tianjing train run` computes in a step,
without TRL, logs and checkpoints); the peer is `transformers.Trainer.train` on the packed bins with positions that
start anew, its own loss over all positions, and no compilation. Both have the same weights, so their first losses
agree.

Model FLOP: 4 for each weight of the decoder's matrices and token (forward, and the gradient of the inputs; frozen
weights have none of their own), 6 x length² x query width for each row's causal attention and layer, 4 for each entry
of the vocabulary matrix and supervised token. The adapter's own, and what is computed again or in vain, is not counted.
The ceiling is that of a large bfloat16 matrix product in the same run.

Usage: python scripts/bench/training_gpu.py [--shape 8b,1.7b] [--steps 10] [--json FILE]
       python scripts/bench/training_gpu.py --shape tiny --device cpu --steps 2          a smoke test, no figures
Needs torch, transformers, peft and pydantic; neither TRL nor a network. Without a GPU it says so and exits 0.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from training_gpu_material import COMMON, RANK, SHAPES, bins_of, build, flop_of, make_rows, one_sequence  # noqa: E402

TARGET_CEILING, TARGET_RATIO, TARGET_GB = 0.5, 1.3, 80


@dataclass(frozen=True)
class Variant:
    """One line of the table: what of ours is on."""

    name: str
    packed: bool = True
    compiled: bool = True
    own_head: bool = True
    checkpointing: Any = "none"
    spare_casts: bool = True
    half_adapter: bool = False
    shared: int = 0
    """Tokens that all rows open with."""


OURS = Variant("ours")
VARIANTS = (
    OURS,
    replace(OURS, name="  compile off", compiled=False),
    replace(OURS, name="  head off: scores of all positions, by autograd", own_head=False),
    replace(OURS, name="  packing off: rows side by side, compile off", packed=False, compiled=False),
    replace(OURS, name="  peft's casts of the inputs on", spare_casts=False),
    replace(OURS, name="  adapter in bfloat16", half_adapter=True),
    replace(OURS, name="  selective checkpointing", checkpointing="selective"),
    replace(OURS, name="  full checkpointing", checkpointing="full"),
    replace(OURS, name="  rows that open alike (200 tokens), computed once", shared=200),
)


@dataclass
class Result:
    """What was measured of one variant; `tokens` are those of rows, each in full, without padding."""

    name: str
    first_loss: float
    seconds: float
    tokens: int
    flop: float
    peak_gb: float
    cold_seconds: float

    def line(self, ceiling: float) -> str:
        share = self.flop / self.seconds / ceiling if ceiling else float("nan")
        return (
            f"{self.name:<52}{self.first_loss:>9.4f}{self.seconds:>9.3f}{self.tokens / self.seconds:>10,.0f}"
            f"{self.flop / self.seconds / 1e12:>9.0f}{share:>8.0%}{self.peak_gb:>9.1f}{self.cold_seconds:>8.0f}"
        )


HEADER = f"{'':<52}{'loss':>9}{'s/step':>9}{'tokens/s':>10}{'TFLOP/s':>9}{'of max':>8}{'peak GB':>9}{'cold s':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="8b,1.7b", help="of " + ", ".join(SHAPES))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sequence", type=int, help="tokens of the longest row; 4096, tiny 512")
    parser.add_argument("--pack-tokens", type=int, help="tokens of a bin; as --sequence")
    parser.add_argument("--micro-batches", type=int, default=2, help="bins of a step")
    parser.add_argument("--steps", type=int, default=8, help="timed steps; three more warm up")
    parser.add_argument("--only", help="measure what has one of these in its name, with commas between")
    parser.add_argument("--compiler", default="inductor", help="back end of torch.compile; eager checks the path alone")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: nothing is measured (--shape tiny --device cpu tries the path)")
        return
    ceiling = matrix_ceiling(options.device)
    print(f"{machine(options.device)}\nbf16 matrix ceiling {ceiling / 1e12:.0f} TFLOP/s (8192 x 8192 x 8192)")
    everything: dict[str, Any] = {"machine": machine(options.device), "ceiling": ceiling}
    for shape in options.shape.split(","):
        everything[shape] = [asdict(result) for result in table(shape, options, ceiling)]
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


def machine(device: str) -> str:
    import peft
    import torch
    import transformers

    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return f"{name}, torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"


def table(shape: str, options: argparse.Namespace, ceiling: float) -> list[Result]:
    """Measure and print every variant and every attention of the peer."""
    sequence = options.sequence or (512 if shape == "tiny" else 4096)
    room = options.pack_tokens or sequence
    print(f"\nQwen3 {shape}, LoRA rank {RANK}, {options.micro_batches} bins of {room} tokens a step")
    print(HEADER)
    results: list[Result] = []

    def add(name: str, measure: Callable[[], Result]) -> None:
        import torch

        try:
            results.append(measure())
            print(results[-1].line(ceiling), flush=True)
        except torch.OutOfMemoryError:
            print(f"{name:<52} out of memory", flush=True)
        except Exception as error:  # what this machine cannot run must not cost the others
            print(f"{name:<52} failed: {type(error).__name__}: {str(error).splitlines()[0][:200]}", flush=True)
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
        torch.compiler.reset()

    for variant in VARIANTS:
        if wanted(variant.name, options):
            add(variant.name, lambda variant=variant: measure_ours(shape, variant, sequence, options))  # type: ignore[misc]
    for attention in peer_attentions(options.device):
        name = f"plain transformers Trainer, {attention}"
        if wanted(name, options):
            add(name, lambda attention=attention, name=name: measure_peer(shape, attention, name, sequence, options))  # type: ignore[misc]
    verdict(results, ceiling)
    return results


def wanted(name: str, options: argparse.Namespace) -> bool:
    return options.only is None or any(part in name for part in options.only.split(","))


def verdict(results: list[Result], ceiling: float) -> None:
    """Targets beside what was reached."""
    ours = next((result for result in results if result.name == OURS.name), None)
    peers = [result for result in results if result.name.startswith("plain")]
    if ours is None or not peers or not ceiling:
        return
    fastest = min(peers, key=lambda result: result.seconds)
    print(
        f"of the ceiling {ours.flop / ours.seconds / ceiling:.0%} (target {TARGET_CEILING:.0%}); "
        f"{fastest.seconds / ours.seconds:.2f}x the fastest plain Trainer (target {TARGET_RATIO}x); "
        f"{ours.peak_gb:.1f} GB (target below {TARGET_GB})"
    )


def matrix_ceiling(device: str) -> float:
    """FLOP/s of a large square product; 0 on a CPU, where none is wanted."""
    import torch

    if device != "cuda":
        return 0.0
    size = 8192
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(60):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(4):
            a @ b
        torch.cuda.synchronize()
        times.append((time.perf_counter() - started) / 4)
    return 2 * size**3 / statistics.median(times[20:])


def autocast(device: str) -> AbstractContextManager[Any]:
    import torch

    return torch.autocast("cuda", torch.bfloat16) if device == "cuda" else nullcontext()


def synchronise(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def peak_gb(device: str) -> float:
    import torch

    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else float("nan")


def measure_ours(shape: str, variant: Variant, sequence: int, options: argparse.Namespace) -> Result:
    """Steps of the plain loop: micro-batches, clipping, fused AdamW; the loss is read once a step."""
    import torch

    from training import layers
    from training.head import SupervisedHead
    from training.layout.attention import NAME
    from training.layout.batches import SharedPrefix
    from training.layout.packing import PackedBatch
    from training.step import batch_loss, to_device

    device = options.device
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model = build(shape, device, NAME, variant.half_adapter)
    layers.set_up(model, variant.checkpointing, variant.compiled, options.compiler)
    if not variant.spare_casts:
        for module in model.modules():
            if hasattr(module, "cast_input_dtype_enabled"):
                module.cast_input_dtype_enabled = True
    causal = model.get_base_model()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, fused=device == "cuda")
    head = SupervisedHead(causal.lm_head.weight)
    bins = bins_for(shape, variant, sequence, options)
    pin = device == "cuda"
    collate = PackedBatch(options.pack_tokens or sequence) if variant.packed else SharedPrefix()

    def laid_out(rows: list[dict[str, Any]]) -> dict[str, Any]:
        made = collate(rows)
        return {n: v.pin_memory() if pin and isinstance(v, torch.Tensor) else v for n, v in made.items()}

    def step(members: list[list[dict[str, Any]]]) -> torch.Tensor:
        total = torch.zeros((), device=device)
        supervised = sum(label != -100 for rows in members for row in rows for label in row["labels"])
        for rows in members:
            batch = to_device(laid_out(rows), torch.device(device))
            if variant.own_head:
                loss = batch_loss(causal.get_decoder(), head, batch, autocast(device)).total / supervised
            else:
                loss = full_scores(causal, batch, device) / supervised
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        return total

    losses, times = [], []
    for start in range(0, len(bins), options.micro_batches):
        members = bins[start : start + options.micro_batches]
        started = time.perf_counter()
        losses.append(step(members).item())
        synchronise(device)
        times.append(time.perf_counter() - started)
    return result_of(variant.name, losses[0], times, bins, causal, options)


def bins_for(shape: str, variant: Variant, sequence: int, options: argparse.Namespace) -> list[list[dict[str, Any]]]:
    count = (options.steps + 3) * options.micro_batches
    vocabulary = {**COMMON, **SHAPES[shape]}["vocab_size"]
    shared = variant.shared * sequence // 4096
    factor = 3.0 if shared else 1.2  # a shared prefix makes room for more rows
    room = options.pack_tokens or sequence
    return bins_of(make_rows(vocabulary, sequence, int(factor * count * room), shared), room, count)


def full_scores(causal: Any, batch: dict[str, Any], device: str) -> Any:
    """The same loss from the scores of every position, as autograd takes it."""
    import torch

    from training.layout.trunk import run

    with autocast(device):
        scores_TV = causal.lm_head(run(causal.get_decoder(), batch))[0, :-1].float()
    return torch.nn.functional.cross_entropy(scores_TV, batch["labels"][0, 1:], reduction="sum")


def result_of(
    name: str,
    first_loss: float,
    times: list[float],
    bins: list[list[dict[str, Any]]],
    causal: Any,
    options: argparse.Namespace,
) -> Result:
    """Sums over the timed steps, a step each."""
    timed = bins[3 * options.micro_batches :]
    rows = [row for members in timed for row in members]
    matrices = sum(
        module.weight.numel()
        for path, module in causal.get_decoder().named_modules()
        if path.endswith("_proj.base_layer")
    )
    steps = len(timed) / options.micro_batches
    seconds = sum(times[3:]) / steps
    return Result(
        name=name,
        first_loss=first_loss,
        seconds=seconds,
        tokens=round(sum(len(row["input_ids"]) for row in rows) / steps),
        flop=flop_of(rows, causal.config, matrices) / steps,
        peak_gb=peak_gb(options.device),
        cold_seconds=max(0.0, sum(times[:3]) - 3 * seconds),
    )


def peer_attentions(device: str) -> list[str]:
    """What the plain Trainer can pack with here, FlashAttention where it is installed."""
    import importlib.util

    if device != "cuda":
        return ["sdpa"]
    flash = ["flash_attention_2"] if importlib.util.find_spec("flash_attn") else []
    return [*flash, "flex_attention", "sdpa"]


def measure_peer(shape: str, attention: str, name: str, sequence: int, options: argparse.Namespace) -> Result:
    """The same bins through transformers' own Trainer."""
    import tempfile

    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    device = options.device
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model = build(shape, device, attention)
    bins = bins_for(shape, OURS, sequence, options)
    times: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        began = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            synchronise(device)
            self.began = self.began or time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            synchronise(device)
            now = time.perf_counter()
            times.append(now - self.began)
            self.began = now  # the next step's time holds its loading and the logs between

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            losses.extend([float(logs["loss"])] if logs and "loss" in logs else [])

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=options.micro_batches,
            max_steps=options.steps + 3,
            learning_rate=1e-4,
            lr_scheduler_type="constant",
            bf16=device == "cuda",
            use_cpu=device != "cuda",
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=[one_sequence(members) for members in bins],
            data_collator=lambda items: {key: torch.tensor([items[0][key]]) for key in items[0]},
            callbacks=[Clock()],
        )
        trainer.remove_callback(
            next(type(c) for c in trainer.callback_handler.callbacks if "Printer" in type(c).__name__)
        )
        trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(bins)  # type: ignore[method-assign]
        trainer.train()
    return result_of(name, losses[0], times, bins, model.get_base_model(), options)


if __name__ == "__main__":
    main()
