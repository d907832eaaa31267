"""POST /v1/decide: who speaks, what may be offered, what has worked, and why."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.decide.request import parse_decide
from serving.decide.service import NO_KNOWLEDGE, NO_POLICY, Decider
from serving.decide.settings import DecideSettings
from serving.decide.sources import Source
from serving.errors import ApiError
from tests.conftest import REPOSITORY
from tianjing.errors import TianjingError
from tianjing.finance.policy import load_policy
from tianjing.lineage import artefact

POLICY = REPOSITORY / "examples" / "cost" / "policy.yaml"
ACCOUNTS = [json.loads(row) for row in (REPOSITORY / "examples/raw/accounts.jsonl").read_text("utf-8").splitlines()]
DECIDER = Decider(DecideSettings(policy=POLICY))


def body(account: dict[str, Any] = ACCOUNTS[1], clock: str = "10:00:00", **more: Any) -> dict[str, Any]:
    """A request in the morning of the account's day; fields of the session by their names."""
    session = {"at": f"{account['as_of']}T{clock}+08:00"}
    session |= {name: more.pop(name) for name in list(more) if name not in ("contacts", "profile", "loan")}
    return {"account": account, "session": session, **more}


def contact(clock: str = "09:00:00", days_ago: int = 0, **more: Any) -> dict[str, Any]:
    at = datetime.fromisoformat(f"{ACCOUNTS[1]['as_of']}T{clock}+08:00") - timedelta(days=days_ago)
    return {"customer": ACCOUNTS[1]["customer"], "number": "n1", "at": at.isoformat(), "kind": "effective", **more}


def decide(value: dict[str, Any], decider: Decider = DECIDER) -> dict[str, Any]:
    return asyncio.run(decider.decide(parse_decide(json.dumps(value).encode()))).answer


def reasons(answer: dict[str, Any]) -> set[str]:
    return {f"{reason['kind']}:{reason['id']}" for reason in answer["reasons"]}


def refused(value: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse_decide(value if isinstance(value, bytes) else json.dumps(value).encode())
    assert caught.value.status == 400
    return caught.value


# Who speaks.


def test_an_overdue_customer_who_opens_the_app_in_the_morning_is_served_by_the_ai() -> None:
    answer = decide(body())
    assert answer["decision"] == "ai"
    assert answer["reasons"] == []
    assert answer["next_contact_at"] == "2026-01-05T10:00:00+08:00"
    assert {rule["id"] for rule in answer["rules"]} >= {"collect.hours.log", "collect.frequency.effective"}
    assert not any(rule["forbids"] for rule in answer["rules"])


def test_at_night_nobody_is_contacted_and_the_morning_is_named() -> None:
    answer = decide(body(clock="22:00:00"))
    assert answer["decision"] == "no_contact"
    assert reasons(answer) == {"rule:collect.hours.log"}
    assert answer["next_contact_at"] == "2026-01-06T08:00:00+08:00"
    assert answer["offers"]["permitted"] == []
    assert answer["practice"]["suggested"] is None


def test_the_night_is_that_of_the_person_contacted() -> None:
    assert decide(body(clock="22:30:00", time_zone="Asia/Bangkok"))["decision"] == "ai"


def test_who_agreed_to_the_night_may_be_contacted() -> None:
    assert decide(body(clock="22:30:00", consent="night"))["decision"] == "ai"


def test_a_customer_who_asks_at_night_is_answered() -> None:
    answer = decide(body(clock="23:00:00", contact="answer", words="还款日是几号？"))
    assert answer["decision"] == "ai"
    assert answer["next_contact_at"] == "2026-01-06T08:00:00+08:00"


def test_after_three_calls_a_fourth_waits_for_the_next_morning() -> None:
    calls = [contact(f"0{hour}:00:00") for hour in (8, 9)]
    voice = {"channel": "voice", "number": "n1"}
    assert decide(body(contacts=calls, **voice))["decision"] == "ai"
    answer = decide(body(contacts=[*calls, contact("09:30:00", number="n2")], **voice))
    assert (answer["decision"], reasons(answer)) == ("no_contact", {"rule:collect.frequency.effective"})
    # From midnight on the count is new, but the night forbids.
    assert answer["next_contact_at"] == "2026-01-06T08:00:00+08:00"


def test_six_unanswered_calls_to_a_number_are_enough_whoever_they_were_about() -> None:
    # In force from 2026-01-31 on.
    account = next(row for row in ACCOUNTS if row["as_of"] >= "2026-02-02")
    calls = [
        {"customer": "c-other", "number": "n1", "at": f"{account['as_of']}T09:0{n}:00+08:00", "kind": "attempt"}
        for n in range(6)
    ]
    found = decide(body(account, contacts=calls, channel="voice", number="n1"))
    assert (found["decision"], reasons(found)) == ("no_contact", {"rule:collect.frequency.unanswered"})
    assert decide(body(account, contacts=calls, channel="voice", number="n2"))["decision"] == "ai"


def test_a_refusal_ends_contact_for_good_until_it_is_taken_back() -> None:
    refusal = contact(days_ago=300, consent="revoked")
    answer = decide(body(contacts=[refusal]))
    assert (answer["decision"], answer["next_contact_at"]) == ("no_contact", None)
    assert reasons(answer) == {"rule:collect.contact.revoked"}
    assert decide(body(contacts=[refusal, contact(days_ago=9, consent="given")]))["decision"] == "ai"
    other_number = {"channel": "sms", "number": "n2"}
    assert decide(body(contacts=[refusal], **other_number))["decision"] == "ai"
    assert decide(body(contacts=[refusal], contact="answer"))["decision"] == "ai"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("我要投诉你们", "signal:complaint"),
        ("我不想活了", "signal:self_harm"),
        ("我上个月失业了", "rule:handoff.hardship"),
        ("这笔钱不是我借的，有人冒用我的身份证", "signal:fraud"),
        ("给我转人工", "rule:handoff.human-wanted"),
        ("你打错了，我不认识这个人", "signal:third_party"),
    ],
)
def test_what_a_person_must_hear_goes_to_a_person(words: str, found: str) -> None:
    answer = decide(body(contact="answer", words=words))
    assert answer["decision"] == "human"
    assert found in reasons(answer)
    assert words not in json.dumps(answer, ensure_ascii=False)


