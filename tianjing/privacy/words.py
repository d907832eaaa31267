"""Whether a known name stands in the text as an ordinary word, or as part of one: 一鸣惊人, 早高峰, 安心吧."""

from __future__ import annotations

import functools
import re
from typing import Final

from tianjing.privacy.findings import View
from tianjing.privacy.surnames import EVERYDAY

# Words of two characters that people are also called.
_WORDS_AND_NAMES: Final = """
向前 向后 上进 上前 开放 改革 团结 奋斗 拼搏 胜任 希望 未来 传承 继承 继续 承诺 保障 平衡 协作 经典 经纬 天地 大地
土地 土生 火星 水星 木子 雷鸣 风雷 雨露 冰雪 寒冬 有成 有理 有道 如风 如初 如故 无双 无限 朝晖 同心 同舟 同庆 家家
家兴 家和 家旺 家富 大家 全家 安家 保家 兴家 青竹 翠竹 牡丹 玫瑰 百灵 喜鹊 凤凰 麒麟 千金 大宝 小宝 宝宝 贝贝 佳佳
好好 慢慢 安宁 安定 安逸 安稳 平静 平凡 平和 平顺 文静 文化 光明 光辉 光荣 光彩 明亮 明月 明朗 明智 建设 建议 建立
建成 志愿 志气 永远 永久 永恒 长久 长远 长城 长江 长春 长安 长征 春天 春风 春光 春节 秋天 秋水 秋风 冬天 冬至 夏至
立春 立夏 立秋 立冬 清明 小雪 大雪 小满 大海 大山 大力 大成 大伟 朝阳 朝霞 晨光 晨曦 阳光 阳春 雨水 雨天 雨季 雪白
雪花 雪山 风光 风云 风雨 云海 云霞 星辰 星光 星空 月亮 月光 月明 海洋 海浪 海燕 海波 海滨 海港 海军 江河 山川 山河
山水 山峰 峰会 天空 天下 天宇 天成 天乐 天赐 天佑 天气 和气 和睦 和美 和顺 祥和 吉祥 如意 如愿 如果 如此 如一 幸运
快乐 欢乐 欢喜 开心 喜欢 喜悦 喜庆 欣赏 欣慰 欣然 悦耳 美丽 美好 美满 美玉 秀丽 秀气 秀美 清楚 清白 清风 清泉 清新
清秀 清水 清晨 清和 静静 静心 静好 宁静 健康 健全 康健 永康 富强 富贵 富有 富裕 贵人 贵重 贵州 财富 进步 进取 进展
进口 前进 前程 胜利 成功 成就 成果 成长 成熟 成全 立志 立功 立业 立新 自强 自立 自由 自然 自在 自信 自觉 自力 爱国
爱民 爱军 爱华 卫国 卫东 建军 国庆 国强 国富 国安 国防 国栋 振兴 振华 复兴 兴旺 兴盛 兴隆 兴业 兴国 民生 民主 民族
民意 解放 红旗 红星 红军 红梅 红叶 红日 东风 东方 东升 东海 南方 北方 西湖 西方 中华 中兴 中正 正义 正直 正平 公平
公正 忠诚 忠实 忠厚 忠心 诚实 诚信 诚意 真诚 真心 真理 真实 善良 善意 仁慈 仁义 信义 信心 守信 守业 勤奋 勤劳 勇敢
勇气 勇士 英雄 英勇 英俊 英明 英才 伟大 伟业 宏伟 宏大 宏图 鸿运 鸿福 鹏程 飞翔 飞跃 腾飞 远大 远方 远航 志远 思想
思念 思维 思路 思考 思源 思远 晓得 晓明 智慧 智能 聪明 聪慧 敏感 敏捷 慧眼 文采 文艺 文学 书香 书画 学习 学问 学文
学士 博士 博学 博大 博爱 博览 浩然 浩大 子女 子孙 子弟 子夜 金银 金山 金星 金玉 银河 玉石 玉米 玉兰 珍珠 珍贵 珍惜
宝贝 宝贵 宝石 芳香 芬芳 花朵 花开 荷花 莲花 菊花 兰花 桃花 杏花 春花 松树 松柏 柏树 青松 青山 青春 青年 青云 白雪
白鸽 彩霞 彩云 彩虹 红霞 高洁 高远 高洋 高明 高翔 高飞 高歌 高雅 高尚 高山 高原 马力 马达 马丽 黄莺 黄河 黄海 江水
江海 金鑫 石磊 田野 田园 田甜 叶青 方圆 方正 方舟 方明 时光 常青 常胜 常乐 常识 万里 万全 万岁 万年 万事 万众 万象
向阳 向明 向往 向导 白露 白杨 白桦 白帆 水生 水草 古今 古月 左手 左边 关怀 关爱 关切 包容 单纯 全能 全胜 温暖 温情
温良 温顺 康宁 康庄 和风 和光 和煦 从容 从前 应允 应许 一帆 一鸣 一凡 一心 一诺 一航 一方 一平 一民 一山 一天 一样
一定 一直 千里 千帆 千万 百川 百合 百年 百顺 双喜 双全 三思 五行 九州 六合 七夕 十分 可心 可爱 可以 可能 可人 亦然
亦可 若水 若无 若是 若干 无忌 无忧 无尘 不凡 不易 不群 欢欢 乐乐 甜甜 圆圆 团圆 满满 多多 点点 朵朵 豆豆 天天 明明
苗苗 妞妞 亮亮 强强 东东 冰冰 笑笑 来福 来喜 得意 得胜 得利 有才 有为 有余 有福 有财 有志 有望 必成 必胜 必然 必定
永生 永乐 长生 长乐 长顺 长青 顺利 顺风 顺心 顺水 顺便 顺序 利民 利群 利息 利率 福利 福气 福星 平分 平行 平原 平野
平生 金秋 初心 初夏 初雪 初阳 晚晴 晚霞 晚秋 新华 新年 新生 新民 新春 新月 新颖 新闻 保国 保护 保证 保平 保健 信息
信用 世界 世纪 世代 世家 世博 世杰 世民
"""
_WORDS: Final = frozenset(_WORDS_AND_NAMES.split()) | frozenset(word for word in EVERYDAY if len(word) == 2)
# Longer words that hold such a name and that pypinyin's table of phrases lacks.
_LONGER_WORDS: Final = """
晚高峰 高峰期 高峰时 高峰段 用车高峰 出行高峰 高峰论坛 建国以来 建国以后 建国后 建国初 建国前 建国门 建国路 建军节
国庆节 国庆假 国庆期间 国庆前 国庆后 平安银行 平安保险 平安普惠 平安夜 平安无事 平安健康 中国平安 安心贷 安心保
安心付 放安心 很安心 安心了 安心点 不安心 文明用语 文明礼貌 精神文明 不文明 建设银行 光大银行 民生银行 兴业银行
华夏银行 天安门 天安财险 长安街 长安区 长春市 朝阳区 朝阳路 海燕出版 志强路 人民币 新华书店 新华社 新华人寿 新华保险
东风汽车 东风路 解放路 解放军 中山路 中华人民 天天有 一帆风顺 春晓苑 红旗路 国泰民安 江山如画 打江山 千万别 千万不
千万要 大海捞针 海阔天空 世博会 世博园 清明节 春节期间 立春那 小雪那 白云机场 白云山 白云区 金山软件 金山区
"""
_STRONG: Final = re.compile(
    r"(?:叫|找|姓名|名字|户名|全名|弟|哥|姐|妹|爸|妈|儿子|女儿|老公|老婆|爱人|妻子|丈夫|同学|同事|朋友|联系人|借款人|持卡人|担保人|收款人|收件人"
    r"|您好|你好|喂|尊敬的|本人|联系|转告|通知)(?:就?是|为|写|填|一下)?[:,，：\s]{0,2}$"
)
_WEAK: Final = re.compile(r"(?:[您你我他她]是|请问是?|是不是|给|和|跟|与|让|请|替|帮)$")
_HONOURED: Final = tuple(
    "先生 女士 小姐 太太 本人 您好 你好 同学 老师 在吗 在不在 是我 的贷款 的账 的借 的名 的欠".split()
)
_FOLLOWS: Final = frozenset(",。!?;:、 \n是在说吗跟和有欠还他她啊呀")
_NEVER_FOLLOWS: Final = frozenset("期时段吧了点地得着不")


