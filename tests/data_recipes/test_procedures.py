"""Procedures: the order nearly all cases keep, branches with their conditions, steps that go with an outcome."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_recipes.browse.inspect import inspect_page
from data_recipes.cli import app
from data_recipes.config import ExtractConfig, PracticesConfig, ProceduresConfig
from data_recipes.errors import DataError
from data_recipes.experience.procedures import Case, Step, conform, conformance, join_cases, mine_procedures
from data_recipes.experience.procedures.cases import CLOCKS_DIFFER, NO_DIALOGUE, SAME_TIME
from data_recipes.experience.procedures.gold import Found, Gold, chain, contract, score
from data_recipes.experience.procedures.layout import layout
from data_recipes.experience.procedures.mermaid import mermaid
from data_recipes.experience.procedures.order import closure, reduction
from data_recipes.experience.procedures.report import judge, read_procedures
from data_recipes.experience.procedures.svg import svg, wrap
from data_recipes.extract import extract
from tianjing.files import write_jsonl
from tianjing.records import Dialogue, Event, Outcome, Procedure, Turn

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = ProceduresConfig()


def case(number: int, steps: Sequence[str], task: str = "账单", **attributes: object) -> Case:
    return Case(f"K{number:04d}", task, tuple(Step(step, rank) for rank, step in enumerate(steps)), attributes)


def mine(cases: Sequence[Case], outcomes: Sequence[Outcome] = (), **settings: object) -> Procedure:
    return mine_procedures(cases, CONFIG.model_copy(update=settings), outcomes)[0]


def test_the_order_that_nearly_all_cases_keep_and_no_other() -> None:
    cases = []
    for number in range(40):
        steps = ["核实身份", "查询账单", "登记还款日"]
        if number % 2:
            steps[1:1] = ["播放录音提示"]
        if number == 0:
            steps.reverse()  # one deviating case out of forty
        if number >= 20:
            steps[-2:] = [steps[-1], steps[-2]]  # no order holds between the last two
        cases.append(case(number, steps))
    procedure = mine(cases)
    assert set(procedure.order) == {
        ("核实身份", "播放录音提示"),
        ("核实身份", "查询账单"),
        ("核实身份", "登记还款日"),
        ("播放录音提示", "查询账单"),
        ("播放录音提示", "登记还款日"),
    }
    assert procedure.optional == ("播放录音提示",)
    assert procedure.support == 40 and procedure.coverage == pytest.approx(39 / 40) and procedure.steps[0] == "核实身份"


def test_a_chain_with_skipped_steps_is_a_chain() -> None:
    rng = random.Random(0)
    chain = ["开户", "核验", "录入", "复核", "通知"]
    cases = [case(n, [step for step in chain if rng.random() < 0.7]) for n in range(300)]
    procedure = mine([one for one in cases if one.steps])
    assert procedure.steps == tuple(chain) and set(procedure.direct) == set(pairwise(chain))


def test_a_branch_states_what_was_known_before_and_goes_with_it() -> None:
    rng = random.Random(1)
    cases = []
    for number in range(400):
        product = rng.choice(["现金贷", "消费分期"])
        days = rng.randrange(1, 91)
        usual = product == "现金贷" and days > 30
        way = "转法务" if usual != (rng.random() < 0.05) else "发短信"
        cases.append(case(number, ["查询", way, "小结"], product=product, days=days, noise=rng.random()))
    (branch,) = mine(cases).branches
    assert branch.after == "查询" and branch.accuracy is not None and branch.accuracy > 0.9
    conditions = {option.step: option.condition for option in branch.options}
    assert "product = 现金贷" in conditions["转法务"] and "days > 30" in conditions["转法务"]
    assert sum(option.share for option in branch.options) == pytest.approx(1)


def test_a_condition_says_nothing_twice() -> None:
    cases = []
    for number in range(300):
        product, way = [("甲贷", "一"), ("乙贷", "二"), ("丙贷", "三")][number % 3]
        cases.append(case(number, ["查询", way, "小结"], product=product))
    (branch,) = mine(cases).branches
    conditions = {option.step: option.condition for option in branch.options}
    assert set(conditions.values()) == {"product = 甲贷", "product = 乙贷", "product = 丙贷"} or any(
        condition.count("product ≠") == 2 for condition in conditions.values()
    )
    assert all(not ("≠" in condition and " = " in condition) for condition in conditions.values())


def test_a_branch_by_chance_states_no_condition() -> None:
    rng = random.Random(2)
    stated = 0
    for _ in range(40):
        cases = [
            case(n, ["查询", rng.choice(["甲", "乙"]), "小结"], **{f"f{i}": rng.choice("ab") for i in range(8)})
            for n in range(50)
        ]
        stated += any(branch.accuracy is not None for branch in mine(cases).branches)
    assert stated <= 1


def test_a_condition_never_looks_past_the_split() -> None:
    cases = []
    for number in range(100):
        way = "转法务" if number % 2 else "发短信"
        steps = (Step("查询", 0), Step(way, 1, {"result": way}), Step("小结", 2, {"kind": way}))
        cases.append(Case(f"K{number}", "t", steps))
    (branch,) = mine(cases).branches
    assert all(not option.condition for option in branch.options)


def test_a_step_that_goes_with_the_outcome_is_found_and_one_that_does_not_is_not() -> None:
    rng = random.Random(3)
    cases, outcomes = [], []
    for number in range(600):
        helped, idle = rng.random() < 0.5, rng.random() < 0.5
        steps = ["核实", *(["约定日期"] if helped else []), *(["安抚"] if idle else []), "小结"]
        cases.append(case(number, steps))
        kept = rng.random() < (0.7 if helped else 0.4)
        outcomes.append(Outcome(case=cases[-1].id, name="promise_kept", value=kept))
        outcomes.append(Outcome(case=cases[-1].id, name="csat", value=4))  # no outcome of two values
    found = {row.step: row for row in mine(cases, outcomes).separating}
    assert set(found) == {"约定日期", "安抚"}  # what all cases have separates nothing
    good = found["约定日期"]
    assert good.ci_low < 0.3 < good.ci_high and good.q < 0.001 and not good.exploratory
    assert found["安抚"].q > 0.05
    assert mine(cases, [Outcome(case=c.id, name="promise_kept", value=1) for c in cases]).separating == ()


def test_a_label_of_another_task_that_strays_in_is_no_step() -> None:
    own = [case(n, ["甲", "乙"]) for n in range(200)]
    stray = [case(n, ["甲", "丙", "乙"]) for n in range(200, 205)]
    other = [case(n, ["丙", "丁"], task="其他") for n in range(300, 400)]
    procedure = mine_procedures([*own, *stray, *other], CONFIG)[1]
    assert procedure.task == "账单" and procedure.steps == ("甲", "乙")
    assert [one.unknown for one in conform(stray, [procedure])] == [("丙",)] * 5


def test_conformance_names_what_is_missing_out_of_order_and_unknown() -> None:
    procedure = mine([case(n, ["甲", "乙", "丙", "丁"]) for n in range(30)])
    judged = conformance(case(1, ["甲", "丙", "乙", "戊"]), procedure)
    assert judged.missing == ("丁",) and judged.unknown == ("戊",) and judged.out_of_order == (("乙", "丙"),)
    assert judged.misplaced == ("丙",) or judged.misplaced == ("乙",)
    assert judged.fitness == pytest.approx(1 - 3 / 5)
    tied = Case("K", "账单", (Step("甲", 0), Step("丙", 1), Step("乙", 1), Step("丁", 2)))
    assert conformance(tied, procedure).fitness == 1  # equal times accuse nobody
    assert conformance(Case("K", "账单", ()), procedure).fitness == 0
    (elsewhere,) = conform([case(1, ["甲"], task="未知")], [procedure])
    assert elsewhere.fitness is None and elsewhere.procedure == ""


def test_one_case_gives_its_steps_and_no_order() -> None:
    procedure = mine([case(1, ["乙", "甲"])])
    assert procedure.steps == ("乙", "甲") and procedure.order == () and procedure.direct == ()
    assert procedure.support == 1 and mine_procedures([], CONFIG) == []


traces = st.lists(st.lists(st.sampled_from("甲乙丙丁戊己"), max_size=8), min_size=1, max_size=25)


@settings(max_examples=120, deadline=None)
@given(traces)
def test_the_order_is_acyclic_and_the_usual_course_keeps_it(found: list[list[str]]) -> None:
    procedure = mine([case(n, steps) for n, steps in enumerate(found)], min_order=0.51)
    place = {step: number for number, step in enumerate(procedure.steps)}
    assert len(place) == len(procedure.steps)
    assert all(place[a] < place[b] for a, b in (*procedure.order, *procedure.direct))
    assert all(0 <= one.fitness <= 1 for one in procedure.variants) and 0 <= procedure.fitness <= 1
    assert sum(one.count for one in procedure.variants) <= procedure.support
    for variant in procedure.variants:
        assert conformance(case(0, variant.steps), procedure).fitness == variant.fitness


@settings(max_examples=60, deadline=None)
@given(
    st.permutations("甲乙丙丁戊"), st.lists(st.sets(st.sampled_from("甲乙丙丁戊"), min_size=1), min_size=1, max_size=30)
)
def test_cases_that_only_leave_out_optional_steps_conform(order: list[str], kept: list[set[str]]) -> None:
    cases = [case(n, [step for step in order if step in some]) for n, some in enumerate(kept)]
    procedure = mine(cases, min_required=0.999, min_cases=1, min_share=0.0)
    assert all(one.fitness == 1 for one in conform(cases, [procedure])) and procedure.coverage == 1


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1])))
def test_the_reduction_implies_all_and_nothing_more(pairs: set[tuple[int, int]]) -> None:
    order = {(str(a), str(b)) for a, b in pairs}
    closed = closure(order)
    reduced = reduction(closed)
    assert closure(reduced) == closed and order <= closed
    assert all(pair not in closure(reduced - {pair}) for pair in reduced)


def _dialogue(id: str = "D1", minute: int = 0) -> Dialogue:
    turns = (
        Turn(speaker="agent", text="可以给您办延期", at=NOW + timedelta(minutes=minute)),
        Turn(speaker="customer", text="好的", at=NOW + timedelta(minutes=minute + 1)),
    )
    return Dialogue(id=id, customer="C", agent="A", channel="phone", started_at=NOW, turns=turns)


def _event(activity: str, minute: int, id: str = "D1") -> Event:
    return Event(case=id, at=NOW + timedelta(minutes=minute), actor="A", activity=activity)


def _join(events: list[Event], dialogues: list[Dialogue]) -> tuple[list[Case], Counter[str]]:
    return join_cases(events, dialogues, {}, CONFIG, PracticesConfig())


def test_acts_and_events_are_joined_by_time() -> None:
    cases, lost = _join([_event("打开档案", -1), _event("填写小结", 3), _event("质检", 9)], [_dialogue()])
    assert [step.activity for step in cases[0].steps] == ["打开档案", "offer_deferral", "填写小结"] and not lost


def test_bad_logs_are_named_and_not_guessed_at() -> None:
    cases, lost = _join([_event("打开档案", -90), _event("填写小结", -80)], [_dialogue()])
    assert [step.activity for step in cases[0].steps] == ["打开档案", "填写小结"] and lost == {CLOCKS_DIFFER: 1}
    cases, lost = _join([_event("打开档案", 5, "D9")], [_dialogue()])
    assert cases == [] and lost == {NO_DIALOGUE: 1}
    cases, lost = _join([_event("甲", 5, "B1"), _event("乙", 5, "B1")], [])
    assert lost == {SAME_TIME: 1} and mine(cases * 30).order == ()
    naive = Event(case="B1", at=datetime(2026, 1, 1, 8), actor="A", activity="丙")  # Chinese time: 00:00 UTC
    cases, _ = _join([_event("甲", 5, "B1"), naive], [])
    assert [step.activity for step in cases[0].steps] == ["丙", "甲"]


def _rich() -> Procedure:
    """A procedure with branches, long Chinese names, optional steps and hostile text."""
    rng = random.Random(4)
    hostile = '<script>alert("&")</script>]]>--|{x}'
    cases, outcomes = [], []
    for number in range(300):
        product = rng.choice(["现金贷", "消费分期"])
        way = "转交法务部门并登记诉前调解意向书" if product == "现金贷" else "发送逾期提示短信并约定下一次联系时间"
        steps = ["核实身份", "查询账单", way, *([hostile] if rng.random() < 0.4 else []), "填写通话小结"]
        cases.append(case(number, steps, product=product))
        outcomes.append(
            Outcome(case=cases[-1].id, name="promise_kept", value=rng.random() < 0.3 + 0.4 * (hostile in steps))
        )
    return mine(cases, outcomes)


def test_a_chart_shows_every_step_and_escapes_all_text() -> None:
    procedure = _rich()
    drawn, text = svg(procedure), mermaid(procedure)
    root = ElementTree.fromstring(drawn)
    boxes = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("rx")]
    assert len(boxes) == len(procedure.steps) == 6
    assert "<script" not in drawn and "<script" not in text and "alert(&quot;" in drawn
    shown = "".join(one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "转交法务部门并登记诉前调解意向书" in shown  # wrapped over lines, whole
    assert "当 product = 现金贷" in shown and "相关 promise_kept +0." in shown
    assert text.count("==>") == 2 and "flowchart TD" in text
    assert "\ud800" not in svg(mine([case(1, ["\ud800甲"])]))
    assert svg(mine([case(1, ["甲"])])) and mermaid(mine([case(1, ["甲"])]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6, unique=True))
def test_any_activity_name_gives_well_formed_drawings(names: list[str]) -> None:
    procedure = mine([case(n, names) for n in range(6)])
    ElementTree.fromstring(svg(procedure))
    rows = mermaid(procedure).splitlines()
    assert sum('["' in row and '"]' in row for row in rows) == len(names)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 20),
    st.sets(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda pair: pair[0] < pair[1]), max_size=40),
)
def test_no_two_boxes_of_a_layout_touch(count: int, pairs: set[tuple[int, int]]) -> None:
    nodes = [f"n{number:02d}" for number in range(count)]
    edges = sorted((f"n{a:02d}", f"n{b:02d}") for a, b in pairs if b < count)
    placed = layout(nodes, edges, {node: (80.0 + 10 * (number % 5), 30.0) for number, node in enumerate(nodes)})
    boxes = list(placed.boxes.values())
    for number, one in enumerate(boxes):
        assert one.x - one.width / 2 >= -1e-6 and one.x + one.width / 2 <= placed.width + 1e-6
        for other in boxes[:number]:
            apart = abs(one.x - other.x) >= (one.width + other.width) / 2 - 1e-6
            assert apart or abs(one.y - other.y) >= (one.height + other.height) / 2
    assert all(placed.boxes[a].y < placed.boxes[b].y for a, b in edges) and set(placed.lines) == set(edges)


def test_long_words_are_wrapped_and_nothing_is_lost() -> None:
    assert wrap("登记可承受金额", 4) == ["登记可承", "受金额"]
    assert wrap("offer deferral", 5.5) == ["offer", "deferral"]
    assert "".join(wrap("a" * 50, 10)) == "a" * 50 and wrap("", 5) == [""]


def test_the_score_of_a_miner_counts_what_a_person_would() -> None:
    gold = Gold("t", frozenset("abc"), frozenset({("a", "b"), ("b", "c")}))
    found = Found(
        frozenset("abcx"),
        frozenset({("a", "b"), ("b", "c")}),
        frozenset({("a", "x"), ("x", "b"), ("c", "b")}),
        tuple("axbc"),
    )
    result = score(found, gold)
    assert (result.step_recall, result.course_agreement, result.order_agreement) == (1, 1, 1)
    assert (result.right_edges, result.claimed_edges, result.gold_edges, result.exact) == (1, 2, 2, 0)
    assert result.edge_f1 == pytest.approx(0.5)
    assert contract([("a", "q"), ("q", "b"), ("q", "q")], ["q"]) == {("a", "b")}
    exact = score(Found.of(mine([case(n, "abc") for n in range(30)])), chain("t", "abc"))
    assert exact.exact == 1 and exact.edge_f1 == 1


def test_the_command_draws_and_judges_new_cases(knowledge: Path, tmp_path: Path) -> None:
    procedures = read_procedures(knowledge)
    task = procedures[0].task
    rows = [json.loads(line) for line in (knowledge / "events.jsonl").read_text("utf-8").splitlines()]
    log = tmp_path / "events.jsonl"
    rows = rows[:40]
    rows.append({**rows[-1], "case": "new", "activity": "从未见过的操作", "attributes": {}})
    log.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    judged = judge(knowledge, log)
    assert {one.case for one in judged.cases} == {row["case"] for row in rows}
    assert all(one.fitness is None or 0 <= one.fitness <= 1 for one in judged.cases)
    result = CliRunner().invoke(
        app, ["procedures", str(knowledge), "--task", task, "--out", str(tmp_path / "charts"), "--conform", str(log)]
    )
    assert result.exit_code == 0, result.output
    names = sorted(path.suffix for path in (tmp_path / "charts").iterdir())
    assert names == [".jsonl", ".mmd", ".svg"]
    with pytest.raises(DataError, match="no procedure of task '没有'"):
        read_procedures(knowledge, "没有")
    with pytest.raises(DataError, match="no such file"):
        judge(knowledge, tmp_path / "absent.jsonl")
    log.write_text("", "utf-8")
    with pytest.raises(DataError, match="no event"):
        judge(knowledge, log)


def test_the_page_of_a_knowledge_shows_the_charts(knowledge: Path) -> None:
    page = inspect_page(knowledge)
    assert page.count("<svg xmlns") == len(read_procedures(knowledge)) > 0


def test_a_log_without_any_dialogue_gives_procedures(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = [_event(step, minute, f"B{n}") for n in range(30) for minute, step in enumerate(("受理", "复核", "放款"))]
    write_jsonl(raw / "events.jsonl", rows)
    extract(raw, tmp_path / "k", ExtractConfig())
    (procedure,) = read_procedures(tmp_path / "k")
    assert procedure.steps == ("受理", "复核", "放款") and procedure.direct == (("受理", "复核"), ("复核", "放款"))
