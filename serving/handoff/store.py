"""The cases, whichever database holds them."""

from __future__ import annotations

from collections.abc import Sequence

from serving.handoff import ledger
from serving.handoff.case import Case, Event
from serving.handoff.database import Database
from serving.handoff.ledger import Act, Heard, Said


class CaseStore:
    """What may be done with cases, each in one durable transaction; see `ledger` for what each means.

    Every method raises StoreUnavailable; those of agents also KeyError and ledger.Refused.
    """

    def __init__(self, database: Database):
        self.database = database

    async def open(self) -> None:
        """Make the tables where there are none."""
        await self.database.write(lambda db: None)

    async def close_store(self) -> None:
        """Close the connections; a later use opens them again."""
        await self.database.close()

    async def with_person(self, tenant: str, session: str) -> str | None:
        """Id of the case that a session belongs to: what every request with a session waits for."""
        return await self.database.glance(lambda db: ledger.with_person(db, tenant, session))

    async def open_case(self, case: Case) -> Case:
        return await self.database.write(lambda db: ledger.open_case(db, case))

    async def hear(self, case_id: str, said: Said) -> Heard | None:
        return await self.database.write(lambda db: ledger.hear(db, case_id, said))

    async def claim(self, act: Act) -> Case:
        return await self.database.write(lambda db: ledger.claim(db, act))

    async def release(self, act: Act, force: bool = False) -> Case:
        return await self.database.write(lambda db: ledger.release(db, act, force))

    async def answer(self, act: Act, text: str, key: str) -> Case:
        return await self.database.write(lambda db: ledger.answer(db, act, text, key))

    async def close(self, act: Act, resolution: str, outcome: str) -> Case:
        return await self.database.write(lambda db: ledger.close(db, act, resolution, outcome))

    async def given(self, case_id: str, number: int) -> None:
        await self.database.write(lambda db: ledger.given(db, case_id, number))

    async def news(self, case_id: str, tenant: str | None, after: int = 0) -> tuple[Case, tuple[Event, ...]]:
        """A case, and what happened to it after event `after`."""
        return await self.database.read(
            lambda db: (ledger.find(db, case_id, tenant), ledger.events(db, case_id, after))
        )

    async def page(
        self, tenant: str | None, statuses: Sequence[str], limit: int, after: str | None = None
    ) -> tuple[Case, ...]:
        """Cases in the order of work.

        Args:
            after: id of the last case of the page before; KeyError when there is no such case.
        """
        return await self.database.read(
            lambda db: ledger.page(db, tenant, statuses, limit, ledger.find(db, after, tenant) if after else None)
        )

    async def failed(self, tenant: str, session: str, request: str, since: str) -> int:
        return await self.database.write(lambda db: ledger.failed(db, tenant, session, request, since))

    async def forget_failures(self, tenant: str, session: str) -> None:
        await self.database.write(lambda db: ledger.forget_failures(db, tenant, session))
