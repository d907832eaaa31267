"""Facts as users bring them: strict files, a quote of the cost engine, and the commands that check texts by them."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tests.tianjing.finance.known_facts import facts
from tianjing.errors import TianjingError
from tianjing.finance.cli import app
from tianjing.finance.cost import quote
from tianjing.finance.statements import Facts, check_statements, facts_of_quote, read_facts, read_known_facts
from tianjing.finance.terms import load_terms
from tianjing.records import Dialogue, Turn
from tianjing.rulebook import Rulebook, check_dialogue
from tianjing.rulebook.cli import app as rules_app

LOAN = REPOSITORY / "examples" / "cost" / "loan.yaml"
RATE = {"name": "annual_rate_irr", "kind": "rate", "value": "0.18", "per": "year"}
run = CliRunner().invoke


@pytest.mark.parametrize(
    ("fact", "complaint"),
    [
        ({**RATE, "name": "yearly_rate"}, "no fact is called 'yearly_rate'"),
        ({**RATE, "kind": "money"}, "is of kind rate, not money"),
        ({"name": "annual_rate_irr", "kind": "rate", "value": "0.18"}, "'per'"),
        ({**RATE, "value": "18%"}, "not a number"),
        ({"name": "due_date", "kind": "date", "value": "20.8.2026"}, "not a date like 2026-08-05"),
        ({"name": "instalments", "kind": "count", "value": "12"}, "'unit'"),
        ({**RATE, "note": "x"}, "unknown field"),
    ],
)
def test_a_wrong_fact_is_refused_by_file_and_field(fact: dict[str, str], complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text(json.dumps({"as_of": "2026-08-15", "values": [fact]}), encoding="utf-8")
    with pytest.raises(TianjingError) as error:
        read_facts(file)
    assert str(file) in error.value.message and complaint in error.value.message and error.value.remedy


def test_only_due_dates_may_repeat() -> None:
    facts(due_date=("2026-08-20", "2026-09-20"))
    with pytest.raises(ValidationError, match="stated more than once: principal"):
        facts(principal=("1", "2"))


def test_a_quote_bears_out_what_it_says_itself() -> None:
    quoted = quote(load_terms(LOAN))
    truth = facts_of_quote(quoted)
    rows = quoted.schedule
    text = (
        f"借款本金{quoted.terms.principal}元，到账{quoted.cash_received}元，分{len(rows)}期，"
        f"总利息{quoted.total_interest}元，一共要还{quoted.total_repayment}元，"
        f"IRR年化{quoted.rates.irr * 100:.2f}%，单利{quoted.rates.simple * 100:.2f}%，"
        f"首期还款日{rows[0].due_on}，最后一期{rows[-1].due_on}"
    )
    assert {one.verdict for one in check_statements(text, truth)} == {"right"}
    assert len(check_statements(text, truth)) == 9


def known(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_facts_of_a_dialogue_come_before_those_of_its_customer(tmp_path: Path) -> None:
    day = {"as_of": "2026-08-15", "values": []}
    file = tmp_path / "facts.jsonl"
    file.write_text(known({"dialogue": "d1", "facts": {**day, "values": [RATE]}}, {"customer": "c1", "facts": day}))
    found = read_known_facts(file)
    of_dialogue, of_customer = found.about("d1", "c1"), found.about("d2", "c1")
    assert of_dialogue and of_dialogue.values and of_customer and not of_customer.values
    assert found.about("d2", "c2") is None


@pytest.mark.parametrize(
    "rows",
    [
        [{"facts": {"as_of": "2026-08-15"}}],
        [{"dialogue": "d", "customer": "c", "facts": {"as_of": "2026-08-15"}}],
        [{"dialogue": "d", "facts": {"as_of": "2026-08-15"}}] * 2,
    ],
)
def test_lines_that_name_nobody_or_one_twice_are_refused(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_text(known(*rows))
    with pytest.raises(TianjingError, match=r"facts\.jsonl"):
        read_known_facts(file)


def test_check_exits_1_where_something_is_wrong_and_names_it() -> None:
    wrong = run(app, ["check", "单利年化12%，分12期", "--loan", str(LOAN)])
    assert wrong.exit_code == 1 and "wrong" in wrong.output and "12%" in wrong.output
    assert run(app, ["check", "分12期", "--loan", str(LOAN)]).exit_code == 0


def test_check_reads_a_file_line_by_line_and_prints_json(tmp_path: Path) -> None:
    file = tmp_path / "said.txt"
    file.write_text("您好\n分12期\n", encoding="utf-8")
    result = run(app, ["check", str(file), "--loan", str(LOAN), "--json"])
    (row,) = json.loads(result.stdout)
    assert (row["line"], row["evidence"], row["verdict"]) == (2, "12期", "right")


def test_check_asks_for_the_truth_once() -> None:
    result = run(app, ["check", "分12期"])
    assert isinstance(result.exception, TianjingError) and "--loan" in result.exception.remedy


def dialogue(text: str) -> Dialogue:
    started = datetime.fromisoformat("2026-08-15T10:00:00+08:00")
    turns = (Turn(speaker="agent", text=text),)
    return Dialogue(id="d1", customer="c1", agent="a1", channel="voice", started_at=started, turns=turns)


def test_the_rulebook_finds_a_wrong_number_only_where_facts_are_given() -> None:
    book, said = Rulebook.load(), dialogue("您的年化利率是15%")
    truth = Facts.model_validate({"as_of": date(2026, 8, 15), "values": [RATE]})
    findings = [found for found in check_dialogue(book, said, facts=truth) if found.rule == "statement.number"]
    assert [(found.turn, said.turns[0].text[found.start : found.end]) for found in findings] == [(0, "15%")]
    assert not [found for found in check_dialogue(book, said) if found.rule == "statement.number"]


def test_rules_check_takes_facts_by_dialogue(tmp_path: Path) -> None:
    (tmp_path / "dialogues.jsonl").write_text(dialogue("您的年化利率是15%").model_dump_json() + "\n", encoding="utf-8")
    (tmp_path / "facts.jsonl").write_text(known({"customer": "c1", "facts": {"as_of": "2026-08-15", "values": [RATE]}}))
    arguments = ["check", str(tmp_path / "dialogues.jsonl"), "--out", str(tmp_path / "findings.jsonl")]
    run(rules_app, [*arguments, "--facts", str(tmp_path / "facts.jsonl")])
    assert '"rule": "statement.number"' in (tmp_path / "findings.jsonl").read_text(encoding="utf-8")
