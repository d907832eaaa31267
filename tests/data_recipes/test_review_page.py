"""The review page and what the browser keeps of it: no earlier word is filled in again beside a later decision."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from data_recipes.experience.decisions import latest, read_decisions
from data_recipes.experience.review import PAGE, apply_review, write_review

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

RUNNER = Path(__file__).with_name("page_in_node.js")


class Browser:
    """One person's: it keeps what was filled in, whichever page of the same address is opened."""

    def __init__(self) -> None:
        self.store: dict[str, str] = {}

    def open(self, page: Path, *steps: str) -> list[Any]:
        """The value of each step, a line of the page's own script."""
        from bs4 import BeautifulSoup

        data, script = BeautifulSoup(page.read_text("utf-8"), "html.parser").find_all("script")
        request = {"data": data.get_text(), "script": script.get_text(), "store": self.store, "steps": steps}
        done = subprocess.run(
            ["node", str(RUNNER)], input=json.dumps(request), capture_output=True, text=True, check=True, timeout=60
        )
        answer = json.loads(done.stdout)
        self.store = answer["store"]
        return list(answer["results"])


def on(place: int, step: str) -> str:
    return step.replace("UNIT", f"DATA.units[{place}]")


def signed(name: str) -> str:
    return f"byId('reviewer').value = '{name}'"


ENTRIES = "byId('entries').textContent"
PROGRESS = "byId('progress').textContent"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "review"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def record(knowledge: Path, out: Path, log: Path, table: str) -> list[tuple[str, str, str]]:
    sheet = out.with_name("filled.csv")
    sheet.write_text(table, encoding="utf-8-sig")
    return [(one.reviewer, one.key, one.decision) for one in apply_review(knowledge, sheet, log)]


def test_a_decision_of_another_person_is_not_overturned_by_what_the_browser_kept(
    knowledge: Path, out: Path, log: Path
) -> None:
    write_review(knowledge, out)
    wang, li = Browser(), Browser()
    key, other, table = wang.open(
        out / PAGE,
        "DATA.units[0].row.key",
        "DATA.units[1].row.key",
        f"{signed('王敏')}; {on(0, 'decide(UNIT, `accept`)')}; table()",
    )
    assert record(knowledge, out, log, table) == [("王敏", key, "accept")]

    write_review(knowledge, out, log)
    (table,) = li.open(out / PAGE, f"{signed('李静')}; {on(0, 'decide(UNIT, `reject`)')}; table()")
    assert record(knowledge, out, log, table) == [("李静", key, "reject")]

    write_review(knowledge, out, log)
    entries, progress, table = wang.open(out / PAGE, ENTRIES, PROGRESS, f"{on(1, 'decide(UNIT, `reject`)')}; table()")
    assert "filled in before decision 2, not taken over: 采纳 accept" in entries
    assert "已填 0" in progress and "1 项此前填写未采用 filled in before, not taken over" in progress
    assert record(knowledge, out, log, table) == [("王敏", other, "reject")]
    assert latest(read_decisions(log))[key].reviewer == "李静"


def test_what_is_filled_in_survives_a_closed_window(knowledge: Path, out: Path) -> None:
    write_review(knowledge, out)
    browser = Browser()
    (before,) = browser.open(
        out / PAGE, f"{signed('王敏')}; {on(0, 'decide(UNIT, `accept`)')}; {on(1, 'decide(UNIT, `reject`)')}; table()"
    )
    after, entries = browser.open(out / PAGE, "table()", ENTRIES)
    assert after == before and ",accept," in after and ",reject," in after
    assert "not taken over" not in entries


def test_ones_own_decision_that_stands_is_not_asked_about_again(knowledge: Path, out: Path, log: Path) -> None:
    write_review(knowledge, out)
    browser = Browser()
    comment = "filled.get(DATA.units[0].row.key).comment = '话术稳妥 '; keep()"
    (table,) = browser.open(out / PAGE, f"{signed('王敏')}; {on(0, 'decide(UNIT, `accept`)')}; {comment}; table()")
    record(knowledge, out, log, table)
    write_review(knowledge, out, log)
    entries, table = browser.open(out / PAGE, ENTRIES, "table()")
    assert "not taken over" not in entries
    assert record(knowledge, out, log, table) == []


def test_what_was_not_taken_over_is_shown_until_the_unit_is_decided_again(
    knowledge: Path, out: Path, log: Path
) -> None:
    write_review(knowledge, out)
    wang, li = Browser(), Browser()
    wang.open(
        out / PAGE,
        f"{signed('王敏')}; {on(0, 'decide(UNIT, `edit`)')}",
        "filled.get(DATA.units[0].row.key).edits.action = '先延期'; keep()",
    )
    (table,) = li.open(out / PAGE, f"{signed('李静')}; {on(0, 'decide(UNIT, `reject`)')}; table()")
    record(knowledge, out, log, table)
    write_review(knowledge, out, log)
    note = "filled in before decision 1, not taken over: 修改 edit · 先延期"
    wang.open(out / PAGE, on(1, "decide(UNIT, `accept`)"))
    (again,) = wang.open(out / PAGE, ENTRIES)
    assert note in again
    after, progress = wang.open(out / PAGE, f"{on(0, 'decide(UNIT, `reject`)')}; draw(); {ENTRIES}", PROGRESS)
    assert note not in after and "not taken over" not in progress
