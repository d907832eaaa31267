"""The notice inside an answer: before its first words or after its last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from serving.guard.base import Admission, Guard, Outlet
from serving.labels.aigc import closing, opening
from serving.labels.settings import LabelSettings
from serving.protocol.call import Call, Channel, Piece


def labelled(guard: Guard, call: Call, settings: LabelSettings) -> Guard:
    """`guard`, whose content carries the notice that the settings put into answers."""
    before, behind = opening(settings, not call.structured), closing(settings, not call.structured)
    return LabelledGuard(guard, before, behind) if before or behind else guard


class LabelledGuard:
    """A guard that puts the notice around what it releases of each choice's content."""

    def __init__(self, guard: Guard, before: str, behind: str):
        self._guard = guard
        self._around = (before, behind)

    @property
    def policy(self) -> str:
        return self._guard.policy

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        return self._guard.admit(pieces)

    def outlet(self, choice: int, channel: Channel = "content") -> Outlet:
        outlet = self._guard.outlet(choice, channel)
        return LabelledOutlet(outlet, *self._around) if channel == "content" else outlet

    def block(self, reason: str) -> None:
        self._guard.block(reason)

    def refusal(self) -> str:
        return self._guard.refusal()

    def report(self) -> dict[str, Any]:
        return self._guard.report()


class LabelledOutlet:
    """An outlet whose first released text follows `before`, and whose last is followed by `behind`."""

    def __init__(self, outlet: Outlet, before: str, behind: str):
        self._outlet = outlet
        self._before = before
        self._behind = behind
        self._spoke = False

    @property
    def ended(self) -> Literal["block", "handoff"] | None:
        return self._outlet.ended

    @property
    def released_chars(self) -> int:
        return self._outlet.released_chars

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        text = self._begun(self._outlet.push(delta, now_ms))
        return text if self._outlet.ended is None else text + self._closed()

    def finish(self) -> str:
        """The rest; an answer without a word, a call of a tool say, gets no notice."""
        return self._begun(self._outlet.finish()) + self._closed()

    def cut_off(self) -> str:
        """The notice, if anything was released and it has not been given."""
        return self._closed()

    def _begun(self, text: str) -> str:
        if not text or self._spoke:
            return text
        self._spoke = True
        return self._before + text

    def _closed(self) -> str:
        """What stands behind the text, once: one that is cut off has been read, too."""
        behind, self._behind = self._behind, ""
        return behind if self._spoke else ""
