"""Intent (意图): which of the listed intents or situations a customer's words express."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.talk import render_turns
from tianjing.text import compact

_WORDINGS = (
    "备选：{intents}\n{turns}\n客户属于：",
    "下面是一段通话。\n{turns}\n客户说的是哪一种？只能选：{intents}",
    "通话：\n{turns}\n请从这些里选一个：{intents}",
)


class Intent:
    """fields: intents[{id, title}], turns[{speaker, text}], the customer's last; reference: intent (id), title."""

    id = "intent"
    title = "客户意图"
    max_tokens = 16
    closed = True

    def system(self) -> str:
        return "你是消费金融客服。判断客户最后说的属于备选中的哪一种，只写它的名称。"

    def render(self, fields: Fields, wording: int = 0) -> str:
        intents = "、".join(intent["title"] for intent in fields["intents"])
        return _WORDINGS[wording % len(_WORDINGS)].format(intents=intents, turns=render_turns(fields["turns"]))

    def target(self, reference: Reference) -> str:
        return str(reference["title"])

    def decisive(self, reference: Reference) -> str:
        return str(reference["title"])

    def read(self, text: str, fields: Fields) -> Reading:
        """The title that opens the answer, else the only one named anywhere, else an id that stands alone."""
        folded = compact(text).strip("【】[]“”\"'。.：:")
        if not folded:
            return Reading(None, "empty", {})
        titles = {compact(intent["title"]): intent["id"] for intent in fields["intents"]}
        # A title may contain another: the longest is looked for first, and what it covers names nothing else.
        named, rest = [], folded
        for title in sorted(titles, key=lambda title: (-len(title), title)):
            if title in rest:
                named.append(title)
                rest = rest.replace(title, "　" * len(title))
        opening = [title for title in named if folded.startswith(title)]
        if opening:
            return Reading(titles[opening[0]], "opening", {})
        if len(named) == 1:
            return Reading(titles[named[0]], "title", {})
        ids = {compact(intent["id"]): intent["id"] for intent in fields["intents"]}
        if folded in ids:
            return Reading(ids[folded], "id", {})
        return Reading(None, "several" if named else "unreadable", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer == reference["intent"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return str(rng.choice(list(fields["intents"]))["title"])
