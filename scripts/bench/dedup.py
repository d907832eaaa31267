"""Near duplicates: seconds, peak memory and recall by Jaccard index on planted pairs, beside three peers.

    python scripts/bench/dedup.py --data DATA --documents 1000000 --datatrove /path/to/its/venv/bin/python
    python scripts/bench/dedup.py --data DATA --documents 200000 --scripts /tmp/raw/dialogues.jsonl

Dialogues of about 290 characters are put together from turns of CrossWOZ and sentences of statutes under --data, with
their numbers changed, and written as JSON Lines. One in 20 is an edited copy of another one; its Jaccard index of
character 5-grams is counted here with sets of strings, not with the code under test. With --scripts each dialogue has
the agent's words of one of 10 calls of that file (of `tianjing simulate`) and short answers of its customers: the case
where most rows share buckets. Ours: read, keys, check, clusters on --processes. The peers (rensa, datasketch,
datatrove) run on smaller corpora made the same way and are compared by their rate. Exit 1 if recall at 0.8 and above is
under 0.95 or a merge is false.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import re
import resource
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from dedup_corpus import SHARD, Planted, corpus, grams, material, text_of
from dedup_peers import peers

from data_recipes.cleaning.config import DuplicatesConfig
from data_recipes.cleaning.duplicates import Clusters, Int64, clusters
from data_recipes.cleaning.minhash import row_keys

BINS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0001)
WANTED_RECALL = 0.95


def shard_keys(path: Path) -> None:
    """Map: keys of one shard, and where its lines begin."""
    offsets = [0]

    def texts() -> Iterator[str]:
        with path.open("rb") as lines:
            for line in lines:
                offsets.append(offsets[-1] + len(line))
                yield text_of(line)

    np.save(path.with_suffix(".npy"), row_keys(texts()))
    np.save(path.with_suffix(".offsets.npy"), np.array(offsets))


class Reader:
    """Texts of rows, read again from their lines."""

    def __init__(self, paths: list[Path]):
        self._files = [path.open("rb") for path in paths]
        self._offsets = [np.load(path.with_suffix(".offsets.npy")) for path in paths]

    def __call__(self, rows: Int64) -> list[str]:
        return [text_of(self.line(int(row))) for row in rows]

    def line(self, row: int) -> bytes:
        shard, place = divmod(row, SHARD)
        begin, end = self._offsets[shard][place : place + 2].tolist()
        self._files[shard].seek(begin)
        return self._files[shard].read(end - begin)


def ours(paths: list[Path], processes: int, jaccard: float) -> tuple[Clusters, Reader, dict[str, float]]:
    begin = time.perf_counter()
    with multiprocessing.Pool(processes) as pool:
        pool.map(shard_keys, paths, chunksize=1)
        keyed = time.perf_counter()
        keys = [np.load(path.with_suffix(".npy"), mmap_mode="r") for path in paths]
        reader = Reader(paths)
        found = clusters(keys, reader, DuplicatesConfig(jaccard=jaccard), pool.imap)
    end = time.perf_counter()
    return found, reader, {"read and keys": keyed - begin, "check and clusters": end - keyed, "total": end - begin}


class Cost(threading.Thread):
    """Of this process and its children: wall and core seconds, and the peak of the sum of proportional set sizes.

    Memory is sampled ten times a second. Core seconds stand for a busy machine, where wall seconds say little.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib = self.seconds = self.core_seconds = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            self.mib = max(self.mib, sum(map(_pss_mib, _tree(os.getpid()))))

    def __enter__(self) -> Cost:
        self.start()
        self._begin, self._cores = time.perf_counter(), _core_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.core_seconds = time.perf_counter() - self._begin, _core_seconds() - self._cores
        self._done.set()
        self.join()


def _core_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _tree(process: int) -> list[int]:
    found = [process]
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [one for child in children.read_text().split() for one in _tree(int(child))]
        except OSError:  # ended meanwhile
            continue
    return found


def _pss_mib(process: int) -> float:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    match = re.search(r"^Pss:\s+(\d+)", rollup, re.M)
    return int(match[1]) / 1024 if match else 0.0


def false_merges(found: Clusters, reader: Reader, jaccard: float) -> int:
    """Rows in a cluster that reach the index with no other row of it, by sets of strings."""
    members: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.bincount(found.near, minlength=len(found.near))[found.near] > 1).tolist():
        members[int(found.near[row])].append(row)
    wrong = 0
    for rows in members.values():
        if len(rows) > 50:
            rows = random.Random(0).sample(rows, 50)
        sets = [grams(text) for text in reader(np.array(rows))]
        for place, own in enumerate(sets):
            best = max(len(own & o) / len(own | o) for other, o in enumerate(sets) if other != place)
            wrong += best < jaccard - 1e-9
    return wrong


