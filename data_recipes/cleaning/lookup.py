"""Rows of a large file by key, from disk: events of a case, the record of a customer.

Beside the rows (JSON Lines) stands a sorted table of key hashes and places: 24 bytes a row instead of the row. All of
it stays on the disk; a reader holds one key of every `BLOCK`.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

PLACE = np.dtype([("offset", "<u8"), ("bytes", "<u4"), ("part", "<u4")])
KEYS, PLACES = "keys.npy", "places.npy"
# The merged table: the sorted keys and their places as they are in memory, and the first key of every block of keys.
SORTED_KEYS, SORTED_PLACES, FIRSTS = "keys.bin", "places.bin", "firsts.npy"
BLOCK = 256
# Rows sorted in memory at a time: about 80 bytes each.
_ROWS_AT_ONCE = 1 << 21
# Rows of a part are read together when no more bytes than these stand between them.
_GAP_BYTES = 512


def key_hash(key: str) -> int:
    """64 bits of BLAKE2b. Rows are compared by their key once read, so a collision costs a read and nothing else."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def key_hashes(keys: Sequence[str]) -> npt.NDArray[np.uint64]:
    """`key_hash` of each; a key that comes again is hashed once."""
    places: dict[str, int] = {}
    which = [places.setdefault(key, len(places)) for key in keys]
    new = functools.partial(hashlib.blake2b, digest_size=8)
    digests = b"".join([new(key.encode("utf-8", "surrogatepass")).digest() for key in places])
    return np.frombuffer(digests, "<u8").astype(np.uint64)[which]


def save_places(folder: Path, keys: npt.NDArray[np.uint64], sizes: npt.NDArray[np.uint64]) -> None:
    """The table of one part: hashes of keys, and places of the rows, which have so many bytes and stand in order."""
    table = np.zeros(len(keys), PLACE)
    table["offset"], table["bytes"] = np.cumsum(sizes) - sizes, sizes
    np.save(folder / KEYS, keys)
    np.save(folder / PLACES, table)


def merge_places(parts: Sequence[Path], folder: Path, rows_at_once: int = _ROWS_AT_ONCE) -> None:
    """One table sorted by key; rows with equal keys keep their order.

    Keys are uniform hashes, so that equal ranges of them hold about as many rows each: one range of about
    `rows_at_once` rows after the other is picked out of the parts, sorted and written. A single key never parts.
    """
    rows = sum(len(np.load(part / KEYS, mmap_mode="r")) for part in parts)
    bits = max(0, (rows - 1) // rows_at_once).bit_length()
    firsts = [np.empty(0, np.uint64)]
    done = 0
    with open(folder / SORTED_KEYS, "wb") as keys_file, open(folder / SORTED_PLACES, "wb") as places_file:
        for number in range(1 << bits):
            keys, places = _range_of(parts, number, bits)
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            keys.tofile(keys_file)
            places[order].tofile(places_file)
            firsts.append(keys[-done % BLOCK :: BLOCK].copy())  # and not the whole range with it
            done += len(keys)
    np.save(folder / FIRSTS, np.concatenate(firsts))


def _range_of(parts: Sequence[Path], number: int, bits: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.void]]:
    """Rows whose keys begin with the `bits` bits of `number`, in the order of the parts."""
    keys, places = [np.empty(0, np.uint64)], [np.empty(0, PLACE)]
    for part, path in enumerate(parts):
        own = np.load(path / KEYS)
        within = np.flatnonzero(own >> np.uint64(64 - bits) == number) if bits else np.arange(len(own))
        keys.append(own[within])
        found = np.load(path / PLACES)[within]
        found["part"] = part
        places.append(found)
    return np.concatenate(keys), np.concatenate(places)


