"""Checks a chain record by record: bytes in, the first thing wrong out, no I/O."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from serving.audit import record
from serving.audit.checkpoint import CHECKPOINT_KIND, SignatureError, checked
from serving.audit.record import FormError, Row

Fault = Literal[
    "edited", "deleted", "inserted", "reordered", "truncated", "wrong_key", "segment_gap", "bad_signature", "tail_lost"
]
# How far on a missing record is looked for, to tell one that was moved from one that was taken out.
_LOOK_AHEAD = 20_000


@dataclass(frozen=True)
class Problem:
    """The first thing wrong: `seq` is the record that is not as it was written, or that should stand there."""

    seq: int
    fault: Fault
    message: str
    segment: str = ""


class Broken(Exception):
    """A line that does not continue the chain."""

    def __init__(self, problem: Problem):
        super().__init__(problem.message)
        self.problem = problem


@dataclass
class Chain:
    """Where a chain stands: `take` a line and it stands one further, or raises `Broken` and stands still.

    Attributes:
        keys: record keys by id; None checks hashes and signatures alone, which proves what a signed checkpoint covers.
        trusted: public keys that may sign checkpoints; None accepts any, for who has the record keys.
        hash: `line_hash` of the record `seq`.
        key: id of the key that the next record must be under, "" before the first.
        signed: seq of the newest record that a good checkpoint covers.
    """

    hash: str
    keys: Mapping[str, bytes] | None = None
    trusted: Collection[str] | None = None
    seq: int = 0
    key: str = ""
    signed: int = 0

    def copy(self) -> Chain:
        return copy.copy(self)

    def take(self, line: bytes, following: Iterable[bytes] = ()) -> Row:
        """Check the next line.

        Args:
            line: with its newline.
            following: the lines after it; read only to say what is wrong.

        Raises:
            Broken: it is not the record that was written here.
        """
        if not line.endswith(b"\n"):
            raise self._broken("truncated", f"the last {len(line)} bytes are no whole record")
        bare = line[:-1]
        try:
            row = record.decode(bare)
        except FormError as error:
            raise self._altered(f"not a record: {error}", following) from None
        self._check(row, bare, following)
        self.seq, self.hash, self.key = row["seq"], record.line_hash(bare), row["key"]
        if row["kind"] == record.ROTATED:
            self.key = str(row["body"].get("key"))
        elif row["kind"] == record.CHECKPOINT:
            self.signed = self.seq - 1
        return row

    def _check(self, row: Row, bare: bytes, following: Iterable[bytes]) -> None:
        seq, named = self.seq + 1, row["key"]
        if self.keys is not None:
            if named not in self.keys and (not self.key or named == self.key):
                raise self._broken("wrong_key", f"record {seq} is under key {named}, which is not given")
            if named not in self.keys or not record.authentic(bare, self.keys[named]):
                raise self._altered("its authentication code does not fit its bytes", following)
        if row["seq"] != seq:
            raise self._misplaced(row["seq"], following)
        if row["prev"] != self.hash and self.keys is None:
            message = f"record {seq - 1} is not as it was written, or record {seq} continues another chain"
            raise self._broken("edited", message, max(1, seq - 1))
        if row["prev"] != self.hash:
            raise self._broken("inserted", f"record {seq} continues another chain")
        if self.key and named != self.key:
            raise self._broken("wrong_key", f"record {seq} is under key {named} without a record of the change")
        if row["kind"] == record.CHECKPOINT:
            self._check_signature(row)

    def _check_signature(self, row: Row) -> None:
        body, seq = row["body"], row["seq"]
        try:
            checked(body, CHECKPOINT_KIND, self.trusted)
        except SignatureError as error:
            raise self._broken("bad_signature", f"checkpoint {seq}: {error}") from None
        if (body.get("seq"), body.get("hash")) != (self.seq, self.hash):
            raise self._broken("bad_signature", f"checkpoint {seq} is about another record")

    def _altered(self, reason: str, following: Iterable[bytes]) -> Broken:
        """A line that nobody wrote here: one that was changed, or one too many."""
        after = next(iter(following), b"")
        if self._continues(after, self.seq + 1):
            return self._broken("inserted", f"a line before record {self.seq + 1} was never written: {reason}")
        return self._broken("edited", f"record {self.seq + 1}: {reason}")

    def _misplaced(self, found: int, following: Iterable[bytes]) -> Broken:
        seq = self.seq + 1
        if found < seq:
            return self._broken("inserted", f"record {found} stands again where record {seq} should")
        if any(self._continues(line, seq) for line in islice(following, _LOOK_AHEAD)):
            return self._broken("reordered", f"record {found} stands where record {seq} should, which comes later")
        return self._broken("deleted", f"records {seq} to {found - 1} are missing")

    def _continues(self, line: bytes, seq: int) -> bool:
        """Whether a line is record `seq`, as far as the keys at hand can tell."""
        if not line.startswith(b'{"seq":%d,' % seq):
            return False
        try:
            row = record.decode(line[:-1])
        except FormError:
            return False
        key = (self.keys or {}).get(row["key"])
        return self.keys is None or (key is not None and record.authentic(line[:-1], key))

    def _broken(self, fault: Fault, message: str, seq: int | None = None) -> Broken:
        return Broken(Problem(self.seq + 1 if seq is None else seq, fault, message))
