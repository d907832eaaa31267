"""Documents about money: bank, social insurance, housing fund, tax, credit, repayment and invoices."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tianjing.finance.money import to_cent
from tianjing.privacy.checks import is_luhn
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
    share,
    valid_credit_code,
    valid_id,
)
from tianjing.simulation.documents.values import Fields, Rows, capitals

_LENDERS = ("江海银行信用卡中心", "晨舟消费金融", "云帆小贷", "西岭银行", "速济消费金融", "民和银行信用卡中心")
_SPENDING = ("超市消费", "水电费", "转账支出", "餐饮", "房租", "还款", "手机充值")


def _statement(facts: Facts, rng: random.Random) -> dict[str, Any]:
    first = month_back(facts.today, 3)
    balance = opening = random_yuan(50, 6000, rng)
    rows: Rows = []
    day = first
    for _ in range(rng.randint(6, 10)):
        day += timedelta(days=rng.randint(3, 11))
        salary = rng.random() < 0.3
        amount = facts.income if salary else -share(balance, 1, 60, rng)
        balance += amount
        rows.append(
            {
                "on": day,
                "summary": "工资" if salary else rng.choice(_SPENDING),
                "amount_yuan": amount,
                "balance_yuan": balance,
            }
        )
    return {
        "name": facts.person.name,
        "card_number": facts.person.card,
        "bank": facts.bank,
        "from_on": first,
        "to_on": day,
        "opening_yuan": opening,
        "rows": rows,
        "income_yuan": sum((row["amount_yuan"] for row in rows if row["amount_yuan"] > 0), Decimal("0.00")),
        "closing_yuan": balance,
    }


def _balances_follow(fields: Fields) -> bool:
    balance = fields["opening_yuan"]
    for row in fields["rows"]:
        balance += row["amount_yuan"]
        if row["balance_yuan"] != balance:
            return False
    return bool(balance == fields["closing_yuan"])


def _deposit(facts: Facts, rng: random.Random) -> dict[str, Any]:
    amount = hundreds(30, 900, rng)
    start = facts.today - timedelta(days=rng.randint(1, 20))
    return owner(facts) | {
        "bank": facts.bank,
        "card_number": facts.person.card,
        "deposit_yuan": amount,
        "deposit_capitals": capitals(amount),
        "issued_on": start,
        "frozen_until": start + timedelta(days=rng.choice((30, 60, 90))),
    }


def _credit_report(facts: Facts, rng: random.Random) -> dict[str, Any]:
    rows: Rows = []
    for lender in rng.sample(_LENDERS, rng.randint(2, 5)):
        limit = hundreds(50, 500, rng)
        overdue = rng.choice((0, 0, 1, 2, 3))
        balance = share(limit, 5, 100, rng)
        rows.append({"lender": lender, "limit_yuan": limit, "balance_yuan": balance, "months_overdue": overdue})
    return owner(facts) | {
        "number": serial(rng, 16),
        "reported_on": facts.today - timedelta(days=rng.randint(0, 9)),
        "rows": rows,
        "accounts": len(rows),
        "accounts_overdue": sum(row["months_overdue"] > 0 for row in rows),
        "total_balance_yuan": column_total(rows, "balance_yuan"),
    }


def _settlement(facts: Facts, rng: random.Random) -> dict[str, Any]:
    principal = hundreds(50, 400, rng)
    interest = share(principal, 5, 20, rng)
    settled = facts.today - timedelta(days=rng.randint(3, 200))
    return owner(facts) | {
        "lender": rng.choice(_LENDERS),
        "contract_number": serial(rng, 14),
        "disbursed_on": settled - timedelta(days=rng.randint(180, 720)),
        "settled_on": settled,
        "principal_yuan": principal,
        "interest_yuan": interest,
        "repaid_yuan": principal + interest,
        "issued_on": settled + timedelta(days=rng.randint(0, 3)),
    }


def _receipt(facts: Facts, rng: random.Random) -> dict[str, Any]:
    principal, interest, penalty = random_yuan(200, 2400, rng), random_yuan(20, 280, rng), random_yuan(0, 60, rng)
    return {
        "name": facts.person.name,
        "card_number": facts.person.card,
        "payee": rng.choice(_LENDERS),
        "number": serial(rng, 20),
        "paid_on": facts.today - timedelta(days=rng.randint(0, 15)),
        "principal_yuan": principal,
        "interest_yuan": interest,
        "penalty_yuan": penalty,
        "paid_yuan": principal + interest + penalty,
        "paid_capitals": capitals(principal + interest + penalty),
    }


def _invoice(facts: Facts, rng: random.Random) -> dict[str, Any]:
    net, rate = random_yuan(90, 6000, rng), rng.choice((1, 3, 6, 13))
    tax = to_cent(net * rate / 100)
    return {
        "number": serial(rng, 20),
        "buyer": facts.person.name,
        "seller": facts.employer,
        "credit_code": facts.credit_code,
        "item": rng.choice(("家用电器", "住宿服务", "办公用品", "维修服务", "医疗器械")),
        "net_yuan": net,
        "tax_percent": rate,
        "tax_yuan": tax,
        "total_yuan": net + tax,
        "total_capitals": capitals(net + tax),
        "issued_on": facts.today - timedelta(days=rng.randint(0, 90)),
    }


KINDS: tuple[Kind, ...] = (
    Kind(
        "银行流水",
        _statement,
        (
            Check("balances_follow", "rows", _balances_follow, cell="balance_yuan"),
            Check(
                "income_is_sum_of_credits",
                "income_yuan",
                lambda f: f["income_yuan"] == sum(row["amount_yuan"] for row in f["rows"] if row["amount_yuan"] > 0),
            ),
            Check("card_check_digit", "card_number", lambda f: is_luhn(f["card_number"])),
        ),
    ),
    Kind(
        "存款证明",
        _deposit,
        (
            capitals_agree("deposit_yuan"),
            in_order("issued_on", "frozen_until", forged="frozen_until"),
            Check("card_check_digit", "card_number", lambda f: is_luhn(f["card_number"])),
        ),
    ),
    Kind(
        "征信报告",
        _credit_report,
        (
            rows_add_up("total_balance_yuan", "balance_yuan"),
            Check("accounts_counted", "accounts", lambda f: f["accounts"] == len(f["rows"])),
            Check(
                "overdue_counted",
                "accounts_overdue",
                lambda f: f["accounts_overdue"] == sum(row["months_overdue"] > 0 for row in f["rows"]),
            ),
        ),
    ),
    Kind(
        "结清证明",
        _settlement,
        (
            Check(
                "repaid_is_sum", "repaid_yuan", lambda f: f["repaid_yuan"] == f["principal_yuan"] + f["interest_yuan"]
            ),
            in_order("disbursed_on", "settled_on", "issued_on", forged="settled_on"),
            valid_id(),
        ),
    ),
    Kind(
        "还款凭证",
        _receipt,
        (
            capitals_agree("paid_yuan"),
            Check(
                "paid_is_sum",
                "paid_yuan",
                lambda f: f["paid_yuan"] == f["principal_yuan"] + f["interest_yuan"] + f["penalty_yuan"],
            ),
            Check("card_check_digit", "card_number", lambda f: is_luhn(f["card_number"])),
        ),
    ),
    Kind(
        "发票",
        _invoice,
        (
            capitals_agree("total_yuan"),
            Check("total_is_sum", "total_yuan", lambda f: f["total_yuan"] == f["net_yuan"] + f["tax_yuan"]),
            Check(
                "tax_is_rate",
                "tax_yuan",
                lambda f: f["tax_yuan"] == to_cent(f["net_yuan"] * f["tax_percent"] / 100),
            ),
            valid_credit_code(),
        ),
    ),
)
