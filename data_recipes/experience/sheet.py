"""The review as a table for a spreadsheet: written as UTF-8 with a byte order mark, read also as GB 18030.

Before the column `decision` stands what is reviewed, after it what a person fills in; `digest` and `seen` tie a row to
what its reviewer saw. What is reviewed is not read back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data_recipes.errors import DataError
from data_recipes.experience.decisions import WORDS, Standing, Word
from data_recipes.experience.units import EDITABLE, Unit
from data_recipes.readers.encoding import UTF8_BOM, decode_file, decode_line
from tianjing.records import Clause, Practice, Procedure

KEY, DECISION, COMMENT, REVIEWER, DIGEST, SEEN = "key", "decision", "comment", "reviewer", "digest", "seen"
SHOWN = ("summary", "effect", "ci_low", "ci_high", "q", "evidence", "verdict", "decided")
EDITS = tuple(dict.fromkeys(name for names in EDITABLE.values() for name in names))
COLUMNS = (KEY, *SHOWN, DECISION, *EDITS, COMMENT, REVIEWER, DIGEST, SEEN)

_REQUIRED = (KEY, DECISION, DIGEST, SEEN)
_MAX_CELL_CHARS = 2000
_MAX_PROBLEMS = 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class SheetRow:
    """What a person filled in for one unit; `decision` is "" where nothing was decided."""

    line: int
    key: str
    decision: Word | Literal[""]
    edits: Mapping[str, str]
    comment: str
    reviewer: str
    digest: str
    seen: int
    """Number of the last decision on the unit that the reviewer could see, 0 for none."""


@dataclass
class Problems:
    """What is wrong with a sheet, by line and column, until all of it is known."""

    path: Path
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, column: str, message: str) -> None:
        self.found.append((line, f"{self.path}:{line}: column '{column}': {message}"))

    def check(self, remedy: str) -> None:
        """Raises DataError with every problem, in the order of the lines, if there is one."""
        if not self.found:
            return
        lines = [text for _, text in sorted(self.found, key=lambda problem: problem[0])]
        more = [f"and {len(lines) - _MAX_PROBLEMS} more"] if len(lines) > _MAX_PROBLEMS else []
        raise DataError("\n".join([*lines[:_MAX_PROBLEMS], *more]), f"{remedy}; nothing was recorded")


def cells(unit: Unit, standing: Standing) -> dict[str, str]:
    """The row of a unit before anything is decided."""
    record, decision = unit.record, standing.decision
    row = dict.fromkeys(COLUMNS, "") | {KEY: unit.key, "summary": unit.summary, DIGEST: unit.digest}
    row |= {"evidence": "；".join(f"{name} {value}" for name, value in unit.facts())}
    if isinstance(record, Practice):
        numbers = ("effect", "ci_low", "ci_high", "q")
        row |= {name: f"{getattr(record, name):.4g}" for name in numbers}
        row["verdict"] = " ".join((record.verdict, *record.rules))
    elif isinstance(record, Clause):
        row["evidence"] = f"{record.text}；{row['evidence']}"
    elif isinstance(record, Procedure):
        row["evidence"] = f"support {record.support}；coverage {record.coverage:.1%}"
    if decision is not None:
        changed = {"changed": f"; evidence changed: {standing.changes}", "reworded": "; on another text"}
        row["decided"] = f"{decision.decision} by {decision.reviewer} {decision.at:%Y-%m-%d}" + changed.get(
            standing.state, ""
        )
        row[SEEN] = str(decision.number)
    return row


def write_sheet(rows: Iterable[Mapping[str, str]]) -> bytes:
    """The table as a spreadsheet opens it. A text that would be a formula gets an apostrophe in front."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_inert(name, row[name]) for name in COLUMNS])
    return UTF8_BOM + out.getvalue().encode()


def read_sheet(path: Path, problems: Problems) -> list[SheetRow]:
    """The rows of a sheet, in any of its encodings; what is wrong with one goes to `problems`.

    Raises:
        DataError: no such file; neither UTF-8 nor GB 18030, with the line; no table with the columns of a review.
    """
    lines = _lines(path, _text(path))
    header_line, names = next(lines, (1, []))
    names = [name.strip() for name in names]
    _check_header(path, header_line, names)
    rows: list[SheetRow] = []
    for line, values in lines:
        if not any(value.strip() for value in values):
            continue
        if len(values) > len(names) and any(value.strip() for value in values[len(names) :]):
            problems.add(line, names[-1], f"{len(values)} cells in a table of {len(names)} columns")
            continue
        given = dict(zip(names, map(_plain, values), strict=False))
        row = {name: given.get(name, "") for name in COLUMNS}
        rows.append(_row(line, row, problems))
    return rows


def _row(line: int, row: Mapping[str, str], problems: Problems) -> SheetRow:
    decision = row[DECISION].lower()
    edits = {name: row[name] for name in EDITS if row[name]}
    if decision not in ("", *WORDS):
        problems.add(line, DECISION, f"'{row[DECISION]}' is no decision; write {', '.join(WORDS)} or leave it empty")
    elif edits and decision != "edit":
        problems.add(line, DECISION, f"{', '.join(edits)} was filled in, so write edit, or empty the cell")
    elif decision == "edit" and not edits:
        problems.add(line, DECISION, f"edit with no new wording; fill in one of {', '.join(EDITS)}")
    elif row[COMMENT] and not decision:
        problems.add(line, DECISION, "a comment without a decision would be lost; decide, or empty the comment")
    if row[SEEN] and not row[SEEN].isdecimal():
        problems.add(line, SEEN, f"'{row[SEEN]}' is no number; this column is not to be changed")
    seen = int(row[SEEN]) if row[SEEN].isdecimal() else 0
    word: Word | Literal[""] = next((word for word in WORDS if word == decision), "")
    return SheetRow(line, row[KEY], word, edits, row[COMMENT], row[REVIEWER], row[DIGEST], seen)


def _check_header(path: Path, line: int, names: Sequence[str]) -> None:
    remedy = "save the sheet as CSV with commas, its first row as it was written"
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise DataError(f"{path}:{line}: no column '{missing[0]}' in the first row", remedy)
    for place, name in enumerate(names, start=1):
        if name and name not in COLUMNS:
            raise DataError(
                f"{path}:{line}: column {place} is called '{name}', which no review has: its cells would be lost",
                remedy,
            )
        if name and name in names[: place - 1]:
            raise DataError(f"{path}:{line}: two columns '{name}'", remedy)


def _text(path: Path) -> str:
    try:
        return decode_file(path)
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(f"{path}: no such file", "give the review.csv that was filled in") from None
    except DataError as error:
        if "UTF-16" in error.message:
            raise
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            try:
                decode_line(line, "utf-8")
            except ValueError as reason:
                column = 1 + line[: int(str(reason).rpartition(" ")[2])].count(b",")
                raise DataError(
                    f"{path}:{number}: column {column}: {reason}", "save the sheet as CSV UTF-8; nothing was recorded"
                ) from None
        raise error


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """(line it begins on, cells) of each row; a quoted cell may run over several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    try:
        for row in reader:
            yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{begin}: {error}", "mend the quotes of this line; nothing was recorded") from None


def _plain(value: str) -> str:
    """A cell without the apostrophe that keeps it from being a formula."""
    text = value.strip()
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


def _inert(name: str, value: str) -> str:
    cut = value if len(value) <= _MAX_CELL_CHARS else f"{value[:_MAX_CELL_CHARS]}……"
    is_number = name in ("effect", "ci_low", "ci_high", "q")
    return f"'{cut}" if cut.startswith(_FORMULA) and not is_number else cut