def test_situations_flags_and_age_go_to_a_person() -> None:
    assert decide(body(situations=["工资迟发"]))["decision"] == "ai"
    assert reasons(decide(body(situations=["生病住院"]))) == {"situation:生病住院"}
    assert reasons(decide(body(situations=["Complaint "]))) == {"situation:Complaint "}
    assert reasons(decide(body(profile={"flags": ["deceased"]}))) == {"profile:deceased"}
    assert reasons(decide(body(profile={"age": 17}))) == {"profile:minor"}
    assert decide(body(profile={"age": 18}))["decision"] == "ai"


def test_at_night_a_complaint_known_before_does_not_make_anybody_call() -> None:
    answer = decide(body(clock="23:00:00", situations=["complaint"]))
    assert answer["decision"] == "no_contact"
    assert reasons(answer) == {"rule:collect.hours.log", "situation:complaint"}


# What may be offered.


def test_offers_are_priced_to_the_cent_and_name_their_clause() -> None:
    answer = decide(body())
    permitted = {(offer["measure"], *offer.get("clauses")): offer for offer in answer["offers"]["permitted"]}
    waiver = permitted["waiver", "附表一（减免罚息）"]
    assert (waiver["of"], waiver["percent"], waiver["waived"]) == ("penalty", "100", {"penalty": "44.93"})
    plan = permitted["reinstalment", "第八条（分期期数）", "第九条（每期最低还款）"]
    assert sum(Decimal(row["payment"]) for row in plan["schedule"]) == Decimal(plan["total_payment"])
    assert answer["debt"]["total"] == "17834.57"
    assert plan["annual_rate_irr"].endswith("%")


def test_what_the_policy_refuses_is_told_with_its_limit() -> None:
    poor = next(row for row in ACCOUNTS if Decimal(str(row["principal"])) < 4000)
    told = decide(body(poor))["offers"]
    assert any("at least 200" in offer["reason"] for offer in told["refused"])
    assert not any(offer["measure"] == "reinstalment" and offer["instalments"] == 24 for offer in told["permitted"])


def test_a_limited_number_of_deferrals_is_kept() -> None:
    def days(granted: int) -> list[int]:
        answer = decide(body(ACCOUNTS[0], profile={"deferrals_in_12_months": granted}))
        return [offer["days"] for offer in answer["offers"]["permitted"] if offer["measure"] == "deferral"]

    assert days(1) == [7, 15, 30]
    assert days(2) == []


def test_an_account_that_contradicts_itself_goes_to_a_person_without_an_offer() -> None:
    arrears = {**ACCOUNTS[1]["arrears"], "days": 3}
    answer = decide(body({**ACCOUNTS[1], "arrears": arrears}))
    assert answer["decision"] == "human"
    assert reasons(answer) == {"account:arrears_do_not_fit"}
    assert answer["offers"]["permitted"] == []
    assert "3 days" in answer["offers"]["note"]


