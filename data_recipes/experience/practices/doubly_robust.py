"""Doubly robust estimate of a risk difference, cross-fitted, in plain numpy.

Right if either the model of who is treated or the model of outcomes is. Legend of shapes: N cases, K covariates.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from data_recipes.experience.statistics import Z95, Floats, RiskDifference

PROPENSITY_LIMITS = (0.05, 0.95)
FOLDS = 5
_RIDGE = 1.0
_STEPS = 25


def doubly_robust(
    treated: NDArray[np.bool_], outcome: NDArray[np.bool_], covariates: Floats, fold: NDArray[np.int64]
) -> RiskDifference | None:
    """Average risk difference by augmented inverse probability weighting (AIPW); None where a fold lacks a group.

    With propensity e and outcome models m1, m0, each fitted on the other folds (Chernozhukov et al. 2018, Econometrics
    Journal 21:C1), the mean of
        m1 − m0 + A(Y − m1)/e − (1 − A)(Y − m0)/(1 − e)
    (Robins, Rotnitzky and Zhao 1994, JASA 89:846); its standard error is that of the mean. Propensities are clipped to
    `PROPENSITY_LIMITS`. `covariates` (N, K) hold indicators; `fold` numbers below `FOLDS`.
    """
    scores = np.empty(len(outcome))
    with_treatment = np.column_stack([treated.astype(float), covariates])
    for number in range(FOLDS):
        held = fold == number
        rest = ~held
        if not held.any():
            continue
        if not 0 < treated[rest].sum() < rest.sum():
            return None
        propensity = predict(fit_logistic(covariates[rest], treated[rest]), covariates[held])
        propensity = propensity.clip(*PROPENSITY_LIMITS)
        weights = fit_logistic(with_treatment[rest], outcome[rest], free=1)
        held_one, held_zero = with_treatment[held].copy(), with_treatment[held].copy()
        held_one[:, 0], held_zero[:, 0] = 1.0, 0.0
        one, zero = predict(weights, held_one), predict(weights, held_zero)
        a, y = treated[held], outcome[held]
        scores[held] = one - zero + a * (y - one) / propensity - (~a) * (y - zero) / (1 - propensity)
    value = float(scores.mean())
    error = float(scores.std(ddof=1)) / math.sqrt(len(scores))
    p = math.erfc(abs(value) / error / math.sqrt(2)) if error else 1.0
    return RiskDifference(value, max(-1.0, value - Z95 * error), min(1.0, value + Z95 * error), p)


def fit_logistic(covariates: Floats, outcome: NDArray[np.bool_], free: int = 0) -> Floats:
    """Weights (1 + K,) of a logistic regression, intercept first, by Newton's method.

    Half a squared weight is the penalty of every covariate but the first `free` ones and the intercept: an agent of few
    cases is drawn to the others, as a random effect would be.
    """
    design = np.column_stack([np.ones(len(outcome)), covariates])
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[: 1 + free] = 1e-6
    weights = np.zeros(design.shape[1])
    target = outcome.astype(float)
    for _ in range(_STEPS):
        probability = _sigmoid(design @ weights)
        gradient = design.T @ (target - probability) - penalty * weights
        curvature = (design * np.maximum(probability * (1 - probability), 1e-9)[:, None]).T @ design
        curvature[np.diag_indices_from(curvature)] += penalty
        step = np.linalg.solve(curvature, gradient)
        weights += step.clip(-4, 4)
        if np.abs(step).max() < 1e-6:
            break
    return weights


def predict(weights: Floats, covariates: Floats) -> Floats:
    """Probabilities (N,)."""
    return _sigmoid(weights[0] + covariates @ weights[1:])


def _sigmoid(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value.clip(-35, 35))), dtype=np.float64)
