"""Rows of negotiations: taken from what worked, exact to the cent, traceable to turns, and never what is forbidden."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.experience.practices import best_practices, cases, mine
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.config import NegotiationConfig
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.exchanges import find_amount, find_day
from data_recipes.tasks.negotiation import draft_negotiation
from tianjing import acts
from tianjing.files import read_jsonl
from tianjing.finance.offers import PlanPolicy, outstanding
from tianjing.records import Account, Customer, Dialogue, Event, Outcome, Split
from tianjing.simulation.corpus import simulate
from tianjing.tasks import TASKS
from tianjing.tasks.negotiation import call_of
from tianjing.tasks.plan_call import run_call, stated_amounts

MINING = PracticesConfig(min_group_cases=12)
EXPERIENCE = BuildConfig()
CHANCE = BuildConfig(negotiation=NegotiationConfig(experience=False))


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """A simulated corpus, mined on what is learned from; nothing is cleaned, for nothing here depends on it."""
    raw = tmp_path_factory.mktemp("negotiation") / "raw"
    simulate(raw, cases=700, seed=4242, surface="a")
    read = {name: list(read_jsonl(raw / f"{name}.jsonl", model)) for name, model in _FILES.items()}
    customers = list(read_jsonl(raw / "customers.jsonl", Customer))
    learned = [dialogue for dialogue in read["dialogues"] if splits_of(customers)[dialogue.customer] != "test"]
    found, _ = cases(learned, read["events"], read["outcomes"], {c.customer: c for c in customers}, MINING)
    return Knowledge(practices=mine(found, MINING), customers=customers, **read)  # type: ignore[arg-type]


_FILES = {"dialogues": Dialogue, "events": Event, "outcomes": Outcome, "accounts": Account}


def splits_of(customers: list[Customer]) -> dict[str, Split]:
    return {row.customer: "test" if int(row.customer[1:]) % 4 == 0 else "train" for row in customers}


@pytest.fixture(scope="module")
def rows(knowledge: Knowledge) -> list[Draft]:
    return draft(knowledge, EXPERIENCE).rows


def draft(knowledge: Knowledge, config: BuildConfig, breached: set[tuple[str, int]] | None = None) -> Drafts:
    return draft_negotiation(knowledge, splits_of(list(knowledge.customers)), breached or set(), MINING, config)


def _step(rows: list[Draft], step: str, split: Split = "train") -> list[Draft]:
    return [row for row in rows if row.reference["step"] == step and row.split == split]


def test_the_acts_that_are_taught_are_practices_that_were_followed_and_kept(
    knowledge: Knowledge, rows: list[Draft]
) -> None:
    best = best_practices(knowledge.practices, 0.05)
    kept = {row.case: row.value for row in knowledge.outcomes if row.name == "promise_kept"}
    turns = {dialogue.id: dialogue.turns for dialogue in knowledge.dialogues}
    taught = _step(rows, "act")
    assert {row.reference["situation"] for row in taught} == set(best) and len(best) >= 6
    for row in taught:
        practice = best[row.reference["situation"]]
        assert (row.reference["act"], row.practice_ids) == (practice.action, (practice.id,))
        assert practice.action in acts.tag(row.reference["reply"])
        assert kept[row.session] == 1
        name, turn = row.sources[-1].split("#")
        assert turns[name][int(turn)].text == row.reference["reply"]
    weights = {row.reference["situation"]: row.weight for row in taught}
    assert max(weights, key=weights.__getitem__) == max(best, key=lambda name: best[name].ci_low)
    assert sum(row.weight for row in taught) / len(taught) == pytest.approx(1, abs=0.05)


def test_without_experience_the_same_steps_come_from_calls_by_chance(knowledge: Knowledge, rows: list[Draft]) -> None:
    by_chance = draft(knowledge, CHANCE).rows
    kept = {row.case: row.value for row in knowledge.outcomes if row.name == "promise_kept"}
    taught = _step(by_chance, "act")
    assert {kept.get(row.session) for row in taught} == {0, 1, None}
    acts_of = Counter(row.reference["act"] for row in taught)
    assert acts_of["remind_consequence"] and acts_of["demand_full_payment"] and not any(r.practice_ids for r in taught)
    assert {row.stratum for row in by_chance} == {row.stratum for row in rows}
    # What is asked of both is the same: the practice of every held-out case.
    asked = [[replace(row, weight=1.0) for row in found if row.split == "test"] for found in (rows, by_chance)]
    assert asked[0] == asked[1] and "" in {row.reference["reply"] for row in asked[0]}


def test_every_amount_of_an_offer_is_the_cost_engines_on_the_account_of_the_call(
    knowledge: Knowledge, rows: list[Draft]
) -> None:
    owed = defaultdict(set)
    for account in knowledge.accounts:
        owed[account.customer].add(f"{outstanding(account):.2f}")
    offers, quotes = _step(rows, "offer"), _step(rows, "quote")
    assert len(offers) > 50 and len(quotes) > 50
    for row in offers:
        assert row.fields["outstanding"] in owed[row.customer]
        assert stated_amounts(row.reference["reply"]) == stated_amounts(row.fields["turns"][-1]["text"])
        assert row.fields["turns"][-1]["speaker"] == "system"
    for row in quotes:
        plan = run_call(call_of(row.reference), row.fields)
        assert plan.total == Decimal(row.fields["outstanding"])
        assert plan.instalments in (1, *range(3, 25)) and plan.deferral_days in PlanPolicy().deferral_days
        assert plan.first_due_on >= date.fromisoformat(row.fields["as_of"])
        amount = row.reference["call"].get("monthly_yuan")
        said = [turn["text"] for turn in row.fields["turns"] if turn["speaker"] == "customer"]
        assert amount is None or any(amount in text or find_amount(text) for text in said)


def test_every_row_traces_to_turns_of_its_own_split_and_reads_back_as_right(
    knowledge: Knowledge, rows: list[Draft]
) -> None:
    turns = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    splits = splits_of(list(knowledge.customers))
    task = TASKS["negotiation"]
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.sources
        for source in row.sources:
            name, turn = source.split("#")
            assert int(turn) < len(turns[name].turns) and splits[turns[name].customer] == row.split
        assert task.score(task.read(task.target(row.reference), row.fields), row.reference, row.fields) == 1.0


def test_a_call_whose_account_is_missing_gives_no_row_and_is_counted(knowledge: Knowledge) -> None:
    some = Knowledge(**{**vars(knowledge), "accounts": knowledge.accounts[: len(knowledge.accounts) // 2]})
    made = draft(some, EXPERIENCE)
    assert made.dropped["negotiation: no account of the day of the call"] > 50
    assert 0 < len(made.rows) < len(draft(knowledge, EXPERIENCE).rows)


@settings(max_examples=6, deadline=None)
@given(st.sets(st.sampled_from(sorted(acts.ACTS)), min_size=1, max_size=6))
def test_a_vetoed_practice_is_never_taught_however_well_it_worked(vetoed: set[str]) -> None:
    knowledge = _shared["knowledge"]
    practices = [
        row.model_copy(update={"verdict": "vetoed"}) if row.action in vetoed else row for row in knowledge.practices
    ]
    made = draft(Knowledge(**{**vars(knowledge), "practices": practices}), EXPERIENCE)
    taught = {row.reference["act"] for row in _step(made.rows, "act")}
    assert not taught & vetoed


_shared: dict[str, Knowledge] = {}


@pytest.fixture(scope="module", autouse=True)
def _share(knowledge: Knowledge) -> None:
    _shared["knowledge"] = knowledge


def test_a_turn_in_breach_is_neither_taught_nor_lent_to_another_row(knowledge: Knowledge, rows: list[Draft]) -> None:
    lent = Counter(source for row in rows for source in row.sources if not source.startswith(f"{row.session}#"))
    source = next(source for source, _ in lent.most_common() if _is_agent(knowledge, source))
    taught = _step(rows, "act")[0].sources[-1]
    breached = {(name, int(turn)) for name, turn in (found.split("#") for found in (source, taught))}
    again = draft(knowledge, EXPERIENCE, breached).rows
    said = {row.reference["reply"] for row in again} - {""}
    assert not any(source in row.sources for row in again if not source.startswith(f"{row.session}#"))
    assert not any(row.sources[-1] == taught and row.reference["step"] == "act" for row in again) and said


def _is_agent(knowledge: Knowledge, source: str) -> bool:
    name, turn = source.split("#")
    return next(d for d in knowledge.dialogues if d.id == name).turns[int(turn)].speaker == "agent"


@pytest.mark.parametrize(
    ("text", "amount", "day"),
    [
        ("一个月六百吧，我能还。", "六百", None),
        ("多了没有，三百块行的话我按时还。", "三百", None),
        ("凑个一千五，后头慢慢来", "一千五", None),
        ("一个月拿800左右", "800", None),
        ("22号，工资到了马上还。", None, 22),
        ("那就十五号，我准时还上", None, 15),
        ("三百或者五百吧", None, None),  # two amounts: not guessed
        ("我说不准", None, None),
    ],
)
def test_amounts_and_days_are_found_as_they_are_spoken(text: str, amount: str | None, day: int | None) -> None:
    span = find_amount(text)
    assert (text[span[0] : span[1]] if span else None, find_day(text)) == (amount, day)
