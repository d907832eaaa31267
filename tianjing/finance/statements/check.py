"""`check_statements`: every amount, rate, date and count that a text states, held against the facts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tianjing.finance.statements.facts import Facts, Kind
from tianjing.finance.statements.finder import LONGEST_VALUE, find, settled
from tianjing.finance.statements.judge_amounts import judge_count, judge_date, judge_money
from tianjing.finance.statements.judge_rates import judge_rate
from tianjing.finance.statements.judgement import Judgement, Verdict
from tianjing.finance.statements.qualifiers import qualifiers
from tianjing.finance.statements.subjects import subject
from tianjing.finance.statements.value import Value
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
    statements = []
    previous_end = 0
    for value in find(view):
        judgement = _judge(view, value, value.start - previous_end, facts)
        start, end = view.raw(value.start), view.raw_end(value.end)
        said = value.amount.low if value.amount else None
        statements.append(
            Statement(
                start, end, text[start:end], value.kind, said, judgement.verdict, judgement.facts, judgement.reason
            )
        )
        previous_end = value.end
    return tuple(statements)


def settled_chars(text: str) -> int:
    """Index up to which no further text can change what `check_statements` says; for streams."""
    return settled(View(text))


def _judge(view: View, value: Value, gap: int, facts: Facts) -> Judgement:
    before, after = view.before(value.start), view.after(value.end)
    said = view.text[value.start : value.end]
    how = qualifiers(before, after, value.vague, gap)
    about = subject(value.kind, value.unit, before, after, gap)
    if value.kind == "money":
        judgement = judge_money(said, value, how, about, before, facts)
    elif value.kind == "rate":
        judgement = judge_rate(said, value, how, about, before, after, facts)
    elif value.kind == "count":
        judgement = judge_count(said, value, how, about, facts)
    else:
        judgement = judge_date(said, value, about, facts)
    return judgement.denied() if how.denied else judgement
