"""What others tell of a customer, over time: credit bureau (征信), social insurance, and a data vendor."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

from tianjing.simulation.planning import Customer

AS_OF = (date(2025, 12, 31), date(2026, 3, 31), date(2026, 6, 30))

_ASKED_SHARE = 0.25
_LENDER_YUAN = 900  # other debt a month that stands for one more lender


def record_rows(customer: Customer, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Rows of records.jsonl for the customers that are asked about: life events show in them, with some noise."""
    if rng.random() >= _ASKED_SHARE:
        return
    first = customer.first_state
    lenders = 1 + first.other_debt_yuan // _LENDER_YUAN + rng.randint(0, 2)
    score = rng.randint(20, 60)
    for as_of in AS_OF:
        event = _last_event(customer, as_of)
        more_lenders = rng.randint(2, 4) if event == "多头负债" else 0
        trouble = event not in ("", "恢复", "忘记还款")
        yield _row(
            customer,
            "credit_bureau",
            as_of,
            lenders=lenders + more_lenders,
            total_balance_yuan=(lenders + more_lenders) * rng.randint(20, 260) * 100,
            utilisation_percent=min(100, rng.randint(15, 70) + 20 * trouble),
            queries_last_3_months=rng.randint(0, 2) + 2 * more_lenders,
            accounts_overdue=int(trouble) + more_lenders // 2,
        )
        employed = event != "失业"
        yield _row(
            customer,
            "social_insurance",
            as_of,
            paid_this_month=employed and rng.random() < 0.95,
            base_yuan=first.usual_income_yuan if employed else 0,
        )
        if as_of == AS_OF[1]:
            yield _row(
                customer,
                "data_vendor",
                as_of,
                multiple_borrowing_score=min(100, score + 25 * bool(more_lenders)),
                numbers_changed_last_year=rng.choice((0, 0, 0, 1, 2)),
            )


def _row(customer: Customer, source: str, as_of: date, **fields: int | bool) -> dict[str, Any]:
    return {"customer": customer.person.id, "source": source, "as_of": as_of.isoformat(), "fields": fields}


def _last_event(customer: Customer, as_of: date) -> str:
    """The latest life event up to that day, "" for none."""
    return next((event for at, event in reversed(customer.life) if at.date() <= as_of), "")
