"""What a suite asks and how it is scored: all that is needed to read its answers again without its files."""

from __future__ import annotations

import string
from typing import Literal

from pydantic import Field, model_validator

from evals.extract import FieldType
from tianjing.config import StrictModel

Kind = Literal["single_choice", "multiple_choice", "judgement", "numeric", "label", "keywords", "fields", "text"]

PLACES = {"question", "options", "about", "subject", "context", "labels", "fields"}
MIN_WORDINGS = 3

# The first is used where a suite brings no prompt of its own; the others are paraphrases. {about} is 关于…的 or empty.
PROMPTS: dict[Kind, tuple[str, ...]] = {
    "single_choice": (
        "以下是{about}单项选择题，请直接写出正确选项的字母。\n{context}题目：{question}\n{options}\n答案：",
        "{context}{question}\n{options}\n上面只有一个选项正确，请给出它的字母。",
        "请完成下面这道{about}单选题，只回答选项字母。\n{context}{question}\n{options}",
    ),
    "multiple_choice": (
        "以下是{about}多项选择题，正确选项不止一个，请写出全部正确选项的字母。\n{context}题目：{q"
        "uestion}\n{options}\n答案：",
        "{context}{question}\n{options}\n上面有两个或更多选项正确，请把它们的字母都写出来。",
        "请完成下面这道{about}多选题，只回答所有正确选项的字母。\n{context}{question}\n{options}",
    ),
    "judgement": (
        "判断下面的说法是否正确，只回答“{options}”。\n{context}{question}\n答案：",
        "{context}{question}\n以上说法正确吗？请只回答“{options}”。",
        "请对这一{about}说法作出判断，回答“{options}”中的一个。\n{context}{question}",
    ),
    "numeric": (
        "{context}{question}\n请计算，最后一行写“答案：”和数值（带单位）。",
        "请解答下面的计算题，并在末行以“答案：数值”给出结果。\n{context}{question}",
        "{context}{question}\n请给出计算结果，末行格式为“答案：数值 单位”。",
    ),
    "label": (
        "{context}{question}\n请从以下类别中选一个，只写类别名：{labels}",
        "类别有：{labels}\n{context}{question}\n它属于哪一类？只写类别名。",
        "请判断下面内容的类别（{labels}），只回答其中一个。\n{context}{question}",
    ),
    "keywords": (
        "{context}{question}\n答案：",
        "请回答，多项用“、”隔开。\n{context}{question}",
        "{context}{question}\n请列出全部答案，用“、”分隔。",
    ),
    "fields": (
        "从下面的材料中抽取字段，只输出 JSON，没有的写 null。\n字段：{fields}\n{context}{question}",
        "{context}{question}\n请把上面材料中的这些字段写成一个 JSON 对象（缺失为 null）：{fields}",
        "请阅读材料并输出 JSON 对象，键为：{fields}；材料没有写明的填 null。\n{context}{question}",
    ),
    "text": (
        "{context}{question}",
        "请回答下面的问题。\n{context}{question}",
        "{context}{question}\n请给出准确、简洁的回答。",
    ),
}
MAX_TOKENS: dict[Kind, int] = {
    "single_choice": 256,
    "multiple_choice": 256,
    "judgement": 256,
    "numeric": 512,
    "label": 64,
    "keywords": 128,
    "fields": 512,
    "text": 256,
}
SYSTEM = "你是金融领域的助手，请按要求回答。"


class Definition(StrictModel):
    """One task of a suite."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name of the task, in lower case with underscores; no task of `tianjing.tasks` may have it."""

    title: str = ""
    """Shown in reports; the id without one."""

    kind: Kind
    """Form of the answer, and so how it is read and scored."""

    system: str = SYSTEM
    """System message."""

    prompts: tuple[str, ...] = ()
    """User message; further ones are paraphrases. Places: {question} {options} {context} {about} {subject} {labels}
    {fields}. What is missing to three is filled up with the project's own paraphrases."""

    max_tokens: int = Field(0, ge=0)
    """Tokens an answer may have; 0 takes the kind's own. A model that reasons first needs more, or its answers are cut
    off and count as wrong."""

    labels: tuple[str, ...] = ()
    """For `label`: the names of the classes. Rows may bring their own."""

    fields: dict[str, FieldType] = {}
    """For `fields`: the wanted keys and the type by which each is compared."""

    relative_tolerance: float = Field(0.005, ge=0)
    """For `numeric`: share of the right value by which an answer may be off."""

    absolute_tolerance: float = Field(1e-6, ge=0)
    """For `numeric`: the same as an amount in single units; the larger of both holds."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Definition:
        if self.kind == "fields" and not self.fields:
            raise ValueError("kind 'fields' needs 'fields': each wanted key with its type, such as income: money")
        for prompt in self.prompts:
            places = {name for _, name, _, _ in string.Formatter().parse(prompt) if name is not None}
            if places - PLACES:
                raise ValueError(
                    f"prompts: unknown place {{{sorted(places - PLACES)[0]}}}; known: {', '.join(sorted(PLACES))}"
                )
            if "question" not in places:
                raise ValueError("prompts: a prompt without {question} asks nothing; write a literal brace as {{")
        return self

    @property
    def wordings(self) -> tuple[str, ...]:
        own = PROMPTS[self.kind]
        return self.prompts + own[len(self.prompts) :] if len(self.prompts) < MIN_WORDINGS else self.prompts
