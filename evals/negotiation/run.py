"""Play every arm against the same debtors, ask it the same held-out replies, and write the comparison as an artefact.

One engine at a time serves one arm. Finished negotiations and replies are kept beside the artefact until it is written,
so that the same call goes on after a kill.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.negotiation.compare import SCRIPTS, Reply, summarise
from evals.negotiation.config import NegotiationEvalConfig
from evals.negotiation.play import Played, make_case, play
from evals.negotiation.report import render
from evals.negotiation.scripts import act_words, practices_of, scripted
from evals.plan import choose_items, derived_seed
from evals.progress import ArmProgress
from evals.records import Item
from tianjing.config import StrictModel
from tianjing.dataset import read_examples
from tianjing.engine import ChatClient, ChatRequest, Engine, EngineConfig, EngineError
from tianjing.files import atomic_write, canonical_json, read_journal, sha256_bytes, write_jsonl
from tianjing.lineage import artefact, artefact_digest
from tianjing.lineage.environment import compute
from tianjing.records import Example, Message
from tianjing.tasks import TASKS, Fields, prompt
from tianjing.workers import run_workers

KIND = "negotiations"
SUMMARY, REPORT, NEGOTIATIONS, REPLIES = "ablation.json", "report.md", "negotiations.jsonl", "replies.jsonl"
_FIRST_PAUSE_S = 0.5

Json = dict[str, Any]
Ask = Callable[[tuple[Message, ...], float, int], Awaitable[str]]


def compare(dataset: Path, arms: Mapping[str, Path], out: Path, config: NegotiationEvalConfig) -> Json:
    """Measure each arm (name -> model folder) and compare the first with the others; returns the summary.

    `dataset` gives the practices and wordings of the scripted arms, and the held-out replies.

    Raises:
        EvalError: fewer than two arms, or the dataset has no rows of the negotiation task to test on.
        TianjingError: an input is missing or broken; the engine does not start, or stops answering.
    """
    if len(arms) < 2 or set(arms) & set(SCRIPTS):
        raise EvalError(
            f"arms: {', '.join(arms) or 'none'}", f"give two or more; {' and '.join(SCRIPTS)} are taken by the scripts"
        )
    parameters = config.model_dump(mode="json")
    with artefact(out, KIND, [dataset, *arms.values()], parameters) as work:
        train, test = read_examples(dataset / "train.parquet"), read_examples(dataset / "test.parquet")
        items = _items(test, config)
        scratch = out.parent / ".work" / out.name
        played = {name: _play_script(name, train, config) for name in SCRIPTS}
        replies: dict[str, list[Reply]] = {}
        models: Json = {}
        for arm, model in arms.items():
            digest = artefact_digest(model)
            mark = sha256_bytes(canonical_json([digest, artefact_digest(dataset), parameters]).encode())[:16]
            played[arm], replies[arm], engine = _serve(arm, model, items, scratch / f"{arm}-{mark}", config)
            models[arm] = {"model": model.name, "digest": digest, **engine}
        summary = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **summarise(list(arms), played, replies, config.confidence),
            "config": parameters,
            "models": models,
            "machine": compute().model_dump(mode="json"),
        }
        rows = ({"arm": arm, **row.model_dump(mode="json")} for arm, found in played.items() for row in found)
        write_jsonl(work.dir / NEGOTIATIONS, rows)
        asked = ({"arm": arm, **row.model_dump(mode="json")} for arm, found in replies.items() for row in found)
        write_jsonl(work.dir / REPLIES, asked)
        atomic_write(work.dir / SUMMARY, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
        atomic_write(work.dir / REPORT, render(summary))
        work.count("negotiations", sum(map(len, played.values())))
        work.count("replies", sum(map(len, replies.values())))
    shutil.rmtree(scratch, ignore_errors=True)
    return summary


def _items(test: Sequence[Example], config: NegotiationEvalConfig) -> list[Item]:
    """Held-out next replies: the steps to an act, balanced over the practices' acts."""
    rows = [row for row in test if row.task == "negotiation" and row.reference["step"] == "act"]
    if not config.replies:
        return []
    if not rows:
        raise EvalError(
            "the test split has no step of a negotiation to an act",
            "build the dataset with the task 'negotiation' and a held-out share, or set replies: 0",
        )
    return choose_items(rows, EvalConfig(items=config.replies, stability_items=0, seed=config.seed), TASKS)


