"""Material of practices: what counts as exposure, whose clock is right, and what cannot be concluded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_recipes.config import PracticesConfig
from data_recipes.errors import DataError
from data_recipes.experience.practices import Clocks, Told, align, cases, conclude, mine
from tests.data_recipes.material import write_raw
from tianjing.cli import app
from tianjing.records import Conclusion, Customer, Dialogue, Event, Outcome, Turn

NOW = datetime(2026, 1, 1, 9, tzinfo=UTC)
REASON = "登记逾期原因"
CUSTOMERS = {"C1": Customer.model_validate({"customer": "C1", "overdue_bucket": "M2"})}
CALL = (
    ("agent", "需要您提供证明材料"),  # before the reason
    ("customer", "我失业了"),
    ("agent", "可以给您办延期"),
    ("customer", "行，就这么办"),
    ("agent", "那您几号还款"),  # after the decision
)


def _dialogue(turns: Sequence[tuple[str, str]] = CALL, id: str = "D1", agent: str = "A1", day: int = 0) -> Dialogue:
    start = NOW + timedelta(days=day)
    spoken = tuple(
        Turn(speaker=speaker, text=text, at=start + timedelta(seconds=20 * i))  # type: ignore[arg-type]
        for i, (speaker, text) in enumerate(turns)
    )
    return Dialogue(id=id, customer="C1", agent=agent, channel="phone", started_at=start, turns=spoken)


def _event(turn: int, activity: str, id: str = "D1", actor: str = "A1", day: int = 0, **attributes: str) -> Event:
    at = NOW + timedelta(days=day, seconds=20 * turn)
    return Event(case=id, at=at, actor=actor, activity=activity, attributes=attributes)


def _actions(found: Any) -> set[str]:
    return {exposure.action for exposure in found.exposures}


def test_an_action_counts_only_between_the_reason_and_the_decision() -> None:
    log = [
        _event(0, "核对身份"),
        _event(1, REASON, reason="失业"),
        _event(2, "发起延期申请"),
        _event(4, "登记承诺日期"),
        _event(4, "质检"),
    ]
    outcome = Outcome(case="D1", name="promise_kept", value=1)
    (case,), dropped = cases([_dialogue()], log, [outcome], CUSTOMERS, PracticesConfig())
    assert _actions(case) == {"offer_deferral", "发起延期申请"} and not dropped
    assert {exposure.turn for exposure in case.exposures} == {2} and case.reason_turn == 1
    assert case.stratum == ("M2",) and case.kept and case.month == "2026-01"


def test_without_a_worded_decision_the_answer_to_the_first_act_decides() -> None:
    turns = (*CALL[:3], ("customer", "哦，那时候该有了"), ("agent", "那您几号还款"), ("customer", "再见"))
    (case,), _ = cases([_dialogue(turns)], [_event(1, REASON, reason="失业")], [], CUSTOMERS, PracticesConfig())
    assert _actions(case) == {"offer_deferral"}


def test_a_promise_made_is_no_promise_kept() -> None:
    made = Outcome(case="D1", name="promise_made", value=1)
    (case,), _ = cases([_dialogue()], [_event(1, REASON, reason="失业")], [made], CUSTOMERS, PracticesConfig())
    assert case.kept is None


def test_situations_come_from_the_log_the_text_or_both() -> None:
    dialogues = [_dialogue(id="D1"), _dialogue(id="D2"), _dialogue(id="D3")]
    log = [_event(1, REASON, reason="失业")]
    told = {"D1": Told("多头负债", 1), "D2": Told("生病住院", 1)}

    def found(where: str) -> dict[str, str]:
        config = PracticesConfig.model_validate({"situation": where})
        return {case.id: case.situation for case in cases(dialogues, log, [], CUSTOMERS, config, told)[0]}

    assert found("logged") == {"D1": "失业"}
    assert found("text") == {"D1": "多头负债", "D2": "生病住院"}
    assert found("auto") == {"D1": "失业", "D2": "生病住院"}
    with pytest.raises(DataError, match=r"practices\.situation: text"):
        cases(dialogues, log, [], CUSTOMERS, PracticesConfig(situation="text"))


def _corpus(calls: int, agents: int = 3) -> tuple[list[Dialogue], list[Event]]:
    names = [(f"D{n}", f"A{n % agents}", n) for n in range(calls)]
    dialogues = [_dialogue(id=id, agent=agent, day=day) for id, agent, day in names]
    steps = ((0, "打开客户档案", {}), (1, REASON, {"reason": "失业"}), (2, "发起延期申请", {}), (4, "填写通话小结", {}))
    log = [_event(turn, name, id, agent, day, **more) for id, agent, day in names for turn, name, more in steps]
    return dialogues, log


@given(st.integers(-50_000, 50_000))
def test_a_skewed_clock_is_set_right_or_left_alone(skew: int) -> None:
    dialogues, log = _corpus(12)
    skewed = [event.model_copy(update={"at": event.at + timedelta(seconds=skew)}) for event in log]
    aligned, clocks = align(dialogues, skewed)
    off = [abs((event.at - true.at).total_seconds()) for event, true in zip(aligned, log, strict=True)]
    assert max(off) <= 120 and not clocks.unreadable
    assert bool(clocks.shifts) == (abs(skew) > 120)
    if abs(skew) > 120:
        assert max(off) <= 1


def test_one_desktop_in_another_time_zone_is_set_right_by_itself() -> None:
    dialogues, log = _corpus(30)
    skewed = [
        event.model_copy(update={"at": event.at + timedelta(hours=8)}) if event.actor == "A1" else event
        for event in log
    ]
    aligned, clocks = align(dialogues, skewed)
    assert clocks == Clocks({"A1": -28_800}, ())
    assert [event.at for event in aligned] == [event.at for event in log]
    assert [event.logged_at or event.at for event in aligned] == [event.at for event in skewed]
    assert {event.actor for event in aligned if event.logged_at} == {"A1"}


@pytest.mark.parametrize("learned", [20, 3, 0])
def test_entries_of_held_out_cases_are_set_right_too(learned: int) -> None:
    """By what the cases that are learned from tell of the actor, or, where these are too few, by themselves."""
    dialogues, log = _corpus(30)
    skewed = [event.model_copy(update={"at": event.at + timedelta(hours=8)}) for event in log]
    aligned, clocks = align(dialogues[:learned], skewed, (), dialogues[learned:])
    assert [event.at for event in aligned] == [event.at for event in log]
    assert clocks == Clocks({"A0": -28_800, "A1": -28_800, "A2": -28_800}, ())


def test_what_lies_outside_its_call_after_the_shift_tells_no_turn() -> None:
    """As entries do that a wrong clock put into the session before their own."""
    dialogues, log = _corpus(30)
    skewed = [event.model_copy(update={"at": event.at - timedelta(hours=2)}) for event in log]
    skewed[5] = log[5]
    aligned, clocks = align(dialogues, skewed)
    assert set(clocks.shifts.values()) == {7200}
    assert [number for number, event in enumerate(aligned) if event.clock == "unreadable"] == [5]


def test_held_out_cases_move_no_entry_that_is_learned_from() -> None:
    dialogues, log = _corpus(30)
    tested = {dialogue.id for dialogue in dialogues[3:]}
    skewed = [
        event.model_copy(update={"at": event.at + timedelta(hours=8)}) if event.case in tested else event
        for event in log
    ]
    aligned, _ = align(dialogues[:3], skewed, (), dialogues[3:])
    assert [event.at for event in aligned] == [event.at for event in log]
    assert {event.case for event in aligned if event.logged_at} == tested


def test_a_clock_that_jumps_about_is_not_believed() -> None:
    dialogues, log = _corpus(30)
    jumping = [
        event.model_copy(update={"at": event.at + timedelta(hours=int(event.case[1:]) ** 2)})
        if event.actor == "A1"
        else event
        for event in log
    ]
    aligned, clocks = align(dialogues, jumping)
    assert clocks.unreadable == ("A1",) and len(aligned) == len(log)
    assert {(event.actor, event.clock) for event in aligned} == {("A0", None), ("A1", "unreadable"), ("A2", None)}
    assert [event.at for event in aligned] == [event.at for event in jumping]


def test_inspection_after_the_call_is_no_skew() -> None:
    dialogues, log = _corpus(30)
    late = [_event(0, "质检", id=f"D{n}", day=n + 2, actor=f"A{n % 3}") for n in range(30)]
    aligned, clocks = align(dialogues, [*log, *late], ("质检",))
    assert not clocks.shifts and aligned == [*log, *late]


def test_times_without_an_offset_are_those_of_china() -> None:
    """A log with offsets beside dialogues without: they are compared, not refused."""
    dialogue = _dialogue()
    naive = tuple(
        turn.model_copy(update={"at": turn.at.astimezone(tz=None).replace(tzinfo=None) if turn.at else None})
        for turn in dialogue.turns
    )
    aligned, _ = align([dialogue.model_copy(update={"turns": naive})], [_event(1, REASON, reason="失业")])
    assert len(aligned) == 1


def _conclusions(
    calls: int = 60,
    agents: int = 3,
    outcome: Callable[[int], float | None] = lambda n: n % 2,
    change: Callable[[Event], Event] = lambda event: event,
    customers: dict[str, Customer] = CUSTOMERS,
) -> dict[str, Conclusion]:
    config = PracticesConfig()
    dialogues, log = _corpus(calls, agents)
    events, clocks = align(dialogues, [change(event) for event in log])
    values = [(n, outcome(n)) for n in range(calls)]
    outcomes = [Outcome(case=f"D{n}", name="promise_kept", value=value) for n, value in values if value is not None]
    found, _ = cases(dialogues, events, outcomes, customers, config)
    practices = mine(found, config)
    ids = {dialogue.id for dialogue in dialogues}
    said = conclude(found, practices, events, ids, customers, clocks, config)
    return {conclusion.code: conclusion for conclusion in said}


def test_good_material_says_how_many_pairs_were_tested() -> None:
    said = _conclusions(calls=1200)
    assert set(said) == {"associations"} and "is not a cause" in said["associations"].statement


def test_without_outcomes_it_says_that_nothing_can_be_concluded() -> None:
    said = _conclusions(outcome=lambda n: None)
    assert said["no_outcomes"].blocks and "associations" not in said
    assert "outcomes.jsonl" in said["no_outcomes"].remedy


def test_equal_outcomes_are_no_evidence() -> None:
    said = _conclusions(outcome=lambda n: 1)
    assert said["equal_outcomes"].blocks and said["equal_outcomes"].cases == 60


def test_one_agent_is_told_and_every_practice_is_exploratory() -> None:
    assert "A0" in _conclusions(agents=1)["one_agent"].statement
    dialogues, log = _corpus(100, agents=1)
    half = [event for event in log if int(event.case[1:]) % 2 or event.activity != "发起延期申请"]
    outcomes = [Outcome(case=f"D{n}", name="promise_kept", value=n % 2) for n in range(100)]
    found, _ = cases(dialogues, half, outcomes, CUSTOMERS, PracticesConfig())
    practices = mine(found, PracticesConfig())
    assert practices and all(practice.exploratory and practice.agent_stability is None for practice in practices)


def test_events_without_dialogues_are_counted_not_lost() -> None:
    said = _conclusions(change=lambda e: e.model_copy(update={"case": f"other-{e.case}"}))
    assert said["events_without_dialogue"].cases == 240 and said["no_situation"].blocks


def test_clock_skew_is_told() -> None:
    later = timedelta(hours=8)
    said = _conclusions(change=lambda e: e.model_copy(update={"at": e.at + later}))
    assert "+28800 s" in said["clock_repaired"].statement and "no_situation" not in said
    said = _conclusions(change=lambda e: e.model_copy(update={"at": e.at + int(e.case[1:]) ** 2 * later}))
    assert said["clock_unreadable"].cases == 3 and said["no_situation"].blocks


def test_missing_strata_and_outcomes_are_told() -> None:
    said = _conclusions(customers={}, outcome=lambda n: n % 2 if n % 3 else None)
    assert said["stratum_missing"].cases == 40 and said["outcomes_missing"].cases == 20 and "few_cases" in said


@pytest.mark.parametrize("broken", ["no outcomes", "no dialogues of the log", "one agent"])
def test_extract_goes_through_and_prints_what_cannot_be_concluded(tmp_path: Path, broken: str) -> None:
    raw = write_raw(tmp_path / "raw", 60)
    if broken == "no outcomes":
        (raw / "outcomes.jsonl").unlink()
    elif broken == "one agent":
        _rewrite(raw / "dialogues.jsonl", agent=lambda row: "A0")
    else:
        _rewrite(raw / "events.jsonl", case=lambda row: f"elsewhere-{row['case']}")
    result = CliRunner().invoke(app, ["data", "extract", str(raw), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    said = [json.loads(line) for line in (tmp_path / "out" / "conclusions.jsonl").read_text("utf-8").splitlines()]
    code = {"no outcomes": "no_outcomes", "one agent": "one_agent"}.get(broken, "events_without_dialogue")
    statement = next(row["statement"] for row in said if row["code"] == code)
    assert statement[:40] in " ".join(result.output.split())


def _rewrite(path: Path, **change: Callable[[dict[str, Any]], str]) -> None:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        row.update({name: make(row) for name, make in change.items()})
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_situations_that_the_log_lacks_are_read_from_the_words(tmp_path: Path) -> None:
    """Ten reasons of each situation are logged; the other calls have none, and count all the same."""
    raw = write_raw(tmp_path / "raw", 240)
    rows = [json.loads(line) for line in (raw / "events.jsonl").read_text("utf-8").splitlines()]
    kept = [row for row in rows if row["activity"] != REASON or int(row["case"][1:]) < 30]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
    (raw / "events.jsonl").write_text(lines, encoding="utf-8")
    config = tmp_path / "extract.yaml"
    config.write_text("practices: {situation: auto, min_group_cases: 20}\n", encoding="utf-8")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["data", "extract", str(raw), "--out", str(out), "--config", str(config)])
    assert result.exit_code == 0, result.output
    practices = [json.loads(line) for line in (out / "practices.jsonl").read_text("utf-8").splitlines()]
    works = next(row for row in practices if row["id"] == "失业/offer_deferral")
    assert works["support"]["cases"] > 60 and works["effect"] > 0 and works["q"] < 0.05
    told = [json.loads(line) for line in (out / "situations.jsonl").read_text("utf-8").splitlines()]
    right = [(row["situation"] == "失业") == (int(row["dialogue"][1:]) % 2 == 0) for row in told]
    assert len(told) > 200 and sum(right) > 0.95 * len(right)
    result = CliRunner().invoke(app, ["data", "build", str(out), "--out", str(tmp_path / "dataset")])
    assert result.exit_code == 0, result.output