class Lookup:
    """Rows whose `field` equals a key, in the order in which they stand in their parts.

    No file stays open or mapped: the pages of a map would count as memory of each process that has touched them.

    Args:
        table: folder that `merge_places` wrote.
        rows: the files of rows, one for each part: JSON without spaces, in which `field` comes first.
    """

    def __init__(self, table: Path, rows: Sequence[Path], field: str):
        self._table = table
        self._firsts: npt.NDArray[np.uint64] = np.load(table / FIRSTS)
        self._parts = list(rows)
        self._begin = b"{" + to_json(field) + b":"

    def lines(self, keys: Sequence[str]) -> list[list[bytes]]:
        """Of each key its rows as they stand, with their line ends."""
        firsts, counts = self._ranges(key_hashes(keys))
        rows = iter(self._rows(self._places(firsts, counts)))
        found: list[list[bytes]] = []
        for key, count in zip(keys, counts.tolist(), strict=True):
            found.append([])
            if count:
                begin = self._begin + to_json(key)
                found[-1] = [line for line in islice(rows, count) if line.startswith(begin)]
        return found

    def _ranges(self, wanted: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where in the table the rows of each key begin, and how many they are."""
        if not len(self._firsts):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
        # The first row of a key stands in the last block that begins below it, or at that block's end; the last one in
        # the last block that does not begin above it.
        low = np.maximum(np.searchsorted(self._firsts, wanted, "left") - 1, 0)
        high = np.maximum(np.searchsorted(self._firsts, wanted, "right") - 1, 0)
        blocks = np.unique(np.concatenate((low, high)))
        read = _read(self._table / SORTED_KEYS, ((block * BLOCK * 8, BLOCK * 8) for block in blocks.tolist()))
        keys = np.frombuffer(b"".join(read), np.uint64)
        # Blocks left out before one's own shift what is found among those that were read.
        firsts = (low - np.searchsorted(blocks, low)) * BLOCK + np.searchsorted(keys, wanted, "left")
        ends = (high - np.searchsorted(blocks, high)) * BLOCK + np.searchsorted(keys, wanted, "right")
        return firsts, ends - firsts

    def _places(self, firsts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
        ranges = zip((firsts * PLACE.itemsize).tolist(), (counts * PLACE.itemsize).tolist(), strict=True)
        read = _read(self._table / SORTED_PLACES, ((offset, size) for offset, size in ranges if size))
        return np.frombuffer(b"".join(read), PLACE)

    def _rows(self, places: npt.NDArray[np.void]) -> list[bytes]:
        """The rows at these places, read in the order in which they stand on the disk."""
        rows = [b""] * len(places)
        if not rows:
            return rows
        order = np.lexsort((places["offset"], places["part"]))
        parts = places["part"][order]
        starts = places["offset"][order].astype(np.int64)
        ends = starts + places["bytes"][order]
        apart = (parts[1:] != parts[:-1]) | (starts[1:] > ends[:-1] + _GAP_BYTES)
        heads = np.concatenate(([0], np.flatnonzero(apart) + 1))
        tails = np.append(heads[1:], len(rows))
        pieces = np.stack((starts[heads], ends[tails - 1] - starts[heads]), axis=1)
        bounds = np.searchsorted(parts[heads], np.arange(len(self._parts) + 1)).tolist()
        within = iter(zip(order.tolist(), starts.tolist(), ends.tolist(), strict=True))
        lengths = (tails - heads).tolist()
        for part, (begin, end) in enumerate(pairwise(bounds)):
            if begin == end:
                continue
            own = pieces[begin:end].tolist()
            for (offset, _), length, piece in zip(own, lengths[begin:end], _read(self._parts[part], own), strict=True):
                for row, start, stop in islice(within, length):
                    rows[row] = piece[start - offset : stop - offset]
        return rows


def _read(path: Path, ranges: Iterable[Sequence[int]]) -> list[bytes]:
    """Pieces of a file, each an offset and a size in bytes."""
    with open(path, "rb", buffering=0) as stream:
        number = stream.fileno()
        return [os.pread(number, size, offset) for offset, size in ranges]
