"""The families of perturbations: what each changes, what is expected of an answer, and the check it is put through.

Invariance classes as in CheckList (Ribeiro et al., ACL 2020). INV: the answer must stay the same, so read the agreement
with the unchanged item. DIR: the score is expected to move one way or not at all. MFT: a minimum that must be mastered,
so read the score itself. The right answer is the same under all of them.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evals.perturb import checks, noise, ordering, protect, rewording, surroundings
from evals.perturb.layout import LAYOUTS, lay_out, same_words
from evals.perturb.numerals import respell
from evals.perturb.script import traditional
from evals.perturb.slots import Asked, Kind, gold_strings, replaced, slots
from evals.records import Variant

Invariance = Literal["INV", "DIR", "MFT"]
Check = Callable[[Asked, Variant], str | None]
Make = Callable[[Asked, str, random.Random], Variant | None]


@dataclass(frozen=True)
class Family:
    """One kind of change.

    Attributes:
        name: of the condition, before its suffix: `option` of `option2`.
        suffix: pattern of what may follow the name.
        members: suffixes for an item where a plan names the family alone.
        make: the variant of an item, None where it does not apply or changes nothing.
        check: what became of the right answer, None where it is the same.
        checked: what the check shows, for `Variant.check`.
    """

    name: str
    title: str
    invariance: Invariance
    suffix: str
    members: Callable[[Asked], Sequence[str]]
    make: Make
    check: Check
    checked: str


def vary(
    asked: Asked, names: Sequence[str], seed: str, references: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Variant], dict[str, str]]:
    """The variants of one item under the named conditions, and why it has none under the others.

    Args:
        names: families, which give all their members, or single conditions (`option`, `option2`).
        seed: the same seed gives the same variants, whatever other conditions are named.
        references: of rows of the same task, for the answers that are scored before and after.
    """
    variants: dict[str, Variant] = {}
    dropped: dict[str, str] = {}
    # Made when the first variant needs them, for all of the item.
    known = functools.cache(lambda: checks.probes(asked, references, random.Random(f"{seed}/probes")))
    for name in expanded(asked, names):
        family = family_of(name)
        variant = family.make(asked, name.removeprefix(family.name), random.Random(f"{seed}/{name}"))
        reason = NOT_APPLICABLE if variant is None else refused(asked, family, variant, known)
        if variant is not None and reason is None:
            variants[name] = variant
        else:
            dropped[name] = str(reason)
    return variants, dropped


NOT_APPLICABLE = "does not apply"


def refused(asked: Asked, family: Family, variant: Variant, known: Callable[[], checks.Probes]) -> str | None:
    """Which check says that the right answer may no longer be the same; None where none does.

    Args:
        known: gives the answers to be scored before and after.
    """
    reason = family.check(asked, variant)
    if reason is not None or variant.fields is None:
        return reason
    reason = checks.gold_shown(asked, variant.fields)
    # The letter of an option says another thing once the options have moved: there each option is read instead.
    if reason is None and family.name != "option":
        reason = checks.scored_the_same(asked, variant.fields, known())
    return reason


def expanded(asked: Asked, names: Sequence[str]) -> list[str]:
    """Conditions for an item: a family's name gives its members, or stands alone where it has none for the item."""
    found: dict[str, None] = {}
    for name in names:
        family = family_of(name)
        whole = name == family.name and not re.fullmatch(family.suffix, "")
        members = [family.name + suffix for suffix in family.members(asked)] if whole else [name]
        found |= dict.fromkeys(members or [name])
    return list(found)


def family_of(name: str) -> Family:
    """The family of a condition.

    Raises:
        KeyError: there is none.
    """
    for family in FAMILIES:
        if re.fullmatch(f"{family.name}(?:{family.suffix})?", name):
            return family
    raise KeyError(name)


def _none(asked: Asked) -> Sequence[str]:
    return ("",)


def _on_texts(change: Callable[[Asked, str, Kind, random.Random], str], kinds: Sequence[Kind], last: bool) -> Make:
    """A change of the texts of some kinds: of the customer's last words alone, or of all of them."""

    def make(asked: Asked, suffix: str, rng: random.Random) -> Variant | None:
        found = [slot for slot in slots(asked) if slot.kind in kinds]
        texts = {slot.path: change(asked, slot.text, slot.kind, rng) for slot in (found[-1:] if last else found)}
        return _variant(asked, replaced(asked.fields, texts), _TEXTS)

    return make


def _variant(asked: Asked, fields: Mapping[str, Any] | None, checked: str) -> Variant | None:
    if fields is None or fields == asked.fields:
        return None
    return Variant(fields=dict(fields), check=checked)


def _with_noise(error: Callable[[str, Sequence[bool], random.Random], str]) -> Callable[..., str]:
    def change(asked: Asked, text: str, kind: Kind, rng: random.Random) -> str:
        return error(text, protect.untouchable(text, gold_strings(asked)), rng)

    return change


def _quoted(asked: Asked, text: str) -> bool:
    """Whether the right answer quotes words of the text."""
    return any(gold in text for gold in gold_strings(asked))


def _reworded(asked: Asked, text: str, kind: Kind, rng: random.Random) -> str:
    return rewording.reword(text, kind, rng, _quoted(asked, text))


def _register(asked: Asked, suffix: str, rng: random.Random) -> Variant | None:
    def change(asked: Asked, text: str, kind: Kind, rng: random.Random) -> str:
        return rewording.in_register(text, suffix, kind, rng, _quoted(asked, text))

    return _on_texts(change, _talk, last=True)(asked, suffix, rng)


def _respelt(asked: Asked, text: str, kind: Kind, rng: random.Random) -> str:
    return respell(text, rng)


