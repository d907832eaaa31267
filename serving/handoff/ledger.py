"""What may happen to cases, as transactions in SQL that SQLite and PostgreSQL both understand.

Every change of a case first raises its `version` by an UPDATE that names the state it expects: the row is then locked
by this transaction, and of several who try one wins. The event of the change has the new version as its number. A
change that is made twice (the connection was lost after the commit) finds its own key and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.handoff.case import Case, Event, EventKind, Sender, merged, now
from serving.handoff.database import Contended, Transaction
from serving.handoff.signals import urgency

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS handoffs (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, request TEXT NOT NULL, session TEXT NOT NULL, customer TEXT NOT NULL,
    opened_at TEXT NOT NULL, due_at TEXT NOT NULL, status TEXT NOT NULL, urgency INTEGER NOT NULL,
    reasons TEXT NOT NULL, verdict TEXT NOT NULL, summary TEXT NOT NULL, transcript TEXT NOT NULL,
    claimed_by TEXT NOT NULL, closed_at TEXT NOT NULL, resolution TEXT NOT NULL, outcome TEXT NOT NULL,
    version INTEGER NOT NULL, spoken INTEGER NOT NULL, delivered INTEGER NOT NULL, batch TEXT NOT NULL DEFAULT '',
    UNIQUE (tenant, request))""",
    """CREATE UNIQUE INDEX IF NOT EXISTS handoffs_by_open_session ON handoffs (tenant, session)
    WHERE session <> '' AND status <> 'closed'""",
    "CREATE INDEX IF NOT EXISTS handoffs_by_session ON handoffs (tenant, session) WHERE session <> ''",
    "CREATE INDEX IF NOT EXISTS handoffs_by_urgency ON handoffs (urgency, due_at, id)",
    "CREATE INDEX IF NOT EXISTS handoffs_by_batch ON handoffs (batch) WHERE status = 'closed'",
    """CREATE TABLE IF NOT EXISTS handoff_events (
    case_id TEXT NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, sender TEXT NOT NULL,
    who TEXT NOT NULL, text TEXT NOT NULL, key TEXT NOT NULL, given INTEGER NOT NULL,
    PRIMARY KEY (case_id, number), UNIQUE (case_id, key))""",
    """CREATE TABLE IF NOT EXISTS handoff_failures (
    tenant TEXT NOT NULL, session TEXT NOT NULL, request TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (tenant, session, request))""",
    """CREATE TABLE IF NOT EXISTS handoff_exports (
    batch TEXT PRIMARY KEY, at TEXT NOT NULL, path TEXT NOT NULL, done INTEGER NOT NULL)""",
)
_FIELDS: Final = tuple(Case.__dataclass_fields__)
COLUMNS: Final = ", ".join(_FIELDS)
_JSON: Final = frozenset({"reasons", "transcript"})
_HELD: Final = "status IN ('claimed', 'answered') AND claimed_by = :agent"
# A session belongs to a person while a case is open, and after that until the person's last words have been given.
_WITH_PERSON: Final = "(status <> 'closed' OR spoken > delivered)"


class Refused(Exception):
    """The case is not in the state that the change needs."""


@dataclass(frozen=True)
class Said:
    """A customer's message in a conversation with a person; `text` is masked, `request` its key."""

    request: str
    text: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heard:
    """The agents' messages that the customer has not had, oldest first, and the case after the customer's message."""

    case: Case
    words: tuple[str, ...]


def with_person(db: Transaction, tenant: str, session: str) -> str | None:
    """Id of the case that a session belongs to; None when the model may answer."""
    found = db.rows(
        "SELECT id FROM handoffs WHERE tenant = :tenant AND session = :session AND session <> '' "
        f"AND {_WITH_PERSON} ORDER BY opened_at DESC LIMIT 1",
        tenant=tenant,
        session=session,
    )
    return str(found[0][0]) if found else None


def open_case(db: Transaction, case: Case) -> Case:
    """Store a case. The same request finds the one it has opened, and a session the one that is open.

    Raises:
        Contended: another gateway opened one in this moment.
    """
    found = _one(db, "tenant = :tenant AND request = :request", tenant=case.tenant, request=case.request)
    if found is None and case.session:
        held = "tenant = :tenant AND session = :session AND status <> 'closed'"
        found = _one(db, held, tenant=case.tenant, session=case.session)
    if found is not None:
        return found
    names = ", ".join(f":{name}" for name in _FIELDS)
    if not db.change(f"INSERT INTO handoffs ({COLUMNS}) VALUES ({names}) ON CONFLICT DO NOTHING", **_row_of(case)):
        raise Contended
    _note(db, case, "opened", "system", text=", ".join(case.reasons))
    return case


