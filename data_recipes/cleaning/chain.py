"""What is done to each dialogue: cut into sessions, normalise, judge, redact; in batches, since a step is fast on many.

The order matters: quality and rules are judged on what was said, and everything that is written comes after redaction.
"""

from __future__ import annotations

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json, to_json

from data_recipes.cleaning.alignment import Aligned, AlignedTurns
from data_recipes.cleaning.characters import count_kinds
from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.decontamination import Contamination, DecontaminationConfig
from data_recipes.cleaning.language import languages_of, unwanted
from data_recipes.cleaning.lookup import Lookup
from data_recipes.cleaning.normalise import changed
from data_recipes.cleaning.quality import qualities_of
from data_recipes.cleaning.redaction import (
    NO_ATTRIBUTES,
    CaseLog,
    joined_event,
    redact_activities,
    redact_dialogues,
    redact_events,
    split_event,
)
from data_recipes.cleaning.segment import placed, sessions
from data_recipes.cleaning.speakers import Repaired, numbered, repairs
from data_recipes.findings import turn_of
from tianjing.records import Dialogue, Turn
from tianjing.rulebook import Finding, Rulebook, check_many


@dataclass
class Cleaned:
    """One dialogue on its way. `reason` is why it is dropped; its text is cleaned and redacted all the same.

    Attributes:
        dialogue: normalised, not redacted.
        spoken: its turns as (speaker, text).
        raw: the turns as they came.
        sources: for each turn now the numbers of those it is made of; None if they are the same ones.
        turns: what is written.
        cut: the sessions of its dialogue as they came, of which it is number `part`, from 0.
        events: lines of its log.
        logged: whether any of them lies in it by its time.
    """

    dialogue: Dialogue
    where: dict[str, Any]
    spoken: list[tuple[str, str]]
    raw: Sequence[str]
    sources: tuple[tuple[int, ...], ...] | None
    turns: AlignedTurns
    cut: Sequence[Dialogue]
    part: int
    events: list[bytes] = field(default_factory=list)
    logged: bool = False
    breaches: list[dict[str, Any]] = field(default_factory=list)
    trail: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass
