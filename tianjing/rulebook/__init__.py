"""Executable, dated and cited rules of Chinese consumer finance: one book for data, evaluation and serving."""

from tianjing.rulebook.batch import check_many
from tianjing.rulebook.book import Rulebook
from tianjing.rulebook.checking import Finding, check_contacts, check_dialogue, check_turns
from tianjing.rulebook.errors import RulebookError
from tianjing.rulebook.matcher import Hit, PhraseMatcher
from tianjing.rulebook.schema import Rule

__all__ = [
    "Finding",
    "Hit",
    "PhraseMatcher",
    "Rule",
    "Rulebook",
    "RulebookError",
    "check_contacts",
    "check_dialogue",
    "check_many",
    "check_turns",
]
