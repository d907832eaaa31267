"""Lawful words: what replaces a phrase that breaks a rule, and what is added when a disclosure is missing.

Only rules whose lawful side can be said without knowing the sentence have words here; the others block.
"""

from __future__ import annotations

from typing import Final

from serving.guard.settings import Disclosure

REWRITES: Final[dict[str, str]] = {
    "promise.approval": "能否通过以审批结果为准",
    "promise.waiver": "能否减免以审批结果为准",
    "promise.no-report": "逾期信息将依法报送征信机构",
    "promise.credit-repair": "真实的征信记录只能到期删除",
    "rate.no-interest": "息费以合同和综合融资成本明示表为准",
    "ai.identity.denied": "我是智能客服",
    "ai.identity.claimed": "我是智能客服",
    "credit.dispute": "您可以提出征信异议",
    "marketing.optout.refused": "您可以随时退订营销信息",
}

DISCLOSURES: Final[dict[str, Disclosure]] = {
    "rate.annual-with-daily": Disclosure(
        text="以上利率折合的年化利率，以合同和综合融资成本明示表载明的为准。",
        with_facts="以上利率折合年化利率{annual_rate_irr}（内部收益率），以合同载明的为准。",
    ),
    "rate.cost-table": Disclosure(text="签约前请查阅综合融资成本明示表，了解全部息费。"),
    "marketing.optout.offered": Disclosure(text="如不需要此类信息，可回复T退订。"),
    "ai.identity.disclosed": Disclosure(text="本回复由智能客服生成。"),
}
