"""The finance package's one exception."""

from tianjing.errors import TianjingError


class FinanceError(TianjingError):
    """Loan terms, cash flows, a policy or a table that cannot be right, or a plan that the policy does not allow."""
