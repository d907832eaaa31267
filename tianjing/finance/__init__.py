"""The cost engine: schedules, costs and annual rates in exact decimal yuan, cost tables and restructuring."""

from tianjing.finance.cost import Quote, quote
from tianjing.finance.errors import FinanceError
from tianjing.finance.rates import (
    CashFlow,
    all_dated_irr,
    dated_irr,
    dated_simple_rate,
    monthly_irr,
    simple_annual_rate,
)
from tianjing.finance.schedule import Row, make_schedule
from tianjing.finance.terms import LoanTerms, load_terms

__all__ = [
    "CashFlow",
    "FinanceError",
    "LoanTerms",
    "Quote",
    "Row",
    "all_dated_irr",
    "dated_irr",
    "dated_simple_rate",
    "load_terms",
    "make_schedule",
    "monthly_irr",
    "quote",
    "simple_annual_rate",
]
