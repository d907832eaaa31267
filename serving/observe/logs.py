"""Logs without personal data: every message is masked, and of an exception only its kind and its place are told.

An exception's own message often holds what it failed on (`invalid literal for int(): '138…'`), so it is left out.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from serving.observe.base import Watched
from serving.observe.settings import ObserveSettings
from tianjing.privacy import mask

_requests = logging.getLogger("serving.requests")
_MAX_CHARS: Final = 2000
# Loggers of libraries that would repeat each request, or print headers.
_QUIET: Final = ("httpx", "aiohttp.access", "uvicorn.access", "asyncio")


class SafeFormatter(logging.Formatter):
    """One line a record, as text or as JSON."""

    def __init__(self, as_json: bool):
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()[:_MAX_CHARS]).text,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            row["error"] = record.exc_info[0].__name__
            row["where"] = _places(record.exc_info[2])
        if self._as_json:
            return json.dumps(row, ensure_ascii=False, default=str)
        head = f"{row.pop('at')} {row.pop('level'):7} {row.pop('logger')}: {row.pop('message')}"
        line = " ".join([head, *(f"{name}={value}" for name, value in row.items())])
        return line.replace("\n", "\\n").replace("\r", "\\r")


def _places(tb: Any) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(tb)[-8:]]


class RequestLog:
    """One line for each request: ids, counts and times."""

    def began(self, seen: Watched) -> None:
        pass

    def ended(self, seen: Watched) -> None:
        """Write the line."""
        fields = {
            "request": seen.request,
            "tenant": seen.tenant,
            "path": seen.path,
            "adapter": seen.target.model if seen.target else "none",
            "arm": seen.target.arm if seen.target else "none",
            "upstream": seen.upstream,
            "status": seen.status,
            "outcome": seen.outcome,
            "reasons": list(seen.reasons),
            "prompt_tokens": seen.prompt_tokens,
            "completion_tokens": seen.completion_tokens,
            "first_ms": _ms(seen.began, seen.first),
            "total_ms": _ms(seen.began, seen.ended),
        }
        if seen.traceparent:
            fields["trace"] = seen.traceparent.split("-")[1]
        _requests.info("request", extra={"fields": fields})


def _ms(began: float, at: float | None) -> float | None:
    return None if at is None else round((at - began) * 1000, 2)


def set_up(settings: ObserveSettings, stream: TextIO | None = None) -> None:
    """Send every logger's records to `stream` (standard error) through the safe formatter, and nowhere else."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(SafeFormatter(settings.log_format == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