def _fields(change: Callable[[Asked, str, random.Random], dict[str, Any] | None], checked: str) -> Make:
    return lambda asked, suffix, rng: _variant(asked, change(asked, suffix, rng), checked)


def _around(
    change: Callable[[Asked, str, random.Random], tuple[dict[str, Any] | None, tuple[Any, ...]]],
) -> Make:
    def make(asked: Asked, suffix: str, rng: random.Random) -> Variant | None:
        fields, before = change(asked, suffix, rng)
        return Variant(fields=fields, before=before, check=_ADDED) if fields or before else None

    return make


def _laid_out(asked: Asked, suffix: str, rng: random.Random) -> Variant | None:
    text = asked.task.render(asked.fields)
    return Variant(layout=suffix, check=_WORDS) if lay_out(text, suffix) != text else None


def _check_layout(asked: Asked, variant: Variant) -> str | None:
    text = asked.task.render(asked.fields)
    return None if same_words(text, lay_out(text, variant.layout)) else "words"


def _check_fields(check: Callable[[Asked, Any], str | None]) -> Check:
    return lambda asked, variant: check(asked, variant.fields)


def _check_added(asked: Asked, variant: Variant) -> str | None:
    return checks.added(asked, variant.fields or asked.fields) or checks.before_prompt(variant.before)


def _unchanged(asked: Asked, variant: Variant) -> str | None:
    return None


_TEXTS = "numbers by value, quantities, negations, names, deciding words and quotations are the same; scored the same"
_WORDS = "the same words in the same order"
_READS_BACK = "reads back to the same text; quotations are the same; scored the same"
_ORDER = "the same entries; scored the same"
_OPTIONS = "each option keeps its id and is read as the same answer"
_NEEDED = "what the answer needs is there; scored the same"
_ADDED = "nothing given is gone, nothing that decides is added; scored the same"
_SAME = "the input is untouched"

_texts = _check_fields(checks.texts_changed)
_talk: tuple[Kind, ...] = ("spoken", "asked")

FAMILIES: tuple[Family, ...] = (
    Family(
        "wording", "another wording of the instruction", "INV", r"[1-9]\d*", lambda asked: ("1", "2"),
        lambda asked, suffix, rng: Variant(wording=int(suffix), check=_SAME), _unchanged, _SAME,
    ),
    Family(
        "text", "the customer's words: politeness, fillers, punctuation, counts", "INV", "", _none,
        _on_texts(_reworded, _talk, last=True), _texts, _TEXTS,
    ),
    Family(
        "register", "formal, colloquial or dialect words", "INV", "|".join(rewording.REGISTERS),
        lambda asked: rewording.REGISTERS, _register, _texts, _TEXTS,
    ),
    Family(
        "numerals", "another form of the numbers: 1.5万, 15000, 一万五千; 15%, 百分之十五; dates", "INV", "", _none,
        _on_texts(_respelt, (*_talk, "answered", "exam", "document"), last=False), _texts, _TEXTS,
    ),
    Family(
        "asr", "as a speech recogniser hears it", "INV", "", _none,
        _on_texts(_with_noise(noise.heard), _talk, last=False), _texts, _TEXTS,
    ),
    Family(
        "typo", "as it is typed in a hurry", "INV", "", _none,
        _on_texts(_with_noise(noise.typed), _talk, last=False), _texts, _TEXTS,
    ),
    Family(
        "ocr", "as a scanner reads a document", "INV", "", _none,
        _on_texts(_with_noise(noise.scanned), ("document",), last=False), _texts, _TEXTS,
    ),
    Family(
        "traditional", "the customer's words in traditional characters", "INV", "", _none,
        _on_texts(lambda asked, text, kind, rng: traditional(text), _talk, last=False),
        _check_fields(checks.converted), _READS_BACK,
    ),
    Family(
        "layout", "width, spaces, blank lines, brackets or Markdown of the prompt", "INV", "|".join(LAYOUTS),
        lambda asked: tuple(LAYOUTS), _laid_out, _check_layout, _WORDS,
    ),
    Family(
        "option", "rotations of the options, and their reverse", "INV", rf"[1-9]\d*|{ordering.REVERSED}",
        ordering.option_names, _fields(ordering.permuted_options, _OPTIONS),
        _check_fields(checks.options_permuted), _OPTIONS,
    ),
    Family(
        "order", "rotations of clauses, rules, intents or practices, and their reverse", "INV",
        rf"[1-9]\d*|{ordering.REVERSED}", ordering.order_names, _fields(ordering.reordered, _ORDER),
        _check_fields(checks.reordered), _ORDER,
    ),
    Family(
        "distractor", "small talk in the dialogue, or a chat before the prompt", "INV", "", _none,
        _around(surroundings.distracted), _check_added, _ADDED,
    ),
    Family(
        "context", "unrelated material up to so many thousand characters", "INV", r"[1-9]\d?k", lambda asked: ("2k",),
        _around(surroundings.padded), _check_added, _ADDED,
    ),
    Family(
        "fewer", "one entry less that the answer does not need; the score should not fall", "DIR", "", _none,
        _fields(ordering.fewer, _NEEDED), _check_fields(checks.left_out), _NEEDED,
    ),
    Family(
        "alone", "only the material that the answer needs", "MFT", "", _none,
        _fields(ordering.alone, _NEEDED), _check_fields(checks.left_out), _NEEDED,
    ),
    Family(
        "concurrent", "the same prompt, asked beside so many others", "INV", r"[1-9]\d*",
        lambda asked: ("1", "8", "32"),
        lambda asked, suffix, rng: Variant(concurrency=int(suffix), check=_SAME), _unchanged, _SAME,
    ),
)  # fmt: skip
