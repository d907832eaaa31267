"""Merge an adapter into its base: in fp32, saved as bf16, checked against the adapter."""

from __future__ import annotations

from pathlib import Path

from tianjing.console import make_console
from tianjing.lineage import artefact, artefact_digest, check_target, read_manifest
from training import full
from training.base import check_adapter_base
from training.errors import TrainingError
from training.origin import require_unchanged_files

console = make_console(stderr=True)

KIND = "merged"

# Merging in fp32 only re-associates sums: larger differences mean that a weight was missed.
MAX_LOGIT_DIFFERENCE = 0.05


def merge(adapter: Path, model: Path, out: Path) -> None:
    """Write `base + adapter` as a plain model folder that any server loads.

    Raises:
        TrainingError: `adapter` is a whole model already, was changed since it was written, or was trained on another
            base; merged and adapted model disagree beyond `MAX_LOGIT_DIFFERENCE` on a probe.
    """
    if read_manifest(adapter).kind == full.KIND:
        raise TrainingError(
            f"{adapter}: was tuned in full and is a whole model, with no adapter to merge",
            f"evaluate, serve or export it as it is: tianjing serve run {adapter}",
        )
    inputs = [adapter, model]
    check_target(out, KIND, inputs)
    digests = [artefact_digest(path) for path in inputs]
    require_unchanged_files(adapter)
    check_adapter_base(adapter, model)
    with console.status("merging the adapter into the base"):
        import torch
        import transformers
        from peft import PeftModel

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
        base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, local_files_only=True)
        adapted = PeftModel.from_pretrained(base, adapter)
        adapted.eval()
        probe = tokenizer(full.PROBE, return_tensors="pt")
        with torch.no_grad():
            before = adapted(**probe).logits
            merged = adapted.merge_and_unload(safe_merge=True)
            difference = (merged(**probe).logits - before).abs().max().item()
        if not difference <= MAX_LOGIT_DIFFERENCE:
            raise TrainingError(
                f"{adapter}: merged and adapted logits differ by {difference:.3g} (allowed {MAX_LOGIT_DIFFERENCE})",
                "train the adapter again on this base model",
            )
        merged = merged.to(torch.bfloat16)
        if [artefact_digest(path) for path in inputs] != digests:
            raise TrainingError(f"{adapter}: it or its base changed while they were merged", "merge again")
        with artefact(out, KIND, inputs, {"dtype": "bfloat16"}, digests) as result:
            merged.save_pretrained(result.dir)
            tokenizer.save_pretrained(result.dir)
    console.print(f"merged; largest logit difference to the adapter {difference:.2g}")
