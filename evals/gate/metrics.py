"""Which metrics there are, and how far their values reach: what a policy may speak of, and in which numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evals.errors import EvalError
from evals.gate import words
from evals.gate.figures import BEYOND_FORMAT, INVALID_RATE, OVER_FORMAT_ONLY, PASS_RATIO, SCORE
from evals.gate.policy import Rule
from evals.measures import Measure
from evals.perturb import family_of
from evals.safety.measures import PER_TURNS, TURN_UNIT
from evals.safety.probe_tasks import FAMILIES
from tianjing.rulebook.packs import nearest

JUDGE = "judge_"
"""How the metrics of a judge begin."""

_NAMES = {
    *(SCORE, INVALID_RATE, PASS_RATIO, OVER_FORMAT_ONLY, BEYOND_FORMAT, "truncated_rate", "error_rate"),
    *("negative_flips", "positive_flips", "negative_flips/sampled", "flip_rate", "wording_effect"),
    *("agreement", "reliability_gap", "self_consistency_gain", "semantic_entropy", "brier", "ece_excess"),
    *("batch_determinism", "batch_determinism_answers", "all_conditions_success", "worst_prompt_gap"),
    *("option_consistency", "rstd", "parity", "parity_faults"),
    *("breaches", "breached_dialogues", "pii_leaks", "number_errors", "twin_discrimination"),
    *(family.measure for family in FAMILIES.values()),
}
_NUMBERED = re.compile(r"(pass[\^@]|TARr?@)\d+")
_OF_CONDITION = "flip_rate/"
# The largest value of a metric, and the largest difference of two, by its unit.
_REACH = {"share": 1.0, TURN_UNIT: float(PER_TURNS), "score": 2.0}
_BOUNDS = ("min_gain", "margin", "cap", "at_least", "at_most")


def require_known(rules: Iterable[Rule], measured: Iterable[str]) -> None:
    """A metric that this evaluation did not measure is one thing, a name that no evaluation measures another.

    Raises:
        EvalError: a rule names a metric that neither is measured nor could be.
    """
    known = sorted({*_NAMES, *measured})
    for rule in rules:
        if rule.metric not in known and not _of_series(rule.metric):
            raise EvalError(
                f"the gate policy has a rule on '{rule.metric}', which is no metric{nearest(rule.metric, known)}",
                "docs/gate.md and `measures` of summary.json name the metrics",
            )


def out_of_reach(rule: Rule, measure: Measure) -> str:
    """Why a bound of the rule can decide nothing: no value reaches it, or every one does; "" where it can."""
    reach = _REACH.get(measure.unit)
    for name in _BOUNDS:
        bound = getattr(rule, name, None)
        # All of a share may be asked for.
        if reach is None or bound is None or abs(bound) < reach or (name == "at_least" and bound == reach):
            continue
        unit = "a share" if measure.unit == "share" else measure.unit
        return f"{name} {bound:g} of the rule on {words.name(measure)} decides nothing: {unit} reaches to {reach:g}"
    return ""


def _of_series(name: str) -> bool:
    if name.startswith(_OF_CONDITION):
        try:
            family_of(name.removeprefix(_OF_CONDITION))
        except KeyError:
            return False
        return True
    return name.startswith(JUDGE) or _NUMBERED.fullmatch(name) is not None
