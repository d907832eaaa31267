"""An option's text beside its letter, or announced in its stead: the letter alone says as much.

Where a text stands is found first and what is around it read by patterns common to all options: patterns made anew for
each question took nine tenths of the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evals.extract.cues import IN_BRACKETS

_NEAR = 48  # no announcement is longer
_LETTER = r"(?<![A-Za-z0-9])(?P<letter>[A-J])\s*(?:选项|项)?"
_BEFORE = re.compile(rf"{_LETTER}\s*[.、:)\]—-]*\s*\Z")
_BEFORE_BRACKET = re.compile(rf"{_LETTER}\s*[.、:—-]*\s*\(\Z")
_GOES_ON = re.compile(r"[a-z0-9%]|[A-Z](?![一-鿿 .、])|(?![和与及])[一-鿿]")
_ANNOUNCES = re.compile(
    r"(?:(?:答案|正确(?:选项|说法|的)|最终作答|应选|故选|选择|选|(?<!确)(?<!判)(?<!不)定)(?:应该?|应当|取)?(?:是|为|:|】|→|\s)*|→\s*|"
    r"(?:不属于|不包括|错误|不正确|不符合)[^。;,\n]{0,14}?的?(?:选项|"
    r"说法)?(?:是|为))\Z"
)
_EXCEPT, _EXCEPTED = re.compile(r"除了?\Z"), re.compile(r"[^。;,\n]{2,30}外")
_ENDS = re.compile(r"[\"”」]?(?=[。;,\n外]|以外|之外|那个|这一?[项个]|$)")
_LETTER_BEHIND = re.compile(r"\s*\(\s*(?:选项)?\s*(?P<letter>[A-J])\s*(?:选?项)?\)")


def without_texts(text: str, names: dict[str, str], multiple: bool) -> str:
    """`text` with the letter alone where an option's text stands beside it, or is announced.

    Args:
        names: letter to the folded text of its option, two characters or more.
    """
    spans = sorted(span for letter, name in names.items() for span in _behind_letter(text, letter, name))
    text = _replaced(text, spans)
    for letter, name in names.items():
        if name in text:  # 答案是次级类, 次级类（C）
            text = _replaced(text, _announced(text, letter, name))
            marked = letter if multiple else f"选{letter}{IN_BRACKETS}"
            text = _replaced(text, _before_letter(text, letter, name, marked))
    return text


def _replaced(text: str, spans: Iterator[tuple[int, int, str]] | list[tuple[int, int, str]]) -> str:
    """`text` with each span in its order replaced; of two that overlap, the first."""
    parts: list[str] = []
    last = 0
    for start, end, said in spans:
        if start >= last:
            parts += text[last:start], said
            last = end
    return "".join((*parts, text[last:])) if parts else text


def _places(text: str, name: str) -> Iterator[tuple[int, int]]:
    start = text.find(name)
    while start >= 0:
        yield start, start + len(name)
        start = text.find(name, start + 1)


def _behind_letter(text: str, letter: str, name: str) -> Iterator[tuple[int, int, str]]:
    for start, end in _places(text, name):
        bracket = _BEFORE_BRACKET.search(text, max(0, start - _NEAR), start)
        if bracket and bracket["letter"] == letter and text.startswith(")", end):
            yield bracket.start(), end + 1, letter
            continue
        head = _BEFORE.search(text, max(0, start - _NEAR), start)
        apart = text[start - 1] not in "项" + letter or "一" <= name[0] <= "鿿"
        if head and apart and head["letter"] == letter and not _GOES_ON.match(text, end):
            yield head.start(), end, letter


def _announced(text: str, letter: str, name: str) -> Iterator[tuple[int, int, str]]:
    for start, end in _places(text, name):
        start -= text[start - 1 : start] in ("“", '"', "「")
        ends = _ENDS.match(text, end)
        near = max(0, start - _NEAR)
        excepted = _EXCEPT.search(text, near, start) and _EXCEPTED.match(text, start)
        if ends and (excepted or _ANNOUNCES.search(text, near, start)):
            yield start, ends.end(), letter


def _before_letter(text: str, letter: str, name: str, marked: str) -> Iterator[tuple[int, int, str]]:
    for start, end in _places(text, name):
        behind = _LETTER_BEHIND.match(text, end)
        if behind and behind["letter"] == letter:
            yield start, behind.end(), marked
