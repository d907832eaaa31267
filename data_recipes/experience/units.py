"""What a person can review: a practice, a procedure or the norm of a clause, as one unit with its evidence.

A decision is about the words of a unit (`same_subject`). Its evidence may change from extraction to extraction; a
change that matters to a reviewer is material.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from data_recipes.browse.view import strings
from data_recipes.knowledge import Knowledge
from tianjing.acts import ACTS
from tianjing.files import canonical_json, sha256_bytes
from tianjing.records import Clause, Modality, Practice, Procedure
from tianjing.rulebook import PhraseMatcher

Kind = Literal["practice", "procedure", "clause"]
Reviewable = Practice | Procedure | Clause
KINDS: tuple[Kind, ...] = get_args(Kind)

# Kind -> the fields a reviewer may write anew, in the order of the sheet.
EDITABLE: Mapping[Kind, tuple[str, ...]] = {
    "practice": ("situation", "action"),
    "procedure": ("steps",),
    "clause": ("modality", "subject", "conditions", "exception"),
}
# Fields that hold several values, and what stands between them in one cell.
SEPARATORS: Mapping[str, str] = {"steps": "→", "conditions": "；"}

_SUBJECT: Mapping[Kind, tuple[str, ...]] = {
    "practice": ("situation", "action", "outcome"),
    "procedure": ("task",),
    "clause": ("document", "text"),
}
# Shown by name elsewhere in a unit; what else a record holds is shown as it is.
_SHOWN = {
    *("id", "situation", "action", "outcome", "effect", "ci_low", "ci_high", "q", "verdict", "rules", "exemplars"),
    *("task", "steps", "document", "text", "path", "situation_wording", "action_wording"),
    *("quantities", "references", "definitions", "lead_in_chars", "span"),
}
_MAX_BRACKET_CHARS = 24  # 【situation：action】 as tianjing.tasks.next_reply reads it
_NO_LABEL = set("【】[]：:\n\r")


class EditError(ValueError):
    """An edit that cannot stand; `field` is the one at fault."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Unit:
    """One piece of knowledge as it is reviewed."""

    kind: Kind
    record: Reviewable

    @property
    def key(self) -> str:
        """Name of the unit over all kinds, e.g. practice:失业/offer_deferral."""
        return f"{self.kind}:{self.record.id}"

    @cached_property
    def digest(self) -> str:
        """Of the whole content. A letter first: a spreadsheet must not read it as a number."""
        content = self.record.model_dump(mode="json", exclude_none=True)
        return f"r{sha256_bytes(canonical_json(content).encode())[:15]}"

    @property
    def summary(self) -> str:
        """What the unit says, in one line."""
        record = self.record
        if isinstance(record, Practice):
            return f"{record.situation}：{title(record.action)} → {record.outcome}"
        if isinstance(record, Procedure):
            return f"{record.task}：{' → '.join(record.steps)}"
        return f"《{record.document}》{' '.join(record.path)}"

    @property
    def vetoed(self) -> bool:
        return isinstance(self.record, Practice) and self.record.verdict == "vetoed"

    def value(self, field: str) -> str:
        """An editable field as one cell."""
        found = getattr(self.record, field)
        if isinstance(self.record, Practice) and field == "action":
            return title(found)
        return SEPARATORS[field].join(found) if field in SEPARATORS else str(found)

    def facts(self) -> Iterator[tuple[str, str]]:
        """(name, value) of every field that no other part of the unit shows, also of fields added later."""
        for name in type(self.record).model_fields:
            value = getattr(self.record, name)
            if name not in _SHOWN and value not in (None, "", (), []):
                yield name, _plain(value)


def units(knowledge: Knowledge) -> Iterator[Unit]:
    """Everything that can be reviewed: practices, procedures, then clauses."""
    for practice in knowledge.practices:
        yield Unit("practice", practice)
    for procedure in knowledge.procedures:
        yield Unit("procedure", procedure)
    for clause in knowledge.clauses:
        yield Unit("clause", clause)


def title(action: str) -> str:
    """An act by its title; an activity of the operation log by its own name."""
    return ACTS.get(action, action)


def restore(unit: Unit, reviewed: Mapping[str, Any]) -> Unit:
    """The unit as it was reviewed; fields that the record has gained since are those of now.

    Raises:
        ValueError: it can no longer be read as such a record.
    """
    model = type(unit.record)
    now = unit.record.model_dump(mode="json")
    known = {name: value for name, value in reviewed.items() if name in model.model_fields}
    try:
        return Unit(unit.kind, model.model_validate({**now, **known}))
    except ValidationError as error:
        raise ValueError(f"{unit.key} as it was reviewed: {error.errors()[0]['msg']}") from None


