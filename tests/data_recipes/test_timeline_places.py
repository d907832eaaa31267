"""From an entry of a timeline back to where it stands, also where bad rows were kept aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_recipes.config import ExtractConfig
from data_recipes.extract import extract

AT = "2026-01-05T09:00:00+08:00"


def _dialogue(identity: str, customer: str, *said: str) -> dict[str, Any]:
    turns = [{"speaker": ("agent", "customer")[i % 2], "text": text} for i, text in enumerate(said)]
    head = {"id": identity, "customer": customer, "agent": "a1", "channel": "phone", "started_at": AT}
    return {**head, "turns": turns}


ONE = ("您好，这里是客服中心，请问您是本人吗", "我是本人，最近失业了，没有收入来源，还不上这笔钱")
TWO = ("您好，请问有什么可以帮您的吗", "我想问一下提前还款的手续费怎么算，有没有优惠")
ENGLISH = ("hello this is the service centre, how may I help", "I would like to ask about my bill please")


def _account(name: str, customer: str) -> dict[str, Any]:
    schedule = {"method": "equal_instalment", "instalments": 12, "first_due_on": "2025-01-01", "instalment": "100"}
    arrears = {"days": 3, "instalments": 1, "principal": "5", "interest": "0", "penalty": "0", "total": "5"}
    head = {"account": name, "customer": customer, "product": "晨光贷", "principal": "1000", "rate": "18"}
    return {**head, "schedule": schedule, "arrears": arrears, "as_of": "2026-01-05"}


def _event(case: str, activity: str, at: str = AT) -> dict[str, Any]:
    return {"case": case, "at": at, "actor": "a1", "activity": activity}


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A raw folder with bad rows and a dialogue that is dropped, and what came of it."""
    raw = tmp_path_factory.mktemp("places") / "raw"
    raw.mkdir()
    tables: dict[str, list[dict[str, Any]]] = {
        "dialogues": [
            {**_dialogue("d1", "c1", *ONE), "unknown": 1},
            _dialogue("d0", "c0", *ENGLISH),
            _dialogue("d1", "c1", *ONE),
            _dialogue("d2", "c2", *TWO),
        ],
        "events": [_event("d0", "开始"), _event("d2", "打开"), _event("d1", "关闭")],
        "outcomes": [{"case": name, "name": "csat", "value": 5, "at": AT} for name in ("d0", "d2", "d1")],
        "accounts": [{"account": "x"}, _account("k1", "c1"), _account("k2", "c2")],
    }
    for name, rows in tables.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (raw / f"{name}.jsonl").write_text(text, encoding="utf-8")
    out = raw.with_name("knowledge")
    extract(raw, out, ExtractConfig(), on_error="skip")
    return raw, out


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _entries(knowledge: Path, *kinds: str) -> dict[str, int]:
    found = [entry for row in _lines(knowledge / "timeline.jsonl") for entry in row["entries"]]
    return {entry["id"]: entry["row"] for entry in found if entry["kind"] in kinds}


def test_a_bad_row_before_the_good_one_of_the_same_id_is_not_read_for_it(knowledge: tuple[Path, Path]) -> None:
    _, out = knowledge
    assert [row["line"] for row in _lines(out / "rejected.jsonl")] == [1, 1]
    assert _entries(out, "dialogue_opened").keys() == {"d1", "d2"}


def test_the_row_of_an_entry_is_its_line_in_the_raw_folder(knowledge: tuple[Path, Path]) -> None:
    raw, out = knowledge
    for name, key, kind in (("dialogues", "id", "dialogue_opened"), ("accounts", "account", "account")):
        lines = _lines(raw / f"{name}.jsonl")
        found = _entries(out, kind)
        assert len(found) == 2 and all(lines[row - 1][key] == identity for identity, row in found.items())
        assert all("unknown" not in lines[row - 1] for row in found.values())


def test_the_row_of_an_event_or_outcome_is_its_line_in_the_knowledge(knowledge: tuple[Path, Path]) -> None:
    _, out = knowledge
    for name, kind in (("events", "event"), ("outcomes", "outcome")):
        lines = _lines(out / f"{name}.jsonl")
        found = _entries(out, kind)
        assert found.keys() == {"d1", "d2"} and all(lines[row - 1]["case"] == case for case, row in found.items())
