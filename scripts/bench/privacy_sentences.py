"""Seeded sentences of service talk with personal data in every form, and with numbers that only look like it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tianjing.privacy.checks import credit_code_check, luhn_check, resident_id_check

_D = "[0-9０-９零〇洞一幺二两三四五六七拐八九勾]"
_GAP = r"[ \-—，、,.嗯对…后面是然接着\u200b]{0,12}"


def _run(first: str, count: int) -> str:
    return rf"(?<!\d){first}(?:{_GAP}{_D}){{{count}}}(?!\d)"


# What a Presidio user would write for Chinese in order to find the same things: (pattern, context words). Numbers in
# every spoken and spaced form, the rest by format. Names of a record and read-backs over turns are left out.
PRESIDIO_PATTERNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CN_MOBILE": (_run(rf"[1１一幺]{_GAP}[3-9３-９三四五六七拐八九勾]", 9), ("手机", "电话")),
    "CN_LANDLINE": (_run(r"[0０零]", 9), ("座机", "电话")),
    "CN_ID": (rf"(?<!\d){_D}(?:{_GAP}{_D}){{16}}{_GAP}[0-9０-９零〇一幺二三四五六七八九XxＸ叉]", ("身份证", "证件")),
    "CN_CARD": (_run(rf"[6６六]{_GAP}[2２二两]", 14), ("卡号", "银行卡")),
    "CN_CREDIT_CODE": (r"(?<![0-9A-Z])[1-9ANY][0-9A-HJ-NPQRTUWXY]{17}(?![0-9A-Z])", ("信用代码",)),
    "CN_PLATE": (
        r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-ZＡ-Ｚ][·.]?[A-HJ-NP-Z0-9０-９一-九]{5,6}",
        ("车牌",),
    ),
    "CN_PASSPORT": (r"(?<![0-9A-Z])[EGDSPＥＧ][0-9A-HJ-NP-Z０-９]?[\d]{7}(?!\d)", ("护照",)),
    "CN_PERMIT": (r"(?<![0-9A-Z])[HMCWＨＭＣ]\d{8}(?:\d\d)?(?!\d)", ("通行证",)),
    "EMAIL": (r"[A-Za-z0-9._%+-]+(?:@|艾特)[A-Za-z0-9.点-]+[.点][A-Za-z]{2,}", ("邮箱",)),
    "CN_WECHAT": (r"(?:微信|vx|威信)号?[是:：]?\s*[a-zA-Z][-\w]{5,19}", ()),
    "CN_QQ": (rf"(?:QQ|扣扣)号?[是:：]?\s*{_D}{{5,11}}", ()),
    "CN_BIRTH": (
        r"[\d零一二三四五六七八九]{2,4}[年-][\d零一二三四五六七八九十]{1,2}[月-][\d零一二三四五六七八九十]{1,3}[日号]?",
        ("生日", "出生"),
    ),
    "CN_ADDRESS": (
        r"[\u4e00-\u9fff]{2,8}(?:[省市区县][\u4e00-\u9fff]{1,8}){1,3}[路街巷道苑园寓]\d+[号栋](?:\d+单元)?(?:\d+室?)?",
        ("住", "地址"),
    ),
    "CN_NAME": (r"(?:我叫|我是|请问是|户名[：:])[\u4e00-\u9fff]{2,3}|[\u4e00-\u9fff]{1,3}(?:先生|女士)", ()),
    "CN_EMPLOYER": (
        r"(?:在|就职于|单位[是名称：:]+)[\u4e00-\u9fff]{2,20}(?:公司|银行|医院|小学|书店|厂)",
        ("单位", "上班"),
    ),
}

_SPOKEN = "零幺二三四五六七八九"
_HAN = "零一二三四五六七八九"
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛超秀霞平刚桂英华玉兰志建国晓梅文博雨婷子涵浩然俊凯欣怡思远海燕春红"
_PLACES = (
    ("北京市", "朝阳区"),
    ("上海市", "浦东新区"),
    ("广东省广州市", "天河区"),
    ("江苏省苏州市", "吴中区"),
    ("浙江省杭州市", "西湖区"),
    ("四川省成都市", "武侯区"),
    ("湖北省武汉市", "洪山区"),
    ("山东省青岛市", "市南区"),
    ("河南省郑州市", "金水区"),
    ("陕西省西安市", "雁塔区"),
)
_ROADS = ("人民路", "建设大道", "解放西街", "中山北路", "文化巷", "长江路", "学府街", "滨河东路")
_ESTATES = ("阳光花园", "翠湖小区", "金桂苑", "锦绣家园", "凤凰公寓")
_FIRMS = (
    "宏达机械有限公司",
    "中兴物业公司",
    "第一人民医院",
    "实验小学",
    "顺风物流有限公司",
    "新华书店",
    "海天食品厂",
    "建设银行",
)
_CITIES = ("深圳市", "成都", "南昌市", "东莞市", "合肥")
_AREAS = ("110105", "310115", "440106", "320506", "330106", "510107", "420111", "370202", "410105", "610113")

_CHATTER = (
    "好的，我这边帮您登记一下，稍后会有同事跟进处理，请您保持通话畅通",
    "您的账单已经逾期，请尽快安排还款，以免影响后续使用",
    "我这个月手头有点紧，能不能晚两天再还，等发了工资马上处理",
    "关于减免的申请需要审核，结果以系统通知为准，感谢您的理解",
    "利息是按日计算的，提前还款可以少付一部分利息，具体看合同",
    "您可以在应用里查看还款计划，也可以拨打客服热线咨询",
    "我之前已经反映过这个问题了，怎么还没有人给我回复",
    "请问还有什么可以帮到您的吗，没有的话祝您生活愉快",
    "这个费用我不认可，当时签合同的时候没有人跟我说过",
    "非常抱歉给您带来不便，我马上帮您核实一下具体的情况",
    "如果您有困难，可以提交相关材料申请延期，我们会尽快审核",
    "系统显示您最近一次登录是在上周，设备没有变化",
)
_DECOYS: tuple[Callable[[random.Random], str], ...] = (
    lambda r: f"订单号{r.randrange(10**15, 10**16)}还没到账",
    lambda r: f"流水号是20241123{r.randrange(10**9, 10**10)}",
    lambda r: f"合同编号HT{r.randrange(10**10, 10**11)}",
    lambda r: f"贷款本金{r.randrange(10_000, 900_000)}元，分{r.choice((3, 6, 12, 24))}期",
    lambda r: f"一共要还{r.randrange(1000, 99_999)}.{r.randrange(10, 99)}元",
    lambda r: f"上次还款是2024年{r.randrange(1, 13)}月{r.randrange(1, 29)}日",
    lambda r: (
        f"到期日2025-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}，时间{r.randrange(8, 20)}:{r.randrange(10, 60)}"
    ),
    lambda r: f"产品编码SKU-{r.randrange(10**10, 10**11)}",
    lambda r: f"型号AX{r.randrange(100_000, 999_999)}B",
    lambda r: "可以打95588或者400-820-8820，也可以打12378",
    lambda r: f"快递单号SF{r.randrange(10**12, 10**13)}",
    lambda r: "一百三十八万五千二百，三个月，二十四期",
    lambda r: f"运单{r.randrange(10**11, 10**12)}已经签收",
    lambda r: f"验证码{r.randrange(100_000, 999_999)}请勿告诉他人",
    lambda r: f"金额13{r.randrange(10**8, 10**9)}元不对",
    lambda r: "北京市朝阳区人民法院的通知，上海的同事",
    lambda r: "周末高峰期，马上安排，何时方便",
    lambda r: f"年化利率{r.randrange(8, 24)}.{r.randrange(1, 9)}%，第{r.randrange(1, 24)}期",
)


@dataclass(frozen=True)
class Sentence:
    """A text and where its personal data stands: (kind, start, end)."""

    text: str
    spans: tuple[tuple[str, int, int], ...]
    form: str
    known: dict[str, str] | None = None


def sentences(count: int, seed: int) -> Iterator[Sentence]:
    """Three in four hold personal data; the rest are decoys only."""
    rng = random.Random(seed)
    for number in range(count):
        if number % 4 == 3:
            yield Sentence("，".join(make(rng) for make in rng.sample(_DECOYS, 2)), (), "decoy")
        else:
            yield _one(rng)


def messages(count: int, seed: int, length: int = 60, share: float = 0.15) -> list[str]:
    """Messages of exactly `length` characters; about `share` of them hold personal data, as many a decoy."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        chance = rng.random()
        lead = (
            _one(rng).text + "，" if chance < share else rng.choice(_DECOYS)(rng) + "，" if chance < 2 * share else ""
        )
        while len(lead) < length:
            lead += rng.choice(_CHATTER) + "。"
        made.append(lead[:length])
    return made


