"""Whether an endpoint still answers: failures in a row are a suspicion, which other requests of the plan decide.

Requests go out longest first, so those that a server cannot bear may all stand at the head of the queue.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from evals.errors import EvalError
from evals.records import Request
from evals.runner.target import Target, remedy
from tianjing.engine import EngineError
from tianjing.engine.errors import FailureKind

# So many failures in a row, and no fewer than twice the requests in flight, are a suspicion; or so many refusals where
# nothing was answered yet: they come at once, and of a refusal nothing is to be waited for.
SUSPECT_AFTER, REFUSED_AFTER = 20, 10
# Distinct requests from all over the plan that are tried together, and how often at least.
PROBES, ROUNDS = 8, 2
PAUSE_S = 2.0
# A server that is being restarted gets so long since its last answer.
SILENT_S = 10.0
# A probe may outlive the request's own timeout by so much.
_GRACE_S = 60.0
# All that is refused with these is refused for the same reason: the key, the route or the model's name.
_REFUSES_ALL = frozenset({401, 403, 404})


class Health:
    """Of one arm: what came of its requests so far.

    Attributes:
        checking: other requests are being tried; nothing else should be sent meanwhile.
        last_sign: when the server last showed that it lives, be it by a refusal.
    """

    def __init__(self, target: Target, stream: bool, timeout_s: float):
        self._target, self._stream, self._timeout_s = target, stream, timeout_s + _GRACE_S
        self._answered = False
        self._failures = 0
        self._last_answer = self.last_sign = time.monotonic()
        self._checked = asyncio.Event()
        self.checking = False

    def answered(self) -> None:
        """A request was answered."""
        self._answered = True
        self._failures = 0
        self._last_answer = self.last_sign = time.monotonic()

    async def checked(self) -> None:
        """Wait until it is known whether the endpoint still answers."""
        await self._checked.wait()

    async def failed(self, error: EngineError, kind: FailureKind, in_flight: int) -> None:
        """A request was not answered.

        Raises:
            EvalError: nor were others: nothing is to be had here.
        """
        own_fault = kind in ("refused", "context_length") and error.status not in _REFUSES_ALL
        if kind == "rate_limit" or own_fault:
            self.last_sign = time.monotonic()
        if kind == "rate_limit" or (own_fault and self._answered):
            return
        self._failures += 1
        refused = not error.transient and not self._answered
        enough = REFUSED_AFTER if refused else max(SUSPECT_AFTER, 2 * in_flight)
        if self._failures >= enough and not self.checking:
            self.checking = True
            self._checked.clear()
            try:
                await self._check(error)
            finally:
                self.checking = False
                self._checked.set()

    async def _check(self, error: EngineError) -> None:
        before, tried, rounds = self._last_answer, 0, 0
        while True:
            outcomes = await asyncio.gather(*map(self._probe, spread(self._target.plan, PROBES)))
            if None in outcomes:
                self.answered()
            if self._last_answer > before:  # by a probe, or by what was still in flight
                return
            errors = [outcome for outcome in outcomes if outcome is not None] or [error]
            tried, rounds = tried + len(outcomes), rounds + 1
            # Waiting helps neither where nobody listens nor against a refusal.
            settled = all(e.kind == "connection" or not e.transient for e in errors)
            silent = time.monotonic() - self._last_answer >= SILENT_S
            if not outcomes or (rounds >= ROUNDS and (settled or silent)):
                raise self._given_up(errors[-1], tried)
            await asyncio.sleep(0 if settled else PAUSE_S)

    async def _probe(self, request: Request) -> EngineError | None:
        """The answer is not kept, so that nothing in the evidence hangs on when there was a suspicion."""
        try:
            await asyncio.wait_for(self._target.ask(request, self._stream), self._timeout_s)
        except EngineError as error:
            return None if error.kind == "rate_limit" else error
        except TimeoutError:
            return EngineError(f"no answer within {self._timeout_s:g} s", transient=True, kind="timeout")
        return None

    def _given_up(self, error: EngineError, tried: int) -> EvalError:
        tally = f"{self._failures} failures in a row, nor was one of {tried} requests from all over the plan answered"
        if error.transient:
            return EvalError(
                f"the endpoint stopped answering '{self._target.model}' ({tally}; last: {error.message})",
                "read the engine's log, then give the same command again: answered requests are kept",
            )
        return EvalError(
            f"the endpoint answers no request to '{self._target.model}': {error.message} ({tally})",
            error.remedy or remedy(error.message),
        )


def spread(plan: Sequence[Request], count: int) -> list[Request]:
    """Distinct requests, one at random from each stretch of the plan."""
    size, count = len(plan), min(count, len(plan))
    return [plan[random.randrange(size * n // count, size * (n + 1) // count)] for n in range(count)]
