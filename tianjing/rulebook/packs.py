"""Reading rule packs: strict, and every complaint names the file, the rule, the field and what to do."""

from __future__ import annotations

import difflib
import functools
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tianjing.config import UniqueKeyLoader
from tianjing.rulebook.errors import RulebookError
from tianjing.rulebook.schema import Pack

_CHECKS = ("phrase", "disclosure", "number", "contacts", "offer", "human")
_VARIANTS = frozenset((*_CHECKS, "str", "ExampleDialogue", "ExampleLog", "Citation", "literal[False]"))


def read_pack(path: Path) -> Pack:
    """Read one YAML pack.

    Raises:
        RulebookError: with the file, the id of the rule, the field, and a remedy.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulebookError(f"{path}: cannot be read: {error}", "give the path of a UTF-8 YAML rule pack") from None
    return parse_pack(text, str(path))


def parse_pack(text: str, where: str) -> Pack:
    """Validate a pack's YAML text; `where` opens each message."""
    try:
        value = yaml.load(text, UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise RulebookError(f"{where}{line}: not valid YAML: {problem}", "mend the line") from None
    if not isinstance(value, dict):
        raise RulebookError(f"{where}: a rule pack is a mapping with 'pack' and 'rules'", "see docs/rulebook.md")
    try:
        return Pack.model_validate(value)
    except ValidationError as error:
        problems = [_explain(value, problem) for problem in error.errors()]
        # A union reports each of its members: the first complaint per field says enough.
        lines = dict(problems)
        first = next(iter(lines.values()))[1]
        message = "\n".join(f"{where}: {field}: {said}" for field, (said, _) in lines.items())
        raise RulebookError(message, first) from None


def _explain(value: dict[str, Any], problem: Any) -> tuple[str, tuple[str, str]]:
    location = [str(part) for part in problem["loc"] if str(part) not in _VARIANTS]
    where = ""
    if len(location) >= 2 and location[0] in ("rules", "overrides") and location[1].isdigit():
        entry = value[location[0]][int(location[1])]
        name = entry.get("id" if location[0] == "rules" else "rule") if isinstance(entry, dict) else None
        kind = "rule" if location[0] == "rules" else "override of"
        where = f"{kind} '{name}': " if name else f"{kind} number {int(location[1]) + 1}: "
        location = location[2:]
    field = ".".join(location) or "entry"
    key = f"{where}field '{field}'"
    if problem["type"] == "extra_forbidden":
        if location and where.startswith("override"):
            return key, ("is not overridable", "a company overrides only 'severity' and 'action'")
        return key, ("is unknown", "remove it, or correct its name: `tianjing rules show --schema` lists the fields")
    if problem["type"] == "missing":
        return key, ("is missing", f"add '{location[-1] if location else 'it'}'")
    return key, (f"{problem['msg']} (got {problem['input']!r:.60})", "give a value that the schema permits")


@functools.lru_cache(maxsize=1)
def shipped_packs() -> tuple[tuple[str, Pack], ...]:
    """(name, pack) of the packs that come with Tianjing; the vocabulary first."""
    folder = resources.files("tianjing.rulebook") / "packs"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    return tuple((f"shipped:{item.name}", parse_pack(item.read_text(encoding="utf-8"), item.name)) for item in files)


def nearest(name: str, known: list[str]) -> str:
    """; did you mean '…'?, or nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
