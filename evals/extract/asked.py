"""What a question asks for: whether for what is not so, and for which kind of thing."""

from __future__ import annotations

import functools
import re

from evals.extract.normalise import fold, squeeze

_NEGATIVE = re.compile(
    r"(?:不正确|错误|不属于|不包括|不包含|不是|不符合|不恰当|不准确|"
    r"有误|不对|不合理|不适用|无关|不需要?|不必|不会|不具|不能|不得|"
    r"不应|不可以?|"
    r"除外|未)[^。,?]{0,16}?的?(?:是|有|为|包括|一项|选项|说法|表述)[(\s_)。?:]*$|除[^,。]{0,12}外|"
    r"(?:不属于|不包括|不包含|不含|不涉及|不是|不得|不能|不可以?|不应该?|禁止|严禁)[(\s_)。?:]*$|"
    r"哪[些一几项个种类]{1,2}[^。,?]{0,6}不(?!动产|良|同|仅|但|断|当|定)[^。,]{1,14}$|"
    r"不(?!动产|良|同|仅|但|断|当|定)[一-鿿]{1,14}的(?:是|有|为|包括)[(\s_)。?:]*$|"
    r"不(?:得|能|应|可以?|需要?|包括|包含|属于|符合|适用)[^。,?]{0,10}(?:哪[一几]?[项个种些类]|什么)[^。,?]{0,6}[。?(\s_)]*$|"
    r"哪[一几]?[项个种些类]?[^。,?]{0,8}(?:不是|不属于|不包括|不符合|不正确|错误|不需要?|不得|不能)[^。,]*$"
)
_KIND = re.compile(r"(?:属于|是|为)(.{2,16}?)的?(?:有|是|为|包括)?(?:多选)?$")
_SUBJECT = re.compile(r"^(?:下列|以下|我国|在我国)?的?(.{3,24}?)(?:主要|通常|一般)?(?:是|为|有|包括|指)(?:多选)?$")
_NO_KIND = re.compile(r"正确|错误|说法|表述|哪|什么|不")
_GENERIC = re.compile(r"(?:内容|项目|行为|方式|情形|范围|之一)+$")


def is_negative(question: str) -> bool:
    """Whether the question asks for what is wrong or does not belong."""
    return bool(_NEGATIVE.search(fold(question)[-60:]))


def of_the_kind(said: str, question: str) -> bool | None:
    """Whether what an option is said to be is what the question asks for; None where it asks for no kind of thing."""
    kind, core = _kind(question), _core(squeeze(said))
    if not kind or not core:
        return None
    place = core.find(kind)
    if place >= 0:
        return core[place - 1 : place] not in ("非", "无", "不", "未")
    if another_kind(said, question):
        return False
    whole = len(core) >= 3 or core != squeeze(said)
    if not whole and kind.endswith(core):
        return None  # 风险 for 结构性理财风险 says too little
    if whole and (kind.endswith(core) or kind.startswith(core)):
        return True
    return core.startswith(kind[:3]) or any(kind[at : at + 4] in core for at in range(len(kind) - 3))


def another_kind(said: str, question: str) -> bool:
    """Whether it is a sister of the kind asked for: one noun under other modifiers, as 资产业务 beside 中间业务."""
    kind, core = _kind(question), _core(squeeze(said))
    if not kind or not core or kind.endswith(core):
        return False
    if core[0] in "非无不未" and (kind in core or kind.endswith(core[1:])):
        return True
    shared = 0
    while shared < min(len(kind), len(core)) and kind[-1 - shared] == core[-1 - shared]:
        shared += 1
    own, other = core[: len(core) - shared], kind[: len(kind) - shared]
    return shared >= 2 and bool(own and other) and not any(own[at : at + 2] in other for at in range(len(own)))


def shares_words(said: str, question: str) -> bool:
    """Whether two pairs of neighbouring characters of `said` stand in the question."""
    short, asked = squeeze(said), squeeze(question)
    return sum(short[at : at + 2] in asked for at in range(len(short) - 1)) >= 2


def lists_the_kind(clause: str, question: str) -> bool:
    """Whether a squeezed clause lists what is of the kind that the question names: 财政政策工具主要有…."""
    head = re.match("(.{2,20}?)(?:主要|通常|一般)?(?:有|包括|包含|分为)", clause)
    kind = _kind(question)
    return head is not None and bool(kind) and (head[1].endswith(kind) or (len(head[1]) > 2 and kind.endswith(head[1])))


def is_subject(said: str, question: str) -> bool:
    """Whether a text ends with what the question asks for: 中间业务 for 属于商业银行中间业务的是."""
    kind = _kind(question)
    end = re.sub(r"的?(?:就|应该?|只|才)?(?:是|为|有|包括|属于)+$", "", squeeze(said))
    core = _core(end)
    return bool(kind) and core != squeeze(said) and (core.endswith(kind) or (len(core) >= 3 and kind.endswith(core)))


@functools.lru_cache(maxsize=4096)
def _kind(question: str) -> str:
    asked = squeeze(question)
    found = _KIND.search(asked) or (None if _NO_KIND.search(asked) else _SUBJECT.match(asked))
    return _core(found[1]) if found else ""


def _core(phrase: str) -> str:
    phrase = phrase.replace("的", "")
    return _GENERIC.sub("", phrase) or phrase
