"""Say the same in another way: politeness and fillers, form of numerals, register and dialect.

A rewording keeps every number, negation, name and deciding word; `checks` throws away what does not.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from evals.perturb.numerals import respell
from evals.perturb.slots import Kind

# A question is asked more politely; a turn of a talk, often a heated one, only gains the fillers of speech. No 嗯 or
# 好的: they agree to what the agent said.
_POLITE = (("您好，", "麻烦您一下，", "打扰一下，", "请教一下，"), ("，谢谢", "，谢谢您", "，麻烦了"))
_SPOKEN = (("那个，", "呃，", "就是说，", "我跟您讲，"), ("，您看", ""))
_PUNCTUATION = str.maketrans({"？": "?", "！": "!", "，": ",", "：": ":", "；": ";"})
_GREETED = re.compile(r"^(?:您好|你好|请问|请教|麻烦|打扰|喂|嗯|那个|就是)")

# 哎哟, 老实话, 就这样: a turn that opens so, or is no longer than that, takes no second opening.
_INTERJECTION = re.compile(r"^(?:[^，。！？,!?]{1,5}[，！,!]|.{1,6}$)")

_FORMAL = {
    "咋个": "怎么",
    "咋样": "怎么样",
    "咋": "怎么",
    "啥子": "什么",
    "啥": "什么",
    "俺": "我",
    "晓得": "知道",
    "搞明白": "了解清楚",
    "弄明白": "了解清楚",
    "哪样事": "什么事",
    "喊我": "叫我",
    "硬是": "确实是",
    "这会儿": "现在",
    "后头": "后面",
    "眼目前": "目前",
}
_COLLOQUIAL = {
    "怎么样": "咋样",
    "怎么办": "咋办",
    "怎么": "咋",
    "为什么": "为啥",
    "什么时候": "啥时候",
    "什么": "啥",
    "眼目前": "眼下",
    "目前": "眼下",
    "如何": "咋",
    "办理": "办",
    "现在": "这会儿",
}
_DIALECT = {
    "什么时候": "啥时候",
    "什么": "啥子",
    "怎么": "咋个",
    "知道": "晓得",
    "现在": "这会儿",
    "后面": "后头",
    "里面": "里头",
}
# Words, openings of a question, openings in a talk, closings of a statement.
_REGISTERS: dict[str, tuple[Mapping[str, str], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "_formal": (
        _FORMAL,
        ("您好，", "您好，打扰了，", "您好，我想请教一下，"),
        ("是这样的，", "我说一下，", "我跟您说明一下，"),
        ("",),
    ),
    "_colloquial": (_COLLOQUIAL, ("哎，", "那个啥，", "喂，"), ("哎，", "那个啥，", "我说，"), ("哈", "")),
    "_dialect": (_DIALECT, ("哎，", "我问哈，", "麻烦问哈，"), ("哎呀，", "我给你讲嘛，", "我说嘛，"), ("嘛", "噻")),
}
REGISTERS = tuple(_REGISTERS)
SYNONYMS: tuple[Mapping[str, str], ...] = (_FORMAL, _COLLOQUIAL, _DIALECT)
OPENINGS = (
    *_POLITE[0],
    *_SPOKEN[0],
    *(word for _, asking, talking, _ in _REGISTERS.values() for word in asking + talking),
)
CLOSINGS = (*_POLITE[1], *_SPOKEN[1], *(word for _, _, _, closings in _REGISTERS.values() for word in closings))
# A question mark or a sentence particle takes no other particle behind it.
_ENDED = re.compile(r"[吗呢吧嘛噻哈呗哦啊呀啦了的么哟咯喽呐嘞]$")


# 会咋个？ is 会怎么样, not 会怎么.
_BARE_HOW = r"(?:咋个|怎么|咋)(?:[^一-鿿]|$)"
# Without a question mark it may ask all the same.
_ASKS = re.compile(r"[吗么呢谁哪几啥咋怎]|什么|多少|何时|为何|[行好成对要]不|能否|是否|[有是能]没有|([一-鿿])[不没]\1")


def reword(text: str, kind: Kind, rng: random.Random, quoted: bool = False) -> str:
    """The condition `text`: another opening, closing, punctuation and form of numerals.

    Args:
        quoted: the right answer quotes the text, so that only something before and behind it may change.
    """
    openings, closings = _POLITE if kind == "asked" else _SPOKEN
    body = text if quoted else respell(text)
    if rng.random() < 0.5 and not quoted:
        body = body.translate(_PUNCTUATION)
    opening = _opening(text, openings, rng)
    closing = rng.choice(closings)
    statement = body.rstrip("。.…~～ ")
    if statement.endswith(("？", "?")):
        return opening + body + (closing.removeprefix("，") if kind == "asked" else "")
    if quoted or statement.endswith(("！", "!")) or (kind == "spoken" and _ENDED.search(statement)):
        return opening + body  # an outcry takes no closing, nor does what ends in a particle
    return opening + statement + closing + body[len(statement) :]


def in_register(text: str, register: str, kind: Kind, rng: random.Random, quoted: bool = False) -> str:
    """The same in formal or colloquial words, or in those of a south-western dialect; `quoted` as for `reword`."""
    words, asking, talking, closings = _REGISTERS[register]
    pattern = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    body = text if quoted else re.sub(rf"(?!{_BARE_HOW})(?:{pattern})", lambda match: words[match[0]], text)
    if kind == "asked" or not _INTERJECTION.match(text):
        body = _opening(text, asking if kind == "asked" else talking, rng) + body
    statement = body.rstrip("。.…~～ ")
    if quoted or statement.endswith(("？", "?", "！", "!")) or _ENDED.search(statement) or _ASKS.search(statement):
        return body
    return statement + rng.choice(closings) + body[len(statement) :]


def _opening(text: str, openings: Sequence[str], rng: random.Random) -> str:
    """An opening that does not repeat the text's own: nobody says 您好，您好 or 那个，那."""
    if _GREETED.match(text):
        return ""
    free = [word for word in openings if not text.startswith(word[:1])]
    return rng.choice(free) if free else ""
