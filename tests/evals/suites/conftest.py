"""Small files in the documented layouts, written for these tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, object], Path]

EXAM = "id,question,A,B,C,D,answer\n"
LOAN = "0,住房贷款的期限一般是（）。,一日,三十年,百年,无期,B\n"
CARD = "1,信用卡的免息期一般为（）。,二十至五十天,一年,三年,十年,A\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the test's folder: text as it is, anything else as JSON."""

    def make(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return path

    return make


def numbered(count: int, line: str = "{n},第{n}题：逾期{n}天怎么办？,联系机构,不理会,换号码,失联,A") -> str:
    """Rows of an exam in one file."""
    return EXAM + "".join(line.format(n=n) + "\n" for n in range(count))
