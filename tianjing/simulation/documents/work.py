"""Documents about work: income, employment, wages, leaving, unemployment and retirement."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from tianjing.finance.money import to_cent
from tianjing.simulation.documents.facts import Facts
from tianjing.simulation.documents.kinds import (
    Check,
    Kind,
    born_as_in_id,
    capitals_agree,
    hundreds,
    in_order,
    month_back,
    owner,
    serial,
    valid_credit_code,
    valid_id,
    years_later,
)
from tianjing.simulation.documents.values import capitals


def _income(facts: Facts, rng: random.Random) -> dict[str, Any]:
    return owner(facts) | {
        "employer": facts.employer,
        "position": facts.position,
        "joined_on": facts.joined_on,
        "monthly_income_yuan": facts.income,
        "monthly_income_capitals": capitals(facts.income),
        "annual_income_yuan": facts.income * 12,
        "issued_on": facts.today - timedelta(days=rng.randint(0, 20)),
    }


def _employment(facts: Facts, rng: random.Random) -> dict[str, Any]:
    issued = facts.today - timedelta(days=rng.randint(0, 20))
    return owner(facts) | {
        "employer": facts.employer,
        "credit_code": facts.credit_code,
        "position": facts.position,
        "joined_on": facts.joined_on,
        "full_years": (issued - facts.joined_on).days // 365,
        "issued_on": issued,
    }


def _contract(facts: Facts, rng: random.Random) -> dict[str, Any]:
    years = rng.choice((1, 2, 3, 5))
    wage = facts.income
    return owner(facts) | {
        "employer": facts.employer,
        "credit_code": facts.credit_code,
        "position": facts.position,
        "signed_on": facts.joined_on - timedelta(days=rng.randint(0, 9)),
        "starts_on": facts.joined_on,
        "ends_on": years_later(facts.joined_on, years) - timedelta(days=1),
        "term_years": years,
        "monthly_wage_yuan": wage,
        "monthly_wage_capitals": capitals(wage),
    }


def _payslip(facts: Facts, rng: random.Random) -> dict[str, Any]:
    allowance, overtime = hundreds(1, 8, rng), hundreds(0, 12, rng)
    base = facts.income
    gross = base + allowance + overtime
    insurance, fund, tax = to_cent(base * 105 / 1000), to_cent(base * 7 / 100), to_cent(gross / 100)
    return {
        "name": facts.person.name,
        "employer": facts.employer,
        "month": month_back(facts.today, 1),
        "base_yuan": base,
        "overtime_yuan": overtime,
        "allowance_yuan": allowance,
        "gross_yuan": gross,
        "insurance_yuan": insurance,
        "housing_fund_yuan": fund,
        "tax_yuan": tax,
        "net_yuan": gross - insurance - fund - tax,
    }


def _leaving(facts: Facts, rng: random.Random) -> dict[str, Any]:
    left = facts.today - timedelta(days=rng.randint(5, 120))
    return owner(facts) | {
        "employer": facts.employer,
        "position": facts.position,
        "joined_on": facts.joined_on,
        "left_on": left,
        "reason": rng.choice(("公司裁员", "合同到期未续签", "部门撤销", "协商一致解除")),
        "issued_on": left + timedelta(days=rng.randint(0, 5)),
    }


def _unemployment(facts: Facts, rng: random.Random) -> dict[str, Any]:
    left = facts.today - timedelta(days=rng.randint(30, 150))
    months, benefit = rng.randint(3, 18), hundreds(13, 22, rng)
    return owner(facts) | {
        "number": serial(rng, 12),
        "left_on": left,
        "registered_on": left + timedelta(days=rng.randint(3, 25)),
        "benefit_months": months,
        "monthly_benefit_yuan": benefit,
        "total_benefit_yuan": benefit * months,
        "office": f"{facts.city}{facts.district}就业服务中心",
    }


def _pension(facts: Facts, rng: random.Random) -> dict[str, Any]:
    pension = hundreds(22, 58, rng)
    return owner(facts) | {
        "born_on": facts.person.born,
        "retired_on": facts.today - timedelta(days=rng.randint(30, 900)),
        "monthly_pension_yuan": pension,
        "monthly_pension_capitals": capitals(pension),
        "office": f"{facts.city}社会保险事业管理中心",
        "issued_on": facts.today - timedelta(days=rng.randint(0, 20)),
    }


KINDS: tuple[Kind, ...] = (
    Kind(
        "收入证明",
        _income,
        (
            capitals_agree("monthly_income_yuan"),
            Check(
                "year_is_twelve_months",
                "annual_income_yuan",
                lambda f: f["annual_income_yuan"] == 12 * f["monthly_income_yuan"],
            ),
            valid_id(),
            in_order("joined_on", "issued_on", forged="issued_on"),
        ),
    ),
    Kind(
        "在职证明",
        _employment,
        (
            valid_credit_code(),
            Check(
                "years_since_joining",
                "full_years",
                lambda f: f["full_years"] == (f["issued_on"] - f["joined_on"]).days // 365,
            ),
            valid_id(),
        ),
    ),
    Kind(
        "劳动合同",
        _contract,
        (
            capitals_agree("monthly_wage_yuan"),
            Check(
                "term_fits_dates",
                "ends_on",
                lambda f: f["ends_on"] + timedelta(days=1) == years_later(f["starts_on"], f["term_years"]),
            ),
            in_order("signed_on", "starts_on", forged="signed_on"),
            valid_credit_code(),
        ),
    ),
    Kind(
        "工资单",
        _payslip,
        (
            Check(
                "gross_is_sum",
                "gross_yuan",
                lambda f: f["gross_yuan"] == f["base_yuan"] + f["overtime_yuan"] + f["allowance_yuan"],
            ),
            Check(
                "net_is_gross_less_deductions",
                "net_yuan",
                lambda f: (
                    f["net_yuan"] == f["gross_yuan"] - f["insurance_yuan"] - f["housing_fund_yuan"] - f["tax_yuan"]
                ),
            ),
        ),
    ),
    Kind(
        "离职证明",
        _leaving,
        (in_order("joined_on", "left_on", "issued_on", forged="left_on"), valid_id()),
    ),
    Kind(
        "失业登记证明",
        _unemployment,
        (
            Check(
                "total_is_months_times_benefit",
                "total_benefit_yuan",
                lambda f: f["total_benefit_yuan"] == f["benefit_months"] * f["monthly_benefit_yuan"],
            ),
            in_order("left_on", "registered_on", forged="registered_on"),
            valid_id(),
        ),
    ),
    Kind(
        "养老金证明",
        _pension,
        (
            capitals_agree("monthly_pension_yuan"),
            born_as_in_id(),
            in_order("retired_on", "issued_on", forged="retired_on"),
        ),
    ),
)
