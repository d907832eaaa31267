"""Addresses by grammar: a place of the gazetteer or a label (住在, 地址是) opens one, suffixes and numbers carry it on.

省 市 区 县 镇 → 路 街 巷 → 小区 大厦 → 号 栋 单元 室. A place alone (我是北京人, 北京市朝阳区人民法院) is no address.
"""

from __future__ import annotations

import re
from typing import Final

from tianjing.privacy import gazetteer
from tianjing.privacy.digits import SPOKEN_DIGITS
from tianjing.privacy.findings import Match, View

_MAX_CHARS: Final = 60
# After a label, suffixes alone make an address of more characters than this.
_LABELLED_CHARS: Final = 3
_LABEL: Final = re.compile(
    r"(?:地址|住址|住所|户籍|户口|籍贯|老家|家住|住在|现住|租住|居住在?|搬到|搬去|寄到|寄往|送到|邮寄到|位于|家在|家是|定位在)"
    r"(?:地址|地|所在地|登记)?(?:就是|还是|应该是|你记好了|是在|是|在|为|:|,|\s){0,2}$"
)
_LABEL_ENDS: Final = frozenset("址所籍口贯家住到去往于在位地记是了为")  # of the letters that it can end with
# Behind these a suffix alone makes an address; behind 住所 or 地址 without a verb it does not.
_FIRM: Final = frozenset("是在为:,住于到往了")
_BOUNDARY: Final = frozenset("在住到去于是址为家")
# What follows a label and still belongs to it.
_NOT_AFTER_LABEL: Final = frozenset("地所登是在为")
# Characters that hardly ever stand in an address but follow and precede addresses all the time.
_STOP: Final = "某住我你您他她它的了吗呢啊是在有给这那哪什怎么要想会能就也还没请说打话让催欠款期息额费账审核查询"
NEVER_FIRST: Final[frozenset[str]] = frozenset(_STOP)
_HAN: Final = rf"[^\W\d_a-zA-Z{_STOP}]"
_NUMERAL: Final = f"[0-9A-Za-z{SPOKEN_DIGITS}十百甲乙丙丁-]"
_NUMBER: Final = f"{_NUMERAL}{{1,8}}"
# Possessive: the two classes share no character.
_RUN: Final = re.compile(rf"(?:[^\W\d_{_STOP}]++|[0-9#()/·-]++)+")
IN_RUN: Final[re.Pattern[str]] = re.compile(rf"{_HAN}|[0-9A-Za-z#()/·-]")
_CUT: Final = re.compile(
    r"电话|手机|座机|固话|传真|微信|卡号|证件|QQ|qq|联系|邮编|邮箱|身份|然后|以及|评分|门票|人均|价格|营业|工作|上班|谢|没错|收件|收货|姓名|客户|公司注册|都[可是在有没能要会]|对(?!面)|(?<!酒)吧"
    r"|人民法院|人民政府|检察院|公安|管理局|委员会|条例|规定|银行|分行|支行|先生|女士|应当|(?:19|20)\d\d年|\d个?月|(?<=[0-9零一二两三四五六七八九十百千万])元"
)
# Said of a place rather than part of it, unless a label says that the whole clause is an address.
_CUT_UNLABELLED: Final = re.compile(rf"附近|旁边|周边|对面|{_CUT.pattern}")
_INNER_LABEL: Final = re.compile(r"位于|地址|住址|家在")
_ADMIN: Final = r"(?:省|自治区|特别行政区|市|新区|开发区|自治州|地区|盟|区|县|旗|镇|乡|街道|社区|村|屯|寨)"
_WAY: Final = r"(?:大街|大道|公路|胡同|路|街|道|巷|弄|(?<![家心手这那哪屋夜眼嘴店厂群卡包柜])里|条|桥|门)"
_PLACE: Final = (
    r"(?:小区|花园|家园|花苑|新村|公寓|大厦|广场|中心|商场|宿舍|校区|家属院|大院|国际|学校|大学|医院|酒店|宾馆|饭店|景区|商城|市场|百货|机场|车站|公园|工业园|科技园"
    r"|苑|园|城|府|湾|庭|轩|郡|邸|院|楼|厂|坊|庄)"
)
_STREET: Final = re.compile(r"(?:大街|大道|路|胡同)$")
_UNIT: Final = r"(?:号院|号楼|号门|号|弄|栋|幢|座|单元|层|楼|室|户|组|队|期|区|#)"
_UNITS: Final = rf"(?:第?{_NUMBER}{_UNIT}|{_NUMBER}(?![0-9])(?<=[0-9{SPOKEN_DIGITS}])(?!{_HAN}))"
_PARTS: Final = re.compile(
    rf"(?P<admin>(?:{_HAN}{{1,8}}?{_ADMIN})*)(?P<ways>(?:[^\W_{_STOP}]{{1,9}}?{_WAY}(?:[东西南北中]段?)?)*)"
    rf"(?P<rest>(?:{_UNITS}|{_HAN}{{1,10}}?{_PLACE}|{_HAN}{{1,6}}(?={_UNITS})|\([^()]{{1,24}}\)|[东西南北][侧门面边])*)"
)
_NUMBERED: Final = re.compile(rf"{_NUMBER}{_UNIT}|[0-9]{{2,}}")
_STRONG_UNITS: Final = re.compile(rf"{_NUMBER}(?:栋|幢|座|单元|室|号楼|号院)")
_SUFFIXES: Final = "路街道巷弄里村镇乡区县市苑园城厦栋幢座楼号室庄场胡邸府寓院"
_OPEN_CHARS: Final = 14
_SUFFIX_SOON: Final = re.compile(rf"[^{_SUFFIXES}]{{0,{_OPEN_CHARS - 1}}}[{_SUFFIXES}]")
# The same in a text that may go on: what its end (\Z) cuts short may still come true.
OPEN_SUFFIX: Final[re.Pattern[str]] = re.compile(
    rf"[^{_STOP}{_SUFFIXES},。!?;:\s]{{0,{_OPEN_CHARS - 1}}}+(?:[{_SUFFIXES}]|\Z)"
)

