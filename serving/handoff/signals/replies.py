"""What the customer is told when a person takes over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from serving.handoff.signals.kinds import Kind, Signal

# 12356 is the national line for psychological help (国家卫生健康委, in service since 2025).
SAFETY: Final = (
    "听到您这样说，我们非常担心您。您的安全比任何欠款都重要，还款的事可以先放一放。请您现在联系身边信任的人，"
    "或拨打全国统一心理援助热线12356；情况紧急请拨打120或110。我们已请专人尽快与您联系。"
)
_PLAIN: Final = "已为您转接人工专员，请稍候。"
_REPLIES: Final[dict[Kind, str]] = {
    "self_harm": SAFETY,
    "fraud": (
        "您反映的情况涉及身份或资金被他人使用，我们非常重视。已登记并转交专人核查，请保管好证件，"
        "不要向任何人提供验证码，必要时请向公安机关报案。"
    ),
    "third_party": "给您带来打扰，非常抱歉。您反映的联系问题已登记并转交专人核实处理，我们不会向您透露他人的信息。",
    "lawyer": "您的意见我们非常重视，已登记并转交专人，专员会与您联系并说明处理情况。",
    "complaint": "非常抱歉给您带来不好的体验。您的诉求已登记并转交投诉专员，专员会按规定时限与您联系并答复处理结果。",
    "dispute": "您提出的问题需要逐笔核实，已登记并转交专人核对账务和记录，核实后会与您联系。",
    "hardship": "您的难处我们了解了，请先照顾好自己和家人。已转交专人，专员会与您联系，一起看看可行的安排。",
    "human_wanted": _PLAIN,
    "repeated_failure": "抱歉，前面的回答没能帮到您。已为您转接人工专员，请稍候。",
}


def reply(signals: Iterable[Signal], case_id: str) -> str:
    """What the customer is told about the most urgent signal, with the case number; a guard's reason is no signal."""
    first = next(iter(signals), None)
    return f"{_REPLIES[first.kind] if first else _PLAIN}受理编号：{case_id}。"
