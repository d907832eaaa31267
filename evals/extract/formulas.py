"""Formulas, powers of ten, fractions and spaced thousands, written out as the one number that each is."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_FORMULA = re.compile(r"\$(?=[^$\n一-鿿]*\$)([^$\n]*)\$")
_TEXT = re.compile(r"\\(?:text|mathrm)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(-?\d+(?:\.\d+)?)\s*\}\s*\{\s*(\d+(?:\.\d+)?)\s*\}")
_SLASH = re.compile(r"(^|[:=≈是为得{(]|(?:答案|结果)\s)(\s*-?\d{1,3})\s*/\s*([1-9]\d{0,3})(?![\d/.])")
_POWER = re.compile(
    r"(?<![\d.^])(?:(?P<times>\d+(?:\.\d+)?)\s*(?:×|\\times|\\cdot|[*·xX])\s*)?10\s*"
    r"(?:\^\s*(?:\{\s*)?(?P<power>[-−]?\d{1,3})(?:\s*\})?|(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})|的(?P<said>\d{1,2})次方)"
)
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
# Thousands set off by a thin or a hard space; by a plain one only right behind what announces the number.
_THIN = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_SPACED = re.compile(r"(?<=[:=≈是为])(\s*)(\d{1,3})((?: \d{3})+)(?![\d.]*\d)")


def plain_text(answer: str) -> str:
    """The answer with formulas, powers of ten and fractions written out as numbers."""
    body = _TEXT.sub(r"\1", _FORMULA.sub(r"\1", answer.replace("{,}", ",").replace("\\$", "$")))
    body = _POWER.sub(lambda m: f"{m['times'] or 1}e{_exponent(m)}", body)
    body = unicodedata.normalize("NFKC", _THIN.sub("", body)).replace("**", "").replace("−", "-").replace("\\%", "%")
    body = _FRACTION.sub(lambda m: _ratio(m[1], m[2]), body)
    body = _SLASH.sub(lambda m: m[1] + _ratio(m[2], m[3]), body)
    return _SPACED.sub(lambda m: m[1] + m[2] + m[3].replace(" ", ""), body).replace("￥", "¥")


def _exponent(match: re.Match[str]) -> str:
    return (match["power"] or match["raised"] or match["said"]).translate(_RAISED)


def _ratio(over: str, under: str) -> str:
    return f"{Decimal(over.strip()) / Decimal(under):f}" if Decimal(under) else f"{over}/{under}"
