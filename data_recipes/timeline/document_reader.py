"""Fields of a proof document (证明材料): by label, by shape, and by the sentences that such papers are written in.

1. A label followed by a colon, a gap or the value itself; the value ends where the next label begins. A label without
   a value on its line takes what stands below it.
2. What has a shape needs no label: resident id, credit code, card, vehicle number, address, amount in capitals; the
   name beside an id or a card.
3. Certificates are prose: 在我单位任会计, 于2025年12月24日离职; dates are told apart by the words around them, and the
   signature closes the page with the issuer and a date.

Of several readings the one with the clearest label counts, then the first on the page.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from data_recipes.timeline.document_labels import BY_KIND, COMMON, KINDS, READERS
from data_recipes.timeline.document_prose import by_prose, by_shape, by_signature, person_at
from data_recipes.timeline.document_values import Reading, dates, every, search
from data_recipes.timeline.page import Page

WAYS: Final = ("label", "gap", "prose", "shape", "within", "below", "signature")


@dataclass(frozen=True)
class FieldReading:
    """A field as read: a str, float, int or date, where it stands, and in which way it was found (`WAYS`).

    `mended` says that a character was taken for the digit that it looks like.
    """

    field: str
    value: object
    start: int
    end: int
    way: str
    mended: bool


class _Label(NamedTuple):
    fields: tuple[str, ...]
    start: int
    end: int
    colon: bool


class _Line(NamedTuple):
    start: int
    text: str
    labels: list[_Label]


# Characters that text recognition confuses, as one: labels and lines are compared under this map.
_CONFUSED: Final = str.maketrans("入曰兀己巳末士囗：；", "人日元已已未土口::")
_NAME_ENDS: Final = ("公司", "单位", "银行", "学校", "医院")
_AFTER: Final = re.compile(r"[ \t　]*(?:[（(][^（）()\n:\d壹贰叁肆伍陆柒捌玖]{1,8}[）)])?[ \t　]*(:)?")
_VALUE_AHEAD: Final = re.compile(r"[（(]?[为是约共至自]?(?:每月)?(?:人民币)?[¥￥\d壹贰叁肆伍陆柒捌玖]")
_RANGE: Final = re.compile(r"[ \t　]*起?[ \t　]*(?:至|到|—+|–|-+|~|～|起)[ \t　]*")
# of two dates with 至 between them the second is this field
_RANGE_END: Final = {
    "from_on": "to_on",
    "valid_from": "valid_to",
    "land_from": "land_until",
    "starts_on": "ends_on",
    "admitted_on": "discharged_on",
    "joined_on": "left_on",
    "started_on": "graduated_on",
}
# Types whose value may stand somewhere behind the label, with words in between.
_SEARCHED: Final = ("date", "money", "capitals", "id", "card", "code", "month")


def read_fields(page: Page, kind: str) -> dict[str, FieldReading]:
    """The fields of `page` that a document of this kind states, each at most once."""
    wanted = tuple(KINDS.get(kind, "").split()) or tuple(COMMON)
    found = list(_by_label(page.text, kind, wanted))
    found += [_field(name, reading, "prose") for name, reading in by_prose(page.text, wanted)]
    found += [_field(name, reading, "shape") for name, reading in by_shape(page.text, wanted)]
    found += [_field(name, reading, "signature") for name, reading in by_signature(page.text, wanted)]
    best: dict[str, FieldReading] = {}
    for reading in sorted(found, key=lambda r: (WAYS.index(r.way), r.start)):
        best.setdefault(reading.field, reading)
    best.update(_of_spouse(page.text, wanted, best))
    number = _unclaimed_number(page.text, best) if "number" in wanted and "number" not in best else None
    if number:
        best["number"] = number
    return {field: best[field] for field in wanted if field in best}


def _field(field: str, reading: Reading, way: str) -> FieldReading:
    return FieldReading(field, reading.value, reading.start, reading.end, way, reading.mended)


@functools.lru_cache(maxsize=64)
def _labels(kind: str, wanted: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, tuple[str, ...]]]:
    """Pattern of all labels of a kind (spaces may stand between their characters), and the fields of each."""
    fields: dict[str, list[str]] = {}
    for field in wanted:
        for label in BY_KIND.get(kind, {}).get(field, COMMON[field][1]).split():
            fields.setdefault(label.translate(_CONFUSED), []).append(field)
    words = sorted(fields, key=lambda word: (-len(word), word))
    pattern = "|".join(r"[ \t　]{0,4}".join(map(re.escape, word)) for word in words)
    return re.compile(pattern or r"(?!)"), {word: tuple(names) for word, names in fields.items()}


def _find_labels(line: str, offset: int, kind: str, wanted: tuple[str, ...]) -> list[_Label]:
    pattern, fields = _labels(kind, wanted)
    line = line.translate(_CONFUSED)
    labels: list[_Label] = []
    for match in pattern.finditer(line):
        after = _AFTER.match(line, match.end())
        colon = bool(after and after[1])
        word = re.sub(r"\s", "", match[0])
        opens = match.start() == 0 or not "\u4e00" <= line[match.start() - 1] <= "\u9fff"
        typed = all(COMMON[field][0] not in ("words", "org", "person") for field in fields[word])
        direct = opens or (typed and bool(_VALUE_AHEAD.match(line, match.end())))
        inside = line[match.end() : match.end() + 1] in ("）", ")")  # 甲方（用人单位）
        value = bool(labels) and labels[-1].colon and not line[labels[-1].end - offset : match.start()].strip()
        # 管理有限 公司 with a space that recognition set is the end of a name.
        tail = word in _NAME_ENDS and match.start() > 0
        if not colon and (len(word) == 1 or not direct or inside or value or tail):
            continue
        end = after.end() if after else match.end()
        labels.append(_Label(fields[word], offset + match.start(), offset + end, colon))
    return labels


def _by_label(text: str, kind: str, wanted: tuple[str, ...]) -> Iterator[FieldReading]:
    offset = 0
    lines: list[_Line] = []
    for line in text.split("\n"):
        lines.append(_Line(offset, line, _find_labels(line, offset, kind, wanted)))
        offset += len(line) + 1
    for index, (start, line, labels) in enumerate(lines):
        for number, label in enumerate(labels):
            end = labels[number + 1].start if number + 1 < len(labels) else start + len(line)
            if not text[label.end : end].strip() and index + 1 < len(lines) and not lines[index + 1].labels:
                yield from _below(text, label, labels, lines[index + 1])
            else:
                yield from _values(text, label, end, "label" if label.colon else "gap")


def _values(text: str, label: _Label, end: int, way: str) -> Iterator[FieldReading]:
    for field in label.fields:
        kind = COMMON[field][0]
        reading = READERS[kind](text, label.end, end)
        if reading is None and kind in _SEARCHED:
            reading, way = search(READERS[kind], text, label.end, end), "within"
        if reading is None:
            continue
        yield _field(field, reading, way)
        second = _RANGE.match(text, reading.end)
        if kind == "date" and field in _RANGE_END and second:
            upper = READERS["date"](text, second.end(), len(text))
            if upper:
                yield _field(_RANGE_END[field], upper, way)


def _below(text: str, label: _Label, labels: list[_Label], line: _Line) -> Iterator[FieldReading]:
    """Of a row of labels above a row of values: the value in the same place of the row."""
    cells = [match for match in re.finditer(r"(?:[^\t| ]| (?! ))+", line.text) if match[0].strip()]
    if len(cells) == len(labels):
        cell = cells[labels.index(label)]
        begin, end = line.start + cell.start(), line.start + cell.end()
    elif len(labels) == 1:
        begin, end = line.start, line.start + len(line.text)
    else:
        return
    yield from _values(text, label._replace(start=begin, end=begin), end, "below")


def _of_spouse(text: str, wanted: tuple[str, ...], best: dict[str, FieldReading]) -> dict[str, FieldReading]:
    """On a certificate of two persons: the second id, and the name and date of birth that stand with each id."""
    if "spouse_name" not in wanted:
        return {}
    ids = [reading for reading in every(READERS["id"], text, 0, len(text)) if len(str(reading.value)) == 18]
    found: dict[str, FieldReading] = {}
    for prefix, number in zip(("", "spouse_"), ids, strict=False):
        found[f"{prefix}id_number"] = _field(f"{prefix}id_number", number, "shape")
        start = text.rfind("\n", 0, number.start) + 1
        end = text.find("\n", number.end)
        here = (start, end if end >= 0 else len(text))
        above = (text.rfind("\n", 0, max(0, start - 1)) + 1, max(0, start - 1))
        for begin, stop in (here, above):
            born = [reading for reading in dates(text, begin, stop) if not number.start <= reading.start < number.end]
            if born:
                found[f"{prefix}born_on"] = _field(f"{prefix}born_on", born[-1], "shape")
                break
        name = person_at(text, start, number.start)
        if name and f"{prefix}name" not in best:
            found[f"{prefix}name"] = _field(f"{prefix}name", name, "shape")
    return found


_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])[A-Z]{0,2}\d(?: ?\d){7,21}(?![0-9A-Za-z])")


def _unclaimed_number(text: str, best: dict[str, FieldReading]) -> FieldReading | None:
    """The number of a paper that prints it without a label: a run of digits that nothing else was read from."""
    for match in _NUMBER.finditer(text):
        taken = any(reading.start < match.end() and match.start() < reading.end for reading in best.values())
        if not taken and not dates(text, match.start(), match.end()):
            reading = Reading(match[0].replace(" ", ""), match.start(), match.end())
            return _field("number", reading, "within")
    return None
