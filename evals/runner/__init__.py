"""Asks a plan of requests of its models and keeps every answer on disk: resumable, paced, counted."""

from evals.runner.canary import require_different_repeats
from evals.runner.journal import Journal, finished_keys, load_attempts
from evals.runner.pace import Pace, adaptive, fixed
from evals.runner.pool import Backend, Pool, Target

__all__ = [
    "Backend",
    "Journal",
    "Pace",
    "Pool",
    "Target",
    "adaptive",
    "finished_keys",
    "fixed",
    "load_attempts",
    "require_different_repeats",
]
