"""The timeline of each customer: cases, products, contacts, records and papers joined in order (经营一个人).

Two external sorts and no table in memory: by case, so that events and outcomes meet the dialogue, account or customer
they belong to; then by customer and instant. Memory holds one run of the sort and one customer at a time; of a dialogue
only its head passes, never its text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from data_recipes.timeline.entries import KIND_ORDER, Dated, instant, local_month, of_cases, of_customers, owners
from data_recipes.timeline.records import CustomerTimeline, Month, TimelineEntry
from data_recipes.timeline.sorting import RUN_BYTES, first_part, key_line, payload_of, second_part, sort_lines
from data_recipes.timeline.sources import TimelineSources

# Sorts after every instant.
_UNDATED: Final = "~"
_LOST: Final = "of a case that no dialogue, account or customer has"


def timelines(
    sources: TimelineSources,
    breaches: Mapping[str, int] | None = None,
    lost: Counter[str] | None = None,
    run_bytes: int = RUN_BYTES,
) -> Iterator[CustomerTimeline]:
    """One timeline for each customer of whom anything is known, by key.

    Args:
        breaches: rule breaches found in a dialogue, by its id; shown in its entry.
        lost: counts the events and outcomes whose case is nobody's; they are in no timeline.
        run_bytes: memory of each of the two sorts.
    """
    found = (_line(entry.owner, entry) for entry in of_customers(sources, breaches or {}))
    joined = _joined(sources, Counter() if lost is None else lost, run_bytes)
    lines = sort_lines((line for part in (found, joined) for line in part), run_bytes)
    for customer, rows in groupby(lines, key=first_part):
        yield _timeline(json.loads(customer), [TimelineEntry(**payload_of(line)) for line in rows])


def _line(customer: str, entry: Dated) -> str:
    """Sorted by instant, kind, id, file and row: equal times keep one order, however the input was read."""
    when = _UNDATED if entry.when is None else instant(entry.when).isoformat(timespec="microseconds")
    key = (customer, when, str(KIND_ORDER.index(entry.kind)), entry.id, f"{entry.row:012}")
    return key_line(key, _payload(entry))


def _payload(entry: Dated) -> dict[str, Any]:
    at = "" if entry.when is None else entry.when.isoformat()
    row = {"at": at, "kind": entry.kind, "id": entry.id, "source": entry.source, "row": entry.row}
    return {**row, "details": entry.details}


def _joined(sources: TimelineSources, lost: Counter[str], run_bytes: int) -> Iterator[str]:
    """Lines of events and outcomes, under the customer that their case belongs to."""
    known = (key_line((case, "0"), customer) for case, customer in owners(sources))
    asked = (key_line((entry.owner, "1"), _payload(entry)) for entry in of_cases(sources))
    lines = sort_lines((line for part in (known, asked) for line in part), run_bytes)
    for case, rows in groupby(lines, key=first_part):
        customer: str | None = None
        for line in rows:
            payload = payload_of(line)
            if second_part(line) == "0":
                customer = customer if customer is not None else payload
            elif customer is None:
                lost[f"{payload['kind']} {_LOST}"] += 1
            else:
                when = datetime.fromisoformat(payload["at"]) if payload["at"] else None
                yield _line(customer, Dated(json.loads(case), when, **{k: payload[k] for k in payload if k != "at"}))


def _timeline(customer: str, entries: Sequence[TimelineEntry]) -> CustomerTimeline:
    dated = tuple(entry for entry in entries if entry.at)
    accounts = {entry.id: entry for entry in dated if entry.kind == "account"}
    seen = [entry.at for entry in dated if entry.kind != "document"]
    return CustomerTimeline(
        customer=customer,
        entries=dated,
        undated=tuple(entry for entry in entries if not entry.at),
        months=tuple(_months(dated)),
        accounts={name: {**entry.details, "as_of": entry.at} for name, entry in sorted(accounts.items())},
        first_at=seen[0] if seen else "",
        last_at=seen[-1] if seen else "",
    )


def _months(entries: Iterable[TimelineEntry]) -> Iterator[Month]:
    """Months in which something happened. The day of a paper is no such thing: a marriage is of another year."""
    known: dict[str, TimelineEntry] = {}
    lived = (entry for entry in entries if entry.kind != "document")
    for month, rows in groupby(lived, key=lambda entry: local_month(_when(entry.at))):
        here = list(rows)
        known.update({entry.id: entry for entry in here if entry.kind == "account"})
        outcomes = Counter((e.details["name"], bool(e.details["value"])) for e in here if e.kind == "outcome")
        yield Month(
            month=month,
            contacts=dict(sorted(Counter(e.details["contact"] for e in here if e.kind == "contact").items())),
            cases=sum(entry.kind == "dialogue_opened" for entry in here),
            promises_kept=outcomes["promise_kept", True],
            promises_broken=outcomes["promise_kept", False],
            complaints=outcomes["complaint", True],
            arrears_yuan=round(sum(e.details["arrears_yuan"] for e in known.values()), 2) if known else None,
            products=tuple(sorted({entry.details["product"] for entry in known.values()})),
        )


def _when(at: str) -> datetime | date:
    return datetime.fromisoformat(at) if "T" in at else date.fromisoformat(at)
