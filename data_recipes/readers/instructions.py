"""Open instruction sets as they are: Alpaca, ShareGPT and messages, as a JSON list, JSON Lines or Parquet.

The form is told by the fields of the first row. Other fields of a row (id, source, category) are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from data_recipes.errors import DataError
from data_recipes.readers.json_list import read_json_list
from data_recipes.readers.rows import Row
from data_recipes.readers.shards import plan_lines, plan_shards, read_shard
from tianjing.config import StrictModel
from tianjing.files import OnError, validate_row
from tianjing.text import compact

_TITLE = re.compile(r"《([^》]{4,})》|【([^】]{4,})】")
_CONTEXT = re.compile(r"(?:上下文|材料|文本|新闻|输入|信息|资料)[^：:\n]{0,8}[：:]\s*(.{12,})", re.DOTALL)
_DOCUMENT_CHARS = 40
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_FORMS = "Alpaca {instruction, output}, ShareGPT {conversations} or messages {messages}"


@dataclass(frozen=True)
class _Exchange:
    """A row in any form: what was said before, the last question, and its answer."""

    system: str
    history: tuple[tuple[str, str], ...]
    question: str
    answer: str


class _Open(StrictModel):
    """A row of an open set, whose further fields are none of ours."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Alpaca(_Open):
    instruction: str
    input: str | None = ""
    output: str
    history: tuple[tuple[str, str], ...] | None = ()
    system: str | None = ""

    def exchange(self) -> _Exchange:
        parts = (self.instruction.strip(), (self.input or "").strip())
        return _Exchange(self.system or "", self.history or (), "\n".join(filter(None, parts)), self.output)


class _Turn(_Open):
    """One turn: {from, value} or {role, content}."""

    role: Literal["user", "assistant", "system"]
    content: str

    @model_validator(mode="before")
    @classmethod
    def _either_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        role = value.get("from", value.get("role"))
        return {"role": _ROLES.get(str(role), role), "content": value.get("value", value.get("content"))}

    @field_validator("content", mode="before")
    @classmethod
    def _text_parts(cls, value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in value):
            return "\n".join(str(part.get("text", "")) for part in value)
        return value


class _Conversation(_Open):
    conversations: tuple[_Turn, ...] = Field(min_length=1)
    system: str | None = ""

    @model_validator(mode="before")
    @classmethod
    def _messages(cls, value: Any) -> Any:
        return (
            {**value, "conversations": value["messages"]} if isinstance(value, dict) and "messages" in value else value
        )

    def exchange(self) -> _Exchange:
        """The last answer is the one to give; what follows it has none."""
        system = [self.system or ""]
        pairs: list[tuple[str, str]] = []
        question: list[str] = []
        for turn in self.conversations:
            if turn.role == "system":
                system.append(turn.content)
            elif turn.role == "user":
                question.append(turn.content.strip())
            elif question or not pairs:
                pairs.append(("\n".join(question), turn.content))
                question = []
            else:
                pairs[-1] = pairs[-1][0], f"{pairs[-1][1]}\n{turn.content}"
        if not pairs or not pairs[-1][0]:
            raise ValueError("the conversation has no question with an answer (human, then gpt)")
        return _Exchange("\n".join(filter(None, system)), tuple(pairs[:-1]), *pairs[-1])


def read_instructions(
    path: Path, kind: str, on_error: OnError, rejected: list[dict[str, Any]]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (id, document, prompt, answer); earlier turns of a conversation are part of the prompt.

    The id counts rows (a JSON list, Parquet) or lines (JSON Lines) from 1. The document is what rows with the same
    material share, so that a split by document leaks none of it: the first 《title》 or 【title】 of the materials,
    else the opening of the quoted context, else that of the conversation.

    Raises:
        DataError: the file is missing, in none of the forms, or no JSON list, or (`on_error="stop"`) a row is bad.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such instruction file", "check `files` of this source in the configuration")
    model: type[_Alpaca] | type[_Conversation] | None = None
    for row in _rows(path):
        try:
            if row.error:
                raise ValueError(row.error)
            model = model or _form(path, row)
            exchange = validate_row(row.value, model).exchange()
        except ValueError as error:
            if on_error == "stop":
                raise DataError(f"{path}: row {row.line}: {error}", "mend the row, or pass --on-error skip") from None
            rejected.append({"file": path.name, "line": row.line, "error": str(error), "text": row.raw})
            continue
        yield f"{path.stem}:{row.line}", f"{kind}:{_document(exchange)}", _prompt(exchange), exchange.answer.strip()


def _rows(path: Path) -> Iterator[Row]:
    if path.suffix != ".json":
        shards = plan_shards(path, path.name)
    elif _opens_with_object(path):  # JSON Lines under another name
        shards = plan_lines(path, path.name)
    else:
        yield from read_json_list(path)
        return
    for shard in shards:
        yield from read_shard(shard)


def _opens_with_object(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _form(path: Path, row: Row) -> type[_Alpaca] | type[_Conversation]:
    fields = row.value if isinstance(row.value, dict) else {}
    if "messages" in fields or "conversations" in fields:
        return _Conversation
    if "instruction" in fields and "output" in fields:
        return _Alpaca
    found = ", ".join(fields) if fields else "no fields"
    raise DataError(f"{path}: row {row.line} has {found}", f"an instruction file is {_FORMS}")


def _prompt(exchange: _Exchange) -> str:
    """Earlier questions and answers stand before the question."""
    earlier = [f"问：{question.strip()}\n答：{answer.strip()}" for question, answer in exchange.history]
    return "\n".join(part for part in (exchange.system.strip(), *earlier, exchange.question) if part)


def _document(exchange: _Exchange) -> str:
    title = _TITLE.search(exchange.question)
    if title:
        return compact(title[1] or title[2])
    context = _CONTEXT.search(exchange.question)
    first = exchange.history[0][0] if exchange.history else exchange.question
    return compact(context[1] if context else first)[:_DOCUMENT_CHARS]
