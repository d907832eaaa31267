"""Asks a plan of requests of its models and keeps every answer on disk: resumable, paced, counted."""

from evals.runner.canary import copied_repeats, seeds_ignored
from evals.runner.journal import Journal, finished_keys, load_attempts
from evals.runner.pace import Pace, adaptive, fixed
from evals.runner.pool import Pool
from evals.runner.target import Backend, Target, remedy

__all__ = [
    "Backend",
    "Journal",
    "Pace",
    "Pool",
    "Target",
    "adaptive",
    "copied_repeats",
    "finished_keys",
    "fixed",
    "load_attempts",
    "remedy",
    "seeds_ignored",
]
