"""What a question asks for: whether for what is not so, and for which kind of thing."""

from __future__ import annotations

import re

from evals.extract.normalise import fold

_NEGATIVE = re.compile(
    r"(?:不正确|错误|不属于|不包括|不包含|不是|不符合|不恰当|不准确|"
    r"有误|不对|不合理|不适用|无关|不需要?|不必|不会|不具|不能|不得|"
    r"不应|不可以?|"
    r"除外|未)[^。,?]{0,16}?的?(?:是|有|为|包括|一项|选项|说法|表述)[(\s_)。?:]*$|除[^,。]{0,12}外"
)
_KIND = re.compile(r"(?:属于|是|为)(.{2,16}?)(?:的?(?:内容|项目|行为|方式|情形|范围))?的?(?:有|是|为|包括)?(?:多选)?$")


def of_the_kind(said: str, asked: str) -> bool | None:
    """Whether what an option is said to be is what the question asks for; None where it asks for no kind of thing."""
    kind = _KIND.search(asked)
    if kind is None:
        return None
    runs = {kind[1][place : place + 4] for place in range(max(1, len(kind[1]) - 3))}
    return said.startswith(kind[1][:2]) or any(run in said for run in runs)


def is_negative(question: str) -> bool:
    """Whether the question asks for what is wrong or does not belong."""
    return bool(_NEGATIVE.search(fold(question)[-60:]))
