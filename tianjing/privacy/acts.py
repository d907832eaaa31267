"""What to put in place of a finding: stars, a keyed pseudonym, or a surrogate that can never be real.

This is de-identification (去标识化): who holds the key, or enough of what is left, may still tell people apart. The
Personal Information Protection Law (个人信息保护法 第七十三条) keeps the word anonymisation (匿名化) for what
cannot be undone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from tianjing.errors import TianjingError
from tianjing.privacy.checks import credit_code_check, luhn_check, resident_id_check
from tianjing.privacy.digits import DIGITS
from tianjing.privacy.findings import KINDS, fold

# (kind, canonical value, text as it stands) -> replacement
Act = Callable[[str, str, str], str]

_MIN_KEY_BYTES = 16
_LETTERS = "abcdefghijkmnpq"  # without l and o; no digits, so that a pseudonym is never taken for a number
_PSEUDONYM_LETTERS = 12
# What is left to read of each kind: (characters at the front, at the end).
_SHOWN = {
    "mobile": (3, 4),
    "landline": (0, 2),
    "id_card": (1, 1),
    "permit": (1, 1),
    "passport": (1, 1),
    "bank_card": (0, 4),
    "plate": (2, 0),
    "name": (1, 0),
}
_GIVEN = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
_SUFFIXES = frozenset("省市区县旗镇乡村路街道巷弄里号院栋幢座楼单元层室户组期公司厂店医院学校集团银行有限责任股份分支")
_HAN_DIGITS = "零一二三四五六七八九"


def stars(kind: str, value: str, raw: str) -> str:
    """138****5678, 王**: as long as the value; what is left is too little to call or to write to."""
    front, end = _SHOWN.get(kind, (0, 0))
    if kind == "email" and "@" in value:
        return f"{value[0]}***{value[value.rindex('@') :]}"
    shown = value.split("\n")[0] if kind in _SHOWN else raw
    if len(shown) <= front + end:
        end, front = 0, min(front, max(0, len(shown) - 1))
    return shown[:front] + "*" * (len(shown) - front - end) + shown[len(shown) - end :]


class _Keyed:
    """HMAC-SHA256 over kind and value: without the key nothing can be computed back or compared."""

    def __init__(self, key: bytes):
        if len(key) < _MIN_KEY_BYTES:
            raise TianjingError(
                f"the key for pseudonyms has {len(key)} bytes, fewer than {_MIN_KEY_BYTES}",
                "make one: head -c 32 /dev/urandom > privacy.key",
            )
        self.key = key

    def _number(self, kind: str, value: str) -> int:
        digest = hmac.new(self.key, f"{kind}\n{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return int.from_bytes(digest, "big")


class Pseudonym(_Keyed):
    """〔姓名·…〕: the same for the same value under one key, unrelated under another; destroying the key cuts the link.

    Raises:
        TianjingError: the key is shorter than 16 bytes.
    """

    def __call__(self, kind: str, value: str, raw: str) -> str:
        number, letters = self._number(kind, value), ""
        for _ in range(_PSEUDONYM_LETTERS):
            number, rest = divmod(number, len(_LETTERS))
            letters += _LETTERS[rest]
        return f"〔{KINDS[kind]}·{letters}〕"


class Surrogate(_Keyed):
    """A value of the same shape, the same for the same value under one key, that nobody can have.

    Every surrogate lies outside of what is ever issued: resident ids in area 00, mobiles behind 129, local numbers
    that begin with 0, cards of issuer 00 with a wrong Luhn digit, documents with the letter O, licence plates of
    office I, e-mail under .invalid (RFC 2606), years of birth before 1890, houses 0…, people called 某….

    Raises:
        TianjingError: the key is shorter than 16 bytes.
    """

    def __call__(self, kind: str, value: str, raw: str) -> str:
        number = self._number(kind, value)
        value = value.split("\n")[0]
        make = getattr(self, f"_{kind}", None)
        return make(number, value) if make else self._shape(number, fold(raw))

    def _mobile(self, number: int, value: str) -> str:
        return f"129{number % 10**8:08}"

    def _landline(self, number: int, value: str) -> str:
        area = "" if value[0] != "0" else value[: 3 if value[1] in "12" else 4]
        return area + _digits(number, len(value) - len(area), "0")

    def _id_card(self, number: int, value: str) -> str:
        if len(value) != 18:
            return _digits(number, len(value), "00")
        body = f"00{number % 10**4:04}18{number // 10**4 % 90:02}{number // 10**6 % 12 + 1:02}"
        body += f"{number // 10**8 % 28 + 1:02}{number // 10**10 % 1000:03}"
        return body + resident_id_check(body)

    def _permit(self, number: int, value: str) -> str:
        if len(value) == 18:
            return self._id_card(number, value)
        if value[:3].isalpha():
            return "QQQO" + _digits(number, len(value) - 4)  # QQ is no country code of ISO 3166
        return "O" + _digits(number, len(value) - 1)

    def _passport(self, number: int, value: str) -> str:
        return "O" + _digits(number, len(value) - 1)

    def _bank_card(self, number: int, value: str) -> str:
        body = _digits(number, len(value) - 1, "00")
        return body + str((int(luhn_check(body)) + 1) % 10)

    def _credit_code(self, number: int, value: str) -> str:
        body = _digits(number, 17, "00000000")
        right = credit_code_check(body)
        return body + ("1" if right == "0" else "0")

    def _plate(self, number: int, value: str) -> str:
        return value[:1] + "I" + _digits(number, len(value) - 2)

    def _email(self, number: int, value: str) -> str:
        return f"u{number % 16**10:010x}@example.invalid"

    def _wechat(self, number: int, value: str) -> str:
        return "_" + _digits(number, len(value) - 1)  # an id begins with a letter

    def _qq(self, number: int, value: str) -> str:
        return _digits(number, len(value), "0")

    def _name(self, number: int, value: str) -> str:
        given = ""
        for _ in value[1:]:
            number, rest = divmod(number, len(_GIVEN))
            given += _GIVEN[rest]
        return "某" + given

    def _birth_date(self, number: int, value: str) -> str:
        parts = value.split("-")
        month, day = number // 100 % 12 + 1, number // 10_000 % 28 + 1
        year = f"18{number % 90:02}年" if len(parts[0]) == 4 else ""
        with_day = len(parts) == 3 or not year
        return f"{year}{month}月" + (f"{day}日" if with_day else "")

    def _shape(self, number: int, text: str) -> str:
        """Suffixes and punctuation stay, words become 某, each run of digits begins with 0."""
        made, first = "", True
        for char in text:
            if char in DIGITS:
                number, rest = divmod(number, 10)
                digit = 0 if first else rest
                made += str(digit) if char.isascii() else _HAN_DIGITS[digit]
                first = False
                continue
            first = True
            made += char if char in _SUFFIXES or not char.isalnum() else "某" if not char.isascii() else "x"
        return made


def _digits(number: int, length: int, prefix: str = "") -> str:
    return (prefix + f"{number % 10**length:0{length}}")[:length]
