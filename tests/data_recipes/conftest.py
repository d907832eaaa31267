"""One raw folder, its knowledge and its dataset, built once for the read-only tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_recipes.build import build
from data_recipes.extract import extract
from tests.data_recipes.material import BUILD, EXTRACT, write_raw


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw(tmp_path_factory.mktemp("data") / "raw")


@pytest.fixture(scope="session")
def knowledge(raw: Path) -> Path:
    out = raw.parent / "knowledge"
    extract(raw, out, EXTRACT)
    return out


@pytest.fixture(scope="session")
def dataset(knowledge: Path) -> Path:
    out = knowledge.parent / "dataset"
    build(knowledge, out, BUILD)
    return out
