"""Profile proposals: values read in papers or heard in dialogues, beside what the profile holds.

Nothing is overwritten. Every reading becomes a proposal with its source and confidence; where they disagree they
stand side by side and say so.
Identity values are compared in the clear and written masked, evidence is redacted with all that is known of the
customer: the artefact holds no personal data. Drafts, which still hold it, pass through unnamed temporary files only.

Confidence is a rule of thumb by source and way of reading, times 0.9 if a character was mended, times 0.6 if the paper
contradicts itself on this field. `scripts/bench/timeline.py --parts confidence` measures how often each is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any, Final

from data_recipes.timeline.document_checks import violated
from data_recipes.timeline.document_reader import FieldReading, read_fields
from data_recipes.timeline.entries import document_day
from data_recipes.timeline.page import Page, page_of
from data_recipes.timeline.profile import (
    COMPARABLE_DAYS,
    LASTING_FIELDS,
    MANY_FIELDS,
    Value,
    agree,
    birth_date_of,
    is_identity,
    profile_field,
    shown,
    stated_by_being,
)
from data_recipes.timeline.records import ProfileProposal, ProposalSource
from data_recipes.timeline.sorting import RUN_BYTES, first_part, key_line, payload_of, second_part, sort_lines
from data_recipes.timeline.sources import TimelineSources
from data_recipes.timeline.statements import statements
from tianjing.privacy import Session
from tianjing.records import Dialogue, Document

WAY_CONFIDENCE: Final = {
    "label": 0.97,
    "gap": 0.95,
    "prose": 0.95,
    "shape": 0.95,
    "within": 0.9,
    "below": 0.9,
    "signature": 0.9,
}
MENDED_FACTOR: Final = 0.9
VIOLATED_FACTOR: Final = 0.6
STATED_CONFIDENCE: Final = 0.6
HEDGED_CONFIDENCE: Final = 0.5
_EVIDENCE_CHARS: Final = 60
# Readings of a paper that lead to a person, the customer or another one.
PERSONAL_READINGS: Final = frozenset(
    "name id_number born_on spouse_name spouse_id_number spouse_born_on landlord head address card_number employer"
    " company buyer seller credit_code plate vin engine_number fund_account number"
    " contract_number admission_number".split()
)
_LONG_NUMBER: Final = re.compile(r"(?<![\d.,])\d(?:[ \-]?\d){8,}[Xx]?(?![\d.,])")
_COMPANY: Final = re.compile(
    r"[\u4e00-\u9fff（）()](?: ?[\u4e00-\u9fff（）()]){3,24}? ?(?:公 ?司|集 ?团|商 ?行|经营部|合作社)"
)
_BORN: Final = re.compile(r"(?P<v>\d{4}\D{1,2}\d{1,2}\D{1,2}\d{1,2}日?)(?=[^，。\n\d]{0,2}生)")
_SENTENCE: Final = re.compile(r"[^。！？!?；;\n]+[。！？!?；;]?")


def proposals(sources: TimelineSources, run_bytes: int = RUN_BYTES) -> Iterator[ProfileProposal]:
    """Proposals by customer, then field, source and place. The records of `sources` stay as they are."""
    parts = (_profiles(sources), _of_documents(sources), _of_dialogues(sources))
    lines = sort_lines((line for part in parts for line in part), run_bytes)
    for _, rows in groupby(lines, key=first_part):
        profile: Mapping[str, Any] = {}
        drafts: list[ProfileProposal] = []
        for line in rows:
            if second_part(line) == "0":
                profile = payload_of(line)
            else:
                drafts.append(ProfileProposal(**payload_of(line)))
        known = {name: str(profile[name]) for name in sources.identity_fields if profile.get(name) not in (None, "")}
        yield from (_written(draft, known) for draft in _compared(drafts, profile))


def _profiles(sources: TimelineSources) -> Iterator[str]:
    for customer in sources.customers:
        yield key_line((customer.customer, "0"), customer.model_extra or {})


def _of_documents(sources: TimelineSources) -> Iterator[str]:
    for document in sources.documents:
        page = page_of(document)
        fields = read_fields(page, document.kind)
        yield from map(_line, document_drafts(document, page, fields))


def _of_dialogues(sources: TimelineSources) -> Iterator[str]:
    for dialogue in sources.dialogues:
        yield from map(_line, dialogue_drafts(dialogue))


def _line(draft: ProfileProposal) -> str:
    place = f"{draft.source.turn or 0:06}{draft.source.start:09}"
    key = (draft.customer, "1", draft.field, draft.source.kind, draft.source.id, place)
    return key_line(key, draft.model_dump(mode="json", exclude_none=True))


def document_drafts(document: Document, page: Page, fields: Mapping[str, FieldReading]) -> Iterator[ProfileProposal]:
    """What one paper says of its customer, in the clear: not to be written as it is."""
    failed, day = violated(fields), document_day(fields)
    personal = [(reading.start, reading.end) for name, reading in fields.items() if name in PERSONAL_READINGS]
    said: set[tuple[str, Value]] = set()

    def draft(field: str, value: Value, start: int, end: int, confidence: float, why: Sequence[str]) -> ProfileProposal:
        return ProfileProposal(
            customer=document.customer,
            field=field,
            value=value,
            status="conflicts" if why else "new",
            source=ProposalSource(kind="document", id=document.id, start=start, end=end, boxes=page.boxes(start, end)),
            confidence=round(confidence, 3),
            as_of=day,
            evidence=_starred(page.text, *_sentence(page.text, start, end), personal),
            reasons=tuple(why),
        )

    for name, reading in fields.items():
        field = profile_field(document.kind, name)
        value = reading.value.isoformat() if isinstance(reading.value, date) else reading.value
        if not field or not isinstance(value, str | float | int) or (field, value) in said:
            continue
        said.add((field, value))
        why = failed.get(name, ())
        yield draft(field, value, reading.start, reading.end, reading_confidence(reading, bool(why)), why)
    head = page.text.find("\n") if "\n" in page.text else len(page.text)
    for field, word in stated_by_being(document.kind):
        broken = tuple(sorted({check for checks in failed.values() for check in checks}))
        yield draft(field, word, 0, head, WAY_CONFIDENCE["label"] * (VIOLATED_FACTOR if broken else 1), broken)


def reading_confidence(reading: FieldReading, fails: bool) -> float:
    """Rough share of such readings that are right, of papers of which one in five is forged."""
    mended = MENDED_FACTOR if reading.mended else 1.0
    return WAY_CONFIDENCE[reading.way] * mended * (VIOLATED_FACTOR if fails else 1.0)


def dialogue_drafts(dialogue: Dialogue) -> Iterator[ProfileProposal]:
    """What a customer says of himself, in the clear: not to be written as it is."""
    for statement in statements(dialogue.turns):
        text = dialogue.turns[statement.turn].text
        own = [(statement.start, statement.end)] if is_identity(statement.field) else []
        yield ProfileProposal(
            customer=dialogue.customer,
            field=statement.field,
            value=statement.value,
            status="new",
            source=ProposalSource(
                kind="dialogue", id=dialogue.id, turn=statement.turn, start=statement.start, end=statement.end
            ),
            confidence=HEDGED_CONFIDENCE if statement.hedged else STATED_CONFIDENCE,
            as_of=dialogue.started_at.date(),
            evidence=_starred(text, *_sentence(text, statement.start, statement.end), own),
        )


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the sentence around a place begins and ends; of a long one the part beside it."""
    around = next((m.span() for m in _SENTENCE.finditer(text) if m.start() <= start < m.end()), (start, end))
    return max(around[0], start - _EVIDENCE_CHARS), min(max(around[1], end), end + _EVIDENCE_CHARS)


