"""Open finance instructions (金融指令): consulting, text tasks, calculation and reading with materials."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence

from tianjing.tasks.base import Fields, Reading, Reference

_WORDINGS = ("{instruction}", "请回答下面的金融问题。\n{instruction}", "{instruction}\n请给出准确、简洁的回答。")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class FinanceQA:
    """fields: kind, instruction; reference: answer, and for calculations number (the final value).

    Score: character ROUGE-L F1 for prose (Lin 2004), 1 or 0 on the final number for calculations.
    """

    id = "finance_qa"
    title = "金融指令"
    max_tokens = 128
    closed = False

    def system(self) -> str:
        return "你是金融领域的助手，请准确、简洁地回答。"

    def render(self, fields: Fields, wording: int = 0) -> str:
        return _WORDINGS[wording % len(_WORDINGS)].format(instruction=fields["instruction"])

    def target(self, reference: Reference) -> str:
        return str(reference["answer"])

    def decisive(self, reference: Reference) -> str:
        return ""

    def read(self, text: str, fields: Fields) -> Reading:
        folded = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).replace(",", "")
        if not folded:
            return Reading(None, "empty", {})
        if fields["kind"] == "computing":
            numbers = _NUMBER.findall(folded)
            if not numbers:
                return Reading(None, "no_number", {})
            return Reading(f"{float(numbers[-1]):g}", "last_number", {})
        return Reading(folded, "text", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        if reading.answer is None:
            return 0.0
        if fields["kind"] == "computing":
            truth = float(reference["number"])
            return float(abs(float(reading.answer) - truth) <= max(0.005 * abs(truth), 1e-6))
        truth_text = re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(reference["answer"])))
        return rouge_l(reading.answer, truth_text)

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        same = [r for r in references if ("number" in r) == (fields["kind"] == "computing")]
        return self.target(rng.choice(same or list(references)))


def rouge_l(candidate: str, reference: str) -> float:
    """F1 of the longest common subsequence of characters, in [0, 1]."""
    if not candidate or not reference:
        return 0.0
    previous = [0] * (len(reference) + 1)
    for char in candidate:
        row = [0]
        for index, other in enumerate(reference):
            row.append(previous[index] + 1 if char == other else max(previous[index + 1], row[index]))
        previous = row
    common = previous[-1]
    return 2 * common / (len(candidate) + len(reference))
