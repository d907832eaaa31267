"""What CI gets: JUnit XML and Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from typer.testing import CliRunner

from evals.cli import app
from evals.report.junit import Case, Suite, junit_xml
from evals.report.markdown import summary_markdown, summary_suites
from evals.run import evaluate
from tests.evals.conftest import World


def run(world: World) -> dict[str, Any]:
    return evaluate(world.dataset, world.base, world.tuned, world.out, world.config)


def test_junit_counts_and_escapes() -> None:
    cases = [
        Case("fine", message="all well", seconds=1.25),
        Case("harm", "failure", 'fell by <3> "points"', "line 1\nline 2"),
        Case("broken", "error", "bell \x07 and \ud800 surrogate"),
        Case("open", "skipped", "not shown"),
    ]
    text = junit_xml([Suite("任务 & more", cases), Suite("empty", [])])
    root = ET.fromstring(text.encode())
    assert root.attrib == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "1.250"}
    first, second = root.findall("testsuite")
    assert first.get("name") == "任务 & more" and first.get("failures") == "1" and second.get("tests") == "0"
    assert [[child.tag for child in case] for case in first] == [["system-out"], ["failure"], ["error"], ["skipped"]]
    assert first[1][0].get("message") == 'fell by <3> "points"' and first[1][0].text == "line 1\nline 2"
    assert first[2][0].get("message") == "bell \ufffd and \ufffd surrogate"


def test_a_task_that_surely_got_worse_fails_in_ci(world: World) -> None:
    world.skill.update(base=0.9, merged=0.2)
    summary = run(world)
    for suite in summary_suites(summary):
        assert suite.cases[0].name == "score" and suite.cases[0].outcome == "failure"
    world.skill.update(base=0.2, merged=0.9)
    assert {suite.cases[0].outcome for suite in summary_suites(run(world))} == {"passed"}


def test_one_of_many_measures_fails_only_beyond_what_chance_explains(world: World) -> None:
    summary = run(world)
    lost = (-0.2, -0.3, -0.1)
    summary["measures"] = [
        measure("agreement", "higher", lost, p=0.001),
        measure("TARr@4", "higher", lost, p=0.02),
        measure("flip_rate", "lower", lost, p=0.001),
        measure("pass^4", "higher", (0.0, -0.1, 0.1), p=1.0),
        measure("rstd", "lower", (0.1, None, None)),
    ]
    suite = next(suite for suite in summary_suites(summary) if suite.name == "policy_qa")
    outcomes = {case.name: case.outcome for case in suite.cases}
    assert outcomes["agreement"] == "failure"
    assert outcomes["TARr@4"] == "passed", "p 0.02 in five comparisons is no proof"
    assert outcomes["flip_rate"] == "passed", "a lower rate is better"
    assert outcomes["pass^4"] == "passed" and outcomes["rstd"] == "skipped" and outcomes["score"] == "passed"


def test_markdown_lists_what_changed_and_how_much_of_it_chance_would(world: World) -> None:
    summary = run(world)
    lost = (-0.2, -0.3, -0.1)
    summary["measures"] = [measure(f"metric{n}", "higher", lost) for n in range(39)] + [measure("a_b", "lower", lost)]
    page = summary_markdown(summary)
    worse, better = page.split("**Worse**")[1].split("**Better**")
    assert worse.count("- metric") == 20 and "- and 19 more" in worse
    assert "a\\_b of policy\\_qa: 50.0% → 30.0%, difference −20.0 [−30.0, −10.0]" in better
    assert "Of 40 comparisons about 2 would be listed by chance alone." in better


def measure(
    name: str, better: str, difference: tuple[float, float | None, float | None], p: float | None = None
) -> dict[str, Any]:
    value, low, high = difference
    return {
        "name": name, "task": "policy_qa", "better": better, "n": 6, "groups": 6, "p": p,
        "arms": {"base": {"value": 0.5}, "tuned": {"value": 0.5 + value}},
        "difference": {"value": value, "low": low, "high": high},
    }  # fmt: skip


def test_failed_requests_are_errors_in_ci(world: World) -> None:
    answer = world.endpoint.reply
    world.endpoint.reply = lambda payload: 400 if payload["seed"] % 10 == 0 else answer(payload)
    for suite in summary_suites(run(world)):
        last = suite.cases[-1]
        assert last.name == "requests answered" and last.outcome == "error" and "base" in last.message


def test_markdown_has_a_row_for_each_task_and_shows_names_as_they_are(world: World) -> None:
    summary = run(world)
    summary["arms"]["tuned"]["model"] = "a|b*<i>"
    release = {"verdict": "block", "reasons": ["BLOCK: policy_qa | worse\n# not a heading"]}
    page = summary_markdown(summary, release)
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3 and len({row.count("|") - row.count("\\|") for row in rows}) == 1
    assert "**BLOCK**" in page and "a\\|b\\*\\<i\\>" in page and "\n# not" not in page
    for task in summary["tasks"].values():
        assert f"{100 * task['difference']:+.1f}" in page


def test_report_command_writes_all_files(world: World, tmp_path: Path) -> None:
    run(world)
    files = {name: tmp_path / f"x.{name}" for name in ("out", "markdown", "junit")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    result = CliRunner().invoke(app, ["report", str(world.out), *options])
    assert result.exit_code == 0, result.output
    assert "equal to the stored summary" in result.output
    assert "<!doctype html>" in files["out"].read_text()
    assert files["markdown"].read_text().startswith("## Evaluation")
    assert len(ET.fromstring(files["junit"].read_bytes())) == 3