def same_subject(one: Unit, other: Unit) -> bool:
    """Whether two units of one name say it of the same thing: a decision on another text decides nothing."""
    return all(getattr(one.record, name) == getattr(other.record, name) for name in _SUBJECT[one.kind])


def material(reviewed: Unit, now: Unit) -> str:
    """What has changed that a reviewer should see, "" for nothing.

    Of a practice: the sign of the effect, whether its interval holds zero, intervals without a common value, the
    verdict, or support; of a procedure its steps and their order; of a clause its norm.
    """
    old, new = reviewed.record, now.record
    if isinstance(old, Practice) and isinstance(new, Practice):
        signs = [("effect", one.effect > 0, _decided(one)) for one in (old, new)]
        changed = (
            ["effect"] if signs[0] != signs[1] or max(old.ci_low, new.ci_low) > min(old.ci_high, new.ci_high) else []
        )
        names = ("verdict", "exploratory", *(name for name in ("fragile",) if name in Practice.model_fields))
    else:
        changed = []
        names = ("steps", "order") if now.kind == "procedure" else EDITABLE["clause"]
    changed += [name for name in names if getattr(old, name) != getattr(new, name)]
    return "、".join(changed)


def edited(unit: Unit, edits: Mapping[str, str], matcher: PhraseMatcher) -> Unit:
    """The unit with a reviewer's words in the place of its own.

    An edit words a practice anew: the cases behind it stay those of its own situation and action, so a tagged act keeps
    its title in the wording. Steps taken out of a procedure take their order with them.

    Raises:
        EditError: a field that this kind does not have or that cannot hold the value; words that break a rule.
    """
    record = unit.record
    for name, value in edits.items():
        if name not in EDITABLE[unit.kind]:
            raise EditError(name, f"a {unit.kind} has no '{name}' to edit; it has {', '.join(EDITABLE[unit.kind])}")
        parts = value.split(SEPARATORS[name]) if name in SEPARATORS else [value]
        for hit in (hit for part in parts for hit in matcher.find(part)):
            raise EditError(name, f"'{hit.evidence}' breaks rule {hit.rule.id} ({hit.rule.title})")
    if isinstance(record, Practice):
        _check_wording(record, edits)
        wording = {f"{name}_wording": value for name, value in edits.items()}
        return Unit(unit.kind, record.model_copy(update=wording))
    if isinstance(record, Procedure):
        steps = _parts("steps", edits["steps"])
        if len(set(steps)) < len(steps):
            raise EditError("steps", "a step stands twice")
        gone = set(record.steps) - set(steps)
        rest = {name: _without(getattr(record, name), gone) for name in Procedure.model_fields}
        return Unit(unit.kind, record.model_copy(update={**rest, "steps": steps}))
    norm: dict[str, Any] = dict(edits)
    if norm.get("modality", "may") not in get_args(Modality):
        raise EditError(
            "modality", f"'{norm['modality']}' is no modality; write one of {', '.join(get_args(Modality))}"
        )
    if "conditions" in norm:
        norm["conditions"] = _parts("conditions", edits["conditions"])
    return Unit(unit.kind, record.model_copy(update=norm))


def _check_wording(practice: Practice, edits: Mapping[str, str]) -> None:
    situation = edits.get("situation", practice.situation)
    action = edits.get("action", title(practice.action))
    for name, value in edits.items():
        if _NO_LABEL & set(value):
            raise EditError(name, "the wording holds a bracket, a colon or a line break")
    if practice.action in ACTS and ACTS[practice.action] not in action:
        raise EditError(
            "action", f"the evidence is about {ACTS[practice.action]}: keep it in the wording, or reject the practice"
        )
    if len(situation) + len(action) >= _MAX_BRACKET_CHARS:
        longer = "action" if len(action) > len(situation) else "situation"
        raise EditError(longer, f"situation and action together have over {_MAX_BRACKET_CHARS - 1} characters")


def _parts(field: str, value: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in value.split(SEPARATORS[field]))
    if not all(parts):
        raise EditError(field, f"an empty part; values stand between {SEPARATORS[field]}")
    return parts


def _without(value: Any, gone: set[str]) -> Any:
    """A list without the parts that name a step which is gone; anything else as it is."""
    if not isinstance(value, tuple):
        return value
    plain = [part.model_dump() if isinstance(part, BaseModel) else part for part in value]
    return tuple(part for part, texts in zip(value, plain, strict=True) if not gone.intersection(strings(texts)))


def _decided(practice: Practice) -> bool:
    return practice.ci_low > 0 or practice.ci_high < 0


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, BaseModel):
        return "，".join(f"{name} {_plain(part)}" for name, part in value.model_dump().items() if part is not None)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return "；".join(" < ".join(map(_plain, part)) if isinstance(part, tuple) else _plain(part) for part in value)
    if isinstance(value, Mapping):
        return "；".join(f"{name} {_plain(part)}" for name, part in value.items())
    return str(value)
