"""What the coverage benchmark calls unattainable, against the enumeration of small cases."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "bench" / "evals_attainable.py"


@pytest.fixture(scope="module")
def attainable() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evals_attainable", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _net_signs(sizes: Sequence[int], rho: float, discordance: float) -> np.ndarray:
    """(G + 1, G + 1) probability of W clusters won and L lost, from every outcome of every item."""
    outcomes = ((1, discordance / 2), (-1, discordance / 2), (0, 1 - discordance))
    shared = math.sqrt(rho)
    found = np.zeros((len(sizes) + 1, len(sizes) + 1))
    found[0, 0] = 1.0
    for size in sizes:
        signs = dict.fromkeys((1, 0, -1), 0.0)
        for common, chance in outcomes:
            for items in product(
                ((True, common, shared), *((False, o, (1 - shared) * p) for o, p in outcomes)), repeat=size
            ):
                net = sum(outcome for _, outcome, _ in items)
                signs[(net > 0) - (net < 0)] += chance * math.prod(p for _, _, p in items)
        moved = signs[0] * found
        moved[1:] += signs[1] * found[:-1]
        moved[:, 1:] += signs[-1] * found[:, :-1]
        found = moved
    return found


@pytest.mark.parametrize(("sizes", "rho"), [([1] * 5, 0.0), ([2, 1, 3, 1], 0.4), ([4, 2], 0.4)])
def test_wins_and_losses_of_clusters_are_the_enumerated_ones(
    attainable: ModuleType, sizes: list[int], rho: float
) -> None:
    signs = _net_signs(sizes, rho, 0.3)
    misses = attainable._misses(sizes, rho, 0.3)
    for needed, losses in product(range(len(sizes) + 2), range(len(sizes) + 1)):
        assert misses[needed, losses] == pytest.approx(2 * signs[needed:, losses].sum(), abs=1e-12)


@pytest.mark.parametrize("most", [0.07, 0.2, 0.4])
def test_the_least_coverage_is_that_of_the_best_of_all_rules(attainable: ModuleType, most: float) -> None:
    sizes, discordance = [1] * 6, 0.15
    grid = [attainable._misses(sizes, 0.0, one) for one in (discordance, *attainable.DISCORDANCES)]
    best = 0.0
    for rule in product(range(1, 8), repeat=6):
        if any(needed <= losses for losses, needed in enumerate(rule)) or list(rule) != sorted(rule):
            continue
        missed = [sum(table[needed, losses] for losses, needed in enumerate(rule)) for table in grid]
        if max(missed[1:]) <= most:
            best = max(best, missed[0])
    assert attainable.least_coverage_of_no_difference(sizes, 0.0, discordance, most) == pytest.approx(
        1 - best, abs=2e-6
    )


def test_three_wins_in_a_row_say_too_little_to_be_allowed_to_say_anything(attainable: ModuleType) -> None:
    """36 items at a discordance of 0.05: excluding 0 by three wins to none misses 9 % at a discordance of 0.1."""
    three = [attainable._misses([1] * 36, 0.0, one)[3, 0] for one in (0.05, 0.1)]
    assert three[0] > 0.03 and three[1] > 0.07
    assert attainable.least_coverage_of_no_difference([1] * 36, 0.0, 0.05) > 0.98


def test_the_share_of_samples_without_error(attainable: ModuleType) -> None:
    assert attainable.share_without_error([1, 1, 1], 0.0, 0.9, 1) == pytest.approx(0.9**3)
    assert attainable.share_without_error([1], 0.4, 0.9, 2) == pytest.approx(0.9 * 1.9 / 2)
    assert attainable.share_without_error([3], 1.0, 0.9, 1) == pytest.approx(0.9 * 1.9 / 2 * 2.9 / 3)
    assert attainable.least_coverage_of_mean([1] * 36, 0.0, 0.95, 1) == 0.975
    assert attainable.least_coverage_of_mean([1] * 100, 0.0, 0.95, 1) == 0.0