def hear(db: Transaction, case_id: str, said: Said) -> Heard | None:
    """Add the customer's message and take the agents' words for him; None when the case is over."""
    if before := db.rows(
        "SELECT number, given FROM handoff_events WHERE case_id = :id AND key = :key", id=case_id, key=said.request
    ):
        case = _one(db, "id = :id", id=case_id)
        return Heard(case, _words(db, case_id, before[0][1], before[0][0])) if case else None
    case = _changed(
        db,
        "status = CASE WHEN status = 'answered' THEN 'claimed' ELSE status END",
        f"id = :id AND {_WITH_PERSON}",
        id=case_id,
    )
    if case is None:
        return None
    words = _words(db, case_id, case.delivered, case.version)
    reasons = merged(case.reasons, said.reasons)
    db.change(
        "UPDATE handoffs SET delivered = spoken, reasons = :reasons, urgency = :urgency WHERE id = :id",
        id=case_id,
        reasons=json.dumps(reasons),
        urgency=min(case.urgency, urgency(reasons)),
    )
    _note(db, case, "message", "customer", text=said.text, key=said.request, given=case.delivered)
    return Heard(case, words)


@dataclass(frozen=True)
class Act:
    """What an agent does to a case.

    Attributes:
        tenant: whose cases he may touch; None for an operator, who may touch all.
        version: the version he has seen; the act is refused when the case has changed since. None does not mind.
    """

    case: str
    agent: str
    tenant: str | None
    version: int | None = None


def claim(db: Transaction, act: Act) -> Case:
    """One agent takes an open case; the same one may ask again.

    Raises:
        KeyError: no such case. Refused: somebody else has it, it is closed, or it has changed.
    """
    case = find(db, act.case, act.tenant)
    if case.status in ("claimed", "answered") and case.claimed_by == act.agent:
        return case
    case = _acted(db, act, "status = 'claimed', claimed_by = :agent", "status = 'open'", agent=act.agent)
    _note(db, case, "claimed", "agent", who=act.agent)
    return case


def release(db: Transaction, act: Act, force: bool) -> Case:
    """Give a case back to the queue; raises as `claim`.

    Args:
        force: also when another agent holds it.
    """
    if (case := find(db, act.case, act.tenant)).status == "open":
        return case
    change = "status = 'open', claimed_by = ''"
    if force:
        case = _acted(db, act, change, "status IN ('claimed', 'answered')")
    else:
        case = _acted(db, act, change, _HELD, agent=act.agent)
    _note(db, case, "released", "agent", who=act.agent)
    return case


def answer(db: Transaction, act: Act, text: str, key: str) -> Case:
    """The agent who holds the case says something to the customer; raises as `claim`.

    Args:
        key: the same message sent twice has the same key, and is stored once.
    """
    case, key = find(db, act.case, act.tenant), f"agent:{key}"
    if db.rows("SELECT 1 FROM handoff_events WHERE case_id = :id AND key = :key", id=act.case, key=key):
        return case
    case = _acted(db, act, "status = 'answered', spoken = version + 1", _HELD, agent=act.agent)
    _note(db, case, "message", "agent", who=act.agent, text=text, key=key)
    return case


def close(db: Transaction, act: Act, resolution: str, outcome: str) -> Case:
    """The agent who holds the case ends it; raises as `claim`."""
    case = find(db, act.case, act.tenant)
    if case.status == "closed" and (case.claimed_by, case.resolution, case.outcome) == (act.agent, resolution, outcome):
        return case
    change = "status = 'closed', closed_at = :at, resolution = :resolution, outcome = :outcome"
    values = {"agent": act.agent, "at": now(), "resolution": resolution, "outcome": outcome}
    case = _acted(db, act, change, _HELD, **values)
    _note(db, case, "closed", "agent", who=act.agent, text=outcome)
    return case


def given(db: Transaction, case_id: str, number: int) -> None:
    """The customer has the agents' messages up to `number`."""
    db.change(
        "UPDATE handoffs SET delivered = CASE WHEN spoken < :number THEN spoken ELSE :number END "
        "WHERE id = :id AND delivered < :number AND delivered < spoken",
        id=case_id,
        number=number,
    )


def find(db: Transaction, case_id: str, tenant: str | None) -> Case:
    """A case; raises KeyError also when it belongs to another tenant than `tenant` (None sees all)."""
    case = _one(db, "id = :id", id=case_id)
    if case is None or (tenant is not None and case.tenant != tenant):
        raise KeyError(case_id)
    return case


def events(db: Transaction, case_id: str, after: int = 0) -> tuple[Event, ...]:
    """What happened to a case after event `after`, in order."""
    found = db.rows(
        "SELECT number, at, kind, sender, who, text FROM handoff_events WHERE case_id = :id AND number > :after "
        "ORDER BY number",
        id=case_id,
        after=after,
    )
    return tuple(Event(*row) for row in found)


