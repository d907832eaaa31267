"""What people have decided on knowledge: one line a decision, appended and never changed.

Of two decisions on one unit the later counts; the earlier one stays in the file. Each holds the unit as it was
reviewed, so that it can be told, and kept to, whatever a later extraction says.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from pydantic import AwareDatetime, Field

from data_recipes.errors import DataError
from data_recipes.experience.units import Kind, Unit, material, restore, same_subject
from tianjing.config import StrictModel
from tianjing.files import make_folder, parse_line

Word = Literal["accept", "edit", "reject"]
WORDS: tuple[Word, ...] = get_args(Word)


class Decision(StrictModel):
    """One decision of one person on one unit."""

    number: int = Field(ge=1)
    """Place in the file, counted from 1: the version of the decisions."""
    at: AwareDatetime
    reviewer: str = Field(min_length=1)
    kind: Kind
    unit: str
    """Id of the practice, procedure or clause."""
    decision: Word
    edits: dict[str, str] = {}
    """Field -> its new wording, for `edit`."""
    comment: str = ""
    digest: str
    """Of the unit as it was reviewed."""
    reviewed: dict[str, Any]
    """The unit as it was reviewed."""
    knowledge: str
    """Digest of the knowledge it was reviewed in."""
    supersedes: int | None = None
    """Number of the decision that it takes the place of."""

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.unit}"


@dataclass(frozen=True)
class Standing:
    """Where a unit stands: what was decided on it, and what has changed since.

    state: `open` (nobody decided), `decided`, `changed` (decided, and its evidence has changed materially since, as
    `changes` says), `reworded` (what was decided on is another text under the same name: it is open again).
    """

    state: Literal["open", "decided", "changed", "reworded"]
    decision: Decision | None = None
    changes: str = ""
    reviewed: Unit | None = None
    """The unit as it was reviewed, where something was decided."""


def standing(unit: Unit, decision: Decision | None) -> Standing:
    """Where a unit stands by the last decision under its name.

    Raises:
        DataError: the decision holds no such record.
    """
    if decision is None:
        return Standing("open")
    try:
        reviewed = restore(unit, decision.reviewed)
    except ValueError as error:
        raise DataError(f"decision {decision.number}: {error}", "decide on the unit again") from None
    if not same_subject(reviewed, unit):
        return Standing("reworded", decision, "", reviewed)
    changes = material(reviewed, unit)
    return Standing("changed" if changes else "decided", decision, changes, reviewed)


def read_decisions(path: Path) -> list[Decision]:
    """All decisions, in their order.

    Raises:
        DataError: no such file, a line that is none, or a line missing or out of its place.
    """
    try:
        with open(path, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            return list(_parse(path, stream.read()))
    except FileNotFoundError:
        remedy = "review first: tianjing data review KNOWLEDGE --out REVIEW, then --apply REVIEW/review.csv"
        raise DataError(f"{path}: no such file of decisions", remedy) from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder", "name the file of decisions, e.g. decisions.jsonl") from None


def latest(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """Key of a unit -> the decision that counts."""
    return {decision.key: decision for decision in decisions}


def append(path: Path, decide: Callable[[Sequence[Decision]], Sequence[Decision]]) -> list[Decision]:
    """Append what `decide` makes of the decisions so far, while nobody else writes; all of it or nothing.

    Whatever `decide` raises leaves the file as it was.
    """
    with _locked(path) as stream:
        stream.seek(0)
        data = stream.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # a kill tore the last line off: its review never reported success
            stream.truncate(whole)
        made = list(decide(list(_parse(path, data[:whole]))))
        lines = "".join(decision.model_dump_json(exclude_none=True) + "\n" for decision in made)
        stream.write(lines.encode())
        stream.flush()
        os.fsync(stream.fileno())
    return made


def _parse(path: Path, data: bytes) -> Iterator[Decision]:
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            decision = parse_line(line, Decision)
        except ValueError as error:
            raise DataError(
                f"{path}:{number}: {error}", "take the file from a backup; it is only appended to"
            ) from None
        if decision.number != number:
            raise DataError(
                f"{path}:{number}: holds decision {decision.number}, so a line is missing or out of its place",
                "take the file from a backup; it is only appended to",
            )
        yield decision


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    make_folder(path.parent)
    with open(path, "a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream
