"""The figures of an evaluation, computed from its items and scored attempts alone.

`summarise` gives summary.json: the table of tasks, and the flat list of measures that gate, comparison and report read.
"""

from evals.summary.summarise import summarise

__all__ = ["summarise"]
