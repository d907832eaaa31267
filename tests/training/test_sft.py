"""What the training stage writes beside the weights depends on nothing but its inputs."""

from __future__ import annotations

import json
from pathlib import Path

from training.sft import _settle_config


def test_the_adapters_configuration_is_the_same_in_every_process_and_on_every_machine(tmp_path: Path) -> None:
    written = []
    for machine, layers in (("/home/a", ["q_proj", "up_proj"]), ("/data/b", ["up_proj", "q_proj"])):
        path = tmp_path / "adapter_config.json"
        config = {"base_model_name_or_path": f"{machine}/base", "target_modules": layers, "r": 8}
        path.write_text(json.dumps(config), encoding="utf-8")
        _settle_config(path, "base")
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert json.loads(written[0]) == {
        "base_model_name_or_path": "base",
        "target_modules": ["q_proj", "up_proj"],
        "r": 8,
    }
