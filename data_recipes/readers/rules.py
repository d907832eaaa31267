"""A folder of rule documents: the reader by extension, in a fixed order; a bad document does not cost the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.html import read_html
from data_recipes.readers.markdown import read_markdown, read_text
from data_recipes.readers.office import read_docx
from data_recipes.readers.pdf import read_pdf
from tianjing.files import OnError

READERS: dict[str, Callable[[Path, str], RuleDocument]] = {
    ".md": read_markdown,
    ".txt": read_text,
    ".html": read_html,
    ".htm": read_html,
    ".docx": read_docx,
    ".pdf": read_pdf,
}


def rule_files(folder: Path) -> list[Path]:
    """Readable rule documents under `folder`, sorted by path; Word's lock files (~$…) and hidden files are left out."""
    return [path for path in _files(folder) if path.suffix.lower() in READERS]


def unread_files(folder: Path) -> list[str]:
    """Files under `folder` in a format that no reader knows (.doc, .wps, a picture), relative to it."""
    return [path.relative_to(folder).as_posix() for path in _files(folder) if path.suffix.lower() not in READERS]


def read_rules(
    folder: Path,
    suffixes: tuple[str, ...] = tuple(READERS),
    on_error: OnError = "stop",
    rejected: list[dict[str, Any]] | None = None,
) -> Iterator[RuleDocument]:
    """Read every rule document under `folder`.

    Args:
        on_error: `skip` appends {"file", "line", "error", "text"} to `rejected` for a document that cannot be read
            (line 0: the whole of it; the text stays in the file) and goes on.

    Raises:
        DataError: a document cannot be read, or holds nothing, and `on_error` is `stop`.
    """
    for path in rule_files(folder):
        if path.suffix.lower() not in suffixes:
            continue
        name = path.relative_to(folder).as_posix()
        try:
            document = READERS[path.suffix.lower()](path, name)
            if not document.paragraphs and not document.tables:
                raise DataError(f"{path}: holds no text", "remove it, or export it again")
        except DataError as error:
            if on_error == "stop":
                raise
            if rejected is not None:
                reason = error.message.removeprefix(f"{path}: ")
                rejected.append({"file": f"{folder.name}/{name}", "line": 0, "error": reason, "text": ""})
            continue
        yield document


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "~$")))
