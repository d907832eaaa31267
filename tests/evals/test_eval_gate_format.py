"""A model that has learnt the format of the answers: how much of its gain is knowledge, or stability?"""

from __future__ import annotations

from typing import Any

import pytest

from evals.gate.decide import decide
from evals.gate.policy import GatePolicy
from tests.evals.deciding import measure, only, ruled, summary, verdict

__all__ = ["summary"]


class TestFormatChange:
    """The base leaves 30 % unreadable, the tuned model nothing: how much of a gain of 20 points is knowledge?"""

    @pytest.fixture(autouse=True)
    def unreadable_base(self, summary: dict[str, Any]) -> None:
        summary["tasks"]["b"]["invalid"]["base"] = {"rate": 0.3, "ci_low": 0.2, "ci_high": 0.4}
        summary["tasks"]["b"]["beyond_format"] = {"difference": -0.1, "ci_low": -0.2, "ci_high": 0.02}

    def test_by_default_the_gain_counts_only_over_well_formed_guesses(self, summary: dict[str, Any]) -> None:
        unguarded = GatePolicy(beat_format_only=False)
        assert verdict(summary, unguarded) == "PROMOTE"
        summary["tasks"]["b"]["format_only"] = {"difference": 0.02, "ci_low": -0.05, "ci_high": 0.09}
        assert verdict(summary, unguarded) == "INCONCLUSIVE"

    def test_discounting_leaves_only_what_format_cannot_explain(self, summary: dict[str, Any]) -> None:
        decision = decide(summary, GatePolicy(format_change="discount"))
        assert decision.verdict == "INCONCLUSIVE"
        assert "beyond what readable answers alone could give -0.100" in only(decision, "target").reason

    def test_refusing_makes_the_evaluation_invalid_and_names_the_task(self, summary: dict[str, Any]) -> None:
        decision = decide(summary, GatePolicy(format_change="refuse"))
        assert decision.verdict == "INVALID" and decision.findings[0].reason.startswith("b: shares of unreadable")
        assert verdict(summary, GatePolicy(format_change="refuse", max_invalid_difference=0.3)) == "PROMOTE"

    @pytest.mark.parametrize("metric", ["pass^4", "agreement", "TAR@4"])
    def test_repeats_that_only_one_model_makes_readable_show_no_gain_in_stability(
        self, summary: dict[str, Any], metric: str
    ) -> None:
        summary["measures"] = [measure(metric, task, difference=(0.5, 0.4, 0.6)) for task in "ab"]
        rule = {"kind": "target", "metric": metric, "task": "b"}
        found = only(ruled(summary, rule), "target")
        assert found.verdict == "INCONCLUSIVE" and "give both models the format" in found.remedy
        assert "may be of format alone: shares of unreadable answers differ by 30.0 %" in found.reason
        assert ruled(summary, rule, format_change="discount").verdict == "INCONCLUSIVE"
        assert ruled(summary, rule, max_invalid_difference=0.3).verdict == "PROMOTE"
        assert ruled(summary, {**rule, "task": "a"}).verdict == "PROMOTE"
        assert ruled(summary, {**rule, "task": ["a", "b"], "min_tasks": 1}).verdict == "PROMOTE"
        summary["measures"] = [measure(metric, "b", difference=(-0.5, -0.6, -0.4))]
        assert ruled(summary, rule).verdict == "BLOCK"

    def test_a_model_that_answers_nothing_readable_is_not_more_even(self, summary: dict[str, Any]) -> None:
        invalid = summary["tasks"]["b"]["invalid"]
        invalid["base"], invalid["tuned"] = invalid["tuned"], invalid["base"]
        summary["measures"] = [measure("reliability_gap", "b", difference=(-0.5, -0.6, -0.4), better="lower")]
        rule = {"kind": "target", "metric": "reliability_gap", "task": "b"}
        assert ruled(summary, rule).verdict == "INCONCLUSIVE"

    def test_fewer_unreadable_answers_may_be_the_aim_and_fewer_breaches_too(self, summary: dict[str, Any]) -> None:
        counts = {"events": {"base": 60, "tuned": 0}, "trials": {"base": 200, "tuned": 200}, "better": "lower"}
        for metric in ("invalid_rate", "breaches"):
            summary["measures"] = [
                measure(metric, "b", difference=(-0.3, -0.4, -0.2), value=(0.0, 0.0, 0.02), **counts)
            ]
            summary["measures"][0]["arms"]["base"]["value"] = 0.3
            assert ruled(summary, {"kind": "target", "metric": metric, "task": "b"}).verdict == "PROMOTE"

    def test_without_the_control_nothing_is_taken_for_granted(self, summary: dict[str, Any]) -> None:
        del summary["tasks"]["b"]["format_only"]
        decision = decide(summary, GatePolicy(beat_format_only=False))
        assert decision.verdict == "INVALID" and "MISSING: over_format_only of b" in decision.findings[0].reason
