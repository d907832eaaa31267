"""What knowledge holds for a dataset of experience: its cases, how much a row counts, and which acts none may hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices import Case, cases, told
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import Draft
from tianjing.records import Practice

HALF_CASES: Final = 30
"""Treated cases at which support counts half of what it can."""
LEAST, MOST = 0.5, 2.0


def known_cases(knowledge: Knowledge, mining: PracticesConfig) -> list[Case]:
    """The cases of the knowledge as they were mined: with logged situations, and with those inferred from text."""
    customers = {customer.customer: customer for customer in knowledge.customers}
    situations = told(knowledge.situations)
    return cases(knowledge.dialogues, knowledge.events, knowledge.outcomes, customers, mining, situations)[0]


def evidence(practice: Practice) -> float:
    """The share of outcomes gained that is sure: max(0, ci_low) * n / (n + 30), n treated cases; in [0, 1).

    The lower bound of the interval already falls with few cases; the second factor keeps a wide early success of a
    handful of cases from counting like one that many agents had.
    """
    treated = practice.support.treated
    return max(0.0, practice.ci_low) * treated / (treated + HALF_CASES)


def weigh(drafts: Iterable[Draft], practices: Mapping[str, Practice]) -> list[Draft]:
    """Rows weighed by the evidence of their practice over its mean among the rows learned from, within [0.5, 2].

    The mean weight stays near 1, so that a task does not gain on others. Rows that follow no practice keep theirs.
    """
    rows = list(drafts)
    sure = {row.id: evidence(practices[row.practice_ids[0]]) for row in rows if row.practice_ids}
    learned = [sure[row.id] for row in rows if row.id in sure and row.split == "train"]
    mean = sum(learned) / len(learned) if learned else 0.0
    if not mean:
        return rows
    return [
        replace(row, weight=round(min(MOST, max(LEAST, sure[row.id] / mean)), 4)) if row.id in sure else row
        for row in rows
    ]


def vetoed_acts(practices: Iterable[Practice]) -> set[tuple[str, str]]:
    """(situation, act) of every vetoed practice: no answer that is taught holds one, also beside another act."""
    return {(one.situation, one.action) for one in practices if one.verdict == "vetoed"}