def by_bin(planted: list[Planted], hit: Callable[[int, int], bool]) -> list[tuple[int, float]]:
    """(pairs, recall) of each bin of Jaccard index, and last of all pairs at 0.8 and above."""
    pairs = np.array([index for _, _, index in planted])
    found = np.array([hit(row, source) for row, source, _ in planted], dtype=bool)
    masks = [(pairs >= low) & (pairs < high) for low, high in pairwise(BINS)] + [pairs >= 0.8]
    return [(int(mask.sum()), float(found[mask].mean()) if mask.any() else float("nan")) for mask in masks]


def row_of(name: str, documents: int, cost: Cost, slower: float, bins: list[tuple[int, float]]) -> str:
    recalls = "".join(f"{recall:11.3f}" for _, recall in bins)
    per_document = f"{documents / cost.seconds:8,.0f} {cost.core_seconds / documents * 1e6:9,.0f}"
    return f"{name:34} {documents:9,} {cost.seconds:8.1f} {per_document} {slower:7.1f} {cost.mib:7,.0f}{recalls}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds crosswoz and laws-cn")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument(
        "--scripts", type=Path, help="dialogues.jsonl whose calls are the scripts of a template-heavy corpus"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--jaccard", type=float, default=0.8)
    parser.add_argument(
        "--peer-documents", type=int, default=20_000, help="0 leaves the peers out; rensa gets five times that"
    )
    parser.add_argument(
        "--datatrove", type=Path, help="Python of an environment with datatrove[io,processing], spacy, jieba"
    )
    parser.add_argument(
        "--work", type=Path, help="folder for the corpus, some 2 GB a million; without it, a temporary one"
    )
    args = parser.parse_args()
    made_of = material(args.data, args.scripts)
    failed = False
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        begin = time.perf_counter()
        paths, planted = corpus(made_of, Path(folder, "ours"), args.documents, args.processes)
        size = sum(path.stat().st_size for path in paths)
        print(
            f"machine  {platform.processor() or platform.machine()}, {os.cpu_count()} processors; Python"
            f" {platform.python_version()}, numpy {np.__version__}; {args.processes} processes"
        )
        print(
            f"corpus   {args.documents:,} dialogues, {size / 2**20:,.0f} MiB, {len(planted):,} planted pairs,"
            f" made in {time.perf_counter() - begin:.0f} s (not counted)"
        )
        names = ["-".join(f"{edge:.2f}" for edge in edges) for edges in pairwise(BINS)] + [">=0.8"]
        with Cost() as cost:
            found, reader, seconds = ours(paths, args.processes, args.jaccard)
        bins = by_bin(planted, lambda row, source: bool(found.near[row] == found.near[source]))
        print("stages   " + "  ".join(f"{stage} {value:.1f} s" for stage, value in seconds.items()))
        near = int((found.near != np.arange(args.documents)).sum())
        wrong = false_merges(found, reader, args.jaccard)
        print(
            f"found    {near:,} duplicates of an earlier row; {found.candidates:,} candidates checked,"
            f" {found.confirmed:,} confirmed; {wrong} false merges; largest cluster {np.bincount(found.near).max():,}"
        )
        print("pairs    " + "  ".join(f"{name} {count:,}" for name, (count, _) in zip(names, bins, strict=True)))
        rate = args.documents / cost.seconds
        columns = "".join(f"{name:>11}" for name in names)
        print(
            f"{'recall by Jaccard index':34} {'documents':>9} {'seconds':>8} {'docs/s':>8} {'core-µs/d':>9}"
            f" {'ours ×':>7} {'MiB PSS':>7}{columns}"
        )
        print(row_of("tianjing", args.documents, cost, 1.0, bins), flush=True)
        failed = wrong > 0 or bins[-1][1] < WANTED_RECALL
        for number, (name, count, run) in enumerate(peers(args)):
            small, pairs = corpus(made_of, Path(folder, f"peer-{number}"), count, args.processes)
            with Cost() as cost:
                flags = run(small, count)
            hits = by_bin(pairs, lambda row, source, flags=flags: bool(flags[row] or flags[source]))
            print(row_of(name, count, cost, rate * cost.seconds / count, hits), flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