def test_on_an_old_row_nothing_is_offered() -> None:
    answer = decide(body(at="2026-01-07T10:00:00+08:00"))
    assert answer["decision"] == "ai"
    assert answer["offers"] == {
        "permitted": [],
        "refused": [],
        "note": "the account's row is 2 days old, at most 1 is taken",
    }


def test_the_contract_must_be_that_of_the_account() -> None:
    account = ACCOUNTS[0]
    loan = {
        "product": account["product"],
        "lender": "晨舟",
        "principal": account["principal"],
        "disbursed_on": "2025-08-04",
        "rate": {"percent": account["rate"], "per": "year"},
        "method": "equal_instalment",
        "instalments": 12,
        "fees": [{"name": "服务费", "payee": "平台", "percent": 1, "when": "upfront"}],
    }
    with_fees, without = decide(body(account, loan=loan)), decide(body(account))
    rate = [answer["offers"]["permitted"][0]["annual_rate_irr"] for answer in (with_fees, without)]
    assert Decimal(rate[0][:-1]) > Decimal(rate[1][:-1])
    answer = decide(body(account, loan={**loan, "principal": 1000}))
    assert answer["decision"] == "human"
    assert "principal" in answer["offers"]["note"]


def test_the_margin_of_the_signals_is_that_of_the_desk() -> None:
    words = "我现在一天只吃一顿饭，奶粉钱都快凑不出来了"
    said = body(contact="answer", words=words)
    settings = DecideSettings(policy=POLICY)
    learned, patterns = (decide(said, Decider(settings, margin=margin)) for margin in (0.0, None))
    assert learned["decision"] == "human" and patterns["decision"] == "ai"


def test_without_settings_the_answer_says_why_nothing_is_offered_or_suggested() -> None:
    answer = decide(body(), Decider(DecideSettings()))
    assert answer["offers"] == {"permitted": [], "refused": [], "note": NO_POLICY}
    assert answer["practice"] == {"suggested": None, "note": NO_KNOWLEDGE}
    assert answer["sources"] == {"policy": None, "practices": None}


_TRIED = DecideSettings(policy=POLICY, deferral_days=(1, 29, 30, 31, 60), instalments=(1, 2, 3, 24, 25, 60))
_TRYING = Decider(_TRIED)


@settings(max_examples=60, deadline=None)
@given(account=st.sampled_from(ACCOUNTS), granted=st.integers(0, 4))
def test_no_offer_leaves_the_policy(account: dict[str, Any], granted: int) -> None:
    answer = decide(body(account, profile={"deferrals_in_12_months": granted}), _TRYING)
    overdue = account["arrears"]["days"]
    named = {clause.id for clause in load_policy(POLICY).clauses}
    for offer in answer["offers"]["permitted"]:
        assert offer["clauses"]
        assert set(offer["clauses"]) <= named
        payments = [Decimal(row["payment"]) for row in offer["schedule"]]
        match offer["measure"]:
            case "deferral":
                assert overdue <= 90 and offer["days"] <= 30 and granted < 2
            case "reinstalment":
                assert overdue <= 90 and 3 <= offer["instalments"] <= 24
                assert min(payments[:-1]) >= 200
            case "waiver" if offer["of"] == "penalty":
                assert 1 <= overdue <= 90 and Decimal(offer["percent"]) <= 100
            case _:
                assert 31 <= overdue <= 90 and Decimal(offer["percent"]) <= 30


# No contact stays no contact.

_forbidding = st.builds(
    contact,
    clock=st.sampled_from(["00:30:00", "08:00:00", "09:59:59"]),
    days_ago=st.integers(0, 3),
    number=st.sampled_from(["n1", "n2"]),
    kind=st.sampled_from(["attempt", "effective", "message"]),
    consent=st.sampled_from(["none", "none", "revoked"]),
)


@settings(max_examples=150, deadline=None)
@given(
    log=st.lists(_forbidding, max_size=9),
    more=st.lists(_forbidding, min_size=1, max_size=3),
    clock=st.sampled_from(["10:00:00", "21:59:59", "22:00:00"]),
    channel=st.sampled_from(["voice", "app"]),
)
def test_a_further_contact_never_permits_one(log: list[Any], more: list[Any], clock: str, channel: str) -> None:
    session = {"clock": clock, "channel": channel, "number": "n1"}
    before, after = (decide(body(contacts=contacts, **session)) for contacts in (log, log + more))
    if before["decision"] == "no_contact":
        assert after["decision"] == "no_contact"
    for answer in (before, after):
        assert (answer["decision"] == "no_contact") == any(rule["forbids"] for rule in answer["rules"])


