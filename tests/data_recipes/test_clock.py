"""A log whose clock was off gives the rows that it would have given, and one that nobody can read gives none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_recipes.build import build
from data_recipes.config import BuildConfig, ProceduresConfig
from data_recipes.experience.evidence import known_cases
from data_recipes.experience.procedures import join_cases
from data_recipes.experience.procedures.cases import CLOCKS_DIFFER
from data_recipes.experience.procedures.report import Judged, judge, read_procedures
from data_recipes.extract import extract
from data_recipes.knowledge import Knowledge, read_knowledge
from data_recipes.tasks.call_summary import draft_call_summary
from data_recipes.tasks.config import IntentConfig
from data_recipes.tasks.handoff_triage import draft_handoff_triage
from data_recipes.tasks.intent import draft_intent
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.calls import all_train, call, logged
from tests.data_recipes.material import EXTRACT, write_raw
from tests.data_recipes.talks import MINING, WORKS, world
from tianjing.acts import ACTS
from tianjing.dataset import SPLITS, read_examples
from tianjing.lineage import read_manifest
from tianjing.rulebook import Rulebook

CONFIG = BuildConfig(tasks=("next_reply", "intent"), intent=IntentConfig(min_cases=2))
EIGHT_HOURS = timedelta(hours=8)


def _write(folder: Path, moved: Callable[[dict[str, Any], datetime], datetime]) -> Path:
    """A raw folder in which each agent logs from the first turn to the last, by a clock of one's choice."""
    raw = write_raw(folder)
    events = [json.loads(line) for line in (raw / "events.jsonl").read_text("utf-8").splitlines()]
    dialogues = [json.loads(line) for line in (raw / "dialogues.jsonl").read_text("utf-8").splitlines()]
    agents = {row["id"]: row["agent"] for row in dialogues}
    for event in events:
        if event["activity"] != "质检":
            event["actor"] = agents[event["case"]]
    for row in dialogues:
        ends = {"case": row["id"], "at": row["turns"][-1]["at"], "actor": row["agent"], "activity": "填写通话小结"}
        events += [ends, {**ends, "at": row["turns"][0]["at"], "activity": "接通"}]
    for event in events:
        if event["activity"] != "质检":
            event["at"] = moved(event, datetime.fromisoformat(event["at"])).isoformat()
    lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    (raw / "events.jsonl").write_text(lines, encoding="utf-8")
    return raw


def _rows(raw: Path) -> dict[str, tuple[str, ...]]:
    knowledge, dataset = raw.with_name(f"{raw.name}-k"), raw.with_name(f"{raw.name}-d")
    extract(raw, knowledge, EXTRACT)
    build(knowledge, dataset, CONFIG)
    rows = [row for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]
    return {row.id: tuple(message.content for message in row.messages) for row in rows}


def test_a_log_eight_hours_off_gives_the_same_rows(tmp_path: Path) -> None:
    right = _rows(_write(tmp_path / "right", lambda event, at: at))
    wrong = _rows(_write(tmp_path / "wrong", lambda event, at: at + EIGHT_HOURS))
    assert right == wrong
    assert {"next_reply", "intent"} <= {name.partition(":")[0] for name in wrong}
    events = read_knowledge(tmp_path / "wrong-k").events
    by_activity = {name: [event for event in events if event.activity == name] for name in ("接通", "质检")}
    assert all(event.logged_at == event.at + EIGHT_HOURS for event in by_activity["接通"])
    assert all(event.logged_at is None for event in by_activity["质检"])
    assert "logged_at" not in (tmp_path / "right-k" / "events.jsonl").read_text("utf-8")
    # What was put right needs no repair when it is extracted again.
    for name in ("dialogues", "outcomes"):
        (tmp_path / "wrong-k" / f"{name}.jsonl").replace(tmp_path / "right" / f"{name}.jsonl")
    (tmp_path / "wrong-k" / "events.jsonl").replace(tmp_path / "right" / "events.jsonl")
    extract(tmp_path / "right", tmp_path / "again", EXTRACT)
    assert list(read_knowledge(tmp_path / "again").events) == list(events)


