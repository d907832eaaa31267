"""The cost tools over the Model Context Protocol, on standard input and output. Needs the extra `tianjing[mcp]`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tianjing import __version__
from tianjing.errors import TianjingError
from tianjing.finance.errors import FinanceError
from tianjing.finance.policy import Policy
from tianjing.finance.tools import CostTools

if TYPE_CHECKING:
    from mcp.server import Server


def serve_stdio(policy: Policy | None = None) -> None:
    """Serve until the client closes standard input.

    Raises:
        FinanceError: the MCP library is not installed.
    """
    try:
        import anyio
        from mcp.server.stdio import stdio_server
    except ImportError:
        raise FinanceError("the MCP library is not installed", "pip install 'tianjing[mcp]'") from None
    server = make_server(CostTools(policy))

    async def run() -> None:
        async with stdio_server() as (reader, writer):
            await server.run(reader, writer, server.create_initialization_options())

    anyio.run(run)


def make_server(offered: CostTools) -> Server[Any]:
    """A server whose tools are `offered`; what a tool refuses is a result that the model can read and mend."""
    from mcp import types
    from mcp.server import Server

    async def list_tools(_context: Any, _page: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.description, input_schema=tool.schema())
                for tool in offered.tools.values()
            ]
        )

    async def call_tool(_context: Any, wanted: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            result = offered.call(wanted.name, wanted.arguments or {})
        except TianjingError as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], is_error=True)
        text = json.dumps(result, ensure_ascii=False)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=result)

    return Server("tianjing-cost", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)
