"""What the sample corpus hides for mining to find: situations, the act that works in each, and buckets of arrears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Way of speaking: a of site east, b of site west (differently written, in another dialect), or both.
Surface = Literal["a", "b", "both"]

BUCKETS = ("M0", "M1", "M2", "M3")

# Days in arrears per bucket of overdue (逾期) accounts, first and last day.
BUCKET_DAYS: dict[str, tuple[int, int]] = {"M0": (1, 3), "M1": (4, 30), "M2": (31, 60), "M3": (61, 88)}
BUCKET_WEIGHTS: dict[str, int] = {"M0": 22, "M1": 40, "M2": 24, "M3": 14}


@dataclass(frozen=True)
class Situation:
    """A reason of arrears: its grammar symbol, the act that works, and whether the customer lacks money."""

    symbol: str
    act: str
    short_of_money: bool


SITUATIONS: dict[str, Situation] = {
    "失业": Situation("r_unemployed", "offer_deferral", True),
    "生病住院": Situation("r_ill", "request_proof", True),
    "工资迟发": Situation("r_late_wage", "confirm_date", True),
    "忘记还款": Situation("r_forgot", "offer_autopay", False),
    "费用争议": Situation("r_fee_dispute", "explain_fees", False),
    "多头负债": Situation("r_multi_debt", "offer_instalment", True),
    "情绪激动": Situation("r_upset", "empathise", False),
    "经营亏损": Situation("r_business_loss", "ask_affordable_amount", True),
}

# What the agent does on the desktop with each act (an activity of the operation log).
ACTIVITIES: dict[str, str] = {
    "offer_deferral": "发起延期申请",
    "offer_instalment": "发起分期申请",
    "offer_autopay": "开通自动扣款",
    "request_proof": "上传证明要求",
    "explain_fees": "查询费用明细",
    "ask_affordable_amount": "登记可承受金额",
    "confirm_date": "登记承诺日期",
    "empathise": "登记客户情绪",
    "remind_consequence": "发送逾期提示",
    "demand_full_payment": "生成全额账单",
    "transfer_specialist": "转派专员",
}
HARMFUL_ACTS = ("remind_consequence", "demand_full_payment")
