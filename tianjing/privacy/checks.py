"""Checks on the digits themselves: resident ID, bank card, mobile and landline numbers of mainland China."""

from __future__ import annotations

import datetime

# GB 11643-1999: weights of the first 17 digits; the remainder mod 11 selects the check character.
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECK = "10X98765432"
# GB/T 2260: first two digits of the area code (province level); 9 opens a foreigner's permanent residence card.
_PROVINCE_CODES = """
11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83 91
"""
_PROVINCES = frozenset(_PROVINCE_CODES.split())


def is_resident_id(digits: str, *, checksum: bool = True) -> bool:
    """18 characters (the last 0-9 or X) or the old 15 digits.

    Area and birth date must be possible, and the check character right unless `checksum` is waived.
    """
    if len(digits) == 15:
        return digits.isdigit() and digits[:2] in _PROVINCES and _is_date("19" + digits[6:12])
    if len(digits) != 18 or not digits[:17].isdigit():
        return False
    if digits[:2] not in _PROVINCES or not _is_date(digits[6:14]):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, digits, strict=False))
    return not checksum or _ID_CHECK[total % 11] == digits[17]


def _is_date(digits: str) -> bool:
    try:
        return 1900 <= datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year <= 2040
    except ValueError:
        return False


def is_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    if not digits.isdigit():
        return False
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_mobile(digits: str) -> bool:
    """1[3-9] and nine more digits, also with 86 or 0 in front."""
    if len(digits) == 13 and digits.startswith("86"):
        digits = digits[2:]
    elif len(digits) == 12 and digits.startswith("0"):
        digits = digits[1:]
    return len(digits) == 11 and digits.isdigit() and digits[0] == "1" and digits[1] in "3456789"


def is_landline(digits: str) -> bool:
    """Area code (010, 02x, or 0[3-9]xx) and a number of seven or eight digits that does not start with 0 or 1."""
    if not digits.isdigit() or not 10 <= len(digits) <= 12 or digits[0] != "0" or digits[1] == "0":
        return False
    area = 3 if digits[1] in "12" else 4
    return len(digits) - area in (7, 8) and digits[area] in "23456789"
