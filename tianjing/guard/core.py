"""The guard of one request: a stream for each choice and channel, all judged by the same detectors."""

from __future__ import annotations

from collections.abc import Sequence

from tianjing.guard.detectors import CHECK_CHARS, Detector, Incremental
from tianjing.guard.errors import GuardError
from tianjing.guard.stream import OnCap, Stream
from tianjing.guard.verdicts import Released

CONTENT = "content"


class Guard:
    """Guards the texts of one request; detectors are compiled once and shared by many guards.

    Args:
        detectors: where two agree in rank on overlapping text, the earlier span decides, then the longer.
        max_held_chars: no more than this many characters are held back per stream (at least 128). Spans shorter than
            this by 64 or more never meet the cap; others are masked or blocked, never released.
        max_held_ms: text held longer than this, by the times given to `push` and `expire`, is masked or blocked.
        on_cap: `mask` withholds the held text and goes on, `block` ends the stream.

    Raises:
        GuardError: settings that cannot be kept.
    """

    def __init__(
        self,
        detectors: Sequence[Detector | Incremental],
        *,
        max_held_chars: int = 512,
        max_held_ms: float = 5000.0,
        on_cap: OnCap = "mask",
    ):
        if max_held_chars < 2 * CHECK_CHARS or max_held_ms <= 0:
            raise GuardError(
                f"caps of {max_held_chars} characters and {max_held_ms:g} ms cannot be kept",
                f"max_held_chars is {2 * CHECK_CHARS} or more, max_held_ms above 0",
            )
        self._detectors = tuple(detectors)
        self._settings = (max_held_chars, max_held_ms, on_cap)
        self._streams: dict[tuple[int, str], Stream] = {}

    def open(self, choice: int = 0, channel: str = CONTENT) -> Stream:
        """The stream of this choice and channel (content, reasoning, a tool's arguments, …), the same each time."""
        stream = self._streams.get((choice, channel))
        if stream is None:
            stream = self._streams[choice, channel] = Stream(self._detectors, *self._settings)
        return stream

    def push(self, text: str, choice: int = 0, channel: str = CONTENT, now_ms: float = 0.0) -> Released:
        """`open(choice, channel).push(text, now_ms)`."""
        return self.open(choice, channel).push(text, now_ms)

    def finish(self, choice: int = 0, channel: str = CONTENT) -> Released:
        """`open(choice, channel).finish()`."""
        return self.open(choice, channel).finish()

    def check(self, text: str) -> Released:
        """Judge a whole text: the same core with one push. Leaves no stream behind."""
        stream = Stream(self._detectors, *self._settings)
        first, last = stream.push(text), stream.finish()
        return Released(first.text + last.text, first.verdicts + last.verdicts)
