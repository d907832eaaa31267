"""Bad input ends with status 2, one sentence and a remedy that helps: no traceback, no success over nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import REPOSITORY
from tianjing.cli import main

LOAN = str(REPOSITORY / "examples" / "cost" / "loan.yaml")
RAW = REPOSITORY / "examples" / "raw"


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def tianjing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command as a shell would call it, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["tianjing", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, printed.out, printed.err)

    return call


def dialogue(name: str = "d1") -> str:
    turns = [{"speaker": "agent", "text": "您好，年利率是百分之九十九", "at": "2026-08-01T10:00:00+08:00"}]
    start = {"id": name, "customer": "c1", "agent": "a1", "channel": "voice", "started_at": "2026-08-01T10:00:00+08:00"}
    return json.dumps(start | {"turns": turns}, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("nope.txt", "no such file"),
        ("回复 1.JSONL", "no such file"),
        ("answers/today", "no such file"),
        ("there/话术", "no such file"),
        ("there", "is a folder"),
        ("empty.md", "holds no text"),
        ("", "no text"),
    ],
)
def test_a_mistyped_name_is_not_checked_as_a_text(tianjing: Command, given: str, problem: str) -> None:
    Path("there").mkdir()
    Path("empty.md").write_text("\n", encoding="utf-8")
    ended = tianjing("cost", "check", given, "--loan", LOAN)
    assert ended.status == 2
    assert problem in ended.err and "remedy" in ended.err and "0 wrong" not in ended.err


@pytest.mark.parametrize("text", ["每期1000元/期", "年化12%/单利", "18%/year", "您借了12000元.", "2026/08/05还款"])
def test_a_text_with_a_slash_or_a_stop_is_a_text(tianjing: Command, text: str) -> None:
    assert tianjing("cost", "check", text, "--loan", LOAN).status in (0, 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["rules", "check", "none.jsonl", "--out", "z.jsonl"], "none.jsonl: no such file"),
        (["rules", "check", "there", "--out", "z.jsonl"], "there: is a folder"),
        (["rules", "check", "odd.jsonl", "--contacts", "none.jsonl", "--out", "z.jsonl"], "none.jsonl: no such file"),
        (["rules", "check", "d.jsonl", "--facts", "none.jsonl", "--out", "z.jsonl"], "none.jsonl: no such file"),
        (["rules", "check", "empty", "--out", "z.jsonl"], "empty: holds no records"),
        (["privacy", "scan", "empty"], "empty: holds no records"),
        (["rules", "list", "--topic", "zzz"], "--topic zzz: no rule has it"),
        (["rules", "list", "--kind", "zzz"], "--kind zzz: no rule has it"),
        (["data", "clean", str(RAW), "--out", "c", "--workers", "0"], "--workers"),
    ],
)
def test_what_is_not_there_is_named_before_any_work(tianjing: Command, arguments: list[str], problem: str) -> None:
    Path("there").mkdir()
    Path("empty").write_text("", encoding="utf-8")
    Path("odd.jsonl").write_text("{\n", encoding="utf-8")
    Path("d.jsonl").write_text(dialogue(), encoding="utf-8")
    ended = tianjing(*arguments)
    assert ended.status == 2
    assert problem in ended.err and "Traceback" not in ended.err
    assert not Path("z.jsonl").exists()


def test_an_unknown_topic_or_check_lists_the_known_ones(tianjing: Command) -> None:
    assert "false_consequence, false_promise, " in tianjing("rules", "list", "--topic", "zzz").err
    assert "human, number, offer, phrase" in tianjing("rules", "list", "--kind", "zzz").err
    early = tianjing("rules", "list", "--topic", "false_promise", "--on", "1990-01-01")
    assert early.status == 0 and "0 rules" in early.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["cost", "table", LOAN, "--out", "there"],
        ["rules", "check", "odd.jsonl", "--out", "there"],
        ["privacy", "scan", "odd.jsonl", "--report", "there"],
        ["data", "inspect", "nothing", "--out", "there"],
        ["data", "diff", "nothing", "nothing", "--out", "there"],
        ["train", "plan", "--json", "there"],
        ["eval", "report", "nothing", "--out", "there"],
        ["eval", "report", "nothing", "--markdown", "there"],
        ["eval", "report", "nothing", "--junit", "there"],
    ],
)
def test_a_folder_to_write_to_is_refused_before_anything_is_read(tianjing: Command, arguments: list[str]) -> None:
    Path("there").mkdir()
    Path("odd.jsonl").write_text("{\n", encoding="utf-8")
    ended = tianjing(*arguments)
    assert ended.status == 2
    assert "there: is a folder" in ended.err and "name the file to write" in ended.err
    assert sorted(path.name for path in Path().iterdir()) == ["odd.jsonl", "there"]


@pytest.mark.parametrize("beneath", ["file/x", "file/x/y"])
@pytest.mark.parametrize(
    "command",
    [
        f"cost table {LOAN} --out",
        "rules check odd.jsonl --out",
        "privacy scan odd.jsonl --out",
        "privacy scan odd.jsonl --report",
        f"data clean {RAW} --out",
        f"data extract {RAW} --out",
        "data build nothing --out",
        "data inspect nothing --out",
        "data diff nothing nothing --out",
        "simulate --cases 20 --seed 1 --out",
        "train plan --json",
        f"train launch {REPOSITORY / 'examples' / 'training' / 'cpu.yaml'} --on local --out",
        "eval report nothing --out",
        "eval canary plant nothing --out planted --canaries",
        "audit export nothing --out",
        "lineage keygen",
        "serve keys new --tenant t --role app",
        f"run {REPOSITORY / 'examples' / 'tiny.yaml'} --out",
        f"ablate {REPOSITORY / 'examples' / 'ablation.yaml'} --out",
    ],
)
def test_a_place_beneath_a_file_is_named_before_any_work(tianjing: Command, command: str, beneath: str) -> None:
    Path("file").write_text("precious", encoding="utf-8")
    Path("odd.jsonl").write_text("{\n", encoding="utf-8")
    ended = tianjing(*command.split(), beneath)
    assert ended.status == 2
    assert beneath in ended.err and "file is no folder" in ended.err and "give another path" in ended.err
    assert sorted(path.name for path in Path().iterdir()) == ["file", "odd.jsonl"]
    assert Path("file").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "f.md"), OSError(28, "No space left")])
def test_a_place_that_the_system_refuses_is_a_sentence(
    error: OSError, tianjing: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("tianjing.files.os.replace", refuse)
    ended = tianjing("cost", "table", LOAN, "--out", "f.md")
    assert ended.status == 2
    assert str(error.strerror) in ended.err and "remedy" in ended.err
    assert not list(Path().iterdir())


def test_a_remedy_names_only_an_option_that_the_command_has(tianjing: Command) -> None:
    Path("d.jsonl").write_text(dialogue(), encoding="utf-8")
    Path("odd.jsonl").write_text('{"customer": 5}\n', encoding="utf-8")
    scanned = tianjing("privacy", "scan", "d.jsonl", "--customers", "odd.jsonl")
    assert scanned.status == 2
    assert "odd.jsonl:1:" in scanned.err and "mend the line" in scanned.err and "--on-error" not in scanned.err
    for option in ("--facts", "--contacts"):
        checked = tianjing("rules", "check", "d.jsonl", option, "odd.jsonl", "--out", "f.jsonl")
        assert checked.status == 2 and "--on-error skip" in checked.err


def test_bad_lines_of_every_input_of_a_check_can_be_skipped(tianjing: Command) -> None:
    Path("d.jsonl").write_text(dialogue() + "{\n", encoding="utf-8")
    Path("odd.jsonl").write_text("[]\n", encoding="utf-8")
    inputs = ["d.jsonl", "--facts", "odd.jsonl", "--contacts", "odd.jsonl"]
    ended = tianjing("rules", "check", *inputs, "--out", "f.jsonl", "--on-error", "skip")
    assert "1 dialogues" in ended.err and "3 bad lines were left out" in ended.err
    kept = [json.loads(line) for line in Path("f.rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(row["file"] for row in kept) == ["d.jsonl", "odd.jsonl", "odd.jsonl"]


def test_a_line_number_between_colons_is_printed_as_it_is(tianjing: Command) -> None:
    Path("d.jsonl").write_text("".join(dialogue(f"d{number}") for number in range(99)) + "{\n", encoding="utf-8")
    assert "d.jsonl:100: broken JSON" in tianjing("rules", "check", "d.jsonl", "--out", "f.jsonl").err
