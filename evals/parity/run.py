"""Run a parity check: three ways to one model, each alone and under load, and the float32 reference as judge.

One model at a time is in memory: the adapter in transformers, then each engine, then transformers again for the
places where answers part.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.material import read_material
from evals.measures import Measure
from evals.parity.ask import Journal, Question, ask_engine, ask_reference, cell_totals
from evals.parity.compare import WRITTEN_TASKS, Fork, cells, compare_cells, distance, forks
from evals.parity.config import ParityConfig
from evals.parity.records import Answer, Cell, Gap, Pair, Scored, Way
from evals.parity.reference import Prompts, Reference
from evals.parity.report import render
from evals.parity.verdict import judge, measures
from evals.plan import build_requests, choose_items
from evals.progress import ArmProgress
from tianjing.config import StrictModel, parse
from tianjing.engine import Engine, EngineConfig
from tianjing.engine.command import vllm_version
from tianjing.files import atomic_write, canonical_json, read_journal, read_jsonl, sha256_bytes, write_jsonl
from tianjing.lineage import artefact, artefact_digest, is_artefact, read_manifest
from tianjing.lineage.environment import compute

KIND = "parity"
ITEMS, ANSWERS, PAIRS, SUMMARY, REPORT = "items.jsonl", "answers.jsonl", "pairs.jsonl", "parity.json", "parity.md"

Json = dict[str, Any]


class Judged(StrictModel):
    """A line of the reference's journal: a fork with its gap, or an answer with its log-probabilities."""

    key: str
    gap: Gap | None = None
    scored: Scored | None = None


