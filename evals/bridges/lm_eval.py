"""Run lm-eval's tasks against what is served, and keep them as an evaluation of ours.

lm-eval is a program of its own environment: it is started, never imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from evals.bridges.lm_eval_samples import STDERR, LmEvalRun, content_digest, convert, definitions, read_run, reported
from evals.bridges.report import figures
from evals.config import EvalConfig
from evals.errors import EvalError
from evals.material import task_table
from evals.plan import plan_of
from evals.records import ARMS, Arm, Item, RawAttempt
from evals.run import KIND, Evidence, write_evidence
from evals.scoring import score_all
from tianjing.config import StrictModel
from tianjing.engine import Engine, EngineConfig
from tianjing.files import canonical_json, sha256_bytes
from tianjing.lineage import artefact, artefact_digest
from tianjing.lineage.environment import compute

PROGRAM = "lm-eval"
Json = dict[str, Any]


class LmEvalConfig(StrictModel):
    """How lm-eval is run."""

    concurrency: int = Field(16, ge=1)
    """Requests in flight."""

    limit: int | None = Field(None, ge=1)
    """Documents per task, the first ones; None takes all."""

    shots: int | None = Field(None, ge=0)
    """Worked examples; None leaves it to the task."""

    seed: int = 20260101
    """Of the requests and of the choice of examples. lm-eval's own seed of requests is the same in all runs, 1234."""

    cluster: str | None = None
    """Field of the documents that names the unit of resampling (a source document, a customer). None takes every
    document as independent, as lm-eval does."""

    tokenizer: Path | None = None
    """Tokenizer folder. With it lm-eval asks for completions with log-probabilities of the prompt, as its tasks of
    multiple choice need; without it, for chat completions, as the model is served."""

    timeout_s: float = Field(300, gt=0)
    """Seconds one request may take."""

    tries: int = Field(4, ge=1)
    """Times a request is sent. lm-eval gives up the whole run with the first request that fails as often."""

    max_model_len: int = Field(2048, ge=64)
    """Tokens of prompt plus answer that a started engine accepts."""

    kv_cache_gib: float = Field(1.0, gt=0)
    """GiB of key-value cache on a CPU, of a started engine."""


@dataclass(frozen=True)
class _Served:
    """A model that answers: its name in requests, and the digest it is known by."""

    endpoint: str
    name: str
    digest: str
    key: str
    engine: str


def evaluate_lm_eval(
    tasks: Sequence[str],
    include: Path | None,
    models: dict[Arm, str],
    endpoint: str | None,
    out: Path,
    config: LmEvalConfig,
    program: str = PROGRAM,
) -> Json:
    """Run `tasks` for every model and write one evaluation; returns its summary.

    Args:
        tasks: lm-eval's names.
        include: folder of task definitions (YAML); with it nothing is fetched from a hub.
        models: by arm, the name served at `endpoint`, or without one a model folder that is served for the run.
        endpoint: OpenAI-compatible root, ending in /v1; its key is in OPENAI_API_KEY.
        program: lm-eval's command.

    Raises:
        EvalError: lm-eval is missing, failed, or asked the models different things.
        TianjingError: an engine does not start.
    """
    command = _find(program)
    scratch = out.parent / ".work" / out.name
    inputs = [Path(model) for model in models.values()] if endpoint is None else []
    if include is not None:
        inputs.append(include)
    parameters = {**config.model_dump(mode="json"), "tasks": list(tasks), "endpoint": endpoint, "models": dict(models)}
    with artefact(out, kind=KIND, inputs=inputs, parameters=parameters) as work:
        runs: dict[Arm, LmEvalRun] = {}
        served: dict[Arm, _Served] = {}
        for arm in (arm for arm in ARMS if arm in models):
            with _serve(models[arm], endpoint, scratch / f"engine-{arm}.log", config) as model:
                served[arm] = model
                folder = scratch / f"{arm}-{_identity(model, tasks, include, config)[:16]}"
                runs[arm] = _run(command, tasks, include, model, folder, config)
        evidence = _evidence(runs, served, models, config)
        summary = write_evidence(work.dir, evidence)
        work.count("items", len(evidence.items))
        work.count("requests", len(evidence.attempts))
    shutil.rmtree(scratch, ignore_errors=True)
    return summary


