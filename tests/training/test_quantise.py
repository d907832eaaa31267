"""Quantised export: what goes to llm-compressor and what comes back is looked at.

llm-compressor itself is not here: its pins fit no environment that trains, so these tests stop at the exchange;
docs/training.md says what was tried with it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from tests.training.material import example, make_dataset
from tianjing.lineage import artefact, read_manifest, verify_chain
from training.cli import app
from training.errors import TrainingError
from training.export import compress, export, quantise
from training.export.quantise import check_files, check_result, interpreter
from training.rows import tokenize

CHECK = {
    "rows": 8,
    "tokens": 99,
    "loss": 2.0,
    "quantised_loss": 2.25,
    "logit_difference": 0.0312,
    "same_choice": 0.975,
    "versions": {"llmcompressor": "0.14.0.1", "torch": "2.13.0"},
}


@pytest.fixture
def whole(tiny_model: Path, tmp_path: Path) -> Path:
    """A model tuned in full, as training writes it."""
    data = make_dataset(tmp_path / "dataset", [example(n) for n in range(6)])
    parameters = {"tune": "full", "seed": 3, "max_length_tokens": 768}
    with artefact(tmp_path / "tuned", kind="full", inputs=[data, tiny_model], parameters=parameters) as work:
        for file in tiny_model.iterdir():
            if file.name != "manifest.json":
                shutil.copyfile(file, work.dir / file.name)
        (work.dir / "loss.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 1, "eval_loss": 2.1}\n')
    return tmp_path / "tuned"


def by_hand(original: Path, out: Path) -> None:
    """FP8 weights by channel in the layout of compressed-tensors, rounded here: the files that `fp8` comes to."""
    out.mkdir(exist_ok=True)
    for file in original.iterdir():
        if file.suffix != ".safetensors" and file.name != "manifest.json":
            shutil.copyfile(file, out / file.name)
    tensors = {}
    for name, tensor in load_file(original / "model.safetensors").items():
        if ".layers." in name and tensor.dim() == 2:
            scale = tensor.abs().amax(dim=1, keepdim=True).float() / torch.finfo(torch.float8_e4m3fn).max
            tensors[name] = (tensor / scale).to(torch.float8_e4m3fn)
            tensors[f"{name}_scale"] = scale.to(torch.bfloat16)
        else:
            tensors[name] = tensor
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((original / "config.json").read_text())
    eight = {"num_bits": 8, "type": "float", "symmetric": True}
    group = {
        "targets": ["Linear"],
        "weights": eight | {"strategy": "channel", "dynamic": False},
        "input_activations": eight | {"strategy": "token", "dynamic": True},
    }
    config["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {"group_0": group},
    }
    (out / "config.json").write_text(json.dumps(config))


def rows_of(model: Path) -> list[dict[str, list[int]]]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = tokenize([example(n) for n in range(3)], tokenizer, 512).rows
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]


@pytest.mark.slow
def test_the_comparison_is_that_of_the_two_models_on_supervised_tokens(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")  # comes with vLLM
    by_hand(tiny_model, tmp_path / "fp8")
    check_files(tiny_model, tmp_path / "fp8", "fp8")
    rows = rows_of(tiny_model)
    same = compress.compare(str(tiny_model), str(tiny_model), rows)
    assert (same["logit_difference"], same["same_choice"]) == (0, 1)
    found = compress.compare(str(tiny_model), str(tmp_path / "fp8"), rows)
    assert 0.005 < found["logit_difference"] < 0.2 and abs(found["quantised_loss"] - found["loss"]) < 0.05

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16)
    losses = [
        torch.nn.functional.cross_entropy(
            model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].float(),
            torch.tensor(row["labels"][1:]),
            reduction="none",
            ignore_index=-100,
        )
        for row in rows
    ]
    supervised = sum(label != -100 for row in rows for label in row["labels"])
    assert found["tokens"] == supervised
    assert found["loss"] == pytest.approx(torch.cat(losses).sum().item() / supervised, abs=1e-3)


def test_a_result_that_is_not_what_was_asked_for_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    by_hand(tiny_model, tmp_path / "fp8")
    with pytest.raises(TrainingError, match="not the configuration of w4a16"):
        check_files(tiny_model, tmp_path / "fp8", "w4a16")
    with pytest.raises(TrainingError, match="not the configuration of fp8"):
        check_files(tiny_model, tiny_model, "fp8")
    tensors = load_file(tmp_path / "fp8" / "model.safetensors")
    del tensors["model.layers.1.mlp.down_proj.weight_scale"]
    save_file(tensors, tmp_path / "fp8" / "model.safetensors")
    with pytest.raises(TrainingError, match=r"layers\.1\.mlp\.down_proj\.weight was not quantised"):
        check_files(tiny_model, tmp_path / "fp8", "fp8")
    with pytest.raises(TrainingError, match="loss is nan"):
        check_result({**{name: 1.0 for name in CHECK}, "quantised_loss": float("nan")})


def test_without_an_environment_the_command_says_how_to_make_one(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"python -m venv \.venv-llmcompressor(.|\n)*pip install llmcompressor"):
        interpreter(tmp_path / "bin" / "python")
    out = tmp_path / "export"
    command = ["export", str(whole), "--out", str(out), "--quantize", "fp8"]
    lacking = CliRunner().invoke(app, [*command, "--llmcompressor-python", sys.executable])
    assert isinstance(lacking.exception, TrainingError)
    assert lacking.exception.remedy == f"{sys.executable} -m pip install llmcompressor"
    assert not out.exists()


def test_an_adapter_is_to_be_merged_first(tiny_model: Path, whole: Path, tmp_path: Path) -> None:
    data = whole.parent / "dataset"
    with artefact(tmp_path / "adapter", kind="adapter", inputs=[data, tiny_model]) as work:
        (work.dir / "loss.jsonl").write_text("")
    with pytest.raises(TrainingError, match=r"only a whole model(.|\n)*tianjing train merge"):
        export(tmp_path / "adapter", tmp_path / "export", "fp8", Path(sys.executable))


def test_rows_go_out_weights_and_figures_come_back_and_the_papers_tell_them(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in for llm-compressor here reads the same order and writes the same files; it does not quantise as it
    does."""
    orders = []

    def run(python: Path, order_file: Path) -> None:
        order = json.loads(order_file.read_text())
        orders.append(order | {name: compress._rows(order[name]) for name in ("calibration", "check")})
        by_hand(Path(order["model"]), Path(order["out"]))
        Path(order["result"]).write_text(json.dumps(CHECK))

    monkeypatch.setattr(quantise, "_run", run)
    monkeypatch.setattr(quantise, "interpreter", lambda given: Path(sys.executable))
    export(whole, tmp_path / "export", "fp8")
    assert (orders[0]["scheme"], orders[0]["calibration"], len(orders[0]["check"])) == ("fp8", [], 8)
    assert any(label != -100 for label in orders[0]["check"][0]["labels"])

    folder = tmp_path / "export"
    assert verify_chain(folder).differences == []
    assert read_manifest(folder).parameters == {"quantize": "fp8"}
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "base_model_relation: quantized" in text and "calibrated on no rows" in text
    assert "| perplexity | 7.389 | 9.488 |" in text and "3.12% of their norm" in text
    bill = json.loads((folder / "bom.cdx.json").read_text(encoding="utf-8"))["metadata"]["component"]
    recorded = {record.path: record.sha256 for record in read_manifest(folder).files}
    assert bill["components"][0]["hashes"][0]["content"] == recorded["model.safetensors"]
    metrics = {
        entry["type"]: entry["value"] for entry in bill["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    }
    assert metrics["loss after quantisation"] == "2.250000"


def test_calibration_takes_rows_of_the_training_split_by_the_seed_of_the_run(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tianjing.order import order_key
    from training.origin import read_origin

    monkeypatch.setattr(quantise, "CALIBRATION_ROWS", 4)
    rows = quantise._rows(read_origin(whole), "train", quantise.CALIBRATION_ROWS, 3)
    drawn = sorted((f"train-{n}" for n in range(6)), key=lambda row: order_key(3, row))
    assert [row.id for row in rows] == drawn[:4]


def test_a_failure_of_llm_compressor_is_told_with_its_last_lines(whole: Path, tmp_path: Path) -> None:
    order = tmp_path / "order.json"
    order.write_text('{"model": "nowhere"}')
    with pytest.raises(TrainingError, match=r"llm-compressor ended with status 1:(.|\n)*KeyError: 'out'"):
        quantise._run(Path(sys.executable), order)
