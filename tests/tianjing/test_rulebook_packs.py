"""Packs and the command: a company adds rules and changes severity and action; mistakes are named."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tianjing.rulebook import Rulebook, RulebookError
from tianjing.rulebook.cli import app

RULE = """
pack: house
title: 公司规则
vocabulary: {gift: 礼品 红包}
rules:
- id: house.gift
  title: 不得以赠礼诱导
  topic: other
  source: 公司制度
  obligation: 不得以赠送礼品诱导客户借款。
  strength: internal
  effective_from: 2026-01-01
  severity: low
  verified: false
  action: warn
  check: {kind: phrase, patterns: ["送|赠 ~3 @gift"]}
  examples: {breach: [借款就送您红包], fine: [我们没有活动]}
"""


def pack(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "house.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_company_adds_rules_and_overrides_severity_and_action(tmp_path: Path) -> None:
    text = RULE + "overrides:\n- {rule: collect.abuse, severity: critical, action: block}\n"
    book = Rulebook.load([pack(tmp_path, text)])
    assert book.matcher().find("现在借款就送您红包")[0].rule.id == "house.gift"
    shipped, mine = Rulebook.load().rule("collect.abuse"), book.rule("collect.abuse")
    assert (mine.severity, mine.action) == ("critical", "block")
    assert mine.model_copy(update={"severity": shipped.severity, "action": shipped.action}) == shipped


def test_a_company_says_in_which_longer_words_a_word_is_none(tmp_path: Path) -> None:
    book = Rulebook.load([pack(tmp_path, RULE + "part_of: {送: 运送 送达}")])
    assert not book.matcher().find("运送的礼品") and not book.matcher().find("送达的礼品")
    assert book.matcher().find("运费我出，送您礼品")[0].evidence == "送您礼品"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (RULE.replace("severity: low", "severity: lowest"), ["house.yaml", "house.gift", "severity"]),
        (RULE.replace("  obligation: 不得以赠送礼品诱导客户借款。\n", ""), ["house.gift", "obligation", "missing"]),
        (RULE.replace("strength: internal", "strenght: internal"), ["house.gift", "strenght", "unknown"]),
        (RULE.replace("@gift", "@gitf"), ["house.gift", "check.patterns.0", "gitf"]),
        (RULE.replace("house.gift", "collect.abuse"), ["collect.abuse", "field 'id'"]),
        (RULE.replace("action: warn", "action: warn\n  action: block"), ["house.yaml", "action", "twice"]),
        (RULE + "part_of: {送礼: 运送礼物}", ["house.yaml", "part_of.送礼", "no phrase has this word"]),
        (RULE + "part_of: {送: 赠品}", ["part_of.送", "赠品"]),
        (RULE + "part_of: {送: 送}", ["part_of.送", "no longer form"]),
        (RULE + "part_of: {送: 送一二三四五六七八九}", ["part_of.送", "more than 8 characters"]),
        (RULE + "part_of: {送: 运送。}", ["part_of.送", "end of a sentence"]),
        (RULE + 'part_of: {送: "@gitf送"}', ["part_of.送", "no vocabulary set 'gitf'"]),
        (RULE + "overrides: [{rule: collect.abuze, action: block}]", ["collect.abuze", "did you mean 'collect.abuse'"]),
        (RULE + "overrides: [{rule: collect.abuse, title: 别的}]", ["collect.abuse", "title", "not overridable"]),
        ("- just a list", ["house.yaml", "mapping"]),
        ("pack: [", ["house.yaml", "not valid YAML"]),
    ],
)
def test_a_bad_pack_names_file_rule_field_and_remedy(tmp_path: Path, wrong: str, told: list[str]) -> None:
    with pytest.raises(RulebookError) as caught:
        Rulebook.load([pack(tmp_path, wrong)])
    for part in ["house.yaml", *told]:
        assert part in caught.value.message
    assert caught.value.remedy


def test_the_command_lists_shows_tests_and_checks(tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(app, ["list", "--topic", "prededucted_interest"])
    assert listed.exit_code == 0 and "interest.prededucted" in listed.output
    shown = run(app, ["show", "interest.prededucted"])
    assert "第六百七十条" in shown.output
    assert run(app, ["test", "--pack", str(pack(tmp_path, RULE))]).exit_code == 0
    broken = RULE.replace("我们没有活动", "送您红包")
    assert run(app, ["test", "--pack", str(pack(tmp_path, broken))]).exit_code == 1

    dialogue = {
        "id": "d1", "customer": "c1", "agent": "a1", "channel": "voice", "started_at": "2026-09-01T10:00:00+08:00",
        "turns": [{"speaker": "customer", "text": "喂"}, {"speaker": "agent", "text": "再不还就让你坐牢"}],
    }  # fmt: skip
    contact = {"customer": "c1", "number": "n1", "at": "2026-09-01T22:00:00+08:00", "kind": "attempt"}
    dialogues, contacts, out = (tmp_path / name for name in ("dialogues.jsonl", "contacts.jsonl", "findings.jsonl"))
    dialogues.write_text(json.dumps(dialogue, ensure_ascii=False) + "\n", encoding="utf-8")
    contacts.write_text(json.dumps(contact) + "\n", encoding="utf-8")
    checked = run(app, ["check", str(dialogues), "--contacts", str(contacts), "--out", str(out)])
    assert checked.exit_code == 1, checked.output
    findings = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    spoken = next(f for f in findings if f["rule"] == "collect.false.criminal")
    assert (spoken["dialogue"], spoken["turn"], spoken["action"]) == ("d1", 1, "block")
    assert dialogue["turns"][1]["text"][spoken["start"] : spoken["end"]] == spoken["evidence"]  # type: ignore[index]
    assert any(f["rule"] == "collect.hours.log" and f["customer"] == "c1" for f in findings)


def test_a_bad_line_stops_the_check_or_is_kept_aside(tmp_path: Path) -> None:
    dialogue = {
        "id": "d1", "customer": "c1", "agent": "a1", "channel": "voice", "started_at": "2026-09-01T10:00:00+08:00",
        "turns": [{"speaker": "agent", "text": "再不还就让你坐牢"}],
    }  # fmt: skip
    dialogues, out = tmp_path / "dialogues.jsonl", tmp_path / "findings.jsonl"
    dialogues.write_text('{"id":\n' + json.dumps(dialogue, ensure_ascii=False) + "\n", encoding="utf-8")
    stopped = CliRunner().invoke(app, ["check", str(dialogues), "--out", str(out)])
    assert "dialogues.jsonl:1" in str(stopped.exception) and not out.exists()
    skipped = CliRunner().invoke(app, ["check", str(dialogues), "--out", str(out), "--on-error", "skip"])
    assert skipped.exit_code == 1 and "坐牢" in out.read_text(encoding="utf-8")
    rejected = [json.loads(line) for line in (tmp_path / "findings.rejected.jsonl").read_text("utf-8").splitlines()]
    assert [(row["line"], row["text"]) for row in rejected] == [(1, '{"id":')]


def test_dialogues_of_one_day_and_scope_share_one_compiled_book() -> None:
    book, day = Rulebook.load(), date(2026, 9, 1)
    first, again = (book.within("consumer_finance", channel="voice").on(day) for _ in range(2))
    assert first is again and first.matcher() is again.matcher()
