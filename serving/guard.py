"""What stands between a caller and the model: personal data is masked on the way in and on the way out.

A guard that fails lets nothing pass: `GuardFailure` is answered with a refusal (fail closed).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from tianjing.privacy import Session
from tianjing.records import Message

Verdict = Literal["allow", "mask", "handoff", "block"]
REFUSAL = "抱歉，这个请求暂时无法处理。如需帮助，请联系人工客服。"


class GuardFailure(Exception):
    """The guard itself broke, so nothing is known about the text."""


class Masker(Protocol):
    """What `tianjing.privacy.StreamMasker` offers."""

    findings: list[str]

    def push(self, delta: str) -> str:
        """Take the next piece and return what may be released."""

    def finish(self) -> str:
        """Close the stream and return the rest."""


class Outlet:
    """The way out of one choice: `push` deltas, then `finish`; both return what may be released."""

    def __init__(self, masker: Masker, counts: Counter[str]):
        self._masker = masker
        self._counts = counts
        self._seen = 0

    def push(self, delta: str) -> str:
        try:
            return self._counted(self._masker.push(delta))
        except Exception as error:
            raise GuardFailure(type(error).__name__) from error

    def finish(self) -> str:
        try:
            return self._counted(self._masker.finish())
        except Exception as error:
            raise GuardFailure(type(error).__name__) from error

    def _counted(self, released: str) -> str:
        self._counts.update(self._masker.findings[self._seen :])
        self._seen = len(self._masker.findings)
        return released


class Guard:
    """Guards one request: placeholders are the same in question and answer."""

    def __init__(self) -> None:
        self.input: Counter[str] = Counter()
        self.output: Counter[str] = Counter()
        self.blocked: list[str] = []
        self._session = Session()

    def admit(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """The messages as the model may see them.

        Raises:
            GuardFailure: nothing may be passed on.
        """
        return tuple(message.model_copy(update={"content": self.mask(message.content)}) for message in messages)

    def mask(self, text: str) -> str:
        try:
            masked = self._session.mask(text)
        except Exception as error:
            raise GuardFailure(type(error).__name__) from error
        self.input.update(finding.kind for finding in masked.findings)
        return masked.text

    def outlet(self) -> Outlet:
        """A way out for one choice; choices number their new placeholders independently."""
        return Outlet(copy.deepcopy(self._session).stream(), self.output)

    def block(self, reason: str) -> None:
        """Record that text was withheld."""
        self.blocked.append(reason)

    def report(self) -> dict[str, Any]:
        """The `tianjing` object of an answer: verdict, reasons and counts of entity kinds, never the entities."""
        reasons = [*self.blocked]
        reasons += [name for name, found in (("pii_input", self.input), ("pii_output", self.output)) if found]
        verdict: Verdict = "block" if self.blocked else "mask" if reasons else "allow"
        entities = {"input": dict(sorted(self.input.items())), "output": dict(sorted(self.output.items()))}
        return {"verdict": verdict, "reasons": reasons, "entities": entities}