def is_ordinary(view: View, start: int, end: int) -> bool:
    """Whether the known name from `start` to `end` is a word here, or stands in a longer one."""
    name = view.text[start:end]
    for before, after in _phrases(name) if name[:2] in _pairs() else ():
        if view.before(start, len(before)) == before and view.startswith(after, end):
            return True
    if name not in _WORDS:
        return False
    if any(view.startswith(word, end) for word in _HONOURED):
        return False
    ahead, following = view.before(start, 12), view.at(end)
    if _STRONG.search(ahead):
        return following in _NEVER_FOLLOWS and following != ""
    if following == "说" and not ahead[-1:].isalnum():
        return False
    return not (_WEAK.search(ahead) and (not following or following in _FOLLOWS))


@functools.lru_cache(maxsize=4096)
def _phrases(name: str) -> tuple[tuple[str, str], ...]:
    """What stands before and behind `name` in the longer words that contain it."""
    found, text = [], _all_phrases()
    index = text.find(name)
    while index >= 0:
        begin, end = text.rfind("\n", 0, index) + 1, text.index("\n", index)
        if end - begin > len(name):
            found.append((text[begin:index], text[index + len(name) : end]))
        index = text.find(name, index + 1)
    return tuple(found)


@functools.lru_cache(maxsize=1)
def _pairs() -> frozenset[str]:
    """Every two characters that stand side by side in a longer word, and each alone: few names begin with such."""
    text = _all_phrases()
    return frozenset(text[index : index + length] for index in range(len(text)) for length in (1, 2))


@functools.lru_cache(maxsize=1)
def _all_phrases() -> str:
    # Loaded with the first record: the table is large, and without known names nobody asks.
    from pypinyin.phrases_dict import phrases_dict

    return "\n".join(("", *_LONGER_WORDS.split(), *(phrase for phrase in phrases_dict if len(phrase) > 2), ""))
