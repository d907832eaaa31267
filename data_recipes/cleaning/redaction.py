"""Redact dialogues and the events of the same cases: one session of placeholders for each.

`tianjing.privacy.mask_dialogues` reads a dialogue as a whole: names heard anywhere are known everywhere, numbers that
are read out over several turns are joined, and a bare answer is read with its question.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from data_recipes.cleaning.alignment import Aligned, AlignedTurns
from data_recipes.cleaning.normalise import NormaliseConfig, normalise_many
from data_recipes.findings import turn_of
from tianjing.privacy import Finding, Session, find_many, mask_dialogues, mask_in_sessions
from tianjing.text import fold

# In a JSON text no string can hold these: their quotes would be escaped.
_ACTIVITY, _ATTRIBUTES = b',"activity":', b',"attributes":'
NO_ATTRIBUTES = b"{}"


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

    attributes: Sequence[dict[str, Any]]
    session: Session
    raw: Sequence[str] = ()
    turns: Sequence[Aligned] = ()
    sources: Sequence[tuple[int, ...]] | None = ()


def redact_events(cases: Sequence[CaseLog], config: NormaliseConfig | None = None) -> list[list[dict[str, Any]]]:
    """The attributes of the events of each case, redacted, in lists and objects too.

    Texts are normalised. A number or a key that is personal data by its digits becomes the text of a placeholder;
    without any it stays what it is.

    An event that quotes a raw turn (`turn` its number, `evidence` its words) quotes the redacted turn instead, and
    `turn` becomes the number that this turn has after speaker repair.
    """
    texts: list[str] = []
    told: list[bool] = []
    sessions: list[Session] = []
    for case in cases:
        for event in case.attributes:
            _spell(event, texts, told)
        sessions += itertools.repeat(case.session, len(texts) - len(sessions))
    raw = list(dict.fromkeys(itertools.compress(texts, told)))  # a log has few different ones
    lines = dict(zip(raw, (line.text for line in normalise_many(raw, config)), strict=True))
    texts = [lines[text] if is_text else text for text, is_text in zip(texts, told, strict=True)]
    redacted = iter(_masked(sessions, texts, told))
    return [[_event(event, case, redacted) for event in case.attributes] for case in cases]


def _event(event: Mapping[str, Any], case: CaseLog, texts: Iterator[str]) -> dict[str, Any]:
    redacted: dict[str, Any] = _rebuilt(event, texts)
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


def redact_activities(sessions: Sequence[Session], activities: Sequence[bytes]) -> list[bytes]:
    """The activity of each event, as `split_event` gives it, redacted in the session of its case."""
    texts = {activity: from_json(activity) for activity in set(activities)}  # a log has few different ones
    said = [texts[activity] for activity in activities]
    masked = _masked(sessions, said, [False] * len(said))
    return [old if new == text else to_json(new) for new, text, old in zip(masked, said, activities, strict=True)]


def _masked(sessions: Sequence[Session], texts: Sequence[str], told: Sequence[bool]) -> list[str]:
    """Each text without personal data. Each different one is looked through once, and each session looks only for what
    is known or was heard in it; where it finds something it may learn, so all `told` there is looked through."""
    distinct = list(dict.fromkeys(texts))
    telling = {text for text, found in zip(distinct, find_many(distinct), strict=True) if found}
    folded = {text: fold(text) for text in distinct}
    marked = [
        text in telling or session.scanner.holds(folded[text]) for session, text in zip(sessions, texts, strict=True)
    ]
    learning = {id(session) for session in itertools.compress(sessions, marked)}
    wanted = [
        number
        for number, (session, mark, is_text) in enumerate(zip(sessions, marked, told, strict=True))
        if mark or (is_text and id(session) in learning)
    ]
    done = list(texts)
    masked = mask_in_sessions([sessions[number] for number in wanted], [texts[number] for number in wanted])
    for number, new in zip(wanted, masked, strict=True):
        done[number] = new.text
    return done


def split_event(line: bytes) -> tuple[bytes, bytes, bytes]:
    """An event as it stands in its file (`ingest`): what is before its activity, the activity, and its attributes."""
    start = line.index(_ACTIVITY) + len(_ACTIVITY)
    end = line.index(_ATTRIBUTES, start)
    return line[:start], line[start:end], line[end + len(_ATTRIBUTES) : -2]


def joined_event(head: bytes, activity: bytes, attributes: bytes) -> bytes:
    """The line whose parts `split_event` gives."""
    return b"".join((head, activity, _ATTRIBUTES, attributes, b"}\n"))


def _spell(value: Any, texts: list[str], told: list[bool]) -> None:
    """Add every text, number and key in the value, as it is spelled, in the order in which `_rebuilt` puts them back;
    and whether it is a text."""
    if isinstance(value, str):
        texts.append(value)
        told.append(True)
    elif isinstance(value, dict):
        for name, item in value.items():
            texts.append(name)
            told.append(False)
            _spell(item, texts, told)
    elif isinstance(value, list):
        for item in value:
            _spell(item, texts, told)
    elif _is_whole(value):
        texts.append(str(int(value)))
        told.append(False)


def _rebuilt(value: Any, texts: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, dict):
        rebuilt: dict[str, Any] = {}
        for name in value:
            key = next(texts)
            while key in rebuilt:  # the same number, spelled in two ways
                key += "′"
            rebuilt[key] = _rebuilt(value[name], texts)
        return rebuilt
    if isinstance(value, list):
        return [_rebuilt(item, texts) for item in value]
    if _is_whole(value):
        text = next(texts)
        return value if text == str(int(value)) else text
    return value


def _is_whole(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