def _digits(rng: random.Random, length: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(length))


def _mobile(rng: random.Random) -> str:
    return f"1{rng.choice('356789')}{_digits(rng, 9)}"


def _id_card(rng: random.Random) -> str:
    born = f"{rng.randrange(1955, 2005)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    body = f"{rng.choice(_AREAS)}{born}{_digits(rng, 3)}"
    return body + resident_id_check(body)


def _card(rng: random.Random) -> str:
    body = rng.choice(("622202", "621700", "623058", "622848")) + _digits(rng, rng.choice((9, 12)))
    return body + luhn_check(body)


def _credit_code(rng: random.Random) -> str:
    body = f"91{rng.choice(_AREAS)}MA" + "".join(rng.choice("0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(7))
    return body + credit_code_check(body)


def _name(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, rng.choice((1, 2, 2))))


def _address(rng: random.Random) -> str:
    province, district = rng.choice(_PLACES)
    road = f"{rng.choice(_ROADS)}{rng.randrange(1, 900)}号"
    home = f"{rng.choice(_ESTATES)}{rng.randrange(1, 30)}栋{rng.randrange(1, 5)}单元{rng.randrange(101, 2900)}"
    return rng.choice(
        (
            f"{province}{district}{road}",
            f"{province}{district}{road}{home}室",
            f"{district}{road}",
            f"{province}{home}室",
        )
    )


def _spoken(rng: random.Random, digits: str) -> str:
    table = rng.choice((_SPOKEN, _HAN))
    return "".join("叉" if char == "X" else table[int(char)] for char in digits)


def _groups(rng: random.Random, text: str) -> list[str]:
    sizes = (3, 4, 4) if len(text) == 11 else (6, 8, 4) if len(text) == 18 else (4, 4, 4, 4, 4)
    cut, start = [], 0
    for size in sizes:
        cut.append(text[start : start + size])
        start += size
    return [part for part in cut if part]


_FORMS: dict[str, Callable[[random.Random, str], str]] = {
    "plain": lambda r, text: text,
    "full width": lambda r, text: "".join(chr(ord(c) + 0xFEE0) for c in text),
    "spaced": lambda r, text: " ".join(_groups(r, text)),
    "single spaced": lambda r, text: " ".join(text),
    "dashed": lambda r, text: "-".join(_groups(r, text)),
    "spoken": _spoken,
    "spoken pauses": lambda r, text: r.choice(("，", "嗯", " ", "、")).join(_groups(r, _spoken(r, text))),
    "read-back": lambda r, text: r.choice(("……对，后面是", "，对，", "，嗯，然后", "……嗯，接着是")).join(
        _groups(r, _spoken(r, text))
    ),
    "mixed": lambda r, text: "".join(c if r.random() < 0.5 or c == "X" else _SPOKEN[int(c)] for c in text),
}
_DIGIT_FRAMES: dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]] = {
    "mobile": (
        _mobile,
        ("我的电话{}你记一下", "手机号是{}，对吧", "您打{}找我", "{}，就这个号", "联系方式：{}。", "换成{}了"),
    ),
    "id_card": (_id_card, ("身份证号{}", "我身份证是{}，您核对", "证件号码：{}。", "{}，这是我的身份证")),
    "bank_card": (_card, ("卡号是{}", "转到{}这张卡", "银行卡{}扣款失败", "打到我{}上")),
}
_PLAIN: dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]] = {
    "landline": (
        lambda r: f"{r.choice(('010', '021', '0755', '0512'))}-{r.choice('2345678')}{_digits(r, 7)}",
        ("座机{}", "家里电话{}，晚上打", "打{}吧"),
    ),
    "permit": (
        lambda r: f"{r.choice('HMC')}{_digits(r, 8)}",
        ("我的港澳通行证是{}", "回乡证号{}", "来往内地通行证：{}。"),
    ),
    "passport": (lambda r: f"{r.choice(('E1', 'G5', 'EA', 'EB'))}{_digits(r, 7)}", ("护照号{}", "我护照是{}，您看")),
    "credit_code": (_credit_code, ("统一社会信用代码{}", "我们公司代码是{}，麻烦查一下")),
    "plate": (
        lambda r: (
            r.choice("京沪粤苏浙川鄂")
            + r.choice("ABCDEFG")
            + r.choice(("", "·"))
            + r.choice("ABCDEFGH")
            + _digits(r, 4)
        ),
        ("车牌{}", "我的车是{}，抵押的那辆", "{}这辆车"),
    ),
    "email": (
        lambda r: (
            r.choice(("li.wei", "zhang_88", "kefu2024"))
            + str(r.randrange(1, 999))
            + r.choice(("@163.com", "@qq.com", "@mail.example.cn"))
        ),
        ("发到{}", "邮箱是{}，谢谢", "邮箱{}。"),
    ),
    "wechat": (
        lambda r: f"{r.choice(('wxid_', 'lily-', 'a', 'Tom_'))}{_digits(r, 6)}",
        ("微信号{}", "加我微信{}", "vx：{}", "微信是{}，随时联系"),
    ),
    "qq": (
        lambda r: f"{r.choice('123456789')}{_digits(r, r.choice((5, 7, 8, 9)))}",
        ("QQ号{}", "我QQ是{}，加一下", "扣扣{}"),
    ),
    "birth_date": (
        lambda r: r.choice(
            (
                f"19{r.randrange(55, 99)}年{r.randrange(1, 13)}月{r.randrange(1, 29)}日",
                f"19{r.randrange(55, 99)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}",
                "".join(
                    r.choice(_HAN[6:]) + r.choice(_HAN) + "年" + r.choice(_HAN[1:]) + "月" + r.choice(_HAN[1:]) + "号"
                ),
            )
        ),
        ("出生日期：{}", "我是{}出生的", "生日是{}，您核对"),
    ),
    "employer": (
        lambda r: r.choice(_CITIES) + r.choice(_FIRMS),
        ("我在{}上班", "工作单位是{}", "我现在就职于{}，", "单位名称：{}。"),
    ),
    "address": (_address, ("我住在{}", "地址是{}，别寄错", "寄到{}就行", "家庭住址：{}。", "{}，你们上门吧")),
    "name": (_name, ("我叫{}，想问一下", "您好，请问是{}吗", "{}先生您好", "户名：{}", "我是{}本人", "{}女士在吗")),
}
_RECORD_FRAMES = (
    "{full}的账单我来还",
    "麻烦转告{full}",
    "{full}说他已经还了",
    "那个{given}的贷款",
    "老{sur}在不在",
    "{sur}先生的还款",
    "合同上写的{full}",
    "{sur}总那边",
    "找{full}有事，{given}不在",
)


