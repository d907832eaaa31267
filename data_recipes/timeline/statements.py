"""What a customer says of himself in a dialogue: income, job, family, address, number, hardship, payday.

Only the customer's own turns count, and only sentences about the speaker: what is said of a husband, a colleague or of
an “if” is passed over. A bare answer (“五千左右”) is read with the question before it. Rules of thumb throughout: a
statement is a lead for a person to follow, with the confidence of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tianjing.records import Turn
from tianjing.text import fold_words, number


class Statement(NamedTuple):
    """A value for a profile field, characters `start` to `end` of turn `turn`. `hedged`: 大概, 可能, 左右."""

    field: str
    value: str | float | int
    turn: int
    start: int
    end: int
    hedged: bool


_NUM: Final = r"(?P<v>\d[\d,]*(?:\.\d+)?[万千百wk]?\d*|[一二两三四五六七八九十][一二两三四五六七八九十百千万零]*)"
_ABOUT: Final = r"(?:大概|差不多|也就|就|才|只有|不到|最多|顶多|撑死|能有|可能|的话|是|有|拿|到手|发|挣|赚|个)*"
_YUAN: Final = r"(?:来|多|几)?(?:块钱?|元)?(?:左右|上下|的样子)?"
_MONTHLY: Final = r"(?:每个?月|一个?月|月)"
_ORG: Final = (
    r"[\u4e00-\u9fffA-Za-z]{2,20}?(?:公司|厂|店|医院|学校|集团|工地|超市|酒店|饭店|餐厅|物业|银行|车队|事务所)"
)
_JOBS: Final = (
    "司机|保安|保洁|服务员|厨师|外卖员|快递员|骑手|会计|出纳|老师|教师|护士|医生|工人|电工|焊工|木工|瓦工|钳工|销售|客服|收银员|导购|理发师"
    "|美容师|店员|店长|程序员|工程师|设计师|技术员|操作工|质检员|仓管|文员|前台|保姆|月嫂|护工|个体户|农民|瓦匠|装修工|普工|临时工|业务员|中介"
)
_DIGITS: Final = "零一二两三四五六七八九十"
# What is said of others, or is not so (yet).
_OF_OTHERS: Final = re.compile(
    r"(?:他|她|老公|老婆|媳妇|爱人|丈夫|妻子|对象|我爸|我妈|父亲|母亲|儿子|女儿|朋友|同事|亲戚|邻居|别人|人家|你们?|您)[^，。！？,]{0,6}$"
)
_UNREAL: Final = re.compile(r"(?:如果|要是|假如|等我|万一|除非|以前|之前|原来|从前)[^，。！？,]{0,8}$")
_HEDGE: Final = re.compile(r"大概|差不多|左右|可能|好像|估计|上下|不到|多吧|吧")

# A question names a hardship without having it: 公司拖工资，流水要交几个月的？
_ASKS: Final = re.compile(
    r"材料|证明|(?:什么|哪些|多少|几个月|几天|多长|怎么|可不可以|能不能|要不要|行不行)[^。！]*[?？]|[吗么][?？]|申请"
)

# field -> patterns; the group `v` is the value, or `is` gives it
_NUMBERS: Final[dict[str, tuple[str, ...]]] = {
    "monthly_income_yuan": (
        rf"{_MONTHLY}?(?:工资|收入|薪水|底薪|到手|进账){_ABOUT}(?:{_MONTHLY})?{_ABOUT}{_NUM}(?!号|日|个|天|年|月|点|期|[%％]){_YUAN}",
        rf"{_MONTHLY}[^，。！？,\d]{{0,4}}(?:挣|赚|到手){_ABOUT}{_NUM}(?!号|日|个|天|年|月|点|期|[%％]){_YUAN}",
    ),
    "affordable_yuan": (
        rf"{_MONTHLY}[^，。！？\d]{{0,6}}(?:能|可以|最多|顶多|只)[^，。！？\d]{{0,4}}(?:还|拿出来?|凑出?|挤出?|出|承受|"
        rf"负担){_ABOUT}{_NUM}(?!号|日|个|天|年|月|点|期){_YUAN}",
    ),
    "payday": (
        rf"(?:发工资|开工资|发薪|工资|开支)[^，。！？\d]{{0,6}}?(?:每个?月)?(?:都?是|在)?(?P<v>\d{{1,2}}|[{_DIGITS}]{{1,3}})[号日]",
        rf"(?P<v>\d{{1,2}}|[{_DIGITS}]{{1,3}})[号日][^，。！？\d]{{0,4}}(?:发工资|开工资|发薪|开支|到账工资)",
    ),
    "dependants": (
        rf"(?:养|带|供|拉扯|有)(?:着|了)?(?P<v>\d|[{_DIGITS}]|俩|仨)(?:个)?(?:孩子|娃|小孩|老人|学生)",
        rf"(?:家里|屋头|屋里)(?:还有|有)?(?P<v>\d|[{_DIGITS}]|俩|仨)个?(?:孩子|娃|小孩|老人)",
    ),
}
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "employer": (rf"我?(?:现在|目前|如今)?(?:在|是)(?P<v>{_ORG})(?:里|的)?(?:上班|工作|做事|打工|干活|员工|当)",),
    "position": (
        rf"我(?:现在|目前|就|就是|只)?(?:是|做|干|当)(?:一?[个名])?(?:的)?(?P<v>{_JOBS})",
        r"我?(?:现在|目前)?在?(?:跑|送)(?P<v>外卖|快递|滴滴|网约车|货运|出租车?)",
    ),
    "address": (
        r"我(?:现在|目前)?(?:住在?|搬到了?|搬去了?|地址是|家在)(?P<v>[\u4e00-\u9fff]{2,}[省市区县镇乡村路街道号][^，。！？,\s]{0,30})",
    ),
    "id_card": (r"(?<![0-9A-Za-z])(?P<v>[1-9](?:[ \-]?\d){16}[ \-]?[\dXx])(?![0-9A-Za-z])",),
    "mobile": (r"(?<!\d)(?P<v>1[3-9]\d(?:[ \-]?\d){8})(?!\d)",),
}
_MARRIED: Final = (
    ("divorced", r"我(?:们)?(?:俩|已经|都|刚|早就|去年|前年|今年)*(?:离婚|离了婚|离异)(?!协议)"),
    ("married", r"我(?:已经|都|刚|早就|去年|前年|今年)*(?:结婚|结了婚|成家|已婚)"),
    ("single", r"我(?:还|也|现在|就|是|一直)*(?:没结婚|未婚|单身|没成家|没对象|一个人过)"),
)
HARDSHIPS: Final[dict[str, str]] = {
    "失业": (
        r"失业|下岗|被?(?:裁员|裁了|裁掉|辞退|开除|优化|炒了?鱿鱼|炒掉)|裁进去|遣散|丢了?(?:工作|饭碗)|没(?:有|得)?(?:了)?(?:工作|活干|班上|活路)|"
        r"(?:厂|公司|单位|店)[^，。！？,]{0,6}(?:倒闭|关门|关停|散伙|解散)|(?:工作|饭碗|岗位)[^，。！？,]{0,4}(?:没了|丢了|黄了|砸)|待业|找(?:工作|活路|事做)|"
        r"解除合同|把我(?:开|裁|辞)了|合同到期[^。！？]{0,6}没[^。！？]{0,4}续|没给我续|面试|投[^，。！？,]{0,4}简历|打?零工"
    ),
    "生病住院": (
        r"住院|生病|得了?病|手术|开刀|骨折|癌|化疗|透析|摔(?:伤|断|了)|车祸|病(?:了|倒|重|床)|医药费|看病|治病|养病|重症|吊瓶|打点滴|复查|"
        r"医生(?:说|让|叫|要)|体检[^。！？]{0,8}(?:发现|查出)|查出[^，。！？,]{0,8}(?:病|瘤|癌|疙瘩)|(?:送|在|进|去)(?:了)?医院"
    ),
    "工资迟发": (
        r"(?:工资|公资|薪水|工钱|绩效|提成|奖金|加班费|工程款|项目款|薪)[^，。！？,]{0,8}(?:没|未|拖|晚|迟|推|延|压|欠|不发|影子|等)|"
        r"(?:没发|拖欠?|欠|压|晚发|迟发|推迟发)[^，。！？,]{0,6}(?:工资|薪水|工钱|薪)|(?:老板|公司|单位)[^，。！？,]{0,6}拖着?不?发"
    ),
    "多头负债": (
        r"(?:好几|几|多|别的|其他|其它|一)(?:家|个|处|张)[^，。！？,]{0,6}(?:平台|贷款|网贷|信用卡|卡|债|欠|借)|网贷|以贷养贷|拆东墙|其[他它]贷款|"
        r"(?:信用卡|花呗|借呗|刷卡|别的贷款|外债|外头|车贷|房贷)[^。！？]{0,8}(?:要还|还着|欠|逾期|债|到期|躲不脱|滚|催)|到处(?:都)?(?:是债|欠|借)|"
        r"债[^，。！？,]{0,4}(?:多|压)|"
        r"不(?:光|止|只)[^，。！？,]{0,3}(?:欠|差)[^，。！？,]{0,3}你们|欠(?:得|的)太多|还了这头|这头还了"
    ),
    "经营亏损": (
        r"生意[^，。！？,]{0,8}(?:差|不好|亏|赔|淡|垮|不行|难做|黄)|(?:亏|赔)(?:了|本|损|钱|光|进去|惨)|(?:店|铺子?|铺面|门面|摊子|厂子)[^。！？]{0,10}"
        r"(?:亏|赔|垮|一落千丈|没(?:什么)?(?:生意|客人|人来)|开不下去|转让|盘出去|撑不)|货款?[^，。！？,]{0,6}(?:收不回|压|拖|卖不|不给)|没(?:有|得|"
        r"啥)?(?:订单|单子|生意|客人)|"
        r"(?:资金|本钱)[^，。！？,]{0,4}(?:转不|周转|断)"
    ),
}
_DURATION: Final = (
    rf"(?:失业|下岗|没工作|没活干?|没上班|待业|住院|住了?院|躺|停工|没发工资|没开工资|拖|病|亏|没收入|没进账)[^，。！？\d]{{0,6}}?"
    rf"(?:快|都|有|已经|了|将近)*(?P<v>\d{{1,3}}|半|[{_DIGITS}]{{1,3}})(?:多)?(?P<unit>个多?月|天|年|周|个?星期|个?礼拜)"
)
_DAYS: Final = {"天": 1, "周": 7, "星": 7, "礼": 7, "月": 30, "年": 365}
# a question of the agent -> the field that a bare number in the answer states, and how it must look
_ASKED: Final = (
    (
        "monthly_income_yuan",
        re.compile(r"(?:月收入|工资|收入|薪水|一个月(?:能)?(?:挣|赚))[^，。！？]{0,8}(?:多少|几)"),
        re.compile(rf"{_NUM}(?!号|日|个|天|年|月|点|期|[%％]){_YUAN}"),
    ),
    (
        "affordable_yuan",
        re.compile(r"(?:能|可以|方便)[^，。！？]{0,8}(?:还|承受|拿出|负担|凑)[^，。！？]{0,4}(?:多少|几)"),
        re.compile(rf"{_NUM}(?!号|日|个|天|年|月|点|期|[%％])(?:来|多)?(?:块钱?|元)"),
    ),
    (
        "payday",
        re.compile(
            r"(?:几号|哪天|哪一天|什么时候)[^，。！？]{0,4}(?:发工资|开工资|发薪)|(?:发工资|发薪)[^，。！？]{0,6}(?:几号|哪天)"
        ),
        re.compile(rf"(?P<v>\d{{1,2}}|[{_DIGITS}]{{1,3}})[号日]"),
    ),
)
_NUMBER_PATTERNS: Final = {f: tuple(map(re.compile, p)) for f, p in _NUMBERS.items()}
_WORD_PATTERNS: Final = {f: tuple(map(re.compile, p)) for f, p in _WORDS.items()}
_MARRIED_PATTERNS: Final = tuple((value, re.compile(pattern)) for value, pattern in _MARRIED)
_HARDSHIP_PATTERNS: Final = {reason: re.compile(pattern) for reason, pattern in HARDSHIPS.items()}
_DURATION_PATTERN: Final = re.compile(_DURATION)
_LIMITS: Final = {
    "monthly_income_yuan": (300, 200_000),
    "affordable_yuan": (1, 100_000),
    "payday": (1, 31),
    "dependants": (1, 9),
}


def statements(turns: Sequence[Turn]) -> Iterator[Statement]:
    """Statements of the customer about himself, by turn and place; the same value of a field only once."""
    seen: set[tuple[str, object]] = set()
    asked = ""
    for index, turn in enumerate(turns):
        text = fold_words(turn.text)
        if turn.speaker == "agent":
            asked = text
        if turn.speaker != "customer":
            continue
        for statement in sorted(_of_turn(text, index, asked), key=lambda s: (s.start, s.field)):
            if (statement.field, statement.value) not in seen:
                seen.add((statement.field, statement.value))
                yield statement


def _of_turn(text: str, turn: int, asked: str) -> Iterator[Statement]:
    found: set[str] = set()
    for field, patterns in _NUMBER_PATTERNS.items():
        for match in _own(patterns, text):
            value = _count(match["v"])
            if value is not None and _LIMITS[field][0] <= value <= _LIMITS[field][1]:
                found.add(field)
                yield _statement(field, value, turn, match, text)
                break
    for field, question, answer in _ASKED:
        answered = answer.search(text) if field not in found and question.search(asked) else None
        value = _count(answered["v"]) if answered else None
        if answered and value is not None and _LIMITS[field][0] <= value <= _LIMITS[field][1]:
            yield _statement(field, value, turn, answered, text)
    for field, patterns in _WORD_PATTERNS.items():
        for match in _own(patterns, text):
            yield _statement(field, re.sub(r"[\s\-]", "", match["v"]), turn, match, text)
            break
    for value_of, pattern in _MARRIED_PATTERNS:
        for match in _own((pattern,), text):
            yield Statement("marital_status", value_of, turn, match.start(), match.end(), False)
            break
    for reason, pattern in _HARDSHIP_PATTERNS.items():
        hit = pattern.search(text)
        if hit and not _UNREAL.search(text[: hit.start()]) and not _ASKS.search(_sentence(text, hit.start())):
            yield Statement("hardship_reason", reason, turn, hit.start(), hit.end(), False)
    lasting = _DURATION_PATTERN.search(text)
    if lasting:
        length = 0.5 if lasting["v"] == "半" else _count(lasting["v"])
        unit = _DAYS[lasting["unit"].removeprefix("个").removeprefix("多")[0]]
        if length is not None and length * unit <= 3650:
            yield _statement("hardship_days", int(length * unit), turn, lasting, text)


def _sentence(text: str, place: int) -> str:
    end = re.compile(r"[。！？!?；;]|$").search(text, place)
    begin = max((text.rfind(mark, 0, place) for mark in "。！？!?；;"), default=-1) + 1
    return text[begin : end.end() if end else len(text)]


def _own(patterns: Sequence[re.Pattern[str]], text: str) -> Iterator[re.Match[str]]:
    """Matches that are said of the speaker, and as a fact."""
    for pattern in patterns:
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 16) : match.start()]
            if not _OF_OTHERS.search(before) and not _UNREAL.search(before):
                yield match


def _count(text: str) -> float | int | None:
    try:
        value = float({"俩": 2, "仨": 3}[text]) if text in ("俩", "仨") else float(number(text))
    except (ValueError, ArithmeticError):
        return None
    return int(value) if value.is_integer() else value


def _statement(field: str, value: str | float | int, turn: int, match: re.Match[str], text: str) -> Statement:
    around = text[max(0, match.start() - 4) : match.end() + 4]
    return Statement(field, value, turn, match.start("v"), match.end("v"), bool(_HEDGE.search(around)))
