"""Repayment negotiation (还款协商): the agent's next step towards a plan that the customer can keep.

A step opens with what it is, in 【】: the reason of the arrears is asked, the practice of the situation followed, the
means asked for, a plan quoted by the cost engine (`plan_call`), or the quoted plan put to the customer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from tianjing import acts
from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.plan_call import PlanCall, find_call, plan_text, run_call, stated_amounts
from tianjing.tasks.talk import render_turns

# Steps that are named for themselves; an act is named by situation and act, a quotation by its call.
STEPS: dict[str, str] = {"reason": "问原因", "means": "问能力", "offer": "报方案"}
# Enough for the means named, the quotation, the offer and its refusal; more turns cost tokens in every row.
CONTEXT_TURNS, CONTEXT_CHARS = 4, 140

_WORDINGS = (
    "{account}\n{turns}\n坐席：",
    "请写出坐席的下一步。\n{account}\n{turns}\n坐席：",
    "{account}\n通话到此：\n{turns}\n轮到坐席：",
)
_BRACKETS = re.compile(r"[【\[]([^】\]]{1,32})[】\]]?")


class Negotiation:
    """fields: product, outstanding (yuan, text), as_of (ISO date), policy (`PlanPolicy`), turns[{speaker, text}].

    The agent's turns hold what was said; results of the tool are turns of the system. reference: step (reason | act |
    means | quote | offer), situation and act of an act, call (fields of `PlanCall`) of a quotation, reply (the words).
    """

    id = "negotiation"
    title = "还款协商"
    max_tokens = 64
    closed = True

    def system(self) -> str:
        return (
            "你是贷后坐席，和客户商定还款安排，一次走一步。先写【问原因】【情形：做法】【问能力】或【报方案】再说一句；"
            "报方案前先写【试算：每月N元或分N期，N天后】，照结果的数报。"
        )

    def render(self, fields: Fields, wording: int = 0) -> str:
        policy, today = fields["policy"], date.fromisoformat(fields["as_of"])
        days = "、".join(str(day) for day in policy["deferral_days"] if day)
        account = (
            f"{fields['product']}欠{fields['outstanding']}元，今天{today.month}月{today.day}日。可一次付清或分"
            f"{policy['min_instalments']}至{policy['max_instalments']}期" + (f"，可延期{days}天。" if days else "。")
        )
        return _WORDINGS[wording % len(_WORDINGS)].format(account=account, turns=render_turns(fields["turns"]))

    def target(self, reference: Reference) -> str:
        return f"{self.decisive(reference)}{reference['reply']}"

    def decisive(self, reference: Reference) -> str:
        if reference["step"] == "act":
            return f"【{reference['situation']}：{acts.ACTS[reference['act']]}】"
        if reference["step"] == "quote":
            return call_of(reference).text()
        return f"【{STEPS[reference['step']]}】"

    def read(self, text: str, fields: Fields) -> Reading:
        """A call, else the step or act that is named, else the acts of the words; details: step, acts, speech, call."""
        own = text.split("客户：")[0].split("系统：")[0].strip().removeprefix("坐席：").strip()
        if not own:
            return Reading(None, "empty", {})
        call = find_call(own)
        if call is not None:
            plan = plan_text(run_call(call, fields))
            return Reading(f"quote:{plan}", "call", {"step": "quote", "acts": (), "speech": "", "call": call})
        bracketed = _BRACKETS.search(own)
        speech = _BRACKETS.sub("", own).strip()
        if bracketed is not None:
            step = next((step for step, title in STEPS.items() if bracketed[1] == title), None)
            if step is not None:
                return Reading(step, "named", {"step": step, "acts": (), "speech": speech, "call": None})
            named = [(bracketed[1].rfind(title), act) for act, title in acts.ACTS.items() if title in bracketed[1]]
            if named:
                act = max(named)[1]
                return Reading(act, "named", {"step": "act", "acts": (act,), "speech": speech, "call": None})
        found = acts.tag(speech)
        details = {"step": "act" if found else "", "acts": found, "speech": speech, "call": None}
        return Reading("+".join(found) or "none", "lexicon" if found else "no_act", details)

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """1 for the right step: of an act the same act, of a quotation the same plan, of an offer no amount but its."""
        if reading.answer is None:
            return 0.0
        step = reference["step"]
        if step == "act":
            return float(reading.rule == "named" and reference["act"] in reading.details["acts"])
        if step == "quote":
            return float(reading.answer == f"quote:{plan_text(run_call(call_of(reference), fields))}")
        right = reading.answer == step
        if step == "offer" and right:
            said = stated_amounts(reading.details["speech"])
            right = bool(said) and said <= stated_amounts(fields["turns"][-1]["text"])
        return float(right)

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))


def call_of(reference: Mapping[str, Any]) -> PlanCall:
    """The call of a quotation's reference."""
    given = reference["call"]
    return PlanCall(
        monthly_yuan=Decimal(given["monthly_yuan"]) if given.get("monthly_yuan") else None,
        instalments=given.get("instalments"),
        wait_days=given.get("wait_days", 0),
        day=given.get("day"),
    )
