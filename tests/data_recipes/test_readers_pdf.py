"""PDF rule documents: wrapped lines, page furniture, tables, and clear errors for what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.pdf import read_pdf
from tests.data_recipes.formats import write_pdf

FONT = "STSong-Light"
FULL = "客户逾期的坐席应当按照规定办理并且告知客户申请的途径和期限以及材料"  # 32 characters: the width of the page


def _draw(tmp_path: Path, draw: Callable[[Any], None], **options: Any) -> RuleDocument:
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    page = canvas.Canvas(str(tmp_path / "a.pdf"), **options)
    page.setFont(FONT, 12)
    draw(page)
    page.save()
    return read_pdf(tmp_path / "a.pdf", "a.pdf")


def _lines(page: Any, lines: list[str], x: float = 60, top: float = 780) -> None:
    for number, line in enumerate(lines):
        page.drawString(x, top - 20 * number, line)


def _texts(document: RuleDocument) -> list[str]:
    return [paragraph.text for paragraph in document.paragraphs]


def test_wrapped_lines_are_joined_even_inside_an_article_number(tmp_path: Path) -> None:
    lines = [
        "还款办法",
        f"第一条 {FULL[:26]}第",
        f"三条、第五条规定，{FULL[:23]}",
        "第五条规定的期限内答复。",
        "第二条 乙可以申请。",
    ]
    document = _draw(tmp_path, lambda page: _lines(page, lines))
    assert _texts(document) == [lines[0], "".join(lines[1:4]), lines[4]] and document.title == "还款办法"


def test_a_sentence_that_ends_at_the_margin_ends_no_paragraph_where_paragraphs_are_indented(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        for article in range(3):
            first = f"第{'一二三'[article]}条 {FULL[:26]}。"
            _lines(page, [first], x=84, top=780 - 60 * article)
            _lines(page, ["材料不齐的，坐席应当一次告知。"], top=760 - 60 * article)
            _lines(page, ["前款所称材料，是指证明。"], x=84, top=740 - 60 * article)

    texts = _texts(_draw(tmp_path, draw))
    assert len(texts) == 6 and texts[0].endswith("途径。材料不齐的，坐席应当一次告知。")


def test_headers_footers_and_page_numbers_go_and_nothing_else(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        for number in range(1, 4):
            page.setFont(FONT, 12)
            page.drawString(60, 815, "制度汇编 内部资料")
            _lines(page, [f"第{'一二三'[number - 1]}条 金额见下：", "200", "制度汇编 内部资料。", f"以上{number}项。"])
            page.drawString(290, 30, f"{number} / 3")
            page.showPage()

    texts = _texts(_draw(tmp_path, draw))
    assert texts.count("200") == 3 and texts.count("制度汇编 内部资料。") == 3 and len(texts) == 12


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.setFont(FONT, 16)
        page.drawString(150, 800, "关于客户申请途径和期限以及材料的办法")
        page.setFont(FONT, 12)
        for x, articles in ((60, "一二三四"), (320, "五六七八")):
            lines = [
                part for n in articles for part in (f"第{n}条 坐席应当按照规定办理并且告知客", f"户申请的途径{n}。")
            ]
            _lines(page, lines, x=x)

    texts = _texts(_draw(tmp_path, draw))
    assert texts[0] == "关于客户申请途径和期限以及材料的办法"
    assert texts[1:] == [f"第{n}条 坐席应当按照规定办理并且告知客户申请的途径{n}。" for n in "一二三四五六七八"]


def test_a_table_over_three_pages_is_one_and_its_text_is_no_paragraph(tmp_path: Path) -> None:
    rows = "".join(f"| Q{n:02d} | 威胁{n} | {'以安全相威胁，' * 5}第{n}种。 |\n" for n in range(1, 31))
    text = f"# 规范\n\n第一条 见附表。\n\n| 编号 | 名称 | 说明 |\n|---|---|---|\n{rows}\n第二条 乙。\n"
    write_pdf(tmp_path / "a.pdf", text)
    document = read_pdf(tmp_path / "a.pdf", "a.pdf")
    assert _texts(document) == ["规范", "第一条 见附表。", "第二条 乙。"]
    (table,) = document.tables
    assert (table.page, table.after) == (1, 2) and document.paragraphs[-1].page == 3
    assert [row[0] for row in table.rows] == ["编号", *(f"Q{n:02d}" for n in range(1, 31))]
    assert table.rows[30][2] == "以安全相威胁，" * 5 + "第30种。"


def test_a_merged_cell_of_a_table_stands_in_every_place_it_covers(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.rect(60, 700, 100, 60)  # 类别, over two rows
        page.rect(160, 730, 200, 30)  # 限额, over two columns
        page.rect(160, 700, 100, 30)
        page.rect(260, 700, 100, 30)
        for x, y, text in ((70, 725, "类别"), (170, 740, "限额"), (170, 710, "单笔"), (270, 710, "单日")):
            page.drawString(x, y, text)
        page.drawString(60, 650, "第一条 甲应当办理。")

    document = _draw(tmp_path, draw)
    assert document.tables[0].rows == (("类别", "限额", "限额"), ("类别", "单笔", "单日"))
    assert _texts(document) == ["第一条 甲应当办理。"]


def test_a_frame_around_text_is_no_table(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.rect(50, 720, 400, 80)
        page.rect(50, 600, 400, 100)
        _lines(page, ["第一条 甲应当办理。", "第二条 乙可以申请。"])

    document = _draw(tmp_path, draw)
    assert not document.tables and _texts(document) == ["第一条 甲应当办理。", "第二条 乙可以申请。"]


def _sample(tmp_path: Path) -> bytes:
    write_pdf(tmp_path / "sample.pdf", "# 办法\n\n" + "第一条 甲应当办理。\n\n" * 60)
    return (tmp_path / "sample.pdf").read_bytes()


def test_an_encrypted_file_asks_for_its_password_to_be_removed(tmp_path: Path) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption

    with pytest.raises(DataError, match="is encrypted") as caught:
        _draw(tmp_path, lambda page: _lines(page, ["甲"]), encrypt=StandardEncryption("secret"))
    assert "password" in caught.value.remedy


def test_a_scan_asks_for_text_recognition(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text layer") as caught:
        _draw(tmp_path, lambda page: page.rect(50, 50, 100, 100))
    assert "text recognition" in caught.value.remedy


@pytest.mark.parametrize("cut", [0, 9, 600, -900])
def test_a_file_that_breaks_off_is_an_error_or_still_whole(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.pdf").write_bytes(_sample(tmp_path)[:cut])
    with pytest.raises(DataError, match=r"a\.pdf: "):
        read_pdf(tmp_path / "a.pdf", "a.pdf")


@pytest.mark.parametrize("start", range(200, 3_000, 400))
def test_damaged_bytes_are_never_another_kind_of_error(tmp_path: Path, start: int) -> None:
    data = bytearray(_sample(tmp_path))
    data[start : start + 60] = b"\xff" * 60
    (tmp_path / "a.pdf").write_bytes(data)
    try:
        document = read_pdf(tmp_path / "a.pdf", "a.pdf")
    except DataError as error:
        assert "a.pdf: " in error.message
    else:
        assert document.paragraphs
