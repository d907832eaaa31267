"""Characters that sound alike, and everyday words that speech recognition and pinyin input write wrong.

Only words that decide nothing are in the list, one character of each is changed, and the result is no word: a reader
hears the word that was meant. Readings come from pypinyin.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Mapping

from tianjing.privacy.surnames import EVERYDAY

# Everyday words of two or three characters. None names a reason, a wish, a feeling, a party or a product.
_WORDS = (
    "现在 知道 晓得 时候 然后 因为 所以 但是 如果 一直 一起 "
    "有点 事情 情况 问题 东西 地方 电话 手机 公司 平台 办理 处理 麻烦 "
    "明白 清楚 意思 告诉 通知 看看 问问 听说 觉得 发现 记得 感觉 考虑 商量 "
    "帮忙 "
    "家里 外面 外头 这边 那边 这里 那里 这样 "
    "那样 怎么 怎样 为什么 其实 本来 原来 反正 毕竟 究竟 到底 突然 "
    "稍微 差不多 大概 老板 师傅 朋友圈 系统 软件 短信 账单 "
    "页面 后台 规定 手续 流程 单子 房租 学费 日子 生活 身上 手头 手里 路上 "
    "厂里 厂子 店里 铺子 工地 老家 城里 村里 车间 库房 货款 回款 客人 行情 "
    "市场 方便 简单 正常 普通 重要 着落 眼下 眼目前 前阵子 这阵子 这段 那阵 "
    "干活 上班 加班 出差 搬家 装修 吃饭 买菜 做工 "
    "打工 老实 实在 实话 仔细 解释 说明 说法 道理 章程 办法 渠道 方式 时间 "
    "地址 资料 信息 记录 联系 咨询 请教 打听 审核 查询 更换 "
    "绑定"
).split()
# How common a character must be in pypinyin's table of phrases to be what a recogniser or a typist would write.
_COMMON = 25
# Grammar words, numerals and negations would read as what they are; the rest as a misfortune.
_NEVER = frozenset(
    "的地得了着过是有在和就都也还很一二三四五六七八九十百千万亿零两几半不没别无未非莫勿否甭死伤病败罚骂哭祸鬼毁冤亏罪"
)
_FORMS = 3


@functools.lru_cache(maxsize=1)
def misheard() -> Mapping[str, tuple[str, ...]]:
    """Word -> what it may be written as: one character another one of the same sound and tone, and no word at all."""
    from pypinyin import Style, pinyin
    from pypinyin.constants import PHRASES_DICT

    known = {phrase for phrase in PHRASES_DICT if len(phrase) == 2} | EVERYDAY | set(_WORDS)
    count = Counter(char for phrase in PHRASES_DICT for char in phrase)
    by_sound: dict[str, list[str]] = defaultdict(list)
    for char, seen in sorted(count.items(), key=lambda entry: (-entry[1], entry[0])):
        if seen >= _COMMON and "一" <= char <= "鿿" and char not in _NEVER:
            readings = pinyin(char, style=Style.TONE, heteronym=True)[0]
            if len(readings) == 1:  # with several it would be read as another sound
                by_sound[readings[0]].append(char)
    found = {}
    for word in _WORDS:
        forms = [
            word[:place] + other + word[place + 1 :]
            for place, (sound,) in enumerate(pinyin(word, style=Style.TONE))
            for other in [char for char in by_sound[sound] if char not in word][:_FORMS]
            # A character that is read otherwise when it stands alone would not be heard as the same.
            if word[place] not in _NEVER and pinyin(word[place], style=Style.TONE)[0][0] == sound
        ]
        forms = [form for form in forms if not any(form[i : i + 2] in known for i in range(len(form) - 1))]
        if forms:
            found[word] = tuple(forms)
    return found
