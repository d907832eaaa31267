"""The peers of the dedup benchmark, each by its documented way; each returns which rows it calls duplicates."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from dedup_corpus import SHARD, text_of


def peer_texts(paths: list[Path], count: int) -> list[str]:
    texts: list[str] = []
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                if len(texts) == count:
                    return texts
                texts.append(text_of(line))
    return texts


def string_grams(text: str) -> list[str]:
    plain = "".join(char for char in text if char.isalnum())
    return [plain[i : i + 5] for i in range(len(plain) - 4)]


def rensa_alone(paths: list[Path], count: int) -> np.ndarray:
    """Its batch interface on lists of strings; flags are of candidates, without a check."""
    from rensa import RMinHash, RMinHashLSH

    texts = peer_texts(paths, count)
    index = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16)
    flags: list[bool] = []
    matrices = []
    for first in range(0, len(texts), 10_000):
        part = [string_grams(text) for text in texts[first : first + 10_000]]
        matrices.append(RMinHash.digest_matrix_from_token_sets(part, 128, 42))
        index.insert_matrix(matrices[-1], first)
    for matrix in matrices:
        flags += index.query_duplicate_flags_matrix(matrix)
    return np.array(flags)


def datasketch_alone(paths: list[Path], count: int) -> np.ndarray:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=0.8, num_perm=128)
    sketches = []
    for row, text in enumerate(peer_texts(paths, count)):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([gram.encode() for gram in string_grams(text)])
        index.insert(row, sketch)
        sketches.append(sketch)
    return np.array([len(index.query(sketch)) > 1 for sketch in sketches])


DATATROVE = """
import sys, time
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

def main():
    source, work, language, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=16, hashes_per_bucket=8)
    reader = lambda: JsonlReader(source, text_key="text", id_key="id")
    steps = [
        ([reader(), MinhashDedupSignature(f"{work}/sig", config=config, language=language)], workers),
        ([MinhashDedupBuckets(f"{work}/sig", f"{work}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config=config)], 1),
        ([reader(), MinhashDedupFilter(f"{work}/remove"), JsonlWriter(f"{work}/kept", compression=None)], workers),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers, logging_dir=f"{work}/log{number}").run()

if __name__ == "__main__":
    main()
"""


def datatrove_alone(paths: list[Path], count: int, python: Path, language: str, workers: int) -> np.ndarray:
    """Its four steps in its own environment; flags are of the rows that it removed."""
    with tempfile.TemporaryDirectory() as folder:
        source, work = Path(folder, "source"), Path(folder, "work")
        source.mkdir()
        lines = [line for path in paths[: -(-count // SHARD)] for line in path.read_bytes().splitlines(True)][:count]
        for part in range(workers):
            with (source / f"{part}.jsonl").open("w", encoding="utf-8") as out:
                for line in lines[part::workers]:
                    row = {"id": json.loads(line)["id"], "text": text_of(line)}
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
        script = Path(folder, "run.py")
        script.write_text(DATATROVE, encoding="utf-8")
        command = [str(python), str(script), str(source), str(work), language, str(workers)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"datatrove failed:\n{done.stderr[-2000:]}")
        kept = {json.loads(line)["id"] for path in (work / "kept").glob("*") for line in path.open(encoding="utf-8")}
    return np.array([f"d{row}" not in kept for row in range(count)])


def peers(args: argparse.Namespace) -> Iterator[tuple[str, int, Callable[[list[Path], int], np.ndarray]]]:
    count = args.peer_documents
    if count:
        yield "rensa (candidates, 1 process)", min(5 * count, args.documents), rensa_alone
        yield "datasketch (candidates, 1 process)", count, datasketch_alone
        if args.datatrove:
            run = partial(datatrove_alone, python=args.datatrove, workers=args.processes)
            yield f"datatrove cmn_Hani ({args.processes} workers)", count, partial(run, language="cmn_Hani")
            yield f"datatrove zho ({args.processes} workers)", count, partial(run, language="zho")
