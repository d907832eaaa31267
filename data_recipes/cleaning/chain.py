"""What is done to each dialogue: cut into sessions, normalise, judge, redact; in batches, since a step is fast on many.

The order matters: quality and rules are judged on what was said, and everything that is written comes after redaction.
"""

from __future__ import annotations

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_recipes.cleaning.alignment import Aligned
from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.decontamination import Contamination, DecontaminationConfig
from data_recipes.cleaning.language import languages, unwanted
from data_recipes.cleaning.lookup import Lookup
from data_recipes.cleaning.normalise import normalise_many
from data_recipes.cleaning.quality import qualities
from data_recipes.cleaning.redaction import CaseLog, redact_dialogues, redact_events
from data_recipes.cleaning.segment import sessions
from data_recipes.cleaning.speakers import as_labelled, repair_many
from tianjing.records import Dialogue, Turn
from tianjing.rulebook import Finding, Rulebook, check_many


@dataclass
class Cleaned:
    """One dialogue on its way. `reason` is why it is dropped; its text is cleaned and redacted all the same.

    `raw` are the turns as they came, `sources` for each turn now the numbers of those it is made of.
    """

    dialogue: Dialogue
    where: dict[str, Any]
    raw: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]
    turns: list[Aligned]
    events: list[dict[str, Any]] = field(default_factory=list)
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
    """

    def __init__(
        self, config: CleanConfig, identity_fields: Sequence[str], customers: Lookup, events: Lookup, root: Path
    ):
        self._config = config
        self._identity_fields = tuple(identity_fields)
        self._customers = customers
        self._events = events
        self._book = _book(config.rulebook.packs)
        self._contamination = _contamination(config.decontaminate, root)
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
        cut = [(session, where) for dialogue, where in rows for session in sessions(dialogue, self._config.sessions)]
        self.clock.lap("sessions")
        spoken = [[(turn.speaker, turn.text) for turn in dialogue.turns] for dialogue, _ in cut]
        repaired = repair_many(spoken) if config.repair_speakers else list(map(as_labelled, spoken))
        self.clock.lap("speakers")
        aligned = iter(normalise_many([text for item in repaired for _, text in item.turns], config))
        batch = []
        for (dialogue, where), done in zip(cut, repaired, strict=True):
            own = [next(aligned) for _ in done.turns]
            turns = tuple(
                Turn.model_construct(speaker=speaker, text=line.text, at=dialogue.turns[raws[0]].at)  # type: ignore[arg-type]
                for (speaker, _), line, raws in zip(done.turns, own, done.sources, strict=True)
            )
            changed = dialogue.model_copy(update={"turns": turns})
            raw = tuple(turn.text for turn in dialogue.turns)
            item = Cleaned(changed, where, raw, done.sources, own)
            if done.relabelled:
                item.trail["relabelled"] = done.relabelled
            batch.append(item)
        return batch

    def _judge(self, batch: Sequence[Cleaned]) -> None:
        said = ["".join([turn.text for turn in item.turns]) for item in batch]
        found = qualities([item.dialogue for item in batch], self._config.quality)
        for item, language, quality in zip(batch, languages(said), found, strict=True):
            item.trail |= {"language": language, "quality": quality.score}
            reasons = [unwanted(language, self._config.language), *quality.reasons]
            item.reason = next((reason for reason in reasons if reason), "")

    def _redact(self, batch: Sequence[Cleaned]) -> None:
        known = [self._identity(item.dialogue.customer) for item in batch]
        self.clock.lap("look up customers")
        speakers = [[turn.speaker for turn in item.dialogue.turns] for item in batch]
        turns = [list(zip(who, item.turns, strict=True)) for who, item in zip(speakers, batch, strict=True)]
        redacted = redact_dialogues(turns, known)
        self.clock.lap("redact")
        logs = [self._events[item.dialogue.id] for item in batch]
        self.clock.lap("look up events")
        cases = [
            CaseLog([row["attributes"] for row in log], done.session, item.raw, done.turns, item.sources)
            for item, done, log in zip(batch, redacted, logs, strict=True)
        ]
        for item, done, log, attributes in zip(
            batch, redacted, logs, redact_events(cases, self._config.normalise), strict=True
        ):
            item.turns = done.turns
            item.events = [{**row, "attributes": own} for row, own in zip(log, attributes, strict=True)]
            item.trail |= _trail(item, done.findings)
        self.clock.lap("redact events")

    def _identity(self, customer: str) -> dict[str, str]:
        record = next(iter(self._customers[customer]), {})
        return {name: str(record[name]) for name in self._identity_fields if record.get(name) not in (None, "")}

    def _decontaminate(self, batch: Sequence[Cleaned]) -> None:
        if self._contamination is None:
            return
        texts = ["\n".join(turn.text for turn in item.turns) for item in batch]
        for item, hit in zip(batch, self._contamination.find_many(texts), strict=True):
            if hit is not None and not item.reason:
                item.reason = f"holds an item of the evaluation set {hit.set}"
                item.trail["contamination"] = {"set": hit.set, "item": hit.item, "share": round(hit.share, 3)}


@functools.lru_cache(maxsize=1)
def _book(packs: tuple[Path, ...]) -> Rulebook:
    """The book of a process: its screens take as long to prepare as thousands of dialogues to check."""
    return Rulebook.load(packs)


@functools.lru_cache(maxsize=1)
def _contamination(config: DecontaminationConfig, root: Path) -> Contamination | None:
    return Contamination(config.sets, root, config.min_share) if config.sets else None


def _trail(item: Cleaned, findings: Counter[str]) -> dict[str, Any]:
    """How the cleaned turns lie on the raw ones: only of turns that changed."""
    trail: dict[str, Any] = {}
    edits = {str(number): turn.as_list() for number, turn in enumerate(item.turns) if turn.edits}
    if edits:
        trail["edits"] = edits
    if any(raws != (number,) for number, raws in enumerate(item.sources)):
        trail["turns"] = item.sources
    if findings:
        trail["personal_data"] = dict(sorted(findings.items()))
    return trail


def _quarantined(item: Cleaned, breach: Finding, before: Sequence[Aligned]) -> dict[str, Any]:
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
