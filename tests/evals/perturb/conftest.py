"""Items of several tasks, and a multiple-choice question as a suite holds it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from evals.perturb import Asked, vary
from evals.records import Variant
from tianjing.tasks import TASKS, Fields, Reading, Reference
from tianjing.text import compact

CLAUSES = [
    {
        "id": "a",
        "label": "《还款安排管理办法》第五条",
        "text": "客户逾期不超过90日的，可以申请延期还款，最长不超过30日。",
    },
    {"id": "b", "label": "《投诉处理管理办法》第八条", "text": "事实清楚的投诉，应当自受理之日起15日内作出处理决定。"},
    {"id": "c", "label": "《息费披露管理办法》第三条", "text": "各项息费合计折算的年化利率不得超过24%。"},
]
OTHERS = [
    {
        "id": f"o{number}",
        "label": f"《证明材料管理办法》第{number}条",
        "text": f"提交第{number}类证明的，应当附上原件{'并加盖公章' * 9}。",
    }
    for number in range(10, 80)
]


class Choice:
    """fields: question, options as shown, ids (the original letter of each); reference: answer."""

    id, title, max_tokens, closed = "choice", "choice", 8, True

    def system(self) -> str:
        return "单项选择。"

    def render(self, fields: Fields, wording: int = 0) -> str:
        options = "\n".join(f"{chr(65 + place)}. {text}" for place, text in enumerate(fields["options"]))
        return f"题目：{fields['question']}\n{options}\n答案："

    def target(self, reference: Reference) -> str:
        return str(reference["answer"])

    def decisive(self, reference: Reference) -> str:
        return self.target(reference)

    def read(self, text: str, fields: Fields) -> Reading:
        if len(text) == 1 and text.isupper():
            return Reading(fields["ids"][ord(text) - 65], "letter", {})
        named = [
            fields["ids"][place] for place, option in enumerate(fields["options"]) if compact(option) == compact(text)
        ]
        return Reading(named[0] if named else None, "text", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer == reference["answer"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return "A"


def policy(question: str = "逾期3个月还能不能申请延期？", clause: int = 0) -> Asked:
    right = CLAUSES[clause]
    reference = {"clause_id": right["id"], "clause_label": right["label"], "quote": right["text"]}
    return Asked(TASKS["policy_qa"], {"question": question, "clauses": CLAUSES}, reference, OTHERS)


def choice(*options: str, question: str = "下列哪一项是担保物权？") -> Asked:
    ids = [chr(65 + place) for place in range(len(options))]
    return Asked(Choice(), {"question": question, "options": list(options), "ids": ids}, {"answer": "B"})


def triage() -> Asked:
    turns = [
        {"speaker": "agent", "text": "您好，这笔1500元的账单晚了12天，是哪里不方便吗？"},
        {"speaker": "customer", "text": "我刚从厂里下岗，这个月真的没钱，你们再打电话我就投诉。"},
    ]
    reference = {"route": "human", "reason": "hardship", "evidence": "我刚从厂里下岗"}
    return Asked(TASKS["handoff_triage"], {"turns": turns}, reference)


@pytest.fixture
def varied() -> Callable[..., tuple[dict[str, Variant], dict[str, str]]]:
    def make(asked: Asked, *names: str, seed: str = "seed") -> tuple[dict[str, Variant], dict[str, str]]:
        return vary(asked, names, seed, [asked.reference])

    return make


def text_of(variant: Variant, *path: Any) -> str:
    value: Any = variant.fields
    for part in path:
        value = value[part]
    return str(value)
