"""Parity of an adapter with what is served, and which wrong merges the check would catch.

    python scripts/bench/evals_parity.py --runs runs [--model embedded] [--items 24] [--formats served float32]
        [--scales 1.1 1.5] [--out DIR]

`--runs` is what the quickstart wrote: dataset, adapter, merged. The first table is `tianjing eval parity` on it, with
the seconds and tokens of every cell. Then the adapter is merged again with its scaling times each of `--scales`, which
is what a wrong alpha does; only those weights are asked anew, and a check worth having finds parity broken. 1.0 merges
it rightly by peft, beside this project's own merge. Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from evals.parity.config import ParityConfig
from evals.parity.report import console_table
from evals.parity.run import ANSWERS, CONSULTED, REPORT, check_parity
from tianjing.console import print_table
from tianjing.models import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="Folder with dataset, adapter and merged.")
    parser.add_argument("--model", default="embedded", help="The base of the adapter.")
    parser.add_argument("--items", type=int, default=24, help="Items per task.")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--formats", nargs="+", default=["served"], choices=["served", "float32"])
    parser.add_argument("--scales", type=float, nargs="*", default=[1.1, 1.5], help="Wrong scalings to merge with.")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-parity"), help="Folder for the artefacts.")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", flush=True)
    base, runs, out = resolve(arguments.model).path, arguments.runs, arguments.out
    config = ParityConfig(
        items=arguments.items,
        concurrency=arguments.concurrency,
        formats=tuple(arguments.formats),
        start_timeout_s=3600,  # whatever else the machine is doing
        request_timeout_s=3600,
    )

    def check(merged: Path, name: str) -> dict[str, Any]:
        return check_parity(runs / "dataset", base, runs / "adapter", merged, out / name, config)

    right = check(runs / "merged", "right")
    print_table(console_table(right))
    for name, cell in right["cells"].items():
        distance = right["distances"][name]
        far = "" if distance is None else "{steps:.3g} steps, {mean_nats:.2g} nats from float32".format(**distance)
        print(f"{name:19} {cell['tokens']:7,} tokens, {cell['mean_seconds']:7.2f} s an answer  {far}")
    _say("this merge", right)
    print(f"report: {out / 'right' / REPORT}")
    for scale in arguments.scales:
        name = f"scale-{scale:g}"
        merged = out / f"merged-{scale:g}"
        if not merged.exists():
            merge(base, runs / "adapter", scale, merged)
        journal = out / ".work" / name / ANSWERS
        if not journal.exists():
            journal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(out / "right" / CONSULTED, journal.parent)
            shutil.copy(out / "right" / ANSWERS, journal)
        _say(f"scaling × {scale:g}", check(merged, name))
    sys.exit(not right["met"])


def merge(base: Path, adapter: Path, scale: float, folder: Path) -> None:
    """Merge by peft with another scaling; written beside and renamed, so that a killed merge is made again."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True), str(adapter)
    )
    for module in model.modules():
        if isinstance(getattr(module, "scaling", None), dict):
            module.scaling = {name: scale * factor for name, factor in module.scaling.items()}
    half = folder.with_name(f"{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    model.merge_and_unload().to(torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(half)
    half.rename(folder)


def _say(name: str, summary: dict[str, Any]) -> None:
    """A line of the second table for every number format that the engines computed in."""
    for dtype, verdict in summary["formats"].items():
        deciding = [pair for pair in summary["pairs"] if pair["decides"] == dtype]
        equal = min((pair["closed"]["equal"] for pair in deciding), default=0)
        faults = max(pair["outcomes"]["fault"] for pair in deciding)
        far = max(value["steps"] for cell, value in summary["distances"].items() if cell.startswith(f"merged-{dtype}@"))
        print(
            f"{name:16} {dtype:8} parity {'met' if verdict['met'] else 'not met':8} closed-form answers equal {equal} "
            f"of {summary['closed_items']}, faults {faults}, merged weights {far:.3g} steps from float32",
            flush=True,
        )
        for reason in verdict["reasons"]:
            print(f"    {reason}")


if __name__ == "__main__":
    main()
