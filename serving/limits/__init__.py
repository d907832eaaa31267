"""How much each caller may use: requests and tokens a minute, requests in progress, a budget."""

from serving.limits.base import Limiter, Permit
from serving.limits.settings import LimitSettings

__all__ = ["LimitSettings", "Limiter", "Permit", "limiters"]


def limiters(settings: LimitSettings) -> tuple[Limiter, Limiter]:
    """The limiter of requests that take a place at the engines, and of those that do not; the first opens both.

    Quotas are in Redis or in this process; the first has the gate in front of them.

    Raises:
        ServeError: Redis is wanted, but its client or its address is missing or wrong.
    """
    from serving.limits.gate import Gate, GatedLimiter, Quotas
    from serving.limits.local import LocalLimiter

    quotas: Quotas = LocalLimiter()
    if settings.redis is not None:
        from serving.limits.shared import RedisLimiter

        quotas = RedisLimiter(settings)
    return GatedLimiter(quotas, Gate(settings)), quotas
