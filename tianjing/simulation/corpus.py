"""The sample corpus: shards written by any number of processes, joined in their order, moved into place at the end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import get_args

from tianjing.errors import TianjingError
from tianjing.lineage import staged
from tianjing.simulation import agents, structural
from tianjing.simulation.planted import SITUATIONS, Surface
from tianjing.simulation.policies import SOURCES, source
from tianjing.simulation.shard import FILES, Shard, write_shard
from tianjing.simulation.sites import SITES

MIN_CASES = 20
SHARD_CASES = 2000  # at most; a smaller corpus is one shard
TRUTH = "truth.json"


class SimulationError(TianjingError):
    """A corpus that cannot be written as asked."""


def simulate(
    out: Path,
    cases: int,
    seed: int,
    surface: Surface = "both",
    workers: int | None = None,
    on_cases: Callable[[int], None] = lambda done: None,
) -> dict[str, int]:
    """Write the raw folder `out` with its rules, `truth.json` and `truth/`; returns the number of rows by file.

    The same `cases`, `seed` and `surface` give the same bytes, whatever `workers` is. An earlier corpus at `out` is
    replaced when the new one is complete.

    Args:
        cases: number of dialogues, duplicates included; at least 20.
        surface: the way of speaking: `a` (site east), `b` (site west, another dialect), or `both`, 70 to 30.
        workers: processes; without it, one for each processor.
        on_cases: called with the number of dialogues done so far.

    Raises:
        SimulationError: a wrong argument, `out` holds something else, or a process was killed.
        TianjingError: the disk is full, or `out` may not be written to.
    """
    _check(out, cases, surface, workers)
    shards = _shards(cases, seed, surface)
    rows: Counter[str] = Counter()
    done = 0
    with staged(out) as folder:
        (folder / "truth").mkdir()
        with ExitStack() as stack:
            files = {name: stack.enter_context(open(folder / name, "wb")) for name in FILES}
            written = stack.enter_context(_written(shards, workers or len(os.sched_getaffinity(0))))
            for shard, lines in zip(shards, written, strict=True):
                for name, data in lines.items():
                    files[name].write(data)
                    rows[name] += data.count(b"\n")
                done += shard.cases
                on_cases(done)
        _write_rules(folder / "rules")
        (folder / TRUTH).write_text(_truth(cases, seed, surface), encoding="utf-8")
    return dict(rows)


def _check(out: Path, cases: int, surface: str, workers: int | None) -> None:
    if cases < MIN_CASES:
        raise SimulationError(f"--cases {cases}: too few for a corpus", f"ask for at least {MIN_CASES}")
    if surface not in get_args(Surface):
        raise SimulationError(f"--surface {surface}: no such surface", f"choose from {', '.join(get_args(Surface))}")
    if workers is not None and workers < 1:
        raise SimulationError(f"--workers {workers}: no process to write with", "give 1 or more, or leave it out")
    if out.exists() and not out.is_dir():
        raise SimulationError(f"{out}: is a file; a folder is to be written here", "give --out another name")
    if out.is_dir() and any(out.iterdir()) and not (out / TRUTH).is_file():
        raise SimulationError(
            f"{out}: holds files but no {TRUTH}, so it is no earlier corpus and is not replaced",
            "give --out another folder, or move this one away",
        )


def _shards(cases: int, seed: int, surface: Surface) -> list[Shard]:
    """As few shards as hold the cases, as even as can be."""
    count = -(-cases // SHARD_CASES)
    ends = [cases * number // count for number in range(count + 1)]
    return [Shard(seed, number, start + 1, end - start, surface) for number, (start, end) in enumerate(pairwise(ends))]


@contextmanager
def _written(shards: list[Shard], workers: int) -> Iterator[Iterable[dict[str, bytes]]]:
    """The shards' lines in order, from as many processes as there is work for."""
    processes = min(workers, len(shards))
    if processes == 1:
        yield map(write_shard, shards)
        return
    # Fresh processes: a fork would copy the thread that shows the progress.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _follow_parent)
    try:
        yield pool.map(write_shard, shards)
    except BrokenProcessPool:
        raise SimulationError(
            "a process that wrote a part of the corpus was killed, perhaps for its memory",
            "give fewer --workers, or free memory",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """In a new process: leave Ctrl-C to the parent, and end with it, also when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by the pool"

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write_rules(folder: Path) -> None:
    """The six policies as Markdown."""
    folder.mkdir()
    for prefix in SOURCES:
        text = source(prefix)
        (folder / f"{text.splitlines()[0].removeprefix('# ')}.md").write_text(text, encoding="utf-8")


def _truth(cases: int, seed: int, surface: Surface) -> str:
    """truth.json: the parameters of what was planted; `truth/` holds what concerns one row."""
    hired = [agent for site in SITES.values() for agent in agents.hire(site.agents, seed)]
    value = {
        "cases": cases,
        "seed": seed,
        "surface": surface,
        "working_acts": {name: situation.act for name, situation in SITUATIONS.items()},
        "model": structural.parameters(),
        "agents": {agent.id: {"senior": agent.senior, "style": agent.style, "effect": agent.effect} for agent in hired},
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
