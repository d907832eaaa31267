"""Ask the arms of one group: what is answered already stays, the rest is asked of the models while they are served."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from evals.arms import Group, Serving
from evals.config import EvalConfig
from evals.errors import EvalError
from evals.progress import ArmProgress
from evals.records import Arm, RawAttempt, Request
from evals.runner import (
    Journal,
    Pace,
    Pool,
    Target,
    adaptive,
    copied_repeats,
    finished_keys,
    fixed,
    load_attempts,
    remedy,
    seeds_ignored,
)
from evals.runner.cache import Cache
from evals.runner.journal import short_key
from evals.runner.seeds import SeedCanaries
from tianjing.files import atomic_write

Json = dict[str, Any]
Jobs = Iterator[tuple[Target, Request]]
# The requests of each arm. They are gone through more than once, so that they need not stand in memory together.
Plans = Mapping[Arm, Sequence[Request]]


@dataclass(frozen=True)
class Answered:
    """What one arm answered, in the order of its plan, and what run.json says of it."""

    attempts: list[RawAttempt]
    details: Json


def ask(group: Group, plans: Plans, scratch: Path, config: EvalConfig) -> dict[Arm, Answered]:
    """All attempts of a group's arms. Answers that lie in `scratch` from an earlier, killed call are not asked again.

    Raises:
        EvalError: the models stopped answering, an arm answered nothing, or its server ignores seeds.
        TianjingError: the models cannot be served.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    paths = {arm: scratch / f"attempts-{arm}.jsonl" for arm in group.specs}
    finished = {arm: finished_keys(path) for arm, path in paths.items()}
    cache = None if config.cache is None else Cache(config.cache)
    total = left = 0
    widths: set[int] = set()
    sampled: dict[Arm, str] = {}
    for arm, spec in group.specs.items():
        if cache is not None:
            _reuse(plans[arm], arm, spec.identity, cache, paths[arm], finished[arm])
        total += len(plans[arm])
        for request in plans[arm]:
            left += short_key(request.key(spec.identity)) not in finished[arm]
            widths |= {request.concurrency} - {None}  # type: ignore[arg-type]
            if request.temperature > 0:
                sampled[arm] = spec.identity
    canaries = SeedCanaries(sampled, scratch, config)
    note = scratch / f"asked-{'-'.join(group.specs)}.json"
    asked: Json = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {"seconds": 0.0}
    if left:
        began = time.monotonic()
        title = f"evaluate {' and '.join(group.specs)}"
        pace = _pace(group, config)
        try:
            with ExitStack() as stack:
                widest = max(pace.highest, *widths) if widths else pace.highest
                serving = stack.enter_context(group.serve(scratch, lambda line: _say(f"{title}: {line}"), widest))
                progress = stack.enter_context(ArmProgress(title, total, total - left))
                asyncio.run(
                    _ask_all(serving, group, plans, paths, finished, sorted(widths), pace, config, progress, canaries)
                )
                if reason := serving.ended():
                    raise EvalError(
                        f"the engine of the {' and '.join(group.specs)} model ended before all requests were answered: "
                        f"{reason}",
                        "read its log, then give the same command again: answered requests are kept",
                    )
        finally:
            asked["seconds"] = round(asked["seconds"] + time.monotonic() - began, 1)
            if pace.history:
                asked["pace"] = pace.history
            atomic_write(note, json.dumps(asked, ensure_ascii=False))
    answered = {}
    for arm, spec in group.specs.items():
        attempts = _collect(plans[arm], spec.identity, paths[arm])
        _say_failures(arm, attempts)
        details = {"model": spec.model, "digest": spec.digest, "engine": spec.server, **spec.facts, **asked}
        canary = canaries.result(arm, cache)
        details |= _notes(arm, attempts, canary)
        if cache is not None and not (details.get("copied_repeats") and seeds_ignored(canary) is None):
            cache.put(attempts)
        answered[arm] = Answered(attempts, details)
    if cache is not None:
        cache.close()
    return answered


