"""A training configuration to launch, and one rendering of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.launch.job import JobConfig, Target
from training.launch.render import Rendered, render

# What a careless user calls a folder, and what a shell, YAML and Kubernetes each read something into.
HOSTILE = """/data/it's "a" $(touch pwned) `id` $HOME ${X} $$ ; & | > * ? # 数据 \\ %j {}"""

Render = Callable[..., Rendered]


@pytest.fixture
def rendered(tmp_path: Path) -> Render:
    """Renders a job with a configuration of four micro-batches; keyword arguments are the job's fields."""

    def make(target: Target, **fields: Any) -> Rendered:
        config = tmp_path / "train.yaml"
        config.write_text("micro_batches: 16\n", encoding="utf-8")
        job = JobConfig.model_validate({"name": "demo", "dataset": "/data/rows", "out": "/data/adapter"} | fields)
        return render(config, job, target, tmp_path / "jobs")

    return make
