"""Redact dialogues and the events of the same cases: one session of placeholders for each.

`tianjing.privacy.mask_dialogues` reads a dialogue as a whole: names heard anywhere are known everywhere, numbers that
are read out over several turns are joined, and a bare answer is read with its question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_recipes.cleaning.alignment import Aligned, AlignedTurns
from data_recipes.cleaning.normalise import NormaliseConfig, normalise_many
from data_recipes.findings import turn_of
from tianjing.privacy import Finding, Masked, Session, mask_dialogues, mask_in_sessions

# In a JSON text no string can hold this: its quotes would be escaped.
_ATTRIBUTES = b',"attributes":'


@dataclass(frozen=True, slots=True)
class Redacted:
    """A dialogue without personal data.

    Attributes:
        turns: of each the redacted text, aligned with the raw one; a placeholder stands for the whole datum.
        findings: how many pieces of personal data there were of each kind (`tianjing.privacy.KINDS`).
        session: with it the events of the same case get the same placeholders.
    """

    turns: AlignedTurns
    findings: Counter[str]
    session: Session


def redact_dialogues(
    dialogues: Sequence[Sequence[tuple[str, str]]],
    changed: Sequence[Mapping[int, Aligned]],
    known: Sequence[Mapping[str, str] | None],
) -> list[Redacted]:
    """Replace personal data by placeholders, as `tianjing.privacy.mask_turns` does in each dialogue by itself.

    Args:
        dialogues: of each its turns as (speaker, normalised text).
        changed: of each the turns that are not as they came, by number.
        known: of each what the customer's record says (`tianjing.privacy.FIELD_KINDS`), or None.
    """
    done = []
    for before, (masked, session) in zip(changed, mask_dialogues(dialogues, known), strict=True):
        findings: Counter[str] = Counter()
        after = dict(before)
        texts = []
        for number, (text, found, replacements) in enumerate(masked):
            texts.append(text)
            if found:
                step = _step(text, found, replacements)
                after[number] = before[number].then(step) if number in before else step
                for finding in found:
                    findings[finding.kind] += 1
        done.append(Redacted(AlignedTurns(texts, after), findings, session))
    return done


def _step(text: str, found: Sequence[Finding], replacements: Sequence[str]) -> Aligned:
    """The redacted text, aligned with the one before it."""
    edits, position = [], 0
    for (_, start, end, _), new in zip(found, replacements, strict=True):
        edits.append((start - position, end - start, len(new)))
        position = end
    return Aligned(text, tuple(edits))


@dataclass(frozen=True, slots=True)
class CaseLog:
    """The events of one case, by their attributes, and the dialogue that they speak of, if there is one.

    Attributes:
        attributes: of each event.
        session: of the dialogue's redaction (a new one if there is no dialogue).
        raw: the dialogue's turns as they came; `turn` (`findings.turn_of`) counts these.
        turns: the dialogue's turns after redaction.
        sources: for each of `turns` the numbers of its raw turns (`speakers.Repaired.sources`); None if `turns` are
            the raw ones, one for one.
    """

    attributes: Sequence[Mapping[str, Any]]
    session: Session
    raw: Sequence[str] = ()
    turns: Sequence[Aligned] = ()
    sources: Sequence[tuple[int, ...]] | None = ()


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
    number = turn_of(event)
    if number is None or number >= len(case.raw):
        return redacted
    sources = [(place,) for place in range(len(case.raw))] if case.sources is None else case.sources
    place = next((place for place, raws in enumerate(sources) if number in raws), -1)
    if place < 0:
        return redacted
    redacted["turn"] = place
    evidence = event.get("evidence")
    start = case.raw[number].find(evidence) if isinstance(evidence, str) and evidence else -1
    if start >= 0:
        start += sum(len(case.raw[raw]) for raw in sources[place] if raw < number)
        redacted["evidence"] = case.turns[place].slice_of(start, start + len(evidence)).strip()  # type: ignore[arg-type]
    return redacted


def says_something(line: bytes) -> bool:
    """Whether an event, as it stands in its file (`ingest`), has any attributes."""
    return not line.endswith(b',"attributes":{}}\n')


def split_event(line: bytes) -> tuple[bytes, bytes]:
    """An event as it stands in its file, where its attributes come last: what is before these, and these."""
    start = line.index(_ATTRIBUTES) + len(_ATTRIBUTES)
    return line[:start], line[start:-2]


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
