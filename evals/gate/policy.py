"""The gate policy: what a tuned model must show before it is released, as a list of rules or in a short form.

Every decision is taken on rules. The short form is a set of the usual ones: it becomes rules before anything is
decided, so a policy has one meaning whichever way it is written.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tianjing.config import StrictModel

EVERY_TASK = "*"


class _Rule(StrictModel):
    metric: str = Field(min_length=1)
    """The measure it is about: score, pass^4, TAR@4, agreement, wording_effect, flip_rate, invalid_rate, breaches, …"""

    task: str | tuple[str, ...] = EVERY_TASK
    """Name of a task, or a list of them; `*` for each task of the evaluation by itself but its probes, an empty text
    for the figure over all tasks together."""

    if_measured: bool = False
    """Leave the rule out where the metric was not measured, with a note. Otherwise a decision without it is INVALID."""

    @field_validator("task")
    @classmethod
    def _each_once(cls, task: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(task, str):
            return task
        if not task:
            raise ValueError("the list names no task: leave 'task' out for each by itself")
        twice = [name for name, count in Counter(task).items() if count > 1]
        if twice:
            raise ValueError(f"task '{twice[0]}' is listed twice, and would count twice")
        return task


class TargetRule(_Rule):
    """Superiority: the tuned model is better than the base by more than `min_gain`."""

    kind: Literal["target"]

    min_gain: float = Field(0.0, ge=0)
    """Gain that must be exceeded by the lower bound, in the unit of the metric; for a metric of which less is better,
    a gain is a fall."""

    min_tasks: int | None = Field(None, ge=1)
    """With several tasks: how many must be shown to be better. None asks for every one."""

    beat_format_only: bool = False
    """The tuned model must also beat the format-only control (well-formed answers that ignore the input), so that
    having learnt the shape of the answers alone is not taken for knowledge. For metric `score`."""

    @model_validator(mode="after")
    def _fits(self) -> TargetRule:
        if self.min_tasks is not None and isinstance(self.task, str) and self.task != EVERY_TASK:
            raise ValueError("min_tasks counts tasks: it goes with task '*' or a list")
        if self.min_tasks is not None and isinstance(self.task, tuple) and "" in self.task:
            raise ValueError("min_tasks counts tasks, and '' stands for all of them together")
        if self.beat_format_only and self.metric != "score":
            raise ValueError("beat_format_only goes with metric 'score': the control is scored, not repeated")
        return self


class GuardrailRule(_Rule):
    """Non-inferiority: the tuned model is not worse than the base by more than `margin`."""

    kind: Literal["guardrail"]

    margin: float = Field(ge=0)
    """Loss that is tolerated, in the unit of the metric."""

    must_be_shown: bool = True
    """The interval must exclude a larger loss, or the gate is INCONCLUSIVE. Without it only a loss that is shown to be
    larger holds the release back (BLOCK), and lack of evidence lets it pass."""


class AbsoluteRule(_Rule):
    """A bound for the tuned model alone, whatever the base does."""

    kind: Literal["absolute"]

    at_least: float | None = None
    """Lowest value that is acceptable."""

    at_most: float | None = None
    """Highest value that is acceptable."""

    must_be_shown: bool = True
    """The whole interval must keep the bound. Without it the value alone must; a value beyond it is INCONCLUSIVE until
    the interval shows it too."""

    @model_validator(mode="after")
    def _one_bound(self) -> AbsoluteRule:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give at_least or at_most, one of them")
        return self


class ZeroToleranceRule(_Rule):
    """Events that must not happen: none may be new, and the rate that the data still allow is capped.

    New are events of the tuned model on items where the base had none, where the measure counts them (`events.new`);
    otherwise all of the tuned model's, since nothing shows that the base had them too.
    """

    kind: Literal["zero_tolerance"]

    cap: float = Field(gt=0)
    """Highest rate that the interval may leave possible, in the unit of the metric. A share of 0.01 needs about 370
    groups (customers, dialogues) without any event at 95 %."""


class AdvisoryRule(_Rule):
    """Shown with its q-value (Benjamini-Hochberg over all advisory rules) and marked exploratory; never decides."""

    kind: Literal["advisory"]


Rule = Annotated[
    TargetRule | GuardrailRule | AbsoluteRule | ZeroToleranceRule | AdvisoryRule, Field(discriminator="kind")
]


class GatePolicy(StrictModel):
    """What a tuned model must show before it is released. Every rule is checked against an interval, not a point."""

    rules: tuple[Rule, ...] = ()
    """All that decides. With rules, none of the short form's fields may be set: what stands in the file is all there
    is. Guardrails must hold together (an intersection-union test, no correction); targets are corrected by Holm."""

    min_tasks_improved: int = Field(2, ge=0)
    """Short form: tasks that must be better than base, the interval of the paired difference above 0 after Holm's
    correction for the number of tasks; 0 asks for none."""

    must_improve: tuple[str, ...] = ()
    """Short form: tasks that must be among the improved ones."""

    beat_format_only: bool = True
    """Short form: a task counts as improved only if the tuned model also beats the format-only control."""

    guardrail_margin: float = Field(0.03, ge=0, lt=1)
    """Short form: loss in score that is tolerated; a task whose whole interval lies below minus this margin blocks."""

    require_non_inferiority: bool = False
    """Short form: every task must be shown not to lose more than the margin, or the gate is inconclusive."""

    min_pass_ratio: float = Field(0.5, ge=0, le=1)
    """Short form: pass^k / pass^1 of the tuned model at k = repeats, the part of its success that survives k runs in a
    row; 0 asks for none. Applies where repeats were asked."""

    max_invalid_rate: float = Field(0.1, ge=0, lt=1)
    """Short form: share of the tuned model's answers that could not be read, per task."""

    min_confidence: float = Field(0.95, gt=0.5, lt=1)
    """Least level of the intervals that are judged. The level is set where the models are evaluated (`confidence`) or
    checked (`eval parity`, `eval judge`): at a lower one more is "shown" by the same answers, so it is INVALID."""

    max_error_rate: float = Field(0.01, ge=0, le=1)
    """Share of failed requests, of either model, above which the evaluation itself is not valid."""

    max_invalid_difference: float = Field(0.02, ge=0, le=1)
    """Difference between the models' shares of unreadable answers, per task, above which a change of format may pass
    for a change of accuracy. `format_change` says what then happens."""

    format_change: Literal["control", "discount", "refuse"] = "control"
    """`control`: a gain in score counts only if the model also beats the format-only control. `discount`: from a gain
    is first taken what more readable answers could have given at the most. `refuse`: the evaluation is INVALID; for
    two tuned models, which both hold the format. A base model rarely does, and refusing would leave nothing to
    decide. A target on another metric that unreadable answers move shows nothing then: it has no control."""

    allow_worked_examples: bool = True
    """Whether the base model may be asked with worked examples that the tuned one does not get, as the plan does to
    give it a fair chance. False demands equal prompts."""

    expiry_days: int = Field(90, ge=1)
    """Days until the release must be evaluated again."""

    signing_key: Path | None = None
    """Ed25519 private key (PEM). None uses, and at first makes, the one in the cache folder's `keys`."""

    @model_validator(mode="after")
    def _one_form(self) -> GatePolicy:
        if self.rules:
            both = sorted(_SHORT_FORM & self.model_fields_set)
            if both:
                raise ValueError(f"'{both[0]}' belongs to the short form, which 'rules' replaces: write it as a rule")
            if all(rule.kind == "advisory" for rule in self.rules):
                raise ValueError("advisory rules never decide: without another rule everything would be released")
        return self

    def in_force(self) -> tuple[Rule, ...]:
        """The rules that decide: those written, or those that the short form stands for."""
        return self.rules or tuple(self._expanded())

    def score_margin(self) -> float | None:
        """The smallest loss of score that a rule tolerates: what a planned evaluation must be able to exclude."""
        rules = self.in_force()
        margins = [rule.margin for rule in rules if rule.kind == "guardrail" and rule.metric == "score"]
        return min(margins, default=None)

    def _expanded(self) -> list[Rule]:
        score: list[Rule] = [
            TargetRule(kind="target", metric="score", task=task, beat_format_only=self.beat_format_only)
            for task in self.must_improve
        ]
        if self.min_tasks_improved:
            score.append(
                TargetRule(
                    kind="target",
                    metric="score",
                    min_tasks=self.min_tasks_improved,
                    beat_format_only=self.beat_format_only,
                )
            )
        score.append(
            GuardrailRule(
                kind="guardrail",
                metric="score",
                margin=self.guardrail_margin,
                must_be_shown=self.require_non_inferiority,
            )
        )
        score.append(
            AbsoluteRule(kind="absolute", metric="invalid_rate", at_most=self.max_invalid_rate, must_be_shown=False)
        )
        if self.min_pass_ratio:
            score.append(
                AbsoluteRule(
                    kind="absolute",
                    metric="pass_ratio",
                    at_least=self.min_pass_ratio,
                    must_be_shown=False,
                    if_measured=True,
                )
            )
        return score


_SHORT_FORM = {
    "min_tasks_improved",
    "must_improve",
    "beat_format_only",
    "guardrail_margin",
    "require_non_inferiority",
    "min_pass_ratio",
    "max_invalid_rate",
}
