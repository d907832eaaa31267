"""Start, probe and stop vLLM, and talk to it over HTTP."""

from tianjing.engine.client import ChatClient, ChatRequest, Completion
from tianjing.engine.config import EngineConfig
from tianjing.engine.errors import EngineError, FailureKind
from tianjing.engine.ports import free_port, require_free_port, reserve_port
from tianjing.engine.server import Engine

__all__ = [
    "ChatClient",
    "ChatRequest",
    "Completion",
    "Engine",
    "EngineConfig",
    "EngineError",
    "FailureKind",
    "free_port",
    "require_free_port",
    "reserve_port",
]
