"""What an arm took: requests, tokens and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from evals.records import Attempt
from evals.scoring import ERROR

Json = dict[str, Any]


def cost(attempts: Sequence[Attempt]) -> Json:
    """Requests, tokens, and percentiles of latency and of the time to the first token, of requests answered."""
    answered = [attempt for attempt in attempts if attempt.rule != ERROR]
    latencies = sorted(attempt.latency_s for attempt in answered)
    first = sorted(attempt.first_token_s for attempt in answered if attempt.first_token_s is not None)
    prompt = sum(attempt.prompt_tokens for attempt in attempts)
    return {
        "requests": len(attempts),
        "prompt_tokens": prompt,
        "output_tokens": sum(attempt.output_tokens for attempt in attempts),
        "cached_share": sum(attempt.cached_tokens for attempt in attempts) / prompt if prompt else math.nan,
        "latency_p50_s": percentile(latencies, 0.5),
        "latency_p95_s": percentile(latencies, 0.95),
        "first_token_p50_s": percentile(first, 0.5),
        "first_token_p95_s": percentile(first, 0.95),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest-rank percentile."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
