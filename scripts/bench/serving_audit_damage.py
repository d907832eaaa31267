"""What `verify` finds of changed, removed, added and moved records."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from serving_audit_material import INSTANCE, folder_of, verified, written

from serving.audit.chain import Broken, Chain
from serving.audit.keys import load_ring
from serving.audit.log import KEY_FILE
from serving.audit.record import genesis
from serving.audit.verify import read_anchor

ON_DISK_EVERY = 50


class Log:
    """The lines of a log, and where its chain stood before each."""

    def __init__(self, state: Path, requests: int):
        self.state, self.anchor = state, state / "anchor.jsonl"
        asyncio.run(written(state, requests, self.anchor))
        (path,) = folder_of(state).glob("*.jsonl")
        self.path, self.data = path, path.read_bytes()
        self.lines = self.data.splitlines(keepends=True)
        self.ring = load_ring(state / KEY_FILE)
        self.anchored = max(read_anchor(self.anchor, None)[INSTANCE])
        chain = Chain(genesis(INSTANCE), self.ring.keys)
        self.before = []
        for line in self.lines:
            self.before.append(chain.copy())
            chain.take(line)

    def fault(self, first: int, lines: Sequence[bytes]) -> str:
        """What is wrong with a log whose lines are `lines` from line `first` on, "" when nothing is."""
        chain = self.before[first].copy()
        stream = iter(lines)
        try:
            for line in stream:
                chain.take(line, stream)
        except Broken as broken:
            return broken.problem.fault
        return "tail_lost" if chain.seq < self.anchored else ""

    def fault_on_disk(self, lines: Sequence[bytes], first: int) -> str:
        """The same from the first record, read from files."""
        self.path.write_bytes(b"".join([*self.lines[:first], *lines]))
        try:
            problem = verified(self.state, self.anchor).problem
            return problem.fault if problem else ""
        finally:
            self.path.write_bytes(self.data)


def split(data: bytes) -> list[bytes]:
    """Lines with their newlines, at newlines only."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def every_byte(log: Log, rng: random.Random) -> tuple[Counter[str], int]:
    """(faults by kind, positions): each byte changed to another, taken out, and doubled."""
    faults: Counter[str] = Counter()
    positions = 0
    for at, line in enumerate(log.lines):
        rest = log.lines[at + 1 : at + 3]
        for position in range(len(line)):
            positions += 1
            other = (line[position] + rng.randrange(1, 256)) % 256
            head, tail = line[:position], line[position + 1 :]
            byte = line[position : position + 1]
            for changed in (head + bytes([other]) + tail, head + tail, head + byte + byte + tail):
                if changed == line:
                    continue
                faults[log.fault(at, split(changed + b"".join(rest)))] += 1
    return faults, positions


def random_damage(log: Log, rng: random.Random) -> Iterator[tuple[str, int, list[bytes]]]:
    """(kind, first line that differs, the lines from there on), without end."""
    lines, count = log.lines, len(log.lines)
    while True:
        at = rng.randrange(count - 1)
        line = lines[at]
        position = rng.randrange(len(line) - 1)
        width = rng.randrange(1, 9)
        edited = line[:position] + rng.randbytes(width) + line[position + width :]
        yield "edit", at, split(edited + lines[at + 1]) + lines[at + 2 :]  # an edit may take the newline
        taken = rng.randrange(1, min(50, count - at))
        yield "deletion", at, lines[at + taken :]
        yield "insertion", at, [lines[rng.randrange(count)], *lines[at:]]
        other = rng.randrange(at + 1, count)
        swapped = [lines[other], *lines[at + 1 : other], line, *lines[other + 1 :]]
        yield "reordering", at, swapped
        yield "truncation", at, [line[:position]] if position else []


def tamper(root: Path, number: int, rng: random.Random) -> bool:
    small = Log(root / "small", 98)
    faults, positions = every_byte(small, rng)
    print(f"{len(small.lines)} records, {positions:,} byte positions, 3 changes each: {_summary(faults)}")
    big = Log(root / "big", 4_990)
    found: dict[str, Counter[str]] = {}
    on_disk = 0
    for index, (kind, first, lines) in enumerate(islice(random_damage(big, rng), 5 * number)):
        if lines == big.lines[first:]:
            continue
        fault = big.fault(first, lines)
        if index % ON_DISK_EVERY == 0 and fault:
            on_disk += 1
            assert big.fault_on_disk(lines, first) == fault, (kind, first)
        found.setdefault(kind, Counter())[fault] += 1
    print(f"{len(big.lines):,} records; {on_disk} of the cases also from disk and from the first record:")
    for kind, seen in found.items():
        print(f"  {sum(seen.values()):6,} × {kind:12} {_summary(seen)}")
    return not faults[""] and not any(seen[""] for seen in found.values())


def _summary(faults: Counter[str]) -> str:
    named = ", ".join(f"{name} {count:,}" for name, count in faults.most_common() if name)
    return f"{faults['']} not found; as {named}"
