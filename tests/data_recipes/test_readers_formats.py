"""One policy gives the same clauses from Markdown, HTML, DOCX and PDF, with its tables, pages and paragraphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data_recipes.clauses import parse_clauses
from data_recipes.readers.document import RuleDocument, span_rows
from data_recipes.readers.rules import READERS
from tests.data_recipes.formats import write_docx, write_html, write_pdf
from tianjing.simulation.policies import SOURCES, source

Write = Callable[[Path, str], None]
WAYS: dict[str, tuple[str, Write]] = {
    "html": (".html", write_html),
    "docx": (".docx", write_docx),
    "pdf, paragraphs apart": (".pdf", write_pdf),
    "pdf, first lines indented": (".pdf", partial(write_pdf, indent_pt=22, space_pt=0)),
    "pdf, with header and page numbers": (".pdf", partial(write_pdf, furniture="晨舟消费金融有限公司制度汇编")),
}


def _read(path: Path) -> RuleDocument:
    return READERS[path.suffix](path, path.name)


@pytest.fixture(scope="module", params=sorted(SOURCES))
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RuleDocument]:
    path = tmp_path_factory.mktemp("policy") / "policy.md"
    path.write_text(source(request.param), encoding="utf-8")
    return source(request.param), _read(path)


def _said(document: RuleDocument) -> list[tuple[Any, ...]]:
    parsed = parse_clauses(document)
    assert len(parsed.clauses) > 10
    return [(c.id, c.text, c.path, c.modality, c.quantities, c.effective_from) for c in parsed.clauses]


@pytest.mark.parametrize("way", WAYS)
def test_one_policy_gives_the_same_clauses_and_tables_from_every_format(
    policy: tuple[str, RuleDocument], tmp_path: Path, way: str
) -> None:
    text, markdown = policy
    suffix, write = WAYS[way]
    write(tmp_path / f"policy{suffix}", text)
    document = _read(tmp_path / f"policy{suffix}")
    assert document.title == markdown.title
    assert _said(document) == _said(markdown)
    assert [bool(p.heading_level) for p in document.paragraphs] == [bool(p.heading_level) for p in markdown.paragraphs]
    assert [table.rows for table in document.tables] == [table.rows for table in markdown.tables]
    assert [table.after for table in document.tables] == [table.after for table in markdown.tables]


def test_paragraphs_and_tables_know_their_number_and_page(tmp_path: Path) -> None:
    text = "# 还款办法\n\n" + "".join(f"第{n}条 坐席应当办理第{n}项。\n\n" for n in "一二三四五六七八九十") * 4
    write_pdf(tmp_path / "a.pdf", text + "| 编号 | 名称 |\n|---|---|\n| Q01 | 威胁 |\n")
    document = _read(tmp_path / "a.pdf")
    assert [paragraph.number for paragraph in document.paragraphs] == list(range(1, 42))
    pages = [paragraph.page for paragraph in document.paragraphs]
    assert pages[0] == 1 and pages[-1] == 2 and pages == sorted(pages, key=str)
    (table,) = document.tables
    assert (table.page, table.after) == (2, 41)


def test_a_merged_cell_stands_in_every_place_it_covers() -> None:
    rows = [[("类别", 1, 2), ("限额", 2, 1)], [("单笔", 1, 1), ("单日", 1, 1)], [("循环贷", 1, 1), ("无", 2, 1)]]
    assert span_rows(rows) == (("类别", "限额", "限额"), ("类别", "单笔", "单日"), ("循环贷", "无", "无"))
