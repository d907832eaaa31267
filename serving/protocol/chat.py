"""POST /v1/chat/completions: the request by allow-list.

An unknown request field is refused by name instead of being passed on: fields such as `prompt_logprobs` or
`return_token_ids` would give out the prompt around the guard.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from serving.config import ServeConfig
from serving.errors import ApiError
from serving.protocol.fields import AskBody, WireModel, checked, refused, without_nulls
from serving.protocol.json_body import read_json
from serving.protocol.messages import MAX_MESSAGES, Messages, WireMessage
from serving.protocol.pieces import CheckedCall, Pieces, checked_call
from serving.protocol.schemas import schema_body
from serving.protocol.tokens import (
    CALL_TOKENS,
    CHAT_TOKENS,
    MESSAGE_TOKENS,
    RESULT_TOKENS,
    TOOL_TOKENS,
    TOOLS_TOKENS,
    most_tokens,
)
from serving.protocol.tools import MAX_TOOLS, ToolChoice, WireTool, choice_body, tool_body
from tianjing.tasks import TASKS


class JsonSchema(WireModel):
    """The form of an answer."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = Field(default=None, max_length=4096)
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(WireModel):
    """Free text, any JSON object, or one by a schema; grammars and regular expressions are not served."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def body(self, pieces: Pieces) -> dict[str, Any] | None:
        """As the engine gets it, None for free text."""
        if (self.json_schema is not None) != (self.type == "json_schema"):
            raise refused("response_format", "type 'json_schema', and only it, comes with 'json_schema'")
        if self.json_schema is None:
            return None if self.type == "text" else {"type": self.type}
        form = self.json_schema
        schema = schema_body(form.schema_, "response_format.json_schema.schema", pieces)
        pieces.name(form.name, "response_format.json_schema.name")
        # A description would be one more text for the guard, and no engine shows it to the model.
        body = {"name": form.name, "schema": schema}
        return {"type": self.type, "json_schema": body if form.strict is None else {**body, "strict": form.strict}}


class ChatBody(AskBody):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[list[WireMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: int | None = Field(default=None, ge=1, lt=1 << 31)
    response_format: ResponseFormat | None = None
    tools: Annotated[list[WireTool], Field(min_length=1, max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None

    def wanted_tokens(self) -> int | None:
        """The most tokens that the caller wants of a choice, by its newer name first."""
        return self.max_completion_tokens or self.max_tokens


def parse_chat(raw: bytes, config: ServeConfig) -> CheckedCall:
    """Check a request body against the allow-list and the limits of `config`.

    Raises:
        ApiError: 400 naming the field.
    """
    body = checked(ChatBody, _cleaned(read_json(raw)))
    pieces = Pieces()
    form = _tools(body, pieces)
    frame_tokens = _frame_tokens(body, pieces)
    if body.response_format and (answer := body.response_format.body(pieces)):
        form["response_format"] = answer
    task = _task(body)
    messages = [{"role": "system", "content": pieces.slot("system", task)}] if task else []
    messages += Messages(pieces).bodies(body.messages)
    return checked_call(
        body,
        "/v1/chat/completions",
        pieces,
        {"messages": messages, **form},
        config,
        tools=_callable(body),
        structured="response_format" in form,
        frame_tokens=frame_tokens,
    )


def _tools(body: ChatBody, pieces: Pieces) -> dict[str, Any]:
    """Tools as the engine gets them, and how they are to be used."""
    form: dict[str, Any] = {}
    names = [tool.function.name for tool in body.tools or ()]
    if len(set(names)) < len(names):
        raise refused("tools", "two functions have the same name")
    if body.tools:
        form["tools"] = [tool_body(tool, f"tools.{i}.function", pieces) for i, tool in enumerate(body.tools)]
    if body.tool_choice is not None:
        form["tool_choice"] = choice_body(body.tool_choice, names)
    if body.parallel_tool_calls is not None and body.tools:
        form["parallel_tool_calls"] = body.parallel_tool_calls
    return form


def _frame_tokens(body: ChatBody, described: Pieces) -> int:
    """The most tokens that stand around the pieces of a chat; `described` are those of its tools."""
    tokens = CHAT_TOKENS
    for message in body.messages:
        tokens += RESULT_TOKENS if message.role == "tool" else MESSAGE_TOKENS
        tokens += sum(CALL_TOKENS + len(call.function.name) for call in message.tool_calls or ())
    if body.tools:
        shown = orjson.dumps([tool.model_dump() for tool in body.tools]).decode()
        tokens += TOOLS_TOKENS + TOOL_TOKENS * len(body.tools) + most_tokens(shown)
        tokens -= sum(most_tokens(piece.text) for piece in described.all)
    return tokens


def _callable(body: ChatBody) -> frozenset[str]:
    """The functions that an answer may call."""
    if body.tool_choice == "none":
        return frozenset()
    return frozenset(tool.function.name for tool in body.tools or ())


def _task(body: ChatBody) -> str:
    """The system prompt of the task, "" when the request brings its own or names no task."""
    task = body.tianjing.task
    if task is None:
        return ""
    if task not in TASKS:
        raise ApiError(400, f"field 'tianjing.task': known tasks are {', '.join(TASKS)}", param="tianjing.task")
    own = any(message.role in ("system", "developer") for message in body.messages)
    return "" if own else TASKS[task].system()


def _cleaned(value: dict[str, Any]) -> dict[str, Any]:
    """Without the nulls that say nothing; those within a schema do."""
    cleaned: dict[str, Any] = without_nulls(value)
    for name in ("response_format", "stream_options"):
        if name in cleaned:
            cleaned[name] = without_nulls(cleaned[name])
    if isinstance(form := cleaned.get("response_format"), dict) and "json_schema" in form:
        form["json_schema"] = without_nulls(form["json_schema"])
    if isinstance(cleaned.get("messages"), list):
        cleaned["messages"] = [_cleaned_message(message) for message in cleaned["messages"]]
    if isinstance(cleaned.get("tools"), list):
        cleaned["tools"] = [_cleaned_tool(tool) for tool in cleaned["tools"]]
    return cleaned


def _cleaned_message(message: Any) -> Any:
    cleaned = without_nulls(message)
    if isinstance(cleaned, dict) and isinstance(cleaned.get("tool_calls"), list):
        cleaned["tool_calls"] = [_cleaned_tool(call) for call in cleaned["tool_calls"]]
    return cleaned


def _cleaned_tool(tool: Any) -> Any:
    cleaned = without_nulls(tool)
    if isinstance(cleaned, dict) and "function" in cleaned:
        cleaned["function"] = without_nulls(cleaned["function"])
    return cleaned
