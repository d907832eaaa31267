"""Names of people by their surroundings: 您好王建国, 我叫…, 免贵姓…, …先生.

Only common surnames (百家姓) count, and words that merely begin with one (周末, 金额) do not: a name recogniser
without a model buys precision here and leaves recall to the names of the customer record.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from tianjing.privacy.findings import Match, View
from tianjing.privacy.surnames import AMBIGUOUS, COMPOUND, EVERYDAY, RARE, SURNAMES

_HONORIFICS: Final = ("先生", "女士", "小姐", "太太")
# Called after the surname alone: 张师傅, 刘阿姨. Words such as 总 also open 总额, so what follows is looked at.
_TITLES: Final = tuple("师傅 老师 经理 阿姨 大爷 大哥 大姐 大叔 叔叔 主任 医生 律师 老板 总 哥 姐".split())
_AFTER_TITLE: Final = frozenset(",。!?、;: 您你我他她这那是的在说好吗呢吧啊也都就")
# An honorific behind an everyday word counts only where a clause begins: 水清浅女士.
_OPENS: Final = frozenset(",.?!;:，。！？；： \n好是问请")
_BOUNDARY: Final = frozenset("，。？！、；：,.?!;: \n吗吧呀啊呢")
# Characters that hardly ever stand in a given name but follow names all the time.
_FUNCTION: Final = frozenset(
    "我你您他她它的了吗呢吧啊是在有和跟与及或把被给对从到这那哪什怎么要想会能可就都也还没不请先本位说打"
    "过着一个几两昨后，。"
)
NEVER_FIRST: Final[frozenset[str]] = _FUNCTION
# Words that follow a name of two characters and would lend it a third: 王芳电话, 李强今年.
_NEXT_WORDS: Final = frozenset(
    """
