"""The card (README.md) of an adapter or of a whole model, for people and for hubs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import yaml

from training.export.facts import Facts

_EDGE_STEPS = 5


def card(facts: Facts) -> str:
    """Markdown with the front matter that model hubs read."""
    sections = (
        _front_matter(facts),
        f"# {_title(facts)}",
        _what(facts),
        "## Data",
        _data(facts),
        "## Training",
        _training(facts),
        *_quantisation(facts),
        "## Intended use",
        _use(facts),
        "## Limits",
        _limits(facts),
        "## Lineage",
        _lineage(facts),
    )
    return "\n\n".join(sections) + "\n"


def _title(facts: Facts) -> str:
    return f"{facts.base_name}, tuned" if facts.origin.is_whole else f"LoRA adapter for {facts.base_name}"


def _front_matter(facts: Facts) -> str:
    origin = facts.origin
    found: dict[str, Any] = {"base_model": facts.base_name, "pipeline_tag": "text-generation", "language": ["zh"]}
    found["library_name"] = "transformers" if origin.is_whole else "peft"
    found["base_model_relation"] = "finetune" if origin.is_whole else "adapter"
    if facts.quantised:
        found["base_model_relation"] = "quantized"
    found["tags"] = ["tianjing", "finance", *(["lora"] if origin.has_adapter else [])]
    return "---\n" + yaml.safe_dump(found, sort_keys=False, allow_unicode=True) + "---"


def _what(facts: Facts) -> str:
    origin = facts.origin
    lora = origin.run.parameters.get("lora", {})
    if not origin.has_adapter:
        kind, what = "All weights tuned", "This folder is the tuned model"
    else:
        kind = f"LoRA of rank {lora.get('rank')}, alpha {lora.get('alpha')}" if lora else "LoRA"
        merged = "This folder is the base with the adapter merged into its weights"
        what = merged if origin.is_whole else "The adapter alone"
    licence = f"licence {facts.base_licence}" if facts.base_licence else "its folder states no licence"
    joined = "on" if origin.has_adapter else "from"
    return f"{kind} {joined} {facts.base_name} ({licence}; sha256 `{origin.base.sha256}`). {what}."


def _data(facts: Facts) -> str:
    dataset = facts.origin.dataset
    lines = [f"Dataset `{dataset.name}`, sha256 `{dataset.sha256}`."]
    if dataset.manifest is None:
        return lines[0] + " It was not at hand when this card was written; its digest names it."
    if facts.tasks:
        lines += ["", _table(("task", "rows in the training split"), sorted(facts.tasks.items()))]
    for source in facts.origin.earlier:
        kind = source.manifest.kind if source.manifest else "artefact, not at hand,"
        named = f"the {kind} `{source.name}`, sha256 `{source.sha256}`"
        lines += ["", f"Training began from, or replayed, {named}; its own papers hold too."]
    if facts.ledger is None:
        lines += ["", "The dataset holds no licence ledger."]
    else:
        rows = (
            (entry["source"], entry["licence"] or "not stated", entry["use"], sum(entry["rows"].values()))
            for entry in facts.ledger
        )
        lines += ["", "Its licence ledger:", "", _table(("source", "licence", "use", "rows"), rows)]
    return "\n".join(lines)


def _training(facts: Facts) -> str:
    run = facts.origin.run
    counts = {name: n for name, n in run.counts.items() if isinstance(n, int)}
    steps = f"{counts.get('steps', 0)} optimiser steps on {counts.get('rows', 0)} rows"
    tokens = f"{counts.get('tokens', 0)} tokens, {counts.get('supervised_tokens', 0)} of them supervised"
    lines = [f"{steps} ({tokens})."]
    dropped = run.counts.get("dropped")
    if isinstance(dropped, dict) and dropped:
        lines.append("Rows left out: " + ", ".join(f"{n} {reason}" for reason, n in dropped.items()) + ".")
    if facts.losses:
        first, last = facts.losses[:_EDGE_STEPS], facts.losses[-_EDGE_STEPS:]
        mean_first, mean_last = sum(first) / len(first), sum(last) / len(last)
        lines.append(
            f"Loss, mean of the first and of the last {len(first)} steps: {mean_first:.3f} and {mean_last:.3f} "
            "(on the rows it was trained on)."
        )
    machine = ", ".join(run.compute.accelerators) or run.compute.processor
    made_with = ", ".join(f"{library.name} {library.version}" for library in facts.libraries)
    lines.append(f"Trained on: {machine}. With: {made_with}.")
    parameters = yaml.safe_dump(run.parameters, sort_keys=True, allow_unicode=True).strip()
    return "\n".join(lines) + f"\n\n```yaml\n{parameters}\n```"


def _quantisation(facts: Facts) -> list[str]:
    """A section for quantised weights, none for others."""
    made = facts.quantised
    if made is None:
        return []
    data = (
        f"{made.calibration_rows} rows of the training split, seed {made.seed}" if made.calibration_rows else "no rows"
    )
    with_ = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    check = made.check
    rows = [
        ("loss, nats per supervised token", f"{check['loss']:.4f}", f"{check['quantised_loss']:.4f}"),
        ("perplexity", f"{math.exp(check['loss']):.3f}", f"{math.exp(check['quantised_loss']):.3f}"),
    ]
    text = (
        f"The weights of all linear layers but the output matrix are quantised ({made.scheme}, compressed-tensors), "
        f"calibrated on {data}. With: {with_}."
    )
    apart = (
        f"On {check['rows']} rows ({check['tokens']} supervised tokens) the logits differ by "
        f"{check['logit_difference']:.2%} of their norm, and {check['same_choice']:.2%} of the tokens have the same "
        "first choice. What that does to answers, an evaluation of these weights says."
    )
    return ["## Quantisation", text, _table(("measured", "before", "after"), rows), apart]


def _use(facts: Facts) -> str:
    tasks = f" Tasks: {', '.join(sorted(facts.tasks))}." if facts.tasks else ""
    return (
        "Answers to the prompts of the tasks it was trained on, rendered by the same version of tianjing: a prompt "
        f"worded otherwise is not what it learned.{tasks} Serve it behind the guarded endpoint (`tianjing serve run`), "
        "which checks every answer against the rulebook."
    )


def _limits(facts: Facts) -> str:
    return (
        "- This card holds no evaluation. The signed `release.json` of `tianjing eval gate` says what was measured and "
        "whether it may be served.\n"
        "- The loss above is that of the training rows; it says nothing about other customers.\n"
        "- Amounts, rates and dates that it writes are wording, not computation: the cost engine computes them.\n"
        "- It answers as the data was answered; a rule that changed later is not in the weights."
    )


def _lineage(facts: Facts) -> str:
    origin = facts.origin
    rows = [("weights", origin.manifest.kind, origin.manifest.digest)]
    if origin.run is not origin.manifest:
        rows.append(("adapter", "adapter", origin.run.digest))
    rows += [
        (origin.base.name, "base model", origin.base.sha256),
        (origin.dataset.name, "dataset", origin.dataset.sha256),
    ]
    rows += [
        (source.name, source.manifest.kind if source.manifest else "raw or not at hand", source.sha256)
        for source in facts.raw
    ]
    table = _table(("what", "kind", "sha256"), ((name, kind, f"`{digest}`") for name, kind, digest in rows))
    return table + "\n\nThe same as data: `lineage.json`, and `bom.cdx.json` (CycloneDX 1.6)."


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
