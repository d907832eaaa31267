"""Documents about what a person owns, rents or runs: home, car, business."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tianjing.finance.money import to_cent
from tianjing.simulation.documents.facts import Facts
from tianjing.simulation.documents.kinds import (
    Check,
    Kind,
    capitals_agree,
    hundreds,
    in_order,
    owner,
    serial,
    valid_credit_code,
    valid_id,
    years_later,
)
from tianjing.simulation.documents.values import capitals
from tianjing.simulation.people import make_person

_PLATES = {"31": "沪", "32": "苏", "33": "浙", "37": "鲁", "51": "川", "50": "渝", "61": "陕", "53": "云"}
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_CARS = ("启辰轿车", "云驰越野车", "小福面包车", "天途厢式货车")
# GB 16735-2019: values of the letters and weights of the 17 places of a vehicle identification number.
_VIN_VALUES = {str(n): n for n in range(10)} | dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True)
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def _vin_check(vin: str) -> str:
    total = sum(_VIN_VALUES[char] * weight for char, weight in zip(vin, _VIN_WEIGHTS, strict=True)) % 11
    return "X" if total == 10 else str(total)


def _vin(rng: random.Random) -> str:
    chars = [rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(17)]
    chars[0] = "L"
    chars[8] = _vin_check("".join(chars[:8]) + "0" + "".join(chars[9:]))
    return "".join(chars)


def _home(facts: Facts, rng: random.Random) -> dict[str, Any]:
    inner = Decimal(rng.randint(4000, 11000)) / 100
    shared = Decimal(rng.randint(600, 2500)) / 100
    start = date(rng.randint(1996, 2015), rng.randint(1, 12), rng.randint(1, 28))
    return owner(facts) | {
        "number": f"{facts.city}不动产权第{serial(rng, 7)}号",
        "address": facts.address,
        "inner_square_metres": inner,
        "shared_square_metres": shared,
        "built_square_metres": inner + shared,
        "land_from": start,
        "land_until": years_later(start, 70),
        "land_years": 70,
        "registered_on": facts.today - timedelta(days=rng.randint(300, 3000)),
    }


def _vehicle(facts: Facts, rng: random.Random) -> dict[str, Any]:
    registered = facts.today - timedelta(days=rng.randint(100, 3000))
    province = _PLATES[facts.person.id_card[:2]]
    return {
        "plate": f"{province}{rng.choice('ABC')}{rng.choice(_LETTERS)}{rng.randint(1000, 9999)}",
        "name": facts.person.name,
        "address": facts.address,
        "model": rng.choice(_CARS),
        "vin": _vin(rng),
        "engine_number": serial(rng, 8),
        "registered_on": registered,
        "issued_on": registered + timedelta(days=rng.randint(0, 6)),
        "seats": rng.choice((2, 5, 7)),
    }


def _lease(facts: Facts, rng: random.Random) -> dict[str, Any]:
    months, rent = rng.choice((6, 12, 24)), hundreds(8, 60, rng)
    start = facts.today - timedelta(days=rng.randint(20, 150))
    return {
        "landlord": make_person(0, facts.person.site, rng).name,
        "name": facts.person.name,
        "id_number": facts.person.id_card,
        "address": facts.address,
        "signed_on": start - timedelta(days=rng.randint(0, 10)),
        "starts_on": start,
        "months": months,
        "monthly_rent_yuan": rent,
        "monthly_rent_capitals": capitals(rent),
        "total_rent_yuan": rent * months,
        "deposit_yuan": rent * rng.choice((1, 2)),
    }


def _purchase(facts: Facts, rng: random.Random) -> dict[str, Any]:
    area, price = Decimal(rng.randint(4500, 14000)) / 100, hundreds(60, 350, rng)
    total = to_cent(area * price)
    down = to_cent(total * rng.choice((20, 30, 35)) / 100)
    return owner(facts) | {
        "seller": f"{facts.city.removesuffix('市')}宏安置业有限公司",
        "contract_number": serial(rng, 12),
        "address": facts.address,
        "square_metres": area,
        "unit_price_yuan": price,
        "total_yuan": total,
        "total_capitals": capitals(total),
        "down_payment_yuan": down,
        "loan_yuan": total - down,
        "signed_on": facts.today - timedelta(days=rng.randint(30, 900)),
    }


def _licence(facts: Facts, rng: random.Random) -> dict[str, Any]:
    founded = facts.today - timedelta(days=rng.randint(300, 3000))
    capital = Decimal(rng.choice((5, 10, 30, 50, 100, 200)) * 10000)
    return {
        "company": facts.employer,
        "credit_code": facts.credit_code,
        "name": facts.person.name,
        "capital_yuan": capital,
        "capital_capitals": capitals(capital),
        "founded_on": founded,
        "issued_on": founded + timedelta(days=rng.randint(0, 200)),
        "address": facts.address,
        "scope": rng.choice(("餐饮服务", "服装零售", "建材销售", "货物运输", "信息咨询")),
        "office": f"{facts.city}{facts.district}市场监督管理局",
    }


KINDS: tuple[Kind, ...] = (
    Kind(
        "不动产权证",
        _home,
        (
            Check(
                "area_is_sum",
                "built_square_metres",
                lambda f: f["built_square_metres"] == f["inner_square_metres"] + f["shared_square_metres"],
            ),
            Check(
                "land_years_fit",
                "land_until",
                lambda f: f["land_until"] == years_later(f["land_from"], f["land_years"]),
            ),
            valid_id(),
        ),
    ),
    Kind(
        "行驶证",
        _vehicle,
        (
            Check("vin_check_digit", "vin", lambda f: f["vin"][8] == _vin_check(f["vin"])),
            in_order("registered_on", "issued_on", forged="issued_on"),
        ),
    ),
    Kind(
        "房屋租赁合同",
        _lease,
        (
            capitals_agree("monthly_rent_yuan"),
            Check(
                "total_is_months_times_rent",
                "total_rent_yuan",
                lambda f: f["total_rent_yuan"] == f["months"] * f["monthly_rent_yuan"],
            ),
            in_order("signed_on", "starts_on", forged="signed_on"),
        ),
    ),
    Kind(
        "购房合同",
        _purchase,
        (
            capitals_agree("total_yuan"),
            Check(
                "total_is_area_times_price",
                "total_yuan",
                lambda f: f["total_yuan"] == to_cent(f["square_metres"] * f["unit_price_yuan"]),
            ),
            Check(
                "down_payment_and_loan_are_total",
                "loan_yuan",
                lambda f: f["total_yuan"] == f["down_payment_yuan"] + f["loan_yuan"],
            ),
        ),
    ),
    Kind(
        "营业执照",
        _licence,
        (
            valid_credit_code(),
            capitals_agree("capital_yuan"),
            in_order("founded_on", "issued_on", forged="issued_on"),
        ),
    ),
)
