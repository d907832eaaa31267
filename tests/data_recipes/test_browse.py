"""What a person sees of an artefact: a page that is whole, safe and honest, and what differs between two."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_recipes.browse import inspect as inspecting
from data_recipes.browse.diff import diff, diff_page
from data_recipes.browse.differences import TextChange
from data_recipes.browse.inspect import inspect, inspect_page
from data_recipes.browse.view import Entry, Selection, Tab, View, even
from data_recipes.cli import app
from data_recipes.errors import DataError
from tests.data_recipes.material import CONDUCT_HTML, RULES_MD
from tianjing.dataset import (
    SPLITS,
    preference_file,
    read_examples,
    read_preferences,
    write_examples,
    write_preferences,
)

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def page(dataset: Path) -> str:
    return inspect_page(dataset)


def _data(page: str) -> dict[str, Any]:
    element = BeautifulSoup(page, "html.parser").find("script", id="data")
    assert element is not None
    value: dict[str, Any] = json.loads(element.get_text())
    return value


def _tab(view: View, name: str) -> Tab:
    return next(tab for tab in view.tabs if tab.name == name)


def _copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_page_needs_no_network_and_no_script_but_its_own_may_run(page: str) -> None:
    soup = BeautifulSoup(page, "html.parser")
    assert not soup.find_all(["link", "img", "iframe"]) and not soup.find_all(src=True) and not soup.find_all(href=True)
    policy = str(soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"])  # type: ignore[index]
    data, own = soup.find_all("script")
    allowed = base64.b64encode(hashlib.sha256(own.get_text().encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{allowed}'" in policy
    assert data["type"] == "application/json"


def test_a_script_in_a_dialogue_is_shown_as_text(knowledge: Path, tmp_path: Path) -> None:
    folder = _copy(knowledge, tmp_path / ATTACK.replace("/", "_"))
    first, *rest = (folder / "dialogues.jsonl").read_text("utf-8").splitlines()
    row = json.loads(first)
    row["turns"][0]["text"] = ATTACK
    lines = [json.dumps(row, ensure_ascii=False), *rest]
    (folder / "dialogues.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    page = inspect_page(folder)
    assert page.count("<script") == 2 and "<img" not in page
    entries = next(tab["entries"] for tab in _data(page)["tabs"] if tab["name"] == "dialogues")
    assert ATTACK in {text for entry in entries for _, text in entry["messages"]}
    script = BeautifulSoup(page, "html.parser").find_all("script")[1].get_text()
    assert "innerHTML" not in script and "insertAdjacent" not in script and "document.write" not in script


def test_every_row_and_every_rejected_row_can_be_found_on_the_page(dataset: Path, page: str) -> None:
    tabs = {tab["name"]: tab for tab in _data(page)["tabs"]}
    rows = [row.id for split in SPLITS for row in read_examples(dataset / f"{split}.parquet")]
    assert sorted(entry["id"] for entry in tabs["rows"]["entries"]) == sorted(rows)
    rejected = [json.loads(line) for line in (dataset / "rejected.jsonl").read_text("utf-8").splitlines()]
    shown = Counter(entry["reason"] for entry in tabs["rejected"]["entries"])
    assert shown == Counter(row["reason"] for row in rejected)
    for reason in shown:
        assert reason in page


def test_a_sample_holds_every_task_and_split_and_the_page_says_so(dataset: Path) -> None:
    whole, sample = inspect(dataset), inspect(dataset, Selection(limit=40))
    cells = {(entry.task, entry.split) for entry in _tab(whole, "rows").entries}
    shown = _tab(sample, "rows")
    assert {(entry.task, entry.split) for entry in shown.entries} == cells and len(shown.entries) == 40
    assert sample == inspect(dataset, Selection(limit=40))
    assert f"an even sample of 40 in {shown.matched:,}" in inspect_page(dataset, Selection(limit=40))
    assert "an even sample of" not in inspect_page(dataset, Selection(limit=10_000))


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(1, 120))
def test_a_sample_is_as_even_as_its_cells_allow(rows: list[int], limit: int) -> None:
    sizes: dict[tuple[str, ...], int] = {(str(number),): count for number, count in enumerate(rows)}
    quotas = even(sizes, limit)
    assert sum(quotas.values()) == min(limit, sum(sizes.values()))
    for cell, quota in quotas.items():
        assert quota == sizes[cell] or quota >= max(quotas.values()) - 1


def test_a_page_that_would_be_too_large_shows_fewer_rows(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(inspect_page(dataset).encode())
    monkeypatch.setattr(inspecting, "MAX_PAGE_BYTES", whole // 2)
    smaller = inspect_page(dataset)
    assert whole // 8 < len(smaller.encode()) <= whole // 2 and "an even sample of" in smaller


def test_the_selection_holds_for_rows_and_rejected_rows(dataset: Path) -> None:
    whole = inspect(dataset)
    rejected = {(entry.task, entry.split) for entry in _tab(whole, "rejected").entries}
    task, split = next((task, split) for task, split in sorted(rejected) if split in SPLITS)
    view = inspect(dataset, Selection(split=split, task=task))
    for tab in (tab for tab in view.tabs if tab.name != "pairs"):  # pairs are next replies all of them
        assert 0 < tab.matched < tab.total
        assert {(entry.split, entry.task) for entry in tab.entries} == {(split, task)}
    rows = _tab(inspect(dataset, Selection(where="展期")), "rows")
    assert 0 < rows.matched < rows.total and all("展期" in str(entry) for entry in rows.entries)


def test_a_task_that_no_row_has_is_refused_with_those_there_are(dataset: Path) -> None:
    with pytest.raises(DataError, match="no row of task 'zzz'") as refused:
        inspect(dataset, Selection(task="zzz"))
    assert "policy_qa" in refused.value.remedy


def test_the_decisive_words_are_marked_and_stand_in_the_conversation(dataset: Path) -> None:
    rows = _tab(inspect(dataset, Selection(task="quality_inspection")), "rows").entries
    breaches = [row for row in rows if row.rule == "Q01"]
    assert breaches
    for row in breaches:
        assert "我就上你家去" in row.marks and any(
            "我就上你家去" in text for role, text in row.messages if role == "user"
        )


def test_sources_show_the_cited_turns_and_the_clause_while_the_knowledge_is_there(
    knowledge: Path, dataset: Path, tmp_path: Path
) -> None:
    row = next(row for row in _tab(inspect(dataset, Selection(task="policy_qa")), "rows").entries if _clause(row))
    assert "每次最长30日" in _clause(row)
    cited = [text for source in row.sources for _, text, is_cited in source.lines if is_cited]
    assert any("还款安排管理办法" in text for text in cited)
    away = inspect(_copy(dataset, tmp_path / "elsewhere" / "dataset"), Selection(task="policy_qa"))
    assert "shown as ids only" in away.notes[0]
    assert all(source.id and not source.lines for row in _tab(away, "rows").entries for source in row.sources)


def _clause(row: Entry) -> str:
    return "".join(text for source in row.sources if "第二条" in source.id for _, text, _ in source.lines)


def test_knowledge_shows_clauses_practices_and_dialogues_with_their_trail(knowledge: Path) -> None:
    view = inspect(knowledge)
    names = {tab.name for tab in view.tabs}
    assert {"clauses", "practices", "procedures", "quality_rules", "dialogues"} <= names
    clause = next(
        entry for entry in _tab(view, "clauses").entries if entry.id.endswith("第二条") and "延期" in str(entry)
    )
    assert "30日" in clause.marks and ("情态 modality", "must_not") in clause.facts
    dialogue = next(entry for entry in _tab(view, "dialogues").entries if entry.id == "P0000")
    facts = dict(dialogue.facts)
    assert facts["原文 raw line"] == "dialogues.jsonl:1" and "结果 promise_kept" in facts and dialogue.split


def test_what_was_quarantined_or_dropped_stands_in_its_own_tab_with_the_reason(knowledge: Path, tmp_path: Path) -> None:
    folder = _copy(knowledge, tmp_path / "k")
    dialogue = json.loads((folder / "dialogues.jsonl").read_text("utf-8").splitlines()[0])
    evidence = dialogue["turns"][4]["text"][:6]
    row = {"dialogue": dialogue["id"], "turn": 4, "rule": "collect.x", "severity": "high", "action": "block"}
    (folder / "quarantine.jsonl").write_text(json.dumps({**row, "evidence": evidence}) + "\n", encoding="utf-8")
    dropped = {
        "id": "D9",
        "reason": "empty dialogue",
        "dialogue": {"id": "D9", "turns": [{"speaker": "agent", "text": "喂"}]},
    }
    (folder / "dropped.jsonl").write_text(json.dumps(dropped) + "\n", encoding="utf-8")
    bad = {"file": "events.jsonl", "line": 7, "error": "broken JSON at column 3", "text": "{x"}
    (folder / "rejected.jsonl").write_text(json.dumps(bad) + "\n", encoding="utf-8")
    view = inspect(folder)
    (aside,) = _tab(view, "quarantine").entries
    cited = [text for _, text, is_cited in aside.sources[0].lines if is_cited]
    assert (aside.rule, aside.marks, cited) == ("collect.x", (evidence,), [dialogue["turns"][4]["text"]])
    assert next(entry for entry in _tab(view, "dialogues").entries if entry.id == dialogue["id"]).rule == "collect.x"
    (gone,) = _tab(view, "dropped").entries
    assert (gone.id, gone.reason, gone.messages) == ("D9", "empty dialogue", (("agent", "喂"),))
    (line,) = _tab(view, "rejected").entries
    assert (line.id, line.reason, line.messages) == ("events.jsonl:7", "broken JSON at column 3", (("text", "{x"),))


def test_without_a_page_tables_and_a_few_rows_are_printed(dataset: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(dataset), "--limit", "2", "--task", "intent"])
    assert result.exit_code == 0
    assert "policy_qa" in result.output and "数据 rows: 2 of" in result.output and "\x1b[" not in result.output


def _changed_dataset(dataset: Path, to: Path) -> dict[str, str]:
    """Another dataset, and the id of the row that was moved, changed, relicensed, removed and added."""
    _copy(dataset, to)
    rows = read_examples(to / "train.parquet")
    ids = dict(zip(("moved", "changed", "relicensed", "removed"), (row.id for row in rows), strict=False))
    moved, changed, relicensed, removed, *rest = rows
    answer = changed.messages[-1].model_copy(update={"content": changed.messages[-1].content + "吧"})
    changed = changed.model_copy(update={"messages": (*changed.messages[:-1], answer)})
    relicensed = relicensed.model_copy(update={"licence": "MIT"})
    added = removed.model_copy(update={"id": "new#1"})
    write_examples(to / "train.parquet", [changed, relicensed, added, *rest])
    moved = moved.model_copy(update={"split": "validation"})
    write_examples(to / "validation.parquet", [*read_examples(to / "validation.parquet"), moved])
    manifest = json.loads((to / "manifest.json").read_text("utf-8"))
    manifest["parameters"]["config"]["seed"] = 99
    (to / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return ids | {"added": "new#1"}


def test_two_datasets_differ_in_just_what_was_changed(dataset: Path, tmp_path: Path) -> None:
    ids = _changed_dataset(dataset, tmp_path / "new")
    found = diff(dataset, tmp_path / "new")
    assert [(one.title.split()[0], [(c.kind, c.name) for c in one.changes]) for one in found.sections] == [
        ("移动", [("moved", ids["moved"])]),
        ("许可变化", [("changed", ids["relicensed"])]),
        ("内容变化", [("changed", ids["changed"])]),
        ("新增", [("added", ids["added"])]),
        ("移除", [("removed", ids["removed"])]),
        ("配置", [("changed", "config.seed")]),
    ]
    assert found.sections[0].changes[0].notes == ("train → validation",)
    (text,) = found.sections[2].changes[0].texts
    assert text.name == "messages.2.assistant" and list(text.runs())[-1] == ("added", "吧")
    assert "<ins>吧</ins>" in diff_page(found)


def test_preference_pairs_of_two_datasets_are_compared(dataset: Path, tmp_path: Path) -> None:
    new = _copy(dataset, tmp_path / "new")
    path = new / preference_file("train")
    changed, removed, *rest = read_preferences(path)
    answer = changed.rejected[-1].model_copy(update={"content": changed.rejected[-1].content + "吧"})
    write_preferences(path, [changed.model_copy(update={"rejected": (answer,)}), *rest])
    found = diff(dataset, new)
    assert [(one.title.split()[0], [(c.kind, c.name) for c in one.changes]) for one in found.sections] == [
        ("偏好对内容变化", [("changed", changed.id)]),
        ("偏好对移除", [("removed", removed.id)]),
    ]
    (text,) = found.sections[0].changes[0].texts
    assert text.name == "messages.rejected" and list(text.runs())[-1] == ("added", "吧")
    count = next(row for row in found.counts if row.name == "preferences next_reply/train")
    assert (count.old, count.new) == (len(rest) + 2, len(rest) + 1)


def test_two_knowledge_artefacts_are_compared_clause_by_clause(knowledge: Path, tmp_path: Path) -> None:
    new = _copy(knowledge, tmp_path / "new")
    clauses = (new / "clauses.jsonl").read_text("utf-8")
    (new / "clauses.jsonl").write_text(clauses.replace("每次最长30日", "每次最长45日"), encoding="utf-8")
    practices = (new / "practices.jsonl").read_text("utf-8").splitlines(keepends=True)
    (new / "practices.jsonl").write_text("".join(practices[1:]), encoding="utf-8")
    found = {one.title.split()[0]: one for one in diff(knowledge, new).sections}
    assert set(found) == {"条款", "做法"} and dict(found["做法"].counts) == {"removed": 1}
    (change,) = found["条款"].changes
    assert change.name == "第二条" and ("removed", "30") in change.texts[0].runs()


def test_two_versions_of_a_rule_document_in_two_formats(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text(RULES_MD, encoding="utf-8")
    new = RULES_MD.replace("最长30日", "最长45日").replace("应当一次告知", "可以一次告知")
    lines = [line.strip("# ") for line in new.splitlines() if line]
    html = f"<h1>{lines[0]}</h1>" + "".join(f"<p>{line}</p>" for line in lines[1:])
    (tmp_path / "new.html").write_text(html, encoding="utf-8")
    changes = {change.name: change for change in diff(tmp_path / "old.md", tmp_path / "new.html").sections[0].changes}
    assert set(changes) == {"第二条", "第三条"}
    assert any("45日" in note for note in changes["第二条"].notes)
    assert list(changes["第二条"].texts[0].runs())[1:3] == [("removed", "30"), ("added", "45")]
    assert "must → may" in str(changes["第三条"])


def test_what_is_escaped_on_one_page_is_escaped_on_the_other(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("# 办法\n\n第一条 客户应当按时还款。\n", encoding="utf-8")
    (tmp_path / "new.md").write_text(f"# 办法\n\n第一条 客户应当按时还款{ATTACK}。\n", encoding="utf-8")
    page = diff_page(diff(tmp_path / "old.md", tmp_path / "new.md"))
    assert "<script" not in page and "&lt;img" in page


def test_the_exit_status_tells_same_different_and_error(dataset: Path, knowledge: Path, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(RULES_MD, encoding="utf-8")
    (tmp_path / "b.html").write_text(CONDUCT_HTML, encoding="utf-8")
    run = CliRunner().invoke
    same = run(app, ["diff", str(dataset), str(dataset)])
    assert (same.exit_code, same.stdout.splitlines()[-1]) == (0, "nothing differs")
    out = tmp_path / "diff.html"
    different = run(app, ["diff", str(tmp_path / "a.md"), str(tmp_path / "b.html"), "--out", str(out)])
    assert different.exit_code == 1 and "versions of one document" in out.read_text("utf-8")
    with pytest.raises(DataError, match=r"is 'dataset' and .* is 'knowledge'"):
        diff(dataset, knowledge)
    command = [sys.executable, "-m", "tianjing", "data", "diff", str(tmp_path / "a.md"), str(tmp_path / "no.md")]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 2 and "no such file" in failed.stderr and "Traceback" not in failed.stderr


def test_marks_say_without_colour_what_changed(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text(RULES_MD, encoding="utf-8")
    (tmp_path / "new.md").write_text(RULES_MD.replace("最长30日", "最长45日"), encoding="utf-8")
    result = CliRunner().invoke(app, ["diff", str(tmp_path / "old.md"), str(tmp_path / "new.md")])
    assert result.exit_code == 1
    assert re.search(r"每次最长\[-30-\]\{\+45\+\}日", result.output) and "\x1b[" not in result.output


@given(st.text("延期还款<&30日", max_size=30), st.text("延期还款<&45日", max_size=30))
def test_the_runs_of_a_change_give_back_both_texts(old: str, new: str) -> None:
    runs = list(TextChange("", old, new).runs())
    assert "".join(text for kind, text in runs if kind != "added") == old
    assert "".join(text for kind, text in runs if kind != "removed") == new
