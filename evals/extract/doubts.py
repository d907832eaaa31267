"""What makes an answer doubtful: it is asked, not known, taken back, or refuted by the output that gives it."""

from __future__ import annotations

import re

from evals.extract.asked import is_negative
from evals.extract.cues import Claim
from evals.extract.normalise import fold
from evals.extract.options import Options

_ONE = r"(?<![A-Za-z])[A-J](?![A-Za-z])(?:选项|项)?"
_UNSURE = re.compile(
    r"(?:不太|不是很|不能|无法|没法|难以|很难)(?:完全|准确)?(?:确定|"
    r"判断|确认|得出|给出|回答|作答|选择|抉择|断定)|不(?:太)?确定(?!性)|"
    r"拿不准|"
    r"说不准|不知道|不清楚|(?:信息|条件|题目)不(?:足|全|完整)|两说[皆均都]可|暂不作答|(?:判断|确定|决定|回答)不(?:了|准|清)|没有把握|"
    r"存在争议|(?:若|如果)(?:一定|必须|非)?要?(?:选|猜)|"
    r"没有足够的?(?:信息|资料|数据|依据)(?:来|去)?(?:判断|确定|回答|作答|选择)|请(?:您|你)?(?:再|补充)?提供(?:更多|完整|具体)|"
    r"(?i:cannot (?:determine|be determined)|not sure|don't know|unable to|if i (?:had|have) to)"
)
# 不能确认为收入, 难以判断风险大小: what cannot be told is no answer.
_OF_A_THING = re.compile(
    r"(?<=确认|判断|确定|断定|得出|给出)(?![^。;,\n]{0,8}(?:答案|选|哪|[对正][错误]|正确|题|结[果论]|究竟|到底|怎么|如何|是否))"
    r"(?:为|是|属于)?[一-鿿](?<![的了就但也而和是否])[一-鿿]+"
)
# 到底选ABCD还是ABCDE呢？ at the end
_ASKS = re.compile(
    rf"(?:(?:到底|究竟)[^。!\n]{{0,30}}(?:\?|[呢啊])\s*\??(?:,?\s*{_ONE}\s*还是\s*{_ONE})?|{_ONE}\s*还是\s*选?\s*{_ONE}\s*(?:呢|\?|\.{{3,}})|"
    r"(?:到底|究竟)[^。!\n]{0,30}还是[^。!\n]{0,24}(?:不了|不知道|无法[^。]*|难以[^。]*|不确定)|"
    r"请问[您你][^。!\n]*\?|(?:^|[。,;!?\n])\s*不对?[,。]\s*(?:应该?)?(?:答案)?是?)[。.?\s]*$"
)
_OFFER = re.compile(r"(?:需要|要不要|是否需要)我[^。!\n]{2,}$")
_RESOLVED = re.compile(r"但|综合|经过|最终|因此|所以|故|综上|(?i:however|but|therefore|so)")
_AGAIN = r"(?:让|容)?我?再(?:仔细)?(?:想|看|算|检查|考虑)(?:一?[想看算]|一下|一遍)?"
_TAKEN_BACK = re.compile(
    rf"(?:选项|项)?[\s。.,;!?…)\]】—-]*(?:(?:哦|啊|噢|哎|呃|嗯|等等|等一下|慢着|{_AGAIN})[\s,。.!…]*)*"
    r"(?:(?:好像|似乎)?不对|[搞算]?错了|"
    r"(?i:(?:wait,?\s*)?no(?=\s*[,.!]|\s*$)|that(?:'s| is) wrong))(?:$|[\s,。.!?…;])"
)
_WRONG = r"(?:(?:不正确|错误(?!地)|不对)(?!的[一-鿿])|错(?=[。,;!\n]|$)|有误|不成立|不符合(?:题意|要求))(?!\s*[?吗么])"
_REFUTED = re.compile(
    r"(?<![A-Za-z])(?P<letters>(?:选项)?[A-J](?:选项|项)?(?:\s*[、和与及]\s*[A-J](?:选项|项)?)*|[A-J]{2,8})"
    rf"(?:的?(?:说法|表述|观点))?(?:都|均|是|为|显然|明显|则|也|就)*{_WRONG}"
)
_ASKS_FOR_WRONG = re.compile(r"[错误不非]|除外|例外|(?i:\b(?:not|except|incorrect|false|wrong|least)\b)")
_SUPPOSED = re.compile(r"(?:认为|以为|误|如果|若|假如|假设|说|觉得|为何|为什么|是否)[^。;,\n]{0,6}$")


def asks(text: str) -> bool:
    """Whether the output ends by asking which option it is."""
    return _ASKS.search(text) is not None


def without_offer(text: str) -> str:
    """`text` without an offer at its end (需要我解释B吗)."""
    return _OFFER.sub("", text)


def is_unsure(text: str, known: Options, question: str) -> bool:
    return any(not known.mentions(match[0], question) for match in _UNSURE.finditer(text))


def is_doubted(text: str, claim: Claim, known: Options, question: str) -> bool:
    """Whether the output says that it does not know, and not before it resolves that."""
    for match in _UNSURE.finditer(text):
        if known.mentions(match[0], question) or _OF_A_THING.match(text, match.end()):
            continue
        if match.start() > claim.start or not _RESOLVED.search(text, match.end(), claim.start):
            return True
    return False


def is_withdrawn(text: str, claim: Claim) -> bool:
    """那是C，…就不能用C: whether one letter is turned down behind, with no word of an answer where it stood."""
    if claim.rule not in ("chosen", "leading") or len(claim.letters) != 1:
        return False
    return (
        re.search(rf"不(?:能|可以?|应该?|该)(?:用|选|取)\s*{claim.letters}(?![A-Za-z])", text[claim.end :]) is not None
    )


def is_taken_back(behind: str) -> bool:
    """答案是D。不对，应该是C？: whether the words right behind the last choice take it back."""
    return _TAKEN_BACK.match(behind) is not None


def refuted(text: str, question: str) -> set[str]:
    """The options that `text` calls wrong; none where the question may ask for what is wrong, or is not known."""
    asked = fold(question)
    if (
        not asked
        or is_negative(question)
        or re.search(r"[错误不非]|(?i:\b(?:not|except|incorrect|false|wrong|least)\b)", asked)
    ):
        return set()
    return {
        letter
        for match in _REFUTED.finditer(text)
        if not _SUPPOSED.search(text, max(0, match.start() - 16), match.start())
        for letter in re.findall("[A-J]", match["letters"])
    }
