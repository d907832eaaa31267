"""Redact dialogues and the events of the same cases: one session of placeholders for each.

`tianjing.privacy.mask_dialogues` reads a dialogue as a whole: names heard anywhere are known everywhere, numbers that
are read out over several turns are joined, and a bare answer is read with its question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_recipes.cleaning.alignment import Aligned
from data_recipes.cleaning.normalise import NormaliseConfig, normalise_many
from tianjing.privacy import Masked, Session, mask_dialogues, mask_in_sessions


@dataclass(frozen=True, slots=True)
class Redacted:
    """A dialogue without personal data.

    Attributes:
        turns: of each the redacted text, aligned with the raw one; a placeholder stands for the whole datum.
        findings: how many pieces of personal data there were of each kind (`tianjing.privacy.KINDS`).
        session: with it the events of the same case get the same placeholders.
    """

    turns: list[Aligned]
    findings: Counter[str]
    session: Session


def redact_dialogues(
    dialogues: Sequence[Sequence[tuple[str, Aligned]]], known: Sequence[Mapping[str, str] | None]
) -> list[Redacted]:
    """Replace personal data by placeholders, as `tianjing.privacy.mask_turns` does in each dialogue by itself.

    Args:
        dialogues: of each its turns as (speaker, normalised text).
        known: of each what the customer's record says (`tianjing.privacy.FIELD_KINDS`), or None.
    """
    spoken = [[(speaker, turn.text) for speaker, turn in turns] for turns in dialogues]
    done = []
    for turns, (masked, session) in zip(dialogues, mask_dialogues(spoken, known), strict=True):
        findings: Counter[str] = Counter()
        redacted = [turn for _, turn in turns]
        for number, line in enumerate(masked):
            if line.findings:
                redacted[number] = _redacted(redacted[number], line)
                for finding in line.findings:
                    findings[finding.kind] += 1
        done.append(Redacted(redacted, findings, session))
    return done


def _redacted(turn: Aligned, masked: Masked) -> Aligned:
    edits, position = [], 0
    for (_, start, end, _), new in zip(masked.findings, masked.replacements, strict=True):
        edits.append((start - position, end - start, len(new)))
        position = end
    return turn.then(Aligned(masked.text, tuple(edits)))


@dataclass(frozen=True, slots=True)
class CaseLog:
    """The events of one case, by their attributes, and the dialogue that they speak of, if there is one.

    Attributes:
        attributes: of each event.
        session: of the dialogue's redaction (a new one if there is no dialogue).
        raw: the dialogue's turns as they came; `attributes["turn"]` counts these.
        turns: the dialogue's turns after redaction.
        sources: for each of `turns` the numbers of its raw turns (`speakers.Repaired.sources`).
    """

    attributes: Sequence[Mapping[str, Any]]
    session: Session
    raw: Sequence[str] = ()
    turns: Sequence[Aligned] = ()
    sources: Sequence[tuple[int, ...]] = ()


def redact_events(cases: Sequence[CaseLog], config: NormaliseConfig | None = None) -> list[list[dict[str, Any]]]:
    """The attributes of the events of each case, normalised and redacted, texts in lists and objects too.

    An event that quotes a raw turn (`turn` its number, `evidence` its words) quotes the redacted turn instead, and
    `turn` becomes the number that this turn has after speaker repair.
    """
    strings = [(text, case.session) for case in cases for event in case.attributes for text in _strings(event)]
    lines = [line.text for line in normalise_many([text for text, _ in strings], config)]
    masked = iter(mask_in_sessions([session for _, session in strings], lines))
    return [[_event(event, case, masked) for event in case.attributes] for case in cases]


def _event(event: Mapping[str, Any], case: CaseLog, masked: Iterator[Masked]) -> dict[str, Any]:
    redacted: dict[str, Any] = {name: _rebuilt(value, masked) for name, value in event.items()}
    number = event.get("turn")
    if not isinstance(number, int) or not 0 <= number < len(case.raw):
        return redacted
    place = next((place for place, raws in enumerate(case.sources) if number in raws), -1)
    if place < 0:
        return redacted
    redacted["turn"] = place
    evidence = event.get("evidence")
    start = case.raw[number].find(evidence) if isinstance(evidence, str) and evidence else -1
    if start >= 0:
        start += sum(len(case.raw[raw]) for raw in case.sources[place] if raw < number)
        redacted["evidence"] = case.turns[place].slice_of(start, start + len(evidence)).strip()  # type: ignore[arg-type]
    return redacted


def _strings(value: Any) -> Iterator[str]:
    """Every text in the value, in the order in which `_rebuilt` puts them back."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _rebuilt(value: Any, masked: Iterator[Masked]) -> Any:
    if isinstance(value, str):
        return next(masked).text
    if isinstance(value, Mapping):
        return {name: _rebuilt(item, masked) for name, item in value.items()}
    if isinstance(value, list):
        return [_rebuilt(item, masked) for item in value]
    return value
