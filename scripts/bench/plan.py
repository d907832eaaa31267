"""Predicted and measured peak memory of training runs, each in a process of its own.

Formula is what is predicted before anything is loaded. Plan is what `tianjing train plan` tells by default: the larger
of that and the peak of its five-step probe. Measured is the largest resident size of a process that runs
`training.run.train` to its end on the same rows.
Usage: python scripts/bench/plan.py [--only NAME …] [--embedded]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Name: base model, characters of the longest text, rows, fields of the configuration.
SETTINGS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "tiny": ("tiny", 300, 24, {}),
    "small, 4 rows": ("small", 400, 8, {"micro_batches": 1}),
    "small, 8 rows": ("small", 400, 16, {"micro_batches": 1, "micro_rows": 8}),
    "small, long rows": ("small", 1300, 6, {"micro_batches": 1, "micro_rows": 2, "max_length_tokens": 2048}),
    "small, upper half": ("small", 400, 8, {"micro_batches": 1, "lora": {"top_layers": 3}, "epochs": 2}),
    "embedded, upper half": ("embedded", 400, 8, {"micro_batches": 1, "lora": {"top_layers": 12}}),
    "embedded, all layers": ("embedded", 400, 8, {"micro_batches": 1}),
}
# Qwen3 in small: enough for a step to outweigh the libraries.
SMALL: dict[str, Any] = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "vocab_size": 32768,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
CHILD = """
import json, sys
from pathlib import Path
from training.config import TrainConfig
from training.plan.probe import peak_bytes
what, dataset, model, config, result = sys.argv[1:]
config, dataset, model = TrainConfig.model_validate_json(config), Path(dataset), Path(model)
if what == "plan":
    from training.plan.planning import as_dict, make_plan
    plan = as_dict(make_plan(dataset, model, config, "cpu", 5))
    made = {"formula": plan["memory"]["peak"], "plan": max(plan["memory"]["peak"], plan["probe"]["peak"])}
else:
    from training.run import train
    train(dataset, model, Path(result).parent / "adapter", config)
    made = {"peak": peak_bytes()}
Path(result).write_text(json.dumps(made))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(SETTINGS), help="these settings alone")
    parser.add_argument("--embedded", action="store_true", help="also the settings of the embedded model (4 GB)")
    arguments = parser.parse_args()
    names = arguments.only or [name for name in SETTINGS if arguments.embedded or SETTINGS[name][0] != "embedded"]

    import torch

    from tianjing.models.precision import precision

    print(f"{platform.machine()}, torch {torch.__version__}, {precision(on_gpu=False)}; GiB\n")
    print(
        f"{'setting':<24}{'measured':>10}{'formula':>10}{'ratio':>8}{'plan':>10}{'ratio':>8}{'seconds':>9}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            measure(name, Path(folder))


def measure(name: str, folder: Path) -> None:
    """Plan and run one setting, and print its line."""
    kind, characters, rows, fields = SETTINGS[name]
    place = folder / name.replace(" ", "-").replace(",", "")
    make_dataset(place / "dataset", characters, rows)
    model = base_model(kind, folder)
    predicted = child("plan", place, model, fields)
    started = time.monotonic()
    measured = child("run", place, model, fields)["peak"]
    seconds = time.monotonic() - started
    gib = 1 << 30
    print(
        f"{name:<24}{measured / gib:>10.3f}"
        + "".join(f"{predicted[kind] / gib:>10.3f}{predicted[kind] / measured:>8.3f}" for kind in ("formula", "plan"))
        + f"{seconds:>9.0f}",
        flush=True,
    )


def child(what: str, place: Path, model: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """Run `what` in a new process, so that its peak is its own."""
    result = place / f"{what}.json"
    call = [sys.executable, "-c", CHILD, what, str(place / "dataset"), str(model), json.dumps(fields), str(result)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} of {place.name} failed:\n{done.stderr[-3000:]}")
    value: dict[str, Any] = json.loads(result.read_text())
    return value


def make_dataset(folder: Path, characters: int, rows: int) -> None:
    """Rows of one task with a common system prompt; the customer's words from a quarter of `characters` to all."""
    from tianjing.dataset import write_examples
    from tianjing.lineage import artefact
    from tianjing.models.tiny import SAMPLE_TEXT
    from tianjing.records import Example, Message

    draw = random.Random(0)
    words = "".join(SAMPLE_TEXT.split())

    def text(length: int) -> str:
        return "".join(draw.choice(words) for _ in range(length))

    system = text(120)
    examples = []
    for number in range(rows):
        length = round(characters * (0.25 + 0.75 * number / max(1, rows - 1)))
        said = (("system", system), ("user", text(length)), ("assistant", text(60)))
        messages = tuple(Message(role=role, content=content) for role, content in said)  # type: ignore[arg-type]
        examples.append(
            Example(id=f"r{number}", task="t", group="g", split="train", messages=messages, fields={}, reference={})
        )
    with artefact(folder, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples)


def base_model(kind: str, folder: Path) -> Path:
    """The folder of a base model; `small` is built with random weights and the tiny model's tokenizer."""
    from tianjing.models import resolve

    if kind != "small":
        return resolve(kind).path
    path = folder / "small-model"
    if not path.exists():
        import torch
        from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

        tokenizer = AutoTokenizer.from_pretrained(resolve("tiny").path)
        model: Any = Qwen3ForCausalLM(Qwen3Config(**SMALL, eos_token_id=tokenizer.eos_token_id))
        model.to(torch.bfloat16).save_pretrained(path)
        tokenizer.save_pretrained(path)
    return path


if __name__ == "__main__":
    main()
