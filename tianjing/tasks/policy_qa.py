"""Policy question answering (制度问答): answer from the given clauses and cite the one relied on."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.text import arabic

NO_BASIS = "无依据"

_WORDINGS = (
    "条款：\n{clauses}\n问题：{question}",
    "请依据下面的条款回答客户。\n{clauses}\n客户问：{question}",
    "客户咨询：{question}\n可用的条款有：\n{clauses}",
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?%?")
# The number of a clause or of an entry of a list claims nothing.
_MARKER = re.compile(r"[\[【(（]\s*\d{1,2}\s*[\]】)）]|(?:^|(?<=[\n。；;]))\s*\d{1,2}(?:[、．)）]|\.(?!\d))")
_BRACKET = re.compile(r"[\[【(（]\s*(\d{1,2})\s*[\]】)）]")
_ARTICLE = re.compile(r"第[零〇一二三四五六七八九十百千\d]+条(?:之[一二三四五六七八九十])?")
# How an answer that corrects its question begins.
_DENIES = re.compile(r"(?:您好,|您说的)?(?:这个?|这样)?(?:说法)?(?:不[对是能行准]|不可以|不正确|错|有误|并非)")
_SHINGLE = 6


class PolicyQA:
    """fields: question, clauses[{id, label, text}]; reference: clause_id (or ""), clause_label, quote.

    A reference with `corrects` answers a question that misstates the clause: the answer denies it before it cites. One
    with `wording` has the answer in an agent's words below the quotation.
    """

    id = "policy_qa"
    title = "制度问答（引用条款）"
    max_tokens = 64
    closed = True

    def system(self) -> str:
        return (
            "你是消费金融公司的制度问答助手。只依据给出的条款回答：先写条款名称和条号，再写条款内容；"
            f"都不相关时只写“{NO_BASIS}”。"
        )

    def render(self, fields: Fields, wording: int = 0) -> str:
        clauses = "\n".join(
            f"[{number}] {clause['label']} {clause['text']}" for number, clause in enumerate(fields["clauses"], 1)
        )
        return _WORDINGS[wording % len(_WORDINGS)].format(clauses=clauses, question=fields["question"])

    def target(self, reference: Reference) -> str:
        if not reference["clause_id"]:
            return NO_BASIS
        cited = f"{reference['clause_label']}：{reference['quote']}"
        cited = f"不对。{cited}" if reference.get("corrects") else cited
        return f"{cited}\n{reference['wording']}" if reference.get("wording") else cited

    def decisive(self, reference: Reference) -> str:
        return str(reference["clause_label"]) if reference["clause_id"] else NO_BASIS

    def read(self, text: str, fields: Fields) -> Reading:
        """Accepts the label, an article number that only one clause has, [n], or a unique quotation."""
        folded = _fold(text)
        numbers = sorted(set(_NUMBER.findall(_fold(_MARKER.sub("", text)))))
        clauses = fields["clauses"]

        def reading(clause_id: str | None, rule: str) -> Reading:
            return Reading(clause_id, rule, {"numbers": numbers, "denies": bool(_DENIES.match(folded))})

        if not folded:
            return reading(None, "empty")
        cited = _first(folded, {c["id"]: _fold(c["label"]) for c in clauses})
        if cited:
            return reading(cited, "label")
        article = _ARTICLE.search(folded)
        if article:
            matching = [c["id"] for c in clauses if _fold(c["label"]).endswith(article[0])]
            if len(matching) == 1:
                return reading(matching[0], "article")
        bracket = _BRACKET.search(folded)
        if bracket and 1 <= int(bracket[1]) <= len(clauses):
            return reading(clauses[int(bracket[1]) - 1]["id"], "bracket")
        if NO_BASIS in folded or "没有相关条款" in folded or "均不相关" in folded or "都不相关" in folded:
            return reading("", "no_basis")
        quoted = [c["id"] for c in clauses if _shares_shingle(folded, _fold(c["text"]))]
        if len(quoted) == 1:
            return reading(quoted[0], "quotation")
        return reading(None, "unreadable")

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """1 when the right clause is cited and no number is stated that neither it nor the question has.

        Where the question misstates the clause, the answer must begin by denying it.
        """
        if reading.answer != reference["clause_id"]:
            return 0.0
        if reference.get("corrects") and not reading.details["denies"]:
            return 0.0
        if not reading.answer:
            return 1.0
        clause = next(c for c in fields["clauses"] if c["id"] == reading.answer)
        shown = clause["label"] + clause["text"] + fields["question"]
        # 三个月 of the clause may be answered as 3个月.
        known = {number for spelling in (shown, arabic(shown)) for number in _NUMBER.findall(_fold(spelling))}
        return float(known.issuperset(reading.details["numbers"]))

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        clause: dict[str, Any] = rng.choice(list(fields["clauses"]))
        return f"{clause['label']}：{clause['text']}"


def _fold(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def _first(text: str, labels: dict[str, str]) -> str | None:
    """Id of the label that stands first in the text."""
    found = [(text.find(label), clause_id) for clause_id, label in labels.items() if label in text]
    return min(found)[1] if found else None


def _shares_shingle(text: str, clause: str) -> bool:
    """Whether the text repeats at least two separate runs of six characters of the clause."""
    runs = {clause[i : i + _SHINGLE] for i in range(0, max(1, len(clause) - _SHINGLE + 1))}
    return sum(1 for i in range(0, len(text) - _SHINGLE + 1, _SHINGLE // 2) if text[i : i + _SHINGLE] in runs) >= 2
