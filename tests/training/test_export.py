"""Merged weights answer as the adapter does, and what is handed over says truly what it was made from."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tianjing.dataset import write_examples
from tianjing.lineage import artefact, read_manifest, verify_chain
from training.errors import TrainingError
from training.export import export
from training.merge import merge

LEDGER = {
    "sources": [
        {
            "source": "calls|2026",
            "kind": "raw",
            "licence": "自有",
            "spdx": "",
            "licence_class": "own",
            "use": "train",
            "rule": "own data",
            "rows": {"train": 3, "test": 1},
        }
    ]
}


def with_own_head(tied: Path, folder: Path) -> Path:
    """The tiny model with a vocabulary matrix of its own at the output."""
    config = AutoModelForCausalLM.from_pretrained(tied).config
    config.tie_word_embeddings = False
    torch.manual_seed(1)
    model: Any = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tied).save_pretrained(folder)
    return folder


def adapter(folder: Path, dataset: Path, base: Path, *earlier: Path) -> Path:
    """An adapter artefact as training writes it, with random weights that change the answers."""
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(2)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(model, lora)
    parameters = {"lora": {"rank": 4, "alpha": 16}, "learning_rate": 0.001}
    with artefact(folder, kind="adapter", inputs=[dataset, base, *earlier], parameters=parameters) as work:
        adapted.save_pretrained(str(work.dir))
        (work.dir / "README.md").unlink()
        losses = "".join(json.dumps({"step": step, "loss": 2.0 - step / 10}) + "\n" for step in range(1, 11))
        losses += json.dumps({"step": 10, "eval_loss": 1.5}) + "\n"
        (work.dir / "loss.jsonl").write_text(losses, encoding="utf-8")
        for name, n in (("rows", 3), ("tokens", 90), ("supervised_tokens", 30), ("steps", 10)):
            work.count(name, n)
        work.drop("too_long", 2)
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset of a knowledge artefact of one raw file."""
    raw = tmp_path / "dialogues.jsonl"
    raw.write_text("{}\n", encoding="utf-8")
    with artefact(tmp_path / "knowledge", kind="knowledge", inputs=[raw]) as work:
        (work.dir / "dialogues.jsonl").write_text("{}\n", encoding="utf-8")
    with artefact(tmp_path / "dataset", kind="dataset", inputs=[tmp_path / "knowledge"]) as work:
        write_examples(work.dir / "train.parquet", [])
        (work.dir / "licences.json").write_text(json.dumps(LEDGER), encoding="utf-8")
        work.count("next_reply/train", 3)
        work.count("next_reply/test", 1)
    return tmp_path / "dataset"


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**tokenizer("我想申请延期还款。", return_tensors="pt")).logits
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_merged_weights_answer_as_the_adapter_and_keep_the_heads_of_the_base(
    tied: bool, tiny_model: Path, dataset: Path, tmp_path: Path
) -> None:
    base = tiny_model if tied else with_own_head(tiny_model, tmp_path / "untied")
    made = adapter(tmp_path / "adapter", dataset, base)
    merge(made, base, tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(base)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    before = logits(plain, tokenizer)
    adapted = logits(PeftModel.from_pretrained(plain, made), tokenizer)
    merged = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32), tokenizer)
    assert (merged - adapted).abs().max() < 0.05  # bfloat16 on disk
    assert (merged - before).abs().max() > 0.5
    saved, original = (load_file(folder / "model.safetensors") for folder in (tmp_path / "merged", base))
    assert torch.equal(saved["model.embed_tokens.weight"], original["model.embed_tokens.weight"])
    assert ("lm_head.weight" in saved) is not tied
    if not tied:
        assert torch.equal(saved["lm_head.weight"], original["lm_head.weight"])
    config = json.loads((tmp_path / "merged" / "config.json").read_text(encoding="utf-8"))
    assert config["tie_word_embeddings"] is tied


def test_an_adapter_for_another_base_is_refused_by_digest(tiny_model: Path, dataset: Path, tmp_path: Path) -> None:
    made = adapter(tmp_path / "adapter", dataset, tiny_model)
    other = with_own_head(tiny_model, tmp_path / "untied")
    with pytest.raises(TrainingError, match=r"was trained on another base model than (.|\n)*give --model the base"):
        merge(made, other, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_export_holds_the_weights_and_papers_that_say_what_the_manifests_say(
    tiny_model: Path, dataset: Path, tmp_path: Path
) -> None:
    made = adapter(tmp_path / "adapter", dataset, tiny_model)
    merge(made, tiny_model, tmp_path / "merged")
    digests = {name: read_manifest(tmp_path / name).digest for name in ("adapter", "merged", "dataset", "knowledge")}
    for name in ("adapter", "merged"):
        export(tmp_path / name, tmp_path / f"{name}-export")
        folder = tmp_path / f"{name}-export"
        assert verify_chain(folder).differences == []
        weights = next((tmp_path / name).glob("*.safetensors")).name
        assert (folder / weights).read_bytes() == (tmp_path / name / weights).read_bytes()
        text = (folder / "README.md").read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("---\n")[1])
        assert front["base_model_relation"] == ("finetune" if name == "merged" else "adapter")
        for digest in (
            read_manifest(tiny_model).digest,
            *(digests[part] for part in ("adapter", "dataset", "knowledge")),
        ):
            assert f"`{digest}`" in text
        assert "| calls\\|2026 | 自有 | train | 4 |" in text
        assert "| next_reply | 3 |" in text and "2 too_long" in text
        assert "1.700 and 1.200" in text  # means of 1.9 … 1.5 and of 1.4 … 1.0
        lineage = json.loads((folder / "lineage.json").read_text(encoding="utf-8"))
        (knowledge,) = lineage["dataset"]["sources"]
        assert knowledge["sha256"] == digests["knowledge"]
        assert knowledge["sources"][0]["name"] == "dialogues.jsonl"
        assert str(tmp_path) not in text + json.dumps(lineage)


