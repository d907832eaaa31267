"""What the gateway asks of the hand-off desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from serving.handoff.signals import Signal


@dataclass(frozen=True)
class Talk:
    """One request as the desk sees it.

    Attributes:
        words: the customer's last words, raw: only read, never stored.
        texts: the conversation as the model may see it, masked, as (speaker, text); the last is the customer's.
        signals: what `Desk.listen` found in the words; None while nobody has listened.
    """

    tenant: str
    request: str
    words: str
    texts: tuple[tuple[str, str], ...]
    session: str | None = None
    customer: str | None = None
    task: str | None = None
    signals: tuple[Signal, ...] | None = None


@dataclass(frozen=True)
class Takeover:
    """A person has taken, or will take, the conversation: `text` is what the customer is told now."""

    case: str
    text: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """What a desk has done since it was made.

    The intervention rate is `opened / (opened + answered)`: how many conversations needed a person.

    Attributes:
        answered: proper answers of the model.
        failed: answers that were blocked or broke off.
        opened: hand-offs, each a new case.
        continued: messages of customers who were with a person already.
        refused: hand-offs that could not be stored and were answered with 503.
        reasons: opened hand-offs by reason; one may have several.
    """

    answered: int = 0
    failed: int = 0
    opened: int = 0
    continued: int = 0
    refused: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)


class Desk(Protocol):
    """Decides whether a person answers, keeps cases, and gives the customer the person's words."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def listen(self, talk: Talk) -> Talk:
        """The talk with its signals, if they are read in no time: the gateway listens while the disk writes."""
        ...

    async def before(self, talk: Talk) -> Takeover | None:
        """A takeover when this session is with a person already or its words ask for one; None: the model may answer.

        Raises:
            ApiError: 503 when the case cannot be stored: nobody is told that a person will come when none will know.
        """
        ...

    async def escalate(self, talk: Talk, reasons: tuple[str, ...]) -> Takeover:
        """A takeover because the guard, not the customer, asks for it; raises as `before`."""
        ...

    async def failed(self, talk: Talk, reason: str) -> Takeover | None:
        """Note that this session got no proper answer; a takeover once that has happened too often."""
        ...

    async def answered(self, talk: Talk) -> None:
        """Note that this session got a proper answer."""
        ...

    def counts(self) -> Counts:
        """What has been done so far, for the metrics."""
        ...
