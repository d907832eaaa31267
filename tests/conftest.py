"""What several packages' tests share: places, the tiny model, and whether real statutes are at hand."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
# The same folder and variable as of `tianjing run examples/real.yaml`.
STATUTES = Path(os.environ.get("TIANJING_DATA", REPOSITORY.parent / "shared" / "data")) / "laws-cn"
needs_statutes = pytest.mark.skipif(
    not STATUTES.is_dir(), reason=f"no statutes at {STATUTES}; TIANJING_DATA names the folder that holds laws-cn"
)


def pytest_configure() -> None:
    """Compiled modules (setup.py) must not hide a newer source."""
    for compiled in chain((REPOSITORY / "tianjing").glob("*/*.so"), (REPOSITORY / "serving").glob("*/*.so")):
        module = compiled.with_name(compiled.name.partition(".")[0])
        source = module.with_suffix(".c") if module.with_suffix(".c").exists() else module.with_suffix(".py")
        if source.stat().st_mtime > compiled.stat().st_mtime:
            pytest.exit(f"{source} is newer than its compiled form; run: pip install --no-deps -e .", returncode=2)


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The random two-layer model, real weights that transformers and vLLM load."""
    from tianjing.models import resolve

    return resolve("tiny").path
