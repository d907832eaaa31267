"""Which of a known set of labels an output names, and which keywords it has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.extract.cues import turns
from evals.extract.found import CONTRADICTION, EMPTY, SEVERAL, TRUNCATED, Found
from evals.extract.normalise import plain, squeeze, strip_thought

MISSING = "invalid_missing"
_CUE = re.compile(
    r"(?:答案|分类|类别|标签|结果|结论|情感|判断|意图|属于|应为|判定|"
    r"(?i:answer|label|category))(?:结果|类别)?(?:是|为|:|=|\s|[\"'“”‘’】\])(\[【])*"
)
_NOT = re.compile(r"(?:不是|不属于|并非|而非|排除|非|不)$")
_SEPARATORS = re.compile(r"[、,，;；\n\t/|]+|(?<=[一-鿿])\s+(?=[一-鿿])")


def find_label(text: str, labels: Sequence[str]) -> Found:
    """The one label that `text` names; of labels that contain one another, the longer.

    Order: the whole output, what is announced, what opens the output, the only label anywhere.
    """
    answer = strip_thought(text)
    if answer is None:
        return Found(None, TRUNCATED, final=True)
    body = plain(answer)
    if not body:
        return Found(None, EMPTY)
    forms = {squeeze(label): label for label in labels}
    said = squeeze(body)
    if said in forms:
        return Found(forms[said], "label", final=True)
    announced = []
    for cue in _CUE.finditer(body):
        named = _opening(squeeze(body[cue.end() : cue.end() + 80]), forms)
        if named is not None:
            announced.append((cue.start(), named))
    if announced:
        place, named = announced[0]
        for later, other in announced[1:]:
            if other != named and not turns(body[place:later]):
                return Found(None, CONTRADICTION)
            place, named = later, other
        return Found(named, "announced", final=True)
    opening = _opening(said, forms)
    if opening is not None and squeeze(body.partition("\n")[0])[: len(squeeze(opening)) + 1]:
        others = _named(said, forms) - {opening}
        if not others or re.match(r"\W", body.strip()[len(opening) : len(opening) + 1] or "\n"):
            return Found(opening, "opening", final=True)
    named_labels = _named(said, forms)
    if len(named_labels) == 1:
        return Found(named_labels.pop(), "only_label")
    return Found(None, SEVERAL if named_labels else MISSING)


def find_items(text: str) -> tuple[tuple[str, ...], Found]:
    """The items of a list answer (entities, keywords), folded; their order does not matter."""
    answer = strip_thought(text)
    if answer is None:
        return (), Found(None, TRUNCATED, final=True)
    body = plain(answer)
    body = re.sub(r"^(?:答案|结果|实体|主体|关键词)[是为:\s]*", "", body)
    items = sorted({squeeze(part) for part in _SEPARATORS.split(body)} - {""})
    if not items:
        return (), Found(None, EMPTY)
    return tuple(items), Found("、".join(items), "items")


def has_all(text: str, keywords: Sequence[str]) -> list[bool]:
    """For each keyword whether the output has it, in one width and script."""
    said = squeeze(text)
    return [squeeze(keyword) in said for keyword in keywords]


def _opening(said: str, forms: dict[str, str]) -> str | None:
    fitting = [form for form in forms if said.startswith(form)]
    return forms[max(fitting, key=len)] if fitting else None


def _named(said: str, forms: dict[str, str]) -> set[str]:
    named = set()
    for form in sorted(forms, key=len, reverse=True):
        place = said.find(form)
        if place < 0:
            continue
        if not _NOT.search(said[:place]):
            named.add(forms[form])
        said = said.replace(form, "\n")
    return named
