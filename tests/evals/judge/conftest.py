"""An evaluation on disk whose answers are known to be good or bad, and a judge that errs at known rates."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.judge.config import JudgeConfig
from evals.records import Arm, Item, RawAttempt
from tianjing.files import write_jsonl
from tianjing.lineage import artefact

QUALITY = {"base": 0.5, "tuned": 0.7}
# (specificity, sensitivity): the judge has come to like the tuned model.
ERRORS = {"base": (0.9, 0.85), "tuned": (0.75, 0.95)}


def truly_good(item: int, arm: str) -> bool:
    return random.Random(f"truth{item}{arm}").random() < QUALITY[arm]


def answer_of(item: int, arm: str) -> str:
    return f"{arm}的{'好' if truly_good(item, arm) else '坏'}回答{item}。"


def write_evaluation(folder: Path, count: int = 300, arms: tuple[Arm, ...] = ("base", "tuned"), **models: str) -> Path:
    """`count` finance questions, one group each, with one greedy answer per arm."""
    items = [
        Item(
            id=f"q{number}",
            task="finance_qa",
            group=f"g{number}",
            kind="",
            stability=False,
            fields={"kind": "consulting", "instruction": f"问题{number}"},
            reference={"answer": ""},
        )
        for number in range(count)
    ]
    attempts = [
        RawAttempt(
            key=f"{number}{arm}",
            item=f"q{number}",
            task="finance_qa",
            arm=arm,
            condition="greedy",
            repeat=0,
            prompt="",
            seed=0,
            temperature=0.0,
            output=answer_of(number, arm),
        )
        for number in range(count)
        for arm in arms
    ]
    run = {"definitions": [], "arms": {arm: {"model": models.get(arm, "qwen-0.5b")} for arm in arms}}
    with artefact(folder, kind="evaluation") as work:
        write_jsonl(work.dir / "items.jsonl", items)
        write_jsonl(work.dir / "attempts.jsonl", attempts)
        (work.dir / "run.json").write_text(json.dumps(run))
        (work.dir / "summary.json").write_text("{}")
    return folder


def labels_for(path: Path, rows: range, arms: tuple[str, ...] = ("base", "tuned")) -> Path:
    """What people say of these items' answers: the truth."""
    lines: list[dict[str, Any]] = [
        {"arm": arm, "item": f"q{number}", "label": "合格" if truly_good(number, arm) else "不合格"}
        for number in rows
        for arm in arms
    ]
    write_jsonl(path, lines)
    return path


def erring_judge(payload: dict[str, Any]) -> str:
    """A judge with the error rates of ERRORS, the same in every repeat but for the wording."""
    shown = payload["messages"][0]["content"]
    found = re.search(r"(base|tuned)的(好|坏)回答(\d+)。", shown)
    assert found is not None
    arm, quality, number = found[1], found[2], found[3]
    specificity, sensitivity = ERRORS[arm]
    luck = random.Random(f"judge{number}{arm}").random()
    says_good = luck < sensitivity if quality == "好" else luck >= specificity
    verdict = {"evidence": f"回答{number}", "verdict": "合格" if says_good else "不合格", "note": payload["seed"]}
    return "我来判断。" + json.dumps(verdict, ensure_ascii=False)


@pytest.fixture
def settings(endpoint: Any) -> Callable[..., JudgeConfig]:
    endpoint.reply = erring_judge

    def make(**given: Any) -> JudgeConfig:
        values = {
            "name": "useful",
            "endpoint": endpoint.base_url,
            "model": "glm-judge",
            "tasks": ("finance_qa",),
            "criterion": "回答是否解决了客户的问题",
            "tries": 1,
        }
        return JudgeConfig(**(values | given))

    return make
