"""One guarded stream: text in, text that may be sent out. No clock, no network, no threads.

Why no cut can leak: a character goes out only once every detector has decided past it, and past the whole cluster of
overlapping spans it belongs to. Nothing else releases text. The caps only ever withhold:

* At a cap the text held so far is replaced by 〔略〕 (or the stream is blocked), and it is never looked at again as
  something to send. The detectors keep their own view of it, so that a span which began in the withheld part is still
  found, and what sticks out of that part is withheld too, or ends the stream if the span says so.
* A stretch that stays undecided over several caps is blocked: a detector that never decides would otherwise be run
  over ever more text.

Why the cut does not matter: pushed text is fed to the detectors in pieces that end at fixed positions of the stream,
and the cap in characters is looked at only there. So one push of a whole text takes every decision that a push of
single characters takes. The cap in milliseconds depends on arrival and can only make the result stricter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal

from tianjing.guard.detectors import CHECK_CHARS, Detector, Incremental, scan
from tianjing.guard.errors import GuardError
from tianjing.guard.verdicts import ENDING, WITHHELD, Released, Span, Verdict, leading

OnCap = Literal["mask", "block"]

# A stretch that has been withheld over this many caps without a decision ends the stream.
_MAX_CAPS: Final = 4
# Begins the kind of the verdict on a detector that failed.
FAULT: Final = "guard_error"
_NOTHING: Final = Released("")


class DetectorFault(Exception):
    """A detector reported what cannot be: its promise is broken, so nothing it said counts."""


class Stream:
    """The state of one (choice, channel). Made by `Guard.open`."""

    def __init__(
        self,
        detectors: Sequence[Detector | Incremental],
        max_held_chars: int,
        max_held_ms: float,
        on_cap: OnCap,
    ):
        self._names = [detector.name for detector in detectors]
        self._scans = [scan(detector).push for detector in detectors]
        self._decided = [0] * len(detectors)  # by each detector
        self._order = list(range(len(detectors)))  # the one that has decided least first
        self._unseen = [""] * len(detectors)  # text that each has not been given yet
        self._max_held_chars = max_held_chars
        self._max_held_ms = max_held_ms
        self._on_cap = on_cap
        self._held = ""  # raw text not yet sent or withheld
        self._base = 0  # position of `_held` in the stream
        self._capped_from = -1  # begin of the stretch withheld at caps that ends at `_base`; -1: none
        self._pending: list[tuple[int, int, int, Span]] = []  # (start, -end, detector, span), to be sorted
        self._arrivals: deque[tuple[int, float]] = deque()  # (position, elapsed ms): text up to there had come by then
        self._at_work = -1  # the detector that is running, for the verdict if it fails
        self._ended: Verdict | None = None
        self._finished = False

    @property
    def held(self) -> int:
        """Characters held back now."""
        return len(self._held)

    @property
    def ended(self) -> Verdict | None:
        """The verdict that ended the stream; None while it may go on."""
        return self._ended

    def _is_over(self) -> bool:
        # A method, for what it reads changes within a call.
        return self._ended is not None

    def push(self, text: str, now_ms: float = 0.0) -> Released:
        """Take the next piece and return what may be sent; nothing more after a block or hand-off.

        Args:
            now_ms: milliseconds since any fixed moment, by the caller's clock; without it the cap in milliseconds
                never applies.

        Raises:
            GuardError: the stream has been finished.
        """
        if self._finished:
            raise GuardError("text was pushed into a finished stream", "open another channel for it")
        return self._run(text, False, now_ms)

    def expire(self, now_ms: float) -> Released:
        """Apply the cap in milliseconds while no text arrives."""
        return self._run("", False, now_ms)

    def finish(self) -> Released:
        """Close the stream and return the rest. Calling it again returns nothing."""
        if self._finished:
            return _NOTHING
        self._finished = True
        return self._run("", True, 0.0)

    def _run(self, text: str, closed: bool, now_ms: float) -> Released:
        if self._is_over():
            return _NOTHING
        sent: list[str] = []
        verdicts: list[Verdict] = []
        try:
            position, length = self._base + len(self._held), len(text)
            if position % CHECK_CHARS + length < CHECK_CHARS:
                self._step(text, closed, sent, verdicts)
            else:
                self._steps(text, position, closed, sent, verdicts)
            if self._held:
                self._watch_time(now_ms, sent, verdicts)
        except Exception as error:
            # Fail closed: what this call had already decided was decided by all detectors and stays; the rest is lost.
            name = self._names[self._at_work] if self._at_work >= 0 else "guard"
            self._block(name, f"{FAULT}:{type(error).__name__}", verdicts)
        return Released("".join(sent), tuple(verdicts)) if sent or verdicts else _NOTHING

    def _steps(self, text: str, position: int, closed: bool, sent: list[str], verdicts: list[Verdict]) -> None:
        begin = 0
        while not self._is_over():
            end = begin + CHECK_CHARS - (position + begin) % CHECK_CHARS
            if end > len(text):
                self._step(text[begin:], closed, sent, verdicts)
                return
            self._step(text[begin:end], False, sent, verdicts)
            # One piece of slack: between two checks, held text may grow by it.
            if len(self._held) > self._max_held_chars - CHECK_CHARS:
                self._cap("held_chars", sent, verdicts)
            begin = end

    def _step(self, text: str, closed: bool, sent: list[str], verdicts: list[Verdict]) -> None:
        if self._is_over():
            return
        self._held += text
        decided = self._ask(text, closed)
        if self._pending:
            self._pending.sort(key=_by_position)
            decided = self._release_spans(decided, sent, verdicts)
        if not self._is_over():
            self._send_to(decided, sent)

    def _ask(self, text: str, closed: bool) -> int:
        """The index up to which every detector has decided. The one that lags most is asked first.

        One that has already decided as far as another holds the text back need not be asked: it is given several
        pieces at once later, which is cheaper and sends the same.
        """
        decided = length = self._base + len(self._held)
        unseen, reached = self._unseen, self._decided
        self._sort()
        for number in self._order:
            piece = unseen[number] + text
            if reached[number] >= decided and not closed:
                unseen[number] = piece
                continue
            self._at_work = number
            spans, index = self._scans[number](piece, closed)
            if index < reached[number] or (closed and index < length):
                raise DetectorFault("less is decided than before, or not all at the end")
            if spans:
                self._accept(number, spans, length)
            unseen[number], reached[number] = "", index
            if index < decided:
                decided = index
        self._at_work = -1
        return decided

    def _sort(self) -> None:
        """Bring `_order` up to date, by insertion: there are few detectors, and most stay where they were."""
        order, reached = self._order, self._decided
        for index in range(1, len(order)):
            number, to = order[index], index
            while to and reached[order[to - 1]] > reached[number]:
                order[to] = order[to - 1]
                to -= 1
            order[to] = number

    def _accept(self, number: int, spans: Sequence[Span], length: int) -> None:
        for span in spans:
            if not self._decided[number] <= span.start < span.end <= length:
                raise DetectorFault("a span that is late, empty or outside of the text")
            self._pending.append((span.start, -span.end, number, span))

    def _release_spans(self, decided: int, sent: list[str], verdicts: list[Verdict]) -> int:
        """Settle the clusters of overlapping spans that end by `decided`; returns how far text may go out."""
        index, pending = 0, self._pending
        while index < len(pending) and pending[index][0] < decided:
            start, minus_end, number, span = pending[index]
            stop, end = index + 1, -minus_end
            if span.action == "allow":
                verdicts.append(self._verdict(number, span))
                index = stop
                continue
            while stop < len(pending) and pending[stop][0] < end:
                if pending[stop][3].action != "allow":
                    end = max(end, -pending[stop][1])
                stop += 1
            if end > decided:
                decided = start
                break
            self._settle(pending[index:stop], start, end, sent, verdicts)
            if self._is_over():
                break
            index = stop
        del pending[:index]
        return decided

    def _settle(
        self, cluster: list[tuple[int, int, int, Span]], start: int, end: int, sent: list[str], verdicts: list[Verdict]
    ) -> None:
        self._send_to(start, sent)
        verdicts += [self._verdict(number, span) for _, _, number, span in cluster]
        lead = leading([span for _, _, _, span in cluster])
        if lead.action in ENDING:
            self._close(next(self._verdict(number, span) for _, _, number, span in cluster if span is lead))
            return
        if self._base == start:  # otherwise a cap has already withheld its beginning
            sent.append(lead.replacement)
        self._drop_to(end)

    def _send_to(self, position: int, sent: list[str]) -> None:
        if position > self._base:
            sent.append(self._held[: position - self._base])
            self._drop_to(position)

    def _drop_to(self, position: int) -> None:
        if position > self._base:
            self._held = self._held[position - self._base :]
            self._base = position
        self._capped_from = -1

    def _cap(self, reason: str, sent: list[str], verdicts: list[Verdict]) -> None:
        """Withhold what is held for good. Detectors are not told, so they still see spans that began in it."""
        begin, end = self._base, self._base + len(self._held)
        if self._on_cap == "block":
            self._block("guard", reason, verdicts)
            return
        if self._capped_from < 0:
            self._capped_from = begin
            sent.append(WITHHELD)
        verdicts.append(Verdict("mask", "guard", reason, begin, end))
        self._held, self._base = "", end
        if end - self._capped_from > _MAX_CAPS * self._max_held_chars:
            self._block("guard", reason, verdicts)

    def _watch_time(self, now_ms: float, sent: list[str], verdicts: list[Verdict]) -> None:
        arrivals, end = self._arrivals, self._base + len(self._held)
        if not arrivals or arrivals[-1][0] < end:
            arrivals.append((end, now_ms))
        while arrivals[0][0] <= self._base:
            arrivals.popleft()
        if now_ms - arrivals[0][1] > self._max_held_ms:
            self._cap("held_ms", sent, verdicts)

    def _block(self, detector: str, kind: str, verdicts: list[Verdict]) -> None:
        verdict = Verdict("block", detector, kind, self._base, self._base + len(self._held))
        verdicts.append(verdict)
        self._close(verdict)

    def _close(self, verdict: Verdict) -> None:
        self._ended = verdict
        self._held = ""
        self._pending.clear()

    def _verdict(self, number: int, span: Span) -> Verdict:
        return Verdict(span.action, self._names[number], span.kind, span.start, span.end)


def _by_position(item: tuple[int, int, int, Span]) -> tuple[int, int, int]:
    return item[:3]
