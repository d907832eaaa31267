"""The one step that sees all shards: which dialogues are the same one, and which nearly.

It reads arrays of numbers, and texts only of pairs that may be near duplicates, so it needs about 100 bytes a dialogue.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from data_recipes.cleaning.duplicates import Clusters, KeysOnDisk, Texts, clusters
from data_recipes.cleaning.plan import Plan
from data_recipes.cleaning.workspace import Workspace
from data_recipes.errors import DataError
from data_recipes.readers.shards import Shard
from tianjing.files import SKIP_HINT

JOIN = "join"
DIALOGUES, EVENTS, TRAIL, QUARANTINE = "dialogues.jsonl", "events.jsonl", "trail.jsonl", "quarantine.jsonl"
# What a shard of cleaned dialogues leaves, and for the join an entry a dialogue, in the order of the source; `ENDS` has
# for each file the place where the dialogue's part of it ends.
CLEANED = (DIALOGUES, TRAIL, EVENTS, QUARANTINE)
IDS, CUSTOMERS, KEPT, KEYS, ENDS = "ids.npy", "customers.npy", "kept.npy", "keys.npy", "ends.npy"
# The sessions of dialogues that were cut: their number among the dialogues of the shard, the hash of the dialogue's id,
# which part of it they are, and whether something was logged in them. The join chooses one for the outcomes.
PARTS, OUTCOMES_OF = "parts.npy", "outcomes-of.npy"
PART = np.dtype([("row", "<i8"), ("of", "<u8"), ("part", "<i8"), ("logged", "?")])
# What the join says: 0 for a dialogue that stays, else why it goes; and its number among all.
VERDICTS, DUPLICATES = "verdicts.npy", "duplicates.jsonl"
STAYS, SAME_ID, SAME_WORDS = 0, 1, 2

# Fewer are compared sooner than worker processes start.
_FEW_ROWS = 20_000

Int64 = npt.NDArray[np.int64]


class Candidates:
    """The cleaned dialogues of all shards, numbered through; their texts stay on disk."""

    def __init__(self, work: Workspace, phase: str, count: int):
        self.folders = [work.folder(phase, number) for number in range(count)]
        sizes = [len(self._load(number, IDS)) for number in range(count)]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def _load(self, shard: int, name: str) -> npt.NDArray[Any]:
        return np.load(self.folders[shard] / name, mmap_mode="r")

    def parts(self) -> npt.NDArray[np.void]:
        """The sessions of all dialogues that were cut (`PART`), numbered through as these are."""
        found = [np.array(self._load(shard, PARTS)) for shard in range(len(self.folders))]
        for own, start in zip(found, self.starts.tolist(), strict=False):
            own["row"] += start
        return np.concatenate([np.empty(0, PART), *found])

    def column(self, name: str) -> npt.NDArray[Any]:
        """One array over all shards."""
        parts = [self._load(shard, name) for shard in range(len(self.folders))]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)

    def keys(self, wanted: npt.NDArray[np.bool_]) -> list[KeysOnDisk]:
        """MinHash keys, shard by shard, of the dialogues wanted."""
        bounds = zip(self.folders, self.starts[:-1], self.starts[1:], strict=True)
        return [KeysOnDisk(folder / KEYS, wanted[start:end]) for folder, start, end in bounds]

    def lines(self, rows: Int64, place: int = 0) -> Iterator[bytes]:
        """What the dialogues of these numbers left in a file of `CLEANED`, in that order."""
        opened: dict[int, tuple[int, npt.NDArray[np.int64]]] = {}
        try:
            for row in rows.tolist():
                shard = int(np.searchsorted(self.starts, row, "right")) - 1
                if shard not in opened:
                    path = self.folders[shard] / CLEANED[place]
                    opened[shard] = os.open(path, os.O_RDONLY), self._load(shard, ENDS)[:, place]
                descriptor, ends = opened[shard]
                own = row - int(self.starts[shard])
                start = int(ends[own - 1]) if own else 0
                yield os.pread(descriptor, int(ends[own]) - start, start)
        finally:
            for descriptor, _ in opened.values():
                os.close(descriptor)


def join(work: Workspace, index: int, folder: Path) -> None:
    """Verdicts over all dialogues, and who is a near duplicate of whom.

    Of dialogues with one id, and of dialogues of one customer with the same words, the first stays.
    """
    plan = Plan.of(work)
    candidates = Candidates(work, "clean", len(plan.dialogues))
    verdicts = np.zeros(int(candidates.starts[-1]), dtype=np.uint8)
    verdicts[_later(candidates.column(IDS))] = SAME_ID
    # A row with an id that stood before is bad as a whole, also where it has more sessions than the first one.
    parts = candidates.parts()
    bad = parts[verdicts[parts["row"] - parts["part"] + 1] == SAME_ID]
    verdicts[bad["row"]] = SAME_ID
    wanted = (verdicts == STAYS) & candidates.column(KEPT).astype(bool)
    rows = np.flatnonzero(wanted)
    with _mapped(len(rows)) as apply:
        found: Clusters = clusters(candidates.keys(wanted), _texts(candidates, rows), plan.config.duplicates, apply)
    customers = candidates.column(CUSTOMERS)[rows]
    same = _later(np.stack([customers, found.exact.astype(np.uint64)]))
    verdicts[rows[same]] = SAME_WORDS
    np.save(folder / VERDICTS, verdicts)
    near = np.flatnonzero((found.near != np.arange(len(rows))) & (verdicts[rows] == STAYS))
    with open(folder / DUPLICATES, "w", encoding="utf-8", newline="\n") as stream:
        pairs = zip(*(map(from_json, candidates.lines(rows[one])) for one in (near, found.near[near])), strict=True)
        for later, first in pairs:
            stream.write(json.dumps({"id": later["id"], "first": first["id"]}, ensure_ascii=False) + "\n")
    bad_rows = np.setdiff1d(np.flatnonzero(verdicts == SAME_ID), bad["row"][bad["part"] > 1])
    _reject_same_ids(plan, candidates, bad_rows, folder)
    stay = wanted & (verdicts == STAYS)
    np.save(folder / OUTCOMES_OF, _with_outcomes(parts[stay[parts["row"]]]))
    ids = candidates.column(IDS)
    np.save(folder / "known.npy", np.unique(ids))
    np.save(folder / "gone.npy", np.setdiff1d(ids[~stay], ids[stay]))


def _with_outcomes(parts: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Of each dialogue the session that has its outcomes: the last one in which something was logged, else the last.

    One promise kept is one outcome. Where the agent logged something stand the reason and the acts that practices
    compare; a thank-you the next day is no case.
    """
    ordered = parts[np.lexsort((parts["part"], parts["logged"], parts["of"]))]
    is_last = np.ones(len(ordered), np.bool_)
    is_last[:-1] = ordered["of"][1:] != ordered["of"][:-1]
    return ordered[is_last]


