"""One verdict: the request that asks for it, and what is read out of the judge's text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from evals.judge.config import EVEN, FIRST, SECOND, JudgeConfig
from evals.records import Arm
from evals.scoring import strip_thought
from tianjing.config import StrictModel
from tianjing.files import canonical_json, sha256_bytes
from tianjing.records import Message
from tianjing.text import compact

_MIN_EVIDENCE_CHARS = 2
_QUOTES = "“”\"'「」『』"


@dataclass(frozen=True)
class Ask:
    """One verdict to ask for.

    Attributes:
        subject: the item, or the row of the calibration file.
        arm: whose answer it is; None for a comparison of both.
        order: which arm stands first in a comparison; None otherwise.
        answers: the texts that evidence may be quoted from.
    """

    subject: str
    arm: Arm | None
    order: Arm | None
    repeat: int
    messages: tuple[Message, ...]
    answers: tuple[str, ...]

    def seed(self, config: JudgeConfig) -> int:
        """In [0, 2^31), different for every verdict."""
        identity = f"{config.seed}|{self.subject}|{self.arm}|{self.order}|{self.repeat}"
        return int(sha256_bytes(identity.encode())[:8], 16) >> 1

    def key(self, config: JudgeConfig) -> str:
        """Fingerprint of judge and prompt; a finished key is never asked again."""
        told = [[message.role, message.content] for message in self.messages]
        decoding = [config.max_tokens, config.temperature, self.seed(config)]
        identity = [config.endpoint, config.model, self.subject, self.arm, self.order, self.repeat, told, decoding]
        return sha256_bytes(canonical_json(identity).encode())


class StoredVerdict(StrictModel):
    """One line of verdicts.jsonl: the raw output, so that it can be read again, and what was read."""

    key: str
    subject: str
    arm: Arm | None = None
    order: Arm | None = None
    repeat: int
    seed: int
    output: str = ""
    finish_reason: str = ""
    latency_s: float = 0.0
    error: str | None = None
    verdict: str | None = None
    """A label, a number as text, or 甲, 乙, 平; None where nothing could be read."""
    evidence: str = ""
    rule: str = ""
    """What was read, or why nothing was: json, no_json, unknown_verdict, no_evidence, evidence_not_found, error."""


def prompt_of(config: JudgeConfig, question: str, *answers: str) -> tuple[Message, ...]:
    """The template filled in one pass, so that a question that holds {answer} stays what it is."""
    names = ("first", "second") if config.mode == "pairwise" else ("answer",)
    values = {"criterion": config.criterion, "choices": config.choices, "question": question}
    values |= dict(zip(names, answers, strict=True))
    text = re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), config.wording)
    return (Message(role="user", content=text),)


def prompt_digest(config: JudgeConfig) -> str:
    """SHA-256 of all the wording a verdict depends on."""
    return sha256_bytes(canonical_json([config.wording, config.criterion, config.choices]).encode())


def read_verdict(text: str, answers: tuple[str, ...], config: JudgeConfig) -> tuple[str | None, str, str]:
    """(verdict, evidence, rule) of a judge's output; the evidence must stand in one of `answers`, white space aside."""
    found = _last_object(strip_thought(text) or "")
    if found is None:
        return None, "", "no_json"
    evidence = str(found.get("evidence", "")).strip().strip(_QUOTES)
    verdict = _known(found.get("verdict"), config)
    if verdict is None:
        return None, evidence, "unknown_verdict"
    if len(compact(evidence)) < _MIN_EVIDENCE_CHARS:
        return None, evidence, "no_evidence"
    if not any(compact(evidence) in compact(answer) for answer in answers):
        return None, evidence, "evidence_not_found"
    return verdict, evidence, "json"


def _known(value: object, config: JudgeConfig) -> str | None:
    if config.mode == "numeric":
        try:
            number = float(str(value))
        except ValueError:
            return None
        return f"{number:g}" if config.lowest <= number <= config.highest else None
    allowed = (FIRST, SECOND, EVEN) if config.mode == "pairwise" else config.labels
    said = compact(str(value)).strip(_QUOTES)
    return next((label for label in allowed if compact(label) == said), None)


def _last_object(text: str) -> dict[str, object] | None:
    """The last JSON object of a text that has `verdict`."""
    decoder = json.JSONDecoder()
    found: dict[str, object] | None = None
    position = text.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError:
            end = position + 1
        else:
            if isinstance(value, dict) and "verdict" in value:
                found = value
        position = text.find("{", end)
    return found
