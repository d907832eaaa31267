"""What no perturbation may touch: numbers, negations, names, and the words that a right answer hangs on."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from evals.perturb.numerals import find_numbers
from tianjing.privacy import Session
from tianjing.rulebook.homophones import SENSITIVE_WORDS

NEGATION = re.compile(r"[不没别无未非莫勿否甭]")
# Before a pause a negation is over: 外文认不，要翻译吗 is no 不要.
PAUSED_NEGATION = re.compile(rf"{NEGATION.pattern}(?!\w)")
# How much, when, whether it must be: 最多 for 至少 turns a clause around, as 昨天 for 明天 does a promise.
QUANTITY = re.compile(
    r"最[多少高低晚早迟]|至[少多]|不得|不足|超过|[高低多少大小早晚]于|以[上下内外前后]|[之届]前|之后|"
    r"[今明后昨前去][天年日]|[上下本这][个]?[月周年期次]|(?:周|星期|礼拜)[一二三四五六日天末]|月[底初中]|年[底初中]|[早晚]上|[上中下]午|"
    r"已经?|刚[才刚]|正在|准备|打算|马上|立[刻即]|全[部额]|部分|一半|每[天日月期年周笔次]|各|必须|应当?|可以|禁止|允许|仅|只能?|除外|累计"
)
NAMES = re.compile(
    r"《[^》]*》|【[^】]*】|\[[^\]]*\]|〔[^〕]*〕|<[^>]*>|〈[^〉]*〉|[A-Za-z_]+\d*|[一-鿿](?:先生|女士|小姐|师傅|某某?)"
    r"|第[^条章款项]{1,6}[条章款项]|[一-鿿]{2}(?:银行|法院|集团|基金|证券|保险|大学|有限公司)"
)
# Words that decide a label in this domain: whose business it is, what is wanted, why it is not paid, how it is felt.
_DECIDES = frozenset(
    (
        "本人 别人 朋友 家人 家属 老公 老婆 父母 孩子 同事 单位 领导 打错 冒用 盗用 诈骗 骗子 被骗 报警 派出所 "
        "人工 客服 经理 投诉 举报 监管 银保监 金融监管 消协 律师 起诉 法院 仲裁 曝光 录音 证据 争议 不认 多收 乱收 "
        "失业 下岗 裁员 辞退 辞职 开除 停产 倒闭 欠薪 工资 工钱 薪水 发薪 迟发 住院 生病 手术 医院 车祸 骨折 病历 "
        "去世 离婚 生意 亏损 亏本 赔本 关门 破产 多头 网贷 以贷养贷 套现 信用卡 车贷 房贷 忘记 忘了 记性 困难 低保 "
        "延期 展期 宽限 分期 减免 结清 提前 一次 全额 自动 扣款 代扣 证明 材料 利息 罚息 违约金 手续费 费用 本金 利率 "
        "征信 逾期 合同 额度 密码 验证码 身份证 银行卡 自杀 轻生 想死 不想活 跳楼 威胁 恐吓 上门 侮辱 冒充 公安 警察 "
        "生气 着急 担心 害怕 焦虑 压力 崩溃 委屈 过分 态度 骚扰 还款 还清 还钱 没钱 还不上 还不起 "
        "同意 拒绝 愿意 答应 承诺 保证 他 她"
    ).split()
) | frozenset(SENSITIVE_WORDS)


@functools.lru_cache(maxsize=1)
def _deciding() -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, _DECIDES), key=len, reverse=True)))


@functools.lru_cache(maxsize=1)
def _session() -> Session:
    return Session()


def deciding_words(text: str) -> list[str]:
    """Words of the text that decide a label in this domain, in order."""
    return _deciding().findall(unicodedata.normalize("NFKC", text))


def names(text: str) -> list[str]:
    """Titles, placeholders, Latin words, names with their forms of address, articles and institutions, in order."""
    return [unicodedata.normalize("NFKC", found) for found in NAMES.findall(text)]


@functools.lru_cache(maxsize=4096)
def personal_data(text: str) -> tuple[str, ...]:
    """Personal data of the text, in order: names of people, numbers of phones and accounts, addresses."""
    return tuple(found.text for found in _session().find(text))


def untouchable(text: str, gold: Sequence[str]) -> list[bool]:
    """For each character whether it must stay: it is part of a number, negation, name, deciding word or of the gold."""
    kept = [False] * len(text)
    for start, end in _spans(text, gold):
        kept[start:end] = [True] * (end - start)
    return kept


def _spans(text: str, gold: Sequence[str]) -> Iterator[tuple[int, int]]:
    for found in find_numbers(text):
        yield found.start, found.unit_end
    for pattern in (NEGATION, QUANTITY, NAMES, _deciding()):
        yield from (match.span() for match in pattern.finditer(text))
    for personal in _session().find(text):
        yield personal.start, personal.end
    for string in gold:
        start = text.find(string)
        while start >= 0:
            yield start, start + len(string)
            start = text.find(string, start + 1)
