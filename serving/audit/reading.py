"""Reading an account: which records are wanted, as rows a person or a table can take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.audit import record
from serving.audit.record import FormError, Row
from serving.audit.segments import instances, lines, segments
from serving.errors import ServeError

COLUMNS = ("instance", "seq", "at", "kind", "request", "tenant", "model", "release", "verdict", "status", "reasons")


@dataclass
class Wanted:
    """Which records; None and empty take all. Tenant and customers are those of a request, and take all its records.

    Attributes:
        customers: digests that the customer may have, one for each record key.
        since, until: ISO 8601 in UTC as records write it; `until` is the first moment that is left out.
    """

    request: str | None = None
    tenant: str | None = None
    verdict: str | None = None
    kind: str | None = None
    customers: frozenset[str] = frozenset()
    since: str = ""
    until: str = ""
    _requests: set[str] = field(default_factory=set)

    def takes(self, row: Row) -> bool:
        """Whether a record is wanted; to be asked about every record of an instance, in order."""
        body = row["body"]
        name = body.get("request")
        if self.tenant is not None or self.customers:
            if row["kind"] == record.ACCEPTED and self._of_whom(body):
                self._requests.add(name)
            if name not in self._requests:
                return False
        return (
            (self.request is None or name == self.request)
            and (self.verdict is None or body.get("verdict") == self.verdict)
            and (self.kind is None or row["kind"] == self.kind)
            and (not self.since or row["at"] >= self.since)
            and (not self.until or row["at"] < self.until)
        )

    def _of_whom(self, body: Row) -> bool:
        return self.tenant in (None, body.get("tenant")) and (
            not self.customers or body.get("customer") in self.customers
        )


def moment(text: str) -> str:
    """A time that a person gave (date, or date and time; without a zone it is UTC), as records write it.

    Raises:
        ServeError: it is no time.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ServeError(f"'{text}' is not a time", "write 2026-11-30 or 2026-11-30T16:05:00+08:00") from None
    given = given if given.tzinfo else given.replace(tzinfo=UTC)
    return given.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_rows(folder: Path, wanted: Wanted) -> Iterator[tuple[str, Row]]:
    """(instance, record) of what is wanted, unchecked: whether it is as it was written, `verify` says.

    Raises:
        ServeError: there is no account.
    """
    for instance in instances(folder):
        for segment in segments(instance):
            for line in lines(segment.path):
                try:
                    row = record.decode(line.removesuffix(b"\n"))
                except FormError:
                    continue
                if wanted.takes(row):
                    yield instance.name, row


def flat(instance: str, row: Row) -> dict[str, Any]:
    """A record as one row of a table: `COLUMNS`, and the whole body as JSON."""
    body = row["body"]
    known = {"instance": instance, "seq": row["seq"], "at": row["at"], "kind": row["kind"]}
    more = {name: body.get(name) for name in COLUMNS[4:-1]}
    reasons = ",".join(body.get("reasons") or ())
    return {**known, **more, "reasons": reasons, "body": json.dumps(body, ensure_ascii=False)}
