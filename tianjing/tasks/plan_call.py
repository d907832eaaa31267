"""The tool of a negotiation: a quotation (试算) of the cost engine, called and answered in one line of plain text.

    call     【试算：每月600元，12天后】   【试算：分12期，现在】   【试算：每月600元，22号】
    result   分21期，每期587.89元，首期4月30日，延期15天

The model copies what the customer said: how much a month, from when. Instalments, days and every amount are the cost
engine's. Plain text, not `tool_calls` of the OpenAI protocol: the schema costs 158 tokens of every row and request in
Qwen2.5's template, as much as the talk itself, and a call 36 against 15; a template without tools would drop both in
silence; and here a row reads the same in training, evaluation and serving.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tianjing.finance.offers import (
    PlanPolicy,
    PlanQuote,
    covering_deferral,
    fewest_instalments,
    nearest_instalments,
    quote_plan,
)
from tianjing.text import arabic, number

TOOL = "试算"
_NUMERAL = r"(\d+(?:,\d{3})*(?:\.\d+)?|[零〇一二两三四五六七八九十百千万]+)"
_CALL = re.compile(
    rf"{TOOL}\s*:\s*(?:(一次|全部)[^,】\]]*|每[月期]\s*{_NUMERAL}\s*[元块]|分?\s*{_NUMERAL}\s*[期次])"
    rf"(?:\s*[,，;；、]\s*(?:延期)?\s*(?:(现在|今天|立即)|{_NUMERAL}\s*天[后内]?|{_NUMERAL}\s*[号日]))?"
)


@dataclass(frozen=True)
class PlanCall:
    """What is asked of the tool: `monthly_yuan` or `instalments`, and `wait_days` or a `day` of the month."""

    monthly_yuan: Decimal | None = None
    instalments: int | None = None
    wait_days: int = 0
    day: int | None = None

    def text(self) -> str:
        """As a model writes it."""
        if self.monthly_yuan is not None:
            much = f"每月{self.monthly_yuan:f}元"
        else:
            much = "一次付清" if self.instalments == 1 else f"分{self.instalments}期"
        when = f"{self.day}号" if self.day is not None else f"{self.wait_days}天后" if self.wait_days else "现在"
        return f"【{TOOL}：{much}，{when}】"


def find_call(text: str) -> PlanCall | None:
    """The first call in an answer, or None; a call cut short after its amount asks for a plan from now on."""
    folded = unicodedata.normalize("NFKC", text)
    match = _CALL.search(folded)
    if match is None:
        return None
    try:
        once, monthly, count, _, wait, day = match.groups()
        return PlanCall(
            monthly_yuan=number(monthly) if monthly else None,
            instalments=1 if once else int(number(count)) if count else None,
            wait_days=int(number(wait)) if wait else 0,
            day=int(number(day)) if day else None,
        )
    except ValueError:
        return None


def run_call(call: PlanCall, fields: Mapping[str, Any]) -> PlanQuote:
    """The permitted plan nearest to what the call asks for, on the debt and under the policy of a negotiation's fields.

    Raises:
        FinanceError: nothing is owed.
    """
    policy = PlanPolicy.model_validate(fields["policy"])
    owed, today = Decimal(fields["outstanding"]), date.fromisoformat(fields["as_of"])
    if call.instalments is not None:
        count = nearest_instalments(owed, call.instalments, policy)
    else:
        assert call.monthly_yuan is not None
        count = fewest_instalments(owed, call.monthly_yuan, policy)
    wait = call.wait_days if call.day is None else days_until(call.day, today)
    return quote_plan(owed, today, count, covering_deferral(wait, policy), policy)


def plan_text(plan: PlanQuote) -> str:
    """What the tool answers: 分21期，每期587.89元，首期4月30日，延期15天."""
    first = f"{plan.first_due_on.month}月{plan.first_due_on.day}日"
    later = f"，延期{plan.deferral_days}天" if plan.deferral_days else ""
    if plan.instalments == 1:
        return f"一次付清{plan.payment:.2f}元，{first}{later}"
    return f"分{plan.instalments}期，每期{plan.payment:.2f}元，首期{first}{later}"


def days_until(day: int, today: date) -> int:
    """Days from today to the next day of a month with this number; a day no month has counts as its last."""
    if day >= today.day:
        return day - today.day
    following = date(today.year + today.month // 12, today.month % 12 + 1, 1)
    return (following - today).days + day - 1


def stated_amounts(text: str) -> frozenset[Decimal]:
    """Every amount in yuan (…元) that an answer states."""
    found = re.findall(r"(\d+(?:,\d{3})*(?:\.\d+)?)\s*[元块]", arabic(unicodedata.normalize("NFKC", text)))
    return frozenset(Decimal(amount.replace(",", "")) for amount in found)
