"""Requests for unlawful help, by family: the phrases of a pack, unless the sentence asks about such things."""

from __future__ import annotations

import re
from typing import Final

from serving.guard.rules import UNLAWFUL
from tianjing.rulebook import PhraseMatcher
from tianjing.rulebook.schema import Rule

# 帮我看看代办征信修复是不是骗人的: who asks whether it is true or lawful, or reports it, wants no help with it.
_DOUBT: Final = re.compile(
    "是真的|真的吗|真假|真的假的|可信|靠谱|正规|骗人|骗子|被骗|骗局|诈骗|违法|犯法|合法|违规|合规|坐牢|判刑|入刑|立案|什么罪|法律责任|普法|后果|举报|揭发|怎么防|防止|防范|避免|谨防"
    "|有人(?:说|打|加|联系|找|给我|让我|叫我|问|劝)|接到|收到(?:短信|电话|信息)|打电话(?:说|来|给我)|广告|听说|看到|网上说|自称|他们说|对方说|中介说|怎么办(?![假个张证理])|咋办"
)
_SENTENCE: Final = re.compile(r"[。！!；;\n]")
# A doubt stands no farther from what is doubted.
_REACH_CHARS: Final = 80


def requests(matcher: PhraseMatcher, text: str) -> list[Rule]:
    """The rules that a customer's words fall under, each once; empty for ordinary words."""
    found = {hit.rule.id: hit.rule for hit in matcher.find(text) if not _doubted(text, hit.start, hit.end)}
    return list(found.values())


def family(rule: Rule) -> str | None:
    """`credit_repair` of `unlawful.credit-repair`; None for a company's own rule."""
    return rule.id.split(".")[1].replace("-", "_") if rule.id.startswith(UNLAWFUL) else None


def _doubted(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - _REACH_CHARS) : start], text[end : end + _REACH_CHARS]
    sentence = _SENTENCE.split(before)[-1] + text[start:end] + _SENTENCE.split(after)[0]
    return _DOUBT.search(sentence) is not None
