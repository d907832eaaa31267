"""The guard of one request: personal data is masked both ways, a forbidden saying ends the answer."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from serving.guard.base import Admission, GuardFailure, Outlet, Verdict
from serving.identity.principal import Principal
from serving.protocol.call import Call, Channel, Piece
from tianjing import guard as core
from tianjing.privacy import Session
from tianjing.records import DEFAULT_TIME_ZONE
from tianjing.rulebook import Rulebook
from tianjing.rulebook.schema import Institution

CHANNEL = "chat"


class RequestOutlet:
    """The way out of one choice: `push` deltas, then `finish`; both return what may be released.

    Once `ended`, a rule has been broken: nothing more is released, and the caller ends the answer.
    """

    def __init__(self, stream: core.Stream, guard: RequestGuard):
        self._stream = stream
        self._guard = guard
        self.released_chars = 0

    @property
    def ended(self) -> Literal["block", "handoff"] | None:
        """What ended the text."""
        return None if self._stream.ended is None else "block"

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        """Take the next piece of the answer.

        Raises:
            GuardFailure: nothing more may be released.
        """
        try:
            return self._noted(self._stream.push(delta, now_ms))
        except core.GuardError as error:
            raise GuardFailure(str(error)) from error

    def finish(self) -> str:
        """Take the end of the answer; raises as `push`."""
        return self._noted(self._stream.finish())

    def _noted(self, released: core.Released) -> str:
        for verdict in released.verdicts:
            if verdict.detector == core.PrivacyDetector.name and verdict.action == "mask":
                self._guard.output[verdict.kind] += 1
            elif verdict.action in ("block", "handoff"):
                if verdict.detector != core.RulebookDetector.name or verdict.kind.startswith(core.FAULT):
                    raise GuardFailure(verdict.kind)
                self._guard.block(f"rule:{verdict.kind}")
            elif verdict.detector == core.RulebookDetector.name:
                self._guard.warnings[verdict.kind] += 1
        self.released_chars += len(released.text)
        return released.text


class RequestGuard:
    """Guards one request: placeholders are the same in question and answer.

    Args:
        rules: what must not be said; compiled once and shared by all requests of a day.
    """

    def __init__(self, rules: Sequence[core.Incremental] = ()) -> None:
        self.input: Counter[str] = Counter()
        self.output: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.blocked: list[str] = []
        self._session = Session()
        self._core = core.Guard([core.PrivacyDetector(self._session), *rules])

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        """The texts as the model may see them.

        Raises:
            GuardFailure: nothing may be passed on.
        """
        texts = tuple(self.mask(piece.text) for piece in pieces)
        report = self.report()
        return Admission(report["verdict"], texts, tuple(report["reasons"]))

    def mask(self, text: str) -> str:
        """`text` with placeholders; what was found is counted as input.

        Raises:
            GuardFailure: nothing may be passed on.
        """
        try:
            masked = self._session.mask(text)
        except Exception as error:
            raise GuardFailure(type(error).__name__) from error
        self.input.update(finding.kind for finding in masked.findings)
        return masked.text

    def outlet(self, choice: int, channel: Channel = "content") -> Outlet:
        """The way out of one choice's channel; choices number their new placeholders independently."""
        return RequestOutlet(self._core.open(choice, channel), self)

    def block(self, reason: str) -> None:
        """Record that text was withheld."""
        if reason not in self.blocked:
            self.blocked.append(reason)

    def report(self) -> dict[str, Any]:
        """The `tianjing` object of an answer: verdict, reasons and counts of entity kinds, never the entities."""
        reasons = [*self.blocked, *(f"rule:{rule}" for rule in sorted(self.warnings))]
        reasons += [name for name, found in (("pii_input", self.input), ("pii_output", self.output)) if found]
        verdict: Verdict = "block" if self.blocked else "mask" if reasons else "allow"
        entities = {"input": dict(sorted(self.input.items())), "output": dict(sorted(self.output.items()))}
        return {"verdict": verdict, "reasons": reasons, "entities": entities}


class GuardFactory:
    """A guard for each request, with the rules in force on the day of the request.

    Raises:
        RulebookError: a rule pack is wrong; it names the file, the rule, the field and a remedy.
    """

    def __init__(self, packs: Sequence[Path] = (), institution: Institution = "consumer_finance"):
        self._book = Rulebook.load(packs).within(institution, channel=CHANNEL)
        self._rules = functools.lru_cache(maxsize=2)(self._compiled)
        self._rules(_today())

    def __call__(self, call: Call, caller: Principal) -> RequestGuard:
        return RequestGuard([self._rules(_today())])

    def _compiled(self, day: date) -> core.RulebookDetector:
        return core.RulebookDetector(self._book.on(day).matcher())


def _today() -> date:
    return datetime.now(ZoneInfo(DEFAULT_TIME_ZONE)).date()
