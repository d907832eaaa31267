"""Checks on the characters themselves: numbers and codes of mainland China, each by its own standard."""

from __future__ import annotations

import datetime
from typing import Final

# GB 11643-1999: weights of the first 17 digits; the remainder mod 11 (ISO 7064 MOD 11-2) selects the check character.
_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK: Final = "10X98765432"
# GB/T 2260: first two digits of the area code (province level).
_PROVINCE_CODES: Final = """
11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83
"""
_PROVINCES: Final = frozenset(_PROVINCE_CODES.split())
# GB 32100-2015: alphabet without I O S V Z; weight of position i is 3 to the power i, mod 31.
_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS: Final = tuple(pow(3, index, 31) for index in range(17))
# First character: the registering department.
_CREDIT_DEPARTMENTS: Final = frozenset("123456789ANY")


def resident_id_check(digits: str) -> str:
    """Check character of the first 17 digits of a resident id.

    Raises:
        ValueError: not 17 digits.
    """
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, digits, strict=True))
    return _ID_CHECK[total % 11]


def is_resident_id(digits: str, *, checksum: bool = True) -> bool:
    """18 characters (the last 0-9 or X) or the old 15 digits.

    Area and birth date must be possible, and the check character right unless `checksum` is waived.
    """
    if len(digits) == 15:
        return _is_ascii_digits(digits) and digits[:2] in _PROVINCES and is_date("19" + digits[6:12])
    if len(digits) != 18 or not _is_ascii_digits(digits[:17]):
        return False
    # The permanent residence card of 2023: 9, the province of issue, the country.
    area = digits[1:3] if digits[0] == "9" else digits[:2]
    if area not in _PROVINCES or not is_date(digits[6:14]):
        return False
    return not checksum or resident_id_check(digits[:17]) == digits[17]


def is_permit_id(digits: str) -> bool:
    """Whether an 18-character number that passed `is_resident_id` belongs to a permit.

    9 opens a foreigner's permanent residence card, 81, 82 and 83 the residence permits of Hong Kong, Macao and Taiwan.
    """
    return len(digits) == 18 and (digits[0] == "9" or digits[:2] in ("81", "82", "83"))


def is_date(digits: str) -> bool:
    """YYYYMMDD of a day that exists, 1900 to 2040."""
    try:
        return 1900 <= datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year <= 2040
    except ValueError:
        return False


def luhn_check(digits: str) -> str:
    """The digit that makes `digits` followed by it pass `is_luhn`."""
    return str(-_luhn_sum(digits + "0") % 10)


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1 annex B)."""
    return _is_ascii_digits(digits) and _luhn_sum(digits) % 10 == 0


def _luhn_sum(digits: str) -> int:
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total


def is_card_prefix(digits: str) -> bool:
    """Whether a card of this length is issued under this prefix in China.

    UnionPay 62 (16 to 19 digits), Visa 4, Mastercard 51-55 and 22-27, JCB 35 (16), American Express 34 and 37 (15),
    and the debit cards that banks issued before the common prefix: 9558, 601, 603 and 690 (16 to 19).
    """
    length = len(digits)
    if digits.startswith(("62", "9558", "603", "601", "690")):
        return 16 <= length <= 19
    if digits[:2] in ("34", "37"):
        return length == 15
    return length == 16 and (
        digits[0] == "4" or "51" <= digits[:2] <= "55" or "2221" <= digits[:4] <= "2720" or digits[:2] == "35"
    )


def is_mobile(digits: str) -> bool:
    """1[3-9] and nine more digits, also with 0086, 86 or 0 in front."""
    if len(digits) == 15 and digits.startswith("0086"):
        digits = digits[4:]
    elif len(digits) == 13 and digits.startswith("86"):
        digits = digits[2:]
    elif len(digits) == 12 and digits.startswith("0"):
        digits = digits[1:]
    return len(digits) == 11 and _is_ascii_digits(digits) and digits[0] == "1" and digits[1] in "3456789"


def is_landline(digits: str) -> bool:
    """Area code (010, 02x, or 0[3-9]xx) and a number of seven or eight digits that does not start with 0 or 1.

    With 86 in front the 0 of the area code falls away.
    """
    prefix = next((code for code in ("0086", "86") if digits.startswith(code)), "")
    if prefix and not digits.startswith("860"):
        digits = "0" + digits[len(prefix) :].removeprefix("0")
    if not _is_ascii_digits(digits) or not 10 <= len(digits) <= 12 or digits[0] != "0":
        return False
    if digits[1] == "0" or (digits[1] == "1" and digits[2] != "0"):
        return False
    area = 3 if digits[1] in "12" else 4
    return len(digits) - area in (7, 8) and digits[area] in "23456789"


def credit_code_check(body: str) -> str:
    """Check character of the first 17 characters of a unified social credit code.

    Raises:
        ValueError: not 17 characters, or one that is not in the code's alphabet.
    """
    total = sum(weight * _CREDIT_ALPHABET.index(char) for weight, char in zip(_CREDIT_WEIGHTS, body, strict=True))
    return _CREDIT_ALPHABET[-total % 31]


def is_credit_code(code: str) -> bool:
    """Unified social credit code (统一社会信用代码) of 18 capital letters and digits, with its check character."""
    if (
        len(code) != 18
        or code[0] not in _CREDIT_DEPARTMENTS
        or code[1] not in "1234569"
        or not _is_ascii_digits(code[2:8])
    ):
        return False
    return all(char in _CREDIT_ALPHABET for char in code) and credit_code_check(code[:17]) == code[17]


def _is_ascii_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
