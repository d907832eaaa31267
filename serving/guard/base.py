"""What the gateway asks of a guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serving.identity.principal import Principal
from serving.protocol.call import Call, Channel, Piece

Verdict = Literal["allow", "mask", "rewrite", "block", "handoff"]
# The first three let an answer through, the last two end it.
ENDING: frozenset[Verdict] = frozenset({"block", "handoff"})
REFUSAL = "抱歉，这个请求暂时无法处理。如需帮助，请联系人工客服。"


class GuardFailure(Exception):
    """The guard itself broke, so nothing is known about the text, and none of it may pass."""


@dataclass(frozen=True)
class Admission:
    """What was decided about a request. `texts` has one text for each piece, as the model may see it."""

    verdict: Verdict
    texts: tuple[str, ...]
    reasons: tuple[str, ...] = ()


class Outlet(Protocol):
    """The way out of one choice's channel. Once `ended`, nothing more is released and the answer ends."""

    @property
    def ended(self) -> Literal["block", "handoff"] | None: ...

    @property
    def released_chars(self) -> int: ...

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        """Take the next piece of the text and return what may be released.

        Raises:
            GuardFailure: nothing more may be released.
        """
        ...

    def finish(self) -> str:
        """Take the end of the text; returns and raises as `push`. Required disclosures that are missing come here."""
        ...

    def cut_off(self) -> str:
        """The answer ends here, and not by this text: what has to stand behind what was released, "" once it does."""
        ...


class Guard(Protocol):
    """Guards one request: placeholders are the same in question and answer."""

    @property
    def policy(self) -> str:
        """Digest of the settings and rules that this request is judged by, for the account."""
        ...

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        """Judge what the model would read.

        Raises:
            GuardFailure: nothing may be passed on.
        """
        ...

    def outlet(self, choice: int, channel: Channel = "content") -> Outlet:
        """The way out of one choice's channel, a new one each time."""
        ...

    def block(self, reason: str) -> None:
        """Record that text was withheld."""
        ...

    def refusal(self) -> str:
        """What the caller reads in place of what was withheld, by the reasons so far."""
        ...

    def report(self) -> dict[str, Any]:
        """The `tianjing` object of an answer: verdict, reasons and counts of entity kinds, never the entities."""
        ...


# Makes the guard of one request.
Guards = Callable[[Call, Principal], Guard]