class Clock:
    """Core seconds by step."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _since: float = field(default_factory=time.process_time)

    def lap(self, step: str) -> None:
        """Count the time since the last lap to `step`."""
        now = time.process_time()
        self.seconds[step] += now - self._since
        self._since = now


class Chain:
    """The steps with what they need, loaded once for a shard.

    Args:
        identity_fields: fields of the customer's record that are masked wherever they are said.
        customers: records by customer.
        events: operation logs by case.
        root: folder that paths of evaluation sets are relative to.
        digests: of the evaluation sets and rule packs, which a process reads again only when one has changed.
    """

    def __init__(
        self,
        config: CleanConfig,
        identity_fields: Sequence[str],
        customers: Lookup,
        events: Lookup,
        root: Path,
        digests: tuple[str, ...],
    ):
        self._config = config
        self._identity_fields = tuple(identity_fields)
        self._customers = customers
        self._events = events
        self._book = _book(config.rulebook.packs, digests)
        self._contamination = _contamination(config.decontaminate, root, digests)
        self.clock = Clock()

    def clean(self, rows: Sequence[tuple[Dialogue, dict[str, Any]]]) -> list[Cleaned]:
        """Clean a batch: each dialogue with where it stands in its source. One may give several sessions."""
        self.clock.lap("read and validate")
        batch = self._normalised(rows)
        self.clock.lap("normalise")
        self._judge(batch)
        self.clock.lap("language and quality")
        scope = self._config.rulebook
        found = check_many(self._book, [item.dialogue for item in batch], scope.institution, scope.product)
        self.clock.lap("rulebook")
        said = [item.turns for item in batch]
        self._redact(batch)
        for item, breaches, before in zip(batch, found, said, strict=True):
            item.breaches = [
                _quarantined(item, breach, before)
                for breach in breaches
                if item.dialogue.turns[breach.turn or 0].speaker == "agent"
            ]
        self.clock.lap("quarantine")
        self._decontaminate(batch)
        self.clock.lap("decontaminate")
        return batch

    def _normalised(self, rows: Sequence[tuple[Dialogue, dict[str, Any]]]) -> list[Cleaned]:
        config = self._config.normalise
        parts = [(sessions(dialogue, self._config.sessions), where) for dialogue, where in rows]
        cut = [(session, where) for own, where in parts for session in own]
        places = [(own, part) for own, _ in parts for part in range(len(own))]
        self.clock.lap("sessions")
        speakers = [turn.speaker for dialogue, _ in cut for turn in dialogue.turns]
        texts = [turn.text for dialogue, _ in cut for turn in dialogue.turns]
        lengths = [len(dialogue.turns) for dialogue, _ in cut]
        distinct, which = numbered(texts)
        repaired = repairs(speakers, texts, lengths, distinct, which) if config.repair_speakers else {}
        self.clock.lap("speakers")
        spoken = []
        raws = []
        end = 0
        for number, length in enumerate(lengths):
            start, end = end, end + length
            raws.append(texts[start:end])
            done = repaired.get(number)
            spoken.append(list(done.turns if done else zip(speakers[start:end], raws[number], strict=True)))
        if any(done.joined for done in repaired.values()):
            distinct, which = numbered(text for turns in spoken for _, text in turns)
        lines_of = _by_dialogue(changed(distinct, config), which, list(map(len, spoken)))
        batch = []
        heard = zip(cut, spoken, raws, lines_of, strict=True)
        for number, ((dialogue, where), turns, raw, lines) in enumerate(heard):
            done = repaired.get(number)
            for place, line in lines.items():
                turns[place] = turns[place][0], line.text
            if done or lines:
                dialogue = _respoken(dialogue, turns, lines, done)
            sources = done.sources if done and done.joined else None
            written = AlignedTurns([text for _, text in turns], lines)
            item = Cleaned(dialogue, where, turns, raw, sources, written, *places[number])
            if done and done.relabelled:
                item.trail["relabelled"] = done.relabelled
            batch.append(item)
        return batch

    def _judge(self, batch: Sequence[Cleaned]) -> None:
        counts = count_kinds(["".join(item.turns.texts) for item in batch])
        found = qualities_of([item.spoken for item in batch], self._config.quality, counts)
        for item, language, quality in zip(batch, languages_of(counts), found, strict=True):
            item.trail |= {"language": language, "quality": quality.score}
            item.reason = unwanted(language, self._config.language) or next(iter(quality.reasons), "")

    def _redact(self, batch: Sequence[Cleaned]) -> None:
        known = self._identities([item.dialogue.customer for item in batch])
        self.clock.lap("look up customers")
        changed = [item.turns.changed for item in batch]
        redacted = redact_dialogues([item.spoken for item in batch], changed, known)
        self.clock.lap("redact")
        for item, own in zip(batch, redacted, strict=True):
            item.turns = own.turns
            item.trail |= _trail(item, own.findings)
        logs = self._logs(batch)
        self.clock.lap("look up events")
        events = [
            (number, place, *split_event(line)) for number, log in enumerate(logs) for place, line in enumerate(log)
        ]
        own_sessions = [redacted[number].session for number, *_ in events]
        activities = redact_activities(own_sessions, [activity for _, _, _, activity, _ in events])
        cases = []
        for number, _, _, _, attributes in events:
            if attributes != NO_ATTRIBUTES:
                item, session = batch[number], redacted[number].session
                cases.append(CaseLog([from_json(attributes)], session, item.raw, item.turns, item.sources))
        said = iter(redact_events(cases, self._config.normalise))
        for (number, place, head, _, attributes), activity in zip(events, activities, strict=True):
            new = to_json(next(said)[0]) if attributes != NO_ATTRIBUTES else attributes
            logs[number][place] = joined_event(head, activity, new)
        for item, log in zip(batch, logs, strict=True):
            item.events = log
        self.clock.lap("redact events")

    def _logs(self, batch: Sequence[Cleaned]) -> list[list[bytes]]:
        """Of each session its lines of the operation log. The log of a dialogue that was cut is shared out."""
        logs = self._events.lines([item.dialogue.id for item in batch])
        for first, item in enumerate(batch):
            if len(item.cut) == 1 or item.part:
                continue
            own = batch[first : first + len(item.cut)]
            stays = [not session.reason for session in own]
            log, logs[first] = logs[first], []
            for line in log:
                event = from_json(line)
                at, turn = datetime.fromisoformat(event["at"]), turn_of(event["attributes"])
                found = placed(item.cut, turn, at, stays, self._config.sessions)
                session = own[found.session]
                event["case"] = session.dialogue.id
                if found.turn is not None:
                    event["attributes"]["turn"] = found.turn
                elif not found.near:
                    session.trail["events_in_no_session"] = session.trail.get("events_in_no_session", 0) + 1
                session.logged |= found.near
                logs[first + found.session].append(to_json(event) + b"\n")
        return logs

    def _identities(self, customers: Sequence[str]) -> list[dict[str, str]]:
        """What is known of each customer."""
        found = []
        for lines in self._customers.lines(customers):
            record = from_json(lines[0]) if lines else {}
            values = {name: record.get(name) for name in self._identity_fields}
            found.append({name: str(value) for name, value in values.items() if value not in (None, "")})
        return found

    def _decontaminate(self, batch: Sequence[Cleaned]) -> None:
        if self._contamination is None:
            return
        texts = ["\n".join(item.turns.texts) for item in batch]
        for item, hit in zip(batch, self._contamination.find_many(texts), strict=True):
            if hit is not None and not item.reason:
                item.reason = f"holds an item of the evaluation set {hit.set}"
                item.trail["contamination"] = {"set": hit.set, "item": hit.item, "share": round(hit.share, 3)}


@functools.lru_cache(maxsize=1)
def _book(packs: tuple[Path, ...], digests: tuple[str, ...]) -> Rulebook:
    """The book of a process: its screens take as long to prepare as thousands of dialogues to check."""
    return Rulebook.load(packs)


@functools.lru_cache(maxsize=1)
def _contamination(config: DecontaminationConfig, root: Path, digests: tuple[str, ...]) -> Contamination | None:
    return Contamination(config.sets, root, config.min_share) if config.sets else None


def _by_dialogue(
    lines: Mapping[int, Aligned], which: npt.NDArray[np.int64], lengths: Sequence[int]
) -> list[dict[int, Aligned]]:
    """Of each dialogue, which has so many turns, those that are among `lines`, by number.

    Args:
        lines: by their number among the distinct texts.
        which: that number of each turn.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    marked = np.zeros(len(which), np.bool_)
    marked[list(lines)] = True
    places = np.flatnonzero(marked[which])
    owners = np.searchsorted(ends, places, "right")
    found: list[dict[int, Aligned]] = [{} for _ in lengths]
    starts = np.concatenate(([0], ends))[owners]
    for owner, place, number in zip(owners.tolist(), (places - starts).tolist(), which[places].tolist(), strict=True):
        found[owner][place] = lines[number]
    return found


