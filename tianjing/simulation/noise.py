"""Noise as speech recognition makes it: fillers, stutters, homophones, full-width digits, lost punctuation."""

from __future__ import annotations

import random

from tianjing.simulation.grammar import Marked

_FILLERS = ("嗯，", "呃，", "那个，", "啊，", "就是，", "嗯那个，", "呃这个，")
_STUTTERS = ("我", "你", "这", "就", "不", "没", "那", "他")
# Same sound, other characters. No word of the act lexicon is in it: agents' acts stay readable.
_HOMOPHONES = {
    "厂子": "场子",
    "账单": "帐单",
    "医院": "一院",
    "老板": "老版",
    "生意": "声意",
    "公司": "公私",
    "工作": "工做",
    "知道": "之道",
    "平台": "平抬",
    "信用卡": "信用咖",
    "电话": "店话",
    "现在": "现再",
    "时候": "时后",
    "房租": "房祖",
    "已经": "以经",
    "忘了": "望了",
    "工资": "公资",
    "晓得": "小得",
    "规定": "归定",
}
_PUNCTUATION = str.maketrans("", "", "，。！？、；：")
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def noisy_customer(text: str, rng: random.Random) -> str:
    """A customer's turn as a recogniser would write it."""
    if rng.random() < 0.3:
        for right, wrong in rng.sample(sorted(_HOMOPHONES.items()), len(_HOMOPHONES)):
            if right in text:
                text = text.replace(right, wrong, 1)
                break
    if rng.random() < 0.35:
        for char in rng.sample(_STUTTERS, len(_STUTTERS)):
            if char in text:
                text = text.replace(char, char * 2, 1)
                break
    if rng.random() < 0.45:
        text = rng.choice(_FILLERS) + text
    return _surface(text, rng, drop=0.35)


def noisy_agent(text: str, rng: random.Random) -> str:
    """An agent's turn: clearer speech, so only a filler, lost punctuation and full-width digits."""
    if rng.random() < 0.15:
        text = rng.choice(_FILLERS) + text
    return _surface(text, rng, drop=0.25)


def noisy_marked(marked: Marked, rng: random.Random) -> Marked:
    """A breach turn: its evidence stays as it was heard, so that it is still found in the turn."""
    before = rng.choice(_FILLERS) + marked.before if rng.random() < 0.2 else marked.before
    after = marked.after.translate(_PUNCTUATION) if rng.random() < 0.3 else marked.after
    return Marked(before, marked.evidence, after)


def _surface(text: str, rng: random.Random, drop: float) -> str:
    if rng.random() < drop:
        text = text.translate(_PUNCTUATION)
    if rng.random() < 0.4:
        text = text.translate(_FULL_WIDTH)
    return text
