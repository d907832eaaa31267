"""Facts of a loan, as the tests of stated numbers write them down."""

from __future__ import annotations

from tianjing.finance.statements import Facts
from tianjing.finance.statements.facts import NAMES

_PERIODS = {"annual_rate_irr": "year", "annual_rate_simple": "year", "monthly_rate": "month", "daily_rate": "day"}
_UNITS = {"overdue_days": "天", "deferral_days": "天", "term_months": "个月", "loans": "笔"}


def facts(as_of: str = "2026-08-15", **values: str | tuple[str, ...]) -> Facts:
    """`principal="12000"`, `due_date=("2026-08-20", "2026-09-20")`, `penalty_rate="0.0005/day"`."""
    rows = []
    for name, given in values.items():
        kind = NAMES[name][0]
        for value in (given,) if isinstance(given, str) else given:
            number, _, per = value.partition("/")
            row = {"name": name, "kind": kind, "value": number}
            if kind == "rate":
                row["per"] = per or _PERIODS.get(name, "once")
            if kind == "count":
                row["unit"] = _UNITS.get(name, "期")
            rows.append(row)
    return Facts.model_validate({"as_of": as_of, "values": rows})
