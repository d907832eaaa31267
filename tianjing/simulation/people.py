"""Fictional customers: random names, numbers with valid check digits, and how people speak them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date

from tianjing.privacy.checks import luhn_check, resident_id_check
from tianjing.simulation.planted import BUCKET_WEIGHTS

_SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢"
_MALE = "伟强磊军勇杰涛超明刚平辉鹏斌波宇浩凯健俊帆旭文亮龙峰林志国建海江山宏永庆春康"
_FEMALE = "芳娜敏静丽艳娟霞秀英慧巧美莉桂玲燕萍红雪梅琳婷倩颖洁蕾薇云莲真环爱兰凤琴月"
_AREAS = {"east": ("310104", "320105", "330106", "370102"), "west": ("510104", "500103", "610103", "530102")}
_SEGMENTS = ("130", "131", "135", "136", "138", "139", "150", "151", "158", "159", "176", "180", "186", "189", "199")
_CARD_PREFIXES = ("622202", "621700", "622848", "621226", "623058")
_SPOKEN = dict(zip("0123456789", "零幺二三四五六七八九", strict=True))


@dataclass(frozen=True)
class Person:
    """A customer of the sample corpus. `bucket` is how deep in arrears (逾期) whenever the person is."""

    id: str
    site: str
    name: str
    title: str
    mobile: str
    id_card: str
    card: str
    bucket: str

    @property
    def female(self) -> bool:
        return self.title == "女士"

    @property
    def born(self) -> date:
        """Date of birth, as the identity number says."""
        return date(int(self.id_card[6:10]), int(self.id_card[10:12]), int(self.id_card[12:14]))

    @property
    def call(self) -> str:
        return self.name[0] + self.title


def make_person(number: int, site: str, rng: random.Random) -> Person:
    """A random fictional customer of `site`."""
    female = rng.random() < 0.45
    given = _FEMALE if female else _MALE
    name = rng.choice(_SURNAMES) + "".join(rng.sample(given, rng.choice((1, 2, 2))))
    return Person(
        id=f"c{number:06d}",
        site=site,
        name=name,
        title="女士" if female else "先生",
        mobile=rng.choice(_SEGMENTS) + f"{rng.randrange(10**8):08d}",
        id_card=id_card(rng, rng.choice(_AREAS[site]), female),
        card=bank_card(rng),
        bucket=rng.choices(list(BUCKET_WEIGHTS), weights=list(BUCKET_WEIGHTS.values()))[0],
    )


def id_card(rng: random.Random, area: str, female: bool) -> str:
    """An 18-digit identity number with a valid check digit (GB 11643-1999)."""
    birth = f"{rng.randint(1962, 2003)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    body = f"{area}{birth}{rng.randint(0, 99):02d}{rng.randrange(0, 5) * 2 + (not female)}"
    return body + resident_id_check(body)


def bank_card(rng: random.Random) -> str:
    """A 19-digit card number that passes the Luhn check (ISO/IEC 7812-1)."""
    body = rng.choice(_CARD_PREFIXES) + f"{rng.randrange(10**12):012d}"
    return body + luhn_check(body)


def spoken(digits: str, rng: random.Random) -> str:
    """How a person says a number: as digits, in groups, or in words (幺三八…)."""
    form = rng.random()
    if form < 0.45:
        return digits
    if form < 0.6 and len(digits) == 11:
        separator = rng.choice((" ", "-"))
        return separator.join((digits[:3], digits[3:7], digits[7:]))
    return "".join(_SPOKEN.get(char, char) for char in digits)