def _respoken(
    dialogue: Dialogue, spoken: Sequence[tuple[str, str]], lines: Iterable[int], repaired: Repaired | None
) -> Dialogue:
    """The dialogue with these turns, `lines` the numbers of those that are new if no speaker was repaired."""
    turns = list(dialogue.turns)
    if repaired:
        times = [dialogue.turns[raws[0]].at for raws in repaired.sources]
        turns = [Turn(speaker=speaker, text=text, at=at) for (speaker, text), at in zip(spoken, times, strict=True)]
    else:
        for place in lines:
            turns[place] = Turn(speaker=turns[place].speaker, text=spoken[place][1], at=turns[place].at)
    return dialogue.model_copy(update={"turns": tuple(turns)})


def _trail(item: Cleaned, findings: Counter[str]) -> dict[str, Any]:
    """How the cleaned turns lie on the raw ones: only of turns that changed."""
    trail: dict[str, Any] = {}
    if item.part:
        trail["first_turn"] = sum(len(session.turns) for session in item.cut[: item.part])
    edits = {str(number): line.as_list() for number, line in sorted(item.turns.changed.items()) if line.edits}
    if edits:
        trail["edits"] = edits
    if item.sources is not None:
        trail["turns"] = item.sources
    if findings:
        trail["personal_data"] = dict(sorted(findings.items()))
    return trail


def _quarantined(item: Cleaned, breach: Finding, before: AlignedTurns) -> dict[str, Any]:
    """A breach in the terms of the redacted dialogue."""
    turn = breach.turn or 0
    start, end = before[turn].raw_span(breach.start or 0, breach.end or 0)
    return {
        "dialogue": item.dialogue.id,
        "turn": turn,
        "rule": breach.rule,
        "severity": breach.severity,
        "action": breach.action,
        "evidence": item.turns[turn].slice_of(start, end),
    }