_FREE: Final = rf"[^{_STOP},。!?;\s]"
_SOON: Final = rf"[^{_STOP}{_SUFFIXES},。!?;\s]{{0,13}}[{_SUFFIXES}]"
# Necessary for an address to begin at a match; see `hints`.
HINT: Final[str] = rf"[{''.join(sorted(gazetteer.FIRST_CHARS))}](?=[{''.join(sorted(gazetteer.SECOND_CHARS))}]{_SOON})"
# The same where the match ends: behind a boundary, a way or a house; behind a label, any suffix.
BOUNDARY_CHARS: Final[str] = "在住到去于是址为家籍口居往地记了所"
HINT_BEFORE: Final[tuple[str, ...]] = (
    rf"[\W在住到去于是址为家](?=[^\W_{_STOP}])(?={_SOON})"
    rf"(?={_FREE}{{0,40}}?(?:[路街道巷弄里条桥门同]{_FREE}{{0,40}}?{_NUMERAL}"
    rf"|{_NUMERAL}(?:栋|幢|座|单元|室|号楼|号院)|[市区县旗镇乡村屯寨区盟]{_FREE}{{1,24}}?(?:大街|大道|路|胡同)))",
    r"[地住户籍老家现租居搬寄送邮位定][址所籍口贯家住在到去往于是位]在?(?:地址|地|所在地|登记)?"
    rf"(?:就是|还是|应该是|你记好了|是在|是|在|为|[:,\s]){{0,2}}(?=[^\W_{_STOP}])(?={_SOON})",
)

# The same without look-around, wider: see `batch`. [^\\p{L}\\p{N}_] is what Python calls \\W. No count limits what
# stands before the suffix: with counts RE2's automaton is twenty times slower, and hardly a text less passes.
LIKELY: Final[str] = (
    rf"(?:[{''.join(sorted(gazetteer.FIRST_CHARS))}][{''.join(sorted(gazetteer.SECOND_CHARS))}]"
    rf"|^|[^\p{{L}}\p{{N}}_]|[在住到去于是址为家])[^{_STOP}{_SUFFIXES},。!?;\s]*[{_SUFFIXES}]"
    rf"|[地住户籍老家现租居搬寄送邮位定][址所籍口贯家住到在去往于是位].*[{_SUFFIXES}]"
)


def match_address(view: View, start: int) -> Match | None:
    """The address that begins at `start`."""
    if view.text[start] in NEVER_FIRST:
        return None
    place, before, labelled = _place(view, start), view.before(start, 20), None
    if not place and not _is_boundary(before[-1:]):
        if before[-1:] not in _LABEL_ENDS:
            return None
        labelled = _LABEL.search(before)
        if not labelled:
            return None
    # A stream is held for a suffix that comes soon, and only then for the end of the run.
    opening = view.run(start, _RUN, _OPEN_CHARS)
    if view.short or not _SUFFIX_SOON.match(opening):
        return None
    if not labelled and (not before[-1:].isalnum() or before[-1:] in _LABEL_ENDS):
        labelled = _LABEL.search(before)
    if labelled and opening[0] in _NOT_AFTER_LABEL:
        return None
    run = view.run(start, _RUN, _MAX_CHARS)
    if cut := (_CUT if labelled else _CUT_UNLABELLED).search(run):
        run = run[: cut.start()]
    if not labelled and _INNER_LABEL.search(run):
        return None
    match = _PARTS.match(run)
    if match is None or not match[0]:
        return None
    admin, ways, rest = match["admin"], match["ways"], match["rest"]
    numbered = bool(_NUMBERED.search(rest))
    least = max(_LABELLED_CHARS, len(place) + 1)
    if labelled and (numbered or ((place or before[-1:] in _FIRM) and match.end() > least)):
        length = len(run)  # a label says that all up to the end of the clause is the address
    elif (
        (ways and numbered)
        or (admin and _STREET.search(ways))
        or (place and admin and (ways or numbered))
        or _is_house(admin, rest)
    ):
        length = match.end()
    else:
        return None
    value = view.text[start : start + length].rstrip("-(#")
    return Match("address", start + len(value), value) if len(value) > 2 else None


def _is_boundary(char: str) -> bool:
    """Whether a clause, or the object of a verb of place, begins behind `char`."""
    return char in _BOUNDARY or not (char.isalnum() or char == "_")


def _is_house(admin: str, rest: str) -> bool:
    """阳光花园3栋2单元501: a named place and two numbered parts, or one after a village or district."""
    units = len(_STRONG_UNITS.findall(rest))
    named = not rest[:1].isdigit() and len(rest) > 5
    return units > 1 or (units > 0 and (bool(admin) or named))


def _place(view: View, start: int) -> str:
    first = view.text[start]
    if first not in gazetteer.FIRST_CHARS:
        return ""
    candidates = gazetteer.BY_OPENING.get(first + view.at(start + 1), ())
    return next((place for place in candidates if view.startswith(place, start)), "")
