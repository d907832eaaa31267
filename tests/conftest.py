"""What several packages' tests share: places, the tiny model, and whether real statutes are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
# The same folder and variable as of `tianjing run examples/real.yaml`.
STATUTES = Path(os.environ.get("TIANJING_DATA", REPOSITORY.parent / "shared" / "data")) / "laws-cn"
needs_statutes = pytest.mark.skipif(
    not STATUTES.is_dir(), reason=f"no statutes at {STATUTES}; TIANJING_DATA names the folder that holds laws-cn"
)


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The random two-layer model, real weights that transformers and vLLM load."""
    from tianjing.models import resolve

    return resolve("tiny").path
