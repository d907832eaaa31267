"""How a prompt stands on the page: width of punctuation, spaces, blank lines, brackets, Markdown. No word changes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from evals.perturb.readings import readings

_WIDE = "，：；？！（）％"
_NARROW = ",:;?!()%"
_TO_NARROW = str.maketrans(_WIDE, _NARROW)
# `客户：` or `条款：` at the start of a line; a longer one is a sentence.
_LABEL = re.compile(r"^([一-鿿]{1,8})[：:]\s*(?=\S)", re.M)
# `条款：` alone on its line, with what it names below; at the end it is where the answer begins.
_HEADING = re.compile(r"^([一-鿿]{1,8})[：:][ \t]*(?=\n)", re.M)
_CUE = re.compile(r"^([一-鿿]{1,8})[：:]\s*\Z", re.M)
_NUMBERED = re.compile(r"^\[(\d+)\] ?", re.M)
_LISTED = re.compile(r"^(?=\[\d+\]|[A-Z]\d{2} )", re.M)
_OPTION = re.compile(r"^([A-J])[.．、] ?", re.M)
_SCALES = "十百千万亿"  # 1.5万 and 3万2 are one number each
_HAN_THEN_LATIN = re.compile(
    rf"(?<=[一-鿿])(?<![{_SCALES}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9%])(?=[一-鿿])(?![{_SCALES}])"
)
# 选1，2 is no 1,2, and 3，500 no 3,500.
_WIDE_MARK = re.compile(rf"(?<!\d)[{_WIDE}]|[{_WIDE}](?!\d)")
_MARKS = re.compile(r"[\s*#>`\-\[\]【】()（）:：.．、]")


def _width(text: str) -> str:
    """Full-width punctuation as half-width, as many input methods give it; where there is none, the other way."""
    narrow = _WIDE_MARK.sub(lambda match: match[0].translate(_TO_NARROW), text)
    if narrow != text:
        return narrow
    # Not inside numbers (1,000 or 9:30), URLs or JSON.
    return re.sub(r"(?<=[一-鿿])[,:;?!]", lambda match: _WIDE[_NARROW.index(match[0])], text)


def _spaces(text: str) -> str:
    """A space between Chinese characters and Latin letters or digits, as many editors set it; not in placeholders."""
    return "".join(
        part if part.startswith("〔") else _HAN_THEN_LATIN.sub(" ", part) for part in re.split(r"(〔[^〕]*〕)", text)
    )


def _lines(text: str) -> str:
    """A blank line between any two."""
    return re.sub(r"\n+", "\n\n", text)


def _brackets(text: str) -> str:
    """[1] as （1）, `客户：` as 【客户】, A. as (A)."""
    text = _NUMBERED.sub(r"（\1）", text)
    text = _HEADING.sub(r"【\1】", text)
    return _OPTION.sub(r"(\1) ", _LABEL.sub(r"【\1】", _CUE.sub(r"【\1】", text)))


def _markdown(text: str) -> str:
    """Headings, bold names and bullets."""
    text = _LISTED.sub("- ", text)
    text = _OPTION.sub(r"- **\1.** ", text)
    text = _HEADING.sub(r"### \1", text)
    return _LABEL.sub(r"**\1：**", _CUE.sub(r"**\1：**", text))


LAYOUTS: dict[str, Callable[[str], str]] = {
    "_width": _width,
    "_spaces": _spaces,
    "_lines": _lines,
    "_brackets": _brackets,
    "_markdown": _markdown,
}


def lay_out(text: str, layout: str) -> str:
    """The text in another layout; "" leaves it as it is."""
    return LAYOUTS[layout](text) if layout else text


def same_words(before: str, after: str) -> bool:
    """Whether both have the same characters in the same order but for width, white space, brackets and marks, and the
    same numbers: 3，500 and 3,500 are not."""
    return _words(before) == _words(after) and readings(before) == readings(after)


def _words(text: str) -> str:
    return _MARKS.sub("", unicodedata.normalize("NFKC", text))
