"""What the training stage writes beside the weights depends on nothing but its inputs."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file

from tests.training.material import example, make_dataset
from training.adapter import settle_config
from training.config import TrainConfig
from training.run import train


def test_the_adapters_configuration_is_the_same_in_every_process_and_on_every_machine(tmp_path: Path) -> None:
    written = []
    for machine, layers in (("/home/a", ["q_proj", "up_proj"]), ("/data/b", ["up_proj", "q_proj"])):
        path = tmp_path / "adapter_config.json"
        config = {"base_model_name_or_path": f"{machine}/base", "target_modules": layers, "r": 8}
        path.write_text(json.dumps(config), encoding="utf-8")
        settle_config(path, "base")
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert json.loads(written[0]) == {
        "base_model_name_or_path": "base",
        "target_modules": ["q_proj", "up_proj"],
        "r": 8,
    }


def test_every_kind_of_adapter_that_a_configuration_allows_is_trained_as_it_says(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = TrainConfig.model_validate(
        {
            "lora": {
                "rank": 4,
                "alpha": 8,
                "top_layers": 1,
                "use_rslora": True,
                "rank_pattern": {"down_proj": 6},
                "alpha_pattern": {"down_proj": 12},
                "init_lora_weights": "orthogonal",
                "use_dora": True,
                "bias": "all",
                "modules_to_save": ["norm"],
            },
            "serve_with": "transformers",
            "epochs": 2,
            "micro_rows": 2,
            "threads": 1,
        }
    )
    train(make_dataset(tmp_path / "dataset", [example(n) for n in range(4)]), tiny_model, tmp_path / "adapter", config)
    written = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    for name, value in config.lora.peft().items():
        if name != "target_modules":
            assert written[name] == value, name
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    ranks = {name.split(".lora_A")[0].rsplit(".", 1)[1]: len(w) for name, w in weights.items() if ".lora_A" in name}
    assert ranks["down_proj"] == 6 and ranks["q_proj"] == 4
    assert any(name.endswith("model.norm.weight") for name in weights)
    assert any("lora_magnitude_vector" in name for name in weights)
