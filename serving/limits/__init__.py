"""How much each caller may use: requests and tokens a minute, requests in progress, a budget."""

from serving.limits.base import Limiter, Permit, Unlimited

__all__ = ["Limiter", "Permit", "Unlimited"]
