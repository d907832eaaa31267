"""Rows of a large file by key, from disk: events of a case, the record of a customer.

Beside the rows (JSON Lines) stands a sorted table of key hashes and places, mapped into memory and shared by all
workers: 24 bytes a row instead of the row.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

PLACE = np.dtype([("offset", "<u8"), ("bytes", "<u4"), ("part", "<u4")])
KEYS, PLACES = "keys.npy", "places.npy"


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


def merge_places(parts: Sequence[Path], folder: Path) -> None:
    """One table sorted by key; rows with equal keys keep their order."""
    keys = np.concatenate([np.empty(0, np.uint64), *(np.load(part / KEYS) for part in parts)])
    places = np.concatenate([np.empty(0, PLACE), *(np.load(part / PLACES) for part in parts)])
    places["part"] = np.repeat(
        np.arange(len(parts), dtype=np.uint32), [len(np.load(part / KEYS, mmap_mode="r")) for part in parts]
    )
    order = np.argsort(keys, kind="stable")
    np.save(folder / KEYS, keys[order])
    np.save(folder / PLACES, places[order])


class Lookup:
    """Rows whose `field` equals a key, in the order in which they stand in their parts.

    Args:
        table: folder that `merge_places` wrote.
        rows: the files of rows, one for each part: JSON without spaces, in which `field` comes first.
    """

    def __init__(self, table: Path, rows: Sequence[Path], field: str):
        # Arrays over the maps: a slice of a map of numpy's own costs several times as much.
        self._keys = np.asarray(np.load(table / KEYS, mmap_mode="r"))
        self._places: npt.NDArray[np.void] = np.asarray(np.load(table / PLACES, mmap_mode="r"))
        self._parts = [_mapped(path) for path in rows]
        self._begin = b"{" + to_json(field) + b":"

    def lines(self, keys: Sequence[str]) -> list[list[bytes]]:
        """Of each key its rows as they stand, with their line ends."""
        wanted = key_hashes(keys)
        firsts = np.searchsorted(self._keys, wanted, "left")
        counts = np.searchsorted(self._keys, wanted, "right") - firsts
        before = np.cumsum(counts) - counts
        rows = np.arange(counts.sum()) + np.repeat(firsts - before, counts)
        places = iter(self._places[rows].tolist())
        found: list[list[bytes]] = []
        for key, count in zip(keys, counts.tolist(), strict=True):
            found.append([])
            if count:
                begin = self._begin + to_json(key)
                lines = [self._parts[part][offset : offset + size] for offset, size, part in islice(places, count)]
                found[-1] = [line for line in lines if line.startswith(begin)]
        return found


def _mapped(path: Path) -> mmap.mmap | bytes:
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
