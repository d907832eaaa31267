"""The shipped rules: their own examples, their citations, the traps of the trade, and company packs."""

from __future__ import annotations

import re
from datetime import date, datetime

import pytest

from tests.conftest import STATUTES, needs_statutes
from tianjing.records import Contact, Dialogue, Turn
from tianjing.rulebook import Rule, Rulebook, check_contacts, check_dialogue, check_turns
from tianjing.rulebook.checking import rate_limit
from tianjing.rulebook.contacts import breaches
from tianjing.rulebook.examples import Case, cases, holds, untested
from tianjing.rulebook.schema import Citation, ContactCheck, NumberCheck

BOOK = Rulebook.load()
VERIFIED = [rule for rule in BOOK if isinstance(rule.verified, Citation)]


def agent(text: str, day: date = date(2026, 9, 1), **scope: str) -> set[str]:
    """Ids of the rules that one agent turn breaks."""
    book = BOOK.within(**{"channel": "voice", **scope})  # type: ignore[arg-type]
    return {finding.rule for finding in check_turns(book, [Turn(speaker="agent", text=text)], day)}


def contact(at: str, **fields: str) -> Contact:
    return Contact.model_validate({"customer": "c1", "number": "n1", "kind": "attempt", "at": at, **fields})


@pytest.mark.parametrize("case", list(cases(BOOK)), ids=str)
def test_every_example_of_every_rule_holds(case: Case) -> None:
    assert holds(BOOK, case)


def test_the_shipped_book_is_broad() -> None:
    assert len(BOOK) >= 60
    assert untested(BOOK) == []
    kinds = {rule.check.kind for rule in BOOK}
    assert kinds == {"phrase", "disclosure", "number", "statement", "contacts", "offer", "human"}
    topics = {rule.topic for rule in BOOK}
    assert len(topics) == 20


@needs_statutes
@pytest.mark.parametrize("rule", VERIFIED, ids=lambda rule: rule.id)
def test_a_verified_rule_is_found_in_its_article(rule: Rule) -> None:
    cited = rule.verified
    assert isinstance(cited, Citation)
    pattern = re.compile(re.escape(cited.document) + r"(?:\([\d-]+\))?\.md")
    files = [path for path in STATUTES.rglob("*.md") if pattern.fullmatch(path.name)]
    assert files, f"no statute {cited.document}"
    articles = [_article(path.read_text(encoding="utf-8"), cited.article) for path in files]
    assert any(all(term in article for term in cited.terms) for article in articles), articles


def _article(text: str, name: str) -> str:
    match = re.search(rf"^{name}[ 　](.*?)(?=^第[零一二三四五六七八九十百千]+条[ 　之]|\Z)", text, re.M | re.S)
    return match[1] if match else ""


def test_four_times_lpr_is_not_applied_to_a_licensed_consumer_finance_company() -> None:
    said = "您的年利率是20%"
    assert "rate.ceiling.private" in agent(said, institution="private_lender")
    assert agent(said, institution="consumer_finance") == set()


def test_four_times_lpr_follows_the_day_of_the_contract() -> None:
    rule = BOOK.rule("rate.ceiling.private")
    assert isinstance(rule.check, NumberCheck)
    assert rate_limit(BOOK, rule.check, date(2021, 6, 1)) == pytest.approx(15.4)
    assert rate_limit(BOOK, rule.check, date(2026, 6, 1)) == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("at", "broken"),
    [
        ("2026-03-01T21:59:59+08:00", False),
        ("2026-03-01T22:00:00+08:00", True),
        ("2026-03-02T07:59:59+08:00", True),
        ("2026-03-02T08:00:00+08:00", False),
        ("2026-03-01T14:00:00+00:00", True),
        ("2026-03-01T13:59:00+00:00", False),
    ],
)
def test_ten_at_night_sharp_is_quiet(at: str, broken: bool) -> None:
    found = {finding.rule for finding in check_contacts(BOOK, [contact(at)])}
    assert ("collect.hours.log" in found) is broken


