"""Numbers that name a person: which kind a run of digits is, by its own check and by the words around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tianjing.privacy.checks import is_card_prefix, is_landline, is_luhn, is_mobile, is_permit_id, is_resident_id
from tianjing.privacy.digits import SECOND, read_digits
from tianjing.privacy.findings import LEFT_CONTEXT_CHARS, Match, View

_LONGEST, _SHORTEST = 19, 5
_CARD_WORDS: Final = (
    "卡号",
    "银行卡",
    "储蓄卡",
    "信用卡",
    "借记卡",
    "账号",
    "帐号",
    "账户",
    "帐户",
    "工资卡",
    "存折",
    "卡",
)
_ID_WORDS: Final = ("身份证", "证件", "证号", "身份号", "居住证", "居留", "永居")
_PHONE_WORDS: Final = ("电话", "座机", "号码", "固话", "手机", "联系方式", "前台", "办公室", "传真", "tel")
_TAIWAN_WORDS: Final = ("台胞证", "台湾居民", "通行证")
# What stands in front of a person's number, or of an order or an amount.
_PERSONAL: Final = frozenset("手机 电话 号码 联系 身份证 证件 卡号 账号 帐号 银行卡 账户 座机 固话".split())
_LABEL: Final = re.compile(
    "|".join(
        (
            *"订单 单号 流水 编号 运单 快递 物流 工单 合同 保单 交易号 参考号 凭证 序列号 批次 货号 商品 产品".split(),
            *"型号 条码 票号 发票 案号 受理号 业务号 查询码 验证码 编码 条形码 借据 金额 ¥ \\$".split(),
            *sorted(_PERSONAL),
        )
    )
)
_QQ: Final = re.compile(r"(?:qq|扣扣|抠抠|企鹅|q)(?:号码|账号|号)?(?:就是|是|为|加|我|的|[:,\s])*$", re.IGNORECASE)
_WECHAT: Final = re.compile(
    r"(?:微信|威信|薇信|vx|v信|wx|wechat)(?:号码|账号|号|id)?(?:就是|是|为|加|我|的|[:,\s])*$", re.IGNORECASE
)
# Part of each of these words: much cheaper to look for.
_CHAT_CUE: Final = re.compile("[qQ扣抠企微威薇vV]|[wW](?:[xX]|[eE][cC])")
_MONEY: Final = "元块"
_QUANTITY: Final = "元块期天日号月年岁笔次人个万千百亿件%％‰"
_CALLED_BY_LETTERS: Final = re.compile(
    r"(?:tel|phone|mobile|mob|cell|call|qq|vx|wx|wechat|id|no|hp|q|v)[:.\s-]*$", re.IGNORECASE
)
_CODE_BEFORE: Final = re.compile(r"[A-Za-z][-_#]?$")
_GROUPED_MONEY: Final = re.compile(r"\d{1,3}(?:,\d{3})+")
_INSIDE_NUMBER: Final = re.compile(r"\d[- ]$")
_DOTTED_GROUPS: Final = re.compile(r"\d{3,4}(?:\.\d{3,4}){2,4}")


def match_number(view: View, start: int, known: Mapping[str, str]) -> Match | None:
    """The number that begins at `start`, if it names a person.

    Args:
        known: canonical digits of the customer's own numbers -> kind.
    """
    if view.at(start + 1) not in SECOND or not _may_start(view, start):
        return None
    window = read_digits(view, start, _SHORTEST)
    digits = window.digits
    if len(digits) < _SHORTEST or view.short:
        return None
    context = view.before(start, LEFT_CONTEXT_CHARS)
    label = label_of(context)
    cuts = [index + 1 for index, cut in enumerate(window.cuts) if cut and _SHORTEST <= index + 1 <= _LONGEST]
    for length in reversed(cuts):
        end, number = window.ends[length - 1], digits[:length]
        raw = view.text[start:end]
        if _GROUPED_MONEY.fullmatch(raw) or ("." in raw and raw.isascii() and not _DOTTED_GROUPS.fullmatch(raw)):
            continue
        if length > window.firm and not (is_resident_id(number) or (is_luhn(number) and is_card_prefix(number))):
            continue
        kind = known.get(number) or _kind(number, view, end, context, label, window.cuts)
        if kind and not _is_code(view, end, raw):
            return Match(kind, end, number[-11:] if kind == "mobile" else number)
    return None


def _may_start(view: View, start: int) -> bool:
    """Not inside a run of written digits, behind a decimal point or in a product code. Spoken digits start anywhere."""
    before = view.before(start, 9)
    if not before or not view.at(start).isascii():
        return True
    last = before[-1]
    if last.isascii() and last.isdigit():
        return False
    if last == "." and before[-2:-1].isdigit():
        return False
    return not _CODE_BEFORE.search(before) or bool(_CALLED_BY_LETTERS.search(before))


def _is_code(view: View, end: int, raw: str) -> bool:
    """Whether a written number goes on as a product code or a decimal: 13812345678A, 13812345678.50."""
    if not raw[-1].isascii() or not raw[-1].isdigit():
        return False
    char = view.at(end)
    if char == ".":
        following = view.at(end + 1)
        return bool(following) and following.isascii() and following.isdigit()
    if not (char.isascii() and char.isalpha()):
        return False
    return view.after(end, 2).lower() not in ("qq", "wx", "vx", "wi", "we")


def _kind(digits: str, view: View, end: int, context: str, label: int, cuts: list[bool]) -> str | None:
    length = len(digits)
    if length in (15, 18):
        called = any(word in context for word in _ID_WORDS)
        if is_resident_id(digits, checksum=not called) and (length == 18 or called or label >= 0):
            return "permit" if is_permit_id(digits) else "id_card"
    if not digits.isdigit():
        return None
    if length >= 12 and digits.startswith(("86", "0086")) and is_landline(digits) and _is_abroad(digits, context):
        return None if label < 0 or _followed_by(view, end, _QUANTITY) else "landline"
    if length >= 13 and not is_mobile(digits):
        return _card(digits, view, end, context, label, cuts)
    chat = length < 12 and bool(_CHAT_CUE.search(context))
    if chat and digits[0] != "0" and _QQ.search(context):
        return None if _followed_by(view, end, _QUANTITY) else "qq"
    if is_mobile(digits):
        return None if label < 0 or _followed_by(view, end, _MONEY) else "mobile"
    if digits[0] == "0" and is_landline(digits):
        return None if label < 0 or _followed_by(view, end, _QUANTITY) else "landline"
    if chat and length > 5 and _WECHAT.search(context):
        return None if _followed_by(view, end, _QUANTITY) else "wechat"
    if length == 8 and any(word in context[-16:] for word in _TAIWAN_WORDS):
        return "permit"
    if length in (7, 8) and digits[0] in "2345678" and label >= 0 and _is_phone(context):
        return None if _followed_by(view, end, _QUANTITY) else "landline"
    return None


def _is_abroad(digits: str, context: str) -> bool:
    """Whether 86 is the country's code: written with a plus sign or 00, or in a telephone number by its label."""
    return digits.startswith("00") or context.endswith("+") or any(word in context[-14:] for word in _PHONE_WORDS)


