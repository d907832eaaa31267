"""Judge the stored answers of an evaluation, as an artefact of its own: the evidence stays as it was signed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.judge.ask import ask_all
from evals.judge.calibration import alpha
from evals.judge.config import JudgeConfig
from evals.judge.families import require_other_family
from evals.judge.figures import compare_arms, compared_pairs, decided
from evals.judge.labelled import Labelled, read_labelled
from evals.judge.verdicts import Ask, StoredVerdict, prompt_digest, prompt_of
from evals.material import task_table
from evals.measures import Measure
from evals.progress import ArmProgress
from evals.records import ARMS, GREEDY, Arm, Item
from evals.run import read_evidence
from evals.scoring import strip_thought
from tianjing.files import atomic_write, write_jsonl
from tianjing.lineage import artefact
from tianjing.tasks import prompt

KIND = "judgement"
VERDICTS, SUMMARY = "verdicts.jsonl", "summary.json"

Json = dict[str, Any]
Answers = dict[tuple[str, Arm], str]


def judge_evaluation(evals: Path, out: Path, config: JudgeConfig, confidence: float = 0.95) -> Json:
    """Ask the judge about every greedy answer of the configured tasks and write verdicts and figures to `out`.

    Verdicts are kept in `out`'s sibling `.work/` until the artefact is finished: after a kill, the same call goes on.
    An empty answer is not asked about: it is not good.

    Raises:
        EvalError: `evals` is no evaluation, was not asked the tasks, or is of the judge's family; the calibration file
            is broken; the endpoint stopped answering.
    """
    evidence = read_evidence(evals)
    arms: list[Arm] = [arm for arm in ARMS if arm in evidence.run["arms"]]
    warnings = require_other_family(config, [evidence.run["arms"][arm]["model"] for arm in arms])
    items = [item for item in evidence.items if item.task in config.tasks]
    missing = sorted(set(config.tasks) - {item.task for item in items})
    if missing:
        asked = ", ".join(sorted({item.task for item in evidence.items}))
        raise EvalError(f"{evals}: task '{missing[0]}' was not asked", f"tasks of this evaluation: {asked}")
    if config.mode == "pairwise" and len(arms) < len(ARMS):
        raise EvalError(f"{evals}: holds one arm only", "a pairwise judge needs base and tuned; take mode labels")
    tasks = task_table(evidence.run["definitions"])
    questions = {item.id: prompt(tasks[item.task], item.fields)[1].content for item in items}
    answers: Answers = {
        (attempt.item, attempt.arm): strip_thought(attempt.output) or ""
        for attempt in evidence.attempts
        if attempt.condition == GREEDY and attempt.item in questions
    }
    labelled = read_labelled(config, {item.id for item in items}, arms)
    asks = _pairs(items, questions, answers, config) if config.mode == "pairwise" else []
    if config.mode != "pairwise":
        asks = [
            *_singles([(item.id, questions[item.id]) for item in items], answers, config),
            *_labelled_asks(labelled, config),
        ]
    parameters = {**config.model_dump(mode="json"), "prompt": prompt_digest(config), "confidence": confidence}
    inputs = [evals, *([config.calibration] if config.calibration else [])]
    scratch = out.parent / ".work" / out.name
    with artefact(out, kind=KIND, inputs=inputs, parameters=parameters) as work:
        with ArmProgress(f"judge {config.name}", len(asks), 0) as progress:
            verdicts = ask_all(asks, config, scratch / VERDICTS, lambda: progress.step(False))
        summary = _summary(items, answers, arms, labelled, verdicts, config, confidence)
        summary["warnings"] = warnings + summary["warnings"]
        summary["judge"] = {"model": config.model, "criterion": config.criterion, "prompt": prompt_digest(config)}
        write_jsonl(work.dir / VERDICTS, (verdict.model_dump(mode="json") for verdict in verdicts))
        atomic_write(work.dir / SUMMARY, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
        work.count("verdicts", len(verdicts))
        work.count("unreadable", sum(verdict.verdict is None for verdict in verdicts))
    shutil.rmtree(scratch, ignore_errors=True)
    return summary


def judge_measures(folder: Path) -> list[Measure]:
    """The measures of a finished judgement; their note begins with `judge`: they may advise, never decide alone.

    Raises:
        EvalError: the folder is no judgement.
    """
    path = folder / SUMMARY
    if not path.is_file() or not (folder / VERDICTS).is_file():
        raise EvalError(f"{folder}: no judgement", "give the folder that 'tianjing eval judge' wrote")
    summary = json.loads(path.read_text(encoding="utf-8"))
    return [Measure.model_validate(row) for row in summary["measures"]]


def _singles(subjects: Sequence[tuple[str, str]], answers: Answers, config: JudgeConfig) -> list[Ask]:
    asks = []
    for name, question in subjects:
        for arm in ARMS:
            answer = answers.get((name, arm), "")
            if answer:
                messages = prompt_of(config, question, answer)
                asks += [Ask(name, arm, None, repeat, messages, (answer,)) for repeat in range(config.repeats)]
    return asks


def _labelled_asks(labelled: Sequence[Labelled], config: JudgeConfig) -> list[Ask]:
    """Those that stand for themselves; answers of the evaluation are asked about anyway."""
    return [
        Ask(row.subject, row.arm, None, repeat, prompt_of(config, row.question, row.answer), (row.answer,))
        for row in labelled
        if row.answer
        for repeat in range(config.repeats)
    ]


def _pairs(items: Sequence[Item], questions: dict[str, str], answers: Answers, config: JudgeConfig) -> list[Ask]:
    asks = []
    for item in items:
        said = {arm: answers.get((item.id, arm), "") for arm in ARMS}
        if not all(said.values()):
            continue
        for order in ARMS:
            other: Arm = "base" if order == "tuned" else "tuned"
            shown = (said[order], said[other])
            messages = prompt_of(config, questions[item.id], *shown)
            asks += [Ask(item.id, None, order, repeat, messages, shown) for repeat in range(config.repeats)]
    return asks


def _summary(
    items: Sequence[Item],
    answers: Answers,
    arms: Sequence[Arm],
    labelled: Sequence[Labelled],
    verdicts: Sequence[StoredVerdict],
    config: JudgeConfig,
    confidence: float,
) -> Json:
    rules = dict(Counter(verdict.rule for verdict in verdicts).most_common())
    if config.mode == "pairwise":
        found = compared_pairs(items, answers, verdicts, config, confidence)
    else:
        found = compare_arms(items, decided(verdicts, config), arms, labelled, config, confidence)
    by_answer: dict[tuple[str, Arm | None, Arm | None], list[str]] = {}
    for verdict in verdicts:
        if verdict.verdict is not None:
            by_answer.setdefault((verdict.subject, verdict.arm, verdict.order), []).append(verdict.verdict)
    found["rules"] = rules
    found["alpha_repeats"] = alpha(list(by_answer.values()))
    outputs: dict[tuple[str, Arm | None, Arm | None], set[str]] = {}
    for verdict in verdicts:
        outputs.setdefault((verdict.subject, verdict.arm, verdict.order), set()).add(verdict.output)
    if outputs and all(len(texts) == 1 for texts in outputs.values()):
        found["warnings"].append("all repeats are copies of one another: the endpoint seems to ignore the seed")
    return found
