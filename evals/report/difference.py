"""Two texts side by side with what differs marked. Everything is escaped: a model's output stays text."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup, escape

MAX_TEXT_CHARS = 1200

# A Latin word or a number is one unit, so that 3000 → 5000 is marked as a whole; a Chinese character is one each.
_UNIT = re.compile(r"[A-Za-z_]+|\d+(?:[.,]\d+)*%?|\s+|.", re.DOTALL)
# Below this share of common text nearly all would be marked, which helps nobody.
_ALIKE = 0.3
# A stretch of equal text this short between two differences is marked with them: no confetti.
_ISLAND = 2


def side_by_side(left: str, right: str) -> tuple[Markup, Markup]:
    """Both texts, cut where they are long; what only the left has stands in `del`, what only the right has in `ins`."""
    marked_left, marked_right = _marked(left[:MAX_TEXT_CHARS], right[:MAX_TEXT_CHARS])
    return marked_left + escape(_rest(left)), marked_right + escape(_rest(right))


def cut(text: str) -> str:
    """The text, or its beginning and how much more there is."""
    return text[:MAX_TEXT_CHARS] + _rest(text)


def _rest(text: str) -> str:
    return f"……（另有 {len(text) - MAX_TEXT_CHARS} 字）" if len(text) > MAX_TEXT_CHARS else ""


def _marked(left: str, right: str) -> tuple[Markup, Markup]:
    if left == right:
        return escape(left), escape(right)
    a, b = _UNIT.findall(left), _UNIT.findall(right)
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    # The quick bound first: it is linear, and most unlike pairs end here.
    if matcher.quick_ratio() < _ALIKE or matcher.ratio() < _ALIKE:
        return escape(left), escape(right)
    marked_left, marked_right = Markup(), Markup()
    for changed, (a1, a2), (b1, b2) in _stretches(matcher):
        old, new = "".join(a[a1:a2]), "".join(b[b1:b2])
        marked_left += Markup("<del>{}</del>").format(old) if changed and old else escape(old)
        marked_right += Markup("<ins>{}</ins>").format(new) if changed and new else escape(new)
    return marked_left, marked_right


def _stretches(matcher: SequenceMatcher[str]) -> list[tuple[bool, tuple[int, int], tuple[int, int]]]:
    """Alternating equal and changed stretches, with short equal islands taken into the change around them."""
    codes = matcher.get_opcodes()
    merged: list[tuple[bool, tuple[int, int], tuple[int, int]]] = []
    for index, (tag, a1, a2, b1, b2) in enumerate(codes):
        changed = tag != "equal" or (a2 - a1 <= _ISLAND and 0 < index < len(codes) - 1)
        if merged and merged[-1][0] == changed:
            _, (first_a, _), (first_b, _) = merged.pop()
            merged.append((changed, (first_a, a2), (first_b, b2)))
        else:
            merged.append((changed, (a1, a2), (b1, b2)))
    return merged
