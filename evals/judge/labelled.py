"""Answers that people labelled, by which a judge's errors are measured."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Self

from pydantic import model_validator

from evals.errors import EvalError
from evals.judge.config import JudgeConfig
from evals.records import Arm
from tianjing.config import StrictModel
from tianjing.files import read_jsonl


class LabelledLine(StrictModel):
    """One line of the calibration file."""

    arm: Arm
    """Which model gave the answer: errors are taken per arm."""
    label: str
    """What people found: one of the labels, or a number as text."""
    item: str = ""
    """The item of this evaluation whose answer was labelled; or:"""
    question: str = ""
    answer: str = ""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.item) == bool(self.question and self.answer):
            raise ValueError("give 'item', or 'question' and 'answer'")
        return self


@dataclass(frozen=True)
class Labelled:
    """A labelled answer: `subject` is the item, or a name of its own; `answer` is empty for an item."""

    subject: str
    arm: Arm
    label: str
    question: str
    answer: str


def read_labelled(config: JudgeConfig, items: Set[str], arms: Sequence[Arm]) -> list[Labelled]:
    """The rows of the calibration file; none without one.

    Raises:
        EvalError: a label, item or arm is not known, naming the row. TianjingError: a line is broken.
    """
    if config.calibration is None:
        return []
    if not config.calibration.is_file():
        raise EvalError(f"{config.calibration}: no such calibration file", "check `judge.calibration`")
    rows = []
    for number, line in enumerate(read_jsonl(config.calibration, LabelledLine), start=1):
        where = f"{config.calibration}:{number}"
        if line.item and line.item not in items:
            raise EvalError(f"{where}: field 'item': '{line.item}' is not judged", "take items of the judged tasks")
        if line.arm not in arms:
            raise EvalError(f"{where}: field 'arm': the evaluation has no arm '{line.arm}'", f"arms: {', '.join(arms)}")
        if good(line.label, config) is None:
            raise EvalError(f"{where}: field 'label': '{line.label}' is no verdict", f"verdicts: {config.choices}")
        name = line.item or f"labelled-{number}"
        rows.append(Labelled(name, line.arm, line.label, line.question, line.answer))
    return rows


def good(verdict: str, config: JudgeConfig) -> bool | None:
    """Whether a verdict (of people or of the judge) counts as good; None for one that is not known."""
    if config.mode == "numeric":
        try:
            number = float(verdict)
        except ValueError:
            return None
        return number >= config.pass_at if config.lowest <= number <= config.highest else None
    return verdict in config.passing if verdict in config.labels else None
