"""The phases of the chain, in order: ingest, index, clean, join, finish, rest. See each for what it leaves behind."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from pydantic_core import from_json, to_json

from data_recipes.cleaning import ingest as ingesting
from data_recipes.cleaning.chain import Chain, Cleaned
from data_recipes.cleaning.ingest import INDEX, INGEST, REJECTED, ROWS, lookup, validated, without_collector
from data_recipes.cleaning.join import (
    CUSTOMERS,
    ENDS,
    IDS,
    JOIN,
    KEPT,
    KEYS,
    SAME_ID,
    SAME_WORDS,
    VERDICTS,
    Candidates,
    join,
)
from data_recipes.cleaning.lookup import KEYS as KEYS_OF_ROWS
from data_recipes.cleaning.lookup import key_hash
from data_recipes.cleaning.minhash import row_keys
from data_recipes.cleaning.plan import JOINED, Plan
from data_recipes.cleaning.redaction import CaseLog, redact_events
from data_recipes.cleaning.workspace import Phase, Workspace
from tianjing.privacy import Session
from tianjing.records import Dialogue

CLEAN, FINISH, REST = "clean", "finish", "rest"
DIALOGUES, EVENTS, OUTCOMES = "dialogues.jsonl", "events.jsonl", "outcomes.jsonl"
TRAIL, QUARANTINE, DROPPED, COUNTS = "trail.jsonl", "quarantine.jsonl", "dropped.jsonl", "counts.json"
SECONDS = "seconds.json"
# Dialogues cleaned at a time: RE2 compiles its patterns for each batch, and a batch takes about 20 KB a dialogue.
_BATCH = 8192
# Less material is cleaned sooner than worker processes start.
_LIGHT_BYTES = 8 << 20

Item = TypeVar("Item")


def phases(plan: Plan) -> list[Phase]:
    """All phases of a plan."""
    shards = [*plan.dialogues, *(shard for _, shard in plan.joined)]
    light = sum(os.stat(path).st_size for path in {shard.path for shard in shards}) < _LIGHT_BYTES
    return [
        Phase(INGEST, len(plan.joined), ingesting.ingest, light),
        Phase(INDEX, len(JOINED), ingesting.index, light),
        Phase(CLEAN, len(plan.dialogues), clean, light),
        Phase(JOIN, 1, join, light),
        Phase(FINISH, len(plan.dialogues), finish, light),
        Phase(REST, len(plan.joined), rest, light),
    ]


def clean(work: Workspace, index: int, folder: Path) -> None:
    """One shard of dialogues, cleaned: what it says, and the numbers by which the join compares it with the others."""
    plan = Plan.of(work)
    records = lookup(work, "customers"), lookup(work, "events")
    chain = Chain(plan.config, plan.identity_fields, *records, Path(plan.root))
    ids, customers, kept, ends = [], [], [], []
    keys = []
    end = 0
    with (
        without_collector(),
        open(folder / DIALOGUES, "wb") as written,
        open(folder / REJECTED, "wb") as rejected,
    ):

        def good() -> Iterator[tuple[Dialogue, dict[str, Any]]]:
            for checked in validated(plan, plan.dialogues[index], Dialogue):
                rejected.writelines(to_json(row) + b"\n" for row in checked.rejected)
                yield from zip(checked.records, checked.places, strict=True)

        for batch in batched(good(), _BATCH):
            cleaned = chain.clean(batch)
            keys.append(row_keys(["\n".join(turn.text for turn in item.turns) for item in cleaned]))
            chain.clock.lap("near-duplicate keys")
            for item in cleaned:
                line = to_json(_line(item), exclude_none=True) + b"\n"
                written.write(line)
                end += len(line)
                ids.append(key_hash(item.dialogue.id))
                customers.append(key_hash(item.dialogue.customer))
                kept.append(not item.reason)
                ends.append(end)
            chain.clock.lap("write")
    np.save(folder / IDS, np.array(ids, dtype=np.uint64))
    np.save(folder / CUSTOMERS, np.array(customers, dtype=np.uint64))
    np.save(folder / KEPT, np.array(kept, dtype=np.bool_))
    np.save(folder / ENDS, np.array(ends, dtype=np.int64))
    np.save(folder / KEYS, np.asfortranarray(np.concatenate([row_keys([]), *keys])))
    # Beside the workspace's folder, not in it: times differ from run to run, what is written must not.
    seconds = {step: round(value, 3) for step, value in chain.clock.seconds.items()}
    (work.root / f"{SECONDS}.{index:05d}").write_text(json.dumps(seconds), encoding="utf-8")


def _line(item: Cleaned) -> dict[str, Any]:
    return {
        **item.dialogue.model_dump(exclude={"turns"}),
        "turns": [
            {"speaker": turn.speaker, "text": aligned.text, "at": turn.at}
            for turn, aligned in zip(item.dialogue.turns, item.turns, strict=True)
        ],
        "trail": {**item.where, **item.trail},
        "breaches": item.breaches,
        "events": item.events,
        "reason": item.reason,
    }


def finish(work: Workspace, index: int, folder: Path) -> None:
    """One shard of the result: what stays, with its events; what goes, with its reason; what is quarantined."""
    plan = Plan.of(work)
    verdicts = np.load(work.folder(JOIN) / VERDICTS, mmap_mode="r")
    start = int(Candidates(work, CLEAN, len(plan.dialogues)).starts[index])
    counts: Counter[str] = Counter()
    names = (DIALOGUES, EVENTS, TRAIL, QUARANTINE, DROPPED, REJECTED)
    files = {name: open(folder / name, "wb") for name in names}  # noqa: SIM115  closed below
    try:
        with open(work.folder(CLEAN, index) / REJECTED, "rb") as lines:
            for line in lines:
                files[REJECTED].write(line)
                counts["rejected"] += 1
        with open(work.folder(CLEAN, index) / DIALOGUES, "rb") as lines:
            for number, line in enumerate(lines, start=start):
                _finish_one(from_json(line), int(verdicts[number]), files, counts)
    finally:
        for stream in files.values():
            stream.close()
    (folder / COUNTS).write_text(json.dumps(dict(sorted(counts.items()))), encoding="utf-8")


def _finish_one(line: dict[str, Any], verdict: int, files: Mapping[str, BinaryIO], counts: Counter[str]) -> None:
    trail, breaches, events, reason = (line.pop(name) for name in ("trail", "breaches", "events", "reason"))
    counts["read dialogues"] += 1
    if verdict == SAME_ID:
        return  # the join has put it among the rejected, with the line of the first
    if verdict == SAME_WORDS:
        reason = "dialogue repeated word for word"
    if reason:
        counts[f"dropped: {reason}"] += 1
        _write(files[DROPPED], {"id": line["id"], "reason": reason, "dialogue": line, "trail": trail})
        return
    counts["kept"] += 1
    _write(files[DIALOGUES], line)
    _write(files[TRAIL], {"id": line["id"], **trail})
    for event in events:
        _write(files[EVENTS], event)
    for breach in breaches:
        counts[f"quarantined: {breach['rule']}"] += 1
        _write(files[QUARANTINE], breach)
    counts["speakers relabelled"] += trail.get("relabelled", 0)
    for kind, count in trail.get("personal_data", {}).items():
        counts[f"masked: {kind}"] += count


def rest(work: Workspace, index: int, folder: Path) -> None:
    """One shard of events or outcomes: what belongs to no dialogue passes; what belongs to a dropped one goes too."""
    plan = Plan.of(work)
    name, _ = plan.joined[index]
    if name == "customers":
        counts: Counter[str] = Counter()
        wanted = np.empty(0, dtype=np.bool_)
    else:
        keys = np.load(work.folder(INGEST, index) / KEYS_OF_ROWS)
        # Events of a dialogue stand with it; outcomes of one that stays pass as they are.
        gone = np.load(work.folder(JOIN) / ("known.npy" if name == "events" else "gone.npy"))
        wanted = ~np.isin(keys, gone)
        counts = Counter({f"read {name}": len(keys)})
    with open(work.folder(INGEST, index) / ROWS, "rb") as rows, open(folder / f"{name}.jsonl", "wb") as written:
        lines = (line for line, passes in zip(rows, wanted.tolist(), strict=False) if passes)
        if name == "outcomes":
            written.writelines(lines)
        for batch in batched(map(from_json, lines), _BATCH) if name == "events" else ():
            logs = [CaseLog([row["attributes"]], Session()) for row in batch]
            done = redact_events(logs, plan.config.normalise)
            for row, (own,) in zip(batch, done, strict=True):
                _write(written, {**row, "attributes": own})
    (folder / COUNTS).write_text(json.dumps(dict(sorted(counts.items()))), encoding="utf-8")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items (itertools.batched is of Python 3.12)."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _write(stream: BinaryIO, row: dict[str, Any]) -> None:
    stream.write(to_json(row) + b"\n")