def _evidence(
    runs: dict[Arm, LmEvalRun], served: dict[Arm, _Served], models: dict[Arm, str], config: LmEvalConfig
) -> Evidence:
    items: list[Item] = []
    attempts: list[RawAttempt] = []
    digests: dict[Arm, str] = {}
    for arm, run in runs.items():
        items, answered = convert(run, arm, served[arm].digest, config.seed, config.cluster)
        attempts += answered
        digests[arm] = content_digest(items)
    if len(set(digests.values())) > 1:
        raise EvalError(
            "lm-eval asked the two models different documents or prompts", "run both with the same tasks and settings"
        )
    first = next(iter(runs.values()))
    settings = EvalConfig(items=len(items), stability_items=0, shots=0, seed=config.seed)
    tasks = task_table(definitions(first))
    scores: dict[str, dict[str, float]] = {arm: {} for arm in runs}
    for scored in score_all(attempts, {item.id: item for item in items}, tasks):
        scores[scored.arm][scored.item] = scored.score
    about: Json = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": next(iter(digests.values())),
        "definitions": definitions(first),
        "config": settings.model_dump(mode="json"),
        "machine": compute().model_dump(mode="json"),
        "shared_groups": 0,
        "plan": plan_of(items),
        "shots": {},
        "arms": {
            arm: {"model": Path(models[arm]).name, "digest": model.digest, "engine": model.engine, "seconds": 0.0}
            for arm, model in served.items()
        },
        "lm_eval": {
            "version": first.results.get("lm_eval_version"),
            "stderr": STDERR,
            "figures": figures(items, scores, settings.confidence),
            "reported": {arm: reported(run) for arm, run in runs.items()},
            "task_configs": first.results["configs"],
        },
    }
    return Evidence(items, attempts, about)


def _identity(model: _Served, tasks: Sequence[str], include: Path | None, config: LmEvalConfig) -> str:
    """Of a model and of how it is asked. lm-eval's cache goes by the prompt alone: what a killed run left is only good
    for the same model, asked in the same way."""
    asked = None if include is None else artefact_digest(include)
    identity = [model.digest, model.engine, list(tasks), asked, config.model_dump(mode="json")]
    return sha256_bytes(canonical_json(identity).encode())


@contextmanager
def _serve(model: str, endpoint: str | None, log: Path, config: LmEvalConfig) -> Iterator[_Served]:
    if endpoint is not None:
        # What a remote name stands for is not ours to digest: two runs of one name are told apart by their evidence.
        digest = sha256_bytes(f"{endpoint}\n{model}".encode())
        yield _Served(endpoint.rstrip("/"), model, digest, os.environ.get("OPENAI_API_KEY", "none"), "endpoint")
        return
    settings = EngineConfig(
        model=Path(model),
        max_model_len=config.max_model_len,
        max_num_seqs=config.concurrency,
        kv_cache_gib=config.kv_cache_gib,
    )
    with Engine(settings, log, lambda phase: print(f"{model}: {phase}", file=sys.stderr, flush=True)) as engine:
        digest = artefact_digest(Path(model))
        yield _Served(engine.base_url, settings.served_name, digest, engine.api_key, engine.version)


def _run(
    command: Sequence[str],
    tasks: Sequence[str],
    include: Path | None,
    model: _Served,
    scratch: Path,
    config: LmEvalConfig,
) -> LmEvalRun:
    """One model; what a killed run had answered comes from lm-eval's cache in `scratch`."""
    cache = scratch / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    given = [*command, *arguments(tasks, include, model.endpoint, model.name, scratch, config)]
    environment = {
        **os.environ,
        "OPENAI_API_KEY": model.key,
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), urlsplit(model.endpoint).hostname))),
    }
    if include is not None:
        environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    log = scratch / "lm-eval.log"
    with open(log, "wb") as stream:
        # Its progress is on standard error, which stays the terminal's.
        status = subprocess.run(given, env=environment, stdout=stream, check=False).returncode
    if status:
        raise EvalError(
            f"lm-eval ended with status {status}; its messages are above",
            f"its table goes to {log}; give the same command again: what was answered is kept",
        )
    return read_run(scratch)


def arguments(
    tasks: Sequence[str], include: Path | None, endpoint: str, name: str, scratch: Path, config: LmEvalConfig
) -> list[str]:
    """lm-eval's command line after its name."""
    chat = config.tokenizer is None
    model: Json = {
        "model": name,
        "base_url": f"{endpoint}/{'chat/completions' if chat else 'completions'}",
        "num_concurrent": config.concurrency,
        "max_retries": config.tries,
        "timeout": int(config.timeout_s),
        "seed": config.seed,
    }
    if chat:
        model["tokenized_requests"] = False
    else:
        model |= {"tokenizer": str(config.tokenizer), "max_length": config.max_model_len}
    given = [
        "run",
        "--model", "local-chat-completions" if chat else "local-completions",
        "--model_args", json.dumps(model),
        "--tasks", ",".join(tasks),
        "--output_path", str(scratch),
        "--use_cache", str(scratch / "cache" / "answers"),
        "--log_samples",
        "--seed", str(config.seed),
    ]  # fmt: skip
    if chat:
        given.append("--apply_chat_template")
    if include is not None:
        given += ["--include_path", str(include)]
    if config.limit is not None:
        given += ["--limit", str(config.limit)]
    if config.shots is not None:
        given += ["--num_fewshot", str(config.shots)]
    return given


def _find(program: str) -> list[str]:
    found = shutil.which(program)
    if found is None:
        raise EvalError(
            f"{program}: no such command",
            "install lm-eval in an environment of its own (pip install 'lm_eval[api]') and give --program PATH/lm-eval",
        )
    return [found]
