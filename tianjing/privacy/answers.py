"""What a bare answer stands for, by the question one turn before: 出生日期？ → 一九八七年十一月.

The recognisers read the words before a value; where those stand in another turn, the answer is read as though its
label stood in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tianjing.privacy.digits import DIGITS
from tianjing.privacy.employers import is_organisation
from tianjing.privacy.findings import Match, View
from tianjing.privacy.scanner import Scanner

_WORKS_AT: Final = r"在?哪(?:里|儿|家)?(?:公司|单位)?(?:上班|工作|就职|任职|高就)"
_IS_CALLED: Final = r"怎么称呼|如何称呼|贵姓|尊姓|姓什么|叫什么(?:[^话]|$)|[叫是]哪位|哪位|叫啥"
# What is asked for -> the label with which the recognisers read the answer, and the kinds that may come of it.
_ASKS: Final[tuple[tuple[re.Pattern[str], str, frozenset[str]], ...]] = tuple(
    (re.compile(asked, re.IGNORECASE), label, frozenset(kinds.split()))
    for asked, label, kinds in (
        (r"出生|生日|生辰|哪年(?:哪月)?生|dob", "生日是", "birth_date"),
        (r"微信|威信|薇信|wechat|加[您你个]?v|vx", "微信号:", "wechat"),
        (r"qq|扣扣|企鹅", "QQ号:", "qq"),
        (rf"单位|公司|雇主|{_WORKS_AT}|学校|东家", "单位名称:", "employer"),
        (r"地址|住址|住所|住(?:在)?哪|住(?:在)?什么|寄到哪|寄(?:去|往)?哪|户籍|户口|门牌|老家", "地址:", "address"),
        (r"护照|passport", "护照号:", "passport"),
        (r"通行证|回乡证|台胞证|永居|居留|居住证|证件", "通行证号:", "permit passport"),
        (r"台胞证|台湾", "台胞证:", "permit"),
        (r"永居|居留|居住证", "永久居留证号:", "permit id_card"),
        (r"信用代码|税号|识别号|执照|注册号|统一代码", "信用代码:", "credit_code"),
        (r"身份证|证件|身份号码", "身份证号:", "id_card permit"),
        (r"卡号|银行卡|账号|帐号|账户|哪张卡|储蓄卡|信用卡|收款|扣款", "卡号:", "bank_card"),
        (r"电话|手机|座机|固话|号码|联系方式|怎么联系|打哪个|区号", "电话:", "mobile landline"),
        (rf"姓名|全名|名字|户名|{_IS_CALLED}|本名|机主是谁|是谁", "姓名:", "name"),
        (r"贵姓|尊姓|姓什么|称呼", "免贵姓", "name"),
    )
)
# Such a number begins with a digit or a letter, unless the customer's record writes it otherwise.
_NUMBERED: Final = frozenset("mobile landline bank_card id_card permit passport qq credit_code".split())
# For RE2: what `asked_by` looks for, one by one, and every text that asks for any of these.
ASKED: Final = tuple(f"(?i){asked.pattern}" for asked, _, _ in _ASKS)
LIKELY_ASKED: Final = f"(?i){'|'.join(asked.pattern for asked, _, _ in _ASKS)}"
# What people say before the value itself.
_FILLERS: Final = (
    r"(?:嗯+|呃+|额|哦|啊|那个|这个|好的?|行|对的?|是的?|就是|叫做?|我叫|(?:免贵|我)?姓|我是|我的?|您记一?下|你记一?下|记一?下|等一下|稍等|不用了"
    r"|不是|是|为|填|写|哎|诶|喂|您好|你好|没有?了|换了|变了|改了|有的?|[,。!、…\s:~])*"
)
_START: Final = re.compile(_FILLERS)
_CHANGED: Final = re.compile(
    r"(?:现在|以后|改|换|还|就|都|就是|应该|登记|填|写|留)?(?:用的?是?|换成|换了|改成|改为|改用|填|写|叫|是|为|成)[,:\s]{0,2}"
)
# Part of each of them: much cheaper to look for.
_CHANGE: Final = re.compile("[用换改填写叫是为成]")
_NAME_ENDS: Final = frozenset(",。!?;、…~ \n的啊呀吧哈呢嘛哦噢喽")
# So many turns back may a question lie, if only short words came in between.
TURNS_BACK: Final = 3
_SHORT_CHARS: Final = 6


def asked_by(text: str) -> tuple[int, ...]:
    """What a turn asks for, as numbers of `_ASKS`."""
    return tuple(number for number, (asked, _, _) in enumerate(_ASKS) if asked.search(text))


def answered(
    scanner: Scanner,
    turns: Sequence[tuple[str, str]],
    index: int,
    asks: Sequence[tuple[int, ...] | None],
    folded: str,
    found: Sequence[tuple[int, Match]],
) -> list[tuple[int, Match]]:
    """(start, match) of what turn `index` gives in answer to a question, apart from what is found in it anyway.

    Args:
        asks: what each turn asks for (`asked_by`), if anything.
        folded: the folded text of turn `index`.
        found: what is found in it.
    """
    asked_for = _questions(turns, index, asks)
    if not asked_for:
        return []
    new: list[tuple[int, Match]] = []
    opening = _START.match(folded)
    starts = {opening.end() if opening else 0}
    if _CHANGE.search(folded):
        for change in _CHANGED.finditer(folded):
            starts.add(change.end())
    for start in sorted(starts):
        if start == len(folded):
            continue
        numbered = folded[start].isascii() or folded[start] in DIGITS or scanner.holds(folded)
        best: Match | None = None
        for number in asked_for:
            _, label, kinds = _ASKS[number]
            if not numbered and kinds <= _NUMBERED:
                continue
            match = _read(scanner, label, folded[start:], kinds)
            if match and (best is None or match.end > best.end):
                best = match
        if best is None:
            continue
        end = start + best.end
        if not _overlaps(found, start, end) and not _overlaps(new, start, end):
            new.append((start, Match(best.kind, end, best.value, best.full)))
    return new


def _overlaps(matches: Sequence[tuple[int, Match]], start: int, end: int) -> bool:
    for begin, match in matches:  # noqa: SIM110  compiled, a loop is faster than a generator
        if begin < end and start < match.end:
            return True
    return False


def _questions(turns: Sequence[tuple[str, str]], index: int, asks: Sequence[tuple[int, ...] | None]) -> list[int]:
    """What the other speaker asked last: what was said since the last turn of this one that is more than a word."""
    asked: set[int] = set()
    speaker = turns[index][0]
    for turn in range(index - 1, max(0, index - TURNS_BACK) - 1, -1):
        other, text = turns[turn]
        if other == speaker and len(text) > _SHORT_CHARS:
            break
        if other != speaker:
            asked.update(asks[turn] or ())
    return sorted(asked)


def _read(scanner: Scanner, label: str, answer: str, kinds: frozenset[str]) -> Match | None:
    """What begins at the first character of `answer`, read behind `label`."""
    found = scanner.match_at(View(label + answer, closed=True), len(label))
    if not found or found[0] != len(label) or found[1].kind not in kinds:
        return None
    match = found[1]
    end = match.end - len(label)
    if match.kind == "name" and end < len(answer) and answer[end] not in _NAME_ENDS:
        return None
    if match.kind == "employer" and not is_organisation(match.value):
        return None
    return Match(match.kind, end, match.value, match.full)
