"""What goes on to a dataset: knowledge as people have decided on it.

An accepted unit goes on as it was reviewed. Where a later extraction agrees with what was reviewed, its own figures are
used; where it differs materially, the reviewed ones stand until somebody decides again. Only the rulebook outranks a
decision: what is vetoed now is never taught, whoever accepted it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from data_recipes.experience.decisions import Decision, Standing, latest, standing
from data_recipes.experience.units import EDITABLE, EditError, Kind, Unit, edited, units
from data_recipes.knowledge import Knowledge
from tianjing.records import Clause
from tianjing.rulebook import PhraseMatcher

Taken = Literal["accepted", "all"]


def decided(
    knowledge: Knowledge, decisions: Iterable[Decision], taken: Taken, matcher: PhraseMatcher
) -> tuple[Knowledge, Counter[str]]:
    """The knowledge without what was rejected, with what was edited; and what was left out, by reason.

    With `accepted`, practices and procedures that nobody accepted are left out too. Clauses are a document's own words:
    they stay unless they are rejected. A vetoed practice stays to be known as such; nothing is ever taught from it.

    Raises:
        DataError: a decision holds no record that can be read.
    """
    known = latest(decisions)
    left_out: Counter[str] = Counter()
    kept: Mapping[Kind, list[Any]] = {"practice": [], "procedure": [], "clause": []}
    found: set[str] = set()
    for unit in units(knowledge):
        found.add(unit.key)
        where = standing(unit, known.get(unit.key))
        reason = _left_out(unit, where, taken)
        if not reason:
            try:
                kept[unit.kind].append(_as_decided(unit, where, matcher).record)
            except EditError as error:
                reason = f"whose edited words no longer stand: {error}"
        if reason:
            left_out[f"{unit.kind} {reason}"] += 1
    for decision in known.values():
        if decision.key not in found and decision.decision != "reject":
            left_out[f"{decision.kind} accepted in a review, not in this knowledge"] += 1
    chosen = replace(knowledge, practices=kept["practice"], procedures=kept["procedure"], clauses=kept["clause"])
    return chosen, left_out


def _left_out(unit: Unit, where: Standing, taken: Taken) -> str:
    counts = where.state in ("decided", "changed")
    decision = where.decision.decision if where.decision and counts else ""
    if unit.vetoed:
        return ""
    if decision == "reject":
        return "rejected in a review"
    if taken == "all" or unit.kind == "clause" or decision:
        return ""
    return "reviewed under another wording" if where.state == "reworded" else "that nobody has accepted"


def _as_decided(unit: Unit, where: Standing, matcher: PhraseMatcher) -> Unit:
    decision = where.decision
    if unit.vetoed or decision is None or where.reviewed is None or where.state not in ("decided", "changed"):
        return unit
    stands = unit if where.state == "decided" else _as_reviewed(unit, where.reviewed)
    return edited(stands, decision.edits, matcher) if decision.decision == "edit" else stands


def _as_reviewed(unit: Unit, reviewed: Unit) -> Unit:
    """What a reviewer saw; of a clause its norm, at the place where it stands now."""
    if isinstance(unit.record, Clause):
        norm = {name: getattr(reviewed.record, name) for name in EDITABLE["clause"]}
        return Unit(unit.kind, unit.record.model_copy(update=norm))
    return reviewed
