"""Documents about contributions and taxes: social insurance, housing fund, income tax."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tianjing.finance.money import to_cent
from tianjing.simulation.documents.facts import Facts
from tianjing.simulation.documents.kinds import (
    Check,
    Kind,
    capitals_agree,
    column_total,
    hundreds,
    in_order,
    month_back,
    owner,
    random_yuan,
    rows_add_up,
    serial,
    valid_id,
)
from tianjing.simulation.documents.values import Rows, capitals


def _insurance(facts: Facts, rng: random.Random) -> dict[str, Any]:
    base = facts.income
    rows: Rows = [
        {
            "month": month_back(facts.today, back),
            "base_yuan": base,
            "company_yuan": to_cent(base * 27 / 100),
            "personal_yuan": to_cent(base * 105 / 1000),
        }
        for back in range(rng.randint(6, 9), 0, -1)
    ]
    return owner(facts) | {
        "employer": facts.employer,
        "rows": rows,
        "months_paid": len(rows),
        "total_personal_yuan": column_total(rows, "personal_yuan"),
        "office": f"{facts.city}社会保险事业管理中心",
    }


def _housing_fund(facts: Facts, rng: random.Random) -> dict[str, Any]:
    share = to_cent(facts.income * rng.choice((5, 7, 12)) / 100)
    rows: Rows = [
        {"month": month_back(facts.today, back), "personal_yuan": share, "company_yuan": share, "paid_yuan": share * 2}
        for back in range(rng.randint(6, 9), 0, -1)
    ]
    total = column_total(rows, "paid_yuan")
    before = random_yuan(0, 30000, rng)
    return owner(facts) | {
        "employer": facts.employer,
        "fund_account": serial(rng, 11),
        "rows": rows,
        "total_yuan": total,
        "before_yuan": before,
        "balance_yuan": before + total,
    }


def _tax_record(facts: Facts, rng: random.Random) -> dict[str, Any]:
    rows: Rows = []
    for back in range(rng.randint(6, 9), 0, -1):
        income = facts.income + hundreds(0, 9, rng)
        tax = to_cent(max(Decimal(0), income - 5000) * 3 / 100)
        rows.append({"month": month_back(facts.today, back), "income_yuan": income, "tax_yuan": tax})
    return owner(facts) | {
        "employer": facts.employer,
        "number": serial(rng, 15),
        "rows": rows,
        "total_income_yuan": column_total(rows, "income_yuan"),
        "total_tax_yuan": column_total(rows, "tax_yuan"),
    }


def _tax_payment(facts: Facts, rng: random.Random) -> dict[str, Any]:
    amount = random_yuan(80, 9000, rng)
    return owner(facts) | {
        "number": serial(rng, 18),
        "tax_item": rng.choice(("个人所得税（工资薪金所得）", "个人所得税（经营所得）", "契税")),
        "from_on": month_back(facts.today, 12),
        "to_on": month_back(facts.today, 0) - timedelta(days=1),
        "paid_yuan": amount,
        "paid_capitals": capitals(amount),
        "issued_on": facts.today,
        "office": f"国家税务总局{facts.city}税务局",
    }


KINDS: tuple[Kind, ...] = (
    Kind(
        "社保缴费记录",
        _insurance,
        (
            rows_add_up("total_personal_yuan", "personal_yuan"),
            Check("months_counted", "months_paid", lambda f: f["months_paid"] == len(f["rows"])),
            valid_id(),
        ),
    ),
    Kind(
        "公积金缴存证明",
        _housing_fund,
        (
            rows_add_up("total_yuan", "paid_yuan"),
            Check("balance_is_sum", "balance_yuan", lambda f: f["balance_yuan"] == f["before_yuan"] + f["total_yuan"]),
            valid_id(),
        ),
    ),
    Kind(
        "个税纳税记录",
        _tax_record,
        (
            rows_add_up("total_income_yuan", "income_yuan"),
            rows_add_up("total_tax_yuan", "tax_yuan", "taxes_add_up"),
            valid_id(),
        ),
    ),
    Kind(
        "完税证明",
        _tax_payment,
        (
            capitals_agree("paid_yuan"),
            in_order("from_on", "to_on", "issued_on", forged="issued_on"),
            valid_id(),
        ),
    ),
)
