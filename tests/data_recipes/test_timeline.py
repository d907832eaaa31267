"""Promises of the customer timeline and of profile proposals."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.timeline import ProfileProposal, TimelineSources, proposals, timelines, write_timelines
from data_recipes.timeline.document_checks import violated
from data_recipes.timeline.document_reader import read_fields
from data_recipes.timeline.document_values import capitals_yuan
from data_recipes.timeline.page import Page, in_reading_order, page_of
from data_recipes.timeline.sorting import first_part, key_line, payload_of, sort_lines
from data_recipes.timeline.statements import statements
from tianjing.privacy.checks import luhn_check, resident_id_check
from tianjing.records import Account, Box, Contact, Customer, Dialogue, Document, Event, Outcome, Record, Turn

CHINA = timezone(timedelta(hours=8))
ID_CARD = "11010119900307765" + resident_id_check("11010119900307765")
CARD = "621700123456789012" + luhn_check("621700123456789012")


def dialogue(name: str, customer: str, at: datetime, *said: str) -> Dialogue:
    turns = [Turn(speaker="agent", text="请问您现在方便吗？", at=at)]
    turns += [Turn(speaker="customer", text=text, at=at + timedelta(minutes=1 + i)) for i, text in enumerate(said)]
    return Dialogue(id=name, customer=customer, agent="e1", channel="phone", started_at=at, turns=tuple(turns))


def account(name: str, customer: str, product: str, total: str, day: date) -> Account:
    schedule = {"method": "equal_instalment", "instalments": 12, "first_due_on": "2025-01-01", "instalment": "100"}
    arrears = {"days": 3, "instalments": 1, "principal": total, "interest": "0", "penalty": "0", "total": total}
    return Account.model_validate(
        {"account": name, "customer": customer, "product": product, "principal": "1000", "rate": "18", "as_of": day}
        | {"schedule": schedule, "arrears": arrears}
    )


def paper(text: str, kind: str = "收入证明", customer: str = "c1", name: str = "p1") -> Document:
    return Document(id=name, customer=customer, kind=kind, text=text)


INCOME = (
    f"收入证明\n兹证明王建国（身份证号{ID_CARD}）系我公司员工，任会计，月收入人民币8,000.00元（大写捌仟元整），"
    "年收入96,000.00元。\n天辰商贸有限公司\n2026年1月5日\n"
)


@pytest.fixture
def sources() -> TimelineSources:
    january = datetime(2026, 1, 5, 9, 0, tzinfo=CHINA)
    return TimelineSources(
        dialogues=[dialogue("d1", "c1", january, "我失业三个月了。"), dialogue("d2", "c2", january, "好的。")],
        events=[
            Event(case="d1", at=january + timedelta(minutes=5), actor="e1", activity="登记承诺日期"),
            Event(case="a1", at=january + timedelta(days=1), actor="system", activity="发送短信"),
        ],
        outcomes=[Outcome(case="d1", name="promise_kept", value=0, at=january + timedelta(days=30))],
        customers=[
            Customer.model_validate({"customer": "c1", "name": "王建国", "mobile": "13800138000", "id_card": ID_CARD})
        ],
        accounts=[
            account("a1", "c1", "晨光贷", "500.00", date(2026, 1, 5)),
            account("a2", "c1", "远帆分期", "120.50", date(2026, 1, 20)),
            account("a1", "c1", "晨光贷", "0.00", date(2026, 2, 20)),
        ],
        contacts=[Contact(customer="c1", number="13800138000", at=january, kind="effective")],
        records=[Record(customer="c1", source="credit_bureau", as_of=date(2025, 12, 31), fields={"lenders": 2})],
        documents=[paper(INCOME)],
    )


def test_cases_products_contacts_records_and_papers_of_one_customer_stand_in_order(sources: TimelineSources) -> None:
    one, two = timelines(sources)
    assert (one.customer, two.customer) == ("c1", "c2")
    assert [entry.kind for entry in one.entries] == (
        "record account document contact dialogue_opened dialogue_closed event event account outcome account".split()
    )
    assert [(e.source, e.row) for e in one.entries if e.kind == "event"] == [("events", 1), ("events", 2)]


def test_a_month_joins_all_products_and_carries_the_last_snapshot(sources: TimelineSources) -> None:
    months = {month.month: month for month in next(iter(timelines(sources))).months}
    assert (months["2026-01"].arrears_yuan, months["2026-01"].products) == (620.5, ("晨光贷", "远帆分期"))
    assert (months["2026-02"].arrears_yuan, months["2026-02"].promises_broken) == (120.5, 1)
    assert (months["2026-01"].cases, months["2026-01"].contacts) == (1, {"effective": 1})
    assert months["2025-12"].arrears_yuan is None


def test_times_of_several_offsets_are_ordered_by_the_instant_and_dates_by_the_start_of_the_day() -> None:
    tokyo, utc = timezone(timedelta(hours=9)), UTC
    moments = [
        datetime(2026, 1, 5, 10, 30, tzinfo=tokyo),
        datetime(2026, 1, 5, 9, 45, tzinfo=CHINA),
        datetime(2026, 1, 5, 2, 0, tzinfo=utc),
    ]
    contacts = [Contact(customer="c", number="1", at=at, kind="attempt") for at in reversed(moments)]
    midnight = Record(customer="c", source="bureau", as_of=date(2026, 1, 5), fields={})
    (timeline,) = timelines(TimelineSources(contacts=contacts, records=[midnight]))
    assert [entry.at for entry in timeline.entries] == ["2026-01-05", *(moment.isoformat() for moment in moments)]


def test_an_event_of_nobody_is_counted_and_in_no_timeline(sources: TimelineSources) -> None:
    stray = Event(case="x9", at=datetime(2026, 1, 1, tzinfo=CHINA), actor="e", activity="质检")
    lost: Counter[str] = Counter()
    found = list(timelines(TimelineSources(dialogues=sources.dialogues, events=[stray]), lost=lost))
    assert lost == {"event of a case that no dialogue, account or customer has": 1}
    assert all(entry.kind != "event" for timeline in found for entry in timeline.entries)


def test_rows_without_a_time_are_kept_apart() -> None:
    outcome = Outcome(case="d1", name="complaint", value=1)
    at = datetime(2026, 1, 5, 9, 0, tzinfo=CHINA)
    (timeline,) = timelines(TimelineSources(dialogues=[dialogue("d1", "c1", at, "好。")], outcomes=[outcome]))
    assert [entry.kind for entry in timeline.undated] == ["outcome"]


@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=2000))
def test_neither_the_order_of_contacts_nor_memory_changes_a_timeline(order: random.Random, run_bytes: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=CHINA)
    rows = [
        Contact(customer=f"c{i % 3}", number="1", at=start + timedelta(hours=i // 2), kind="attempt") for i in range(12)
    ]
    shuffled = order.sample(rows, len(rows))

    def seen(contacts: list[Contact], limit: int) -> list[Any]:
        found = timelines(TimelineSources(contacts=contacts), run_bytes=limit)
        return [(t.customer, [(e.at, e.details) for e in t.entries], t.months) for t in found]

    assert seen(shuffled, run_bytes) == seen(rows, 1 << 20)


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6))), st.integers(min_value=1, max_value=500))
def test_an_external_sort_is_a_sort(rows: list[tuple[str, str]], run_bytes: int) -> None:
    rows = [tuple(part.encode("utf-8", "replace").decode() for part in row) for row in rows]  # type: ignore[misc]
    lines = [key_line([key], payload) for key, payload in rows]
    found = [(json.loads(first_part(line)), payload_of(line)) for line in sort_lines(iter(lines), run_bytes)]
    assert sorted(found) == sorted(rows)
    assert [key for key, _ in found] == [json.loads(first_part(line)) for line in sorted(lines)]


def test_boxes_in_any_order_read_as_the_page_does() -> None:
    boxes = [
        Box(text="姓名", x=10, y=10, width=40, height=20),
        Box(text="王建国", x=120, y=13, width=60, height=20),
        Box(text="月收入", x=10, y=50, width=60, height=20),
        Box(text="8,000.00", x=120, y=48, width=90, height=20),
    ]
    page = in_reading_order(boxes)
    assert page.text == "姓名\t王建国\n月收入\t8,000.00\n"
    assert in_reading_order(boxes[::-1]).text == page.text
    start = page.text.index("8,000")
    assert page.boxes(start, start + 5) == (3,)


def test_a_certificate_written_as_prose_is_read() -> None:
    read = {name: reading.value for name, reading in read_fields(page_of(paper(INCOME)), "收入证明").items()}
    assert read == {
        "name": "王建国",
        "id_number": ID_CARD,
        "employer": "天辰商贸有限公司",
        "position": "会计",
        "monthly_income_yuan": 8000.0,
        "monthly_income_capitals": "捌仟元整",
        "annual_income_yuan": 96000.0,
        "issued_on": date(2026, 1, 5),
    }


def test_recognition_noise_in_digits_is_mended_and_said() -> None:
    noisy = f"姓名：王建国\n身份证号：{ID_CARD.replace('0', 'O', 1)}\n月收入：8,0 00.OO\n"
    read = read_fields(Page(noisy), "收入证明")
    assert (read["id_number"].value, read["id_number"].mended) == (ID_CARD, True)
    assert (read["monthly_income_yuan"].value, read["monthly_income_yuan"].mended) == (8000.0, True)


@given(st.decimals(min_value=0, max_value=Decimal("99999999.99"), places=2))
def test_an_amount_in_capitals_has_the_value_of_its_figures(amount: Decimal) -> None:
    assert capitals_yuan(_capitals(amount)) == amount


def _capitals(amount: Decimal) -> str:
    digits = "零壹贰叁肆伍陆柒捌玖"
    whole, cents = divmod(int(amount * 100), 100)
    text, zero = "", False
    for place in range(7, -1, -1):
        digit = whole // 10**place % 10
        if digit:
            text += ("零" if zero and text else "") + digits[digit] + ("", "拾", "佰", "仟")[place % 4]
        zero = not digit
        if place == 4 and whole >= 10_000:
            text += "万"
    return f"{text or '零'}元{digits[cents // 10]}角{digits[cents % 10]}分"


@pytest.mark.parametrize(
    ("altered", "check"),
    [
        (("8,000.00元（", "9,000.00元（"), "capitals_equal_figures"),
        (("96,000", "97,000"), "year_is_twelve_months"),
        ((ID_CARD, ID_CARD[:-1] + ("0" if ID_CARD[-1] != "0" else "1")), "id_check_digit"),
    ],
)
def test_a_paper_that_contradicts_itself_is_proposed_as_a_conflict(altered: tuple[str, str], check: str) -> None:
    forged = paper(INCOME.replace(*altered))
    failed = violated(read_fields(page_of(forged), forged.kind))
    assert check in {name for checks in failed.values() for name in checks}
    found = list(proposals(TimelineSources(documents=[forged])))
    doubted = [proposal for proposal in found if check in proposal.reasons]
    assert doubted and all(proposal.status == "conflicts" and proposal.confidence < 0.7 for proposal in doubted)
    assert not violated(read_fields(page_of(paper(INCOME)), "收入证明"))


def _by_field(sources: TimelineSources) -> dict[str, list[ProfileProposal]]:
    found: dict[str, list[ProfileProposal]] = {}
    for proposal in proposals(sources):
        found.setdefault(proposal.field, []).append(proposal)
    return found


def test_a_paper_in_another_name_conflicts_with_the_profile_and_changes_nothing(sources: TimelineSources) -> None:
    other = paper(INCOME.replace("王建国", "李秀英"))
    before = [customer.model_dump() for customer in sources.customers]
    (name,) = _by_field(TimelineSources(customers=sources.customers, documents=[other]))["name"]
    assert (name.status, name.reasons, name.value, name.current) == ("conflicts", ("profile",), "李**", "王**")
    assert [customer.model_dump() for customer in sources.customers] == before


def test_two_papers_that_disagree_stand_side_by_side(sources: TimelineSources) -> None:
    second = paper(
        INCOME.replace("8,000.00元（大写捌仟", "12,000.00元（大写壹万贰仟").replace("96,", "144,"), name="p2"
    )
    incomes = _by_field(TimelineSources(documents=[paper(INCOME), second]))["monthly_income_yuan"]
    assert [(p.value, p.status, p.reasons) for p in incomes] == [
        (8000.0, "conflicts", ("p2",)),
        (12000.0, "conflicts", ("p1",)),
    ]


def test_incomes_of_different_years_are_no_conflict() -> None:
    later = paper(
        INCOME.replace("8,000.00元（大写捌仟", "12,000.00元（大写壹万贰仟")
        .replace("96,", "144,")
        .replace("2026年", "2027年"),
        name="p2",
    )
    incomes = _by_field(TimelineSources(documents=[paper(INCOME), later]))["monthly_income_yuan"]
    assert [p.status for p in incomes] == ["new", "new"]


def test_nothing_written_names_the_customer_or_anybody_else(sources: TimelineSources, tmp_path: Path) -> None:
    lease = paper(
        f"房屋租赁合同\n出租方：赵德胜\n承租方：王建国（身份证{ID_CARD}）\n房屋坐落：浙江省杭州市西湖区枫林路17号3室\n月租金2,000.00元",
        kind="房屋租赁合同",
        name="p2",
    )
    statement = paper(f"账户流水\n户名：王建国  卡号：{CARD}\n", kind="银行流水", name="p3")
    at = datetime(2026, 1, 5, 9, 0, tzinfo=CHINA)
    said = dialogue("d3", "c1", at, "我换了新号码 139 0013 9001。", "我现在在天辰商贸有限公司上班，一个月挣六千。")
    every = TimelineSources(
        **{
            **vars(sources),
            "documents": [*sources.documents, lease, statement],
            "dialogues": [*sources.dialogues, said],
        }
    )
    rows, _ = write_timelines(tmp_path, every)
    written = (tmp_path / "timeline.jsonl").read_text("utf-8") + (tmp_path / "proposals.jsonl").read_text("utf-8")
    assert rows["timelines"] == 2 and rows["proposals"] >= 12
    for secret in ("王建国", "赵德胜", ID_CARD, CARD, "13800138000", "139 0013 9001", "13900139001", "天辰", "枫林路"):
        assert secret not in written


def test_a_new_number_and_a_job_said_by_the_customer_become_proposals(sources: TimelineSources) -> None:
    at = datetime(2026, 1, 5, 9, 0, tzinfo=CHINA)
    said = dialogue("d3", "c1", at, "我换了新号码，13900139001。", "我在跑外卖，一个月也就挣六千块左右。")
    found = _by_field(TimelineSources(customers=sources.customers, dialogues=[said]))
    assert (found["mobile"][0].status, found["mobile"][0].value) == ("conflicts", "139****9001")
    assert (found["monthly_income_yuan"][0].value, found["position"][0].value) == (6000, "外卖")
    assert found["monthly_income_yuan"][0].source.turn == 2
    assert found["monthly_income_yuan"][0].confidence < found["position"][0].confidence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("我被公司裁了，失业三个月了。", {("hardship_reason", "失业"), ("hardship_days", 90)}),
        ("工资一直拖着没发。", {("hardship_reason", "工资迟发")}),
        ("公司拖工资，流水要交几个月的？", set()),
        ("我每月15号发工资。", {("payday", 15)}),
        ("我老公一个月挣一万。", set()),
        ("要是我一个月挣一万就好了。", set()),
        ("我家里还有两个孩子，我已经离婚了。", {("dependants", 2), ("marital_status", "divorced")}),
        ("我每个月最多能还五百块。", {("affordable_yuan", 500)}),
        ("3月5号我再还。", set()),
    ],
)
def test_statements_are_the_customers_own_and_facts(text: str, said: set[tuple[str, object]]) -> None:
    assert {(s.field, s.value) for s in statements([Turn(speaker="customer", text=text)])} == said
    assert not list(statements([Turn(speaker="agent", text=text)]))


def test_a_bare_answer_is_read_with_the_question() -> None:
    turns = [Turn(speaker="agent", text="您现在每月收入多少？"), Turn(speaker="customer", text="五千左右吧。")]
    (heard,) = statements(turns)
    assert (heard.field, heard.value, heard.hedged) == ("monthly_income_yuan", 5000, True)
    assert not list(statements(turns[1:]))
