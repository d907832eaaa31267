"""A configuration file with a mistake is refused with the line and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from tianjing.config import StrictModel, load
from tianjing.errors import TianjingError


class Inner(StrictModel):
    days: int


class Outer(StrictModel):
    name: str
    parts: tuple[Inner, ...] = ()


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TianjingError) as caught:
        load(Outer, path)
    return caught.value.message


def test_every_wrong_field_is_named_with_its_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, "name: a\nparts:\n  - days: 3\n  - days: soon\n  - dais: 4\n")
    assert "c.yaml:4: 'parts.1.days': Input should be a valid integer" in message
    assert "c.yaml:5: missing key 'parts.2.days'" in message
    assert "c.yaml:5: unknown key 'parts.2.dais'; did you mean 'days'?" in message


def test_a_merged_mapping_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: a\nparts:\n  - &first {days: 3}\n  - {<<: *first, days: 4}\n", encoding="utf-8")
    assert [part.days for part in load(Outer, path).parts] == [3, 4]


def test_a_key_that_is_written_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "c.yaml:3: not valid YAML: key 'name' is written twice" in refusal(tmp_path, "name: a\nparts: []\nname: b\n")
