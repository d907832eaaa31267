"""Verdicts of the release gate on hand-made summaries: the short form of a policy, and every kind of rule."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from evals.errors import EvalError
from evals.gate.decide import decide
from evals.gate.findings import Decision
from evals.gate.planning import one_sided_p
from evals.gate.policy import GatePolicy
from evals.measures import Estimate
from evals.stats import t_quantile, t_tail
from tests.evals.deciding import make_task, measure, only, ruled, summary, verdict

__all__ = ["summary"]


def test_enough_improvement_without_harm_is_promoted(summary: dict[str, Any]) -> None:
    decision = decide(summary, GatePolicy())
    assert decision.verdict == "PROMOTE" and {finding.verdict for finding in decision.findings} == {"PROMOTE"}
    reason = only(decision, "target").reason
    assert "2 of 3 tasks improved" in reason and "+0.300 [+0.200, +0.400]" in reason


def test_must_block_a_task_that_got_worse(summary: dict[str, Any]) -> None:
    summary["tasks"]["c"] = make_task(-0.2, -0.3, -0.1)
    decision = decide(summary, GatePolicy())
    assert (decision.verdict, decision.exit_code) == ("BLOCK", 1)
    assert decision.findings[0].reason.startswith("c: score difference -0.200 [-0.300, -0.100]")
    assert "is a loss of more than 0.03" in decision.findings[0].reason


def test_must_block_when_the_wanted_improvement_is_ruled_out(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"] = make_task(-0.02, -0.03, -0.01)
    assert verdict(summary) == "INCONCLUSIVE", "c may still be better"
    summary["tasks"]["c"] = make_task(-0.02, -0.02, 0.0)
    assert verdict(summary) == "BLOCK"


def test_an_interval_across_zero_is_inconclusive(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"] = make_task(0.1, -0.05, 0.25)
    assert verdict(summary) == "INCONCLUSIVE"
    assert verdict(summary, GatePolicy(min_tasks_improved=1)) == "PROMOTE"


def test_an_evaluation_of_a_lower_level_than_the_policy_asks_for_proves_nothing(summary: dict[str, Any]) -> None:
    summary["config"]["confidence"] = 0.6
    decision = decide(summary, GatePolicy())
    assert decision.verdict == "INVALID"
    assert decision.findings[0].reason.startswith("the intervals have a level of 60 %, and the policy asks for")
    assert decision.findings[0].remedy == "evaluate again with confidence: 0.95"
    assert verdict(summary, GatePolicy(min_confidence=0.6)) == "PROMOTE"


def test_the_level_of_the_intervals_is_told(summary: dict[str, Any]) -> None:
    assert "note: every interval has a level of 95 % or more" in map(str, decide(summary, GatePolicy()).findings)


def test_many_claims_are_held_to_the_degrees_of_freedom_of_their_own_intervals() -> None:
    """60 groups of very unequal size weigh as 6: t of 4 is not what it is with 59 degrees of freedom."""
    reach = 0.05 * t_quantile(0.975, 5.45)
    uneven = Estimate(value=0.2, low=0.2 - reach, high=0.2 + reach, degrees=5.45)
    assert one_sided_p(uneven, 0.0, 60, 0.95) == pytest.approx(t_tail(4.0, 5.45) / 2)
    assert one_sided_p(uneven, 0.0, 60, 0.95) > 3 * t_tail(4.0, 59) / 2
    even = uneven.model_copy(update={"degrees": None, "low": 0.2 - 0.05 * t_quantile(0.975, 59)})
    assert one_sided_p(even, 0.0, 60, 0.95) == pytest.approx(t_tail(4.0, 59) / 2)


def test_no_interval_proves_nothing(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"] = make_task(0.9, None, None)
    assert verdict(summary) == "INCONCLUSIVE"


def test_learning_the_format_alone_is_no_improvement(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"]["format_only"].update(difference=0.05, ci_low=-0.05, ci_high=0.15)
    assert verdict(summary) == "INCONCLUSIVE"
    assert verdict(summary, GatePolicy(beat_format_only=False)) == "PROMOTE"


def test_a_named_task_must_improve(summary: dict[str, Any]) -> None:
    assert verdict(summary, GatePolicy(must_improve=("a",))) == "PROMOTE"
    assert verdict(summary, GatePolicy(must_improve=("c",))) == "INCONCLUSIVE"
    with pytest.raises(EvalError, match="'poetry'"):
        decide(summary, GatePolicy(must_improve=("poetry",)))


def test_asking_for_one_of_many_tasks_gives_chance_no_extra_tries(summary: dict[str, Any]) -> None:
    """One of ten equal tasks is nominally significant: Holm knows that ten were looked at."""
    summary["tasks"] = {f"t{number}": make_task(0.0, -0.1, 0.1) for number in range(9)}
    summary["tasks"]["lucky"] = make_task(0.11, 0.005, 0.215)
    decision = decide(summary, GatePolicy(min_tasks_improved=1))
    assert decision.verdict == "INCONCLUSIVE" and "Holm over 10 claims" in only(decision, "target").reason
    summary["tasks"]["lucky"] = make_task(0.3, 0.195, 0.405)
    assert verdict(summary, GatePolicy(min_tasks_improved=1)) == "PROMOTE"


def test_more_tasks_wanted_than_evaluated_is_a_mistake_in_the_policy(summary: dict[str, Any]) -> None:
    assert verdict(summary, GatePolicy(min_tasks_improved=4)) == "INVALID"


def test_strict_guardrail_asks_for_proof_of_no_loss(summary: dict[str, Any]) -> None:
    assert verdict(summary, GatePolicy(require_non_inferiority=True)) == "INCONCLUSIVE"
    assert verdict(summary, GatePolicy(require_non_inferiority=True, guardrail_margin=0.15)) == "PROMOTE"


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ({"estimate": 0.3, "ci_low": 0.1, "ci_high": 0.45}, "BLOCK"),
        ({"estimate": 0.4, "ci_low": 0.2, "ci_high": 0.7}, "INCONCLUSIVE"),
        ({"estimate": 0.5, "ci_low": 0.2, "ci_high": 0.7}, "PROMOTE"),
        ({"estimate": None, "ci_low": None, "ci_high": None}, "INCONCLUSIVE"),
    ],
)
def test_instability_holds_a_release_back(summary: dict[str, Any], ratio: dict[str, Any], expected: str) -> None:
    summary["tasks"]["a"]["stability"]["tuned"]["pass_ratio"] = ratio
    assert verdict(summary) == expected
    assert verdict(summary, GatePolicy(min_pass_ratio=0)) == "PROMOTE"


def test_unreadable_answers_hold_a_release_back(summary: dict[str, Any]) -> None:
    summary["tasks"]["c"]["invalid"]["tuned"] = {"rate": 0.15, "ci_low": 0.05, "ci_high": 0.3}
    assert verdict(summary) == "INCONCLUSIVE"
    summary["tasks"]["c"]["invalid"]["tuned"] = {"rate": 0.4, "ci_low": 0.3, "ci_high": 0.5}
    assert verdict(summary) == "BLOCK"


def test_accuracy_alone_can_be_gated(summary: dict[str, Any]) -> None:
    for task in summary["tasks"].values():
        task["stability"] = {"tuned": {}}
    assert verdict(summary) == "PROMOTE"


@pytest.mark.parametrize(
    "damage",
    [
        {"error_rate": 0.011},
        {"error_rate": None},
        {"unmatched": ["a/i/greedy/0"], "tasks": {}},
        {"shared_groups": 1},
        {"differences": ["engine: 1 and 2"]},
        {"arms": {"base": {"chat_template": "1"}, "tuned": {"chat_template": "2"}}},
    ],
)
def test_evidence_that_cannot_be_trusted_is_invalid_whatever_it_says(
    summary: dict[str, Any], damage: dict[str, Any]
) -> None:
    assert verdict({**deepcopy(summary), **damage}) == "INVALID"
    assert verdict(summary, broken=["the evidence was changed"]) == "INVALID"


def test_a_target_must_exceed_its_gain(summary: dict[str, Any]) -> None:
    rule = {"kind": "target", "metric": "score", "task": "a"}
    assert ruled(summary, {**rule, "min_gain": 0.19}).verdict == "PROMOTE"
    assert ruled(summary, {**rule, "min_gain": 0.21}).verdict == "INCONCLUSIVE"
    assert ruled(summary, {**rule, "min_gain": 0.4}).verdict == "BLOCK"


def test_every_task_is_meant_by_a_star(summary: dict[str, Any]) -> None:
    rule = {"kind": "target", "metric": "score"}
    assert ruled(summary, rule).verdict == "INCONCLUSIVE", "c is not shown to be better"
    summary["tasks"]["c"] = make_task(0.3, 0.2, 0.4)
    assert ruled(summary, rule).verdict == "PROMOTE"


def test_several_targets_share_their_level(summary: dict[str, Any]) -> None:
    """p of 0.02 one-sided holds for one claim, and not for two."""
    summary["tasks"]["a"] = summary["tasks"]["b"] = make_task(0.105, 0.003, 0.207)
    one, two = ({"kind": "target", "metric": "score", "task": task} for task in "ab")
    assert ruled(summary, one).verdict == "PROMOTE"
    assert ruled(summary, one, two).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("difference", "expected"),
    [((-0.1, -0.2, -0.06), "BLOCK"), ((-0.1, -0.2, 0.0), "INCONCLUSIVE"), ((0.0, -0.04, 0.04), "PROMOTE")],
)
def test_a_guardrail_on_stability_is_three_way(
    summary: dict[str, Any], difference: tuple[float, float, float], expected: str
) -> None:
    summary["measures"] = [measure("pass^4", difference=difference)]
    rule = {"kind": "guardrail", "metric": "pass^4", "task": "a", "margin": 0.05}
    assert ruled(summary, rule).verdict == expected


def test_a_judge_is_never_the_only_one_to_say_no(summary: dict[str, Any]) -> None:
    loss = {"difference": (-0.1, -0.2, -0.06)}
    summary["measures"] = [measure("judge_useful", **loss), measure("pass^4", **loss)]
    judged, counted = (
        {"kind": "guardrail", "metric": m, "task": "a", "margin": 0.05} for m in ("judge_useful", "pass^4")
    )
    alone = ruled(summary, judged)
    assert alone.verdict == "INCONCLUSIVE" and "have people read" in alone.findings[0].remedy
    assert ruled(summary, judged, counted).verdict == "BLOCK"


def test_a_task_whose_name_sounds_like_a_judge_is_blocked_like_any_other(summary: dict[str, Any]) -> None:
    summary["tasks"]["judge_law"] = make_task(-0.3, -0.4, -0.2)
    guardrail = {"kind": "guardrail", "metric": "score", "task": "judge_law", "margin": 0.03}
    assert ruled(summary, guardrail).verdict == "BLOCK"
    assert ruled(summary, {"kind": "target", "metric": "score", "task": "judge_law"}).verdict == "BLOCK"


def test_where_less_is_better_a_rise_is_the_loss(summary: dict[str, Any]) -> None:
    rule = {"kind": "guardrail", "metric": "flip_rate", "task": "a", "margin": 0.05}
    summary["measures"] = [measure("flip_rate", difference=(0.1, 0.06, 0.2), better="lower")]
    assert ruled(summary, rule).verdict == "BLOCK"
    summary["measures"] = [measure("flip_rate", difference=(-0.1, -0.2, -0.06), better="lower")]
    assert ruled(summary, rule).verdict == "PROMOTE"
    assert ruled(summary, {"kind": "target", "metric": "flip_rate", "task": "a"}).verdict == "PROMOTE"


@pytest.mark.parametrize(
    ("value", "shown", "lenient"),
    [
        ((0.8, 0.75, 0.85), "PROMOTE", "PROMOTE"),
        ((0.72, 0.65, 0.8), "INCONCLUSIVE", "PROMOTE"),
        ((0.65, 0.6, 0.72), "INCONCLUSIVE", "INCONCLUSIVE"),
        ((0.6, 0.5, 0.69), "BLOCK", "BLOCK"),
    ],
)
def test_an_absolute_bound_looks_at_the_tuned_model_alone(
    summary: dict[str, Any], value: tuple[float, float, float], shown: str, lenient: str
) -> None:
    summary["measures"] = [measure("TAR@4", value=value)]
    rule = {"kind": "absolute", "metric": "TAR@4", "task": "a", "at_least": 0.7}
    assert ruled(summary, rule).verdict == shown
    assert ruled(summary, {**rule, "must_be_shown": False}).verdict == lenient


def test_an_absolute_cap_reads_the_other_way(summary: dict[str, Any]) -> None:
    summary["measures"] = [measure("wording_effect", value=(0.02, 0.0, 0.04))]
    rule = {"kind": "absolute", "metric": "wording_effect", "task": "a"}
    assert ruled(summary, {**rule, "at_most": 0.05}).verdict == "PROMOTE"
    assert ruled(summary, {**rule, "at_most": 0.03}).verdict == "INCONCLUSIVE"


class TestZeroTolerance:
    RULE = {"kind": "zero_tolerance", "metric": "breaches", "task": "", "cap": 10.0}

    def judged(self, summary: dict[str, Any], events: dict[str, int], low: float, high: float) -> Decision:
        """Per 1,000 of 600 turns in 100 groups."""
        value = 1000 * events["tuned"] / 600
        counts = {"events": events, "trials": {"base": 600, "tuned": 600}}
        summary["measures"] = [
            measure("breaches", "", value=(value, low, high), **counts, better="lower", unit="per 1,000 turns")
        ]
        return ruled(summary, self.RULE)

    def test_none_holds_once_no_higher_rate_is_possible(self, summary: dict[str, Any]) -> None:
        assert self.judged(summary, {"base": 0, "tuned": 0}, 0, 9.9).verdict == "PROMOTE"

    def test_none_in_few_proves_nothing_and_says_how_many_would(self, summary: dict[str, Any]) -> None:
        decision = self.judged(summary, {"base": 0, "tuned": 0}, 0, 36.2)
        found = only(decision, "zero_tolerance")
        assert decision.verdict == "INCONCLUSIVE" and "36.200] per 1,000 turns" in found.reason
        assert found.remedy == "about 263 more groups without an event, 363 in all"

    def test_one_new_event_blocks_however_low_the_rate(self, summary: dict[str, Any]) -> None:
        assert self.judged(summary, {"base": 0, "tuned": 1}, 0, 9.9).verdict == "BLOCK"

    def test_an_event_that_the_base_had_too_is_not_new_where_that_is_known(self, summary: dict[str, Any]) -> None:
        assert self.judged(summary, {"base": 1, "tuned": 1, "new": 0}, 0, 9.9).verdict == "PROMOTE"
        assert self.judged(summary, {"base": 1, "tuned": 1}, 0, 9.9).verdict == "BLOCK"

    def test_a_known_rate_that_is_shown_to_be_too_high_blocks(self, summary: dict[str, Any]) -> None:
        assert self.judged(summary, {"base": 60, "tuned": 60, "new": 0}, 80, 120).verdict == "BLOCK"

    def test_a_metric_that_counts_nothing_cannot_be_judged_so(self, summary: dict[str, Any]) -> None:
        summary["measures"] = [measure("breaches", "")]
        assert "counts no events" in ruled(summary, self.RULE).findings[0].reason


def test_probes_are_no_tasks_to_improve_at_and_are_named_by_their_own_rules(summary: dict[str, Any]) -> None:
    summary["tasks"]["probe_injection"] = make_task(0.9, 0.8, 1.0)
    assert "2 of 3 tasks improved" in only(decide(summary, GatePolicy()), "target").reason
    summary["measures"] = [
        measure(
            "injection_success", "probe_injection", value=(0.0, 0.0, 0.02), events={"tuned": 0}, trials={"tuned": 9}
        )
    ]
    rule = {"kind": "zero_tolerance", "metric": "injection_success", "task": "probe_injection", "cap": 0.03}
    assert ruled(summary, rule).verdict == "PROMOTE"


def test_tasks_may_be_listed(summary: dict[str, Any]) -> None:
    rule = {"kind": "target", "metric": "score", "task": ["b", "c"]}
    assert ruled(summary, rule).verdict == "INCONCLUSIVE"
    assert ruled(summary, {**rule, "min_tasks": 1}).verdict == "PROMOTE"


def test_an_advisory_is_shown_and_never_decides(summary: dict[str, Any]) -> None:
    summary["measures"] = [
        measure("agreement", task, difference=(-0.5, -0.6, -0.4), p=p) for task, p in (("a", 0.01), ("b", 0.04))
    ]
    passing = {"kind": "target", "metric": "score", "task": "a"}
    decision = ruled(summary, passing, {"kind": "advisory", "metric": "agreement"})
    notes = [finding for finding in decision.findings if finding.kind == "advisory"]
    assert decision.verdict == "PROMOTE" and {note.label for note in notes} == {"note"}
    told = {note.name: note.reason for note in notes}
    assert "exploratory: q 0.020" in told["a: agreement"] and "exploratory: q 0.040" in told["b: agreement"]
    assert told["agreement"] == "agreement of c was not measured"


def test_a_metric_that_was_not_measured_is_missing_not_passed(summary: dict[str, Any]) -> None:
    summary["measures"] = [measure("TAR@4", difference=(0.0, -0.01, 0.01))]
    rule = {"kind": "guardrail", "metric": "TAR@4", "margin": 0.05}
    decision = ruled(summary, rule)
    assert (decision.verdict, decision.exit_code) == ("INVALID", 3)
    missing = decision.findings[0]
    assert missing.reason == "MISSING: TAR@4 of b was not measured" and "measured of: a" in missing.remedy
    assert ruled(summary, {**rule, "if_measured": True}).verdict == "PROMOTE"
    unmeasured = {**rule, "metric": "batch_determinism", "if_measured": True}
    assert ruled(summary, unmeasured).verdict == "INVALID", "nothing was judged, so nothing was passed"
    typo = ruled(summary, {**rule, "metric": "TAR@3"}).findings[0]
    assert "TAR@4" in typo.remedy and "score" in typo.remedy


def test_one_arm_has_no_difference_to_judge(summary: dict[str, Any]) -> None:
    summary["measures"] = [measure("agreement")]
    found = ruled(summary, {"kind": "guardrail", "metric": "agreement", "task": "a", "margin": 0.1}).findings[0]
    assert found.verdict == "INVALID" and "tianjing eval compare" in found.remedy
    assert (
        ruled(summary, {"kind": "absolute", "metric": "agreement", "task": "a", "at_least": 0.7}).verdict == "PROMOTE"
    )


def test_inconclusive_says_how_many_items_would_settle_it(summary: dict[str, Any]) -> None:
    """60 items, half-width 0.1: SE 0.0489, so 0.144 an item; 80 % power for 0.05 needs 2.8² · 0.144 / 0.05²."""
    summary["tasks"]["a"] = make_task(0.05, -0.05, 0.15)
    remedy = only(ruled(summary, {"kind": "target", "metric": "score", "task": "a"}), "target").remedy
    assert "about 391 more items, 451 in all, for 80 % power" in remedy
    assert "60 items find a gain of 0.130" in remedy
    worse = make_task(-0.01, -0.05, 0.15)
    summary["tasks"]["a"] = worse
    remedy = only(ruled(summary, {"kind": "target", "metric": "score", "task": "a"}), "target").remedy
    assert "more items alone will not show it" in remedy
