"""The right words for a wrong number, where they are certain."""

from __future__ import annotations

import re
from typing import Final

from tianjing.finance.statements import Fact, Facts, Statement

# What a sentence calls each fact right before its value. 总共14400元 may be compared with the instalment for want of a
# better fact, but to say the instalment there would be another lie.
_NAMED: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile(
        rf"(?:{words})(?:金额|款项?|总额)?(?:还有|还是|一共|总共|仅|只|约|为|是|有|的|了|:|：|\s|人民币|￥|¥){{0,3}}$"
    )
    for name, words in {
        "instalment": "每[期月](?:应|需|要)?(?:还款?|供|偿还)?|[本当这]期(?:应|需|要)还款?|月供",
        "overdue_amount": "逾期金额|逾期欠款|逾期本息|逾期(?:应|需)还款?",
        "penalty": "罚息|违约金|滞纳金",
        "remaining_principal": "剩余本金|未还本金|待还本金",
        "minimum_payment": "最低还款额?|最低应还",
        "credit_limit": "额度",
        "total_interest": "总利息|利息一共|利息总共|利息合计",
        "total_repayment": "还款总额|总还款额?|应还总额",
        "principal": "借款本金|贷款本金|借款金额|贷款金额",
        "cash_received": "到账金额|实际到账|到手",
        "waiver_amount": "减免金额",
        "due_date": "还款日|还款日期|到期日|应还日期?|还款时间|最[晚迟]还款日",
        "deadline": "截止日期?|截至|最[晚迟]",
        "maturity_date": "最后一期还款日|最后还款日",
        "contract_date": "签约日期?|放款日期?",
        "instalments": "总期数|共分?|一共分?|总共分?|分",
        "instalments_paid": "已还|已经还",
        "instalments_left": "剩余|还剩|剩下",
        "overdue_days": "逾期天数|已?(?:经)?逾期",
        "deferral_days": "延期|展期|宽限期?",
        "term_months": "借款期限|贷款期限|期限",
        "loans": "借款笔数",
    }.items()
}
_MONEY: Final = re.compile(r"\d[\d,]*(?:\.\d+)?\s?(?:元|块钱?)")
_COUNT: Final = re.compile(r"\d+\s?(期|天|个月|次|笔)")
_DAY: Final = re.compile(r"(\d{4}年)?\d{1,2}月\d{1,2}[日号]")


class Correction:
    """Says what a wrong value should have been: only when one fact alone is meant, by its own name, and the value is
    written in figures with its unit. Rates are never rewritten: what they are per stands outside of the value."""

    def __init__(self, facts: Facts):
        self._facts = facts

    def __call__(self, said: Statement, before: str) -> str:
        meant = self._facts.named(said.facts)
        if len(meant) != 1 or not (named := _NAMED.get(meant[0].name)) or not named.search(before):
            return ""
        return _written(meant[0], said)


def _written(fact: Fact, said: Statement) -> str:
    if fact.kind == "date":
        written = _DAY.fullmatch(said.evidence)
        day = f"{fact.day.month}月{fact.day.day}日"
        right = "" if written is None else f"{fact.day.year}年{day}" if written[1] else day
        return "" if right == said.evidence.replace("号", "日") else right
    if said.value == fact.number:
        return ""  # the words around it make it wrong, a denial for one
    if fact.kind == "money" and _MONEY.fullmatch(said.evidence):
        return f"{fact.number:.2f}元"
    count = _COUNT.fullmatch(said.evidence) if fact.kind == "count" else None
    return f"{fact.value}{fact.unit}" if count and count[1] == fact.unit else ""