@settings(max_examples=60, deadline=None)
@given(log=st.lists(_forbidding, max_size=9), clock=st.sampled_from(["10:00:00", "22:00:00"]))
def test_the_next_time_is_permitted_and_the_minute_before_is_not(log: list[Any], clock: str) -> None:
    answer = decide(body(contacts=log, clock=clock, channel="voice", number="n1"))
    if answer["next_contact_at"] is None:
        assert "rule:collect.contact.revoked" in reasons(answer)
        return
    at = datetime.fromisoformat(answer["next_contact_at"])

    def later(at: datetime) -> str:
        return str(decide(body(contacts=log, at=at.isoformat(), channel="voice", number="n1"))["decision"])

    assert later(at) == "ai"
    if answer["decision"] == "no_contact":
        assert later(at - timedelta(minutes=1)) == "no_contact"


# What is refused.


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at": "2026-01-05T10:00:00"}, "session.at"),
        ({"at": "2999-01-05T10:00:00+08:00"}, "session.at"),
        ({"time_zone": "Mars/Base"}, "session.time_zone"),
        ({"channel": "pigeon"}, "session.channel"),
        ({"channel": "voice"}, "session.number"),
        ({"words": "你好"}, "session.words"),
        ({"contacts": [contact("11:00:00")]}, "contacts.0.at"),
        ({"contacts": [contact(kind="visit")]}, "contacts.0.kind"),
        ({"contacts": [contact()] * 501}, "contacts"),
        ({"profile": {"salary": 1}}, "profile.salary"),
        ({"at": "2026-01-04T10:00:00+08:00"}, "account.as_of"),
        ({"loan": {"product": "x"}}, "loan.lender"),
    ],
)
def test_bad_input_is_named_by_its_field(change: dict[str, Any], field: str) -> None:
    error = refused(body(**change))
    assert error.param == field
    assert field in error.message


def test_no_input_breaks_it() -> None:
    refused(b"{")
    refused(b"[]")
    refused(b'{"account": NaN}')
    assert refused({}).param == "account"
    endless = {**ACCOUNTS[0], "schedule": {**ACCOUNTS[0]["schedule"], "instalments": 10**12}}
    assert decide(body(endless))["decision"] == "human"
    nothing = {**ACCOUNTS[0], "principal": 0}
    assert decide(body(nothing))["decision"] == "human"
    daily = {**ACCOUNTS[0], "schedule": {**ACCOUNTS[0]["schedule"], "method": "daily_interest"}}
    assert decide(body(daily))["decision"] == "ai"


# What has worked.


def practice(**more: Any) -> dict[str, Any]:
    row = {
        "id": "工资迟发/confirm_date",
        "situation": "工资迟发",
        "action": "confirm_date",
        "outcome": "promise_kept",
        "support": {"cases": 200, "treated": 90, "agents": 7},
        **dict.fromkeys(("rate_treated", "rate_control"), 0.5),
        "effect": 0.2,
        "ci_low": 0.1,
        "ci_high": 0.3,
        "p": 0.001,
        "q": 0.002,
        "strata": ["overdue_bucket"],
        "exploratory": False,
        "exemplars": ["d1"],
        "evidence": ["d1#3"],
        "verdict": "allowed",
    }
    return {**row, **more}


@pytest.fixture
def suggest(tmp_path: Path) -> Callable[..., tuple[Any, str]]:
    """What is suggested in a situation with these practices."""

    def made(*rows: Any, situation: str = "工资迟发", profile: Any = None, **more: Any) -> tuple[Any, str]:
        folder = knowledge(tmp_path / f"knowledge-{os.urandom(4).hex()}", *rows)
        decider = Decider(DecideSettings(policy=POLICY, knowledge=folder, **more))
        answer = decide(body(situations=[situation], profile=profile or {}), decider)["practice"]
        return answer["suggested"], answer["note"]

    return made


def knowledge(folder: Path, *rows: dict[str, Any]) -> Path:
    with artefact(folder, kind="knowledge", inputs=[], parameters={}) as work:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (work.dir / "practices.jsonl").write_text(text, encoding="utf-8")
    return folder


Suggest = Callable[..., tuple[Any, str]]