电话 手机 身份 今年 现在 住在 来自 工作 联系 目前 名下 本人 已经 正在 之前 以前 上个 上月 下个 出生
生日 家住 性别 银行 卡号 贷款 欠款 逾期 地址 单位 因为 所以 然后 觉得 知道 希望 需要 反映 咨询 投诉
办理 提醒 收到 号码 同志 同学 为您 为你 帮您 代表 通知 确认
""".split()
)
# What a person can be to the customer or in a contract: the next word may be the name.
_ROLE: Final = (
    r"(?:借款|贷款|担保|保证|收款|付款|汇款|收件|寄件|取件|联系|投保|被?保险|受益|持卡|持有|申请|经办|负责|代理|委托|签约|签字|推荐|介绍|证明"
    r"|开户|出借|承租|出租|监护|当事|登记|代表|本)人|法人(?:代表)?|户主|机主|车主|(?<![行产企事工商])业主|房东|同学|同事|朋友|室友|邻居|老板|领导|亲戚|主任|经理"
    r"|老公|老婆|爱人|妻子|丈夫|儿子|女儿|父亲|母亲|爸爸?|妈妈?|哥哥?|弟弟?|姐姐?|妹妹?|媳妇|对象|前夫|前妻|女婿|孩子"
    r"|叔叔?|舅舅?|姑姑?|姨妈?|嫂子?|侄子|侄女|外甥|闺女|男友|女友|男朋友|女朋友|岳父|岳母|公公|婆婆|爷爷|奶奶|外公|外婆"
)
_SAYS: Final = r"(?:就是|就叫|是|叫做|叫|名叫|为|写的?是?|填的?是?|登记的?是?|换成|改成|改为|是不是)"
_CALLED: Final = re.compile(
    r"(?:[我他她您你人位个说]叫|名叫|叫[做作]|自称(?:是|叫)?"
    r"|(?:(?<!小)名字|全名|姓名|户名|本名|真名|抬头|署名|落款|签名)(?:栏|那栏|处|这里)?"
    r"(?:就?是|就?叫|为|写的?是?|填的?是?|登记的?是?|改成|改为)?)[:： ]{0,2}$"
)
_ROLE_SAYS: Final = re.compile(rf"(?:{_ROLE})(?:{_SAYS}[:： ]{{0,2}}|[:：] ?)$|客户(?:就是|是|叫)$")
_ROLE_ONLY: Final = re.compile(rf"(?:{_ROLE})[,，]?$")
_GREETED: Final = re.compile(
    r"(?:您好|你好|请问您?是?|[您你我]是|是不是|[我想要]找一?下?|找一下|喂|叫一下|转告一?下?|这里是|我就是|核对一下|确认一下|尊敬的)"
    r"[，,！!。 ]{0,2}$"
)
# The last characters of these patterns.
_CALLED_LAST: Final = frozenset("叫做作是字名头款签栏处里为的写填成")
_SAYS_LAST: Final = frozenset(
    "是叫为写填的成人表主东学事友居板导戚任理公婆子夫儿女亲爸妈哥弟姐妹妇象妻婿孩叔舅姑姨嫂侄甥母爷奶"
)
_ROLE_LAST: Final = _SAYS_LAST - frozenset("是叫为写填的成")
_GREETED_LAST: Final = frozenset("好问您你我是找一下喂告里想要的！!。")
# What stands right before a name that something introduces; pauses may stand between.
INTRODUCES: Final[frozenset[str]] = _CALLED_LAST | _SAYS_LAST | _ROLE_LAST | _GREETED_LAST | frozenset("姓,:，： ")
_SURNAME_ASKED: Final = ("我姓", "免贵姓", "您姓", "他姓", "她姓", "你姓", "老公姓", "老婆姓", "本人姓", "客户姓")
_HAN: Final = "\u4e00-\u9fff"
# What follows a name that nothing introduces with a verb: 我同学晏知秋也接到.
_FOLLOWS: Final = frozenset(
    "签住办借病律的也是在有跟和与说欠没就都已还来去把给让被要会能不他她我你您这那吗吧呢啊呀名前昨上"
)
# 热依扎·艾力江: names of the north-west, and foreign ones in Chinese characters.
_DOTTED: Final = re.compile(rf"[{_HAN}]{{2,8}}(?:[·•.][{_HAN}]{{2,8}}){{1,3}}")
_DOTTED_RUN: Final = re.compile(rf"[{_HAN}·•.]+")
_DOTTED_CHARS: Final = 20
_DOTTED_ENDS: Final = re.compile(
    "(?<=[·•.]..)(?:您好|你好|先生|女士|[的也是在有跟和与说欠没就都已还把给让被要会能不他她我你您这那吗吧呢啊]).*"
)

_COMPOUND_FIRST: Final = frozenset(name[0] for name in COMPOUND)
STARTS: Final[frozenset[str]] = SURNAMES | RARE | AMBIGUOUS | _COMPOUND_FIRST
# Behind these any character may begin a name with dots.
BOUNDARY_CHARS: Final[str] = "叫名是为写填"
FIRST_OF_TITLES: Final[str] = "".join(sorted({word[0] for word in (*_HONORIFICS, *_TITLES)}))
# Necessary for a name to begin here; see `hints`. A trigger just before, or an honorific soon after.
_GREETING_ENDS: Final = "好是问您你我找一下喂告要想认"
_ROLE_TAILS: Final = (
    "款人 保人 证人 件人 系人 险人 益人 卡人 有人 请人 办人 责人 理人 托人 约人 字人 荐人 绍人 明人 户人 借人 租人"
    " 护人 事人 记人 表人 本人 法人 代表 户主 机主 车主 业主 房东 同学 同事 朋友 室友 邻居 老板 领导 亲戚 主任 经理"
    " 老公 老婆 爱人 妻子 丈夫 儿子 女儿 父亲 母亲 媳妇 对象 前夫 前妻 女婿 孩子 嫂子 侄子 侄女 外甥 闺女 男友 女友"
    " 岳父 岳母 公公 婆婆 爷爷 奶奶 外公 外婆"
).split()
_KIN_ENDS: Final = "爸妈哥弟姐妹叔舅姑姨嫂"
# The same without look-around, wider: see `batch`.
_ANY_START: Final = f"[{''.join(sorted(STARTS))}]"
LIKELY: Final[tuple[str, ...]] = (
    rf"[叫做作名字头款签是为姓写填成栏处里:{_GREETING_ENDS}]{_ANY_START}|[{_GREETING_ENDS}的][,。! ]{{1,2}}{_ANY_START}"
    rf"|[叫做作名字头款签是为栏处里成:写填 ] {_ANY_START}|[写填记敬]的{_ANY_START}|[{_KIN_ENDS}][,， ]?{_ANY_START}"
    rf"|(?:{'|'.join(_ROLE_TAILS)}),?{_ANY_START}",
    rf"{_ANY_START}[{_HAN}]{{0,3}}(?:{'|'.join(_HONORIFICS)})|{_ANY_START}[{_HAN}]?(?:{'|'.join(_TITLES)})",
    rf"[{BOUNDARY_CHARS}: ][{_HAN}]{{1,8}}[·•.]",
)
HINT: Final[str] = (
    rf"[{''.join(sorted(STARTS))}]"
    rf"(?:(?<=[叫做作名字头款签是为姓写填成栏处里:{_GREETING_ENDS}].)|(?<=[{_GREETING_ENDS}的][,。! ].)"
    rf"|(?<=[{_GREETING_ENDS}][,。! ][,。! ].)|(?<=[叫做作名字头款签是为栏处里成:写填 ] .)|(?<=[写填记敬]的.)"
    rf"|(?<=[{_KIN_ENDS}].)|(?<=[{_KIN_ENDS}][,， ].)"
    rf"|(?<={'.|'.join(_ROLE_TAILS)}.)|(?<={',.|'.join(_ROLE_TAILS)},.)"
    rf"|(?=[{_HAN}]{{0,3}}(?:{'|'.join(_HONORIFICS)})|[{_HAN}]?(?:{'|'.join(_TITLES)})))"
    rf"|[{_HAN}](?<![{''.join(sorted(NEVER_FIRST))}])(?<=[{BOUNDARY_CHARS}: ].)(?=[{_HAN}]{{0,7}}[·•.])"
)


def match_name(view: View, start: int) -> Match | None:
    """The name, or the surname before 先生 or 女士, that begins at `start`."""
    char = view.at(start)
    before = view.before(start, 12)
    last = before.rstrip(",:，： ")[-1:]  # which of the patterns can match at all
    called = last in _CALLED_LAST and bool(_CALLED.search(before))
    says = not called and last in _SAYS_LAST and bool(_ROLE_SAYS.search(before))
    if (called or says) and char not in NEVER_FIRST and (dotted := _dotted(view, start)):
        return dotted
    length = 1
    if char in _COMPOUND_FIRST and char + view.at(start + 1) in COMPOUND:
        length = 2
    elif char not in SURNAMES and char not in AMBIGUOUS and char not in RARE:
        return None
    if before.endswith(_SURNAME_ASKED):
        return _found(view, start, length)
    common = length == 2 or char in SURNAMES
    certain = common or char in RARE
    if (called and certain) or (says and common):
        given = _given(view, start + length)
        named = given and not _is_everyday(view, start, length + given)
        return _found(view, start, length + given, full=True) if named else None
    opens = not before or before[-1] in _OPENS
    for given in range(3 if certain or opens else 1):
        if given and not is_given(view.at(start + length + given - 1)):
            break
        if _honoured(view, start + length + given) and not _is_everyday(view, start, length + given):
            return _found(view, start, length + given, full=given > 0)
    if common and _titled(view, start + length):
        return _found(view, start, length)
    if called or says or (last in _ROLE_LAST and _ROLE_ONLY.search(before)):
        given = _given(view, start + length)
        after = start + length + given
        enough = given >= (1 if certain or called or last == "叫" or before.endswith(":") else 2)
        ended = enough and (_ends(view, after) if certain else _bounded(view, after))
        if ended and not _is_everyday(view, start, length + given):
            return _found(view, start, length + given, full=True)
    if certain and last in _GREETED_LAST and _GREETED.search(before):
        for given in (2, 1):
            if _given(view, start + length) >= given and _bounded(view, start + length + given):
                everyday = _is_everyday(view, start, length + given)
                return None if everyday else _found(view, start, length + given, full=True)
    return None


def _dotted(view: View, start: int) -> Match | None:
    run = view.run(start, _DOTTED_RUN, _DOTTED_CHARS)
    match = _DOTTED.match(run) if "·" in run or "•" in run or "." in run else None
    if match is None:
        return None
    name = _DOTTED_ENDS.sub("", match[0])
    return Match("name", start + len(name), name, full=True)


def parts(name: str) -> list[tuple[tuple[str, ...], str]]:
    """How a person of this full name is also called (建国, 老王, 王总, 小芳), each with the part of the name in it.

    Those that begin with one character and hold one part stand together.
    """
    if "·" in name or "•" in name or "." in name:
        pieces = re.split("[·•.]", name)
        return [((piece,), piece) for piece in dict.fromkeys((*pieces, "".join(pieces))) if len(piece) > 1]
    surname = name[:2] if name[:2] in COMPOUND else name[:1]
    given = name[len(surname) :]
    if len(name) < 2 or not "\u4e00" <= name[0] <= "\u9fff" or not 1 <= len(given) <= 2:
        return []
    called = [(names, surname) for names in _called_by_surname(surname)]
    if len(given) == 2:
        called.append(((given,), given))
    else:
        called += [((f"小{given}",), given), ((f"阿{given}",), given)]
    return called


@functools.lru_cache(maxsize=4096)
def _called_by_surname(surname: str) -> tuple[tuple[str, ...], ...]:
    """How people of this surname are called by it: 老王; 王总, 王先生."""
    known = surname in STARTS or len(surname) > 1
    after = (*_HONORIFICS, *_TITLES, "某", "叔", "姨", "女生", "同学", "家")
    return (
        *((f"{prefix}{surname}",) for prefix in (("老", "小", "阿") if known else ())),
        tuple(f"{surname}{title}" for title in after),
    )


def _found(view: View, start: int, length: int, full: bool = False) -> Match:
    return Match("name", start + length, view.text[start : start + length], full)


def _given(view: View, index: int) -> int:
    """How many characters (0 to 2) from `index` can be a given name."""
    if not is_given(view.at(index)):
        return 0
    second = view.at(index + 1)
    if not is_given(second):
        return 1
    return 1 if second + view.at(index + 2) in _NEXT_WORDS else 2


def is_given(char: str) -> bool:
    """Whether `char` may stand in a given name."""
    return "\u4e00" <= char <= "\u9fff" and char not in _FUNCTION


def _honoured(view: View, index: int) -> bool:
    first = view.at(index)
    return first in "先女小太" and first != "" and first + view.at(index + 1) in _HONORIFICS


def _titled(view: View, index: int) -> bool:
    first = view.at(index)
    if not first or first not in FIRST_OF_TITLES:
        return False
    for title in _TITLES:
        if title[0] == first and view.startswith(title, index):
            after = view.at(index + len(title))
            return not after or after in _AFTER_TITLE
    return False


def _bounded(view: View, index: int) -> bool:
    char = view.at(index)
    if not char or char in _BOUNDARY:
        return True
    if char == "在":
        return view.at(index + 1) in ("吗", "不", "么")
    return (char == "本" and view.at(index + 1) == "人") or _honoured(view, index)


def _ends(view: View, index: int) -> bool:
    char = view.at(index)
    return not char or not char.isalnum() or char in _FOLLOWS or char + view.at(index + 1) in _NEXT_WORDS


def _is_everyday(view: View, start: int, length: int) -> bool:
    word = view.text[start : start + length]
    return word in EVERYDAY or (word[:2] in EVERYDAY and word[1:2] != word[2:]) or word[1:] in EVERYDAY