def _play_script(name: str, train: Sequence[Example], config: NegotiationEvalConfig) -> list[Played]:
    """The debtors against a script; instant beside a model."""
    practices = practices_of(train) if name == SCRIPTS[0] else None
    words = act_words(train)

    async def all_of_them() -> list[Played]:
        rows = []
        for number in _numbers(config):
            situation = make_case(number, config).state.situation
            rng = random.Random(f"{config.seed}:{name}:{number}")
            rows.append(await play(number, scripted(situation, practices, words, rng), config))
        return rows

    return asyncio.run(all_of_them())


def _serve(
    arm: str, model: Path, items: Sequence[Item], folder: Path, config: NegotiationEvalConfig
) -> tuple[list[Played], list[Reply], Json]:
    """All negotiations and replies of an arm, from disk as far as they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "engine.json"
    details: Json = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {"seconds": 0.0}
    played = {row.debtor: row for row in read_journal(folder / NEGOTIATIONS, Played)}
    replied = {row.item: row for row in read_journal(folder / REPLIES, Reply)}
    numbers = [number for number in _numbers(config) if number not in played]
    asked = [item for item in items if item.id not in replied]
    if numbers or asked:
        began = time.monotonic()
        engine_config = EngineConfig(
            model=model,
            max_model_len=config.max_model_len,
            max_num_seqs=config.concurrency,
            kv_cache_gib=config.kv_cache_gib,
            start_timeout_s=config.start_timeout_s,
        )
        with Engine(engine_config, folder / "engine.log", lambda phase: _say(f"{arm}: {phase}")) as engine:
            details["engine"] = engine.version
            try:
                asyncio.run(_ask_all(arm, engine, numbers, asked, len(items) + config.debtors, folder, config))
            finally:
                details["seconds"] = round(details["seconds"] + time.monotonic() - began, 1)
                atomic_write(note, json.dumps(details) + "\n")
        played = {row.debtor: row for row in read_journal(folder / NEGOTIATIONS, Played)}
        replied = {row.item: row for row in read_journal(folder / REPLIES, Reply)}
    return [played[number] for number in _numbers(config)], [replied[item.id] for item in items], details


async def _ask_all(
    arm: str,
    engine: Engine,
    numbers: Sequence[int],
    items: Sequence[Item],
    total: int,
    folder: Path,
    config: NegotiationEvalConfig,
) -> None:
    task = TASKS["negotiation"]
    async with ChatClient(engine.base_url, engine.api_key, config.request_timeout_s) as client:
        with ArmProgress(f"negotiate {arm}", total, total - len(numbers) - len(items)) as progress:
            ask = _asker(client, engine.config.served_name, config)

            async def negotiation(number: int) -> Played:
                steps = itertools.count()

                async def step(fields: Fields) -> str:
                    seed = derived_seed(config.seed, str(number), "negotiation", next(steps))
                    return await ask(prompt(task, fields), config.temperature, seed)

                return await play(number, step, config)

            async def reply(item: Item) -> Reply:
                output = await ask(prompt(task, item.fields), 0.0, config.seed)
                reading = task.read(output, item.fields)
                return Reply(
                    item=item.id,
                    group=item.group,
                    situation=str(item.reference["situation"]),
                    output=output,
                    answer=reading.answer,
                    score=task.score(reading, item.reference, item.fields),
                )

            await _keep(items, reply, folder / REPLIES, config.concurrency, progress)
            await _keep(numbers, negotiation, folder / NEGOTIATIONS, config.concurrency, progress)


def _asker(client: ChatClient, served_name: str, config: NegotiationEvalConfig) -> Ask:
    """Asks, and again after a transient failure."""

    async def ask(messages: tuple[Message, ...], temperature: float, seed: int) -> str:
        request = ChatRequest(served_name, messages, config.max_tokens, temperature, seed=seed)
        for number in range(1, config.tries + 1):
            try:
                return (await client.chat(request)).text
            except EngineError as error:
                if not error.transient or number == config.tries:
                    raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**number)
        raise AssertionError("tries is at least 1")

    return ask


async def _keep(
    todo: Iterable[Any], work: Callable[[Any], Awaitable[StrictModel]], path: Path, width: int, progress: ArmProgress
) -> None:
    """Do `work` for each of `todo`, `width` at once, and append each result to `path` as it comes."""
    queue = iter(list(todo))
    with open(path, "a", encoding="utf-8") as stream:

        async def one_after_another() -> None:
            for item in queue:
                row = await work(item)
                stream.write(json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n")
                stream.flush()
                progress.step(False)

        await run_workers(width, one_after_another)


def _numbers(config: NegotiationEvalConfig) -> range:
    return range(config.first_debtor, config.first_debtor + config.debtors)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
