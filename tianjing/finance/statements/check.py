"""`check_statements`: every amount, rate, date and count that a text states, held against the facts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tianjing.finance.statements.context import Said, read
from tianjing.finance.statements.facts import Facts, Kind
from tianjing.finance.statements.finder import LONGEST_VALUE
from tianjing.finance.statements.judge_amounts import judge_count, judge_date, judge_money
from tianjing.finance.statements.judge_rates import judge_rate
from tianjing.finance.statements.judgement import Judgement, Verdict
from tianjing.finance.statements.view import BEFORE_CHARS, View

# How far before a value its verdict may depend on the text: its window, and the values in it.
LOOKBEHIND_CHARS = 2 * (BEFORE_CHARS + LONGEST_VALUE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A stated value at characters `start` to `end` of the raw text, and the verdict on it.

    `value` is yuan, a fraction, or a count (years in months, weeks in days); None for a date.
    `facts` are the names of the facts it was compared with; none where it is unsupported.
    """

    start: int
    end: int
    evidence: str
    kind: Kind
    value: Decimal | None
    verdict: Verdict
    facts: tuple[str, ...]
    reason: str


def check_statements(text: str, facts: Facts) -> tuple[Statement, ...]:
    """The stated values of `text` in order, each with its verdict.

    Verdicts: `right`, `wrong` (about a fact that is given, and another), `unsupported` (no fact says anything about
    it), `ambiguous` (it is not said which fact is meant, and they differ). Never raises for any text.
    """
    view = View(text)
    return tuple(statement(view, said, facts) for said in read(view))


def statement(view: View, said: Said, facts: Facts) -> Statement:
    """The verdict on one value of the text that `view` shows, with offsets of its raw text."""
    value, judgement = said.value, _judge(view, said, facts)
    start, end = view.raw(value.start), view.raw_end(value.end)
    number = value.amount.low if value.amount else None
    return Statement(
        start,
        end,
        view.raw_text[start:end],
        value.kind,
        number,
        judgement.verdict,
        judgement.facts,
        judgement.reason,
    )


def _judge(view: View, said: Said, facts: Facts) -> Judgement:
    value, about, how = said.value, said.about, said.how
    words = view.text[value.start : value.end]
    if value.kind == "money":
        judgement = judge_money(words, value, how, about, said.before, facts)
    elif value.kind == "rate":
        judgement = judge_rate(words, value, how, about, said.before, said.after, facts)
    elif value.kind == "count":
        judgement = judge_count(words, value, how, about, facts)
    else:
        judgement = judge_date(words, value, about, facts)
    return judgement.denied() if how.denied else judgement
