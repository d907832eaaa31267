"""Profile fields: which reading of a paper speaks of which, how two values compare, and how they are written.

Names of profile fields are those of customers.jsonl where it has them (`name`, `mobile`, `id_card`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from tianjing.privacy import FIELD_KINDS, stars

# reading of a document -> profile field
_ANY_KIND: Final[dict[str, str]] = {
    "name": "name",
    "id_number": "id_card",
    "born_on": "birth_date",
    "card_number": "bank_card",
    "employer": "employer",
    "position": "position",
    "monthly_income_yuan": "monthly_income_yuan",
    "monthly_wage_yuan": "monthly_income_yuan",
    "gross_yuan": "monthly_income_yuan",
    "monthly_pension_yuan": "monthly_income_yuan",
    "monthly_rent_yuan": "monthly_rent_yuan",
    "degree": "education",
    "total_balance_yuan": "total_debt_yuan",
    "rest_until": "hardship_until",
}
# kind of paper -> reading -> profile field, in place of the above; "" for none
_OF_KIND: Final[dict[str, dict[str, str]]] = {
    "户口簿": {"head": "", "address": "address"},
    "身份证": {"address": "address"},
    "低保证明": {"address": "address", "monthly_yuan": "monthly_benefit_yuan"},
    "房屋租赁合同": {"address": "address"},
    "失业登记证明": {"monthly_benefit_yuan": "monthly_benefit_yuan"},
    "离职证明": {"employer": "former_employer", "position": ""},
    "营业执照": {"company": "employer", "name": "name", "address": ""},
    "发票": {"buyer": "", "seller": ""},
}
# what a paper of a kind says by being there
_BY_BEING: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "结婚证": (("marital_status", "married"),),
    "离婚证": (("marital_status", "divorced"),),
    "在职证明": (("employment", "employed"),),
    "离职证明": (("employment", "left"), ("hardship_reason", "失业")),
    "失业登记证明": (("employment", "unemployed"), ("hardship_reason", "失业")),
    "养老金证明": (("employment", "retired"),),
    "营业执照": (("employment", "self_employed"),),
    "诊断证明": (("hardship_reason", "生病住院"),),
    "住院费用清单": (("hardship_reason", "生病住院"),),
}
# Never of a person alone, or only for a time: two values are in conflict only if they are of the same half-year.
LASTING_FIELDS: Final = frozenset({"name", "id_card", "birth_date"})
# A customer may have several of these: another one is new, not a conflict.
MANY_FIELDS: Final = frozenset({"bank_card", "hardship_reason", "former_employer", "hardship_until", "affordable_yuan"})
COMPARABLE_DAYS: Final = 183
# Amounts that differ by less agree: people round, and net and gross are confused.
_TOLERANCE: Final = 0.1
Value = str | float | int


def profile_field(kind: str, read: str) -> str:
    """The profile field that a reading of a paper of this kind speaks of; "" for none."""
    return _OF_KIND.get(kind, {}).get(read, _ANY_KIND.get(read, ""))


def stated_by_being(kind: str) -> tuple[tuple[str, str], ...]:
    """(field, value) that a paper of this kind states by being there."""
    return _BY_BEING.get(kind, ())


def agree(field: str, one: Value, other: Value) -> bool:
    """Whether two values of a field are the same: amounts within a tenth, words without spaces and marks."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other))
    left, right = (re.sub(r"[\s()（）·\-]", "", str(value)).upper() for value in (one, other))
    if field == "address":
        return left in right or right in left
    return left == right


def is_identity(field: str) -> bool:
    return FIELD_KINDS.get(field, "") != "" or field == "former_employer"


def shown(field: str, value: Value | None) -> Value | None:
    """The value as the artefact may hold it: identity values as stars."""
    if value is None or not is_identity(field):
        return value
    kind = "employer" if field == "former_employer" else FIELD_KINDS[field]
    return stars(kind, str(value), str(value))


def birth_date_of(id_card: str) -> str | None:
    """The date of birth that a resident id of 18 characters holds."""
    try:
        return (
            date(int(id_card[6:10]), int(id_card[10:12]), int(id_card[12:14])).isoformat()
            if len(id_card) == 18
            else None
        )
    except ValueError:
        return None
