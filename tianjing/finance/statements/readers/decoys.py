"""What looks like a value and is none: ordinals, times of day, telephone numbers, codes, idioms."""

from __future__ import annotations

import re

from tianjing.finance.statements.readers.numerals import HAN
from tianjing.finance.statements.view import View, clause_before

_SMALL_NUMBER = r"(?:\d{1,2}|[一二两三四五六七八九十]{1,3})"
_DECOYS = re.compile(
    r"万一(?![千百\d])|十分(?!之)|百分百|百分之百|(?:12378|12363|12315|12345|12348|95\d{3})(?![\d.,元块万])|一分钱|一分(?:利息|钱|费)?[都也]|一分利息|千万(?![元块级])|一下|一起|一块(?:儿|[还去来过聊说])|一口价|一次性|"
    r"一天到晚|一年到头|一五一十|五险一金|七八成|[八九]成(?:新|是|可能|要|会)|三天两头|[七两]天无理由|"
    r"(?:周|星期|礼拜)[一1](?:到|至|-|~)(?:周|星期|礼拜)?[五六日天]|\d{1,2}x\d{1,2}|(?:24|二十四)小时(?!之?内|[之以]?后|以内)|"
    r"1[3-9]\d[\d*\- ]{6,10}(?!\d)|(?:\d{3,4}-){1,2}\d{3,8}(?!\d)|\d{11,}|[一二三四五六七八九]方(?!面)|二次(?!还)|"
    rf"\d{{1,2}}:\d\d(?::\d\d)?|{_SMALL_NUMBER}点(?:钟|半|整|(?=[之以]?[前后])|[到至~-]{_SMALL_NUMBER}点)|"
    rf"(?:\d+|[一二两三四五六七八九十]+)(?:分钟|秒|刻钟)"
)
_CLOCK = re.compile(rf"{_SMALL_NUMBER}点(?:\d{{1,2}}分?|[一二三四五六七八九十]{{1,3}}分?)?(?![{HAN}\d]|%)")
_DAYTIME = re.compile(r"(?:上午|下午|晚上|早上|中午|凌晨|傍晚|夜里|晚|早|[日号天])的?$")
_ORDINAL_BEFORE = re.compile(r"第\s?$")
_ORDINAL = re.compile(rf"(?:\d+|[{HAN}]+)(?:\s?(?:个月|个工作日|[^\s，。,、]))?")
_CODE_BEFORE = re.compile(
    r"(?:号码|编号|单号|尾号|尾数|后四位|工号|卡号|账号|合同号|订单号|流水号?|验证码|动态码|密码|电话|热线|客服号?|拨打|致电|"
    r"证号?|手机号?|短号|回复|输入|版本|群号?|微信号?|QQ|ID|id|No\.?|№|〔|\[)(?:是|为|:|：|\s|末?尾|后\S位)?$|[A-Za-z_][-_]?$"
)
_CODE = re.compile(r"[\dA-Za-z*\-]+(?![\d.]*(?:元|块|%|[万千百]))")


def decoy_end(view: View, start: int) -> int | None:
    """Where the decoy at `start` ends; None where there is none."""
    if match := _DECOYS.match(view.text, start):
        return match.end()
    before = clause_before(view.before(start))
    if _ORDINAL_BEFORE.search(before) and (match := _ORDINAL.match(view.text, start)):
        return match.end()
    if _DAYTIME.search(before) and (match := _CLOCK.match(view.text, start)):
        return match.end()
    if _CODE_BEFORE.search(before) and not before.upper().endswith("RMB") and (match := _CODE.match(view.text, start)):
        return match.end()
    return None
