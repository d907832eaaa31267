"""Amounts of money in yuan: 1066块1毛9, 三万二, ¥1,066.19, 壹万贰仟元整; bare ones where the words call for one."""

from __future__ import annotations

import re
from decimal import Decimal

from tianjing.finance.statements.readers.numerals import HAN, NUMBER, VAGUE, Amount, amount, ranged
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import View, clause_before
from tianjing.text import DIGITS, HAN_DIGITS

_D = f"[{HAN_DIGITS}\\d]"
_NO_UNIT = rf"(?![\d%期天个月年次笔号日点折成趴分厘]|\.\d|(?<=[{HAN}])[{HAN}])"
_SMALL = (
    rf"(?:零?(?P<jiao>{_D})[毛角](?:零?(?P<fen>{_D})(?:分(?!之)钱?|{_NO_UNIT}))?|零?(?P<fen_only>{_D})分(?!之)钱?"
    rf"|(?P<half>半)|(?P<tail>(?!一[^，。、？！的\s]){_D}){_NO_UNIT})"
)
_YUAN = r"(?:元钱?|圆|块钱|块|人民币|RMB|rmb)"
_MONEY = re.compile(
    rf"(?:¥|人民币|RMB|rmb)?\s?(?:(?P<low>{NUMBER})\s?(?:到|至|-|~|—|–|～))?\s?(?P<number>{NUMBER})(?P<vague>{VAGUE})?"
    rf"(?P<myriad>[万千百])?\s?{_YUAN}(?:{_SMALL})?(?:[整正]|钱)?(?P<more>多(?=[，。,的！]|$))?"
)
_SIGNED = re.compile(rf"(?:¥|人民币|RMB|rmb)\s?(?P<number>{NUMBER})(?P<vague>{VAGUE})?(?P<myriad>[万千百])?")
_COINS = re.compile(
    rf"(?P<jiao>{_D})[毛角](?:(?P<fen>{_D})(?:分(?!之)|{_NO_UNIT}))?钱?|(?P<fen_only>[{HAN}\d]{{1,2}})分钱(?![都也没不])"
)
_BARE = re.compile(rf"(?:(?P<low>{NUMBER})(?:到|至|-|~))?(?P<number>{NUMBER})(?P<vague>{VAGUE})?(?P<myriad>[万千百])?")
_MEASURE = re.compile(
    r"\s?(?:[%‰:：/号]|[a-zA-Z]|[个名位人户家条项份件种台套页字岁届级倍度平楼栋室层单代月日期次笔折厘点键”\"』」]|用户|客户|会员|公里|多?[年天]|"
    r"成(?!为)|分(?![\d二两三四五六七八九十])|[-—]\d)"
)
_FILL = (
    r"(?:[是为有要了到约在就达够需款完掉去写里上下给您你个:：\s（(的只]|大概|大约|差不多|将近|接近|不超过|不到|不足|超过|至少|最多|只[要有需]|才|一共|总共|"
    r"合计|正好|刚好|共计?|还[有剩要需]|也就|人民币|可能|预计|应该|左右|[先再]|不是|不[少低高多]于|每[天趟次笔]|加起来|加?一块儿?){0,5}$"
)
_NOUN = (
    r"金额|本金|利息|罚息|违约金|滞纳金|费用?|月供|期供|额度|欠款|借款|贷款|合计|总计|总共|一共|累计|总额|余额|到账|到手|实收|应还|全额|价|金|卡|"
    r"每期|单期|本期|账单|实际|一笔|每个?月|还款额?|息|用|还|付|交|缴|借|贷|欠|减免|免|少|逾期|最低|扣|转|存|收|剩|差|多|放|批|提|拿|补|凑|垫|打|给|减|"
    r"共|总|款|钱|大概|大约|差不多|不到|不足|将近|接近|超过|便宜|涨|封顶|满|加起来|一块儿|合同|从|[期月年]"
)
_CALLED = re.compile(rf"(?:{_NOUN}){_FILL}")
# A number with 万, 千 or 百 needs less: some such word a little before it.
_LOOSELY_CALLED = re.compile(rf"(?:{_NOUN})[^，。\d]{{0,6}}$")
_CHARGED = re.compile(r"(?:费|息|金|每[趟天次])$")
# Nothing but filling words before it: 三千五百六十八？ 22450是这个数吧.
_ALONE = re.compile(
    r"(?:嗯|哦|啊|就|是|也|才|只|不是|那|这|数字?|金额|数额|显示|写[了着]?|只|仅|了|看到|记录|登记|确认|系统|里|的|着|上|这边|短信|[：:\s“])*$"
)
_CALLED_BEHIND = re.compile(
    r"\s?(?:左右|上下|多)?(?:的|，?是)?(?:本金|利息|罚息|违约金|月供|额度|欠款|借款|贷款|手续费|服务费|余额|本息)"
)
# 12. or 12) numbers a list.
_LIST_MARKS = frozenset(".、)）")
_FEWEST_DIGITS, _LEAST_ALONE = Decimal(100), Decimal(10)


