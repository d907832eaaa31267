"""Complaint prediction (投诉预警): whether a case will end in a complaint, told before the customer says so."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.talk import QUOTED, render_turns
from tianjing.text import compact

_ANSWERS = {"yes": "会投诉", "no": "不会投诉"}
_WORDINGS = (
    "{turns}\n预测：",
    "下面的通话还没有结束，客户之后会投诉吗？\n{turns}",
    "通话（未完）：\n{turns}\n请预测这位客户事后是否投诉。",
)
_NO = re.compile(r"不会|不太会|不投诉|不太可能|不可能|无投诉|没有投诉|否|no", re.IGNORECASE)
_YES = re.compile(r"会投诉|可能投诉|将投诉|要投诉|有投诉|^会|^是|yes", re.IGNORECASE)


class ComplaintPrediction:
    """fields: turns[{speaker, text}] of a call that is not over; reference: label (yes | no), sign.

    `sign` quotes what was said that made a complaint likely, "" where nothing found in the call explains it. The
    score is on the label alone: the sign is there for the person who is warned.
    """

    id = "complaint_prediction"
    title = "投诉预警"
    max_tokens = 40
    closed = True

    def system(self) -> str:
        return "根据还没结束的通话，预测客户事后会不会投诉。写【会投诉】并引出迹象原话，或写【不会投诉】。"

    def render(self, fields: Fields, wording: int = 0) -> str:
        return _WORDINGS[wording % len(_WORDINGS)].format(turns=render_turns(fields["turns"]))

    def target(self, reference: Reference) -> str:
        quote = f"“{reference['sign']}”" if reference["sign"] else ""
        return f"{self.decisive(reference)}{quote}"

    def decisive(self, reference: Reference) -> str:
        return f"【{_ANSWERS[reference['label']]}】"

    def read(self, text: str, fields: Fields) -> Reading:
        """A denial outside the quotation is read before an assertion: 不会投诉 contains 会投诉."""
        folded = compact(text)
        if not folded:
            return Reading(None, "empty", {})
        quotes = tuple(QUOTED.findall(folded))
        own = QUOTED.sub("", folded).strip("【】[]：:。")
        if _NO.search(own):
            return Reading("no", "denied", {"quotes": quotes})
        if _YES.search(own):
            return Reading("yes", "asserted", {"quotes": quotes})
        return Reading(None, "unreadable", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer == reference["label"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))
