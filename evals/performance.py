"""What an evaluation took: tokens, money, latency, time to the first token, and how requests failed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from evals.config import Prices
from evals.records import RawAttempt

Json = dict[str, Any]


def performance(attempts: Iterable[RawAttempt], prices: Prices | None) -> Json:
    """By arm. Latencies are of answered requests that this run asked itself; null where there are none."""
    by_arm: dict[str, list[RawAttempt]] = defaultdict(list)
    for attempt in attempts:
        by_arm[attempt.arm].append(attempt)
    return {arm: _arm(rows, prices) for arm, rows in sorted(by_arm.items())}


def cost(attempt: RawAttempt, prices: Prices) -> float:
    """Price of one request in `prices.currency`; what an earlier run paid for costs nothing."""
    if attempt.reused:
        return 0.0
    cached_price = prices.prompt if prices.cached_prompt is None else prices.cached_prompt
    fresh = attempt.prompt_tokens - attempt.cached_tokens
    return (
        fresh * prices.prompt + attempt.cached_tokens * cached_price + attempt.output_tokens * prices.output
    ) / 1_000_000


def _arm(attempts: Sequence[RawAttempt], prices: Prices | None) -> Json:
    answered = [attempt for attempt in attempts if attempt.error is None]
    asked = [attempt for attempt in answered if not attempt.reused]
    figures: Json = {
        "requests": len(attempts),
        "failed": dict(sorted(Counter(str(a.error_kind) for a in attempts if a.error is not None).items())),
        "reused": len(answered) - len(asked),
        "sent_again": sum(attempt.tries - 1 for attempt in attempts),
        "truncated": sum(attempt.finish_reason == "length" for attempt in answered),
        "prompt_tokens": sum(attempt.prompt_tokens for attempt in asked),
        "cached_tokens": sum(attempt.cached_tokens for attempt in asked),
        "output_tokens": sum(attempt.output_tokens for attempt in asked),
        "latency_s": _percentiles([attempt.latency_s for attempt in asked]),
        "first_token_s": _percentiles([a.first_token_s for a in asked if a.first_token_s is not None]),
    }
    if prices is not None:
        total = sum(cost(attempt, prices) for attempt in attempts)
        figures["cost"] = {
            "currency": prices.currency,
            "total": round(total, 6),
            "per_request": round(total / len(attempts), 8),
        }
    return figures


def _percentiles(values: Sequence[float]) -> Json:
    """Nearest-rank percentiles, and the mean."""
    if not values:
        return {"mean": None, "p50": None, "p95": None, "p99": None}
    ordered = sorted(values)
    at = {f"p{share}": ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in (50, 95, 99)}
    return {"mean": round(sum(ordered) / len(ordered), 4), **at}
