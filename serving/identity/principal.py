"""A caller as the gateway knows it, and what a role may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from serving.errors import ApiError

Role = Literal["app", "agent", "monitor", "operator"]
Permission = Literal["ask", "decide", "answer_cases", "watch", "operate"]

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    # An application asks the model and the decision service.
    "app": frozenset({"ask", "decide"}),
    # A person who takes over reads and answers cases.
    "agent": frozenset({"answer_cases"}),
    # A probe or a metrics collector.
    "monitor": frozenset({"watch"}),
    # An operator moves adapters, and may do what the others may.
    "operator": frozenset({"ask", "decide", "answer_cases", "watch", "operate"}),
}


@dataclass(frozen=True)
class Quota:
    """What one key may use; None is no limit.

    Attributes:
        requests_per_minute: requests admitted in any minute.
        tokens_per_minute: prompt and answer tokens admitted in any minute.
        concurrency: requests in progress.
        budget_tokens: tokens over `budget_days`, after which requests are refused until the period ends.
        budget_days: length of the budget's period in days.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    budget_tokens: int | None = None
    budget_days: int = 30


@dataclass(frozen=True)
class Principal:
    """A caller whose key is known.

    Attributes:
        models: the names it may ask for; None is every served one.
        counted_as: what the quota is counted under: a rotated key goes on with the counts of the one before it.
        cache_salt: keyed digest of the tenant, the engine's `cache_salt`: tenants share no prefix cache, so that none
            can tell by its own waiting time what another has asked (CVE-2025-46570). "" sends none.
    """

    tenant: str
    key_id: str
    role: Role = "operator"
    models: frozenset[str] | None = None
    quota: Quota = Quota()
    counted_as: str = ""
    cache_salt: str = ""

    @property
    def account(self) -> str:
        """Name of the counts of this key's quota."""
        return self.counted_as or self.key_id

    def require(self, permission: Permission) -> None:
        """Raises ApiError 403 unless the role holds `permission`."""
        if permission not in PERMISSIONS[self.role]:
            raise ApiError(403, f"the role '{self.role}' of this key may not do this", code="permission_denied")


class Identity(Protocol):
    """Tells who calls."""

    @property
    def trouble(self) -> str:
        """What keeps the keys from being the newest ones, for an operator to read; "" when nothing does."""
        ...

    def identify(self, authorization: str | None) -> Principal:
        """The caller by the Authorization header.

        Raises:
            ApiError: 401; the same for a missing, wrong, expired or revoked key.
        """
        ...
