"""The way out of one channel: decode, guard, put back what may be put back, add what must be said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Protocol

from serving.guard.base import GuardFailure
from serving.guard.jsontext import Decoder, Encoder, is_json
from tianjing.guard import FAULT, Released, Stream, Verdict
from tianjing.guard.verdicts import ENDING

# A push of the few characters of a token takes some microseconds.
SLOW_NS = 1_000_000


class Watch(Protocol):
    """The request that an outlet belongs to."""

    def noted(self, verdict: Verdict) -> None:
        """Take note of a decision."""
        ...

    def spent(self, nanoseconds: int) -> None:
        """Count processor time; raises GuardFailure when there is none left."""
        ...

    def failed(self, rail: str, error: str) -> GuardFailure:
        """Take note of a fault; gives what to raise."""
        ...


class Stage(Protocol):
    """Changes a stream of text piece by piece."""

    def push(self, text: str) -> str: ...

    def finish(self) -> str: ...


class Dropped:
    """The way out of a channel that is withheld as a whole."""

    ended: Literal["block", "handoff"] | None = None
    released_chars = 0

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        """Nothing is released."""
        return ""

    def finish(self) -> str:
        """Nothing is released."""
        return ""

    def cut_off(self) -> str:
        """Nothing is released."""
        return ""


class RequestOutlet:
    """The way out of one choice's channel: `push` deltas, then `finish`; both return what may be released.

    Args:
        stream: decides about the text.
        restore: what the decided text goes through, before it is released.
        closing: says what is added at the end, by the whole guarded text; None adds nothing.
    """

    def __init__(
        self,
        stream: Stream,
        watch: Watch,
        restore: Stage | None = None,
        closing: Callable[[str], str] | None = None,
    ):
        self.released_chars = 0
        self._stream = stream
        self._watch = watch
        self._restore = restore
        self._closing = closing
        self._said: list[str] = []
        self._broken: GuardFailure | None = None
        # A thread's own time is exact, but to ask for it costs a tenth of a push; the clock of the wall costs nothing,
        # and while pushes are short it says the same.
        self._clock = time.perf_counter_ns
        self._unsaid_ns = 0

    @property
    def ended(self) -> Literal["block", "handoff"] | None:
        """What ended the text."""
        ended = self._stream.ended
        return None if ended is None else "handoff" if ended.action == "handoff" else "block"

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        """Take the next piece of the answer.

        Raises:
            GuardFailure: nothing more may be released.
        """
        clock = self._clock
        begun = clock()
        try:
            text = self._pushed(delta, now_ms)
            self._unsaid_ns += clock() - begun
            if self._unsaid_ns > SLOW_NS:
                self._say_spent()
        except Exception as error:
            raise self._failed(error) from error
        self.released_chars += len(text)
        return text

    def _say_spent(self) -> None:
        """Count the time of the pushes since it was counted last, a millisecond at least."""
        spent, self._unsaid_ns = self._unsaid_ns, 0
        if spent > 2 * SLOW_NS and self._clock is not time.thread_time_ns:
            self._clock = time.thread_time_ns  # slow, or pre-empted: from now on the difference is told
            spent = SLOW_NS
        self._watch.spent(spent)

    def finish(self) -> str:
        """Take the end of the answer; raises as `push`. Required disclosures that are missing come here."""
        begun = time.thread_time_ns()
        try:
            text = self._finished()
            self._watch.spent(time.thread_time_ns() - begun + self._unsaid_ns)
        except Exception as error:
            raise self._failed(error) from error
        self.released_chars += len(text)
        return text

    def cut_off(self) -> str:
        """Nothing: what is held goes, and an answer that is cut off owes no disclosure."""
        return ""

    def _pushed(self, text: str, now_ms: float) -> str:
        if self._broken is not None:
            raise self._broken
        released = self._stream.push(text, now_ms)
        if not released.verdicts and self._restore is None:
            if released.text and self._closing is not None:
                self._said.append(released.text)
            return released.text
        sent = self._out(released)
        if self._restore is not None and self._stream.ended is not None:
            sent += self._restore.finish()  # nobody finishes a text that has ended
        return sent

    def _finished(self) -> str:
        if self._broken is not None:
            raise self._broken
        sent = self._out(self._stream.finish())
        if self._restore is not None:
            sent += self._restore.finish()
        if self._closing is not None and self._stream.ended is None:
            sent += self._closing("".join(self._said))
        return sent

    def _out(self, released: Released) -> str:
        for verdict in released.verdicts:
            if verdict.kind.startswith(FAULT) or (verdict.detector == "guard" and verdict.action in ENDING):
                raise self._watch.failed(verdict.detector, verdict.kind.removeprefix(f"{FAULT}:"))
            self._watch.noted(verdict)
        text = released.text
        if self._closing is not None and text:
            self._said.append(text)
        return text if self._restore is None else self._restore.push(text)

    def _failed(self, error: Exception) -> GuardFailure:
        """From now on nothing is released; gives what to raise."""
        if not isinstance(error, GuardFailure):
            error = self._watch.failed("outlet", type(error).__name__)
        self._broken = error
        return error


class JsonOutlet(RequestOutlet):
    """The way out of a tool call's arguments and of a structured answer. JSON stays JSON, or the answer ends."""

    def __init__(self, stream: Stream, watch: Watch, encoder: Encoder, closing: Callable[[str], str] | None = None):
        super().__init__(stream, watch, encoder, closing)
        self._decoder = Decoder()
        self._raw: list[str] = []
        self._sent: list[str] = []

    def _pushed(self, text: str, now_ms: float) -> str:
        self._raw.append(text)
        sent = super()._pushed(self._decoder.push(text), now_ms)
        self._sent.append(sent)
        return sent

    def _finished(self) -> str:
        sent = super()._pushed(self._decoder.finish(), 0.0) + super()._finished()
        whole = "".join([*self._sent, sent])
        if self._stream.ended is None and is_json("".join(self._raw)) and not is_json(whole):
            raise self._watch.failed("outlet", "JSON")
        return sent
