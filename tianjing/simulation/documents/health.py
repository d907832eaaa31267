"""Documents of a hospital: diagnosis and costs."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from tianjing.simulation.documents.facts import Facts
from tianjing.simulation.documents.kinds import (
    Check,
    Kind,
    capitals_agree,
    column_total,
    in_order,
    owner,
    random_yuan,
    rows_add_up,
    serial,
    share,
    valid_id,
)
from tianjing.simulation.documents.values import capitals

_HOSPITALS = ("青禾医院", "晨岚医院", "云杉医院", "安泽医院")
_WARDS = ("骨科", "普外科", "心内科", "呼吸科", "神经内科", "妇科")
_DIAGNOSES = ("腰椎间盘突出", "急性阑尾炎", "肺部感染", "胫骨骨折", "冠心病", "胆囊结石")
_COSTS = ("床位费", "检查费", "化验费", "西药费", "手术费", "护理费", "治疗费", "材料费")


def _stay(facts: Facts, rng: random.Random) -> dict[str, Any]:
    discharged = facts.today - timedelta(days=rng.randint(2, 40))
    days = rng.randint(3, 25)
    return owner(facts) | {
        "hospital": f"{facts.city}{rng.choice(_HOSPITALS)}",
        "ward": rng.choice(_WARDS),
        "admission_number": serial(rng, 8),
        "admitted_on": discharged - timedelta(days=days),
        "discharged_on": discharged,
        "days": days,
    }


def _diagnosis(facts: Facts, rng: random.Random) -> dict[str, Any]:
    stay = _stay(facts, rng)
    rest = rng.choice((7, 14, 30, 60))
    return stay | {
        "diagnosis": rng.choice(_DIAGNOSES),
        "rest_days": rest,
        "rest_until": stay["discharged_on"] + timedelta(days=rest),
        "issued_on": stay["discharged_on"] + timedelta(days=rng.randint(0, 2)),
    }


def _costs(facts: Facts, rng: random.Random) -> dict[str, Any]:
    rows = [{"item": item, "amount_yuan": random_yuan(60, 5200, rng)} for item in rng.sample(_COSTS, rng.randint(4, 7))]
    total = column_total(rows, "amount_yuan")
    insured = share(total, 30, 70, rng)
    return _stay(facts, rng) | {
        "number": serial(rng, 10),
        "rows": rows,
        "total_yuan": total,
        "total_capitals": capitals(total),
        "insured_yuan": insured,
        "self_paid_yuan": total - insured,
    }


_DAYS_FIT = Check("days_fit_dates", "days", lambda f: f["days"] == (f["discharged_on"] - f["admitted_on"]).days)

KINDS: tuple[Kind, ...] = (
    Kind(
        "诊断证明",
        _diagnosis,
        (
            _DAYS_FIT,
            Check(
                "rest_fits_dates",
                "rest_until",
                lambda f: f["rest_until"] == f["discharged_on"] + timedelta(days=f["rest_days"]),
            ),
            in_order("admitted_on", "discharged_on", "issued_on", forged="issued_on"),
            valid_id(),
        ),
    ),
    Kind(
        "住院费用清单",
        _costs,
        (
            capitals_agree("total_yuan"),
            rows_add_up("total_yuan", "amount_yuan"),
            Check(
                "self_paid_is_rest",
                "self_paid_yuan",
                lambda f: f["self_paid_yuan"] == f["total_yuan"] - f["insured_yuan"],
            ),
            _DAYS_FIT,
        ),
    ),
)
