"""Documents about a person and the household: identity, register, marriage, education, hardship."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from tianjing.privacy.checks import is_resident_id
from tianjing.simulation.documents.facts import Facts
from tianjing.simulation.documents.kinds import (
    Check,
    Kind,
    born_as_in_id,
    hundreds,
    in_order,
    owner,
    serial,
    sex_as_in_id,
    valid_id,
    years_later,
)
from tianjing.simulation.documents.values import Fields
from tianjing.simulation.people import Person, make_person

_ETHNICITIES = ("汉", "汉", "汉", "汉", "回", "满", "苗", "彝")
_SCHOOLS = ("江州理工学院", "云岭师范大学", "东海职业技术学院", "西川财经大学", "泉城工业大学")
_MAJORS = ("会计学", "机械工程", "市场营销", "计算机应用技术", "土木工程", "护理学")
_YEARS_OF_STUDY = {"大学本科": 4, "大学专科": 3, "硕士研究生": 3}


def _sex(person: Person) -> str:
    return "女" if person.female else "男"


def _id_card(facts: Facts, rng: random.Random) -> dict[str, Any]:
    years = rng.choice((10, 20))
    start = facts.today - timedelta(days=rng.randint(100, 3000))
    return owner(facts) | {
        "sex": _sex(facts.person),
        "ethnicity": rng.choice(_ETHNICITIES),
        "born_on": facts.person.born,
        "address": facts.address,
        "issuer": f"{facts.city}公安局{facts.district}分局",
        "valid_from": start,
        "valid_to": years_later(start, years),
        "valid_years": years,
    }


def _register(facts: Facts, rng: random.Random) -> dict[str, Any]:
    members = [(facts.person, "户主"), (facts.spouse, "妻" if facts.spouse.female else "夫")]
    members += [(make_person(0, facts.person.site, rng), "父亲或母亲") for _ in range(rng.randint(0, 2))]
    return {
        "number": serial(rng, 9),
        "head": facts.person.name,
        "address": facts.address,
        "rows": [
            {
                "name": person.name,
                "relation": relation,
                "sex": _sex(person),
                "born_on": person.born,
                "id_number": person.id_card,
            }
            for person, relation in members
        ],
        "members": len(members),
        "issuer": f"{facts.city}公安局{facts.district}分局",
    }


def _births_fit(fields: Fields) -> bool:
    return all(f"{row['born_on']:%Y%m%d}" == row["id_number"][6:14] for row in fields["rows"])


def _couple(facts: Facts) -> dict[str, Any]:
    return owner(facts) | {
        "born_on": facts.person.born,
        "spouse_name": facts.spouse.name,
        "spouse_born_on": facts.spouse.born,
        "spouse_id_number": facts.spouse.id_card,
        "office": f"{facts.city}{facts.district}民政局",
    }


def _of_age(facts: Facts) -> date:
    """The first day on which both may marry (民法典 第一千零四十七条: men at 22, women at 20)."""
    return max(years_later(person.born, 20 if person.female else 22) for person in (facts.person, facts.spouse))


def _may_marry(fields: Fields) -> bool:
    for born, number in (("born_on", "id_number"), ("spouse_born_on", "spouse_id_number")):
        if years_later(fields[born], 22 if int(fields[number][16]) % 2 else 20) > fields["registered_on"]:
            return False
    return True


def _between(first: date, last: date, rng: random.Random) -> date:
    return first + timedelta(days=rng.randint(0, max(0, (last - first).days)))


def _marriage(facts: Facts, rng: random.Random) -> dict[str, Any]:
    return _couple(facts) | {
        "number": f"J{serial(rng, 15)}",
        "registered_on": _between(_of_age(facts), facts.today, rng),
    }


def _divorce(facts: Facts, rng: random.Random) -> dict[str, Any]:
    married = _between(_of_age(facts), facts.today, rng)
    return _couple(facts) | {
        "number": f"L{serial(rng, 15)}",
        "married_on": married,
        "registered_on": _between(married, facts.today, rng),
    }


def _degree(facts: Facts, rng: random.Random) -> dict[str, Any]:
    years = _YEARS_OF_STUDY[facts.degree]
    started = date(facts.person.born.year + 18, 9, 1)
    return owner(facts) | {
        "sex": _sex(facts.person),
        "born_on": facts.person.born,
        "school": rng.choice(_SCHOOLS),
        "major": rng.choice(_MAJORS),
        "degree": facts.degree,
        "study_years": years,
        "started_on": started,
        "graduated_on": date(started.year + years, 7, 1),
        "number": serial(rng, 18),
    }


def _hardship(facts: Facts, rng: random.Random) -> dict[str, Any]:
    members, each = rng.randint(1, 5), hundreds(5, 12, rng)
    start = facts.today - timedelta(days=rng.randint(10, 90))
    return owner(facts) | {
        "members": members,
        "each_yuan": each,
        "monthly_yuan": each * members,
        "valid_from": start,
        "valid_to": years_later(start, 1),
        "address": facts.address,
        "office": f"{facts.district}民政局",
        "number": serial(rng, 12),
    }


KINDS: tuple[Kind, ...] = (
    Kind(
        "身份证",
        _id_card,
        (
            valid_id(),
            born_as_in_id(),
            sex_as_in_id(),
            Check(
                "validity_fits_dates",
                "valid_to",
                lambda f: f["valid_to"] == years_later(f["valid_from"], f["valid_years"]),
            ),
        ),
    ),
    Kind(
        "户口簿",
        _register,
        (
            Check("members_counted", "members", lambda f: f["members"] == len(f["rows"])),
            Check("births_as_in_ids", "rows", _births_fit, cell="born_on"),
            Check(
                "id_check_digits",
                "rows",
                lambda f: all(is_resident_id(row["id_number"]) for row in f["rows"]),
                cell="id_number",
            ),
        ),
    ),
    Kind(
        "结婚证",
        _marriage,
        (
            valid_id(),
            born_as_in_id(),
            Check("both_of_age", "registered_on", _may_marry),
        ),
    ),
    Kind(
        "离婚证",
        _divorce,
        (
            valid_id("spouse_id_number"),
            born_as_in_id(),
            in_order("married_on", "registered_on", forged="registered_on"),
        ),
    ),
    Kind(
        "学历证明",
        _degree,
        (
            born_as_in_id(),
            sex_as_in_id(),
            Check(
                "study_years_fit",
                "graduated_on",
                lambda f: f["graduated_on"] == date(f["started_on"].year + f["study_years"], 7, 1),
            ),
        ),
    ),
    Kind(
        "低保证明",
        _hardship,
        (
            Check(
                "monthly_is_members_times_each",
                "monthly_yuan",
                lambda f: f["monthly_yuan"] == f["members"] * f["each_yuan"],
            ),
            in_order("valid_from", "valid_to", forged="valid_to"),
            valid_id(),
        ),
    ),
)
