"""Chinese wording of rates, fees and penalties, as a borrower reads it in a cost table."""

from __future__ import annotations

from decimal import Decimal

from tianjing.finance.money import show_yuan
from tianjing.finance.terms import Fee, LoanTerms, Method, Penalty, Prepayment, Rate

METHODS: dict[Method, str] = {
    "equal_instalment": "等额本息，按月还款",
    "equal_principal": "等额本金，按月还款",
    "interest_first": "先息后本，按月付息，到期还本",
    "daily_interest": "按日计息，随借随还，到期还清",
    "irregular": "按约定日期还款，按日计息",
}
FEE_METHODS: dict[str, str] = {
    "deducted": "放款时从借款中扣除",
    "upfront": "放款当日一次性收取",
    "financed": "计入借款本金，随各期偿还",
    "each_instalment": "随每期还款收取",
    "last_instalment": "随最后一期还款收取",
}
_PER = {"year": "年", "month": "月", "day": "日"}
_PENALTY_BASES = {
    "overdue_principal": "逾期本金",
    "overdue_instalment": "当期逾期金额",
    "remaining_principal": "剩余本金",
}


def percent(value: Decimal) -> str:
    """18.00 as 18%, 0.0500 as 0.05%."""
    return f"{value.normalize():f}%"


def rate_words(rate: Rate) -> str:
    """年利率18%；日利率0.05%（一年按365天）."""
    basis = f"（一年按{rate.day_count}天）" if rate.per == "day" else ""
    return f"{_PER[rate.per]}利率{percent(rate.percent)}{basis}"


def fee_words(fee: Fee) -> str:
    """What the fee is measured by: 借款本金的2%；每期30.00 元."""
    each = "每期" if fee.when == "each_instalment" else ""
    if fee.amount is not None:
        return f"{each}{show_yuan(fee.amount)}"
    assert fee.percent is not None
    return f"{each}{'剩余本金' if fee.of == 'balance' else '借款本金'}的{percent(fee.percent)}"


def penalty_words(penalty: Penalty, terms: LoanTerms) -> str:
    """逾期本金按日计收，年利率27%（合同利率上浮50%）."""
    if penalty.amount is not None:
        words = f"每期{show_yuan(penalty.amount)}"
    elif penalty.rate is not None:
        words = f"{_PENALTY_BASES[penalty.of]}按日计收，{rate_words(penalty.rate)}"
    else:
        assert penalty.markup_percent is not None
        raised = terms.rate.model_copy(update={"percent": terms.rate.percent * (100 + penalty.markup_percent) / 100})
        words = (
            f"{_PENALTY_BASES[penalty.of]}按日计收，{rate_words(raised)}"
            f"（合同利率上浮{percent(penalty.markup_percent)}）"
        )
    return words if penalty.cap_percent is None else f"{words}，不超过{percent(penalty.cap_percent)}"


def penalty_condition(penalty: Penalty) -> str:
    """逾期未还；宽限期3天内还清不计收."""
    grace = f"；宽限期{penalty.grace_days}天内还清不计收" if penalty.grace_days else ""
    return f"逾期未还{grace}"


def prepayment_words(prepayment: Prepayment) -> str:
    """提前偿还本金的1%."""
    return f"提前偿还本金的{percent(prepayment.fee_percent)}"


def prepayment_condition(prepayment: Prepayment) -> str:
    """提前还款；还满6期后不收取."""
    free = prepayment.free_after_instalment
    return f"提前还款；还满{free}期后不收取" if free else "提前还款"
