"""Fixtures that several packages' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The random two-layer model, real weights that transformers and vLLM load."""
    from tianjing.models import resolve

    return resolve("tiny").path
