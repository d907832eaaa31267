"""Clean and redact dialogues together with the events of the same case: one session of placeholders for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from data_recipes import clean
from data_recipes.config import ExtractConfig
from data_recipes.readers.raw import RawMaterial
from tianjing.privacy import Session
from tianjing.records import Customer, Dialogue, Event, Turn
from tianjing.text import tidy


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
    seen: set[tuple[str, str]] = set()
    dialogues: list[Dialogue] = []
    events: list[Event] = []
    for dialogue in raw.dialogues:
        key = clean.duplicate_key(dialogue.customer, [(turn.speaker, tidy(turn.text)) for turn in dialogue.turns])
        if key in seen:
            dropped["dialogue repeated word for word"] += 1
            log.pop(dialogue.id, None)
            continue
        seen.add(key)
        session = Session(_identity(customers.get(dialogue.customer), config.identity_fields))
        cleaned = [clean.redact(clean.clean(turn.text), session) for turn in dialogue.turns]
        turns = tuple(
            Turn(speaker=turn.speaker, text=line.text, at=turn.at)
            for turn, line in zip(dialogue.turns, cleaned, strict=True)
        )
        dialogues.append(dialogue.model_copy(update={"turns": turns}))
        for event in log.pop(dialogue.id, []):
            events.append(_redact_event(event, dialogue, cleaned, session))
    for case in sorted(log):  # logs of business cases without a dialogue
        events += [_redact_event(event, None, [], Session()) for event in log[case]]
    return dialogues, events


def _redact_event(event: Event, dialogue: Dialogue | None, cleaned: list[clean.Aligned], session: Session) -> Event:
    attributes = {name: _redact_value(value, session) for name, value in event.attributes.items()}
    turn, evidence = event.attributes.get("turn"), event.attributes.get("evidence")
    if dialogue is not None and isinstance(turn, int) and 0 <= turn < len(cleaned) and isinstance(evidence, str):
        found = clean.quoted(evidence, dialogue.turns[turn].text, cleaned[turn])
        if found is not None:
            attributes["evidence"] = found
    return event.model_copy(update={"attributes": attributes})


def _redact_value(value: Any, session: Session) -> Any:
    if isinstance(value, str):
        return clean.redact(clean.clean(value), session).text if value.strip() else ""
    if isinstance(value, list):
        return [_redact_value(item, session) for item in value]
    if isinstance(value, dict):
        return {name: _redact_value(item, session) for name, item in value.items()}
    return value


def _identity(customer: Customer | None, fields: Iterable[str]) -> dict[str, str]:
    values = {name: customer.field(name) for name in fields} if customer else {}
    return {name: str(value) for name, value in values.items() if value not in (None, "")}
