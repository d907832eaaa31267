"""Whether an engine may be asked: health checks with hysteresis, and a circuit breaker on its answers. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from serving.upstreams.settings import PoolSettings

State = Literal["up", "down", "ejected", "trial"]


class Health:
    """Fed with the results of health checks and of requests; `clock` gives monotonic seconds.

    The first check decides alone. After that `fall` failures in a row take an engine out and `rise` successes bring it
    back. Apart from that, `eject_after` failed requests in a row eject it for a time that doubles with each ejection in
    a row; then a single request tries it, and its result decides.
    """

    def __init__(self, settings: PoolSettings, clock: Callable[[], float]):
        self.ejections = 0
        self._settings = settings
        self._clock = clock
        self._checked = False
        self._up = True
        self._streak = 0
        self._failures = 0
        self._ejected_until: float | None = None
        self._in_row = 0
        self._trying = False

    @property
    def up(self) -> bool:
        """What the health checks say."""
        return self._up

    @property
    def state(self) -> State:
        """For those who watch."""
        if not self._up:
            return "down"
        if self._ejected_until is None:
            return "up"
        return "ejected" if self._trying or self._clock() < self._ejected_until else "trial"

    def usable(self) -> bool:
        """Whether a request may go there."""
        return self.state in ("up", "trial")

    def wait_s(self) -> float:
        """Seconds until it may be usable again, as far as is known."""
        if self._up and self._ejected_until is not None:
            return max(0.0, self._ejected_until - self._clock())
        return self._settings.health_interval_s * self._settings.rise

    def checked(self, passed: bool) -> None:
        """A health check has ended."""
        if not self._checked:
            self._checked, self._up, self._streak = True, passed, 0
        elif passed == self._up:
            self._streak = 0
        else:
            self._streak += 1
            if self._streak >= (self._settings.rise if passed else self._settings.fall):
                self._up, self._streak = passed, 0
                # It may be another process than the one whose answers failed.
                self._close()

    def asked(self) -> bool:
        """A request goes there; True when it is the one that tries an ejected engine."""
        if self._ejected_until is None:
            return False
        self._trying = True
        return True

    def answered(self) -> None:
        """A request was answered, with whatever status the engine chose."""
        self._close()

    def left(self, trial: bool) -> None:
        """A request ended without showing whether the engine works."""
        if trial:
            self._trying = False

    def failed(self, trial: bool, others: bool) -> None:
        """A request failed. `others`: whether the group has another usable engine."""
        self._failures += 1
        # Requests that were there before the ejection and fail after it tell nothing new.
        fresh = self._ejected_until is None and others and self._failures >= self._settings.eject_after
        if trial or fresh:
            self._trying = False
            self._in_row += 1
            self.ejections += 1
            pause = min(self._settings.eject_s * 2 ** (self._in_row - 1), self._settings.eject_most_s)
            self._ejected_until = self._clock() + pause

    def _close(self) -> None:
        self._failures = self._in_row = 0
        self._ejected_until, self._trying = None, False
