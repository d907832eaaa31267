"""One spelling for what is said in several: traditional characters, Cantonese and northern function words, pinyin."""

from __future__ import annotations

import re
from typing import Final

# As written, then as read.
_TRADITIONAL: Final = (
    "電电 話话 說说 請请 問问 還还 錢钱 轉转 們们 個个 機机 構构 賬账 單单 帳账 號号 碼码 識识 "
    "認认 證证 騙骗 詐诈 盜盗 貸贷 額额 數数 對对 錯错 誤误 這这 過过 時时 為为 麼么 點点 後后 "
    "從从 沒没 開开 關关 門门 間间 聽听 見见 覺觉 訴诉 訟讼 師师 經经 務务 報报 監监 銀银 業业 "
    "員员 態态 壞坏 氣气 煩烦 騷骚 擾扰 罵骂 媽妈 爺爷 親亲 屬属 鄰邻 聯联 絡络 繫系 給给 發发 "
    "現现 實实 際际 種种 類类 樣样 條条 約约 書书 簽签 記记 錄录 徵征 費费 減减 變变 產产 廠厂 "
    "醫医 療疗 藥药 傷伤 殘残 災灾 難难 塊块 萬万 億亿 兩两 幾几 雙双 邊边 裡里 裏里 來来 會会 "
    "應应 該该 讓让 與与 將将 處处 辦办 動动 勞劳 無无 樓楼 橋桥 離离 遺遗 寫写 買买 賣卖 淨净 "
    "懶懒 愛爱 戀恋 盡尽 斷断 結结 終终 絕绝 險险 護护 權权 義义 據据 調调 決决 議议 異异 試试 "
    "嘗尝 頭头 腦脑 臟脏 臉脸 學学 國国 圖图 團团 傳传 網网 線线 視视 頻频 軟软 體体 連连 鏈链 "
    "閉闭 鎖锁 凍冻 攔拦 衝冲 匯汇 戶户 馬马 黃黄 職职 複复 "
)
_DIALECT: Final = "嗰那 搵找 攞拿 睇看 俾给 畀给 佢他 哋们 嘅的 咗了 喺在 冇没 乜啥 啲些 俺我 恁你 咧了 係是"
_CHARACTERS: Final = {ord(pair[0]): pair[1] for pair in f"{_TRADITIONAL} {_DIALECT}".split()}
_WORDS: Final = {
    "唔该": "麻烦",
    "唔": "不",
    "点解": "为什么",
    "而家": "现在",
    "老豆": "爸爸",
    "老母": "妈妈",
    "打嚟": "打来",
    "为啥子": "为什么",
    "咋个": "怎么",
}
_WORD: Final = re.compile("|".join(_WORDS))


def plain(text: str) -> str:
    """The text in simplified characters and standard function words; the length may change."""
    return _WORD.sub(lambda found: _WORDS[found[0]], text.translate(_CHARACTERS))
