"""Does the right answer stay the same? Every variant is put through these checks; one that fails is not asked.

A check compares the fields before and after and names what changed, or says nothing.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.perturb import protect
from evals.perturb.content import same_content
from evals.perturb.numerals import UNIT, values
from evals.perturb.ordering import is_permutation, is_subsequence, needed
from evals.perturb.readings import readings
from evals.perturb.script import simplified
from evals.perturb.slots import Asked, Kind, gold_strings, materials, replaced, slots, strings
from tianjing.records import Message
from tianjing.tasks import Fields, Reference
from tianjing.text import HAN_DIGITS, compact

_PLAIN_NUMBER = re.compile(rf"[\d,.{HAN_DIGITS}十百千万亿]+{UNIT}?")
_WRONG_DRAWS = 6


def texts_changed(asked: Asked, after: Fields) -> str | None:
    """Only texts that are worded anew differ, and each keeps what it says."""
    before = list(slots(asked))
    emptied = {slot.path: "" for slot in before}
    try:
        if replaced(asked.fields, emptied) != replaced(after, emptied):
            return "something else changed"
        changed = {slot.path: _at(after, slot.path) for slot in before}
    except (KeyError, IndexError, TypeError):
        return "something else changed"
    return next(
        (reason for slot in before for reason in [said_the_same(slot.text, changed[slot.path], slot.kind)] if reason),
        None,
    )


def converted(asked: Asked, after: Fields) -> str | None:
    """Only the script of texts differs: read back, they are the same to the character."""
    try:
        texts = {slot.path: simplified(_at(after, slot.path)) for slot in slots(asked)}
    except (KeyError, IndexError, TypeError):
        return "something else changed"
    return None if replaced(after, texts) == dict(asked.fields) else "characters"


def said_the_same(before: str, after: str, kind: Kind) -> str | None:
    """What of the numbers, quantities, negations, names, deciding words or the rest of a text got lost or was added."""
    if before == after:
        return None
    for reason, find in _FOUND.items():
        if Counter(find(before)) != Counter(find(after)):
            return reason
    if readings(before) != readings(after):
        return "readings of a number"
    if any(found not in after for found in protect.personal_data(before)):
        return "personal data"
    return None if same_content(before, after, kind) else "words"


_FOUND: dict[str, Callable[[str], Sequence[str]]] = {
    "numbers": values,
    "quantities": protect.QUANTITY.findall,
    "negations": protect.NEGATION.findall,
    "pauses behind negations": protect.PAUSED_NEGATION.findall,
    "names": protect.names,
    "deciding words": protect.deciding_words,
}


def reordered(asked: Asked, after: Fields) -> str | None:
    """Lists of material hold the same entries; nothing else differs."""
    lists = materials(asked.fields)
    if not _same_but(asked.fields, after, lists):
        return "something else changed"
    return None if all(is_permutation(lists[name], after[name]) for name in lists) else "entries"


def options_permuted(asked: Asked, after: Fields) -> str | None:
    """Each option keeps its id, and is read as the same answer."""
    if not _same_but(asked.fields, after, ("options", "ids")):
        return "something else changed"
    pairs = [list(zip(fields["options"], fields["ids"], strict=True)) for fields in (asked.fields, after)]
    if not is_permutation(*pairs) or len(after["options"]) != len(after["ids"]):
        return "options"
    for text in asked.fields["options"]:
        readings = [asked.task.read(text, fields).answer for fields in (asked.fields, after)]
        if readings[0] != readings[1]:
            return "reading of an option"
    return None


def left_out(asked: Asked, after: Fields) -> str | None:
    """What is left of the lists stands in its order and holds all that the right answer needs."""
    lists = materials(asked.fields)
    if not _same_but(asked.fields, after, lists):
        return "something else changed"
    for name, entries in lists.items():
        gone = [entry for entry in entries if entry not in after[name]]
        if not is_subsequence(after[name], entries):
            return "entries"
        if any(needed(entry, asked.reference) for entry in gone):
            return "what the answer needs"
    return None


def added(asked: Asked, after: Fields) -> str | None:
    """All turns and clauses stand in their order; added turns say nothing that could decide anything."""
    if not _same_but(asked.fields, after, ("turns", "clauses")):
        return "something else changed"
    for name in ("turns", "clauses"):
        if not is_subsequence(asked.fields.get(name, ()), after.get(name, ())):
            return "entries"
    if asked.fields.get("turns", [])[-1:] != after.get("turns", [])[-1:]:
        return "last turn"
    labels = [clause["label"] for clause in after.get("clauses", ())]
    if len(set(labels)) < len(labels):
        return "labels"
    news = [turn["text"] for turn in after.get("turns", ()) if turn not in asked.fields["turns"]]
    return _decides(news)


def before_prompt(messages: Sequence[Message]) -> str | None:
    """Earlier messages say nothing that could decide anything."""
    return _decides([message.content for message in messages])


def _decides(texts: Sequence[str]) -> str | None:
    finders = {reason: _FOUND[reason] for reason in ("numbers", "names", "deciding words")}
    finders["personal data"] = protect.personal_data
    return next((reason for text in texts for reason, find in finders.items() if find(text)), None)


def gold_shown(asked: Asked, after: Fields) -> str | None:
    """Every quotation of the reference that stands in the fields still does."""
    shown = compact("\n".join(strings(after)))
    for text in gold_strings(asked):
        # A number may be written in another way: its value is compared, and the scorer's verdict with it.
        if not _PLAIN_NUMBER.fullmatch(text) and compact(text) not in shown:
            return "quotation"
    return None


@dataclass(frozen=True)
class Probes:
    """Answers to an item and what its scorer says of them under the item's own fields.

    Attributes:
        gold: the right answer: its text, how it is read, its score.
        wrong: answers that are wrong or say too much, with their scores.
    """

    gold: tuple[str, str | None, float]
    wrong: Mapping[str, float]


def probes(asked: Asked, references: Sequence[Reference], rng: random.Random) -> Probes:
    """The right answer; well-formed ones that ignore the input, an empty and an odd one; the right one and too much.

    Args:
        references: of rows of the same task.
    """
    gold = asked.task.target(asked.reference)
    drawn = [asked.task.format_only(asked.fields, references, rng) for _ in range(_WRONG_DRAWS)]
    # A number that the input does not state, beside the right answer, is what a scorer must go on to refuse.
    wrong = (*drawn, "", "不清楚", f"{gold}\n另需缴纳{rng.randint(5, 12)}元。", f"{gold}\n共8731元。")
    return Probes(
        (gold, *_scored(asked, gold, asked.fields)), {text: _scored(asked, text, asked.fields)[1] for text in wrong}
    )


def scored_the_same(asked: Asked, after: Fields, known: Probes) -> str | None:
    """The task's own scorer: the right answer is read and scored as before, and no wrong answer scores more."""
    text, answer, score = known.gold
    if _scored(asked, text, after) != (answer, score):
        return "score of the right answer"
    if any(_scored(asked, text, after)[1] > score for text, score in known.wrong.items()):
        return "score of a wrong answer"
    return None


def _scored(asked: Asked, text: str, fields: Fields) -> tuple[str | None, float]:
    reading = asked.task.read(text, fields)
    return reading.answer, asked.task.score(reading, asked.reference, fields)


def _same_but(before: Fields, after: Fields, names: Mapping[str, Any] | Sequence[str]) -> bool:
    return {name: value for name, value in before.items() if name not in names} == {
        name: value for name, value in after.items() if name not in names
    } and all(name in after for name in before)


def _at(fields: Fields, path: Sequence[str | int]) -> str:
    value: Any = fields
    for part in path:
        value = value[part]
    return str(value)
