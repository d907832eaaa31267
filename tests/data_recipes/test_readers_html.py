"""HTML rule documents: nothing that a reader of the page sees is lost, whatever the markup."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.html import read_html


def _read(tmp_path: Path, body: str, head: str = "", encoding: str = "utf-8") -> RuleDocument:
    (tmp_path / "a.html").write_bytes(f"<html><head>{head}</head><body>{body}</body></html>".encode(encoding))
    return read_html(tmp_path / "a.html", "a.html")


def _texts(tmp_path: Path, body: str) -> list[str]:
    return [paragraph.text for paragraph in _read(tmp_path, body).paragraphs]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("第一条 甲。<br>第二条 乙。", ["第一条 甲。", "第二条 乙。"]),
        ("<div>第一条 甲。<p>第二条 乙。</p>第三条 丙。</div>", ["第一条 甲。", "第二条 乙。", "第三条 丙。"]),
        ("<p>坐席<b>应当</b>\n  告知<span>客户</span>。</p>", ["坐席应当告知客户。"]),
        ("<p>APR\n under 24%</p>", ["APR under 24%"]),
        ("<pre>第一条 甲。\n第二条 乙。</pre>", ["第一条 甲。", "第二条 乙。"]),
        ("<p>保留<del>删去</del><!-- 注释 --><script>x</script>。</p><p hidden>隐</p>", ["保留。"]),
        ('<p style="display: none">隐</p><nav>首页</nav><footer>版权</footer><p>正文</p>', ["正文"]),
        ("<table><tr><td><p>第一条 甲。</p><p>第二条 乙。</p></td></tr></table>", ["第一条 甲。", "第二条 乙。"]),
        (
            "<table><tr><td>导航</td><td><h1>办法</h1><p>第一条 甲。</p></td></tr></table>",
            ["导航", "办法", "第一条 甲。"],
        ),
        (
            '<ol start="3"><li>甲</li><li value="7"><p>乙</p></li><li>（九）丙</li></ol>',
            ["（三）甲", "（七）乙", "（九）丙"],
        ),
        ("<ul><li>甲<ol><li>乙</li></ol></li></ul>", ["甲", "（一）乙"]),
    ],
)
def test_every_text_that_is_seen_is_a_paragraph(tmp_path: Path, body: str, texts: list[str]) -> None:
    assert _texts(tmp_path, body) == texts


def test_merged_cells_and_nested_tables(tmp_path: Path) -> None:
    inner = "<table><tr><td>子</td><td>表</td></tr></table>"
    body = (
        '<table><caption>附表 限额</caption><tr><th rowspan="2">类别</th><th colspan="2">限额</th></tr>'
        f"<tr><td>单<b>笔</b></td><td>单日</td></tr><tr><td>循环贷</td><td>甲{inner}</td><td>乙</td></tr></table>"
    )
    document = _read(tmp_path, f"<p>第一条 甲。</p>{body}<p>第二条 乙。</p>")
    assert [table.rows for table in document.tables] == [
        (("类别", "限额", "限额"), ("类别", "单笔", "单日"), ("循环贷", "甲", "乙")),
        (("子", "表"),),
    ]
    assert [paragraph.text for paragraph in document.paragraphs] == ["第一条 甲。", "附表 限额", "第二条 乙。"]
    assert [table.after for table in document.tables] == [2, 2]


def test_a_span_beyond_reason_does_not_fill_the_memory(tmp_path: Path) -> None:
    row = '<tr><td colspan="99999999" rowspan="99999999">甲</td><td>乙</td></tr>'
    (table,) = _read(tmp_path, f"<table>{row}</table>").tables
    assert len(table.rows) == 1 and len(table.rows[0]) == 1_001


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "gb18030", "utf-8", ""])
@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_chinese_is_read_whatever_the_page_declares(tmp_path: Path, declared: str, encoding: str) -> None:
    head = f'<meta charset="{declared}">' if declared else ""
    assert _read(tmp_path, "<p>坐席应当告知客户。</p>", head, encoding).paragraphs[0].text == "坐席应当告知客户。"


def test_another_declared_encoding_is_believed(tmp_path: Path) -> None:
    head = '<meta http-equiv="Content-Type" content="text/html; charset=big5">'
    assert _read(tmp_path, "<p>客戶應當告知</p>", head, "big5").paragraphs[0].text == "客戶應當告知"


def test_elements_nested_beyond_reason_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nested too deeply"):
        _read(tmp_path, "<div>" * 5_000 + "甲")


def test_markup_that_the_parser_rejects_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"broken markup: .*expected name token"):
        _read(tmp_path, "<p>甲</p><![[[ ]>")
