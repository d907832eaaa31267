"""Every raw file reads back through its strict record, agrees with the others, and breaks rules only where planted."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from data_recipes.readers.raw import read_raw
from tests.tianjing.simulation.conftest import Corpus, rows
from tianjing.files import read_jsonl
from tianjing.finance import LoanTerms, make_schedule
from tianjing.finance.debt import debt_on
from tianjing.finance.schedule import add_months
from tianjing.finance.terms import Penalty, Rate
from tianjing.records import Account, Contact, Document, Record
from tianjing.rulebook import Rulebook
from tianjing.rulebook.contacts import breaches
from tianjing.rulebook.schema import ContactCheck
from tianjing.simulation.contacts import contact_rows
from tianjing.simulation.planted import BUCKET_DAYS


@pytest.fixture(scope="module")
def contacts(corpus: Corpus) -> list[Contact]:
    return list(read_jsonl(corpus.folder / "contacts.jsonl", Contact))


def test_data_recipes_reads_the_folder_beside_the_files_it_does_not_know(corpus: Corpus) -> None:
    raw = read_raw(corpus.folder)
    assert len(raw.dialogues) == len(corpus.dialogues) and len(raw.rules) == 6


def test_arrears_are_those_of_the_cost_engine_to_the_cent(corpus: Corpus) -> None:
    for account in list(read_jsonl(corpus.folder / "accounts.jsonl", Account))[:150]:
        schedule, arrears = account.schedule, account.arrears
        terms = LoanTerms(
            product=account.product,
            lender="晨舟消费金融有限公司",
            principal=account.principal,
            disbursed_on=add_months(schedule.first_due_on, -1),
            first_due_on=schedule.first_due_on,
            rate=Rate(percent=account.rate, per="year"),
            method="equal_instalment",
            instalments=schedule.instalments,
            penalties=(Penalty(name="罚息", payee="晨舟", markup_percent=Decimal(50), grace_days=3),),
        )
        rows = make_schedule(terms)
        paid = sum(row.due_on < account.as_of - timedelta(days=arrears.days) for row in rows)
        debt = debt_on(terms, paid, account.as_of)
        assert rows[0].payment == schedule.instalment
        assert (debt.penalty, debt.overdue_days) == (arrears.penalty, arrears.days)
        assert debt.overdue_amount == arrears.principal + arrears.interest


def test_accounts_are_in_arrears_as_the_dialogue_says(corpus: Corpus) -> None:
    accounts = list(read_jsonl(corpus.folder / "accounts.jsonl", Account))
    originals = [d for d in corpus.dialogues if d.id not in set(corpus.duplicates)]
    buckets = {customer.customer: customer.field("overdue_bucket") for customer in corpus.customers}
    assert len(accounts) == len(originals)
    loans: dict[str, set[tuple[Decimal, int]]] = defaultdict(set)
    told = 0
    for account, dialogue in zip(accounts, originals, strict=True):
        assert (account.customer, account.as_of) == (dialogue.customer, dialogue.started_at.date())
        first, last = BUCKET_DAYS[buckets[account.customer]]
        assert first <= account.arrears.days <= last
        loans[account.account].add((account.principal, account.schedule.instalments))
        assert (account.arrears.penalty > 0) == (account.arrears.days > 3)
        text = "".join(turn.text for turn in dialogue.turns)
        told += f"{account.arrears.total:.0f}元" in text
    assert all(len(terms) == 1 for terms in loans.values())
    assert told > 500
    assert any(count > 1 for count in Counter(account.rsplit("-", 1)[0] for account in loans).values())


def test_the_rulebook_finds_the_planted_breaches_in_the_contacts_and_no_other(
    corpus: Corpus, contacts: list[Contact]
) -> None:
    planted = {(row["customer"], row["at"], row["breach"]) for row in rows(corpus.folder / "truth" / "contacts.jsonl")}
    checks = [rule.check for rule in Rulebook.load() if isinstance(rule.check, ContactCheck)]
    found = {
        (breach.contact.customer, breach.contact.at.isoformat(), check.measure)
        for check in checks
        for breach in breaches(check, contacts)
    }
    assert found == planted
    assert {breach for *_, breach in planted} == {check.measure for check in checks}
    assert 0.005 < len(planted) / len(contacts) < 0.03


def test_a_fourth_call_of_a_day_is_a_breach_also_where_nobody_planted_it() -> None:
    starts = [datetime(2026, 3, 2, hour, tzinfo=timezone(timedelta(hours=8))) for hour in range(9, 14)]
    told = list(contact_rows({"c1": starts}, {"c1": "n1"}, random.Random(1)))
    calls = [breach for row, breach in told if row["kind"] == "effective"]
    assert [breach and breach["breach"] for breach in calls] == [None, None, None, *["effective_per_debtor"] * 2]


def test_every_answered_post_loan_call_is_in_the_log_of_contacts(corpus: Corpus, contacts: list[Contact]) -> None:
    answered = {(contact.customer, contact.at) for contact in contacts if contact.kind == "effective"}
    dialogues = {dialogue.id: dialogue for dialogue in corpus.dialogues}
    for row in corpus.decisive:
        assert (dialogues[row["dialogue"]].customer, dialogues[row["dialogue"]].started_at) in answered


def test_what_third_parties_say_follows_the_life_events(corpus: Corpus) -> None:
    records = list(read_jsonl(corpus.folder / "records.jsonl", Record))
    life = {row["customer"]: row["life"] for row in rows(corpus.folder / "truth" / "customers.jsonl")}
    paid: dict[bool, list[bool]] = {True: [], False: []}
    for record in records:
        if record.source == "social_insurance":
            before = [event["event"] for event in life[record.customer] if event["at"] <= record.as_of.isoformat()]
            paid[bool(before) and before[-1] == "失业"].append(record.fields["paid_this_month"])
    assert not any(paid[True]) and paid[True]
    assert sum(paid[False]) > 0.9 * len(paid[False])


def test_documents_read_back_and_come_from_known_customers(corpus: Corpus) -> None:
    documents = list(read_jsonl(corpus.folder / "documents.jsonl", Document))
    assert {document.customer for document in documents} <= {customer.customer for customer in corpus.customers}
    assert len({document.id for document in documents}) == len(documents) > 200
    assert len({document.kind for document in documents}) >= 22
