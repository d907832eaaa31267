"""So many tasks at once over one queue, none of which outlives the others' end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def run_workers(count: int, work: Callable[[], Coroutine[Any, Any, Result]]) -> list[Result]:
    """What `work` gives, run so many times at once. An error, or a cancellation, ends the others first."""
    tasks = [asyncio.create_task(work()) for _ in range(count)]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # a second Ctrl-C: what ended the work is what is told
            await asyncio.gather(*tasks, return_exceptions=True)
