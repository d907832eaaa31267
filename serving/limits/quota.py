"""What every kind of count shares: what is counted, over which time, and what a refused caller is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serving.errors import ApiError
from serving.identity.principal import Quota

# A minute is counted in buckets of a second. Whatever was admitted in a second counts for 61 s after that second began:
# so there is no interval of 60 s in which more than the quota was admitted, and it is known when a place gets free.
WINDOW_S = 61
DAY_S = 86_400
# How soon a place of a request in progress gets free is not known.
CONCURRENCY_RETRY_S = 1.0

Limit = Literal["requests", "tokens", "concurrency", "budget"]

_UNITS: dict[Limit, str] = {
    "requests": "requests a minute",
    "tokens": "tokens a minute",
    "concurrency": "requests at once",
    "budget": "tokens of this period's budget",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request is not admitted.

    Attributes:
        used: how much of the limit was taken before this request.
        retry_after_s: until when it stays so, if nothing is given back before.
    """

    limit: Limit
    used: int
    retry_after_s: float


class OverQuota(ApiError):
    """429, with the headers that OpenAI's clients know."""

    def __init__(self, refusal: Refusal, most: int):
        unit = _UNITS[refusal.limit]
        message = f"over the limit of {most} {unit}"
        super().__init__(429, message, code=f"{refusal.limit}_limit_exceeded", retry_after_s=refusal.retry_after_s)
        self._refusal = refusal
        self._most = most

    def headers(self) -> dict[str, str]:
        """Retry-After, and for a limit of a minute `x-ratelimit-limit-*`, `-remaining-*` and `-reset-*`."""
        headers = super().headers()
        if (name := self._refusal.limit) in ("requests", "tokens"):
            headers[f"x-ratelimit-limit-{name}"] = str(self._most)
            headers[f"x-ratelimit-remaining-{name}"] = str(max(0, self._most - self._refusal.used))
            headers[f"x-ratelimit-reset-{name}"] = f"{headers['retry-after']}s"
        return headers


def refused(refusal: Refusal, quota: Quota) -> ApiError:
    """The caller's 429."""
    most = {
        "requests": quota.requests_per_minute,
        "tokens": quota.tokens_per_minute,
        "concurrency": quota.concurrency,
        "budget": quota.budget_tokens,
    }[refusal.limit]
    assert most is not None
    return OverQuota(refusal, most)


def require_possible(quota: Quota, tokens: int) -> None:
    """Refuse what no waiting would help.

    Raises:
        ApiError: 400 when one request alone is over a limit: a 429 would make clients try again for ever.
    """
    for most, unit in ((quota.tokens_per_minute, "a minute"), (quota.budget_tokens, "a period")):
        if most is not None and tokens > most:
            message = f"this request may take {tokens} tokens, more than the {most} of this key {unit}"
            raise ApiError(400, f"{message}: ask for a smaller 'max_tokens'", param="max_tokens", code="over_quota")
