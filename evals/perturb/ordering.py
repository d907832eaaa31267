"""Order and number of what is given to choose from: options, clauses, rules, intents, practices."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evals.perturb.slots import Asked, materials

REVERSED = "_reversed"
# An option that speaks of the others by letter or place (以上都对, A和C, 前两项) has no meaning at another place.
_BY_PLACE = re.compile(
    r"(?:以上|上述|前述|如上)(?:[都均皆全各所两三四五]|选项|答案|说法|内容)|前[两三四]项|后[两三四]项|其[他它余](?:选|各)项"
    r"|[两三四]者(?:都|均|皆)|(?:都|均|皆|全部)(?:[是对错]$|正确|错误|不[是对])"
    r"|(?<![A-Za-z])[A-J](?:\s*[、,，和与及或/]\s*[A-J])+(?![A-Za-z])|选项\s*[A-J]|(?<![A-Za-z])[A-J]\s*选?项"
    r"|(?:仅|只有|除了?)\s*[A-J](?![A-Za-z股类])|(?<![A-Za-z])[A-J](?:正确|错误)"
    r"|第[一二三四]个?选项|[上下]一(?:项|个选项)|最后一(?:项|个选项)"
)
# In a question 以上 is about the case; only a letter ties it to the order of its options.
_BY_LETTER = re.compile(r"选项\s*[A-J]|(?<![A-Za-z])[A-J]\s*选?项")


def option_names(asked: Asked) -> list[str]:
    """All cyclic rotations of K options but the given order, and the reverse; none where an option speaks of others."""
    options, ids = asked.fields.get("options"), asked.fields.get("ids")
    if not options or not ids or len(set(options)) < len(ids) or len(ids) < 2:
        return []
    if any(map(_BY_PLACE.search, options)) or _BY_LETTER.search(asked.fields.get("question", "")):
        return []
    rotations = [str(number) for number in range(1, len(options))]
    # Of two options the reverse is the rotation.
    return rotations + ([REVERSED] if len(options) > 2 else [])


def permuted_options(asked: Asked, suffix: str, rng: random.Random) -> dict[str, Any] | None:
    """`options` and `ids` in another order, together: the answer's content stays, its letter moves."""
    if suffix not in option_names(asked):
        return None
    fields = dict(asked.fields)
    for name in ("options", "ids"):
        fields[name] = _permuted(list(fields[name]), suffix)
    return fields


def order_names(asked: Asked) -> list[str]:
    """Rotations by 1 … K − 1 of the longest list of material, and the reverse."""
    longest = max((len(entries) for entries in materials(asked.fields).values()), default=0)
    return [str(number) for number in range(1, longest)] + ([REVERSED] if longest > 2 else [])


def reordered(asked: Asked, suffix: str, rng: random.Random) -> dict[str, Any] | None:
    """Every list of material in another order."""
    if suffix not in order_names(asked):
        return None
    lists = materials(asked.fields)
    return dict(asked.fields) | {name: _permuted(list(entries), suffix) for name, entries in lists.items()}


def _permuted(entries: list[Any], suffix: str) -> list[Any]:
    if suffix == REVERSED:
        return entries[::-1]
    shift = int(suffix) % len(entries)
    return entries[shift:] + entries[:shift]


def fewer(asked: Asked, suffix: str, rng: random.Random) -> dict[str, Any] | None:
    """One entry of the material, or one option, that the right answer does not need is left out."""
    lists = materials(asked.fields)
    changed = {}
    for name, entries in lists.items():
        spare = [number for number, entry in enumerate(entries) if not needed(entry, asked.reference)]
        if len(entries) > 2 and spare:
            left_out = rng.choice(spare)
            changed[name] = [entry for number, entry in enumerate(entries) if number != left_out]
    return dict(asked.fields) | changed if changed else None


def alone(asked: Asked, suffix: str, rng: random.Random) -> dict[str, Any] | None:
    """Of each list of material only what the right answer needs; None where it needs nothing of a list."""
    lists = materials(asked.fields)
    changed = {name: [entry for entry in entries if needed(entry, asked.reference)] for name, entries in lists.items()}
    return dict(asked.fields) | changed if changed and all(changed.values()) else None


def needed(entry: Any, reference: Mapping[str, Any]) -> bool:
    """Whether the reference names the entry: by its id, as a practice by situation or act, as a label by itself."""
    known = {str(value) for name, value in reference.items() if isinstance(value, str) and value and name in _NAMED_BY}
    if isinstance(entry, str):
        return entry in known
    return any(str(entry.get(name)) in known for name in ("id", "situation", "act"))


_NAMED_BY = ("clause_id", "rule", "intent", "act", "situation", "answer")


def is_permutation(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether both hold the same entries, each as often."""
    left = list(before)
    for entry in after:
        if entry not in left:
            return False
        left.remove(entry)
    return not left


def is_subsequence(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    """Whether every entry of `part` stands in `whole`, in the same order."""
    entries = iter(whole)
    return all(any(entry == other for other in entries) for entry in part)
