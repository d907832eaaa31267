"""Two versions of a document, clause by clause."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.clauses import ClauseChange, compare, parse_clauses
from data_recipes.clauses.compare import edits
from data_recipes.readers.document import build_document
from data_recipes.readers.office import han
from tianjing.records import Clause

DEFERRAL = "客户可以在还款日前三个工作日申请延期，每次不超过30日。"
DISCLOSURE = "公司应当在签约页面展示本金、年化利率和还款计划。"
PRIVACY = "坐席不得向第三人透露客户的欠款信息。"
COMPLAINT = "投诉应当在15日内作出处理决定，并书面告知客户。"


def _version(*articles: str) -> list[Clause]:
    """Articles numbered from 第一条; a line break begins a further 款 or 项."""
    lines = [
        (line if part else f"第{han(number)}条 {line}", 0)
        for number, article in enumerate(articles, 1)
        for part, line in enumerate(article.split("\n"))
    ]
    return list(parse_clauses(build_document("x.md", "办法", lines)).clauses)


def _kinds(changes: list[ClauseChange]) -> list[tuple[str, list[str], list[str]]]:
    return [(one.kind, [c.article for c in one.old], [c.article for c in one.new]) for one in changes]


def test_an_inserted_article_moves_the_others_and_changes_none() -> None:
    changes = compare(_version(DEFERRAL, DISCLOSURE, PRIVACY), _version(DEFERRAL, COMPLAINT, DISCLOSURE, PRIVACY))
    assert _kinds(changes) == [
        ("same", ["第一条"], ["第一条"]),
        ("added", [], ["第二条"]),
        ("renumbered", ["第二条"], ["第三条"]),
        ("renumbered", ["第三条"], ["第四条"]),
    ]


def test_a_removed_article_is_told_where_it_stood() -> None:
    changes = compare(_version(DEFERRAL, DISCLOSURE, PRIVACY), _version(DEFERRAL, PRIVACY))
    assert _kinds(changes) == [
        ("same", ["第一条"], ["第一条"]),
        ("removed", ["第二条"], []),
        ("renumbered", ["第三条"], ["第二条"]),
    ]


def test_a_changed_number_and_a_changed_demand_are_named() -> None:
    new = "客户应当在还款日前五个工作日申请延期，每次不超过30日。"
    (change,) = compare(_version(DEFERRAL), _version(new))
    assert change.kind == "changed" and change.modality == ("may", "must")
    assert [(one.value, one.unit) for one in change.quantities_removed] == [(3, "个工作日")]
    assert [(one.value, one.unit) for one in change.quantities_added] == [(5, "个工作日")]
    assert [(one.old, one.new) for one in change.edits] == [("可以", "应当"), ("三", "五")]
    for edit in change.edits:
        assert DEFERRAL[edit.old_start :].startswith(edit.old) and new[edit.new_start :].startswith(edit.new)


def test_a_bound_that_turns_round_is_a_changed_quantity() -> None:
    (change,) = compare(_version("借款额度不超过20万元。"), _version("借款额度不低于20万元。"))
    assert [one.comparator for one in (*change.quantities_removed, *change.quantities_added)] == ["<=", ">="]


def test_a_changed_article_may_also_have_moved() -> None:
    changes = compare(_version(DEFERRAL), _version(PRIVACY, DEFERRAL.replace("30", "60")))
    assert [(one.kind, one.is_renumbered) for one in changes] == [("added", False), ("changed", True)]


def test_an_article_split_in_two_and_two_merged_into_one() -> None:
    one, two = _version(f"{DEFERRAL}{COMPLAINT}", PRIVACY), _version(DEFERRAL, COMPLAINT, PRIVACY)
    assert _kinds(compare(one, two))[0] == ("split", ["第一条"], ["第一条", "第二条"])
    assert _kinds(compare(two, one))[0] == ("merged", ["第一条", "第二条"], ["第一条"])


def test_the_part_that_changed_is_named_and_its_neighbours_are_not() -> None:
    old = "客户申请延期的，应当提交下列材料：\n（一）身份证件；\n（二）近3个月的收入证明；\n（三）申请书。"
    (change,) = compare(_version(old), _version(old.replace("近3个月", "近6个月")))
    (part,) = change.parts
    assert part.kind == "changed" and part.new[0].path[-1] == "（二）"
    assert [(one.old, one.new) for one in part.edits] == [("3", "6")]


def test_a_changed_lead_in_does_not_change_every_item_below_it() -> None:
    old = "客户申请延期的，应当提交下列材料：\n（一）身份证件；\n（二）近3个月的收入证明。"
    (change,) = compare(_version(old), _version(old.replace("应当", "可以")))
    assert change.kind == "changed" and change.modality == ("must", "may") and change.parts == ()


def test_unrelated_rules_under_one_number_are_no_change_of_each_other() -> None:
    assert [one.kind for one in compare(_version(DEFERRAL), _version(PRIVACY))] in (
        ["removed", "added"],
        ["added", "removed"],
    )


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("不超过三十日", "不超过六十日", [("三", "六")]),
        ("甲应当", "甲乙应当", [("", "乙")]),
        ("年化不超过24%", "年化不低于36%", [("超过24", "低于36")]),
        ("超过3日的", "低于3月的", [("超过3日", "低于3月")]),
        ("同", "同", []),
    ],
)
def test_edits_are_what_a_person_would_mark(old: str, new: str, found: list[tuple[str, str]]) -> None:
    assert [(one.old, one.new) for one in edits(old, new)] == found


_TEXT = st.text(alphabet="客户应当不得可以提交材料三十日内公司坐席答复，", min_size=4, max_size=24).map(
    lambda s: s + "。"
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_TEXT, min_size=1, max_size=6), st.lists(_TEXT, min_size=1, max_size=6))
def test_every_article_of_both_versions_is_told_exactly_once(before: list[str], after: list[str]) -> None:
    old, new = _version(*before), _version(*after)
    changes = compare(old, new)
    for side, clauses in (("old", old), ("new", new)):
        told = Counter(clause.id for change in changes for clause in getattr(change, side))
        assert told == Counter(clause.id for clause in clauses if clause.path[-1] == clause.article)
    assert {change.kind for change in compare(old, old)} == {"same"}


@settings(max_examples=60, deadline=None)
@given(_TEXT, _TEXT)
def test_edits_turn_the_old_text_into_the_new(old: str, new: str) -> None:
    text, shift = old, 0
    for edit in edits(old, new):
        start = edit.old_start + shift
        assert text[start : start + len(edit.old)] == edit.old
        text = text[:start] + edit.new + text[start + len(edit.old) :]
        shift += len(edit.new) - len(edit.old)
    assert text == new
