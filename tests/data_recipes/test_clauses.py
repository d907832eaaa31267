"""Rule documents of every format become the same clauses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.clauses import ParsedDocument, canonical_article, norms, parse_clauses, same_law
from data_recipes.clauses.modality import modality
from data_recipes.clauses.quantities import quantities
from data_recipes.config import ExtractConfig
from data_recipes.errors import DataError
from data_recipes.extract import extract
from data_recipes.knowledge import leaves, read_knowledge
from data_recipes.readers.document import build_document
from data_recipes.readers.office import han
from data_recipes.readers.rules import READERS, read_rules
from tests.conftest import STATUTES, needs_statutes
from tests.data_recipes.material import CONDUCT_HTML, RULES_MD


def _parse(*lines: str) -> ParsedDocument:
    return parse_clauses(build_document("x.md", "办法", ((line, 0) for line in lines)))


@pytest.fixture
def policy(tmp_path: Path) -> ParsedDocument:
    (tmp_path / "a.md").write_text(RULES_MD, encoding="utf-8")
    return parse_clauses(next(read_rules(tmp_path)))


def test_articles_paragraphs_and_items_are_addressed(policy: ParsedDocument) -> None:
    by_id = {clause.id: clause for clause in policy.clauses}
    assert list(by_id) == [
        "还款安排管理办法:第一条",
        "还款安排管理办法:第二条",
        "还款安排管理办法:第三条",
        "还款安排管理办法:第三条:1:1",
        "还款安排管理办法:第三条:1:2",
        "还款安排管理办法:第三条:2",
        "还款安排管理办法:第三条之一",
    ]
    item = by_id["还款安排管理办法:第三条:1:2"]
    assert item.text == "客户申请延期的，应当提交下列材料之一：二级以上医院的诊断书。"
    assert item.path == ("第二章 延期还款", "第三条", "第一款", "（二）")
    assert item.label == "《还款安排管理办法》第三条" and item.modality == "must"
    assert by_id["还款安排管理办法:第三条之一"].label == "《还款安排管理办法》第三条之一"
    assert {clause.effective_from for clause in policy.clauses} == {"2026-01-01"}
    assert [clause.id.partition(":")[2] for clause in leaves(policy.clauses)] == [
        "第一条",
        "第二条",
        "第三条:1:1",
        "第三条:1:2",
        "第三条:2",
        "第三条之一",
    ]


def test_spans_lead_back_to_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(RULES_MD, encoding="utf-8")
    document = next(read_rules(tmp_path))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    for clause in parse_clauses(document).clauses:
        assert clause.text[-5:] in text[clause.span.start : clause.span.end]


def test_a_citation_inside_a_sentence_opens_no_article() -> None:
    parsed = _parse(
        "第一条 甲应当办理。",
        "第二条 乙可以申请。",
        "第三条、第一条规定的情形除外。",
        "第三条规定的除外。",
        "第一条所称甲，是指本公司。",
        "第三条 丙不得拒绝。",
    )
    assert [clause.id for clause in parsed.clauses if clause.path[-1] == clause.article] == [
        "办法:第一条",
        "办法:第二条",
        "办法:第三条",
    ]
    assert parsed.gaps == ()


def test_a_missing_article_is_reported() -> None:
    assert _parse("第一条 甲应当办理。", "第三条 乙可以申请。").gaps == ("第三条",)


def test_points_below_an_item_are_clauses_with_all_that_leads_them_in() -> None:
    parsed = _parse("第一条 客户申请的，应当提交：", "（一）下列证件之一：", "1.身份证；", "2.护照；", "（二）申请书。")
    by_id = {clause.id: clause for clause in parsed.clauses}
    assert list(by_id) == ["办法:第一条", *(f"办法:第一条:1:{part}" for part in ("1", "1:1", "1:2", "2"))]
    point = by_id["办法:第一条:1:1:2"]
    assert point.text == "客户申请的，应当提交：下列证件之一：护照；" and point.path[1:] == ("第一款", "（一）", "2.")
    assert point.text[point.lead_in_chars :] == "护照；" and point.modality == "must"
    assert [clause.id for clause in leaves(parsed.clauses)] == [
        "办法:第一条:1:1:1",
        "办法:第一条:1:1:2",
        "办法:第一条:1:2",
    ]


def test_a_document_without_articles_becomes_numbered_paragraphs() -> None:
    document = build_document(
        "x.md",
        "通知",
        [
            ("通知", 1),
            ("2026年1月1日", 0),
            ("各部门：", 0),
            ("一、总体要求", 0),
            ("坐席应当遵守下列要求：", 0),
            ("（一）说明身份；", 0),
            ("（二）不得威胁。", 0),
            ("二、附则", 0),
            ("本通知自2026年3月1日起施行。", 0),
        ],
    )
    parsed = parse_clauses(document)
    assert parsed.articles == 0 and parsed.orphans == () and parsed.preamble == "通知\n2026年1月1日"
    assert [(clause.id, clause.path) for clause in parsed.clauses] == [
        ("通知:第一段", ("第一段",)),
        ("通知:第二段", ("一、总体要求", "第二段")),
        ("通知:第二段:1:1", ("一、总体要求", "第二段", "第一款", "（一）")),
        ("通知:第二段:1:2", ("一、总体要求", "第二段", "第一款", "（二）")),
        ("通知:第三段", ("二、附则", "第三段")),
    ]
    assert parsed.clauses[1].article == "第二段" and parsed.clauses[1].label == "《通知》第二段"
    assert parsed.effective_from == "2026-03-01"


def test_knowledge_holds_a_notice_without_articles_and_what_no_clause_holds(tmp_path: Path) -> None:
    rules = tmp_path / "raw" / "rules"
    rules.mkdir(parents=True)
    (rules / "通知.md").write_text("# 通知\n\n## 附注\n\n## 要求\n\n坐席不得泄露信息。\n", encoding="utf-8")
    extract(tmp_path / "raw", tmp_path / "knowledge", ExtractConfig())
    knowledge = read_knowledge(tmp_path / "knowledge")
    assert [(clause.id, clause.modality) for clause in knowledge.clauses] == [("通知:第一段", "must_not")]
    assert knowledge.documents[0].articles == 0 and knowledge.documents[0].orphans == ("附注",)


def test_an_appendix_becomes_paragraphs_under_its_own_heading() -> None:
    parsed = _parse("第一条 甲应当办理。", "附件1 承诺书", "本人承诺按期还款。", "本人知悉逾期后果。")
    assert [clause.path for clause in parsed.clauses] == [
        ("第一条",),
        ("附件1 承诺书", "第一段"),
        ("附件1 承诺书", "第二段"),
    ]


def test_a_heading_with_nothing_below_it_and_an_empty_article_are_reported() -> None:
    parsed = _parse("第一章 总则", "第二章 分则", "第一条 甲应当办理。", "第二条", "第三条 乙可以申请。", "附表 质检项")
    assert parsed.orphans == ("第一章 总则", "第二条", "附表 质检项")
    assert parsed.gaps == ()


def test_headings_that_carry_no_chapter_number_stand_in_the_path() -> None:
    parsed = _parse("一、一般规定", "第一条 甲应当办理。", "二、附则", "第二条 乙可以申请。")
    assert [clause.path for clause in parsed.clauses] == [("一、一般规定", "第一条"), ("二、附则", "第二条")]


def test_quantities_and_references_stand_where_they_say_in_every_clause(policy: ParsedDocument) -> None:
    for clause in policy.clauses:
        for found in (*clause.quantities, *clause.references):
            assert clause.text[found.start : found.end] == found.text


@pytest.mark.parametrize("spelled", ["第8条", "第八条", "第８条"])
def test_article_numbers_have_one_spelling(spelled: str) -> None:
    assert canonical_article(spelled.replace("８", "8")) == "第八条"


@pytest.mark.parametrize(
    ("text", "expected", "subject"),
    [
        ("坐席不得泄露客户信息。", "must_not", "坐席"),
        ("公司受理申请后，应当在2个工作日内答复客户。", "must", ""),
        ("申请人可以不提交原件。", "may", "申请人"),
        ("出卖人享有所有权。", "statement", ""),
        ("处理个人信息应遵循合法原则。", "must", "处理个人信息"),
        ("采取相应措施的应急预案由公司制定。", "statement", ""),
        ("逾期超过90日的，客户经理应当上门核实。", "must", "客户经理"),
    ],
)
def test_modality_and_subject(text: str, expected: str, subject: str) -> None:
    assert modality(text) == expected
    assert norms.subject(text) == subject


def test_quantities_have_units_and_kinds_and_dates_are_none() -> None:
    found = quantities(
        "自2026年1月1日起，第三条所称罚款三万元以上，年化不超过百分之二十四，期限30日或3个工作日，22:30前办结，分12期"
    )
    assert [(q.value, q.unit, q.kind) for q in found] == [
        (30000.0, "元", "money"),
        (24.0, "%", "rate"),
        (30.0, "日", "duration"),
        (3.0, "个工作日", "duration"),
        (22.5, "时", "time"),
        (12.0, "期", "count"),
    ]


def test_two_versions_of_a_law_are_one_law() -> None:
    one = _parse("第一条 甲应当办理。", "第二条 乙可以申请。")
    other = parse_clauses(
        build_document("y.md", "最高法关于办法", (("第一条 甲应当办理。", 0), ("第二条 乙可以申请。", 0)))
    )
    assert same_law(one, other) and not same_law(
        one, _parse("第一条 全新的条文。").__class__(**{**vars(other), "clauses": ()})
    )


def _docx(path: Path) -> None:
    import docx

    document = docx.Document()
    document.add_heading("还款安排管理办法", level=1)
    for line in RULES_MD.splitlines()[2:]:
        if line.strip():
            document.add_paragraph(line.lstrip("# "))
    table = document.add_table(rows=2, cols=3)
    for row, cells in zip(table.rows, (("编号", "名称", "说明"), ("Q01", "威胁恐吓", "以安全相威胁。")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.save(str(path))


def _pdf(path: Path) -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen import canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    page = canvas.Canvas(str(path))
    page.setFont("STSong-Light", 12)
    height, number = 780, 0
    for line in [line.lstrip("# ") for line in RULES_MD.splitlines() if line.strip()]:
        for start in range(0, len(line), 24):  # wrapped: a line break falls anywhere
            page.drawString(60, height, line[start : start + 24])
            height -= 20
    number += 1
    page.drawString(280, 40, f"第 {number} 页")
    page.save()


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_every_format_gives_the_same_articles(tmp_path: Path, policy: ParsedDocument, suffix: str) -> None:
    folder = tmp_path / "formats"
    folder.mkdir()
    path = folder / f"还款安排管理办法{suffix}"
    if suffix == ".docx":
        _docx(path)
    elif suffix == ".pdf":
        _pdf(path)
    elif suffix in (".html", ".htm"):
        body = "".join(f"<p>{line.lstrip('# ')}</p>" for line in RULES_MD.splitlines()[1:] if line.strip())
        path.write_text(f"<body><h1>还款安排管理办法</h1>{body}</body>", encoding="utf-8")
    else:
        path.write_text(RULES_MD if suffix == ".md" else RULES_MD.replace("#", ""), encoding="gb18030")
    parsed = parse_clauses(next(read_rules(folder)))
    assert [(c.id, c.text, c.path) for c in parsed.clauses] == [(c.id, c.text, c.path) for c in policy.clauses]


def test_tables_become_rows(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(CONDUCT_HTML, encoding="utf-8")
    _docx(tmp_path / "b.docx")
    (tmp_path / "c.md").write_text(
        "# 表\n\n| 编号 | 名称 | 说明 |\n|---|---|---|\n| Q01 | 威胁 | **重** |\n", encoding="utf-8"
    )
    tables = {document.file: document.tables[0].rows for document in read_rules(tmp_path)}
    assert tables["a.html"][1] == ("Q01", "威胁恐吓", "以安全相威胁。")
    assert tables["b.docx"][1] == ("Q01", "威胁恐吓", "以安全相威胁。")
    assert tables["c.md"] == (("编号", "名称", "说明"), ("Q01", "威胁", "重"))


def test_automatic_numbering_of_word_is_read(tmp_path: Path) -> None:
    import docx
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    document = docx.Document()
    numbering = document.part.numbering_part.element
    abstract = OxmlElement("w:abstractNum")
    abstract.set(qn("w:abstractNumId"), "77")
    level = OxmlElement("w:lvl")
    level.set(qn("w:ilvl"), "0")
    for tag, value in (("start", "1"), ("numFmt", "chineseCounting"), ("lvlText", "第%1条")):
        element = OxmlElement(f"w:{tag}")
        element.set(qn("w:val"), value)
        level.append(element)
    abstract.append(level)
    numbering.insert(0, abstract)
    number = OxmlElement("w:num")
    number.set(qn("w:numId"), "77")
    target = OxmlElement("w:abstractNumId")
    target.set(qn("w:val"), "77")
    number.append(target)
    numbering.append(number)
    for text in ("甲应当办理。", "乙可以申请。"):
        properties = document.add_paragraph(text)._p.get_or_add_pPr().get_or_add_numPr()
        properties.get_or_add_numId().val = 77
        properties.get_or_add_ilvl().val = 0
    document.save(str(tmp_path / "办法.docx"))
    parsed = parse_clauses(next(read_rules(tmp_path)))
    assert [(clause.article, clause.text) for clause in parsed.clauses] == [
        ("第一条", "甲应当办理。"),
        ("第二条", "乙可以申请。"),
    ]


def test_a_chapter_that_word_styles_as_first_heading_is_no_part_of_the_title() -> None:
    lines = [("还款办法", 1), ("第一章 总则", 1), ("第一条 甲应当办理。", 0)]
    document = build_document("a.docx", "a", lines)
    assert document.title == "还款办法"
    assert parse_clauses(document).clauses[0].label == "《还款办法》第一条"


@pytest.mark.parametrize(("name", "remedy"), [("a.pdf", "export"), ("a.docx", "Word"), ("a.txt", "UTF-8")])
def test_a_broken_document_is_a_clear_error(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\xff not this format \x81")
    with pytest.raises(DataError) as caught:
        list(read_rules(tmp_path))
    assert name in caught.value.message and remedy in caught.value.remedy


_WORD = st.text(alphabet="甲乙丙丁应当不得可以提交材料", min_size=2, max_size=12)
_UNIT = st.tuples(_WORD, st.lists(_WORD, max_size=3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_UNIT, min_size=1, max_size=3), min_size=1, max_size=12))
def test_no_text_is_lost_between_the_clauses(articles: list[list[tuple[str, list[str]]]]) -> None:
    lines = []
    for number, units in enumerate(articles, start=1):
        for position, (text, items) in enumerate(units):
            own = text + ("：" if items else "。")
            lines.append(own if position else f"第{han(number)}条 {own}")
            lines += [f"（{han(index)}）{item}；" for index, item in enumerate(items, start=1)]
    parsed = _parse(*lines)
    whole = [clause for clause in parsed.clauses if clause.path[-1] == clause.article]
    assert "".join(f"{clause.article} {clause.text}" for clause in whole) == "".join(lines)
    assert parsed.articles == len(articles) and parsed.gaps == () and parsed.orphans == () and parsed.preamble == ""
    held = "".join(clause.text[clause.lead_in_chars :] for clause in leaves(parsed.clauses))
    led = {clause.text[: clause.lead_in_chars] for clause in leaves(parsed.clauses)}
    for units in articles:
        for text, items in units:
            assert all(item in held for item in items) and (text in held or f"{text}：" in led)


@needs_statutes
def test_articles_of_real_statutes_are_continuous() -> None:
    parsed = [parse_clauses(document, "law") for document in read_rules(STATUTES, (".md",))]
    assert [document.document for document in parsed if document.gaps] == []
    assert sum(1 for document in parsed if not document.articles) == 2  # a reply and a decision, without articles
    assert sum(document.articles for document in parsed) == 2759
    assert all(document.clauses and not document.orphans for document in parsed)


@needs_statutes
def test_no_text_of_a_real_statute_is_lost_between_the_clauses() -> None:
    for document in read_rules(STATUTES, (".md",)):
        parsed = parse_clauses(document, "law")
        spans = [(clause.span.start, clause.span.end) for clause in parsed.clauses if clause.path[-1] == clause.article]
        named = {part for clause in parsed.clauses for part in clause.path}
        for paragraph in document.paragraphs:
            inside = any(start <= paragraph.start < end for start, end in spans)
            assert inside or paragraph.text in named or paragraph.text in parsed.preamble, paragraph.text
