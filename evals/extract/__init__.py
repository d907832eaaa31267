"""Reading answers out of Chinese model outputs: choices, verdicts, numbers, labels, fields. Pure functions, no I/O."""

from evals.extract.choice import find_choice, read_choice
from evals.extract.fields import FieldType, compare, find_fields, normalised
from evals.extract.found import LENGTH, TRUNCATED, Found
from evals.extract.judgement import find_judgement, read_judgement, verdict_of
from evals.extract.labels import find_items, find_label, has_all
from evals.extract.numbers import Quantity, find_number, quantities, same_quantity

__all__ = [
    "LENGTH",
    "TRUNCATED",
    "FieldType",
    "Found",
    "Quantity",
    "compare",
    "find_choice",
    "find_fields",
    "find_items",
    "find_judgement",
    "find_label",
    "find_number",
    "has_all",
    "normalised",
    "quantities",
    "read_choice",
    "read_judgement",
    "same_quantity",
    "verdict_of",
]
