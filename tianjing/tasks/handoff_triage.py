"""Hand-off triage (转人工分诊): whether a person must answer the customer's last words, why, and by which words."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence

from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.talk import QUOTED, render_turns, said

# Kinds of reason, most urgent first, with the words a person reads.
REASONS: dict[str, str] = {
    "self_harm": "轻生",
    "fraud": "冒用诈骗",
    "third_party": "非本人",
    "lawyer": "律师",
    "complaint": "投诉",
    "dispute": "争议",
    "hardship": "困难",
    "human_wanted": "要求人工",
}
_HUMAN, _AI = "转人工", "AI答复"
_WORDINGS = (
    "{turns}\n处理：",
    "请看这段通话，决定客户最后一句由谁答复。\n{turns}",
    "通话如下：\n{turns}\n客户最后一句该怎么处理？",
)
_STAYS = re.compile(rf"(?:不用|不必|无需|无须|不需要?|不要?){_HUMAN}|{_AI}|AI(?:可以|继续|处理|回答)|机器人答复")
_GOES = re.compile(r"转(?:接|给|到|交)?(?:人工|专员|专人|坐席|主管)|人工(?:答复|处理|接听|介入|跟进)")


class HandoffTriage:
    """fields: turns[{speaker, text}], the customer's last; reference: route (ai | human), reason, evidence.

    `reason` is a key of REASONS and `evidence` the customer's own words; both are "" where the model may answer.
    """

    id = "handoff_triage"
    title = "转人工分诊"
    max_tokens = 40
    closed = True

    def system(self) -> str:
        return (
            f"判断客户最后一句该由谁答复。要人处理的写【{_HUMAN}：原因】并引客户原话，原因是"
            f"{'、'.join(REASONS.values())}之一；其余写【{_AI}】。"
        )

    def render(self, fields: Fields, wording: int = 0) -> str:
        return _WORDINGS[wording % len(_WORDINGS)].format(turns=render_turns(fields["turns"]))

    def target(self, reference: Reference) -> str:
        quote = f"“{reference['evidence']}”" if reference["route"] == "human" else ""
        return f"{self.decisive(reference)}{quote}"

    def decisive(self, reference: Reference) -> str:
        if reference["route"] == "ai":
            return f"【{_AI}】"
        return f"【{_HUMAN}：{REASONS[reference['reason']]}】"

    def read(self, text: str, fields: Fields) -> Reading:
        """`ai`, `human:REASON`, or `human` where no reason is named outside the quotation."""
        folded = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
        if not folded:
            return Reading(None, "empty", {})
        quotes = QUOTED.findall(folded)
        own = QUOTED.sub("", folded)
        if _STAYS.search(own):
            return Reading("ai", "stays", {"quotes": ()})
        named = [(own.find(title), reason) for reason, title in REASONS.items() if title in own]
        if _GOES.search(own):
            reason = f":{min(named)[1]}" if named else ""
            return Reading(f"human{reason}", "goes" if reason else "goes_without_reason", {"quotes": tuple(quotes)})
        return Reading(None, "unreadable", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """1 for route and reason; 0.5 for the route with another reason, or with a quotation that nobody said."""
        if reading.answer is None or reading.answer.partition(":")[0] != reference["route"]:
            return 0.0
        if reference["route"] == "ai":
            return 1.0
        forged = any(not said(quote, fields["turns"]) for quote in reading.details["quotes"])
        return 1.0 if reading.answer == f"human:{reference['reason']}" and not forged else 0.5

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))
