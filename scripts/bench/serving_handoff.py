"""Hand-off: how well signals are read, how often they alarm for nothing, and what the desk costs.

    python scripts/bench/serving_handoff.py --set FILE.jsonl --woz ../shared/data/crosswoz --cost [--postgres CONNINFO]

A labelled message is one JSON object a line: {"text": ..., "signals": [kinds]}; an empty list means that the model may
answer. A kind counts as found when it is among the signals; "any" asks only whether a person is called at all, which
is what the customer notices. CrossWOZ is talk of travellers about hotels and sights: every signal in it is a false
alarm. `--cost` measures the desk's stores on this machine: the look-up that every request with a session waits for,
and the durable opening of a case. Exit 1 when any-recall or any-precision of a set is below 0.90.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from serving.handoff.case import new_case
from serving.handoff.desk import Talk
from serving.handoff.local import LocalDesk
from serving.handoff.postgres import PostgresQueue
from serving.handoff.settings import HandoffSettings
from serving.handoff.signals import KINDS, detect
from serving.handoff.sqlite import CaseQueue
from serving.handoff.store import CaseStore

WANTED = 0.90
# What those who label may call a kind.
ALSO_CALLED = {"wants_person": "human_wanted"}


def labelled(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Messages with their kinds; stops at a kind that nobody knows."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        kinds = frozenset(ALSO_CALLED.get(name, name) for name in row["signals"])
        if unknown := kinds - set(KINDS):
            sys.exit(f"{path}:{number}: unknown kinds {sorted(unknown)}; known are {', '.join(KINDS)}")
        yield row["text"], kinds


def score(path: Path, show_wrong: bool) -> bool:
    """Print the table of one set; whether it is good enough."""
    hits: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    rows = list(labelled(path))
    for text, wanted in rows:
        found = frozenset(signal.kind for signal in detect(text))
        for kind in wanted | found:
            (hits if kind in wanted and kind in found else missed if kind in wanted else wrong)[kind] += 1
        if wanted or found:
            (hits if wanted and found else missed if wanted else wrong)["any"] += 1
        if show_wrong and wanted != found:
            print(f"  wanted {sorted(wanted)} found {sorted(found)}: {text}")
    print(f"\n{path.name}: {len(rows)} messages, {sum(not wanted for _, wanted in rows)} of them for the model")
    print(f"{'kind':18} {'messages':>8} {'recall':>7} {'precision':>9}")
    for kind in (*KINDS, "any"):
        total, said = hits[kind] + missed[kind], hits[kind] + wrong[kind]
        print(f"{kind:18} {total:8} {_share(hits[kind], total):>7} {_share(hits[kind], said):>9}")
    total, said = hits["any"] + missed["any"], hits["any"] + wrong["any"]
    return hits["any"] >= WANTED * total and hits["any"] >= WANTED * said


def false_alarms(folder: Path, show_wrong: bool) -> None:
    """Count signals in the user turns of CrossWOZ (val.json.zip, test.json.zip)."""
    turns = []
    for archive in sorted(folder.glob("*.json.zip")):
        with zipfile.ZipFile(archive) as opened:
            dialogues = json.loads(opened.read(opened.namelist()[0]))
        turns += [m["content"] for d in dialogues.values() for m in d["messages"] if m["role"] == "usr"]
    began = time.process_time()
    found = [(text, detect(text)) for text in turns]
    spent = (time.process_time() - began) / max(1, len(turns))
    alarms = [(text, signals) for text, signals in found if signals]
    print(f"\nCrossWOZ: {len(alarms)} false alarms in {len(turns)} user turns, {spent * 1e6:.0f} µs of CPU each")
    for text, signals in alarms if show_wrong else ():
        print(f"  {[(signal.kind, signal.words) for signal in signals]}: {text}")


async def _timed(work: Callable[[int], Awaitable[object]], times: int) -> str:
    spent = []
    for i in range(times):
        began = time.perf_counter()
        await work(i)
        spent.append((time.perf_counter() - began) * 1e6)
    spent.sort()
    return f"p50 {statistics.median(spent):8.1f} µs   p99 {spent[int(len(spent) * 0.99)]:8.1f} µs"


async def cost(name: str, store: CaseStore, cases: int) -> None:
    """Look-ups and openings, one after the other, in a store that already holds open cases."""
    desk = LocalDesk(store)
    await desk.open()

    def talk(kind: str, i: int, words: str) -> Talk:
        return Talk("bench", f"{kind}-{started}-{i}", words, (("user", words),), f"{kind}-{started}-{i}")

    started = time.time_ns()
    opening = await _timed(
        lambda i: store.open_case(new_case(talk("open", i, "我要投诉"), ("complaint",), "words", HandoffSettings())),
        cases,
    )
    print(f"\n{name}, {cases} open cases")
    print(f"  open a case, durable           {opening}")
    print(f"  look up a session without one  {await _timed(lambda i: store.with_person('bench', f's{i}'), 3000)}")
    print(f"  desk, request without a case   {await _timed(lambda i: desk.before(talk('no', i, '几号还款')), 3000)}")
    print(f"  desk, message within a case    {await _timed(lambda i: desk.before(talk('open', i, '在吗')), cases)}")
    await desk.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", type=Path, action="append", default=[], help="labelled messages (JSON Lines)")
    parser.add_argument("--woz", type=Path, help="folder with CrossWOZ's val.json.zip and test.json.zip")
    parser.add_argument("--cost", action="store_true", help="measure the stores")
    parser.add_argument("--postgres", help="connection string of a PostgreSQL to measure beside SQLite")
    parser.add_argument("--cases", type=int, default=1000, help="open cases while measuring")
    parser.add_argument("--wrong", action="store_true", help="print every message that is judged otherwise")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    good = [score(path, options.wrong) for path in options.set]
    if options.woz:
        false_alarms(options.woz, options.wrong)
    if options.cost:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(cost("SQLite", CaseQueue(Path(folder) / "handoffs.sqlite"), options.cases))
        if options.postgres:
            asyncio.run(cost("PostgreSQL", PostgresQueue(options.postgres), options.cases))
    sys.exit(0 if all(good) else 1)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "–"


if __name__ == "__main__":
    main()
