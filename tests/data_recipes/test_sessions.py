"""A dialogue that is cut at a pause keeps its log, its outcome and its inspector's findings: each with its session."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from data_recipes.build import build
from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.executors import ExecutorConfig
from data_recipes.cleaning.run import FILES, clean
from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.extract import extract
from data_recipes.knowledge import read_knowledge
from data_recipes.tasks.config import IntentConfig
from data_recipes.tasks.quality_inspection import breached_turns
from tests.data_recipes.calls import START
from tianjing.dataset import SPLITS, read_examples
from tianjing.files import sha256_file
from tianjing.lineage import read_manifest

IDENTITY = ExtractConfig().identity_fields
GREETING = [("agent", 0, "您好，这里是晨舟金融，您的分期逾期了"), ("customer", 1, "收到，我在开会，晚点回复你们")]
TALK = [
    ("agent", 120, "好的，那您方便的时候说一下是什么原因没有还款"),
    ("customer", 121, "最近公司裁员，我失业了，没有收入来源了"),
    ("agent", 122, "理解您的困难，我可以给您办理延期还款"),
    ("customer", 123, "好的，那就麻烦你帮我申请一下吧"),
]
THANKS = [("customer", 300, "今天的钱我已经转过去了，谢谢你"), ("agent", 301, "收到了，祝您生活愉快，感谢配合")]


def _at(minute: float) -> str:
    return (START + timedelta(minutes=minute)).isoformat()


def _dialogue(turns: list[tuple[str, int, str]], identity: str = "d1", customer: str = "c1") -> dict[str, Any]:
    said = [{"speaker": speaker, "text": text, "at": _at(minute)} for speaker, minute, text in turns]
    head = {"id": identity, "customer": customer, "agent": "a1", "channel": "chat", "started_at": _at(0)}
    return {**head, "turns": said}


def _event(minute: float, activity: str, case: str = "d1", actor: str = "a1", **attributes: Any) -> dict[str, Any]:
    return {"case": case, "at": _at(minute), "actor": actor, "activity": activity, "attributes": attributes}


def _write(folder: Path, **tables: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def _read(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def _clean(folder: Path, **tables: list[dict[str, Any]]) -> Path:
    clean(_write(folder / "raw", **tables), folder / "out", CleanConfig(), IDENTITY, "skip")
    return folder / "out"


def test_each_entry_stands_with_the_session_that_it_was_logged_in(tmp_path: Path) -> None:
    log = [
        _event(-0.5, "打开客户档案"),
        _event(1.5, "发送短信"),
        _event(119, "打开客户档案"),
        _event(121.5, "登记逾期原因", reason="失业"),
        _event(125, "填写通话小结"),
    ]
    out = _clean(tmp_path, dialogues=[_dialogue(GREETING + TALK)], events=log)
    assert [(row["case"], row["activity"]) for row in _read(out, "events")] == [
        ("d1", "打开客户档案"),
        ("d1", "发送短信"),
        ("d1#2", "打开客户档案"),
        ("d1#2", "登记逾期原因"),
        ("d1#2", "填写通话小结"),
    ]
    assert "log entries in no session" not in read_manifest(out).counts


def test_an_entry_far_from_every_session_is_kept_and_counted(tmp_path: Path) -> None:
    """With the nearest session that stays: the last one is too short to stay, and its log goes with it."""
    short = [("customer", 300, "好")]
    log = [_event(60, "发送短信"), _event(2000, "发送短信", note="第二天"), _event(301, "发送短信", note="当时")]
    out = _clean(tmp_path, dialogues=[_dialogue(GREETING + TALK + short)], events=log)
    found = [(row["case"], row["attributes"].get("note", "")) for row in _read(out, "events")]
    assert found == [("d1", ""), ("d1#2", "第二天")]
    assert read_manifest(out).counts["log entries in no session"] == 2


@pytest.mark.parametrize("turn", [4, "4"])
def test_a_finding_points_at_the_turn_that_was_inspected(turn: Any, tmp_path: Path) -> None:
    finding = {"turn": turn, "rule": "Q01", "evidence": "可以给您办理", "rewrite": "您可以申请"}
    log = [_event(3000, "质检", actor="qa", **finding), _event(3000, "质检", actor="qa", turn=0, rule="none")]
    out = _clean(tmp_path, dialogues=[_dialogue(GREETING + TALK)], events=log)
    sessions = {row["id"]: row for row in _read(out, "dialogues")}
    first, second = _read(out, "events")
    assert (first["case"], first["attributes"]["turn"]) == ("d1", 0)
    assert second["case"] == "d1#2"
    assert finding["evidence"] in sessions["d1#2"]["turns"][second["attributes"]["turn"]]["text"]
    assert [row.get("first_turn") for row in _read(out, "trail")] == [None, 2]
    assert "log entries in no session" not in read_manifest(out).counts


@pytest.mark.parametrize("turn", ["第五句", None, 99])
def test_a_breach_without_a_turn_keeps_every_session_from_being_taught(turn: Any, tmp_path: Path) -> None:
    finding = {"rule": "Q01", "evidence": "可以给您办理", "rewrite": "您可以申请", "turn": turn}
    raw = _write(
        tmp_path / "raw",
        dialogues=[_dialogue(GREETING + TALK), _dialogue(TALK, "d2", "c2")],
        events=[_event(3000, "质检", actor="qa", **finding)],
    )
    extract(raw, tmp_path / "k", ExtractConfig())
    assert breached_turns(read_knowledge(tmp_path / "k"), "质检") == {("d1", 0), ("d1#2", 0), ("d1#2", 2)}
    assert read_manifest(tmp_path / "k").counts["log_entries_in_no_session"] == 1


OUTCOME = {"case": "d1", "name": "promise_kept", "value": 1.0}
SHORT = [("customer", 300, "好")]
LOGGED = [_event(121.5, "登记逾期原因", reason="失业")]
LATE = [_event(3000, "质检", actor="qa", turn=6, rule="none"), _event(3000, "发送短信")]


@pytest.mark.parametrize(
    ("turns", "log", "case"),
    [
        (GREETING + TALK, LOGGED, "d1#2"),
        (GREETING + TALK + THANKS, LOGGED, "d1#2"),
        (GREETING + TALK + THANKS, [*LOGGED, *LATE], "d1#2"),
        (GREETING + TALK + THANKS, [*LOGGED, _event(302, "填写通话小结")], "d1#3"),
        (GREETING + TALK + THANKS, [_event(1, "填写通话小结")], "d1"),
        (GREETING + TALK + THANKS, [], "d1#3"),
        (GREETING + TALK + SHORT, [], "d1#2"),
        ([("customer", 0, "喂"), *TALK], [], "d1#2"),
        ([("customer", 0, "喂"), ("customer", 100, "喂")], [], None),
    ],
)
def test_an_outcome_follows_the_last_session_in_which_something_was_logged(
    turns: list[tuple[str, int, str]], log: list[dict[str, Any]], case: str | None, tmp_path: Path
) -> None:
    others = [_dialogue(TALK, "d2", "c2"), _dialogue([("customer", 0, "喂")], "d3", "c3")]
    outcomes = [OUTCOME, {**OUTCOME, "case": "d2"}, {**OUTCOME, "case": "d3"}, {**OUTCOME, "case": "b7"}]
    out = _clean(tmp_path, dialogues=[_dialogue(turns), *others], events=log, outcomes=outcomes)
    assert [row["case"] for row in _read(out, "outcomes")] == [*([case] if case else []), "d2", "b7"]


def test_a_row_with_an_id_that_stood_before_is_bad_with_all_its_sessions(tmp_path: Path) -> None:
    rows = [_dialogue(GREETING + TALK), _dialogue(GREETING + TALK + THANKS, customer="c2")]
    out = _clean(tmp_path / "a", dialogues=rows, events=LOGGED, outcomes=[OUTCOME])
    assert [row["id"] for row in _read(out, "dialogues")] == ["d1", "d1#2"]
    assert [row["error"] for row in _read(out, "rejected")] == ["field 'id': 'd1' already stands on line 1"]
    assert [row["case"] for row in _read(out, "events")] == ["d1#2"]
    raw = _write(tmp_path / "raw", dialogues=rows)
    with pytest.raises(DataError, match="'d1' already stands on line 1"):
        clean(raw, tmp_path / "out", CleanConfig(), IDENTITY, "stop")


def _chats(folder: Path) -> Path:
    """Chats whose reason is told two hours or more after the greeting."""
    surnames = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉"
    dialogues, events, outcomes = [], [], []
    for number, name in enumerate(surnames):
        case, later = f"d{number:02}", 13 * number
        turns = [(who, minute, f"{text}，{name}{name}") for who, minute, text in GREETING]
        turns += [(who, minute + later, f"{text}，{name}{name}") for who, minute, text in TALK]
        dialogues.append(_dialogue(turns, case, f"c{number:02}"))
        reason = ("失业", "忘记还款")[number % 2]
        events += [
            _event(0, "打开客户档案", case),
            _event(121.5 + later, "登记逾期原因", case, reason=reason),
            _event(123 + later, "填写通话小结", case),
        ]
        outcomes.append({"case": case, "name": "promise_kept", "value": number // 2 % 2})
    return _write(folder, dialogues=dialogues, events=events, outcomes=outcomes)


def test_a_pause_within_a_chat_costs_no_case_and_no_label(tmp_path: Path) -> None:
    """Cut or whole, the same turns have the same intents, and the clock of the log is in order."""
    raw = _chats(tmp_path / "raw")
    found = {}
    for name, minutes in (("cut", 30), ("whole", 100_000)):
        config = {"clean": {"sessions": {"max_pause_minutes": minutes}}}
        extract(raw, tmp_path / name, ExtractConfig.model_validate(config))
        build(tmp_path / name, tmp_path / f"{name}-d", BuildConfig(tasks=("intent",), intent=IntentConfig(min_cases=2)))
        rows = [row for split in SPLITS for row in read_examples(tmp_path / f"{name}-d" / f"{split}.parquet")]
        said = {row.fields["turns"][-1]["text"]: row.reference["intent"] for row in rows}
        codes = {row["code"]: row["cases"] for row in _read(tmp_path / name, "conclusions")}
        timeline = [
            [(entry["at"], entry["kind"], entry["details"]) for entry in row["entries"]]
            for row in _read(tmp_path / name, "timeline")
        ]
        found[name] = said, codes, timeline
    assert found["cut"] == found["whole"]
    assert len(found["cut"][0]) > 10 and "clock_unreadable" not in found["cut"][1]
    sessions = {row["id"] for row in _read(tmp_path / "cut", "dialogues")}
    assert {row["case"] for row in _read(tmp_path / "cut", "outcomes")} == {name for name in sessions if "#2" in name}


def test_what_is_cut_does_not_depend_on_workers_and_stays_when_cleaned_again(tmp_path: Path) -> None:
    raw = _chats(tmp_path / "raw")
    for workers in (1, 2):
        out = tmp_path / f"w{workers}"
        clean(raw, out, CleanConfig(shard_mib=1), IDENTITY, "stop", ExecutorConfig(workers=workers))
    assert all(sha256_file(tmp_path / "w1" / name) == sha256_file(tmp_path / "w2" / name) for name in FILES)
    clean(tmp_path / "w1", tmp_path / "again", CleanConfig(), IDENTITY, "stop")
    for name in ("dialogues", "events", "outcomes"):
        assert _read(tmp_path / "again", name) == _read(tmp_path / "w1", name)
