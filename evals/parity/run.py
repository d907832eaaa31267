"""Run a parity check: three ways to one model, each alone and under load, and the float32 reference as judge.

One model at a time is in memory: the adapter in transformers, then each engine, then transformers again for the
places where answers part.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.material import read_material
from evals.measures import Measure
from evals.parity.ask import Journal, Question, ask_engine, ask_reference, cell_totals
from evals.parity.compare import Fork, cells, compare_cells, distance, forks
from evals.parity.config import ParityConfig
from evals.parity.consult import Consulted
from evals.parity.records import Answer, Cell, Gap, Pair, Scored, Way
from evals.parity.reference import Prompts, Reference
from evals.parity.report import render
from evals.parity.verdict import judge, measures
from evals.plan import build_requests, choose_items
from evals.progress import ArmProgress
from tianjing.config import parse
from tianjing.engine import Engine, EngineConfig
from tianjing.engine.command import vllm_version
from tianjing.files import atomic_write, read_jsonl, write_jsonl
from tianjing.lineage import artefact, artefact_digest, is_artefact, read_manifest
from tianjing.lineage.environment import compute
from tianjing.models.precision import Precision, precision

KIND = "parity"
ITEMS, ANSWERS, PAIRS, SUMMARY, REPORT = "items.jsonl", "answers.jsonl", "pairs.jsonl", "parity.json", "parity.md"
CONSULTED = "reference.jsonl"

Json = dict[str, Any]


def check_parity(dataset: Path, base: Path, adapter: Path, merged: Path, out: Path, config: ParityConfig) -> Json:
    """Whether `adapter` on `base` answers alike in transformers, merged in vLLM, and as an adapter in vLLM.

    Answers are kept in `out`'s sibling `.work/` until the artefact is finished: after a kill, the same call goes on.

    Returns:
        The content of parity.json: `met` and `reasons` for the format that is served, both for each format asked in,
        and the figures of every two cells.

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
        vllm, is_cpu = vllm_version()
        served = precision(on_gpu=not is_cpu)
        scratch = out.parent / ".work" / out.name
        asking = _Asking(base, adapter, merged, digests, questions, scratch, config, served)
        asking.fill()
        answers = {cell: asking.journal.of(cell, asking.models[cell.way], questions) for cell in asking.cells}
        gaps, scored = asking.consult(forks(answers, items), answers)
        pairs = compare_cells(answers, items, material.tasks, gaps, config)
        distances = {cell: distance(list(given.values()), scored) for cell, given in answers.items()}
        summary: Json = {
            **judge(pairs, distances, config, served),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "items": len(items),
            "closed_items": sum(material.tasks[item.task].closed for item in items),
            "cells": {cell.name: cell_totals(cell, given) for cell, given in answers.items()},
            "digests": {**digests, "dataset": material.digest},
            "engine": vllm,
            "machine": compute().model_dump(mode="json"),
            "config": parameters,
        }
        if not summary["met"] and not _made_from(merged, digests):
            summary["reasons"].append(f"note: {merged.name} was not made from this base and this adapter")
        write_jsonl(work.dir / ITEMS, (item.model_dump(mode="json") for item in items))
        rows = (answer.model_dump(mode="json") for given in answers.values() for answer in given.values())
        write_jsonl(work.dir / ANSWERS, rows)
        shutil.copy(scratch / CONSULTED, work.dir / CONSULTED)
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
    """The figures of a parity artefact in the format that is served, for gate, comparison and report, from its pairs.

    Raises:
        EvalError: `folder` is no parity check, or one that did not ask in that format.
    """
    if not is_artefact(folder) or read_manifest(folder).kind != KIND:
        raise EvalError(f"{folder}: no parity check", "give the folder that 'tianjing eval parity' wrote")
    config = parse(ParityConfig, read_manifest(folder).parameters, str(folder))
    served = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["served"]
    if served not in config.dtypes(served):
        raise EvalError(f"{folder}: did not ask in {served}, which is served", "check it with 'served' in `formats`")
    return measures([pair for pair in read_jsonl(folder / PAIRS, Pair) if pair.decides == served], config)


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
        served: Precision,
    ):
        self.base, self.adapter, self.merged = base, adapter, merged
        self.questions, self.scratch, self.config = questions, scratch, config
        tuned = f"{digests['base']}/{digests['adapter']}"
        self.models: dict[Way, str] = {"peft": tuned, "merged": digests["merged"], "lora": tuned}
        self.cells = cells(config.concurrency, config.dtypes(served))
        self.journal = Journal(scratch / ANSWERS)
        self.consulted = Consulted(self._load, tuned, scratch / CONSULTED)

    def fill(self) -> None:
        """Ask every cell what it has not answered yet; transformers last, since it follows what engines answered."""
        left = [cell for cell in self.cells if self.journal.left(cell, self.models[cell.way], self.questions)]
        for (way, dtype), grid in groupby(left, lambda cell: (cell.way, cell.dtype)):
            if way != "peft":
                self._ask_engine(way, dtype, list(grid))
        drafts = self._drafts()
        for cell in left:
            if cell.way == "peft":
                ask_reference(self.consulted, cell, self.models["peft"], self.questions, self.journal, drafts)

    def consult(
        self, found: Sequence[Fork], answers: Mapping[Cell, Mapping[str, Answer]]
    ) -> tuple[dict[Fork, Gap], dict[str, Scored]]:
        """What the adapter in float32 says of every fork, and of every answer that came with log-probabilities."""
        prompts = {question.request.item: question.prompt for question in self.questions}
        engines = [answer for given in answers.values() for answer in given.values() if answer.logprobs]
        with ArmProgress("parity reference", len(found) + len(engines)) as progress:
            gaps, scored = {}, {}
            for fork in found:
                gaps[fork] = self.consulted.gap(prompts[fork[0]], fork)
                progress.step(False)
            for answer in engines:
                scored[answer.key] = self.consulted.score(prompts[answer.item], answer.tokens)
                progress.step(False)
        self.consulted.close()
        return gaps, scored

    def _drafts(self) -> dict[str, list[list[int]]]:
        """By item, each answer that an engine gave."""
        found: dict[str, list[list[int]]] = {question.request.item: [] for question in self.questions}
        for cell in self.cells:
            if cell.way != "peft":
                for item, answer in self.journal.of(cell, self.models[cell.way], self.questions).items():
                    if answer.tokens and answer.tokens not in found[item]:
                        found[item].append(answer.tokens)
        return found

    def _load(self) -> Reference:
        _say("loading base and adapter in transformers, float32")
        return Reference(self.base, self.adapter)

    def _ask_engine(self, way: Way, dtype: Precision, grid: Sequence[Cell]) -> None:
        config = self.config
        longest = max(len(question.prompt) + question.request.max_tokens for question in self.questions)
        settings = EngineConfig(
            model=self.merged if way == "merged" else self.base,
            adapter=self.adapter if way == "lora" else None,
            max_model_len=max(longest + 1, 16),
            max_num_seqs=config.concurrency,
            kv_cache_gib=config.kv_cache_gib,
            dtype=dtype,
            start_timeout_s=config.start_timeout_s,
        )
        name = settings.served_name if way == "merged" else settings.adapter_name
        log = self.scratch / f"engine-{way}-{dtype}.log"
        with Engine(settings, log, lambda phase: _say(f"parity {way} {dtype}: {phase}")) as engine:
            for cell in grid:
                ask_engine(engine, name, cell, self.models[way], self.questions, self.journal, config)


def _made_from(merged: Path, digests: Mapping[str, str]) -> bool:
    """Whether the merged model says that it was made of this adapter and base; a folder without a manifest may be."""
    if not is_artefact(merged):
        return True
    return {digests["base"], digests["adapter"]} <= {record.sha256 for record in read_manifest(merged).inputs}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
