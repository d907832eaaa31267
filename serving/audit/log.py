"""The account of one gateway: its promises stand in `serving.audit.base.Audit`, its form in docs/audit-format.md."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from serving.audit import record
from serving.audit.anchor import Anchor
from serving.audit.base import Accepted, Closed
from serving.audit.inbox import RETRY_S, Entry, Inbox, Refused
from serving.audit.keys import load_or_make_ring, load_or_make_signer
from serving.audit.recovery import Tail, find_tail, finish_removal
from serving.audit.segments import WriterLock
from serving.audit.settings import AuditSettings
from serving.audit.writer import Writer
from serving.errors import ApiError, ServeError
from tianjing.errors import EXIT_STAGE_FAILED
from tianjing.files import flush

_log = logging.getLogger(__name__)

INTERRUPTED = "interrupted"
FOLDER, KEY_FILE, SIGNING_KEY_FILE = "audit", "audit.key", "audit.pem"
_LONGEST_STOP_S = 30.0


@dataclass(frozen=True)
class AuditCounts:
    """What has happened since the start, for metrics; `waiting` and `refusing` are now."""

    records: int
    groups: int
    failures: int
    waiting: int
    refusing: bool
    anchored: int
    anchor_failures: int


class AuditLog:
    """Append-only, hash-chained, keyed and signed.

    Args:
        state: the endpoint's state folder, for every path that the settings leave out.
    """

    def __init__(self, settings: AuditSettings, state: Path):
        self.instance = settings.instance or host_instance()
        self.folder = (settings.folder or state / FOLDER) / self.instance
        self._settings = settings
        self._key_path = settings.key_file or state / KEY_FILE
        self._signing_path = settings.signing_key_file or state / SIGNING_KEY_FILE
        self._lock: WriterLock | None = None
        self._anchor: Anchor | None = None
        self._writer: Writer | None = None

    async def open(self) -> None:
        """Find the end of the log, mend what a crash left, and close on record what was never closed.

        Raises:
            ServeError: another process writes it; it is damaged; its folder or its keys cannot be used.
            LineageError: the signing key cannot be read or made.
        """
        tail = await asyncio.to_thread(self._start)
        unclosed = list(tail.open)
        await self.event("opened", {"unclosed": len(unclosed), "clean": tail.cut is None and not unclosed})
        for request in unclosed:
            self.closed(Closed(request, 0, "unknown", error=INTERRUPTED))

    async def close(self) -> None:
        """Write what waits, sign the end, anchor it, and give the log free."""
        writer = self._writer
        if writer is None or writer.inbox.closing:
            return
        writer.inbox.put(Entry(record.EVENT, record.body_bytes({"event": "stopped"})))
        writer.inbox.close()
        await asyncio.to_thread(writer.join, _LONGEST_STOP_S)
        if self._anchor is not None:
            await asyncio.to_thread(self._anchor.close)
        if self._lock is not None and not writer.is_alive():  # one that hangs at the disk may still write
            self._lock.release()

    def digest(self, *texts: str) -> str:
        """HMAC-SHA256 of the texts, each with its length before it; 64 hexadecimal digits."""
        return text_digest(self._running().key, *texts)

    async def accepted(self, entry: Accepted, meanwhile: Callable[[], None] | None = None) -> None:
        """Returns once the record is durable.

        Args:
            meanwhile: called in the event loop while the disk writes, if it comes to that; must not raise.

        Raises:
            ApiError: 503 with `retry_after_s` when it cannot be written.
        """
        if self._anchor is not None and self._anchor.too_late():
            raise _refusal("no checkpoint could be anchored for too long")
        pending = Entry(record.ACCEPTED, record.body_bytes(entry), entry.request, meanwhile=meanwhile)
        try:
            await self._durable(pending)
        except asyncio.CancelledError:
            self._leave(pending, entry, 499, "left")
            raise
        except TimeoutError:
            self._leave(pending, entry, 503, "audit_timeout")
            raise _refusal("the disk is too slow") from None

    def closed(self, entry: Closed) -> None:
        """Written with the next group; kept in memory while the disk refuses.

        One that comes after `close` is not written: the next start records the request as interrupted.
        """
        self._running().inbox.put(Entry(record.CLOSED, record.body_bytes(entry), entry.request))

    async def event(self, kind: str, details: Mapping[str, Any]) -> None:
        """Put an operator's act on record; durable on return, raises as `accepted`."""
        try:
            await self._durable(Entry(record.EVENT, record.body_bytes({**details, "event": kind})))
        except TimeoutError:
            raise _refusal("the disk is too slow") from None

    def note(self, kind: str, details: Mapping[str, Any]) -> None:
        """Put an event on record with the next group, without waiting; from any thread."""
        if self._writer is not None:
            self._writer.inbox.put(Entry(record.EVENT, record.body_bytes({**details, "event": kind})))

    def counts(self) -> AuditCounts:
        """What has been written, and what could not be."""
        writer, anchor = self._running(), self._anchor
        return AuditCounts(
            writer.records,
            writer.groups,
            writer.failures,
            len(writer.inbox),
            bool(writer.inbox.broken),
            anchor.anchored if anchor else 0,
            anchor.failures if anchor else 0,
        )

    async def _durable(self, entry: Entry) -> None:
        inbox: Inbox = self._running().inbox
        entry.waiter = asyncio.get_running_loop().create_future()
        try:
            inbox.put(entry)
            async with asyncio.timeout(self._settings.accept_timeout_s):
                await entry.waiter
        except TimeoutError:
            raise
        except (Refused, OSError) as error:
            raise _refusal(str(error)) from None

    def _leave(self, pending: Entry, entry: Accepted, status: int, error: str) -> None:
        """Nobody waits for the record any more; if it is in the log, the log also says how the request ended."""
        ended = Closed(entry.request, status, entry.verdict, error=error)
        if self._running().inbox.withdraw(pending, record.body_bytes(ended)):
            self.closed(ended)

    def _running(self) -> Writer:
        if self._writer is None:
            raise _refusal("the account is closed")
        return self._writer

    def _start(self) -> Tail:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            flush(self.folder.parent)
            self._lock = WriterLock(self.folder)
            self._lock.take()
        except OSError as error:
            raise ServeError(
                f"{self.folder}: the account cannot be written: {error.strerror}",
                "give a folder this process may write to",
                exit_code=EXIT_STAGE_FAILED,
            ) from None
        try:
            return self._begin()
        except BaseException:
            self._lock.release()
            raise

    def _begin(self) -> Tail:
        ring = load_or_make_ring(self._key_path)
        signer = load_or_make_signer(self._signing_path)
        finish_removal(self.folder)
        tail = find_tail(self.folder, self.instance, ring)
        if self._settings.anchor is not None:
            self._anchor = Anchor(self._settings.anchor)
            self._anchor.open()
        self._writer = Writer(
            self.folder, self.instance, self._settings, self._key_path, ring, signer, tail, self._anchor
        )
        # A copy: from here on the writer's own tail moves.
        found = replace(tail, open=dict(tail.open))
        self._writer.start()
        return found


def text_digest(key: bytes, *texts: str) -> str:
    """Keyed digest of texts under one record key; a half surrogate pair counts as what it is."""
    pieces = [text.encode("utf-8", errors="surrogatepass") for text in texts]
    framed = b"".join(part for piece in pieces for part in (len(piece).to_bytes(8, "big"), piece))
    return hmac.digest(hmac.digest(key, b"texts", "sha256"), framed, "sha256").hex()


def host_instance() -> str:
    """The host's name, as an instance may be called."""
    name = re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip("-.")[:63]
    return name or "gateway"


def _refusal(reason: str) -> ApiError:
    _log.debug("refused: %s", reason)  # the writer has logged the cause once; a caller learns nothing of the disk
    return ApiError(503, "the request cannot be accounted for now", code="audit_unavailable", retry_after_s=2 * RETRY_S)
