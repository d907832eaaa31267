"""Structured answers (要素抽取): the JSON object of an output, and values in one form per type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from evals.extract.found import EMPTY, TRUNCATED, Found
from evals.extract.normalise import closed_turn, fold, squeeze, strip_thought
from evals.extract.numbers import quantities

FieldType = Literal["text", "money", "number", "percent", "date", "month", "id"]

_NOTHING = {"", "无", "null", "none", "未提供", "未提及", "不详", "未知", "空", "n/a", "na", "没有", "未注明", "不适用"}
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})(?:\s*[-/.月]\s*(\d{1,2}))?|(\d{4})(\d{2})(\d{2})")
_LINE = re.compile(r"^\s*[-•*]?\s*[\"“]?([^:：\n\"”]{1,24})[\"”]?\s*[:：]\s*(.*?)\s*[,，;；]?\s*$", re.M)


def normalised(value: Any, kind: FieldType) -> str | None:
    """One spelling per value of its type; None for what says that there is none.

    Money is in yuan (1.2万元 and 12,000.00 are 12000), a date is YYYY-MM-DD, a month YYYY-MM, an id has no spaces.
    """
    if value is None:
        return None
    text = fold(json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)).strip()
    if text.lower().strip(" .-/") in _NOTHING:
        return None
    if kind in ("money", "number", "percent"):
        found = quantities(text)
        if len(found) != 1:
            return squeeze(text)
        amount = found[0].value if kind != "percent" or found[0].percent else found[0].written / 100
        return f"{amount.normalize():f}"
    if kind in ("date", "month"):
        match = _DATE.search(text)
        if match is None:
            return squeeze(text)
        year, month, day = (match[1], match[2], match[3]) if match[1] else (match[4], match[5], match[6])
        if kind == "month" or day is None:
            return f"{year}-{int(month):02d}"
        return f"{year}-{int(month):02d}-{int(day):02d}"
    if kind == "id":
        return re.sub(r"[\s\-]", "", text).upper()
    return squeeze(text)


def find_fields(text: str, types: Mapping[str, FieldType]) -> tuple[dict[str, str | None], Found]:
    """The wanted fields of the JSON object in `text`, or of its `name: value` lines; None for those without a value."""
    answer = strip_thought(text)
    if answer is None:
        return {}, Found(None, TRUNCATED, final=True)
    answer = closed_turn(answer)
    if not answer.strip():
        return {}, Found(None, EMPTY)
    value, rule = _object(answer)
    if value is None:
        lines = {name.strip(): said for name, said in _LINE.findall(answer)}
        value, rule = {name: lines[name] for name in types if name in lines} or None, "lines"
    if value is None:
        return {}, Found(None, "invalid_no_object")
    read = {name: normalised(value.get(name), kind) for name, kind in types.items()}
    return read, Found(json.dumps(read, ensure_ascii=False, sort_keys=True), rule, final=rule == "json")


def _object(text: str) -> tuple[dict[str, Any] | None, str]:
    """The first JSON object that can be read; text around it does not matter."""
    decoder = json.JSONDecoder(strict=False)
    for match in re.finditer(r"\{", text):
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except ValueError:
            continue
        if isinstance(value, dict):
            return value, "json"
    return None, "json"


def compare(said: Mapping[str, str | None], truth: Mapping[str, str | None]) -> dict[str, float]:
    """Counts over fields: `right` (null where null is right counts), `true`, `false` and `missed` values (a wrong value
    is both), `invented` values where the truth is null, `null` truths, and `exact` for the whole document."""
    counts = dict.fromkeys(("right", "true", "false", "missed", "invented", "null"), 0.0)
    for name, value in truth.items():
        found = said.get(name)
        counts["right"] += found == value
        counts["true"] += value is not None and found == value
        counts["false"] += found is not None and found != value
        counts["missed"] += value is not None and found != value
        counts["invented"] += value is None and found is not None
        counts["null"] += value is None
    return {**counts, "fields": float(len(truth)), "exact": float(counts["right"] == len(truth))}


__all__ = ["FieldType", "compare", "find_fields", "normalised"]
