"""Names of people by their surroundings: 您好王建国, 我叫…, 免贵姓…, …先生.

Only common surnames (百家姓) count, and words that merely begin with one (周末, 金额) do not: a name recogniser
without a model buys precision here and leaves recall to the names of the customer record.
"""

from __future__ import annotations

from tianjing.privacy.findings import Match, View

SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚"
    "卢姜崔钟谭陆汪范石廖贾韦夏付邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵钱严覃武戴莫孔汤温康施牛樊葛"
    "邢齐路庄章季俞庞倪申聂焦岳耿柳殷詹卓穆翁甄欧"
)
# Surnames that are also everyday words: they count only before an honorific or after 我叫, 我姓.
_AMBIGUOUS = frozenset("于方时常安白成万金向文乔明水易华兰")
_COMPOUND_WORDS = """
欧阳 司马 上官 诸葛 司徒 东方 独孤 南宫 慕容 夏侯 皇甫 尉迟 公孙 令狐 端木 轩辕 长孙
宇文 闻人 申屠
"""
COMPOUND = frozenset(_COMPOUND_WORDS.split())
_HONORIFICS = ("先生", "女士", "小姐")
_BOUNDARY = frozenset("，。？！、；：,.?!;: \n吗吧呀啊呢")
# Characters that hardly ever stand in a given name but follow names all the time.
_FUNCTION = frozenset(
    "我你您他她它的了吗呢吧啊是在有和跟与及或把被给对从到这那哪什怎么要想会能可就都也还不没请先本这位说打"
    "过着一个几两今昨后，。"
)
_EVERYDAY_WORDS = """
高兴 高效 高额 周一 周二 周三 周四 周五 周六 周日 周末 周期 周转 金额 金融 任何 任意
何时 何况 何必 马上 马路 余额 余下 余款 严重 严格 许多 许可 陆续 温馨 单位 顾客 顾虑
顾及 石头 江西 江苏 武汉 康复 钱款 钱包 钱财 申请 申诉 申报 路上 章程 程序 程度 季度
曾经 方便 方案 万一 安全 安排 明白 明天 成功 时间 常见 白天 齐全 施工 毛病 牛奶 龙头
田地 高级 高管 高峰 汤药 雷同 史上 夏天 孔雀 武装
"""
_EVERYDAY = frozenset(_EVERYDAY_WORDS.split())
_CALLED = (
    "我叫",
    "名叫",
    "名字是",
    "名字叫",
    "姓名是",
    "姓名",
    "姓名:",
    "姓名：",
    "户名",
    "户名是",
    "户名:",
    "户名：",
    "叫做",
)
_GREETED = ("您好", "你好", "请问是", "请问您是", "请问", "您是", "你是", "我是", "是不是", "我找", "喂")
_SURNAME_ASKED = ("我姓", "免贵姓", "您姓", "他姓", "她姓", "老公姓", "老婆姓")


def match_name(view: View, start: int) -> Match | None:
    """The name, or the surname before 先生 or 女士, that begins at `start`."""
    char = view.at(start)
    length = 1
    if char in _COMPOUND_FIRST and char + view.at(start + 1) in COMPOUND:
        length = 2
    elif char not in SURNAMES and char not in _AMBIGUOUS:
        return None
    before = view.before(start, 5)
    if before.endswith(_SURNAME_ASKED):
        return _found(view, start, length)
    if before.endswith(_CALLED):
        given = _given(view, start + length)
        named = given and not _is_everyday(view, start, length + given)
        return _found(view, start, length + given) if named else None
    certain = length == 2 or char in SURNAMES
    for given in range(3 if certain else 1):
        if given and not _is_given(view.at(start + length + given - 1)):
            break
        if _honoured(view, start + length + given) and not _is_everyday(view, start, length + given):
            return _found(view, start, length + given)
    if certain and before.rstrip("，,！! ").endswith(_GREETED):
        for given in (2, 1):
            if _given(view, start + length) >= given and _bounded(view, start + length + given):
                return None if _is_everyday(view, start, length + given) else _found(view, start, length + given)
    return None


_COMPOUND_FIRST = frozenset(name[0] for name in COMPOUND)
STARTS = SURNAMES | _AMBIGUOUS | _COMPOUND_FIRST


def _found(view: View, start: int, length: int) -> Match:
    return Match("name", start + length, view.text[start : start + length])


def _given(view: View, index: int) -> int:
    """How many characters (0 to 2) from `index` can be a given name."""
    if not _is_given(view.at(index)):
        return 0
    return 2 if _is_given(view.at(index + 1)) else 1


def _is_given(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" and char not in _FUNCTION


def _honoured(view: View, index: int) -> bool:
    first = view.at(index)
    return first in "先女小" and first != "" and first + view.at(index + 1) in _HONORIFICS


def _bounded(view: View, index: int) -> bool:
    char = view.at(index)
    if not char or char in _BOUNDARY:
        return True
    return (char == "本" and view.at(index + 1) == "人") or _honoured(view, index)


def _is_everyday(view: View, start: int, length: int) -> bool:
    word = view.text[start : start + length]
    return word in _EVERYDAY or word[:2] in _EVERYDAY