def check_parity(dataset: Path, base: Path, adapter: Path, merged: Path, out: Path, config: ParityConfig) -> Json:
    """Whether `adapter` on `base` answers alike in transformers, merged in vLLM, and as an adapter in vLLM.

    Answers are kept in `out`'s sibling `.work/` until the artefact is finished: after a kill, the same call goes on.

    Returns:
        The content of parity.json: `met`, `reasons`, and the figures of every two cells.

    Raises:
        EvalError: no usable test rows, an adapter that does not fit, or an engine that stopped answering.
        TianjingError: an input is missing or broken; an engine does not start.
    """
    parameters = config.model_dump(mode="json")
    with artefact(out, kind=KIND, inputs=[dataset, base, adapter, merged], parameters=parameters) as work:
        _say("choosing items")
        material = read_material(dataset)
        items = choose_items(material.test, config.choice(), material.tasks)
        prompts = Prompts(base)
        questions = [
            Question(request, tuple(prompts.encode(request.messages)))
            for request in build_requests(items, {}, config.choice(), material.tasks)
        ]
        digests = {name: artefact_digest(path) for name, path in
                   (("base", base), ("adapter", adapter), ("merged", merged))}  # fmt: skip
        scratch = out.parent / ".work" / out.name
        asking = _Asking(base, adapter, merged, digests, questions, scratch, config)
        asking.fill()
        answers = {
            cell.name: asking.journal.of(cell, asking.models[cell.way], questions) for cell in cells(config.concurrency)
        }
        gaps, scored = asking.consult(forks(answers, items), answers)
        pairs = compare_cells(answers, items, material.tasks, gaps, config.rounding_steps)
        distances = {name: distance(list(given.values()), scored) for name, given in answers.items()}
        summary: Json = {
            **judge(pairs, distances, config),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "items": len(items),
            "closed_items": sum(item.task not in WRITTEN_TASKS for item in items),
            "cells": {name: cell_totals(given) for name, given in answers.items()},
            "digests": {**digests, "dataset": material.digest},
            "engine": vllm_version()[0],
            "machine": compute().model_dump(mode="json"),
            "config": parameters,
        }
        if not summary["met"] and not _made_from(merged, digests):
            summary["reasons"].append(f"note: {merged.name} was not made from this base and this adapter")
        write_jsonl(work.dir / ITEMS, (item.model_dump(mode="json") for item in items))
        rows = (answer.model_dump(mode="json") for given in answers.values() for answer in given.values())
        write_jsonl(work.dir / ANSWERS, rows)
        write_jsonl(work.dir / PAIRS, (pair.model_dump(mode="json") for pair in pairs))
        atomic_write(work.dir / SUMMARY, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
        atomic_write(work.dir / REPORT, render(summary, pairs, lambda token: prompts.decode([token], special=True)))
        work.count("items", len(items))
        work.count("answers", sum(map(len, answers.values())))
        errors = sum(cell["errors"] for cell in summary["cells"].values())
        work.count("errors", errors)
    if not errors:  # else the same command asks those again, and nothing else
        shutil.rmtree(scratch, ignore_errors=True)
    return summary


def parity_measures(folder: Path) -> list[Measure]:
    """The figures of a parity artefact for gate, comparison and report, computed anew from its pairs.

    Raises:
        EvalError: `folder` is no parity check.
    """
    if not is_artefact(folder) or read_manifest(folder).kind != KIND:
        raise EvalError(f"{folder}: no parity check", "give the folder that 'tianjing eval parity' wrote")
    config = parse(ParityConfig, read_manifest(folder).parameters, str(folder))
    return measures(list(read_jsonl(folder / PAIRS, Pair)), config)


class _Asking:
    """What is asked of whom, and the journals that hold what came back."""

    def __init__(
        self,
        base: Path,
        adapter: Path,
        merged: Path,
        digests: Mapping[str, str],
        questions: Sequence[Question],
        scratch: Path,
        config: ParityConfig,
    ):
        self.base, self.adapter, self.merged = base, adapter, merged
        self.questions, self.scratch, self.config = questions, scratch, config
        tuned = f"{digests['base']}/{digests['adapter']}"
        self.models: dict[Way, str] = {"peft": tuned, "merged": digests["merged"], "lora": tuned}
        self.journal = Journal(scratch / ANSWERS)

    def fill(self) -> None:
        """Ask every cell what it has not answered yet."""
        for way in self.models:
            left = [
                cell
                for cell in cells(self.config.concurrency)
                if cell.way == way and self.journal.left(cell, self.models[way], self.questions)
            ]
            if left and way == "peft":
                self._ask_reference(left)
            elif left:
                self._ask_engine(way, left)

    def consult(
        self, found: Sequence[Fork], answers: Mapping[str, Mapping[str, Answer]]
    ) -> tuple[dict[Fork, Gap], dict[str, Scored]]:
        """What the adapter in float32 says of every fork, and of every answer that came with log-probabilities."""
        path = self.scratch / "reference.jsonl"
        known = {row.key: row for row in read_journal(path, Judged)}
        prompts = {question.request.item: question.prompt for question in self.questions}
        engines = [answer for given in answers.values() for answer in given.values() if answer.logprobs]
        fork_keys = {fork: self._key(prompts[fork[0]], fork) for fork in found}
        # Most answers are the same tokens in every cell: each sequence is computed once.
        answer_keys = {answer.key: self._key(prompts[answer.item], answer.tokens) for answer in engines}
        work: dict[str, Callable[[Reference], Judged]] = {}
        for fork, key in fork_keys.items():
            work[key] = partial(_judge_fork, key, prompts[fork[0]], fork)
        for answer in engines:
            key = answer_keys[answer.key]
            work.setdefault(key, partial(_score_answer, key, prompts[answer.item], answer.tokens))
        left = [key for key in work if key not in known]
        if left:
            _say("loading base and adapter in float32, to judge what the engines answered")
            reference = Reference(self.base, self.adapter)
            with open(path, "a", encoding="utf-8") as stream, ArmProgress("parity reference", len(left)) as progress:
                for key in left:
                    known[key] = work[key](reference)
                    stream.write(known[key].model_dump_json() + "\n")
                    progress.step(False)
            reference.close()
        gaps = {fork: gap for fork, key in fork_keys.items() if (gap := known[key].gap) is not None}
        scored = {name: row for name, key in answer_keys.items() if (row := known[key].scored) is not None}
        return gaps, scored

    def _key(self, prompt: Sequence[int], asked: Any) -> str:
        return sha256_bytes(canonical_json([self.models["peft"], prompt, asked]).encode())

    def _ask_reference(self, grid: Sequence[Cell]) -> None:
        _say("loading base and adapter in transformers, float32")
        reference = Reference(self.base, self.adapter)
        for cell in grid:
            ask_reference(reference, cell, self.models["peft"], self.questions, self.journal)
        reference.close()

    def _ask_engine(self, way: Way, grid: Sequence[Cell]) -> None:
        config = self.config
        longest = max(len(question.prompt) + question.request.max_tokens for question in self.questions)
        settings = EngineConfig(
            model=self.merged if way == "merged" else self.base,
            adapter=self.adapter if way == "lora" else None,
            max_model_len=max(longest + 1, 16),
            max_num_seqs=config.concurrency,
            kv_cache_gib=config.kv_cache_gib,
            start_timeout_s=config.start_timeout_s,
        )
        name = settings.served_name if way == "merged" else settings.adapter_name
        log = self.scratch / f"engine-{way}.log"
        with Engine(settings, log, lambda phase: _say(f"parity {way}: {phase}")) as engine:
            for cell in grid:
                ask_engine(engine, name, cell, self.models[way], self.questions, self.journal, config)


def _judge_fork(key: str, prompt: Sequence[int], fork: Fork, reference: Reference) -> Judged:
    _, before, *chosen = fork
    return Judged(key=key, gap=reference.gap(prompt, before, chosen))


def _score_answer(key: str, prompt: Sequence[int], tokens: Sequence[int], reference: Reference) -> Judged:
    return Judged(key=key, scored=reference.score(prompt, tokens))


def _made_from(merged: Path, digests: Mapping[str, str]) -> bool:
    """Whether the merged model says that it was made of this adapter and base; a folder without a manifest may be."""
    if not is_artefact(merged):
        return True
    return {digests["base"], digests["adapter"]} <= {record.sha256 for record in read_manifest(merged).inputs}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
