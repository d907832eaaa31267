"""Scripted agents, as marks to read the models' figures by: both write the steps of the task, neither is a model.

Both walk the same way: reason, one act, means, quotation, offer, and again on a refusal. One does the act that the
practices of the dataset name for the debtor's situation, which it is told; the other does any act.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from evals.negotiation.play import Step
from tianjing.acts import ACTS
from tianjing.records import Example
from tianjing.tasks import Fields
from tianjing.tasks.plan_call import PlanCall

_WORDS = {"reason": "您这笔款没还上，是遇到什么情况了？", "means": "您现在每个月能拿出多少来还？"}
_MONTHLY = re.compile(r"(\d{3,5})")
_WAIT = re.compile(r"(\d{1,2})天")


def act_words(rows: Sequence[Example]) -> dict[str, str]:
    """Act -> how agents of the dataset do it: the shortest wording of a row."""
    words: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (len(str(row.reference.get("reply", ""))), row.id)):
        if row.reference.get("step") == "act" and row.reference["reply"]:
            words.setdefault(row.reference["act"], str(row.reference["reply"]))
    return words


def practices_of(rows: Sequence[Example]) -> dict[str, str]:
    """Situation -> the act of its practice, of rows that were learned from experience."""
    return {
        row.reference["situation"]: row.reference["act"]
        for row in rows
        if row.reference.get("step") == "act" and row.practice_ids
    }


def scripted(situation: str, practices: Mapping[str, str] | None, words: Mapping[str, str], rng: random.Random) -> Step:
    """An agent for one negotiation; without `practices` its act is drawn by `rng`."""
    act = practices.get(situation, "") if practices is not None else rng.choice(sorted(words))
    script = [f"【问原因】{_WORDS['reason']}"]
    if act:
        script.append(f"【{situation}：{ACTS[act]}】{words[act]}")
    if act != "ask_affordable_amount":
        script.append(f"【问能力】{_WORDS['means']}")
    position, tried, wait = 0, 0, 0
    monthly: Decimal | None = None

    async def step(fields: Fields) -> str:
        nonlocal position, tried, monthly, wait
        last = fields["turns"][-1]
        if last["speaker"] == "system":
            return f"【报方案】给您{last['text'].removeprefix('试算结果：')}，您看行吗？"
        if position < len(script):
            position += 1
            return script[position - 1]
        told = _MONTHLY.search(last["text"])
        monthly = Decimal(told[1]) if told and not tried else monthly
        when = _WAIT.search(last["text"])
        wait = int(when[1]) if when else (0, 7, 15, 30)[min(tried, 3)] if tried else 0
        tried += 1
        if monthly is not None:
            return PlanCall(monthly_yuan=monthly, wait_days=wait).text()
        return PlanCall(instalments=min(24, 6 * tried), wait_days=wait).text()

    return step
