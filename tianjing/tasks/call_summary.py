"""Call summary (通话小结) as JSON: what a call was about and what was arranged, scored field by field."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Mapping, Sequence

from tianjing.files import canonical_json
from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.talk import render_turns
from tianjing.text import compact, numbers

# Field -> what a person calls it, in the order of the answer.
FIELDS: dict[str, str] = {
    "reason": "逾期原因",
    "action": "办理事项",
    "request": "咨询条款",
    "amount": "欠款金额",
    "date": "约定日期",
}
# Fields whose value is the number in it: 2148, 2,148元 and 两千一百四十八元 are one amount.
_NUMERIC = ("amount", "date")
_WORDINGS = (
    "{turns}\n小结：",
    "请为这通电话写小结。\n{turns}",
    "通话记录：\n{turns}\n按要求的JSON写出小结。",
)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_PAIR = re.compile(
    rf"[\"“]?({'|'.join([*FIELDS, *FIELDS.values()])})[\"”]?\s*[:：]\s*(?:[\"“]([^\"”\n]*)|([^\"“”,，;；\n}}]*))"
)
_KEYS = {**{name: name for name in FIELDS}, **{title: name for name, title in FIELDS.items()}}


class CallSummary:
    """fields: turns[{speaker, text}]; reference: one string for each of FIELDS, "" for what the call does not have."""

    id = "call_summary"
    title = "通话小结（JSON）"
    max_tokens = 80
    closed = False

    def system(self) -> str:
        form = ",".join(f'"{name}":"{title}"' for name, title in FIELDS.items())
        return f"你写消费金融通话小结。只输出JSON，没有的留空：{{{form}}}"

    def render(self, fields: Fields, wording: int = 0) -> str:
        return _WORDINGS[wording % len(_WORDINGS)].format(turns=render_turns(fields["turns"]))

    def target(self, reference: Reference) -> str:
        return json.dumps({name: reference[name] for name in FIELDS}, ensure_ascii=False)

    def decisive(self, reference: Reference) -> str:
        return f'"reason": "{reference["reason"]}", "action": "{reference["action"]}"'

    def read(self, text: str, fields: Fields) -> Reading:
        """Accepts a JSON object, else the fields that stand as `name: value` (also of an object cut short)."""
        folded = unicodedata.normalize("NFKC", text).strip()
        if not folded:
            return Reading(None, "empty", {})
        rule, found = "json", _json(folded)
        if not found:
            pairs = ((_KEYS[match[1]], match[2] or match[3] or "") for match in _PAIR.finditer(folded))
            rule, found = "pairs", {name: value.strip() for name, value in pairs}
        if not found:
            return Reading(None, "unreadable", {})
        values = {name: _canonical(name, found.get(name, "")) for name in FIELDS}
        return Reading(canonical_json(values), rule, values)

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """Share of the fields that are right; 0 where an amount or a date is stated that nobody said."""
        if reading.answer is None:
            return 0.0
        spoken = _stated(" ".join(turn["text"] for turn in fields["turns"]))
        stated = {number for name in _NUMERIC for number in reading.details[name].split("+") if number}
        if not stated <= spoken:
            return 0.0
        right = [reading.details[name] == _canonical(name, reference[name]) for name in FIELDS]
        return sum(right) / len(right)

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))


def _json(text: str) -> Mapping[str, str]:
    match = _OBJECT.search(text)
    try:
        value = json.loads(match[0]) if match else None
    except json.JSONDecodeError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {_KEYS[key]: "" if item is None else str(item) for key, item in value.items() if key in _KEYS}


def _canonical(name: str, value: str) -> str:
    return "+".join(sorted(_stated(value))) if name in _NUMERIC else re.sub(r"[《》\"“”]", "", compact(value))


def _stated(text: str) -> frozenset[str]:
    """Numbers of the text, also of 十五号: a Chinese numeral is read in front of a unit, and 号 is none."""
    return numbers(text.replace("号", "日"))
