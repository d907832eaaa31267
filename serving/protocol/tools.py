"""Functions that the model may have the application call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from serving.protocol.fields import WireModel, refused
from serving.protocol.pieces import Pieces
from serving.protocol.schemas import schema_body

MAX_TOOLS = 64

FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class WireFunction(WireModel):
    """A function as it is described to the model."""

    name: FunctionName
    description: str | None = Field(default=None, max_length=8192)
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class WireTool(WireModel):
    """A tool; only functions are served."""

    type: Literal["function"]
    function: WireFunction


class NamedFunction(WireModel):
    """A function by its name."""

    name: FunctionName


class NamedChoice(WireModel):
    """The one function that must be called."""

    type: Literal["function"]
    function: NamedFunction


ToolChoice = Literal["none", "auto", "required"] | NamedChoice


def tool_body(tool: WireTool, where: str, pieces: Pieces) -> dict[str, Any]:
    """A tool as the engine gets it, with slots for its texts.

    Raises:
        ApiError: 400, its schema is refused.
    """
    function = tool.function
    pieces.name(function.name, f"{where}.name")
    body: dict[str, Any] = {"name": function.name}
    if function.description is not None:
        body["description"] = pieces.slot("system", function.description)
    if function.parameters is not None:
        body["parameters"] = schema_body(function.parameters, f"{where}.parameters", pieces)
    if function.strict is not None:
        body["strict"] = function.strict
    return {"type": "function", "function": body}


def choice_body(choice: ToolChoice, names: Sequence[str]) -> Any:
    """`tool_choice` as the engine gets it.

    Raises:
        ApiError: 400, it asks for a function that is not among the tools.
    """
    if isinstance(choice, NamedChoice):
        if choice.function.name not in names:
            raise refused("tool_choice", "names a function that is not among 'tools'")
        return {"type": "function", "function": {"name": choice.function.name}}
    if choice != "none" and not names:
        raise refused("tool_choice", "needs 'tools'")
    return choice
