"""`tianjing data review`: knowledge as a page and a table to decide on, and the decisions recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from data_recipes.browse.review import review_page
from data_recipes.errors import DataError
from data_recipes.experience.decisions import Decision, append, latest, read_decisions, standing
from data_recipes.experience.sheet import Problems, SheetRow, cells, read_sheet, write_sheet
from data_recipes.experience.units import EditError, Unit, edited, units
from data_recipes.knowledge import Knowledge, read_knowledge
from tianjing.files import atomic_write
from tianjing.lineage import read_manifest
from tianjing.rulebook import PhraseMatcher, Rulebook

PAGE, SHEET = "review.html", "review.csv"


def write_review(folder: Path, out: Path, decisions: Path | None = None) -> Counter[str]:
    """Write the page and the table of a knowledge to `out`; returns how many units stand in which state.

    Raises:
        DataError: no knowledge; no such decisions; `out` holds a table with something that is not recorded.
    """
    knowledge = read_knowledge(folder)
    known = latest(read_decisions(decisions)) if decisions else {}
    _keep_what_was_filled_in(out / SHEET, known.values())
    found = [(unit, standing(unit, known.get(unit.key))) for unit in units(knowledge)]
    page = review_page(folder.name, read_manifest(folder), knowledge.dialogues, found)
    atomic_write(out / SHEET, write_sheet(cells(unit, where) for unit, where in found))
    atomic_write(out / PAGE, page)
    return Counter(f"{unit.kind} {where.state}" for unit, where in found)


def apply_review(
    folder: Path, sheet: Path, decisions: Path, reviewer: str = "", supersede: bool = False, now: datetime | None = None
) -> list[Decision]:
    """Append the decisions of a filled-in table; returns those that are new. All of it is recorded, or nothing.

    A row that says again what its reviewer has already decided on the same evidence is not recorded twice.

    Args:
        reviewer: who decided the rows that name nobody.
        supersede: let a decision stand although somebody else decided on the unit after the table was written.

    Raises:
        DataError: naming line and column of every row that cannot be recorded.
    """
    knowledge = read_knowledge(folder)
    problems = Problems(sheet)
    rows = read_sheet(sheet, problems)
    recorder = _Recorder(
        knowledge, read_manifest(folder).digest, reviewer.strip(), supersede, now or datetime.now(UTC), problems
    )
    return append(decisions, lambda known: recorder.decide(rows, known))


class _Recorder:
    """Turns rows into decisions."""

    def __init__(
        self, knowledge: Knowledge, digest: str, reviewer: str, supersede: bool, now: datetime, problems: Problems
    ):
        self._units = {unit.key: unit for unit in units(knowledge)}
        self._digest, self._reviewer, self._supersede = digest, reviewer, supersede
        self._now, self._problems = now.replace(microsecond=0), problems

    def decide(self, rows: Sequence[SheetRow], known: Sequence[Decision]) -> list[Decision]:
        counting, made = latest(known), list[Decision]()
        nameless = [row for row in rows if row.decision and not (row.reviewer or self._reviewer)]
        if nameless:
            message = f"{len(nameless)} decisions name nobody; fill the column in, or give --reviewer NAME"
            self._problems.add(nameless[0].line, "reviewer", message)
        lines: dict[str, int] = {}
        for row in rows:
            unit = self._units.get(row.key)
            if row.key in lines:
                self._problems.add(row.line, "key", f"'{row.key}' stands on line {lines[row.key]} already")
            lines.setdefault(row.key, row.line)
            if unit is None:
                self._problems.add(row.line, "key", f"no '{row.key}' in this knowledge")
            elif row.decision and self._stands(row, unit, counting.get(row.key)):
                decision = self._decision(row, unit, counting.get(row.key), len(known) + len(made) + 1)
                if not _says_the_same(decision, counting.get(row.key)):
                    made.append(decision)
        self._problems.check("mend these cells and apply the sheet again")
        return made

    def _stands(self, row: SheetRow, unit: Unit, before: Decision | None) -> bool:
        """Whether a row may be recorded; if not, the problem is noted."""
        add = self._problems.add
        if row.digest != unit.digest:
            add(row.line, "digest", "the sheet was written from another extraction; apply it to that one")
        elif not (row.reviewer or self._reviewer):
            return False
        elif unit.vetoed and row.decision != "reject":
            rules = "、".join(getattr(unit.record, "rules", ())) or "the rulebook"
            add(row.line, "decision", f"vetoed by {rules}: it can never be accepted, whatever its effect")
        elif before is not None and before.number != row.seen and not self._supersede and self._differs(row, before):
            by = f"{before.reviewer} decided {before.decision} (decision {before.number}) after this sheet was written"
            add(row.line, "seen", f"{by}; write the review again to see it, or let yours stand with --supersede")
        else:
            return self._can_be_edited(row, unit)
        return False

    def _can_be_edited(self, row: SheetRow, unit: Unit) -> bool:
        try:
            if row.decision == "edit":
                edited(unit, row.edits, self._matcher)
        except EditError as error:
            self._problems.add(row.line, error.field, str(error))
            return False
        return True

    @cached_property
    def _matcher(self) -> PhraseMatcher:
        return Rulebook.load().matcher("agent")

    def _differs(self, row: SheetRow, before: Decision) -> bool:
        return (row.decision, dict(row.edits), row.digest) != (before.decision, before.edits, before.digest)

    def _decision(self, row: SheetRow, unit: Unit, before: Decision | None, number: int) -> Decision:
        return Decision(
            number=number,
            at=self._now,
            reviewer=row.reviewer or self._reviewer,
            kind=unit.kind,
            unit=unit.record.id,
            decision=row.decision,
            edits=dict(row.edits),
            comment=row.comment,
            digest=unit.digest,
            reviewed=unit.record.model_dump(mode="json", exclude_none=True),
            knowledge=self._digest,
            supersedes=before.number if before else None,
        )


def _says_the_same(one: Decision, before: Decision | None) -> bool:
    alike = ("decision", "edits", "digest", "reviewer", "comment")
    return before is not None and all(getattr(one, name) == getattr(before, name) for name in alike)


def _keep_what_was_filled_in(sheet: Path, decisions: Iterable[Decision]) -> None:
    """A table is written over only if all that was filled in is recorded in `decisions`."""
    if not sheet.exists():
        return
    problems = Problems(sheet)
    recorded = [(one.key, one.digest, one.decision, one.edits, one.comment) for one in decisions]
    for row in read_sheet(sheet, problems):
        filled_in = row.decision or row.edits or row.comment
        if filled_in and (row.key, row.digest, row.decision, dict(row.edits), row.comment) not in recorded:
            problems.add(row.line, "decision", "not recorded")
    if problems.found:
        raise DataError(
            f"{sheet}: somebody has filled it in, and it is not all recorded",
            "record it with --apply and name the --decisions, or give --out another folder; it is not written over",
        )
