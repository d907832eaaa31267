"""Checks what a text states about a loan: amounts, rates, dates and counts against the facts (数字陈述核对)."""

from tianjing.finance.statements.check import Statement, check_statements
from tianjing.finance.statements.errors import StatementsError
from tianjing.finance.statements.facts import Fact, Facts, read_facts

__all__ = ["Fact", "Facts", "Statement", "StatementsError", "check_statements", "read_facts"]
