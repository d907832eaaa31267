"""What the command line and the configuration of `tianjing serve` make of what stands in deploy/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from serving.cli import app
from serving.config import ServeConfig
from tianjing.config import parse


def options_of(command: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters that `tianjing serve COMMAND ARGUMENTS` would run with; unknown options are an error."""
    group: Any = typer.main.get_command(app)
    found = group.commands[command]
    with found.make_context(command, list(arguments)) as context:
        return dict(context.params)


def parse_gateway_file(text: str) -> ServeConfig:
    """As `tianjing serve gateway` reads its file."""
    return parse(ServeConfig, {**yaml.safe_load(text), "engine": "external"}, "gateway.yaml")


def parse_engine_file(text: str) -> ServeConfig:
    """As `tianjing serve engine --config` reads it, where the model comes from the command line."""
    return parse(ServeConfig, {**yaml.safe_load(text), "model": Path("/models/merged")}, "engine.yaml")
