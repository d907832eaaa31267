"""Checks what a text states about a loan: amounts, rates, dates and counts against the facts (数字陈述核对)."""

from tianjing.finance.statements.check import Statement, check_statements
from tianjing.finance.statements.facts import Fact, Facts
from tianjing.finance.statements.sources import KnownFacts, facts_of_quote, read_facts, read_known_facts

__all__ = [
    "Fact",
    "Facts",
    "KnownFacts",
    "Statement",
    "check_statements",
    "facts_of_quote",
    "read_facts",
    "read_known_facts",
]
