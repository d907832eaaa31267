"""What people answered, as raw material for `tianjing data extract`.

Each closed case becomes a dialogue (the conversation before, then the messages with the person), its events and its
outcomes. What the model said stands as `system`: only people's words are an agent's practice. Everything is masked
again on the way out, agents' words included.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from serving.errors import ServeError
from serving.handoff import ledger
from serving.handoff.case import UNREAD, Case, Event, now
from serving.handoff.database import Database, Transaction
from tianjing.files import write_jsonl
from tianjing.lineage import artefact, is_artefact, read_manifest
from tianjing.privacy import Session, mask, mask_turns
from tianjing.records import Dialogue, Outcome, Turn
from tianjing.records import Event as LogEvent

KIND: Final = "handoffs"
CHANNEL: Final = "chat"
_ACTIVITIES: Final = {
    "opened": "转人工",
    "claimed": "人工接入",
    "released": "退回队列",
    "message": "人工答复",
    "closed": "结案",
}
_SPEAKERS: Final = {"customer": "customer", "assistant": "system", "system": "system"}


@dataclass(frozen=True)
class Exported:
    """A finished export: how many cases, under which batch."""

    batch: str
    cases: int


async def export(database: Database, out: Path) -> Exported | None:
    """Write the cases closed since the last export into the new folder `out`; None when there is none.

    Cases are first put into a batch, then written, then the batch is marked done. When that is cut off, the next
    export looks whether the folder was finished; if not, it writes the same cases. So none is lost and none is
    written twice.

    Raises:
        ServeError: `out` is there already, or another export has taken the cases.
        StoreUnavailable: the store cannot be read or written.
        LineageError: `out` cannot be written.
    """
    await database.write(lambda db: _settle(db))
    if out.exists():
        raise ServeError(f"{out}: is there already", "give --out a new folder; each export is one")
    batch = await database.write(lambda db: _gather(db, str(out.resolve())))
    if batch is None:
        return None
    cases = await database.read(lambda db: _cases(db, batch))
    _write(out, batch, cases)
    if not await database.write(lambda db: _done(db, batch)):
        shutil.rmtree(out)
        raise ServeError("another export began meanwhile and has these cases", "run one export at a time")
    return Exported(batch, len(cases))


def _settle(db: Transaction) -> None:
    """Batches that were cut off: done when their folder is whole, else their cases are free again."""
    for batch, path in db.rows("SELECT batch, path FROM handoff_exports WHERE done = 0"):
        if is_artefact(Path(path)) and read_manifest(Path(path)).parameters.get("batch") == batch:
            _done(db, batch)
        else:
            db.change("UPDATE handoffs SET batch = '' WHERE batch = :batch", batch=batch)
            db.change("DELETE FROM handoff_exports WHERE batch = :batch", batch=batch)


def _gather(db: Transaction, path: str) -> str | None:
    batch = secrets.token_hex(8)
    db.change("INSERT INTO handoff_exports VALUES (:batch, :at, :path, 0)", batch=batch, at=now(), path=path)
    if db.change("UPDATE handoffs SET batch = :batch WHERE status = 'closed' AND batch = ''", batch=batch):
        return batch
    db.change("DELETE FROM handoff_exports WHERE batch = :batch", batch=batch)
    return None


def _done(db: Transaction, batch: str) -> bool:
    """Whether the batch was still ours to finish."""
    return bool(db.change("UPDATE handoff_exports SET done = 1 WHERE batch = :batch", batch=batch))


def _cases(db: Transaction, batch: str) -> list[tuple[Case, tuple[Event, ...]]]:
    query = f"SELECT {ledger.COLUMNS} FROM handoffs WHERE batch = :batch ORDER BY opened_at, id"
    cases = map(ledger.case_of, db.rows(query, batch=batch))
    return [(case, ledger.events(db, case.id)) for case in cases]


def _write(out: Path, batch: str, cases: list[tuple[Case, tuple[Event, ...]]]) -> None:
    with artefact(out, KIND, parameters={"batch": batch}) as work:
        work.count("read", len(cases))
        work.count("dialogues", write_jsonl(work.dir / "dialogues.jsonl", (_dialogue(*one) for one in cases)))
        work.count("events", write_jsonl(work.dir / "events.jsonl", (row for one in cases for row in _events(*one))))
        outcomes = (row for case, _ in cases for row in _outcomes(case))
        work.count("outcomes", write_jsonl(work.dir / "outcomes.jsonl", outcomes))


def _dialogue(case: Case, events: tuple[Event, ...]) -> Dialogue:
    said: list[dict[str, Any]] = [{"speaker": _SPEAKERS[speaker], "text": text} for speaker, text in case.transcript]
    said += [
        {"speaker": "system" if event.text == UNREAD else event.sender, "text": event.text, "at": event.at}
        for event in events
        if event.kind == "message"
    ]
    if not said:
        # The guard could not read the words that opened the case, so there is none that may be kept.
        said = [{"speaker": "system", "text": case.summary}]
    masked = mask_turns(Session(), [(turn["speaker"], turn["text"]) for turn in said])
    turns = tuple(Turn(**{**turn, "text": text.text}) for turn, text in zip(said, masked, strict=True))
    return Dialogue(
        id=case.id,
        customer=case.customer or case.session or case.id,
        agent=case.claimed_by,
        channel=CHANNEL,
        started_at=case.opened_at,
        turns=turns,
    )


def _events(case: Case, events: tuple[Event, ...]) -> Iterator[LogEvent]:
    for event in events:
        if event.kind == "message" and event.sender != "agent":
            continue
        attributes: dict[str, Any] = {}
        if event.kind == "opened":
            attributes = {"reasons": list(case.reasons), "urgency": case.urgency, "verdict": case.verdict}
        elif event.kind == "closed":
            attributes = {"outcome": case.outcome, "resolution": mask(case.resolution).text}
        actor = event.who or event.sender
        yield LogEvent(case=case.id, at=event.at, actor=actor, activity=_ACTIVITIES[event.kind], attributes=attributes)


def _outcomes(case: Case) -> Iterator[Outcome]:
    """The agent's word for how it ended, and 0 or 1 for what a rule mining tool can count on."""
    for name, value in ((case.outcome, 1), ("complaint", int("complaint" in case.reasons))):
        yield Outcome(case=case.id, name=name, value=value, at=case.closed_at)
