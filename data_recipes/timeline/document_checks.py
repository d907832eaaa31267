"""What must hold among the fields of one paper. A field that fails is proposed as a conflict, not believed.

Check digits: GB 11643 (resident id), GB 32100 (credit code), ISO/IEC 7812-1 (card). Amounts in figures and in capitals
(大写), sums and dates by what the words mean. A fact that was not read is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Final

from data_recipes.timeline.document_reader import FieldReading
from data_recipes.timeline.document_values import capitals_yuan
from data_recipes.timeline.profile import birth_date_of
from tianjing.privacy.checks import credit_code_check, is_luhn, is_resident_id

_CENT: Final = 0.011
# total = sum of (sign, field)
_SUMS: Final[dict[str, tuple[str, str]]] = {
    "gross_is_sum": ("gross_yuan", "+base_yuan +overtime_yuan +allowance_yuan"),
    "net_is_gross_less_deductions": ("net_yuan", "+gross_yuan -insurance_yuan -housing_fund_yuan -tax_yuan"),
    "paid_is_sum": ("paid_yuan", "+principal_yuan +interest_yuan +penalty_yuan"),
    "repaid_is_sum": ("repaid_yuan", "+principal_yuan +interest_yuan"),
    "self_paid_is_rest": ("self_paid_yuan", "+total_yuan -insured_yuan"),
    "balance_is_sum": ("balance_yuan", "+before_yuan +total_yuan"),
    "down_payment_and_loan_are_total": ("total_yuan", "+down_payment_yuan +loan_yuan"),
    "area_is_sum": ("built_square_metres", "+inner_square_metres +shared_square_metres"),
}
# product = a * b
_PRODUCTS: Final[dict[str, tuple[str, str, str]]] = {
    "total_is_months_times_benefit": ("total_benefit_yuan", "benefit_months", "monthly_benefit_yuan"),
    "total_is_months_times_rent": ("total_rent_yuan", "months", "monthly_rent_yuan"),
    "total_is_members_times_each": ("monthly_yuan", "members", "each_yuan"),
}
# each not later than the next
_ORDERS: Final = (
    "joined_on left_on issued_on",
    "admitted_on discharged_on issued_on",
    "left_on registered_on",
    "valid_from valid_to",
    "disbursed_on settled_on issued_on",
    "married_on registered_on",
    "founded_on issued_on",
    "registered_on issued_on",
    "from_on to_on issued_on",
    "issued_on frozen_until",
    "started_on graduated_on",
    "born_on retired_on issued_on",
    "signed_on starts_on ends_on",
)
# length -> its first and last day, days of its unit, and how far papers may be off
_LENGTHS: Final[dict[str, tuple[str, str, str, float, float]]] = {
    "days_fit_dates": ("days", "admitted_on", "discharged_on", 1, 0),
    "rest_fits_dates": ("rest_days", "discharged_on", "rest_until", 1, 1),
    "validity_fits_dates": ("valid_years", "valid_from", "valid_to", 365.25, 31),
    "study_years_fit": ("study_years", "started_on", "graduated_on", 365.25, 183),
    "term_fits_dates": ("term_years", "starts_on", "ends_on", 365.25, 31),
    "land_years_fit": ("land_years", "land_from", "land_until", 365.25, 31),
}
_Fields = Mapping[str, FieldReading]


def violated(fields: _Fields) -> dict[str, tuple[str, ...]]:
    """Field -> the checks that it takes part in and that fail."""
    failed: dict[str, list[str]] = {}
    for check, names in _failures(fields):
        for name in names:
            failed.setdefault(name, []).append(check)
    return {name: tuple(checks) for name, checks in failed.items()}


def _failures(fields: _Fields) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from _digits(fields)
    yield from _amounts(fields)
    yield from _dates(fields)


def _digits(fields: _Fields) -> Iterator[tuple[str, tuple[str, ...]]]:
    checks: dict[str, tuple[str, Callable[[str], bool]]] = {
        "id_number": ("id_check_digit", is_resident_id),
        "spouse_id_number": ("id_check_digit", is_resident_id),
        "card_number": ("card_check_digit", is_luhn),
        "credit_code": ("credit_code_check", lambda code: credit_code_check(code[:17]) == code[17]),
    }
    for name, (check, holds) in checks.items():
        if name in fields and not holds(str(fields[name].value)):
            yield check, (name,)
    if "sex" in fields and "id_number" in fields:
        male = str(fields["id_number"].value)[16:17] in tuple("13579")
        if male != (fields["sex"].value == "男"):
            yield "sex_as_in_id", ("sex", "id_number")
    for number, born in (("id_number", "born_on"), ("spouse_id_number", "spouse_born_on")):
        if number in fields and born in fields:
            written = birth_date_of(str(fields[number].value))
            if written is not None and written != str(fields[born].value):
                yield "birth_date_as_in_id", (number, born)


def _amounts(fields: _Fields) -> Iterator[tuple[str, tuple[str, ...]]]:
    known = {name: float(r.value) for name, r in fields.items() if isinstance(r.value, int | float)}
    for name, reading in fields.items():
        figures = name.replace("_capitals", "_yuan")
        if name.endswith("_capitals") and figures in known:
            capitals = capitals_yuan(str(reading.value))
            if capitals is not None and abs(float(capitals) - known[figures]) > _CENT:
                yield "capitals_equal_figures", (name, figures)
    for check, (total, parts) in _SUMS.items():
        names = [part[1:] for part in parts.split()]
        if all(name in known for name in (total, *names)):
            value = sum((1 if part[0] == "+" else -1) * known[part[1:]] for part in parts.split())
            if abs(value - known[total]) > _CENT:
                yield check, (total, *names)
    for check, (total, one, other) in _PRODUCTS.items():
        if all(name in known for name in (total, one, other)) and abs(known[one] * known[other] - known[total]) > _CENT:
            yield check, (total, one, other)
    month, year = known.get("monthly_income_yuan"), known.get("annual_income_yuan")
    if month is not None and year is not None and abs(12 * month - year) > 12 * _CENT:
        yield "year_is_twelve_months", ("monthly_income_yuan", "annual_income_yuan")


def _spans(fields: _Fields, days: Mapping[str, date]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Lengths that a paper states, against its own dates; the age of marriage (民法典 第一千零四十七条)."""
    counts = {name: float(r.value) for name, r in fields.items() if isinstance(r.value, int | float)}
    for check, (length, first, last, unit_days, slack_days) in _LENGTHS.items():
        known = length in counts and first in days and last in days
        if known and abs((days[last] - days[first]).days - counts[length] * unit_days) > slack_days:
            yield check, (length, first, last)
    for number, born in (("id_number", "born_on"), ("spouse_id_number", "spouse_born_on")):
        if "spouse_name" in fields and number in fields and born in days and "registered_on" in days:
            male = str(fields[number].value)[16:17] in tuple("13579")
            if (days["registered_on"] - days[born]).days < (22 if male else 20) * 365.25 - 1:
                yield "of_age", ("registered_on", born)


def _dates(fields: _Fields) -> Iterator[tuple[str, tuple[str, ...]]]:
    days = {name: r.value for name, r in fields.items() if isinstance(r.value, date)}
    for order in _ORDERS:
        names = [name for name in order.split() if name in days]
        for one, other in pairwise(names):
            if days[one] > days[other]:
                yield "dates_in_order", (one, other)
    yield from _spans(fields, days)
