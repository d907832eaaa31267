"""Clauses shown with a question are as many as asked for, whatever the question is like."""

from __future__ import annotations

from data_recipes.clauses import parse_clauses
from data_recipes.provisions import Provisions
from data_recipes.readers.document import build_document
from tianjing.records import Clause


def _law(name: str, *articles: str) -> list[Clause]:
    numerals = "一二三四五六七八九"
    lines = [(f"第{numerals[number]}条 {text}", 0) for number, text in enumerate(articles)]
    return list(parse_clauses(build_document(f"{name}.md", name, lines)).clauses)


def test_a_question_that_only_its_own_law_resembles_still_gets_clauses_of_others() -> None:
    own = _law("担保办法", *(f"融资担保公司应当报告第{number}类担保业务。" for number in "甲乙丙丁戊己庚辛"))
    other = _law("支付条例", "账户实名。", "备付金存管。", "不得挪用。")
    provisions = Provisions([*own, *other], max_chars=60)
    question = "融资担保公司报告担保业务吗？"
    shown = provisions.choices(question, None, 3, 0, "key", question, without="担保办法")
    assert sorted(clause["id"] for clause in shown) == sorted(clause.id for clause in other)
    assert len(provisions.choices(question, None, 9, 0, "key", question, without="担保办法")) == 3
