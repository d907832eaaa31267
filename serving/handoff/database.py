"""What the ledger of cases asks of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class StoreUnavailable(Exception):
    """The store cannot be read or written now; whether the last write was made is not known."""


class Contended(Exception):
    """Somebody else has written in between: the transaction is rolled back and done again."""


class Transaction(Protocol):
    """Statements of one transaction, with `:name` for a value; both kinds of database understand them."""

    def rows(self, sql: str, **values: Any) -> list[Sequence[Any]]:
        """Rows of a query, or of a change with RETURNING."""
        ...

    def change(self, sql: str, **values: Any) -> int:
        """How many rows a change has met."""
        ...


Work = Callable[[Transaction], Result]
MOST_TRIES = 4


class Database(Protocol):
    """Runs transactions away from the event loop. Every method raises StoreUnavailable.

    It connects when first used, and again after a failure, so it recovers by itself.
    """

    async def write(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction; durable on return. It may run again, when contended or after a lost connection,
        so what it does must be the same the second time."""
        ...

    async def read(self, work: Work[Result]) -> Result:
        """Run `work` on what is committed."""
        ...

    async def glance(self, work: Work[Result]) -> Result:
        """As `read`, for one look-up by index that every request waits for."""
        ...

    async def close(self) -> None:
        """Close the connections; a later use opens them again."""
        ...