def _is_phone(context: str) -> bool:
    if _INSIDE_NUMBER.search(context):
        return False  # 400-820-8820 is a hotline, not a local number
    return context.endswith(("打", "拨")) or any(word in context[-14:] for word in _PHONE_WORDS)


def _card(digits: str, view: View, end: int, context: str, label: int, cuts: list[bool]) -> str | None:
    # No issuer begins with 00; surrogates do.
    if label < 0 or digits.startswith("00") or _followed_by(view, end, _MONEY):
        return None
    named = any(word in context for word in _CARD_WORDS)
    if is_luhn(digits) and (named or (digits.startswith("62") and is_card_prefix(digits))):
        return "bank_card"
    # Passbooks and company accounts have no Luhn digit; a mobile number and what follows it is no account.
    account = named and len(digits) >= 15 and not (cuts[10] and is_mobile(digits[:11]))
    return "bank_card" if account else None


def label_of(context: str) -> int:
    """1 if the nearest label before the number is one of a person's number, -1 if of an order or an amount, else 0."""
    *_, last = None, *_LABEL.finditer(context)
    if last is None:
        return 0
    if last[0] in _PERSONAL:
        return 1
    return 0 if "," in context[last.end() :] else -1


def _followed_by(view: View, end: int, units: str) -> bool:
    char = view.at(end)
    if char == " ":
        char = view.at(end + 1)
    return bool(char) and char in units
