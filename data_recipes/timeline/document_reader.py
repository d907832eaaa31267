"""Fields of a proof document (证明材料): by label, by shape, and by the sentences that such papers are written in.

1. A label followed by a colon, a gap or the value itself; the value ends where the next label begins. A label without
   a value on its line takes what stands below it.
2. What has a shape and, mostly, a check digit needs no label: resident id, credit code, card, vehicle number.
3. Certificates are prose: 兹证明王建国…, 自2018年起在我单位任会计, 于2025年12月24日离职; the signature closes them with
   the issuer and a date.

Of several readings the one with the clearest label counts, then the first on the page.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from data_recipes.timeline.document_labels import BY_KIND, COMMON, KINDS, READERS
from data_recipes.timeline.document_values import Reading, dates, read_card, read_code, read_id, read_vin
from data_recipes.timeline.page import Page

Way = str  # "label", "gap", "below", "shape", "prose", "signature"
WAYS: Final = ("label", "gap", "prose", "shape", "below", "signature")


@dataclass(frozen=True)
class FieldReading:
    """A field as read: a str, float, int or date, where it stands, and in which way it was found (`WAYS`)."""

    field: str
    value: object
    start: int
    end: int
    way: Way
    mended: bool


class _Label(NamedTuple):
    fields: tuple[str, ...]
    start: int
    end: int
    colon: bool


_AFTER: Final = re.compile(r"[ \t　]*(?:[（(][^（）()\n:：]{1,8}[）)])?[ \t　]*([:：;；])?")
_ORG: Final = r"[\u4e00-\u9fff（）()]{3,30}?(?:公司|集团|厂|商行|中心|事务所|学校|医院|银行|局|合作社|经营部|店)"
_D: Final = r"\d{4}[^\n，。,]{1,12}?日"
# field -> sentence that states it; the group `v` is the value
_PROSE: Final[dict[str, str]] = {
    "name": r"(?:兹证明|兹有|证明|申明)\s*[:：]?\s*(?P<v>[\u4e00-\u9fff·]{2,4}?)(?:同志|先生|女士|[（(，,]|\s|系|（?身份证|为|在|于|自)",
    "employer": rf"(?:在|系|为|与)(?P<v>{_ORG})(?:的?(?:员工|职工|正式)|工作|任职|担任|任|签|解除|终止|就职)",
    "position": r"(?:担任|任职|任|从事|岗位为|职务为|岗位是)(?P<v>[\u4e00-\u9fff]{2,10}?)(?:职务|岗位|一职|工作|职位|[，,。;；\s])",
    "joined_on": rf"(?:自|从|于)?\s*(?P<v>{_D})\s*(?:起|至今|入职|到岗|加入|进入|开始|至{_D})",
    "left_on": rf"(?:于|至|到|自)\s*(?P<v>{_D})\s*(?:起)?(?:离职|解除|终止|办理|止|与我|失业|正式离)",
    "reason": r"因(?P<v>[^，。,\n]{2,20}?)(?:[，,。]|原因|而|于|与|解除|离职|提出)",
    "admitted_on": rf"(?P<v>{_D})\s*(?:至{_D}|入院|住院|因|收住|收治)",
    "discharged_on": rf"(?:至|到|于)?\s*(?P<v>{_D})\s*(?:出院|止)",
    "full_years": r"(?:已满|满|工作|任职)\s*(?P<v>\d+)\s*(?:周年|年)",
    "days": r"(?:住院|共计?|计)\s*(?P<v>\d+)\s*[天日]",
    "rest_days": r"(?:休息|休养|全休)[^\d\n]{0,4}(?P<v>\d+)\s*[天日]",
    "rest_until": rf"(?:休息|休养|全休|病假)[^\n]{{0,12}}?至\s*(?P<v>{_D})",
    "frozen_until": rf"(?:冻结|有效)[^\n]{{0,12}}?至\s*(?P<v>{_D})",
    "settled_on": rf"(?P<v>{_D})[^\n。]{{0,10}}?(?:结清|还清)",
    "disbursed_on": rf"(?P<v>{_D})[^\n。]{{0,16}}?(?:发放|借款|贷款|放款|申请)",
    "retired_on": rf"(?P<v>{_D})[^\n。]{{0,10}}?退休",
    "signed_on": rf"(?P<v>{_D})[^\n。]{{0,10}}?(?:签订|签署)",
    "registered_on": rf"(?P<v>{_D})[^\n。]{{0,10}}?(?:登记|办理)",
    "benefit_months": r"(?:领取|享受|共)[^\d\n]{0,8}(?P<v>\d+)\s*个月",
    "months": r"(?:租期|租赁期|期限|共)[^\d\n]{0,6}(?P<v>\d+)\s*个月",
    "members": r"(?:家庭|保障|共有?|户内)[^\d\n]{0,6}(?P<v>\d+)\s*[人口]",
    "valid_years": r"(?:有效期)[^\d\n]{0,4}(?P<v>\d{1,2})\s*年(?!\d)",
}
_RANGE: Final = re.compile(r"[ \t　]*(?:起)?[ \t　]*(?:至|到|—+|–|-+|~|～)[ \t　]*(?:止)?")
# of two dates with 至 between them the second is this field
_RANGE_END: Final = {"from_on": "to_on", "valid_from": "valid_to", "land_from": "land_until", "starts_on": "ends_on",
                     "admitted_on": "discharged_on", "joined_on": "left_on", "started_on": "graduated_on"}
_SHAPES: Final = {"id_number": read_id, "credit_code": read_code, "vin": read_vin, "card_number": read_card}


def read_fields(page: Page, kind: str) -> dict[str, FieldReading]:
    """The fields of `page` that a document of this kind states, each at most once."""
    wanted = tuple(KINDS.get(kind, "").split()) or tuple(COMMON)
    found: list[FieldReading] = []
    found += _by_label(page.text, kind, wanted)
    found += _by_prose(page.text, wanted)
    found += _by_shape(page.text, wanted)
    found += _by_signature(page.text, wanted)
    best: dict[str, FieldReading] = {}
    for reading in sorted(found, key=lambda r: (WAYS.index(r.way), r.start)):
        best.setdefault(reading.field, reading)
    best.update(_of_spouse(page.text, wanted, best))
    return {field: best[field] for field in wanted if field in best}


@functools.lru_cache(maxsize=64)
def _labels(kind: str, wanted: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, tuple[str, ...]]]:
    """Pattern of all labels of a kind (spaces may stand between their characters), and the fields of each."""
    fields: dict[str, list[str]] = {}
    for field in wanted:
        for label in BY_KIND.get(kind, {}).get(field, COMMON[field][1]).split():
            fields.setdefault(label, []).append(field)
    words = sorted(fields, key=lambda word: (-len(word), word))
    pattern = "|".join(r"[ \t　]{0,4}".join(map(re.escape, word)) for word in words)
    return re.compile(pattern or r"(?!)"), {word: tuple(names) for word, names in fields.items()}


def _find_labels(line: str, offset: int, kind: str, wanted: tuple[str, ...]) -> list[_Label]:
    pattern, fields = _labels(kind, wanted)
    labels = []
    for match in pattern.finditer(line):
        after = _AFTER.match(line, match.end())
        colon = bool(after and after[1])
        opens = match.start() == 0 or not ("\u4e00" <= line[match.start() - 1] <= "\u9fff")
        gap = match.end() == len(line) or line[match.end()] in " \t　（(|"
        if not colon and not (opens and gap) and not re.match(r"[为是¥￥\d人]", line[match.end() :]):
            continue
        end = after.end() if after and (colon or line[match.end() : after.end()].strip()) else match.end()
        labels.append(_Label(fields[re.sub(r"\s", "", match[0])], offset + match.start(), offset + end, colon))
    return labels


def _by_label(text: str, kind: str, wanted: tuple[str, ...]) -> Iterator[FieldReading]:
    offset = 0
    lines: list[tuple[int, str, list[_Label]]] = []
    for line in text.split("\n"):
        lines.append((offset, line, _find_labels(line, offset, kind, wanted)))
        offset += len(line) + 1
    for index, (start, line, labels) in enumerate(lines):
        for number, label in enumerate(labels):
            end = labels[number + 1].start if number + 1 < len(labels) else start + len(line)
            way = "label" if label.colon else "gap"
            if not text[label.end : end].strip() and index + 1 < len(lines) and not lines[index + 1][2]:
                yield from _below(text, label, labels, lines[index + 1])
                continue
            yield from _values(text, label, end, way)


def _values(text: str, label: _Label, end: int, way: Way) -> Iterator[FieldReading]:
    for field in label.fields:
        reading = READERS[COMMON[field][0]](text, label.end, end)
        if reading is None:
            continue
        yield _field(field, reading, way)
        second = _RANGE.match(text, reading.end)
        if COMMON[field][0] == "date" and field in _RANGE_END and second:
            upper = READERS["date"](text, second.end(), len(text))
            if upper:
                yield _field(_RANGE_END[field], upper, way)


def _below(text: str, label: _Label, labels: list[_Label], line: tuple[int, str, list[_Label]]) -> Iterator[FieldReading]:
    """Of a row of labels above a row of values: the value in the same place of the row."""
    start, content, _ = line
    cells = [match for match in re.finditer(r"[^\t|]+?(?=\t| {2,}|\||$)", content) if match[0].strip()]
    position = labels.index(label)
    if len(cells) == len(labels):
        cell = cells[position]
        below = label._replace(start=start + cell.start(), end=start + cell.start())
        yield from _values(text, below, start + cell.end(), "below")
    elif len(labels) == 1:
        yield from _values(text, label._replace(end=start), start + len(content), "below")


def _by_prose(text: str, wanted: tuple[str, ...]) -> Iterator[FieldReading]:
    for field in wanted:
        match = re.search(_PROSE[field], text) if field in _PROSE else None
        if match:
            reading = READERS[COMMON[field][0]](text, match.start("v"), match.end("v"))
            if reading:
                yield _field(field, reading, "prose")


def _by_shape(text: str, wanted: tuple[str, ...]) -> Iterator[FieldReading]:
    for field, read in _SHAPES.items():
        if field not in wanted:
            continue
        for start in range(len(text)):
            if text[start].isalnum() and text[start].isascii() and (start == 0 or not text[start - 1].isalnum()
                                                                   or not text[start - 1].isascii()):
                reading = read(text, start, len(text))
                if reading:
                    yield _field(field, reading, "shape")
                    break


def _by_signature(text: str, wanted: tuple[str, ...]) -> Iterator[FieldReading]:
    """The last date that stands alone, and the organisation above it."""
    lines = [match for match in re.finditer(r"[^\n\t]+", text) if match[0].strip()]
    alone = [(i, found[0]) for i, line in enumerate(lines) if (found := dates(text, line.start(), line.end()))
             and len(line[0].strip()) <= found[0].end - found[0].start + 4]
    if not alone:
        return
    position, reading = alone[-1]
    if "issued_on" in wanted:
        yield _field("issued_on", reading, "signature")
    for line in lines[max(0, position - 2) : position + 1][::-1]:
        org = re.search(rf"(?:^|[:：\s])({_ORG})(?:[（(]|\s|$)", line[0])
        if org:
            span = Reading(org[1], line.start() + org.start(1), line.start() + org.end(1))
            for field in ("employer", "office", "lender", "hospital", "bank"):
                if field in wanted:
                    yield _field(field, span, "signature")
            return


def _of_spouse(text: str, wanted: tuple[str, ...], best: dict[str, FieldReading]) -> dict[str, FieldReading]:
    """On a certificate of two persons the second name, date of birth and id are the spouse's."""
    if "spouse_name" not in wanted:
        return {}
    found: dict[str, FieldReading] = {}
    for field, spouse in (("name", "spouse_name"), ("born_on", "spouse_born_on"), ("id_number", "spouse_id_number")):
        if field not in best or spouse in best:
            continue
        labels = BY_KIND.get("", {}).get(field, COMMON[field][1]).split()
        pattern = "|".join(r"\s{0,4}".join(map(re.escape, word)) for word in sorted(labels, key=len, reverse=True))
        for match in re.finditer(pattern, text):
            if match.start() > best[field].end:
                reading = READERS[COMMON[field][0]](text, match.end(), len(text))
                if reading:
                    found[spouse] = _field(spouse, reading, "label")
                    break
    return found


def _field(field: str, reading: Reading, way: Way) -> FieldReading:
    return FieldReading(field, reading.value, reading.start, reading.end, way, reading.mended)
