"""DOCX rule documents: what Word shows with all changes accepted, and clear errors for what is no such file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml.parser import parse_xml

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.office import read_docx

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _xml(text: str) -> Any:
    space = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    return parse_xml(f'<w:body xmlns:w="{W}" {space}>{text}</w:body>')


def _read(tmp_path: Path, body: str, change: Callable[[Any], None] = lambda document: None) -> RuleDocument:
    """Read a document with this body."""
    document = docx.Document()
    for element in reversed(list(_xml(body))):
        document.element.body.insert(0, element)
    change(document)
    document.save(str(tmp_path / "a.docx"))
    return read_docx(tmp_path / "a.docx", "a.docx")


def _texts(document: RuleDocument) -> list[str]:
    return [paragraph.text for paragraph in document.paragraphs]


def _p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


MARK_DELETED = '<w:rPr><w:del w:id="9" w:author="a"/></w:rPr>'
TEXT_BOX = "<w:txbxContent>" + _p("框内文字") + "</w:txbxContent>"


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (
            '<w:p><w:r><w:t>应当</w:t></w:r><w:del w:id="1"><w:r><w:delText>删去</w:delText></w:r></w:del>'
            '<w:ins w:id="2"><w:r><w:t>加入</w:t></w:r></w:ins><w:r><w:t>告知</w:t></w:r></w:p>',
            ["应当加入告知"],
        ),
        (
            '<w:p><w:moveFrom w:id="1"><w:r><w:t>旧处</w:t></w:r></w:moveFrom></w:p>'
            '<w:p><w:moveTo w:id="2"><w:r><w:t>新处</w:t></w:r></w:moveTo></w:p>',
            ["新处"],
        ),
        (_p("第一条 客户应当", MARK_DELETED) + _p("提交证明。"), ["第一条 客户应当提交证明。"]),
        (
            f"<w:sdt><w:sdtContent>{_p('第一条 甲。')}</w:sdtContent></w:sdt>{_p('第二条 乙。')}",
            ["第一条 甲。", "第二条 乙。"],
        ),
        (
            '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
            f"<w:sdtContent>{_p('第一章 总则 1')}</w:sdtContent></w:sdt>{_p('第一章 总则')}",
            ["第一章 总则"],
        ),
        (
            "<w:p><w:hyperlink><w:r><w:t>见第二条</w:t></w:r></w:hyperlink><w:r><w:instrText>REF x</w:instrText></w:r>"
            "<w:r><w:noBreakHyphen/><w:t>附件</w:t></w:r></w:p>",
            ["见第二条-附件"],
        ),
        ("<w:p><w:r><w:t>第一款。</w:t><w:br/><w:t>第二款。</w:t></w:r></w:p>", ["第一款。", "第二款。"]),
        ('<w:p><w:r><w:t>上页</w:t><w:br w:type="page"/><w:t>下页</w:t></w:r></w:p>', ["上页下页"]),
        (
            "<w:p><w:r><w:t>正文</w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:drawing>"
            f"{TEXT_BOX}</w:drawing></mc:Choice><mc:Fallback><w:pict>{TEXT_BOX}</w:pict></mc:Fallback>"
            "</mc:AlternateContent></w:r></w:p>",
            ["正文", "框内文字"],
        ),
    ],
    ids=["deleted", "moved", "mark deleted", "control", "contents", "link", "line break", "page break", "text box"],
)
def test_what_word_shows_is_what_is_read(tmp_path: Path, body: str, texts: list[str]) -> None:
    assert _texts(_read(tmp_path, body)) == texts


def test_merged_cells_nested_tables_and_deleted_rows(tmp_path: Path) -> None:
    def cell(text: str, properties: str = "", inside: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{_p(text)}{inside}</w:tc>"

    inner = f"<w:tbl><w:tr>{cell('子')}{cell('表')}</w:tr></w:tbl>"
    span, begin, below = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    document = _read(
        tmp_path,
        _p("第一条 甲。")
        + f"<w:tbl><w:tr>{cell('类别', begin)}{cell('限额', span)}</w:tr>"
        + f"<w:tr>{cell('', below)}{cell('单笔')}{cell('单日')}</w:tr>"
        + f'<w:tr><w:trPr><w:del w:id="1"/></w:trPr>{cell("旧")}{cell("旧")}{cell("旧")}</w:tr>'
        + f"<w:tr>{cell('循环贷')}{cell('甲', inside=inner)}{cell('乙')}</w:tr></w:tbl>"
        + _p("第二条 乙。"),
    )
    assert [table.rows for table in document.tables] == [
        (("类别", "限额", "限额"), ("类别", "单笔", "单日"), ("循环贷", "甲", "乙")),
        (("子", "表"),),
    ]
    assert _texts(document) == ["第一条 甲。", "第二条 乙。"]
    assert document.tables[0].after == 1


def test_a_frame_of_one_cell_around_text_is_text(tmp_path: Path) -> None:
    body = f"<w:tbl><w:tr><w:tc>{_p('第一条 甲。')}{_p('第二条 乙。')}</w:tc></w:tr></w:tbl>"
    document = _read(tmp_path, body)
    assert _texts(document) == ["第一条 甲。", "第二条 乙。"] and not document.tables


def test_a_footnote_is_kept_with_its_paragraph_and_out_of_its_text(tmp_path: Path) -> None:
    both = "".join(f'<w:footnote w:id="{n}">{_p(text)}</w:footnote>' for n, text in ((2, "单利计算。"), (3, "旧注。")))
    notes = f'<w:footnotes xmlns:w="{W}">{both}</w:footnotes>'

    def add(document: Any) -> None:
        from docx.opc.packuri import PackURI
        from docx.opc.part import Part

        kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
        part = Part(PackURI("/word/footnotes.xml"), kind, notes.encode(), document.part.package)
        document.part.relate_to(part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes")

    body = _p("第一条 甲。") + (
        '<w:p><w:r><w:t>第二条 年利率</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        '<w:del w:id="1"><w:r><w:footnoteReference w:id="3"/></w:r></w:del>'
        "<w:r><w:t>不超过24%。</w:t></w:r></w:p>"
    )
    document = _read(tmp_path, body, add)
    assert _texts(document) == ["第一条 甲。", "第二条 年利率不超过24%。"]
    assert [(note.text, note.paragraph) for note in document.notes] == [("单利计算。", 2)]


NUMBERING = f"""<w:numbering xmlns:w="{W}">
<w:abstractNum w:abstractNumId="1">
  <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="chineseCountingThousand"/><w:lvlText w:val="第%1章"/>
    <w:pStyle w:val="Heading2"/></w:lvl>
  <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="japaneseCounting"/><w:lvlText w:val="第%2条"/></w:lvl>
  <w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="decimalEnclosedCircle"/><w:lvlText w:val="%3"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="1"/>
  <w:lvlOverride w:ilvl="1"><w:startOverride w:val="9"/></w:lvlOverride></w:num>
