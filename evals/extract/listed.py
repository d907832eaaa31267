"""A list of options behind what announces the answer (The correct answers are: - A. … - B. …): its letters alone."""

from __future__ import annotations

import re

from evals.extract.options import Options

_ANNOUNCED = re.compile(
    r"(?:答案|正确的?(?:选项|说法)|应选|故选)[^。;:\n不非未错误]{0,6}:?|正确的(?:有|是|包括|为)?:|"
    r"(?i:\b(?:correct|right)\s+(?:answer|option|choice)s?(?:\s+(?:is|are))?\s*:|^\W*answers?(?:\s+(?:is|are))?\s*:)"
)
_ITEM = re.compile(
    r"\s*(?:[-•·]\s*)?(?:\(?\d{1,2}\s*[.、)]\s*)?[(\[【]?(?P<letter>[A-J])(?![A-Za-z])(?:选项|项)?\s*[.、:)\]】]?\s*(?P<said>.*)"
)

_BEHIND = re.compile(r"\s*(?:$|[,:;(。.—-])")


def with_letters_of_list(text: str, known: Options) -> str:
    """`text` with A、B、C in place of such a list, where several options may be right and some are listed."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not known.multiple or not _ends_in_announcement(line):
            continue
        letters, end = _letters(lines, number + 1, known)
        if 1 < len(letters) < len(known.letters):
            return "\n".join([*lines[: number + 1], "、".join(letters) + "。", *lines[end:]])
    return text


def _ends_in_announcement(line: str) -> bool:
    return any(match.end() == len(line.rstrip()) for match in _ANNOUNCED.finditer(line))


def _letters(lines: list[str], start: int, known: Options) -> tuple[str, int]:
    """The letters of the items from `start` on, and the line behind the last of them."""
    letters, end = "", start
    for number in range(start, len(lines)):
        item = _ITEM.fullmatch(lines[number])
        if item is None or item["letter"] in letters or not _is_own(item, known):
            if lines[number].strip():
                break
            continue
        letters, end = letters + item["letter"], number + 1
    return letters, end


def _is_own(item: re.Match[str], known: Options) -> bool:
    """Whether nothing stands behind the letter, or the text of its option with or without a reason."""
    name = known.name_of(item["letter"])
    own = name != "" and item["said"].startswith(name) and _BEHIND.match(item["said"], len(name)) is not None
    return item["letter"] in known.letters and (own or not item["said"].strip())
