"""Options listed one by one with a word or a box beside each: A：是；B：否, - [x] 负债, 1. 资产：不选."""

from __future__ import annotations

import re

from evals.extract.asked import is_negative
from evals.extract.found import SEVERAL, UNREADABLE, Found
from evals.extract.normalise import squeeze
from evals.extract.options import Options

_ROWS = re.compile(r"[\n;。/]|(?<=\))\s*(?=[A-J]\s*\()|[\s,、](?=\s*[A-J]\s*[、.:(=→])|(?=[☑☐])")
_ROW = re.compile(
    r"\s*[-•]?\s*(?:\(?\d{1,2}\s*[.、)]\s*)?(?P<box>[☑☐])?\s*"
    r"(?:(?P<letter>[A-J])(?:选项|项)?(?![A-Za-z])|(?P<text>[^:,(=→—☑☐]{2,40}?))\s*(?P<said>(?:[-—:、.,(=→]|(?<=\s)\s).*)?"
)
_COLUMNS = re.compile(r"\s*([A-J](?:\s+[A-J])+)\s*\n+\s*([√×✓✗✔✘✅❌](?:\s+[√×✓✗✔✘✅❌])+)\s*")
_CLAUSE = re.compile(r"[-—:、.,()=→\s]+")
_SO = "(?:都|均|应该?|应当|可以?|就|要|须|得)*"
_TAKEN, _LEFT = re.compile(rf"{_SO}(?:选择?|当选|入选|保留)"), re.compile("不[应该能可]?(?:选|入选|当选)|排除")
_TRUE, _FALSE = re.compile(r"是|正确|对|属于|符合"), re.compile(r"否|不是|不?错误?|不正确|不对|不属于|不符合")


def by_columns(text: str, known: Options, question: str) -> Found | None:
    """A row of all letters over a row of ticks and crosses."""
    found = _COLUMNS.fullmatch(text)
    if found is None:
        return None
    heads, ticks = found[1].split(), found[2].split()
    right = "".join(head for head, tick in zip(heads, ticks, strict=False) if tick in "√✓✔✅")
    told = "".join(heads) == known.letters and len(heads) == len(ticks) and right
    return Found(right, "ticked") if told and (known.multiple or len(right) == 1) else Found(None, UNREADABLE)


def by_table(text: str, known: Options, question: str) -> tuple[str, Found] | None:
    """What stands beside the rows, and what the rows take; None unless they tell all options apart."""
    if not re.search("[☑☐]|[是否选][\\s。.;/)]|[是否选]$|错|排除", text):
        return None
    rows, rest = _told(text, known)
    if not rows:
        return None
    boxed = {letter for letter, (kind, _) in rows.items() if kind == "box"}
    right = "".join(sorted(letter for letter, (_, value) in rows.items() if value))
    if boxed:
        if len(boxed) != len(rows) or (len(rows) < len(known.letters) and "☐" in text):
            return None
        fits = len(right) == 1 or (right and known.multiple)
        return rest, Found(right, "ticked") if fits else Found(None, SEVERAL if right else UNREADABLE)
    if len(rows) < len(known.letters):
        return None
    # Beside 不属于…的是, 是 may mean that it does not belong, or that it does.
    as_truth = is_negative(question) and all(kind == "true" for kind, _ in rows.values())
    if known.multiple:
        readable = right and not as_truth
        return rest, Found(right, "verdicts") if readable else Found(None, SEVERAL if as_truth else UNREADABLE)
    if as_truth and len(right) == len(known.letters) - 1:
        right = next(letter for letter in known.letters if letter not in right)
    return rest, Found(right, "verdicts") if len(right) == 1 else Found(None, SEVERAL)


def _told(text: str, known: Options) -> tuple[dict[str, tuple[str, bool]], str]:
    """Per letter the kind of word beside it and what it says; and the text without the rows. No rows if two differ."""
    rows: dict[str, tuple[str, bool]] = {}
    rest, last = "", 0
    bounds = [*(match.span() for match in _ROWS.finditer(text)), (len(text), len(text))]
    for start, end in bounds:
        row = _ROW.fullmatch(text, last, start)
        letter, told = (_letter(row, known), _value(row)) if row else ("", None)
        if letter and told:
            if rows.setdefault(letter, told) != told:
                return {}, text
            rest += "\n"
        else:
            rest += text[last:end]
        last = end
    return rows, rest


def _letter(row: re.Match[str], known: Options) -> str:
    if row["letter"]:
        return row["letter"] if row["letter"] in known.letters else ""
    own = squeeze(row["text"])
    return known.letters[known.squeezed.index(own)] if known.squeezed.count(own) == 1 else ""


def _value(row: re.Match[str]) -> tuple[str, bool] | None:
    if row["box"]:
        return "box", row["box"] == "☑"
    words = [word for word in _CLAUSE.split(row["said"] or "") if word]
    for kind, right, wrong in (("taken", _TAKEN, _LEFT), ("true", _TRUE, _FALSE)):
        values = {bool(right.fullmatch(word)) for word in words if right.fullmatch(word) or wrong.fullmatch(word)}
        if values:
            return (kind, values.pop()) if len(values) == 1 else None
    return None
