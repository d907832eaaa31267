"""Planning before a run: power, the smallest difference, and what a pilot measures."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.errors import EvalError
from evals.power import Design, Load, detectable, items_for_margin, items_needed, simulate
from evals.run import evaluate
from evals.sizing import numbers, read_pilot
from evals.stats import sample_size
from tests.evals.conftest import World


@pytest.mark.parametrize(
    ("difference", "discordance", "items"), [(0.02, 0.1, 1955), (0.03, 0.1, 865), (0.05, 0.2, 621)]
)
def test_paired_sample_sizes_of_the_reference(difference: float, discordance: float, items: int) -> None:
    assert items_needed(Design(discordance), difference) == pytest.approx(items, abs=1)
    assert items_needed(Design(discordance), difference) == math.ceil(sample_size(difference, discordance))


def test_simulated_power_is_that_of_the_formula() -> None:
    for design in (
        Design(0.2),
        Design(0.3, within=0.2, repeats=4),
        Design(0.3, within=0.1, icc=0.3, cluster_size=3),
        Design(0.25, within=0.1, icc=0.2, cluster_size=2, repeats=8),
    ):
        items = items_needed(design, 0.08)
        found = simulate(design, items, 0.08, simulations=600, seed=1)
        assert found.better == pytest.approx(0.8, abs=0.06), design
        assert detectable(design, items) == pytest.approx(0.08, rel=0.01)
        none = simulate(design, items, 0.0, margin=0.08, simulations=600, seed=2)
        assert none.better < 0.05, "no difference is shown in 2.5 % of the runs"
        assert none.no_loss > 0.7


def test_a_margin_is_excluded_with_the_planned_chance() -> None:
    design = Design(0.15, icc=0.2, cluster_size=2)
    items = items_for_margin(design, 0.05)
    assert simulate(design, items, 0.0, margin=0.05, simulations=600).no_loss == pytest.approx(0.8, abs=0.06)
    assert simulate(design, items, -0.15, margin=0.05, simulations=300).loss > 0.8


def test_repeats_shrink_only_the_noise_within_items() -> None:
    one, four = (Design(0.3, within=0.2, repeats=repeats) for repeats in (1, 4))
    assert one.variance(0.0) == pytest.approx(0.3) and four.variance(0.0) == pytest.approx(0.1 + 0.2 / 4)
    assert Design(0.3, repeats=4).variance(0.0) == pytest.approx(0.3)


def test_impossible_designs_are_named() -> None:
    with pytest.raises(EvalError, match="discordance 0"):
        Design(0.0)
    with pytest.raises(EvalError, match="needs a discordance"):
        items_needed(Design(0.05), 0.1)
    with pytest.raises(EvalError, match="no such design"):
        Design(0.1, cluster_size=0.5)
    assert math.isnan(detectable(Design(0.1), 5))
    with pytest.raises(EvalError, match="--items 5,x"):
        numbers("5,x", "--items", int)


def test_requests_and_time() -> None:
    load = Load(per_stability_item=7, stability_items=12, tasks=3, latency_s=2.0, concurrency=8)
    assert load.requests(100) == 3 * 2 * (100 + 12 * 7) and load.requests(5) == 3 * 2 * (5 + 5 * 7)
    assert load.seconds(100) == pytest.approx(load.requests(100) * 2 / 8)
    assert Load().seconds(10) is None


def test_a_pilot_gives_what_would_have_been_assumed(world: World) -> None:
    summary = evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    known = read_pilot(world.out, concurrency=4)
    assert sorted(known) == sorted(summary["tasks"])
    for task, pilot in known.items():
        figures = summary["tasks"][task]
        assert pilot.design.discordance >= abs(figures["difference"]) - 1e-6
        assert pilot.design.cluster_size >= 1 and 0 <= pilot.design.icc <= 1
        assert pilot.load.requests(24) == summary["requests"], "the same plan costs the same"
        assert pilot.load.latency_s and pilot.source == "measured on 24 items, the noise within items on 6"
    result = CliRunner().invoke(
        app, ["plan", "--pilot", str(world.out), "--items", "24,48", "--differences", "0.1,0.3"]
    )
    assert result.exit_code == 0, result.output
    for task in known:
        assert task in result.output
    assert re.search(r"24 │ +\d+ │", result.output) and "items for 80 %: +10 pt" in result.output


def test_a_folder_that_is_no_pilot_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EvalError, match=r"items\.jsonl: missing"):
        read_pilot(tmp_path, 1)


def test_the_plan_without_a_pilot_shows_more_power_for_more_items() -> None:
    options = ["--items", "50,400", "--differences", "0.1", "--discordance", "0.2", "--margin", "0.05", "--tasks", "2"]
    result = CliRunner().invoke(app, ["plan", *options])
    assert result.exit_code == 0, result.output
    shares = [int(share) for share in re.findall(r"│ +(\d+)% │ +\d+% │", result.output)]
    assert len(shares) == 2 and shares[0] < 50 < 90 < shares[1]
    assert "no loss > 5 pt" in result.output
    assert np.all(np.diff(shares) > 0)
