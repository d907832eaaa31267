"""Fields that a proof document states without a label: in sentences, by their shape, or in its signature."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from data_recipes.timeline.document_labels import BY_KIND, COMMON, READERS
from data_recipes.timeline.document_values import (
    Reading,
    dates,
    every,
    read_capitals,
    read_card,
    read_code,
    read_id,
    read_money,
    read_month,
    read_person,
    read_vin,
)
from tianjing.privacy.checks import is_luhn, is_resident_id

_Named = Iterator[tuple[str, Reading]]
_ORG: Final = (
    r"[\u4e00-\u9fff（）() ]{2,30}?(?:公司|集团|工厂|商行|中心|事务所|学校|学院|大学|医院|银行|信用社|小贷|金融"
    r"|信用卡中心|合作社|经营部|民政局|税务局|管理局|公安局"
    r"|分局|局|处|所)"
)
# field -> sentence that states it; the group `v` is the value
_PROSE: Final[dict[str, str]] = {
    "name": r"(?:兹证明|兹有|(?<!职)证明|申明)\s*[:：]?\s*(?!兹)"
    r"(?P<v>[\u4e00-\u9fff·]{2,4}?)(?:同志|先生|女士|[（(，,]|\s|系|身份证|为|在|于|自)",
    "employer": rf"(?:系|就职于|任职于|供职于|受雇于|在|与)(?P<v>{_ORG})"
    r"(?:的?(?:员工|职工|正式)|工作|任|担任|签|解除|终止)",
    "position": r"(?:现任|担任|任职|任|从事|岗位[为是]|职务[为是])"
    r"(?P<v>[\u4e00-\u9fff]{2,10}?)(?:职务|岗位|一职|工作|职位|[，,。;；\s])",
    "reason": r"(?:因|由于)(?P<v>[^，。,\n]{2,20}?)(?:[，,。]|原因|而|于\d|与|解除劳|离职|提出)",
    "address": r"住(?:所|址|在|于)?(?P<v>[\u4e00-\u9fff]{2,}[省市区县][^，。,\s（(]{4,})",
    "full_years": r"(?:已满|满|工龄|司龄|工作|任职)\s*(?P<v>\d+)\s*(?:周年|年)",
    "days": r"(?:住院|共计?|计)\s*(?P<v>\d+)\s*[天日]",
    "rest_days": r"(?:休息|休养|全休|病休)[^\d\n]{0,4}(?P<v>\d+)\s*[天日]",
    "benefit_months": r"(?:领取|享受|共|期限|核定)[^\d\n]{0,8}(?P<v>\d+)\s*个?月",
    "monthly_benefit_yuan": r"(?:每月|月)[^\d\n]{0,8}(?P<v>[\d,.]+)\s*元?",
    "total_benefit_yuan": r"(?:共计?|合计|总计|总额)[^\d\n]{0,6}(?P<v>[\d,.]+)\s*元",
    "monthly_yuan": r"(?:合计|每月共|月发|共计)[^\d\n]{0,4}(?P<v>[\d,.]+)\s*元",
    "each_yuan": r"每人(?:每月)?[^\d\n]{0,4}(?P<v>[\d,.]+)\s*元",
    "repaid_yuan": r"(?:共|累计|合计)(?:还款|归还|偿还)[^\d\n]{0,4}(?P<v>[\d,.]+)",
    "total_yuan": r"(?:小计|共计|总计|合计)[^\d\n]{0,4}(?P<v>[\d,.]+)",
    "months": r"(?:租期|租赁期|期限|共)[^\d\n]{0,6}(?P<v>\d+)\s*个月",
    "members": r"(?:全家|家庭|保障|本?户?共有?|户内)[^\d\n]{0,6}(?P<v>\d+)\s*[人口]",
    "valid_years": r"有效期[^\n]*?(?<!\d)(?P<v>\d{1,2})\s*年(?!\d)",
    "land_years": r"(?<!\d)(?P<v>[4-7]0)\s*年(?!\d)",
    "study_years": r"(?P<v>\d) ?年制",
    "major": r"(?:在我校|主修|学习)(?P<v>[\u4e00-\u9fff ]{2,14}?)专 ?业",
    "monthly_income_yuan": r"月(?:均|平均)?(?:收入|工资|薪)[^\d\n]{0,8}(?P<v>[\d,.]+)\s*元",
    "months_paid": r"(?:累计|共|实际)?缴[费纳存][^\d\n]{0,4}(?P<v>\d+)\s*个?月",
    "bank": r"(?:在|存于)(?P<v>[\u4e00-\u9fff]{2,12}银行)",
    "deposit_yuan": r"(?:存有|存款)[^\d\n]{0,6}(?P<v>[\d,.]+)",
}
_COMPILED: Final = {field: re.compile(pattern) for field, pattern in _PROSE.items()}
# field -> (what stands before the date, what stands after it); either is enough
_DATES: Final[dict[str, tuple[str, str]]] = {
    "joined_on": (
        r"(?:入职|加入|到岗)[^，。\n]{0,4}$",
        r"起?[^，。\n\d]{0,4}(?:入职|到岗|加入|进入我|在我(?:单位|公司|司)工作)|起(?:任|担任|在我)",
    ),
    "left_on": (r"(?:离职|解除|终止|失业)[^，。\n]{0,6}$", r"起?[^，。\n\d]{0,6}(?:离职|解除|终止|失业)"),
    "admitted_on": (r"(?:入院|住院)[^，。\n]{0,4}$", r"[^，。\n\d]{0,6}(?:入院|收入|收治|住院)"),
    "discharged_on": (r"出院[^，。\n]{0,4}$", r"[^，。\n\d]{0,2}出院"),
    "rest_until": (r"(?:休息|休养|全休|病休|病假)[^。\n]{0,12}至$", r"止休"),
    "frozen_until": (r"(?:冻结|止付)[^。\n]{0,8}至?$", r"(?:前|止)(?:冻结|止付)"),
    "settled_on": (r"(?:结清|还清)[^，。\n]{0,3}$", r"[^，。\n\d]{0,4}(?:结清|还清)"),
    "disbursed_on": (r"(?:放款|发放|借款)[^，。\n]{0,3}$", r"[^，。\n\d]{0,4}(?:办理贷款|发放|放款|借款|申请)"),
    "retired_on": (r"退休[^，。\n]{0,4}$", r"[^，。\n\d]{0,6}退休|起? ?(?:享受|领取)"),
    "signed_on": (r"(?:签订|签署|签约|签字)[^，。\n]{0,4}$", r"[^，。\n\d]{0,4}签"),
    "registered_on": (r"登记[^，。\n]{0,4}$", r"[^，。\n\d]{0,6}(?:登记|注册)"),
    "starts_on": (r"(?:自|起租|起)[:：]?$", r"起(?!任)"),
    "ends_on": (r"(?:止|截至)[:：]?$", r"止"),
    "started_on": (r"入学[^，。\n]{0,4}$", r"[^，。\n\d]{0,4}(?:入学|考入)"),
    "graduated_on": (r"毕业[^，。\n]{0,4}$", r"[^，。\n\d]{0,12}毕业"),
    "married_on": (r"结婚[^，。\n]{0,6}$", r"[^，。\n\d]{0,6}结婚"),
    "born_on": (r"(?:出生|生于)[^，。\n]{0,4}$", r"[ 日]?(?:出生|生)"),
    "issued_on": (r"(?:开具|出具|填发)[^，。\n]{0,4}$", r"[^，。\n\d]{0,2}(?:开具|出具)"),
}
_DATES_COMPILED: Final = {field: tuple(map(re.compile, around)) for field, around in _DATES.items()}
_PAIRS: Final = (
    ("from_on", "to_on"),
    ("valid_from", "valid_to"),
    ("land_from", "land_until"),
    ("starts_on", "ends_on"),
    ("admitted_on", "discharged_on"),
    ("started_on", "graduated_on"),
)
_BETWEEN: Final = re.compile(r"[ \t]*起?[ \t]*(?:至|到|—+|–|-+|~|～|起)[ \t]*")
_ADDRESS: Final = re.compile(
    r"(?:[\u4e00-\u9fff]{2,8} ?(?:省|"
    r"自治区))? ?[\u4e00-\u9fff]{2,8} ?[市州盟](?: ?(?!第)[\u4e00-\u9fff\d]){2,30}?号(?: ?[\u4e00-\u9fff\d\-]){0,16}"
)
_ESTATE: Final = re.compile(r"([\u4e00-\u9fff（()）\d]{2,20}不动产权?第 ?\d(?: ?\d){3,}号)")
# Of a table: a type, a brand of vehicle or a tax that stands alone in its cell.
_TAX: Final = re.compile(
    r"((?:个人所得税|契税|增值税|印花税|房产税|城镇土地使用税|车辆购置税)(?:[（(][^）)\n]{2,10}[）)])?)"
)
_VEHICLE: Final = re.compile(r"([\u4e00-\u9fffA-Z0-9]{2,10}(?:轿车|客车|货车|越野车|乘用车|摩托车))")
_CAPITALS: Final = re.compile(
    r"[壹贰叁肆伍陆柒捌玖](?: ?[壹贰叁肆伍陆柒捌玖拾佰仟万亿零])+ ?[元圆兀][零壹贰叁肆伍陆柒捌玖角分整正 ]*"
)
_PLATE: Final = re.compile(
    r"([京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·• ]?[0-9A-Z]{5,6}(?![0-9A-Z]))"
)
_ORG_ALONE: Final = re.compile(
    r"(?:^|[^\u4e00-\u9fff（）()])([\u4e00-\u9fff][\u4e00-\u9fff（）() ]{2,24}?(?:公司|集团|商行|经营部|合作社|工厂))",
    re.M,
)
_WORD_SHAPES: Final[dict[str, re.Pattern[str]]] = {
    "number": _ESTATE,
    "tax_item": _TAX,
    "model": _VEHICLE,
    "plate": _PLATE,
    "sex": re.compile(r"(?<![\u4e00-\u9fff])([男女])(?![\u4e00-\u9fff])"),
    "ethnicity": re.compile(r"(?<![\u4e00-\u9fff])([\u4e00-\u9fff]{1,4})族"),
    "degree": re.compile(r"((?:博士|硕士)(?:研究生)?|(?:大学)?(?:本科|专科)|大专|中专|高中)"),
    "school": re.compile(
        r"(?<![\u4e00-\u9fff])(?![\u4e00-\u9fff ]{0,14}(?:我校|专业))"
        r"([\u4e00-\u9fff](?: ?[\u4e00-\u9fff]){2,14}(?:大学|学院|学校))"
    ),
    "ward": re.compile(r"(?<![\u4e00-\u9fff])([\u4e00-\u9fff]{1,7}科|[\u4e00-\u9fff]{1,6}病区)(?![\u4e00-\u9fff])"),
    "bank": re.compile(r"(?<![\u4e00-\u9fff])([\u4e00-\u9fff]{2,10}银行)"),
    "employer": _ORG_ALONE,
    "company": _ORG_ALONE,
    "seller": _ORG_ALONE,
}
_BEFORE_SEX: Final = re.compile(
    r"(?:^|\n)[ \t]*([\u4e00-\u9fff](?: ?[\u4e00-\u9fff]){1,3})[ \t,，]+[男女](?![\u4e00-\u9fff])"
)
_NAME_BEHIND: Final = re.compile(r"(?:\t| {2,})([\u4e00-\u9fff](?: ?[\u4e00-\u9fff]){1,3})(?=\s|$)")
_NEAR_NAME: Final = (
    r"(?P<v>[\u4e00-\u9fff·](?: ?[\u4e00-\u9fff·]){{1,3}}?)[\s，,（(／/]*"
    r"(?:(?:居民)?身份证件?(?:号码?)?|公民身份号码|证件号?码?)?[\s:：]*{value}"
)
_LABEL_WORDS: Final = frozenset(
    word
    for labels in [labels for _, labels in COMMON.values()] + [v for kind in BY_KIND.values() for v in kind.values()]
    for word in labels.split()
)
_SHAPES: Final = {"id_number": read_id, "credit_code": read_code, "vin": read_vin, "card_number": read_card}
_ALONE: Final = re.compile(r"(?:^|\t| {2,}|[）):：] ?|(?:公司|局|银行|中心|医院|处|所|金融|小贷) ?)$")
_DIRT: Final = re.compile(r"[\s★☆·~～（）()章。.]*")
_ISSUERS: Final = {
    "employer": r"公司|集团|厂|商行|经营部|合作社|事务所",
    "office": r"局|中心|处|所",
    "hospital": r"医院",
    "bank": r"银行",
    "issuer": r"局",
    "lender": r"银行|金融|小贷|公司|信用卡中心",
}


def by_prose(text: str, wanted: tuple[str, ...]) -> _Named:
    """Fields stated in a sentence: at most one reading of each field but dates."""
    for field in wanted:
        match = _COMPILED[field].search(text) if field in _COMPILED else None
        reading = READERS[COMMON[field][0]](text, match.start("v"), match.end("v")) if match else None
        if reading:
            yield field, reading
    for reading in dates(text):
        before, after = text[max(0, reading.start - 20) : reading.start], text[reading.end : reading.end + 20]
        for field in wanted:
            if field in _DATES_COMPILED:
                left, right = _DATES_COMPILED[field]
                if right.match(after) or left.search(before):
                    yield field, reading


def by_shape(text: str, wanted: tuple[str, ...]) -> _Named:
    """Fields known by what they look like, and the name that stands beside an id or a card."""
    for field, read in _SHAPES.items():
        reading = _most_likely(field, list(every(read, text, 0, len(text))))
        if reading is None:
            continue
        if field not in wanted:
            continue
        yield field, reading
        if "name" in wanted and field in ("id_number", "card_number"):
            name = _name_beside(text, reading)
            if name:
                yield "name", name
    yield from _totals(text, wanted)
    address = _ADDRESS.search(text) if "address" in wanted else None
    if address:
        yield "address", Reading(address[0].replace(" ", ""), address.start(), address.end())
    for field, shape in _WORD_SHAPES.items():
        match = shape.search(text) if field in wanted else None
        if match and (field != "number" or "built_square_metres" in wanted):
            yield field, Reading(match[1].replace(" ", ""), match.start(1), match.end(1))
        beside = _NAME_BEHIND.match(text, match.end()) if match and field == "plate" else None
        if beside:
            yield "name", Reading(beside[1].replace(" ", ""), beside.start(1), beside.end(1))
    if "month" in wanted:
        month = next((r for r in every(read_month, text, 0, len(text)) if not dates(text, r.start, r.end + 4)), None)
        if month:
            yield "month", month
            beside = _NAME_BEHIND.match(text, month.end) or re.compile(r" ([\u4e00-\u9fff]{2,4})(?=\s)").match(
                text, month.end
            )
            if beside:
                yield "name", Reading(beside[1].replace(" ", ""), beside.start(1), beside.end(1))
    of_sex = _BEFORE_SEX.search(text) if "name" in wanted else None
    if of_sex and of_sex[1] not in _LABEL_WORDS:
        yield "name", Reading(of_sex[1].replace(" ", ""), of_sex.start(1), of_sex.end(1))
    amount = _CAPITALS.search(text)
    for field in wanted:
        if field.endswith("_capitals") and amount:
            capitals = read_capitals(text, amount.start(), amount.end())
            if capitals:
                yield field, capitals
    found = dates(text)
    for one, two in pairwise(found):
        if _BETWEEN.fullmatch(text[one.end : two.start]):
            for first, second in _PAIRS:
                if first in wanted:
                    yield first, one
                    if second in wanted:
                        yield second, two


def _totals(text: str, wanted: tuple[str, ...]) -> _Named:
    """合计 58100.00 843.00 at the foot of a table: each amount under the head of its column."""
    foot = re.search(r"(?:^|\n)[ \t]*(?:合计|总计|小计)((?:[ \t]+[\d,. ]+\d)+)", text)
    if not foot:
        return
    amounts = [
        r for r in (read_money(text, m.start(), len(text)) for m in re.finditer(r"(?<![\d,.])\d[\d,.]*", text)) if r
    ]
    amounts = [r for r in amounts if foot.start(1) <= r.start < foot.end(1)]
    for head in re.finditer(r"[^\n]+", text[: foot.start()]):
        columns = head[0].split()
        if len(columns) >= 2 and not re.search(r"\d", head[0]):
            for column, amount in zip(columns[::-1], amounts[::-1], strict=False):
                for field, words in _TOTALS.items():
                    if field in wanted and column in words:
                        yield field, amount


_TOTALS: Final = {
    "total_income_yuan": ("收入额", "收入", "收入金额", "税前收入"),
    "total_tax_yuan": ("税额", "已缴税额", "纳税额", "实缴税额", "已缴"),
    "total_personal_yuan": ("个人", "个人缴费", "个人缴纳"),
    "total_yuan": ("合计", "金额", "缴存额"),
}


def _most_likely(field: str, readings: list[Reading]) -> Reading | None:
    """Of several numbers of one shape the first that can be such a number: a day of birth in an id, none in a card."""
    if field == "id_number":
        likely = [r for r in readings if is_resident_id(str(r.value), checksum=False)]
        # A forger may have made the date of birth impossible; 18 digits with a century are an id all the same.
        likely += [r for r in readings if len(str(r.value)) == 18 and str(r.value)[6:8] in ("19", "20")]
        return min(likely, key=lambda r: -len(str(r.value)), default=None)
    if field == "card_number":
        cards = [r for r in readings if not is_resident_id(str(r.value), checksum=False)]
        return next((r for r in cards if is_luhn(str(r.value))), cards[0] if cards else None)
    return readings[0] if readings else None


def person_at(text: str, start: int, end: int) -> Reading | None:
    """A name at the beginning of a part of a line, behind a label or not."""
    match = re.compile(
        r"(?:[\u4e00-\u9fff]{2,4}[:：])?[ \t]*([\u4e00-\u9fff](?: ?[\u4e00-\u9fff]){1,3})(?=[\s（(，,]|$)"
    ).match(text, start, end)
    if not match or match[1] in _LABEL_WORDS:
        return None
    return Reading(match[1].replace(" ", ""), match.start(1), match.end(1))


def _name_beside(text: str, number: Reading) -> Reading | None:
    """王建国（身份证号…, 王建国  3301…, or 6212…（王建国）; the words of a label are no name."""
    line = text[text.rfind("\n", 0, number.start) + 1 : number.start]
    match = re.search(_NEAR_NAME.format(value="$"), line)
    if match and (match.start() == 0 or not "\u4e00" <= line[match.start() - 1] <= "\u9fff" or "兹" in line):
        begin = number.start - len(line) + match.start("v")
        value = re.sub(r"^(?:兹证明|兹有|证明|患者|姓名)", "", match["v"].replace(" ", ""))
        if len(value) >= 2 and value not in _LABEL_WORDS:
            return Reading(value, begin, begin + len(match["v"]))
    behind = re.match(r"[ ]?[（(]([\u4e00-\u9fff·]{2,4})[）)]", text[number.end : number.end + 8])
    return read_person(text, number.end + behind.start(1), number.end + behind.end(1)) if behind else None


def by_signature(text: str, wanted: tuple[str, ...]) -> _Named:
    """The date that stands alone or behind the issuer at the end or the head of the page, and the issuer; the one date
    or amount of a page, where its kind has one."""
    lines = [match for match in re.finditer(r"[^\n]+", text) if match[0].strip()]
    for line in lines[::-1][:3] + lines[:2] if "issued_on" in wanted else ():
        found = dates(text, line.start(), line.end())
        if (
            found
            and _ALONE.search(line[0][: found[-1].start - line.start()])
            and _DIRT.fullmatch(line[0][found[-1].end - line.start() :])
        ):
            yield "issued_on", found[-1]
            break
    amounts = [r for r in (read_money(text, m.end(), len(text)) for m in re.finditer("[¥￥]", text)) if r]
    money = [field for field in wanted if COMMON[field][0] == "money"]
    if len(money) == len(amounts) == 1:
        yield money[0], amounts[0]
    single = [field for field in wanted if COMMON[field][0] == "date"]
    found = dates(text)
    if len(single) == len(found) == 1:
        yield single[0], found[0]
    for line in lines[::-1][:5]:
        org = re.search(rf"(?:^|[:：\t]| {{2,}}|(?<=[\u4e00-\u9fff]) )({_ORG})(?=[（(]?[章盖]|\s|\d|[★·~]|$)", line[0])
        if org:
            value = org[1].replace(" ", "")
            span = Reading(value, line.start() + org.start(1), line.start() + org.end(1))
            for field, endings in _ISSUERS.items():
                if field in wanted and re.search(rf"(?:{endings})$", value):
                    yield field, span
    hospital = re.search(r"[\u4e00-\u9fff](?: ?[\u4e00-\u9fff]){1,14}?医院", text) if "hospital" in wanted else None
    if hospital:
        yield "hospital", Reading(hospital[0].replace(" ", ""), hospital.start(), hospital.end())
