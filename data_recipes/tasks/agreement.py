"""Whether an answer says what its clause says: quotation, quantities with their units, and who may or must."""

from __future__ import annotations

import re
from collections import defaultdict

from data_recipes.clauses.modality import modality
from data_recipes.clauses.quantities import quantities
from tianjing.text import compact, numbers

# Units that people use for one another. A working day (工作日) is no day (日).
_SAME_UNIT = {"天": "日", "自然日": "日", "个自然日": "日", "个工作日": "工作日", "块": "元", "周年": "年", "名": "人"}
_SAME_UNIT |= {"个月": "月", "个小时": "小时", "星期": "周", "点": "时"}
# 不得超过3次 sets a limit within which the thing is permitted.
_LIMIT = re.compile(r"(?:不得|不应当?|不可以|不准|禁止)(?=[超多高低少早晚大小](?:过|于)|延长超过)")
_EXCEPTION = re.compile(r"除外|但是?[，\s]?|例外|未经|非经")
_FORBIDS = re.compile(r"不能|不可以|不得|不许|不准|禁止|严禁|不会|不允许|不让|莫得?")
_PERMITS = re.compile(r"(?<![不没])(?:可以|允许|有权|能够)")
_WAIVES = re.compile(r"不用|不必|无需|无须|不需要|用不着|可以不")
_SENTENCE = re.compile(r"[^。；;！!？?]+")
_DEICTIC = re.compile(r"本条|本款|本项|前款|前条|前述|上述|该条|该款|该项|[这那]一?[条款项](?!短信)|下列")


def is_quotation(quote: str, text: str) -> bool:
    """Whether `quote` stands word for word in `text` (NFKC, white space folded)."""
    return bool(quote) and compact(quote) in compact(text)


def contradiction(answer: str, clause: str) -> str:
    """Why `answer` cannot rest on `clause`, "" if nothing speaks against it.

    Only what contradicts counts: an answer may leave out numbers and say nothing of what is allowed.
    """
    if not numbers(answer, claims=True) <= numbers(clause):
        return "the answer states a number the clause does not have"
    if _other_unit(answer, clause):
        return "the answer states a number of the clause in another unit"
    if _other_modality(answer, clause):
        return "the answer permits what the clause forbids, or the reverse"
    return ""


def understandable(question: str) -> bool:
    """Whether a question can be understood without the clause in view: it points at no 本条 or 上述."""
    return _DEICTIC.search(question) is None


def _other_unit(answer: str, clause: str) -> bool:
    """Whether a quantity of the answer has a number that the clause only has with other units."""
    units: dict[float, set[str]] = defaultdict(set)
    for quantity in quantities(clause):
        units[quantity.value].add(_unit(quantity.unit))
    return any(
        quantity.value in units and _unit(quantity.unit) not in units[quantity.value] for quantity in quantities(answer)
    )


def _unit(unit: str) -> str:
    return _SAME_UNIT.get(unit, unit)


def _other_modality(answer: str, clause: str) -> bool:
    """Whether all norms of the clause point one way and the answer plainly the other; exceptions are not judged."""
    if _EXCEPTION.search(clause):
        return False
    without_limits = _LIMIT.sub("", clause)
    demands = {modality(sentence) for sentence in _SENTENCE.findall(without_limits)} - {"statement"}
    forbids, permits = bool(_FORBIDS.search(answer)), bool(_PERMITS.search(answer))
    if demands == {"must_not"}:
        return permits and not forbids
    if demands == {"may"}:
        return forbids and not permits
    if demands == {"must"}:
        return bool(_WAIVES.search(answer)) and not _WAIVES.search(clause)
    return False
