"""Next reply (下一句) of a post-loan agent, following the practice that worked in this situation."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tianjing import acts
from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.talk import render_turns

_WORDINGS = (
    "{turns}\n坐席：",
    "下面是一段贷后通话，请写出坐席接下来说的话。\n{turns}\n坐席：",
    "通话记录如下：\n{turns}\n轮到坐席回应，坐席应当说：",
)
_BRACKETS = re.compile(r"[【\[]([^】\]]{1,24})[】\]]")

# A reply that tries everything follows no practice: more acts than this read as no answer.
MAX_ACTS = 3


class NextReply:
    """fields: turns[{speaker, text}]; reference: situation, act (the practice's), reply (the agent's own words).

    A reference with `act_wording` names the act in a reviewer's words, which hold its title.

    The answer names situation and act in 【】 before the words, so that a person who reads it sees which practice is
    followed and why.
    """

    id = "next_reply"
    title = "贷后下一句（最佳实践）"
    max_tokens = 48
    closed = True

    def system(self) -> str:
        return (
            "你是贷后坐席，说出最有助于客户履约的下一句。先写【客户情形：做法】，做法是"
            f"{'、'.join(acts.ACTS.values())}之一，再写一句合规、具体的话。"
        )

    def render(self, fields: Fields, wording: int = 0) -> str:
        return _WORDINGS[wording % len(_WORDINGS)].format(turns=render_turns(fields["turns"]))

    def target(self, reference: Reference) -> str:
        return f"【{self.decisive(reference)}】{reference['reply']}"

    def decisive(self, reference: Reference) -> str:
        return f"{reference['situation']}：{reference.get('act_wording') or acts.ACTS[reference['act']]}"

    def read(self, text: str, fields: Fields) -> Reading:
        """The act that is named, else the acts of the words; speech put into the customer's mouth is cut off."""
        reply = text.split("客户：")[0].strip().removeprefix("坐席：").strip()
        if not reply:
            return Reading(None, "empty", {})
        named = _named_act(reply)
        if named is not None:
            return Reading(named, "named", {"acts": (named,)})
        found = acts.tag(reply)
        if not found:
            return Reading("none", "no_act", {"acts": ()})
        if len(found) > MAX_ACTS:
            return Reading("many", "too_many_acts", {"acts": found})
        return Reading("+".join(found), "lexicon", {"acts": found})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """1 when the practice's act is the one named, or, where none is, among at most three acts of the words."""
        return float(reading.rule in ("named", "lexicon") and reference["act"] in reading.details["acts"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))


def _named_act(reply: str) -> str | None:
    """The act whose title stands last in the first brackets, or opens the reply without them."""
    bracketed = _BRACKETS.search(reply)
    if bracketed is None:
        return next((act for act, title in acts.ACTS.items() if reply.startswith(title)), None)
    named = [(bracketed[1].rfind(title), act) for act, title in acts.ACTS.items() if title in bracketed[1]]
    return max(named)[1] if named else None