def read_money(view: View, start: int) -> Value | None:
    """The amount of money at `start`."""
    for pattern in (_MONEY, _SIGNED, _COINS):
        if (match := pattern.match(view.text, start)) and (found := _read(match)):
            if match[0] == "一块":
                return None  # together
            groups = match.groupdict()
            vague = groups.get("vague") or groups.get("more") or ""
            return Value(start, match.end(), "money", found, "元", vague)
    return None


def read_bare_money(view: View, start: int) -> Value | None:
    """A number without unit that the words before or behind it make an amount of money."""
    match = _BARE.match(view.text, start)
    if not match:
        return None
    written = match["number"]
    end = match.end()
    if written[-1] == "一" and not match["vague"] and view.text[end : end + 1] in ("次", "把", "起", "共", "并"):
        written, end = written[:-1], end - 1
    if _MEASURE.match(view.text, end) and not (match["vague"] and view.text[end] == "点"):
        return None
    found = ranged(match["low"], written + (match["myriad"] or ""))
    if found is None or (found.low < _FEWEST_DIGITS and view.text[end : end + 1] in _LIST_MARKS):
        return None
    before = clause_before(view.before(start))
    if re.search("[十百佰千仟万萬亿wWkK]", written[1:] + (match["myriad"] or "")):
        is_called = _CALLED.search(before) if found.low < _FEWEST_DIGITS else _LOOSELY_CALLED.search(before)
    elif written[0].isdigit() and (found.low >= _FEWEST_DIGITS or "." in written):
        is_called = _CALLED.search(before)
    elif not written[0].isdigit() or found.low < _LEAST_ALONE:
        return None
    else:
        is_called = _CHARGED.search(before)
    if not (is_called or _ALONE.match(before) or _CALLED_BEHIND.match(view.after(end))):
        return None
    return Value(start, end, "money", found, "元", match["vague"] or "")


def _read(match: re.Match[str]) -> Amount | None:
    said = {name: value for name, value in match.groupdict().items() if value}
    whole = Amount(Decimal(0), Decimal(0), Decimal(1))
    if "number" in said:
        read = ranged(said.get("low"), said["number"] + said.get("myriad", ""))
        if read is None:
            return None
        whole = read
    jiao = _digit(said, "jiao") or _digit(said, "tail") or (5 if "half" in said else 0)
    fen = _digit(said, "fen")
    if "fen_only" in said:
        coins = amount(said["fen_only"])
        fen = int(coins.low) if coins else 0
    if not jiao and not fen:
        return whole
    small = Decimal(jiao) / 10 + Decimal(fen) / 100
    step = Decimal("0.01") if fen else Decimal("0.1")
    return Amount(whole.low + small, whole.high + small, step)


def _digit(said: dict[str, str], name: str) -> int:
    written = said.get(name, "0")
    return DIGITS[written] if written in DIGITS else int(written)
