"""Files: digests, atomic writes and JSON Lines whose errors name the file and the line."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from tianjing.errors import TianjingError

OnError = Literal["stop", "skip"]
SKIP_HINT = "mend the line, or pass --on-error skip to keep it aside and go on"
Record = TypeVar("Record", bound=BaseModel)


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, UTF-8 kept; used wherever JSON is hashed."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write through a temporary sibling, flushed to disk and renamed, so readers see old or new.

    Raises:
        TianjingError: `path` is a folder, or lies beneath a file.
    """
    path = Path(path)
    require_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def require_target(*paths: Path | None) -> None:
    """Raises TianjingError where one of `paths` cannot be a file, for it is a folder or lies beneath a file.

    What takes long asks before it begins.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise TianjingError(f"{path}: is a folder", "name the file to write")
        require_above(path)


def require_above(path: Path) -> None:
    """Raises TianjingError where `path` lies beneath a file, so that its folder can neither be there nor be made."""
    _require_folders(path, path.parents)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there; raises TianjingError where a file stands in its way."""
    _require_folders(folder, (folder, *folder.parents))
    folder.mkdir(parents=True, exist_ok=True)


def _require_folders(path: Path, folders: Iterable[Path]) -> None:
    for folder in folders:
        if os.path.isdir(folder):
            return
        if os.path.lexists(folder):
            raise TianjingError(f"{path}: cannot be written: {folder} is no folder", "give another path")


def require_readable(path: Path) -> None:
    """Raises TianjingError where there is no file to read at `path`; a pipe is one, too."""
    if path.is_dir():
        raise TianjingError(f"{path}: is a folder, not a file", "name the file in it")
    if not path.exists():
        raise TianjingError(f"{path}: no such file", "check the path")
    if not os.access(path, os.R_OK):
        raise TianjingError(f"{path}: you may not read it", "mend its permissions")


def flush_folder(folder: Path) -> None:
    """Flush every file and folder below `folder`, and itself, to disk: what a rename then puts in place is whole."""
    for inside, _, names in os.walk(folder):
        for name in names:
            flush(Path(inside) / name)
        flush(Path(inside))


def flush(path: Path) -> None:
    """Flush one file, or one folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_jsonl(path: Path, rows: Iterable[BaseModel | dict[str, Any]]) -> int:
    """Write one JSON object a line; returns the number of rows. Field order is the record's own."""
    count = 0
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            value = row.model_dump(mode="json", exclude_none=True) if isinstance(row, BaseModel) else row
            stream.write(json.dumps(value, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(
    path: Path,
    model: type[Record],
    on_error: OnError = "stop",
    rejects: list[dict[str, Any]] | None = None,
    remedy: str = "mend the line",
) -> Iterator[Record]:
    """Yield validated records.

    Args:
        on_error: `stop` raises at the first bad line; `skip` appends
            `{"file", "line", "error", "text"}` to `rejects` and goes on, so nothing is lost.
        remedy: what to do about a bad line; `SKIP_HINT` where the command can skip it.

    Raises:
        TianjingError: no such file, or a bad line, naming file, line and field.
    """
    require_readable(Path(path))
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            try:
                yield parse_line(raw, model)
            except ValueError as error:
                if on_error == "stop":
                    raise TianjingError(f"{path}:{number}: {error}", remedy) from None
                if rejects is not None:
                    text = raw.decode("utf-8", errors="replace").rstrip("\n")
                    rejects.append({"file": Path(path).name, "line": number, "error": str(error), "text": text})


def read_journal(path: Path, model: type[Record]) -> Iterator[Record]:
    """The rows of a file that is written a line at a time; none where there is no file.

    A line that a kill tore off is cut from the file, so that the next one begins on its own.
    """
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with open(path, "r+b") as stream:
            stream.truncate(len(whole))
    yield from read_jsonl(path, model)


def parse_line(raw: bytes, model: type[Record]) -> Record:
    """Parse one JSON line; raises ValueError with a one-line reason a person can act on."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON at column {error.colno}: {error.msg}") from None
    return validate_row(value, model)


def validate_row(value: Any, model: type[Record]) -> Record:
    """Validate a parsed row; raises ValueError naming each wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            field = ".".join(str(part) for part in problem["loc"]) or "row"
            if problem["type"] == "extra_forbidden":
                problems.append(f"unknown field '{field}'")
            else:
                problems.append(f"field '{field}': {problem['msg']}")
        raise ValueError("; ".join(problems)) from None
