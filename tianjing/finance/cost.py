"""What a loan costs: a quote with every item whoever is paid, the total, and annual rates, each under its own name.

The comprehensive financing cost (综合融资成本) holds interest and every fee of normal performance, whether the lender
or a third party takes it. What is due only after a default or on early settlement is listed apart and never added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tianjing.finance import wording
from tianjing.finance.errors import FinanceError
from tianjing.finance.money import exactly, show_percent, show_yuan
from tianjing.finance.rates import (
    MONTHS_A_YEAR,
    CashFlow,
    Part,
    compounded,
    dated_irr,
    dated_simple_rate,
    monthly_irr,
    principal_years,
    simple_annual_rate,
    twelve_decimals,
)
from tianjing.finance.schedule import Row, debt_at_start, fee_once, make_schedule
from tianjing.finance.terms import LoanTerms, Role

_REFERENCE_CEILING = Decimal("0.24")
_ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class AnnualRates:
    """Annual cost as fractions (0.18 is 18%), on the principal that the borrower really received.

    Args:
        irr: compound (复利): (1 + monthly IRR)^12 − 1; with interest by days, the IRR by days, act/365.
        irr_by_days: compound, act/365 (XIRR), on the calendar's dates.
        nominal: simple (单利): monthly IRR × 12; None with interest by days.
        simple: simple (单利): total cost ÷ Σ principal outstanding × years; months count 1/12, days 1/365.
    """

    irr: Decimal
    irr_by_days: Decimal
    nominal: Decimal | None
    simple: Decimal


@dataclass(frozen=True, slots=True)
class CostItem:
    """One item of the normal cost. `amount` in yuan over the whole loan; `when` is a fee's, or `interest`."""

    name: str
    payee: str
    payee_role: Role
    when: str
    standard: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ContingentCost:
    """What is due only if something happens; no amount, because nobody knows it beforehand."""

    name: str
    payee: str
    condition: str
    standard: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What a rule says about these terms, with its source."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Terms, schedule and cost. Amounts in yuan; `total_cost` = `total_repayment` − `cash_received` = Σ `items`.

    Args:
        cash_received: the principal less everything charged on the day of the disbursement.
        total_repayment: what is paid after that day.
    """

    terms: LoanTerms
    schedule: tuple[Row, ...]
    cash_received: Decimal
    total_repayment: Decimal
    total_interest: Decimal
    total_fees: Decimal
    total_cost: Decimal
    rates: AnnualRates
    items: tuple[CostItem, ...]
    contingent: tuple[ContingentCost, ...]
    notices: tuple[Notice, ...]


def quote(terms: LoanTerms) -> Quote:
    """Schedule and cost of a loan.

    Raises:
        FinanceError: the schedule never ends, or the fees of the first day leave nothing to receive.
    """
    rows = make_schedule(terms)
    with exactly():
        received = cash_received(terms)
        repaid = sum((row.payment for row in rows), _ZERO)
        interest = sum((row.interest for row in rows), _ZERO)
        rates = annual_rates(terms, rows, received)
        return Quote(
            terms=terms,
            schedule=rows,
            cash_received=received,
            total_repayment=repaid,
            total_interest=interest,
            total_fees=repaid - received - interest,
            total_cost=repaid - received,
            rates=rates,
            items=tuple(_items(terms, rows)),
            contingent=tuple(_contingent(terms)),
            notices=tuple(_notices(terms, received, rates)),
        )


def cash_received(terms: LoanTerms) -> Decimal:
    """The principal less what is charged on the day of the disbursement, in yuan.

    Raises:
        FinanceError: nothing is left.
    """
    charged = sum((fee_once(fee, terms) for fee in terms.fees if fee.when in ("deducted", "upfront")), _ZERO)
    if charged >= terms.principal:
        raise FinanceError(
            f"fees: {show_yuan(charged)} on the day of the disbursement leave nothing of {show_yuan(terms.principal)}",
            "check the amounts and percents of the fees that are deducted or paid upfront",
        )
    return terms.principal - charged


def cash_flows(terms: LoanTerms, rows: tuple[Row, ...]) -> tuple[CashFlow, ...]:
    """Every movement of money, labelled, from the borrower's side; parts of zero are left out."""
    flows = [CashFlow(day=terms.disbursed_on, amount=terms.principal, label="放款", part="disbursement")]
    for fee in terms.fees:
        if fee.when in ("deducted", "upfront"):
            flows.append(CashFlow(day=terms.disbursed_on, amount=-fee_once(fee, terms), label=fee.name, part="fee"))
    for row in rows:
        parts: tuple[tuple[Part, str, Decimal], ...] = (
            ("principal", "本金", row.principal),
            ("interest", "利息", row.interest),
            ("fee", "费用", row.fees),
        )
        for part, word, amount in parts:
            if amount:
                flows.append(CashFlow(day=row.due_on, amount=-amount, label=f"第{row.number}期{word}", part=part))
    return tuple(flows)


