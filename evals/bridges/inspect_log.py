"""An evaluation as logs of Inspect, so that `inspect view` opens them: one log per arm.

A condition of an item is a sample of its own and its repeats are epochs: Inspect averages over the epochs of a
sample, and greedy answers and sampled ones must not be averaged together.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.material import Material, read_material, task_table
from evals.plan import build_requests
from evals.records import ARMS, GREEDY, Arm, Attempt, Item, Request
from evals.run import Evidence, read_evidence
from evals.scoring import score_all
from evals.stats import clustered_se
from tianjing.config import parse
from tianjing.files import make_folder
from tianjing.lineage import artefact_digest
from tianjing.tasks import Task

SCORER = "score"
FORMATS = (".eval", ".json")
_STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter", "tool_calls": "tool_calls"}

Asked = Mapping[tuple[str, str, int], Request]


def export_inspect(run: Path, out: Path, dataset: Path | None = None) -> list[Path]:
    """Write an evaluation as Inspect logs.

    Args:
        run: folder that `tianjing eval run` wrote.
        out: file ending in .eval or .json; with two arms, the arm's name goes before the ending.
        dataset: the evaluation's dataset, to show the worked examples that base was asked with.

    Returns:
        The files written.

    Raises:
        EvalError: `run` is no evaluation, `out` has another ending, `dataset` is not the evaluation's, or Inspect is
            not installed.
    """
    _require_inspect()
    from inspect_ai.log import write_eval_log

    if out.suffix not in FORMATS:
        raise EvalError(f"{out}: not a name for an Inspect log", f"end it in {' or '.join(FORMATS)}")
    evidence = read_evidence(run)
    tasks = task_table(evidence.run["definitions"])
    items = {item.id: item for item in evidence.items}
    scored = score_all(evidence.attempts, items, tasks)
    material = _material(dataset, evidence)
    arms = [arm for arm in ARMS if any(attempt.arm == arm for attempt in scored)]
    make_folder(out.parent)
    written = []
    for arm in arms:
        path = out if len(arms) == 1 else out.with_name(f"{out.stem}-{arm}{out.suffix}")
        own = [attempt for attempt in scored if attempt.arm == arm]
        log = _log(run, evidence, arm, own, items, tasks, _asked(evidence, arm, tasks, material))
        write_eval_log(log, str(path), "json" if out.suffix == ".json" else "eval")
        written.append(path)
    return written


def _log(
    run: Path,
    evidence: Evidence,
    arm: Arm,
    attempts: Sequence[Attempt],
    items: Mapping[str, Item],
    tasks: Mapping[str, Task],
    asked: Asked,
) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec, EvalStats
    from inspect_ai.model import ModelUsage

    digest = artefact_digest(run)
    model = f"vllm/{evidence.run['arms'][arm]['model']}"
    samples = [_sample(attempt, items[attempt.item], tasks[attempt.task], model, asked) for attempt in attempts]
    prompt_tokens, output_tokens = (
        sum(getattr(attempt, name) for attempt in attempts) for name in ("prompt_tokens", "output_tokens")
    )
    usage = ModelUsage(
        input_tokens=prompt_tokens, output_tokens=output_tokens, total_tokens=prompt_tokens + output_tokens
    )
    spec = EvalSpec(
        eval_id=f"{digest[:16]}-{arm}",
        run_id=digest[:22],
        task_id=digest[:22],
        created=evidence.run["created"],
        task="tianjing",
        task_display_name=f"{run.name}: {arm}",
        dataset=EvalDataset(
            name=evidence.run["dataset"][:12],
            samples=len(samples),
            sample_ids=list(dict.fromkeys(sample.id for sample in samples)),
        ),
        model=model,
        config=EvalConfig(),  # `epochs` would be of every sample, and only the sampled condition has several
        metadata={
            "arm": arm,
            "evaluation_digest": digest,
            "model_digest": evidence.run["arms"][arm]["digest"],
            "dataset_digest": evidence.run["dataset"],
            "settings": evidence.run["config"],
        },
    )
    return EvalLog(
        status="success",
        eval=spec,
        results=_results(attempts, items),
        stats=EvalStats(
            started_at=evidence.run["created"], completed_at=evidence.run["created"], model_usage={model: usage}
        ),
        samples=samples,
    )


def _sample(attempt: Attempt, item: Item, task: Task, model: str, asked: Asked) -> Any:
    """One attempt. One that failed carries its error and the score 0: it stays in the denominator."""
    from inspect_ai.log import EvalSample
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        ModelOutput,
        ModelUsage,
    )
    from inspect_ai.scorer import Score

    request = asked[attempt.item, attempt.condition, attempt.repeat]
    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    prompt = [kinds[message.role](content=message.content) for message in request.messages]
    answer = ChatMessageAssistant(content=attempt.output, model=model, source="generate")
    usage = ModelUsage(
        input_tokens=attempt.prompt_tokens,
        output_tokens=attempt.output_tokens,
        total_tokens=attempt.prompt_tokens + attempt.output_tokens,
    )
    stop: Any = _STOPS.get(attempt.finish_reason, "unknown")
    failure = attempt.error
    error: Any = failure and {"message": failure, "traceback": failure, "traceback_ansi": failure}
    metadata = {
        "condition": attempt.condition,
        "task": attempt.task,
        "repeat": attempt.repeat,
        "group": item.group,
        "kind": item.kind,
        "temperature": attempt.temperature,
        "seed": attempt.seed,
        "prompt_sha256": attempt.prompt,
        "tries": attempt.tries,
    }
    if request.prompt_digest != attempt.prompt:
        metadata["prompt_shown"] = "without the worked examples it was asked with; --dataset shows them"
    return EvalSample(
        id=attempt.item if attempt.condition == GREEDY else f"{attempt.item} [{attempt.condition}]",
        epoch=attempt.repeat + 1,
        uuid=attempt.key[:22],
        input=prompt,
        target=task.target(item.reference),
        messages=[*prompt, answer],
        output=ModelOutput(
            model=model,
            choices=[ChatCompletionChoice(message=answer, stop_reason=stop)],
            completion=attempt.output,
            usage=usage,
            time=attempt.latency_s,
            error=attempt.error,
        ),
        scores={
            SCORER: Score(
                value=attempt.score,
                answer=attempt.answer,
                explanation=f"read by rule: {attempt.rule}",
                metadata={"rule": attempt.rule},
            )
        },
        metadata=metadata,
        model_usage={model: usage},
        total_time=attempt.latency_s,
        working_time=attempt.latency_s,
        error=error,
    )


def _results(attempts: Sequence[Attempt], items: Mapping[str, Item]) -> Any:
    """Mean score per condition and, for greedy answers, per task, each with its standard error over clusters.

    Means are over all attempts, failed ones as 0.
    """
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    metrics: dict[str, Any] = {}

    def add(group: str | None, name: str, rows: Sequence[Attempt]) -> None:
        by_item: dict[str, list[float]] = {}
        for attempt in rows:
            by_item.setdefault(attempt.item, []).append(attempt.score)
        means = [statistics.fmean(scores) for scores in by_item.values()]
        stderr = clustered_se(means, [items[item].group for item in by_item])
        values = {"mean": statistics.fmean(means), "stderr": stderr}
        for kind, value in values.items():
            if math.isnan(value):  # one cluster has no standard error
                continue
            label = kind if group is None else f"{name} {kind}"
            metrics[label] = EvalMetric(name=label, group=group, value=value, metadata={"items": len(means)})

    greedy = [attempt for attempt in attempts if attempt.condition == GREEDY]
    if greedy:
        add(None, "", greedy)
    for task in sorted({attempt.task for attempt in greedy}):
        add("task", task, [attempt for attempt in greedy if attempt.task == task])
    for condition in sorted({attempt.condition for attempt in attempts} - {GREEDY}):
        add("condition", condition, [attempt for attempt in attempts if attempt.condition == condition])
    score = EvalScore(name=SCORER, scorer="tianjing", scored_samples=len(attempts), unscored_samples=0, metrics=metrics)
    answered = sum(attempt.error is None for attempt in attempts)
    return EvalResults(total_samples=len(attempts), completed_samples=answered, scores=[score])


def _asked(evidence: Evidence, arm: Arm, tasks: Mapping[str, Task], material: Material | None) -> Asked:
    """The requests of one arm again; worked examples only where the dataset is at hand."""
    from evals.config import EvalConfig

    config = parse(EvalConfig, evidence.run["config"], "run.json")
    plain = build_requests(evidence.items, {}, config, tasks)
    found = {(request.item, request.condition, request.repeat): request for request in plain}
    if arm == "base" and material is not None:
        rows = {row.id: row for row in material.train}
        shots = {task: [rows[row] for row in chosen] for task, chosen in evidence.run["shots"].items()}
        for request in build_requests(evidence.items, shots, config, tasks):
            found[request.item, request.condition, request.repeat] = request
    return found


def _material(dataset: Path | None, evidence: Evidence) -> Material | None:
    if dataset is None:
        return None
    material = read_material(dataset)
    if material.digest != evidence.run["dataset"]:
        raise EvalError(f"{dataset}: not the dataset of this evaluation", "give the one named in its manifest.json")
    return material


def _require_inspect() -> None:
    try:
        import inspect_ai  # noqa: F401
    except ImportError:
        raise EvalError(
            "Inspect is not installed in this Python", "install the extra 'inspect' of this project"
        ) from None