def page(
    db: Transaction, tenant: str | None, statuses: Sequence[str], limit: int, after: Case | None
) -> tuple[Case, ...]:
    """Cases in the order of work: most urgent first, then by deadline.

    Args:
        after: the last case of the page before.
    """
    named = {f"status{i}": status for i, status in enumerate(statuses)}
    clauses = [f"status IN ({', '.join(f':{name}' for name in named)})"]
    values: dict[str, Any] = {**named, "limit": limit}
    if tenant is not None:
        clauses.append("tenant = :tenant")
        values["tenant"] = tenant
    if after is not None:
        clauses.append("(urgency, due_at, id) > (:urgency, :due_at, :last)")
        values |= {"urgency": after.urgency, "due_at": after.due_at, "last": after.id}
    query = f"SELECT {COLUMNS} FROM handoffs WHERE {' AND '.join(clauses)} ORDER BY urgency, due_at, id LIMIT :limit"
    return tuple(map(case_of, db.rows(query, **values)))


def newest(db: Transaction, limit: int) -> list[Case]:
    """The newest cases of all tenants."""
    query = f"SELECT {COLUMNS} FROM handoffs ORDER BY opened_at DESC, id LIMIT :limit"
    return [case_of(row) for row in db.rows(query, limit=limit)]


def failed(db: Transaction, tenant: str, session: str, request: str, since: str) -> int:
    """Note a failure of a session; how many it has had after `since`, this one included."""
    db.change("DELETE FROM handoff_failures WHERE at < :since", since=since)
    db.change(
        "INSERT INTO handoff_failures VALUES (:tenant, :session, :request, :at) ON CONFLICT DO NOTHING",
        tenant=tenant,
        session=session,
        request=request,
        at=now(),
    )
    counted = db.rows(
        "SELECT COUNT(*) FROM handoff_failures WHERE tenant = :tenant AND session = :session",
        tenant=tenant,
        session=session,
    )
    return int(counted[0][0])


def forget_failures(db: Transaction, tenant: str, session: str) -> None:
    """A session's failures no longer count."""
    db.change(
        "DELETE FROM handoff_failures WHERE tenant = :tenant AND session = :session", tenant=tenant, session=session
    )


def case_of(row: Sequence[Any]) -> Case:
    """The case in a row of COLUMNS."""
    fields = dict(zip(_FIELDS, row, strict=True))
    reasons = tuple(json.loads(fields["reasons"]))
    transcript = tuple((speaker, text) for speaker, text in json.loads(fields["transcript"]))
    return Case(**{**fields, "reasons": reasons, "transcript": transcript})


def _row_of(case: Case) -> dict[str, Any]:
    values = ((name, getattr(case, name)) for name in _FIELDS)
    return {name: json.dumps(value, ensure_ascii=False) if name in _JSON else value for name, value in values}


def _one(db: Transaction, where: str, **values: Any) -> Case | None:
    found = db.rows(f"SELECT {COLUMNS} FROM handoffs WHERE {where}", **values)
    return case_of(found[0]) if found else None


def _changed(db: Transaction, change: str, where: str, **values: Any) -> Case | None:
    """The case after a change that raised its version; None when no case is as `where` wants it."""
    query = f"UPDATE handoffs SET version = version + 1, {change} WHERE {where} RETURNING {COLUMNS}"
    found = db.rows(query, **values)
    return case_of(found[0]) if found else None


def _acted(db: Transaction, act: Act, change: str, where: str, **values: Any) -> Case:
    if act.version is not None:
        where, values = f"{where} AND version = :version", {**values, "version": act.version}
    case = _changed(db, change, f"id = :id AND {where}", id=act.case, **values)
    if case is None:
        raise _refused(find(db, act.case, act.tenant), act)
    return case


def _note(
    db: Transaction,
    case: Case,
    kind: EventKind,
    sender: Sender,
    *,
    who: str = "",
    text: str = "",
    key: str = "",
    given: int = 0,
) -> None:
    added = db.change(
        "INSERT INTO handoff_events VALUES (:id, :number, :at, :kind, :sender, :who, :text, :key, :given) "
        "ON CONFLICT DO NOTHING",
        id=case.id,
        number=case.version,
        at=now(),
        kind=kind,
        sender=sender,
        who=who,
        text=text,
        key=key or f"{kind}:{case.version}",
        given=given,
    )
    if not added:
        raise Contended


def _words(db: Transaction, case_id: str, after: int, before: int) -> tuple[str, ...]:
    found = db.rows(
        "SELECT text FROM handoff_events WHERE case_id = :id AND kind = 'message' AND sender = 'agent' "
        "AND number > :after AND number < :before ORDER BY number",
        id=case_id,
        after=after,
        before=before,
    )
    return tuple(str(row[0]) for row in found)


def _refused(case: Case, act: Act) -> Refused:
    if case.status == "closed":
        return Refused("the case is closed")
    if act.version is not None and act.version != case.version:
        return Refused(f"the case has changed: its version is {case.version}; read it again")
    if case.status == "open":
        return Refused("nobody has claimed the case; claim it first")
    return Refused(f"the case is claimed by {case.claimed_by}")
