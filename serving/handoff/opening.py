"""Which store the settings name."""

from __future__ import annotations

from pathlib import Path

from serving.handoff.postgres import PostgresQueue
from serving.handoff.settings import HandoffSettings
from serving.handoff.sqlite import FILE_NAME, CaseQueue
from serving.handoff.store import CaseStore


def queue_of(settings: HandoffSettings, state: Path) -> CaseStore:
    """PostgreSQL where the settings name one, else a file in the folder `state`.

    Raises:
        ServeError: psycopg is missing, the connection string is wrong, or the file holds something else.
    """
    if settings.postgres is not None:
        return PostgresQueue(settings.postgres, settings.connections, settings.store_timeout_s)
    return CaseQueue(state / FILE_NAME)
