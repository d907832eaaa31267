"""How turns of a conversation stand in a prompt, and how a quotation is compared with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tianjing.text import compact

SPEAKERS = {"customer": "客户", "agent": "坐席", "system": "系统"}
QUOTED = re.compile(r"[“\"「『']([^”\"」』']+)[”\"」』']")


def render_turns(turns: Sequence[Mapping[str, str]]) -> str:
    """One line a turn, each behind the name of its speaker."""
    return "\n".join(f"{SPEAKERS[turn['speaker']]}：{turn['text']}" for turn in turns)


def said(quotation: str, turns: Sequence[Mapping[str, str]]) -> bool:
    """Whether one of the turns holds the quotation word for word (NFKC, white space folded)."""
    wanted = compact(quotation)
    return any(wanted in compact(turn["text"]) for turn in turns)