async def _ask_all(
    serving: Serving,
    group: Group,
    plans: Plans,
    paths: Mapping[Arm, Path],
    finished: Mapping[Arm, set[bytes]],
    widths: Sequence[int],
    pace: Pace,
    config: EvalConfig,
    progress: ArmProgress,
    canaries: SeedCanaries,
) -> None:
    names = {arm: spec.name for arm, spec in group.specs.items()}
    with ExitStack() as stack:
        journals = {arm: stack.enter_context(Journal(path)) for arm, path in paths.items()}
        async with serving.backend as backend:
            targets = [
                Target(
                    arm,
                    spec.identity,
                    spec.name,
                    backend,
                    journals[arm],
                    finished[arm],
                    plans[arm],
                    spec.aliases,
                    set(names.values()) - {spec.name},
                )
                for arm, spec in group.specs.items()
            ]
            await canaries.ask(targets, pace)
            pool = Pool(config, lambda failure: progress.step(failure is not None))
            await pool.run(_jobs(targets, plans, None), pace)
            for width in widths:
                await pool.run(_jobs(targets, plans, width), fixed(width))


def _jobs(targets: Sequence[Target], plans: Plans, width: int | None) -> Jobs:
    """Requests that ask for `width` in flight, the arms in turn: each request of one beside its like of the other."""

    def of(target: Target) -> Jobs:
        return ((target, request) for request in plans[target.arm] if request.concurrency == width)

    for beside in zip_longest(*map(of, targets)):
        for job in beside:
            if job is not None:
                yield job


def _pace(group: Group, config: EvalConfig) -> Pace:
    if group.at_once is not None:
        return fixed(group.at_once)
    steers = group.shared if config.adaptive_concurrency is None else config.adaptive_concurrency
    return adaptive(config.max_concurrency) if steers else fixed(config.concurrency)


def _reuse(plan: Iterable[Request], arm: Arm, identity: str, cache: Cache, path: Path, finished: set[bytes]) -> None:
    """Take over what earlier runs answered, into the arm's journal."""
    with open(path, "a", encoding="utf-8", newline="\n") as stream:
        for request in plan:
            key = request.key(identity)
            if short_key(key) not in finished and (attempt := cache.get(key, arm, request)):
                stream.write(attempt.model_dump_json(exclude_defaults=True) + "\n")
                finished.add(short_key(key))


def _collect(plan: Sequence[Request], identity: str, path: Path) -> list[RawAttempt]:
    """The attempts of the plan, from the journal.

    Raises:
        EvalError: some are not there, or none is an answer.
    """
    known = load_attempts(path)
    attempts = [known.get(request.key(identity)) for request in plan]
    found = [attempt for attempt in attempts if attempt is not None]
    if len(found) < len(plan):
        first = plan[attempts.index(None)]
        raise EvalError(
            f"{path}: {len(plan) - len(found)} of {len(plan)} requests have no row that can be read, e.g. "
            f"{first.item}/{first.condition}/{first.repeat}",
            "give the same command again: they are asked anew, answered requests are kept",
        )
    errors = [str(attempt.error) for attempt in found if attempt.error is not None]
    if errors and len(errors) == len(found):
        raise EvalError(f"none of the {len(errors)} requests was answered; the first: {errors[0]}", remedy(errors[0]))
    return found


def _notes(arm: Arm, attempts: Sequence[RawAttempt], canary: Json | None) -> Json:
    """What run.json says of the answers: the seed canary, copies among them, and other names they came under."""
    notes: Json = {}
    if canary is not None:
        notes["seed_canary"] = canary
    if copies := copied_repeats(attempts):
        notes["copied_repeats"] = copies
        proven = seeds_ignored(canary) is False
        why = (
            "the server heeds seeds (the seed canary differed), so the model is this certain"
            if proven
            else "the seed canary was not answered, so the server may ignore seeds: the gate will find it invalid"
        )
        _say(f"{arm}: the repeats of all {copies} repeated items are byte-identical; {why}")
    if served := sorted({attempt.served for attempt in attempts if attempt.served is not None}):
        notes["served_as"] = served
    return notes


def _say_failures(arm: Arm, attempts: Sequence[RawAttempt]) -> None:
    failed = [attempt for attempt in attempts if attempt.error is not None]
    if failed:
        kinds = Counter(str(attempt.error_kind) for attempt in failed)
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        _say(
            f"{arm}: {len(failed)} of {len(attempts)} requests failed ({counts}) and count as wrong; "
            f"the first: {failed[0].error}"
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