def _starred(text: str, start: int, end: int, personal: Sequence[tuple[int, int]]) -> str:
    """A part of a text with everything in stars that names a person, whether or not its check digits are right."""
    chars = list(text[start:end])
    spans = [*personal, *(match.span() for match in _LONG_NUMBER.finditer(text, start, end))]
    spans += [match.span() for match in _COMPANY.finditer(text, start, end)]
    spans += [match.span("v") for match in _BORN.finditer(text, start, end)]
    for begin, stop in spans:
        for index in range(max(begin, start) - start, min(stop, end) - start):
            if not chars[index].isspace():
                chars[index] = "*"
    return "".join(chars).strip()


def _compared(drafts: Sequence[ProfileProposal], profile: Mapping[str, Any]) -> Iterator[ProfileProposal]:
    """With what the profile holds, and the reasons of each conflict."""
    for field, group in groupby(drafts, key=lambda draft: draft.field):
        same_field = list(group)
        current = _current(profile, field)
        for draft in same_field:
            against = (
                [] if current is None or field in MANY_FIELDS or agree(field, draft.value, current) else ["profile"]
            )
            against += sorted({o.source.id for o in same_field if _contradict(draft, o)} - {draft.source.id})
            reasons = (*draft.reasons, *against)
            settled = current is not None and agree(field, draft.value, current)
            status = "conflicts" if reasons else "agrees" if settled else "new"
            yield draft.model_copy(update={"current": current, "status": status, "reasons": reasons})


def _current(profile: Mapping[str, Any], field: str) -> Value | None:
    value = profile.get(field)
    if value in (None, "") and field == "birth_date":
        value = birth_date_of(str(profile.get("id_card", "")))
    return value if isinstance(value, str | float | int) and value != "" else None


def _contradict(one: ProfileProposal, other: ProfileProposal) -> bool:
    if one.field in MANY_FIELDS or agree(one.field, one.value, other.value):
        return False
    if one.field in LASTING_FIELDS or one.as_of is None or other.as_of is None:
        return True
    return abs((one.as_of - other.as_of).days) <= COMPARABLE_DAYS


def _written(draft: ProfileProposal, known: Mapping[str, str]) -> ProfileProposal:
    """Masked and redacted."""
    value, current = shown(draft.field, draft.value), shown(draft.field, draft.current)
    evidence = Session(known).mask(draft.evidence).text
    return draft.model_copy(update={"value": value, "current": current, "evidence": evidence})
