"""References lead to clauses, terms to their meaning, and the closing articles say from when and instead of what."""

from __future__ import annotations

import pytest

from data_recipes.clauses import ParsedDocument, parse_clauses
from data_recipes.clauses.definitions import definitions, effective_date, repeals
from data_recipes.readers.document import build_document
from tianjing.records import Clause

LINES = (
    "第一章 总则",
    "第一条 根据《征信业管理条例》第二十条，制定本办法。",
    "第二条 本办法所称延期，是指推迟还款日的安排。",
    "第二章 办理",
    "第三条 客户应当提交下列材料：",
    "（一）申请书；",
    "（二）收入证明；",
    "（三）其他材料。",
    "客户可以补交前款第（二）项材料。",
    "违反前两款规定的，依照本办法第五条处理。",
    "第四条 依照前条规定办理，第三条第一款第一项和第三项除外。",
    "第五条 第二条至第四条、本章和民法典第六百七十四条适用于延期；有第三条第二款情形的，从其规定。",
    "第六条 本办法自2026年1月1日起施行。《旧延期办法》同时废止。",
)


@pytest.fixture(scope="module")
def parsed() -> ParsedDocument:
    return parse_clauses(build_document("x.md", "办法", [(line, 0) for line in LINES]))


def _references(parsed: ParsedDocument, address: str) -> list[tuple[str, str, tuple[str, ...]]]:
    clause = next(clause for clause in parsed.clauses if clause.id == f"办法:{address}")
    for reference in clause.references:
        assert clause.text[reference.start : reference.end] == reference.text
    return [
        (one.text, one.document, tuple(name.removeprefix("办法:") for name in one.clause_ids))
        for one in clause.references
    ]


def test_references_lead_to_articles_paragraphs_and_items(parsed: ParsedDocument) -> None:
    items = ("第三条:1:1", "第三条:1:2", "第三条:1:3")
    assert _references(parsed, "第三条:2") == [("前款第（二）项", "", ("第三条:1:2",))]
    assert _references(parsed, "第三条:3") == [("前两款", "", (*items, "第三条:2")), ("第五条", "", ("第五条",))]
    assert _references(parsed, "第四条") == [
        ("前条", "", ("第三条",)),
        ("第三条第一款第一项", "", ("第三条:1:1",)),
        ("第三项", "", ("第三条:1:3",)),
    ]
    assert _references(parsed, "第五条") == [
        ("第二条至第四条", "", ("第二条", "第三条", "第四条")),
        ("本章", "", ("第三条", "第四条", "第五条", "第六条")),
        ("民法典第六百七十四条", "民法典", ()),
        ("第三条第二款", "", ("第三条:2",)),
    ]


def test_another_document_is_named_and_本办法_is_no_reference(parsed: ParsedDocument) -> None:
    assert _references(parsed, "第一条") == [("《征信业管理条例》第二十条", "征信业管理条例", ())]
    assert _references(parsed, "第二条") == []


def test_every_resolved_reference_is_a_clause_of_the_document(parsed: ParsedDocument) -> None:
    ids = {clause.id for clause in parsed.clauses}
    named = [name for clause in parsed.clauses for one in clause.references for name in one.clause_ids]
    assert named and set(named) <= ids


def test_a_reference_to_what_is_not_there_keeps_its_text() -> None:
    parsed = parse_clauses(build_document("x.md", "办法", [("第一条 依照第九条办理，前款除外。", 0)]))
    assert [(one.text, one.clause_ids) for one in parsed.clauses[0].references] == [("第九条", ()), ("前款", ())]


def test_a_list_of_articles_of_another_law_stays_with_that_law() -> None:
    parsed = parse_clauses(
        build_document("x.md", "办法", [("第一条 依照民法典第五条、第六条和本办法第二条。", 0), ("第二条 甲。", 0)])
    )
    assert [(one.text, one.document) for one in parsed.clauses[0].references] == [
        ("民法典第五条", "民法典"),
        ("第六条", "民法典"),
        ("第二条", ""),
    ]


def test_a_short_name_stands_for_the_title_it_was_given() -> None:
    lines = ["第一条 根据《个人贷款管理办法》（以下简称贷款办法），制定本规定。", "第二条 依照贷款办法第三条办理。"]
    parsed = parse_clauses(build_document("x.md", "规定", [(line, 0) for line in lines]))
    assert parsed.clauses[1].references[0].document == "个人贷款管理办法"
    assert parsed.terms["贷款办法"].meaning == "《个人贷款管理办法》"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("本办法所称投诉，是指客户要求处理的情形。", [("投诉", "客户要求处理的情形")]),
        ("（一）征信机构，是指依法设立的机构；", []),
        ("征信机构，是指依法设立的机构；", [("征信机构", "依法设立的机构")]),
        ("前款所称息费，包括利息、罚息。", [("息费", "利息、罚息")]),
        ("向信访工作机构（以下简称工作机构）提出。", [("工作机构", "信访工作机构")]),
        ("由主管部门指定的机构办理。", []),
        ("行业协会指导会员。", []),
    ],
)
def test_definitions(text: str, found: list[tuple[str, str]]) -> None:
    assert [(one.term, one.meaning) for one in definitions(text)] == found


def test_the_term_table_comes_from_the_clauses(parsed: ParsedDocument) -> None:
    assert parsed.terms["延期"].meaning == "推迟还款日的安排"


@pytest.mark.parametrize(
    ("preamble", "text", "expected"),
    [
        ("2025年12月8日发布 2026年1月1日施行", "", "2026-01-01"),
        ("", "本办法自2026年3月1日起施行。", "2026-03-01"),
        ("2025年12月8日发布", "本办法自发布之日起施行。", "2025-12-08"),
        ("2025年12月8日发布", "本办法自发布之日起三十日后施行。", "2026-01-07"),
        ("", "本办法自发布之日起施行。", None),
        ("2026年2月30日施行", "", None),
    ],
)
def test_the_effective_date(preamble: str, text: str, expected: str | None) -> None:
    assert effective_date(preamble, text) == expected


def test_what_is_repealed(parsed: ParsedDocument) -> None:
    assert parsed.repeals == ("旧延期办法",) and parsed.effective_from == "2026-01-01"
    assert repeals(["依照《甲办法》办理。《乙办法》、《丙办法》同时废止。"]) == ("乙办法", "丙办法")


def test_rows_written_before_still_validate() -> None:
    old = {"id": "a:第一条", "document": "a", "path": ["第一条"], "text": "甲。", "modality": "statement"}
    row = {**old, "quantities": [{"value": 1, "unit": "日", "kind": "duration", "text": "1日"}]}
    assert (
        Clause.model_validate({**row, "span": {"file": "a.md", "start": 0, "end": 2}}).quantities[0].comparator == "="
    )