def test_a_log_that_nobody_can_read_labels_no_turn(tmp_path: Path) -> None:
    def jumping(event: dict[str, Any], at: datetime) -> datetime:
        return at + timedelta(hours=int(event["case"][1:]) ** 2) if event["actor"] == "A0" else at

    raw = _write(tmp_path / "raw", jumping)
    rows = _rows(raw)
    dialogues = [json.loads(line) for line in (raw / "dialogues.jsonl").read_text("utf-8").splitlines()]
    unread = {row["id"] for row in dialogues if row["agent"] == "A0"}
    assert rows and not {name.partition(":")[2].partition("#")[0] for name in rows} & unread
    dropped = read_manifest(tmp_path / "raw-d").counts["dropped"]
    assert dropped["intent: the clock of the logged intent cannot be read"] == len(unread)
    found = [event for event in read_knowledge(tmp_path / "raw-k").events if event.clock == "unreadable"]
    assert {event.actor for event in found} == {"A0"} and {event.case for event in found} == unread


def _judged(knowledge: Path, raw: Path) -> Judged:
    return judge(knowledge, raw / "events.jsonl", raw / "dialogues.jsonl")


def test_new_cases_are_judged_on_the_clock_that_cases_are_learned_on(tmp_path: Path) -> None:
    right = _write(tmp_path / "right", lambda event, at: at)
    wrong = _write(tmp_path / "wrong", lambda event, at: at + EIGHT_HOURS)
    extract(right, tmp_path / "k", EXTRACT)
    plain, repaired = _judged(tmp_path / "k", right), _judged(tmp_path / "k", wrong)
    assert any(step in ACTS for procedure in read_procedures(tmp_path / "k") for step in procedure.steps)
    assert repaired.cases == plain.cases
    assert [note for note in repaired.notes if note not in plain.notes] == [
        "the log of 8 actors was put on the clock of the dialogues: "
        "A0 -28,800 s, A1 -28,800 s, A2 -28,800 s, A3 -28,800 s, A4 -28,800 s, …"
    ]


@pytest.fixture
def unread() -> Knowledge:
    """Calls with the practices that work, logged by a clock that nobody can read."""
    knowledge = world(WORKS)
    marked = [event.model_copy(update={"clock": "unreadable"}) for event in knowledge.events]
    return Knowledge(dialogues=knowledge.dialogues, events=marked, outcomes=knowledge.outcomes)


def test_builders_leave_out_entries_of_a_clock_that_cannot_be_read(unread: Knowledge) -> None:
    assert not known_cases(unread, MINING)
    intents = draft_intent(unread, all_train(unread.dialogues), CONFIG)
    assert not intents.rows
    assert intents.dropped == {"intent: the clock of the logged intent cannot be read": len(unread.dialogues)}
    closed = [event.model_copy(update={"activity": "填写通话小结", "clock": None}) for event in unread.events]
    summarised = Knowledge(dialogues=unread.dialogues, events=[*unread.events, *closed])
    summaries = draft_call_summary(summarised, all_train(unread.dialogues), CONFIG)
    assert not summaries.rows
    assert summaries.dropped == {"call_summary: the clock of its log cannot be read": len(unread.dialogues)}


def test_a_reason_at_an_unknown_turn_makes_no_turn_of_its_call_an_ordinary_one(unread: Knowledge) -> None:
    """Another call with this reason needs a person, and nobody knows in which turn of these it was told."""
    grave = call("G1", "坐：怎么没还？", "客：我生病了，活不下去了，想死的心都有。", "坐：您别急。")
    dialogues = [grave, *unread.dialogues]
    events = [logged("G1", 1, "登记逾期原因", reason="失业"), *unread.events]
    splits = all_train(dialogues)
    made = draft_handoff_triage(
        Knowledge(dialogues=dialogues, events=events), splits, Verdicts(Rulebook.load()), CONFIG
    )
    assert [row.reference["route"] for row in made.rows] == ["human"]
    reason = "handoff_triage: no rule is met, the clock of the logged reason cannot be read"
    assert made.dropped[reason] == len(unread.dialogues)


def test_a_procedure_orders_no_act_beside_entries_of_such_a_clock(unread: Knowledge) -> None:
    found, lost = join_cases(unread.events, unread.dialogues, {}, ProceduresConfig(), MINING)
    assert {step.activity for case in found for step in case.steps} == {"登记逾期原因"}
    assert lost[CLOCKS_DIFFER] == len(unread.dialogues)
