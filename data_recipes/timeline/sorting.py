"""Sort more lines than memory holds: sorted runs in unnamed temporary files, merged.

The order is that of the whole line by code point, so the result depends on nothing but the lines. Fields of a key are
joined by tabs and written as JSON, in which no control character stands: a tab sorts before every other character.
The files have no name in the file system: what a killed process leaves behind is nothing.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Any

RUN_BYTES = 128 << 20


def key_line(key: Iterable[str], payload: Any) -> str:
    """One line to sort: the parts of the key, then the payload as JSON."""
    return "\t".join([*(json.dumps(part, ensure_ascii=False) for part in key), json.dumps(payload, ensure_ascii=False)])


def first_part(line: str) -> str:
    """The first part of the key of a line of `key_line`, as it is written: equal for equal values."""
    return line[: line.index("\t")]


def second_part(line: str) -> Any:
    """The second part of the key."""
    return json.loads(line.split("\t", 2)[1])


def payload_of(line: str) -> Any:
    """The payload."""
    return json.loads(line[line.rindex("\t") + 1 :])


def sort_lines(lines: Iterable[str], run_bytes: int = RUN_BYTES) -> Iterator[str]:
    """`lines` (without line breaks) in order, with about `run_bytes` of them in memory at a time."""
    runs: list[IO[str]] = []
    held: list[str] = []
    size = 0
    with ExitStack() as open_files:
        for line in lines:
            held.append(line)
            size += len(line) * 2 + 64
            if size >= run_bytes:
                runs.append(open_files.enter_context(_written(held)))
                held, size = [], 0
        held.sort()
        yield from heapq.merge(*(map(_bare, run) for run in runs), held)


def _written(lines: list[str]) -> IO[str]:
    lines.sort()
    run = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", errors="surrogatepass")  # noqa: SIM115
    run.writelines(f"{line}\n" for line in lines)
    run.seek(0)
    return run


def _bare(line: str) -> str:
    return line[:-1]
