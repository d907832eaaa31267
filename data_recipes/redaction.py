"""Clean and redact dialogues together with the events of the same case: one session of placeholders for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_recipes.cleaning.normalise import NormaliseConfig, normalise_many
from data_recipes.cleaning.redaction import CaseLog, redact_dialogues, redact_events
from data_recipes.cleaning.speakers import Repaired, as_labelled, repair_many
from data_recipes.config import ExtractConfig
from data_recipes.readers.raw import RawMaterial
from tianjing.privacy import Session
from tianjing.records import Customer, Dialogue, Event, Turn


def redact_cases(
    raw: RawMaterial, customers: Mapping[str, Customer], config: ExtractConfig, dropped: Counter[str]
) -> tuple[list[Dialogue], list[Event]]:
    """The dialogues, cleaned and redacted, and the events of all cases likewise.

    Args:
        customers: records by customer; their `identity_fields` are what is known of a dialogue's customer.
        dropped: counts the dialogues that repeat another word for word, which go with their events.
    """
    log: dict[str, list[Event]] = {}
    for event in raw.events:
        log.setdefault(event.case, []).append(event)
    kept = _first_of_each(raw.dialogues, log, dropped)
    repaired = _repaired(kept, config.normalise)
    lines = iter(normalise_many([text for spoken in repaired for _, text in spoken.turns], config.normalise))
    cleaned = [[(speaker, next(lines)) for speaker, _ in spoken.turns] for spoken in repaired]
    known = [_identity(customers.get(dialogue.customer), config.identity_fields) for dialogue in kept]
    dialogues: list[Dialogue] = []
    cases: list[CaseLog] = []
    events: list[Event] = []
    for dialogue, spoken, redacted in zip(kept, repaired, redact_dialogues(cleaned, known), strict=True):
        turns = tuple(
            Turn(speaker=speaker, text=line.text, at=dialogue.turns[source[0]].at)
            for (speaker, _), source, line in zip(spoken.turns, spoken.sources, redacted.turns, strict=True)
        )
        dialogues.append(dialogue.model_copy(update={"turns": turns}))
        here = log.pop(dialogue.id, [])
        texts = [turn.text for turn in dialogue.turns]
        cases.append(CaseLog(_attributes(here), redacted.session, texts, redacted.turns, spoken.sources))
        events += here
    for case in sorted(log):  # logs of business cases without a dialogue
        cases.append(CaseLog(_attributes(log[case]), Session()))
        events += log[case]
    attributes = [row for case in redact_events(cases, config.normalise) for row in case]
    return dialogues, [
        event.model_copy(update={"attributes": row}) for event, row in zip(events, attributes, strict=True)
    ]


def _first_of_each(dialogues: Sequence[Dialogue], log: dict[str, list[Event]], dropped: Counter[str]) -> list[Dialogue]:
    """The dialogues but for those that repeat another of the same customer word for word; their events go too."""
    folding = NormaliseConfig(fillers=False)
    lines = iter(normalise_many([turn.text for dialogue in dialogues for turn in dialogue.turns], folding))
    seen: set[tuple[str, ...]] = set()
    kept = []
    for dialogue in dialogues:
        key = (dialogue.customer, *(f"{turn.speaker}:{next(lines).text}" for turn in dialogue.turns))
        if key in seen:
            dropped["dialogue repeated word for word"] += 1
            log.pop(dialogue.id, None)
            continue
        seen.add(key)
        kept.append(dialogue)
    return kept


def _repaired(dialogues: Sequence[Dialogue], config: NormaliseConfig) -> list[Repaired]:
    spoken = [[(turn.speaker, turn.text) for turn in dialogue.turns] for dialogue in dialogues]
    return repair_many(spoken) if config.repair_speakers else [as_labelled(turns) for turns in spoken]


def _attributes(events: Iterable[Event]) -> list[Mapping[str, Any]]:
    return [event.attributes for event in events]


def _identity(customer: Customer | None, fields: Iterable[str]) -> dict[str, str]:
    values = {name: customer.field(name) for name in fields} if customer else {}
    return {name: str(value) for name, value in values.items() if value not in (None, "")}
