"""Records on their way to the disk: a bounded queue that decides how many are written together, and when."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from serving.audit.record import Stamp

# Seconds between attempts to write while the disk refuses.
RETRY_S = 0.5
_NOT_YET = Stamp(0, 0)


class Refused(Exception):
    """A record that cannot be taken now."""


@dataclass(eq=False, slots=True)
class Entry:
    """One record to be written.

    Attributes:
        request: the request it is about, "" for none.
        stamp: when it was queued.
        waiter: who is told once it is durable, or cannot be.
        meanwhile: what the one who waits does while the disk writes.
        orphan: body of the record that closes the request at once, when its caller left while this was being written.
    """

    kind: str
    body: bytes
    request: str = ""
    stamp: Stamp = _NOT_YET
    waiter: asyncio.Future[None] | None = None
    meanwhile: Callable[[], None] | None = None
    orphan: bytes = b""
    durable: bool = False


class Inbox:
    """Safe for any thread.

    Args:
        group: most entries of one write.
        linger_s: how long entries nobody waits for may wait for company.
        limit: waiting entries from which on no request is taken; twice as many, and nothing is.
    """

    def __init__(self, group: int, linger_s: float, limit: int):
        self.closing = False
        self.broken = ""
        """Why the disk refuses, "" while it does not."""
        self._group = group
        self._linger_s = linger_s
        self._limit = limit
        self._entries: deque[Entry] = deque()
        self._awaited = 0
        self._retry_at = 0.0
        self._lost = 0
        self._refused = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """Queue an entry.

        Raises:
            Refused: someone waits for it, and it cannot be written soon. Other entries that find no room are counted.
        """
        with self._changed:
            waits = entry.waiter is not None
            reason = self._reason() if waits else ""
            if reason:
                self._refused += 1
                raise Refused(reason)
            if self.closing or len(self._entries) >= 2 * self._limit:
                self._lost += 1
                return
            entry.stamp = Stamp.now()  # here, so that the order of times is the order of records
            self._entries.append(entry)
            self._awaited += waits
            if waits or len(self._entries) in (1, self._group):
                self._changed.notify()

    def add(self, entry: Entry) -> None:
        """Queue what the writer itself has to say: there is always room, also at the end."""
        with self._changed:
            entry.stamp = Stamp.now()
            self._entries.append(entry)

    def take(self, due_s: float | None) -> list[Entry]:
        """Wait for entries worth a write; none when `due_s` seconds have passed or the inbox is closing."""
        due = None if due_s is None else time.monotonic() + due_s
        with self._changed:
            while not self._ready():
                wait = self._wait_s(due)
                if wait is not None and wait <= 0:
                    break
                self._changed.wait(wait)
            taken = [self._entries.popleft() for _ in range(min(self._group, len(self._entries)))]
            self._awaited -= sum(entry.waiter is not None for entry in taken)
            return taken

    def withdraw(self, entry: Entry, orphan: bytes) -> bool:
        """Nobody waits for the entry any more. True: it is durable already, and must be closed by a record of its own.

        If it is being written now, the writer will close it with `orphan`.
        """
        with self._changed:
            if entry.durable:
                return True
            if entry in self._entries:
                self._entries.remove(entry)
                self._awaited -= 1
            entry.orphan = orphan
            return False

    def written(self, taken: Iterable[Entry]) -> list[Entry]:
        """Mark entries durable, and the disk as working; returns those whose callers have left."""
        with self._changed:
            self.broken = ""
            for entry in taken:
                entry.durable = True
            return [entry for entry in taken if entry.orphan]

    def refuse(self, taken: Iterable[Entry], reason: str) -> list[Entry]:
        """The disk refuses: keep what nobody waits for, in order, and return what somebody does."""
        with self._changed:
            everything = [*taken, *self._entries]
            waiting = [entry for entry in everything if entry.waiter is not None]
            self._entries = deque(entry for entry in everything if entry.waiter is None)
            self._awaited = 0
            self._refused += len(waiting)
            self.broken = reason
            self._retry_at = time.monotonic() + RETRY_S
            return waiting

    def take_counts(self) -> tuple[int, int]:
        """(requests refused, entries lost) since the last time."""
        with self._changed:
            counts = self._refused, self._lost
            self._refused = self._lost = 0
            return counts

    def give_counts_back(self, counts: tuple[int, int]) -> None:
        """`take_counts` has not been put on record."""
        with self._changed:
            self._refused += counts[0]
            self._lost += counts[1]

    def close(self) -> None:
        """Take no more; `take` returns at once from now on."""
        with self._changed:
            self.closing = True
            self._changed.notify()

    def _reason(self) -> str:
        if self.closing:
            return "the account is closed"
        return self.broken or ("the disk is too slow" if len(self._entries) >= self._limit else "")

    def _ready(self) -> bool:
        return self.closing or (not self.broken and (self._awaited > 0 or len(self._entries) >= self._group))

    def _wait_s(self, due: float | None) -> float | None:
        now = time.monotonic()
        if self.broken:
            return self._retry_at - now
        waits = [] if due is None else [due - now]
        if self._entries:
            waits.append(self._entries[0].stamp.mono_ns / 1e9 + self._linger_s - now)
        return min(waits) if waits else None


def syncing(entries: Iterable[Entry]) -> None:
    """Tell those who wait that the disk is about to write; from any thread.

    Sooner, they would only take the interpreter from the thread that has to say so to the disk.
    """
    for entry in entries:
        if entry.waiter is not None and entry.meanwhile is not None:
            with contextlib.suppress(RuntimeError):  # as below
                entry.waiter.get_loop().call_soon_threadsafe(entry.meanwhile)


def tell(entries: Iterable[Entry], error: Exception | None = None) -> None:
    """Tell those who wait that their records are durable, or why not; from any thread."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for entry in entries:
        if entry.waiter is not None:
            by_loop.setdefault(entry.waiter.get_loop(), []).append(entry.waiter)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # a loop that has ended has nobody who waits
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
