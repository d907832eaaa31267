"""Which failures are tried again, how often and after which pause."""

from __future__ import annotations

import random

from tianjing.engine import EngineError

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A request that timed out has cost the server its whole time: once more, then it counts as failed.
TIMEOUT_TRIES = 2
# A rate limit is no fault of the request, so it is not counted in tries but in patience.
RATE_LIMIT_PATIENCE_S = 600.0


def pause_s(error: EngineError, tries: int, most: int, waited_s: float) -> float | None:
    """Seconds until the request is sent again, None when it has failed for good.

    Args:
        tries: how often it was sent.
        most: how often it may be sent when the fault is not its own.
        waited_s: how long its pauses were so far.
    """
    if not error.transient:
        return None
    if error.kind == "rate_limit":
        if waited_s >= RATE_LIMIT_PATIENCE_S:
            return None
    elif tries >= (min(most, TIMEOUT_TRIES) if error.kind == "timeout" else most):
        return None
    if error.retry_after_s is not None:
        return min(error.retry_after_s, LONGEST_PAUSE_S)
    pause = min(FIRST_PAUSE_S * 2 ** min(tries - 1, 10), LONGEST_PAUSE_S)
    return pause * random.uniform(0.75, 1.25)  # those refused together must not come back together
