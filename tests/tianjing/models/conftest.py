"""Every test of the models has a cache and a hub of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tianjing.models import hub


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(hub, "_silenced", False)
    return tmp_path / "cache"
