"""How turns of a conversation stand in a prompt, and how a quotation is compared with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tianjing.records import Turn
from tianjing.text import compact

SPEAKERS = {"customer": "客户", "agent": "坐席", "system": "系统"}
QUOTED = re.compile(r"[“\"「『']([^”\"」』']+)[”\"」』']")


def render_turns(turns: Sequence[Mapping[str, str]]) -> str:
    """One line a turn, each behind the name of its speaker."""
    return "\n".join(f"{SPEAKERS[turn['speaker']]}：{turn['text']}" for turn in turns)


def context(turns: Sequence[Turn], count: int, max_chars: int) -> list[dict[str, str]]:
    """The last `count` turns, the oldest dropped or clipped at its start until `max_chars` are left."""
    shown = [{"speaker": turn.speaker, "text": turn.text} for turn in turns[-count:]]
    while len(shown) > 1 and sum(len(turn["text"]) for turn in shown[1:]) >= max_chars:
        shown.pop(0)
    spare = max_chars - sum(len(turn["text"]) for turn in shown[1:])
    if len(shown[0]["text"]) > spare:
        shown[0]["text"] = "…" + shown[0]["text"][-spare:]
    return shown


def said(quotation: str, turns: Sequence[Mapping[str, str]]) -> bool:
    """Whether one of the turns holds the quotation word for word (NFKC, white space folded)."""
    wanted = compact(quotation)
    return any(wanted in compact(turn["text"]) for turn in turns)
