"""Reading answers out of Chinese model outputs: choices, verdicts, numbers, labels, fields. Pure functions, no I/O."""

from evals.extract.choice import find_choice, read_choice
from evals.extract.found import Found

__all__ = ["Found", "find_choice", "read_choice"]