def test_hours_and_days_are_those_of_the_person_called() -> None:
    late_in_beijing = contact("2026-03-01T22:30:00+08:00", time_zone="Asia/Bangkok")
    assert check_contacts(BOOK, [late_in_beijing]) == []
    check = BOOK.rule("collect.frequency.effective").check
    assert isinstance(check, ContactCheck)
    # Four calls on one day in Shanghai are on two days in Bangkok.
    hours = ("00:10", "00:20", "01:10", "01:20")
    shanghai = [contact(f"2026-03-02T{hour}:00+08:00", kind="effective") for hour in hours]
    bangkok = [item.model_copy(update={"time_zone": "Asia/Bangkok"}) for item in shanghai]
    assert len(breaches(check, shanghai)) == 1
    assert breaches(check, bangkok) == []


def test_effective_calls_and_attempts_are_counted_apart() -> None:
    day = "2026-03-02T{:02d}:00:00+08:00"
    attempts = [contact(day.format(hour), kind="attempt") for hour in range(9, 15)]
    calls = [contact(day.format(hour), kind="effective") for hour in range(15, 18)]
    assert check_contacts(BOOK, attempts + calls) == []
    seventh = contact(day.format(18), kind="attempt")
    assert [f.rule for f in check_contacts(BOOK, [*attempts, *calls, seventh])] == ["collect.frequency.unanswered"]
    fourth = contact(day.format(18), kind="effective", number="n2")
    found = check_contacts(BOOK, [*attempts, *calls, fourth])
    assert [(f.rule, f.contact) for f in found] == [("collect.frequency.effective", 9)]


def test_a_revoked_contact_stays_revoked_until_consent_is_given_again() -> None:
    log = [
        contact("2026-03-02T10:00:00+08:00", consent="revoked"),
        contact("2026-03-20T10:00:00+08:00"),
        contact("2026-03-21T10:00:00+08:00", consent="given"),
        contact("2026-03-22T10:00:00+08:00"),
    ]
    assert [f.contact for f in check_contacts(BOOK, log) if f.rule == "collect.contact.revoked"] == [0, 1]


def test_a_contact_without_offset_or_with_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        contact("2026-03-01T22:00:00")
    with pytest.raises(ValueError, match="IANA"):
        contact("2026-03-01T22:00:00+08:00", time_zone="Shanghai")


def test_quoting_the_customers_threat_is_no_threat() -> None:
    assert agent("再不还就弄死你")
    assert not agent("您刚才说有人要弄死你，请您保留录音")
    assert not agent("您说对方威胁“再不还就弄死你”，我们会核查")
    # First-person speech in quotation marks is no excuse.
    assert agent("我告诉你：“再不还就弄死你”")


def test_waivers_may_be_possible_but_not_certain() -> None:
    assert "promise.waiver" in agent("我保证给您减免罚息")
    assert "promise.waiver" in agent("您今天还清，罚息肯定给您免掉")
    assert not agent("可以帮您申请减免，能不能批以审核结果为准")
    assert not agent("我们不能保证一定给您减免")


def test_a_dialogue_is_judged_by_the_rules_of_its_day() -> None:
    def findings(started: str) -> set[str]:
        turns = (Turn(speaker="agent", text="请您签订合同"),)
        at = datetime.fromisoformat(started)
        dialogue = Dialogue(id="d", customer="c", agent="a", channel="voice", started_at=at, turns=turns)
        return {finding.rule for finding in check_dialogue(BOOK, dialogue)}

    assert "rate.cost-table" in findings("2026-08-01T09:00:00+08:00")
    assert "rate.cost-table" not in findings("2026-07-31T09:00:00+08:00")
    # 31 July in UTC is already 1 August where the dialogue took place.
    assert "rate.cost-table" in findings("2026-07-31T16:30:00+00:00")
    assert "rate.cost-table" not in findings("2024-08-01T09:00:00+08:00")


@pytest.mark.parametrize(
    "disguised",
    [
        "今天不还就让你坐 牢",
        "今天不还就让你坐·牢",
        "今天不还就让你坐\u200b牢",
        "今天不还就让你做牢",
        "今天不还就让你坐宀牛",
        "今天不还就让你zuo牢",
        "今天不还就让你ｚｕｏlao",
    ],
)
def test_disguises_are_seen_through(disguised: str) -> None:
    (hit,) = (h for h in BOOK.matcher().find(disguised) if h.rule.id == "collect.false.criminal")
    assert hit.evidence == disguised[hit.start : hit.end]
    assert hit.end == len(disguised)


def test_a_customer_may_say_what_an_agent_may_not() -> None:
    assert BOOK.matcher("customer").find("我要投诉你们")[0].rule.action == "handoff"
    assert BOOK.matcher("agent").find("您可以拨打12378投诉") == []
