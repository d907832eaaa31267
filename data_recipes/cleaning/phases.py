"""The phases of the chain, in order: ingest, index, clean, join, finish, rest. See each for what it leaves behind.

Two more give back the room of what no later phase reads: at most two and a half times the material is on the disk
beside it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json, to_json

from data_recipes.cleaning import ingest as ingesting
from data_recipes.cleaning.chain import Chain, Cleaned
from data_recipes.cleaning.ingest import INDEX, INGEST, REJECTED, ROWS, lookup, validated, without_collector
from data_recipes.cleaning.join import (
    CLEANED,
    CUSTOMERS,
    ENDS,
    IDS,
    JOIN,
    KEPT,
    KEYS,
    OUTCOMES_OF,
    PART,
    PARTS,
    SAME_ID,
    SAME_WORDS,
    STAYS,
    VERDICTS,
    Candidates,
    join,
)
from data_recipes.cleaning.lookup import KEYS as KEYS_OF_ROWS
from data_recipes.cleaning.lookup import key_hash, key_hashes
from data_recipes.cleaning.minhash import row_keys
from data_recipes.cleaning.normalise import NormaliseConfig
from data_recipes.cleaning.plan import JOINED, Plan
from data_recipes.cleaning.redaction import CaseLog, joined_event, redact_activities, redact_events, split_event
from data_recipes.cleaning.segment import session_id
from data_recipes.cleaning.workspace import Phase, Workspace
from tianjing.privacy import Session
from tianjing.records import Dialogue

CLEAN, FINISH, REST = "clean", "finish", "rest"
OUTCOMES, DROPPED, COUNTS = "outcomes.jsonl", "dropped.jsonl", "counts.json"
SECONDS = "seconds.json"
# Why dialogues of a shard are dropped, by number, and the counts of the others.
REASONS = "reasons.json"
SAME_WORDS_REASON = "dialogue repeated word for word"
# Dialogues cleaned at a time: RE2 compiles its patterns for each batch, and a batch takes about 20 KB a dialogue.
_BATCH = 8192
# Events that belong to no dialogue.
_ROWS_AT_ONCE = 65_536
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
        Phase("free-cleaned", 1, free_cleaned, light=True),
        Phase(REST, len(plan.joined), rest, light),
        Phase("free-rows", 1, free_rows, light=True),
    ]


def clean(work: Workspace, index: int, folder: Path) -> None:
    """One shard of dialogues, cleaned: what it says, and the numbers by which the join compares it with the others.

    Lines stand as they will in the result, those of dialogues that will be dropped among them.
    """
    plan = Plan.of(work)
    records = lookup(work, "customers"), lookup(work, "events")
    chain = Chain(plan.config, plan.identity_fields, *records, Path(plan.root), plan.digests)
    ids: list[str] = []
    customers: list[str] = []
    reasons: dict[int, str] = {}
    counts: Counter[str] = Counter()
    keys = [row_keys([])]
    sizes: list[tuple[int, ...]] = []
    parts: list[tuple[int, int, int, bool]] = []
    with without_collector(), _opened(folder, (*CLEANED, REJECTED)) as files:

        def good() -> Iterator[tuple[Dialogue, dict[str, Any]]]:
            for checked in validated(plan, plan.dialogues[index], Dialogue):
                files[REJECTED].writelines(to_json(row) + b"\n" for row in checked.rejected)
                yield from zip(checked.records, checked.places, strict=True)

        def done(batch: list[tuple[Dialogue, dict[str, Any]]]) -> None:
            cleaned = chain.clean(batch)
            keys.append(row_keys(["\n".join(item.turns.texts) for item in cleaned]))
            chain.clock.lap("near-duplicate keys")
            for item in cleaned:
                if item.reason:
                    reasons[len(ids)] = item.reason
                else:
                    _count(counts, item.trail, item.breaches, 1)
                if len(item.cut) > 1:
                    parts.append((len(ids), key_hash(item.cut[0].id), item.part + 1, item.logged))
                ids.append(item.dialogue.id)
                customers.append(item.dialogue.customer)
                written = _written(item)
                sizes.append(tuple(map(len, written)))
                for stream, data in zip(files.values(), written, strict=False):
                    stream.write(data)
            chain.clock.lap("write")

        for batch in batched(good(), _BATCH):
            done(batch)
            del batch  # before the next one is read, and before the collector starts again
            chain.clock.lap("let go")
    kept = np.ones(len(ids), np.bool_)
    kept[list(reasons)] = False
    np.save(folder / IDS, key_hashes(ids))
    np.save(folder / CUSTOMERS, key_hashes(customers))
    np.save(folder / KEPT, kept)
    np.save(folder / PARTS, np.array(parts, PART))
    ends = np.cumsum(np.array(sizes, np.int64).reshape(-1, len(CLEANED)), axis=0)
    np.save(folder / ENDS, ends)
    np.save(folder / KEYS, np.asfortranarray(np.concatenate(keys)))
    (folder / REASONS).write_bytes(to_json([list(reasons.items()), dict(sorted(counts.items()))]))
    # Beside the workspace's folder, not in it: times differ from run to run, what is written must not.
    seconds = {step: round(value, 3) for step, value in chain.clock.seconds.items()}
    (work.root / f"{SECONDS}.{index:05d}").write_text(json.dumps(seconds), encoding="utf-8")


@contextmanager
def _opened(folder: Path, names: Sequence[str]) -> Iterator[dict[str, BinaryIO]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(open(folder / name, "wb")) for name in names}


def _written(item: Cleaned) -> tuple[bytes, bytes, bytes, bytes]:
    """What a dialogue writes into each file of `CLEANED`."""
    dialogue = item.dialogue
    row = {
        "id": dialogue.id,
        "customer": dialogue.customer,
        "agent": dialogue.agent,
        "channel": dialogue.channel,
        "started_at": dialogue.started_at,
        "turns": [
            {"speaker": turn.speaker, "text": text, "at": turn.at}
            for turn, text in zip(dialogue.turns, item.turns.texts, strict=True)
        ],
    }
    return (
        to_json(row) + b"\n",
        to_json({"id": dialogue.id, **item.where, **item.trail}) + b"\n",
        b"".join(item.events),
        b"".join([to_json(breach) + b"\n" for breach in item.breaches]),
    )


def _count(counts: Counter[str], trail: Mapping[str, Any], breaches: Iterable[Mapping[str, Any]], times: int) -> None:
    """Count a dialogue that stays, so many times."""
    counts["kept"] += times
    for breach in breaches:
        counts[f"quarantined: {breach['rule']}"] += times
    counts["speakers relabelled"] += times * trail.get("relabelled", 0)
    for kind, count in trail.get("personal_data", {}).items():
        counts[f"masked: {kind}"] += times * count
    counts["log entries in no session"] += times * trail.get("events_in_no_session", 0)


def finish(work: Workspace, index: int, folder: Path) -> None:
    """One shard of the result: what stays, with its events; what goes, with its reason; what is quarantined."""
    plan = Plan.of(work)
    source = work.folder(CLEAN, index)
    candidates = Candidates(work, CLEAN, len(plan.dialogues))
    start, end = candidates.starts[index : index + 2].tolist()
    verdicts = np.load(work.folder(JOIN) / VERDICTS, mmap_mode="r")[start:end]
    ends = np.load(source / ENDS)
    kept = np.load(source / KEPT)
    reasons, cleaned = from_json((source / REASONS).read_bytes())
    counts = Counter(cleaned)
    for place, name in enumerate(CLEANED):
        _copy(source / name, folder / name, ends[:, place], kept & (verdicts == STAYS))
    with open(folder / REJECTED, "wb") as rejected:
        lines = (source / REJECTED).read_bytes()
        rejected.write(lines)
    own = dict(reasons) | dict.fromkeys(np.flatnonzero(verdicts == SAME_WORDS).tolist(), SAME_WORDS_REASON)
    gone = np.flatnonzero(~kept | (verdicts != STAYS))
    with open(folder / DROPPED, "wb") as dropped:
        found = [candidates.lines(start + gone, place) for place in range(len(CLEANED))]
        for number, dialogue, trail, _, breaches in zip(gone.tolist(), *found, strict=True):
            said = from_json(trail)
            if kept[number]:
                _count(counts, said, map(from_json, breaches.splitlines()), -1)
            if verdicts[number] == SAME_ID:
                continue  # the join has put it among the rejected, with the line of the first
            reason, identity = own[number], said.pop("id")
            counts[f"dropped: {reason}"] += 1
            row = {"id": identity, "reason": reason, "dialogue": from_json(dialogue), "trail": said}
            dropped.write(to_json(row) + b"\n")
    counts += Counter({"rejected": lines.count(b"\n"), "read dialogues": end - start})  # and no zeros any more
    if counts["kept"]:
        counts["speakers relabelled"] += 0
    (folder / COUNTS).write_text(json.dumps(dict(sorted(counts.items()))), encoding="utf-8")


def _copy(source: Path, target: Path, ends: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> None:
    """The parts of a file that are kept, of those that end at `ends`."""
    with open(source, "rb") as read, open(target, "wb") as written:
        changes = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False]))))
        bounds = np.concatenate(([0], ends))[changes].tolist()
        for start, end in zip(bounds[::2], bounds[1::2], strict=True):
            read.seek(start)
            written.write(read.read(end - start))


def rest(work: Workspace, index: int, folder: Path) -> None:
    """One shard of events or outcomes: what belongs to no dialogue passes; what belongs to a dropped one goes too.

    The outcomes of a dialogue that was cut go to the session that the join chose.
    """
    plan = Plan.of(work)
    name, _ = plan.joined[index]
    sessions = np.empty(0, np.int64)
    if name == "customers":
        counts: Counter[str] = Counter()
        wanted = np.empty(0, dtype=np.bool_)
    else:
        keys = np.load(work.folder(INGEST, index) / KEYS_OF_ROWS)
        # Events of a dialogue stand with it; outcomes of one that stays pass as they are.
        gone = np.load(work.folder(JOIN) / ("known.npy" if name == "events" else "gone.npy"), mmap_mode="r")
        wanted = ~_among(gone, keys)
        if name == "outcomes":
            sessions = _sessions(np.load(work.folder(JOIN) / OUTCOMES_OF, mmap_mode="r"), keys)
            wanted |= sessions > 0
        counts = Counter({f"read {name}": len(keys)})
    with open(work.folder(INGEST, index) / ROWS, "rb") as rows, open(folder / f"{name}.jsonl", "wb") as written:
        lines = (line for line, passes in zip(rows, wanted.tolist(), strict=False) if passes)
        if name == "outcomes":
            written.writelines(map(_of_session, lines, sessions[wanted].tolist()))
        for batch in batched(lines, _ROWS_AT_ONCE) if name == "events" else ():
            written.writelines(_redacted_alone(batch, plan.config.normalise))
    (folder / COUNTS).write_text(json.dumps(dict(sorted(counts.items()))), encoding="utf-8")


def free_cleaned(work: Workspace, index: int, folder: Path) -> None:
    """Once every shard is finished, what the shards left for it goes, and the tables by which rows were found."""
    plan = Plan.of(work)
    for number in range(len(plan.dialogues)):
        for name in (*CLEANED, KEYS):
            (work.folder(CLEAN, number) / name).unlink(missing_ok=True)
    for number in range(len(JOINED)):
        for path in work.folder(INDEX, number).iterdir():
            path.unlink()


def free_rows(work: Workspace, index: int, folder: Path) -> None:
    """The rows that were joined stand in the result now, where they belong there."""
    for number in range(len(Plan.of(work).joined)):
        (work.folder(INGEST, number) / ROWS).unlink(missing_ok=True)


def _among(known: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which `keys` are in the sorted `known`, a map on disk as long as the corpus: looked in, never copied."""
    if not len(known):
        return np.zeros(len(keys), dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.asarray(known[places] == keys)


def _sessions(chosen: npt.NDArray[np.void], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Of each case the session that has its outcomes, counted from 1; 0 if it is no dialogue that was cut and stays."""
    if not len(chosen):
        return np.zeros(len(keys), np.int64)
    places = np.minimum(np.searchsorted(chosen["of"], keys), len(chosen) - 1)
    return np.where(chosen["of"][places] == keys, chosen["part"][places], 0).astype(np.int64)


def _of_session(line: bytes, part: int) -> bytes:
    """An outcome as it stands, or that of a session after the first."""
    if part < 2:
        return line
    outcome = from_json(line)
    return to_json({**outcome, "case": session_id(outcome["case"], part)}) + b"\n"


def _redacted_alone(events: Sequence[bytes], config: NormaliseConfig) -> Iterator[bytes]:
    """Events, each redacted by itself: those that say the same are redacted once."""
    parts = [split_event(line) for line in events]
    said = list(dict.fromkeys((activity, attributes) for _, activity, attributes in parts))
    sessions = [Session() for _ in said]
    activities = redact_activities(sessions, [activity for activity, _ in said])
    logs = [CaseLog([from_json(own)], session) for (_, own), session in zip(said, sessions, strict=True)]
    redacted = {
        old: (activity, to_json(new))
        for old, activity, (new,) in zip(said, activities, redact_events(logs, config), strict=True)
    }
    for head, activity, attributes in parts:
        yield joined_event(head, *redacted[activity, attributes])


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items (itertools.batched is of Python 3.12)."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
        del batch  # before the next one is read
