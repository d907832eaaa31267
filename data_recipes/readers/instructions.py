"""Open instruction files: JSON lists of {instruction, input, output, history}."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data_recipes.errors import DataError
from tianjing.config import StrictModel
from tianjing.files import OnError, validate_row
from tianjing.text import compact

_TITLE = re.compile(r"《([^》]{4,})》|【([^】]{4,})】")
_CONTEXT = re.compile(r"(?:上下文|材料|文本|新闻|输入|信息|资料)[^：:\n]{0,8}[：:]\s*(.{12,})", re.DOTALL)
_DOCUMENT_CHARS = 40


class Row(StrictModel):
    """One row as it stands in the file."""

    instruction: str
    input: str = ""
    output: str
    history: tuple[tuple[str, str], ...] = ()


def read_instructions(
    path: Path, kind: str, on_error: OnError, rejected: list[dict[str, Any]]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (id, document, prompt, answer).

    The document is what rows with the same material share, so that a split by document leaks none of it: the first
    《title》 or 【title】 of the materials, else the opening of the quoted context, else the row itself.

    Raises:
        DataError: the file is missing or no JSON list, or (`on_error="stop"`) a row is bad.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such instruction file", "check `files` of this source in the configuration"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a JSON file: {error}", "an instruction file is a JSON list of objects") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: the top level is no list", "an instruction file is a JSON list of objects")
    for number, value in enumerate(rows, start=1):
        try:
            row = validate_row(value, Row)
        except (ValueError, ValidationError) as error:
            if on_error == "stop":
                raise DataError(f"{path}: row {number}: {error}", "mend the row, or pass --on-error skip") from None
            text = json.dumps(value, ensure_ascii=False)
            rejected.append({"file": path.name, "line": number, "error": str(error), "text": text})
            continue
        prompt = "\n".join(part for part in (*_history(row), row.instruction.strip(), row.input.strip()) if part)
        yield f"{path.stem}:{number}", f"{kind}:{_document(row)}", prompt, row.output.strip()


def _history(row: Row) -> list[str]:
    """Earlier questions and answers, as part of the prompt."""
    return [f"问：{question.strip()}\n答：{answer.strip()}" for question, answer in row.history]


def _document(row: Row) -> str:
    text = row.instruction + row.input
    title = _TITLE.search(text)
    if title:
        return compact(title[1] or title[2])
    context = _CONTEXT.search(text)
    first = row.history[0][0] if row.history else text
    return compact(context[1] if context else first)[:_DOCUMENT_CHARS]