</w:numbering>"""


def test_numbers_that_word_draws_are_written_out(tmp_path: Path) -> None:
    def number(document: Any) -> None:
        document.part.numbering_part._element = parse_xml(NUMBERING)
        style = document.styles["Heading 2"].element
        style.get_or_add_pPr().append(parse_xml(f'<w:numPr xmlns:w="{W}"><w:numId w:val="1"/></w:numPr>'))

    def listed(text: str, level: int, number: int) -> str:
        return _p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')

    heading = '<w:pStyle w:val="Heading2"/>'
    document = _read(
        tmp_path,
        _p("总则", heading)
        + listed("甲。", 1, 1)
        + listed("乙。", 1, 2)  # another instance of the same list counts on
        + listed("子。", 2, 2)
        + listed("丑。", 2, 2)
        + listed("丙。", 1, 3)  # unless it says where to start
        + _p("无号", f'{heading}<w:numPr><w:numId w:val="0"/></w:numPr>')
        + _p("附则", heading)
        + listed("丁。", 1, 1),
        number,
    )
    assert _texts(document) == [
        "第一章 总则",
        "第一条 甲。",
        "第二条 乙。",
        "1、子。",
        "2、丑。",
        "第九条 丙。",
        "无号",
        "第二章 附则",
        "第一条 丁。",
    ]
    assert [paragraph.heading_level for paragraph in document.paragraphs] == [2, 0, 0, 0, 0, 0, 2, 2, 0]


def test_an_outline_level_makes_a_heading(tmp_path: Path) -> None:
    document = _read(tmp_path, _p("还款办法", '<w:outlineLvl w:val="0"/>') + _p("第一条 甲。"))
    assert document.title == "还款办法" and [p.heading_level for p in document.paragraphs] == [1, 0]


def _zip(**parts: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return written.getvalue()


def _sample() -> bytes:
    written = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("第一条 甲。" * 200)
    document.save(written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a DOCX file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "encrypted, or an old .doc"),
        (_sample()[:-400], "not a DOCX file"),
        (_sample()[:9_000] + b"\0" * 500 + _sample()[9_500:], "not a DOCX file"),
        (_zip(word=b"nothing"), "not a DOCX file"),
        (_zip(bomb=b"\0" * (513 << 20)), "unpacks to 537,919,488 bytes"),
    ],
    ids=["empty", "encrypted", "cut off", "damaged", "another zip", "bomb"],
)
def test_what_is_no_docx_is_a_clear_error(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.docx").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_docx(tmp_path / "a.docx", "a.docx")
    assert "a.docx: " in caught.value.message and reason in caught.value.message and ".docx" in caught.value.remedy
