"""A folder of rule documents: the reader by extension, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from data_recipes.readers.document import RuleDocument
from data_recipes.readers.markdown import read_markdown, read_text
from data_recipes.readers.office import read_docx, read_html
from data_recipes.readers.pdf import read_pdf

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
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in READERS and path.is_file() and not path.name.startswith((".", "~$"))
    )


def read_rules(folder: Path, suffixes: tuple[str, ...] = tuple(READERS)) -> Iterator[RuleDocument]:
    """Read every rule document under `folder`."""
    for path in rule_files(folder):
        if path.suffix.lower() in suffixes:
            yield READERS[path.suffix.lower()](path, path.relative_to(folder).as_posix())
