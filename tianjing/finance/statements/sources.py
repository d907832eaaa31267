"""Where facts come from: a JSON file, JSON Lines by dialogue or customer, or a quote of the cost engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from tianjing.config import StrictModel
from tianjing.files import OnError, parse_line, read_jsonl
from tianjing.finance.cost import Quote, quote
from tianjing.finance.errors import FinanceError
from tianjing.finance.statements.facts import NAMES, Fact, Facts, Period, Unit
from tianjing.finance.terms import load_terms

# A text may say 1000元/期 or 18%/年; what ends like a file, or has Latin letters about its slash, names a file.
_NAMES_A_FILE = re.compile(
    r".*\.(?:txt|md|jsonl?|csv|tsv|ya?ml|html?|docx?|xlsx?|pdf|parquet)|(?=.*[a-z])[^\s%一-鿿]*/[^\s%一-鿿]*", re.I
)
_SHAPE = 'write {"as_of": "2026-08-15", "values": [{"name": "principal", "kind": "money", "value": "12000"}, …]}'


class FactsRow(StrictModel):
    """One line of facts.jsonl: the facts of one dialogue, or of all dialogues with one customer."""

    dialogue: str | None = None
    customer: str | None = None
    facts: Facts

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.dialogue is None) == (self.customer is None):
            raise ValueError("give either 'dialogue' or 'customer'")
        return self


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """Facts by dialogue and by customer; a dialogue's own come first."""

    by_dialogue: dict[str, Facts] = field(default_factory=dict)
    by_customer: dict[str, Facts] = field(default_factory=dict)

    def about(self, dialogue: str, customer: str) -> Facts | None:
        """What is known of this dialogue, or of its customer."""
        return self.by_dialogue.get(dialogue) or self.by_customer.get(customer)


def read_facts(path: Path) -> Facts:
    """One `Facts` object from a JSON file.

    Raises:
        FinanceError: the file is missing or wrong; it names the field and the remedy.
    """
    try:
        return parse_line(Path(path).read_bytes(), Facts)
    except OSError as error:
        raise FinanceError(f"{path}: cannot be read: {error.strerror}", "check the path") from None
    except ValueError as error:
        raise FinanceError(f"{path}: {error}", _SHAPE) from None


def read_known_facts(
    path: Path,
    on_error: OnError = "stop",
    rejects: list[dict[str, Any]] | None = None,
    remedy: str = "mend the line",
) -> KnownFacts:
    """facts.jsonl: `FactsRow`s, each dialogue or customer once; the other arguments are those of `read_jsonl`.

    Raises:
        TianjingError: no such file, or a line is wrong; it names the file, the line and the field.
        FinanceError: a dialogue or customer stands twice.
    """
    known = KnownFacts()
    for row in read_jsonl(path, FactsRow, on_error, rejects, remedy):
        table, key = (
            (known.by_dialogue, row.dialogue) if row.dialogue is not None else (known.by_customer, row.customer)
        )
        assert key is not None
        if key in table:
            raise FinanceError(f"{path}: facts about '{key}' stand twice", "keep one line for each")
        table[key] = row.facts
    return known


def facts_of_quote(quoted: Quote, as_of: date | None = None) -> Facts:
    """What a quote of the cost engine says of a loan that is paid as agreed, on `as_of` (default: the first day).

    What the loan costs a year is named as the engine names it: IRR compound, the simple one on the principal
    outstanding. The contract's own rate leaves out fees, so 年化 never means it.
    """
    terms, rows = quoted.terms, quoted.schedule
    payments = {row.payment for row in rows[:-1]} or {rows[-1].payment}
    money: dict[str, Decimal] = {
        "principal": terms.principal,
        "cash_received": quoted.cash_received,
        "total_interest": quoted.total_interest,
        "total_fees": quoted.total_fees,
        "total_repayment": quoted.total_repayment,
    }
    # 月利率 and 日利率 are facts of their own where the contract names its rate so.
    rate = {"month": "monthly_rate", "day": "daily_rate"}.get(terms.rate.per)
    if len(payments) == 1:
        money["instalment"] = payments.pop()
    values = [_fact(name, str(value)) for name, value in money.items()]
    values += [
        _fact("annual_rate_irr", str(quoted.rates.irr), per="year"),
        _fact("annual_rate_simple", str(quoted.rates.simple), per="year"),
        _fact("contract_rate", str(terms.rate.annual), per="year"),
        _fact("contract_date", str(terms.disbursed_on)),
        _fact("maturity_date", str(rows[-1].due_on)),
        *([_fact(rate, str(terms.rate.percent / 100), per=terms.rate.per)] if rate else []),
        *(_fact("due_date", str(row.due_on)) for row in rows),
        _fact("instalments", str(len(rows)), unit="期"),
    ]
    return Facts(as_of=as_of or terms.disbursed_on, values=tuple(values))


def known_truth(facts: Path | None, loan: Path | None, on: date | None = None) -> Facts:
    """Facts from a facts file or from loan terms, as of the day `on` where it is given.

    Raises:
        FinanceError: neither or both are given, or the file is wrong.
    """
    if (facts is None) == (loan is None):
        raise FinanceError("what is true is not clear", "give either --facts or --loan")
    known = read_facts(facts) if facts else facts_of_quote(quote(load_terms(loan)))  # type: ignore[arg-type]
    return known.model_copy(update={"as_of": on}) if on else known


def read_texts(text: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of the file that `text` names, or `text` itself.

    Raises:
        FinanceError: there is no text: nothing is given, `text` names a folder or a file that is not there, or its file
            is empty or not UTF-8.
    """
    if not text.strip():
        raise FinanceError("no text to check", "give a text in quotes, or a file with one text a line")
    path = Path(text)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
        beside = "/" in text and path.parent.is_dir()
    except (OSError, ValueError):
        is_file = is_folder = beside = False  # too long, or otherwise no path
    if is_folder:
        raise FinanceError(f"{text}: is a folder", "name a file with one text a line")
    if not is_file and (beside or _NAMES_A_FILE.fullmatch(text)):
        raise FinanceError(f"{text}: no such file", "check the path; to check a text, put it in quotes")
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if is_file else [text]
    except UnicodeDecodeError:
        raise FinanceError(f"{text}: not a UTF-8 text file", "save it as UTF-8, one text a line") from None
    except OSError as error:
        raise FinanceError(f"{text}: cannot be read: {error.strerror}", "check the path") from None
    if not any(line.strip() for line in lines):
        raise FinanceError(f"{text}: holds no text", "write one text a line")
    yield from enumerate(lines, start=1)


def _fact(name: str, value: str, per: Period | None = None, unit: Unit | None = None) -> Fact:
    return Fact(name=name, kind=NAMES[name][0], value=value, per=per, unit=unit)