def _reject_same_ids(plan: Plan, candidates: Candidates, rows: Int64, folder: Path) -> None:
    """Dialogues whose id an earlier one has are bad rows, kept as they stand in their file (of Parquet: cleaned).

    Raises:
        DataError: the plan is to stop at a bad row.
    """
    ids = candidates.column(IDS)
    order = np.argsort(ids, kind="stable")
    with open(folder / "rejected.jsonl", "w", encoding="utf-8", newline="\n") as stream:
        firsts = order[np.searchsorted(ids[order], ids[rows])]
        trails = (map(from_json, candidates.lines(some, CLEANED.index(TRAIL))) for some in (firsts, rows))
        for first, later, dialogue in zip(*trails, candidates.lines(rows), strict=True):
            where = {name: later[name] for name in ("file", "line", "offset", "bytes")}
            error = f"field 'id': '{later['id']}' already stands on line {first['line']}"
            if plan.on_error == "stop":
                raise DataError(f"{plan.dialogues[0].path}:{where['line']}: {error}", SKIP_HINT)
            text = _source_text(plan.dialogues[0], where) or json.dumps(
                from_json(dialogue)["turns"], ensure_ascii=False
            )
            row = {**where, "error": error, "text": text}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _source_text(shard: Shard, where: dict[str, Any]) -> str:
    if shard.format not in ("jsonl", "csv"):
        return ""
    with open(shard.path, "rb") as stream:
        stream.seek(where["offset"])
        return stream.read(where["bytes"]).decode(shard.encoding, errors="replace").rstrip("\r\n")


def spoken(dialogue: dict[str, Any]) -> str:
    """The words of a cleaned dialogue, as near duplicates are compared."""
    return "\n".join(turn["text"] for turn in dialogue["turns"])


def _texts(candidates: Candidates, rows: Int64) -> Texts:
    def texts(places: Int64) -> Sequence[str]:
        return [spoken(from_json(line)) for line in candidates.lines(rows[places])]

    return texts


def _later(keys: npt.NDArray[np.uint64]) -> Int64:
    """Numbers of the entries whose key (a column, where there are several) an earlier entry has."""
    columns = np.atleast_2d(keys)
    order = np.lexsort(columns[::-1])  # stable: of equal keys the first comes first
    ordered = columns[:, order]
    again = (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)
    return np.sort(order[1:][again])


@contextmanager
def _mapped(rows: int) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]]:
    """`map` over the cores, where it pays; plain `map` in a worker of a pool, which may have no workers of its own."""
    cores = len(os.sched_getaffinity(0))
    if rows < _FEW_ROWS or cores == 1 or multiprocessing.current_process().daemon:
        yield map
        return
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("forkserver")) as pool:
        yield pool.map