def test_the_surest_practice_is_suggested_as_an_association(suggest: Suggest) -> None:
    found, _ = suggest(practice(), practice(id="b", action="empathise", effect=0.5, ci_low=0.05))
    assert (found["id"], found["action"]) == ("工资迟发/confirm_date", "约定日期")
    assert (found["effect"], found["ci_low"], found["support"]["treated"]) == (0.2, 0.1, 90)
    assert found["evidence"] == ["d1#3"]
    assert "associated" in found["statement"]
    assert "相关不等于因果" in found["statement"]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "vetoed", "rules": ["Q01"]},
        {"exploratory": True},
        {"q": 0.2},
        {"ci_low": -0.01},
        {"outcome": "complaint"},
        {"situation": "忘记还款"},
    ],
)
def test_what_is_not_allowed_sure_or_for_this_situation_is_not_suggested(suggest: Suggest, change: Any) -> None:
    assert suggest(practice(**change)) == (None, "no practice is known for these situations")


def test_a_practice_never_offers_what_the_policy_does_not_permit(suggest: Suggest) -> None:
    deferral = practice(id="x", action="offer_deferral", ci_low=0.9, ci_high=0.95)
    no_more = {"deferrals_in_12_months": 2}
    assert suggest(deferral, practice())[0]["id"] == "x"
    assert suggest(deferral, practice(), profile=no_more)[0]["id"] == "工资迟发/confirm_date"
    assert suggest(deferral, profile=no_more)[1] == "what worked would offer what is not permitted here"


def test_with_a_review_only_what_was_accepted_is_suggested(suggest: Suggest, tmp_path: Path) -> None:
    def review(decision: str, **more: Any) -> Path:
        seen = {name: practice()[name] for name in ("situation", "action", "outcome")}
        row = {
            "number": 1,
            "kind": "practice",
            "unit": practice()["id"],
            "decision": decision,
            "reviewed": seen,
            **more,
        }
        path = tmp_path / "decisions.jsonl"
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        return path

    assert suggest(practice(), decisions=review("accept"))[0]["id"] == practice()["id"]
    assert suggest(practice(), decisions=review("reject"))[0] is None
    assert suggest(practice(id="other"), decisions=review("accept"))[0] is None
    assert suggest(practice(outcome="promise_kept"), decisions=review("accept", reviewed={"action": "x"}))[0] is None
    edited = review("edit", edits={"situation": "工资发放晚", "action": "约定还款日"})
    assert suggest(practice(), decisions=edited, situation="工资发放晚")[0]["action"] == "约定还款日"
    assert suggest(practice(verdict="vetoed"), decisions=edited)[0] is None


# Files that change.


def test_a_changed_policy_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    text = POLICY.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    decider = Decider(DecideSettings(policy=path, reload_s=0))

    def most(change: str) -> tuple[int, str]:
        path.write_text(change, encoding="utf-8")
        asyncio.run(decider.refresh())
        answer = decide(body(), decider)
        counts = [offer["instalments"] for offer in answer["offers"]["permitted"] if "instalments" in offer]
        return max(counts), answer["sources"]["policy"]["problem"]

    assert most(text) == (24, "")
    assert most(text.replace("maximum: 24", "maximum: 6")) == (6, "")
    count, problem = most("clauses: [")
    assert count == 6
    assert f"{path}:" in problem
    assert most(text) == (24, "")
    path.unlink()
    asyncio.run(decider.refresh())
    assert "no such" in decide(body(), decider)["sources"]["policy"]["problem"]
    with pytest.raises(TianjingError):
        Decider(DecideSettings(policy=path))


def test_files_that_do_not_change_are_not_read_again(tmp_path: Path) -> None:
    path, read = tmp_path / "policy.yaml", []
    path.write_text("first", encoding="utf-8")
    source = Source("policy", [path], lambda: read.append(path.read_text(encoding="utf-8")), every_s=0)
    asyncio.run(source.refresh())
    path.write_text("second", encoding="utf-8")
    for _ in range(3):
        asyncio.run(source.refresh())
    assert read == ["first", "second"]


def test_knowledge_changed_by_hand_is_not_suggested_from(tmp_path: Path) -> None:
    folder = knowledge(tmp_path / "knowledge", practice())
    decider = Decider(DecideSettings(policy=POLICY, knowledge=folder, reload_s=0))
    path = folder / "practices.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("0.2", "0.9"), encoding="utf-8")
    asyncio.run(decider.refresh())
    answer = decide(body(situations=["工资迟发"]), decider)
    assert answer["practice"]["suggested"]["effect"] == 0.2
    assert "not the file that" in answer["sources"]["practices"]["problem"]
    with pytest.raises(TianjingError, match="not the file that"):
        Decider(DecideSettings(knowledge=folder))