def test_an_export_names_the_adapter_and_the_older_dataset_that_training_went_on_from(
    tiny_model: Path, dataset: Path, tmp_path: Path
) -> None:
    with artefact(tmp_path / "older", kind="dataset") as work:
        write_examples(work.dir / "train.parquet", [])
        work.parameters["name"] = "older"
    first = adapter(tmp_path / "first", dataset, tiny_model)
    made = adapter(tmp_path / "adapter", dataset, tiny_model, first, tmp_path / "older")
    export(made, tmp_path / "export")
    text = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    lineage = json.loads((tmp_path / "export" / "lineage.json").read_text(encoding="utf-8"))
    digests = [read_manifest(tmp_path / name).digest for name in ("first", "older")]
    assert [source["sha256"] for source in lineage["earlier"]] == digests
    table = text.split("## Lineage")[1]
    named = [*digests, read_manifest(tiny_model).digest, read_manifest(dataset).digest]
    assert [table.count(digest) for digest in named] == [1, 1, 1, 1]
    bom = json.loads((tmp_path / "export" / "bom.cdx.json").read_text(encoding="utf-8"))
    assert {f"source:{digest}" for digest in digests} <= {part["bom-ref"] for part in bom["components"]}


def test_the_bill_of_materials_is_valid_cyclonedx_and_names_every_part(
    tiny_model: Path, dataset: Path, tmp_path: Path
) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    made = adapter(tmp_path / "adapter", dataset, tiny_model)
    merge(made, tiny_model, tmp_path / "merged")
    export(tmp_path / "merged", tmp_path / "export")
    text = (tmp_path / "export" / "bom.cdx.json").read_text(encoding="utf-8")
    validator = validation.JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    broken = json.loads(text)
    broken["components"][0]["type"] = "model"
    assert validator.validate_str(json.dumps(broken)) is not None
    document = json.loads(text)
    components = {component["bom-ref"]: component for component in document["components"]}
    assert {"base", "dataset", "licensed:calls|2026"} <= components.keys()
    assert components["licensed:calls|2026"]["licenses"] == [{"license": {"name": "自有"}}]
    properties = {entry["name"]: entry["value"] for entry in components["dataset"]["properties"]}
    assert properties["tianjing:digest"] == read_manifest(dataset).digest
    torch_component = next(part for part in components.values() if part["name"] == "torch")
    assert torch_component["version"] == torch.__version__
    assert re.fullmatch(r"pkg:pypi/torch@[0-9.]+(%2B\w+)?", torch_component["purl"])
    file = document["metadata"]["component"]["components"][0]
    recorded = {record.path: record.sha256 for record in read_manifest(tmp_path / "merged").files}
    assert file["hashes"] == [{"alg": "SHA-256", "content": recorded[file["name"]]}]
    named = {entry["ref"] for entry in document["dependencies"]}
    assert named == {"weights", *components}
    export(tmp_path / "merged", tmp_path / "again")
    assert (tmp_path / "again" / "bom.cdx.json").read_text(encoding="utf-8") == text


def test_weights_that_were_changed_get_no_papers(tiny_model: Path, dataset: Path, tmp_path: Path) -> None:
    made = adapter(tmp_path / "adapter", dataset, tiny_model)
    with open(made / "adapter_model.safetensors", "ab") as file:
        file.write(b"\0")
    with pytest.raises(TrainingError, match=r"is not what was written: .*adapter_model.safetensors: changed"):
        export(made, tmp_path / "export")
    with pytest.raises(TrainingError, match="not an adapter, merged weights or"):
        export(dataset, tmp_path / "export")


def test_a_dataset_that_is_not_at_hand_is_said_to_be_so(tiny_model: Path, dataset: Path, tmp_path: Path) -> None:
    made = adapter(tmp_path / "adapter", dataset, tiny_model)
    digest = read_manifest(dataset).digest
    shutil.rmtree(dataset)
    export(made, tmp_path / "export")
    text = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert f"sha256 `{digest}`. It was not at hand" in text
    assert "ledger" not in text.split("## Training")[0]