def annual_rates(terms: LoanTerms, rows: tuple[Row, ...], received: Decimal) -> AnnualRates:
    """All four annual rates, to twelve decimals."""
    flows = cash_flows(terms, rows)
    by_days = dated_irr(flows)
    if terms.by_days:
        nominal, irr, simple = None, by_days, dated_simple_rate(flows)
    else:
        monthly = monthly_irr([received, *(-row.payment for row in rows)])
        nominal, irr = twelve_decimals(monthly * MONTHS_A_YEAR), compounded(monthly)
        cost = sum((row.payment for row in rows), -received)
        repaid = [(row.due_on, row.principal) for row in rows]
        simple = simple_annual_rate(cost, principal_years(terms.disbursed_on, received, repaid, by_days=False))
    return AnnualRates(
        irr=twelve_decimals(irr), irr_by_days=twelve_decimals(by_days), nominal=nominal, simple=twelve_decimals(simple)
    )


def _items(terms: LoanTerms, rows: tuple[Row, ...]) -> Iterator[CostItem]:
    interest = sum((row.interest for row in rows), _ZERO)
    yield CostItem("利息", terms.lender, "lender", "interest", wording.rate_words(terms.rate), interest)
    balances = [debt_at_start(terms), *(row.balance for row in rows[:-1])]
    for fee in terms.fees:
        times = balances if fee.when == "each_instalment" else balances[:1]
        amount = sum((fee_once(fee, terms, balance) for balance in times), _ZERO)
        yield CostItem(fee.name, fee.payee, fee.payee_role, fee.when, wording.fee_words(fee), amount)


def _contingent(terms: LoanTerms) -> Iterator[ContingentCost]:
    for penalty in terms.penalties:
        condition = wording.penalty_condition(penalty)
        yield ContingentCost(penalty.name, penalty.payee, condition, wording.penalty_words(penalty, terms))
    if terms.prepayment.fee_percent:
        condition, standard = wording.prepayment_condition(terms.prepayment), wording.prepayment_words(terms.prepayment)
        yield ContingentCost("提前还款违约金", terms.lender, condition, standard)


def _notices(terms: LoanTerms, received: Decimal, rates: AnnualRates) -> Iterator[Notice]:
    if any(fee.when == "deducted" for fee in terms.fees):
        yield Notice(
            f"费用在放款时预先扣除：利息预先扣除的，借款本金按实际收到的{show_yuan(received)}认定；年化成本已按实收金额计算",
            "民法典第六百七十条",
        )
    for fee in terms.fees:
        if fee.payee_role == "platform":
            yield Notice(
                f"“{fee.name}”由平台{fee.payee}收取：助贷平台不得向借款人收取息费",
                "金规〔2025〕9号（未见原文，据公开报道）",
            )
    if rates.simple > _REFERENCE_CEILING:
        yield Notice(
            f"综合年化成本（单利）{show_percent(rates.simple)}，高于24%的司法参照线",
            "法发〔2017〕22号（未见原文，据公开报道）",
        )