def _one(rng: random.Random) -> Sentence:
    choice = rng.random()
    if choice < 0.5:
        kind = rng.choice(list(_DIGIT_FRAMES))
        make, frames = _DIGIT_FRAMES[kind]
        form = rng.choice(list(_FORMS))
        return _framed(rng, kind, _FORMS[form](rng, make(rng)), frames, form)
    if choice < 0.88:
        kind = rng.choice(list(_PLAIN))
        make, frames = _PLAIN[kind]
        value = make(rng)
        wide = value.isascii() and rng.random() < 0.2
        return _framed(
            rng, kind, _FORMS["full width"](rng, value) if wide else value, frames, "full width" if wide else "plain"
        )
    return _of_record(rng)


def _framed(rng: random.Random, kind: str, value: str, frames: tuple[str, ...], form: str) -> Sentence:
    before, _, after = rng.choice(frames).partition("{}")
    lead = rng.choice(("", "好的，", "那个，", "嗯，麻烦您，"))
    tail = rng.choice(("", "", "，" + rng.choice(_DECOYS)(rng)))
    start = len(lead) + len(before)
    return Sentence(f"{lead}{before}{value}{after}{tail}", ((kind, start, start + len(value)),), form)


def _of_record(rng: random.Random) -> Sentence:
    name = rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, 2))
    frame = rng.choice(_RECORD_FRAMES)
    text, spans = "", []
    for piece in frame.replace("{", "\x00{").replace("}", "}\x00").split("\x00"):
        part = {"{full}": name, "{given}": name[1:], "{sur}": name[0]}.get(piece)
        if part:
            spans.append(("name", len(text), len(text) + len(part)))
        text += part or piece
    return Sentence(text, tuple(spans), "record", {"name": name, "mobile": _mobile(rng)})
