"""SIGTERM, as a scheduler sends it before it takes the machine away: finish the step, save, leave with status 75."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from tianjing.errors import EXIT_RESUMABLE
from training.errors import TrainingError


class Interrupted(TrainingError):
    """The run was asked to stop, and can go on: not done, and not failed either."""

    def __init__(self, message: str):
        super().__init__(message, "the same command goes on from there", exit_code=EXIT_RESUMABLE)


class Stop:
    """Whether the run has been asked to stop.

    Before the first step nothing can be lost, and the request ends the process at once. From then on it is kept until
    the running step is finished (training.progress.StopAfterStep). After the last one only the artefact is left to
    write, and the run ends by itself.
    """

    def __init__(self) -> None:
        self.requested = False
        self._kept = False

    def keep_until_a_step_is_done(self) -> None:
        """From here on a request waits."""
        self._kept = True

    def end_at_once(self) -> None:
        """From here on a request ends the process at once: the weights of a run stand, and the next has not begun."""
        self._kept = False

    def request(self, signal_number: int, frame: FrameType | None) -> None:
        """The signal handler.

        Raises:
            Interrupted: no step has begun.
        """
        self.requested = True
        if not self._kept:
            raise Interrupted("stopped before the first step")


@contextlib.contextmanager
def stop_on_sigterm(ends_process: bool = False) -> Iterator[Stop]:
    """Handle SIGTERM for as long as the context lasts; outside the main thread signals stay as they are.

    Args:
        ends_process: the exit status is settled when the context ends. SIGTERM is ignored from then on: while the
            interpreter shuts down it would end the process by the signal, and a finished run would look like a failed
            one.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, stop.request)
    try:
        yield stop
    finally:
        # Python itself sets its own handlers, but not this one, back to the system's as it shuts down.
        signal.signal(signal.SIGTERM, signal.SIG_IGN if ends_process else before)
