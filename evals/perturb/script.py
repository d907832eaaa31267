"""Traditional characters (繁体), as customers from Hong Kong, Macau and Taiwan type them.

A character with several traditional forms is converted in a word that decides which (標準, but 批准), else it stays.
What is converted reads back to exactly the same simplified text.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tianjing.rulebook.components import SIMPLIFIED

# Beyond the table of the rulebook.
_MORE = """
現现 價价 稱称 亂乱 傷伤 繼继 眾众 幣币 盤盘 談谈 漲涨 虛虚 鈴铃 診诊 討讨 輩辈 衛卫 鋼钢 華华 壽寿 恆恒 鎊镑 檯枱
測测 蘭兰 葷荤 擁拥 鏡镜 搖摇 寶宝 頒颁 橫横 縫缝 慶庆 廈厦 嶺岭 瀏浏 譜谱 鍋锅 餵喂 繞绕 鏽锈 鋸锯 贖赎 撫抚
崗岗 冊册 屆届 厭厌 藝艺 儲储 貝贝 樂乐 傘伞 倉仓 郵邮 糾纠 紛纷 勻匀 鄧邓 僅仅 綠绿 藍蓝 燙烫 塗涂 啞哑 嘩哗 陝陕
"""
_WORDS = (
    "联系聯繫 关系關係 标准標準 准备準備 准时準時 老板老闆 周转週轉 周期週期 周末週末 恢复恢復 回复回復 重复重複 "
    "复核復核 制作製作 注册註冊 委托委託 分别分別 特别特別 公布公佈"
).split()
# Of these one form in simplified script stands for several in traditional.
_SEVERAL = frozenset("准系制注冲周板托汇别斗辟回布只复台干面卜范余松占征谷签鉴苏尽里线账后钟闲")
# And these are always the one in this domain.
_KNOWN = {
    "后": "後",
    "里": "裡",
    "线": "線",
    "账": "賬",
    "尽": "盡",
    "签": "簽",
    "汇": "匯",
    "钟": "鐘",
    "征": "徵",
    "余": "餘",
}


@functools.lru_cache(maxsize=1)
def _table() -> Mapping[int, str]:
    pairs = {**{simple: full for full, simple in SIMPLIFIED.items()}, **{e[1]: e[0] for e in _MORE.split()}}
    single = {simple: full for simple, full in pairs.items() if simple not in _SEVERAL and len(simple) == 1}
    return str.maketrans(single | _KNOWN)


@functools.lru_cache(maxsize=1)
def _words() -> Mapping[str, str]:
    return {entry[: len(entry) // 2]: entry[len(entry) // 2 :] for entry in _WORDS}


@functools.lru_cache(maxsize=1)
def _back() -> Mapping[int, str]:
    table = {full: chr(simple) for simple, full in _table().items()}
    for simple, full in _words().items():
        table |= dict(zip(full, simple, strict=True))
    return str.maketrans(table)


def traditional(text: str) -> str:
    """The text in traditional characters, where it is sure which."""
    for simple, full in _words().items():
        text = text.replace(simple, full)
    return text.translate(_table())


def simplified(text: str) -> str:
    """What `traditional` was made of."""
    return text.translate(_back())
