"""What is true of a person who hands in documents, so that all documents of one person agree."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tianjing.privacy.checks import credit_code_check
from tianjing.simulation.people import Person, make_person

_CITIES = {
    "310104": ("上海市", "徐汇区"),
    "320105": ("江苏省南京市", "建邺区"),
    "330106": ("浙江省杭州市", "西湖区"),
    "370102": ("山东省济南市", "历下区"),
    "510104": ("四川省成都市", "锦江区"),
    "500103": ("重庆市", "渝中区"),
    "610103": ("陕西省西安市", "碑林区"),
    "530102": ("云南省昆明市", "五华区"),
}
_STREETS = ("望湖路", "新民路", "松涛街", "和平里", "青石巷", "枫林路", "向阳街", "康宁路")
_COMPANY_STEMS = ("启航", "恒禾", "云栖", "博远", "瑞丰", "宏泽", "天鹿", "金穗", "同和", "星野")
_COMPANY_TRADES = ("商贸", "机械", "物流", "餐饮管理", "信息技术", "建筑工程", "服装", "电子", "装饰", "食品")
_POSITIONS = ("操作工", "销售员", "会计", "仓库管理员", "司机", "店长", "技术员", "行政专员", "项目经理", "质检员")
_BANKS = ("江海银行", "中联银行", "西岭银行", "民和银行")
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_DEGREES = ("大学本科", "大学专科", "硕士研究生")


@dataclass(frozen=True)
class Facts:
    """A person's circumstances on `today`, the day on which the documents are handed in. Amounts in yuan a month."""

    person: Person
    today: date
    province: str
    district: str
    address: str
    employer: str
    credit_code: str
    position: str
    joined_on: date
    income: Decimal
    bank: str
    spouse: Person
    degree: str

    @property
    def city(self) -> str:
        """The city alone, without its province."""
        return self.province.split("省")[-1]


def draw_facts(person: Person, income_yuan: int, today: date, rng: random.Random) -> Facts:
    """Random circumstances that fit the person's identity number and income."""
    province, district = _CITIES[person.id_card[:6]]
    company = f"{province.split('省')[-1].removesuffix('市')}{rng.choice(_COMPANY_STEMS)}{rng.choice(_COMPANY_TRADES)}"
    spouse = make_person(0, person.site, rng)
    while spouse.female == person.female:
        spouse = make_person(0, person.site, rng)
    return Facts(
        person=person,
        today=today,
        province=province,
        district=district,
        address=province + district + _house(rng),
        employer=f"{company}有限公司",
        credit_code=_credit_code(person.id_card[:6], rng),
        position=rng.choice(_POSITIONS),
        joined_on=today - timedelta(days=rng.randint(400, 3000)),
        income=Decimal(income_yuan),
        bank=rng.choice(_BANKS),
        spouse=spouse,
        degree=rng.choice(_DEGREES),
    )


def _house(rng: random.Random) -> str:
    return f"{rng.choice(_STREETS)}{rng.randint(1, 299)}号{rng.randint(1, 30)}栋{rng.randint(101, 2404)}室"


def _credit_code(area: str, rng: random.Random) -> str:
    """A unified social credit code (统一社会信用代码, GB 32100-2015) with a valid check character."""
    body = "91" + area + "".join(rng.choice(_CREDIT_ALPHABET) for _ in range(9))
    return body + credit_code_check(body)
