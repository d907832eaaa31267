"""Peers of the benchmark of practices: tests without adjustment, and the same numbers by other people's code."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import fisher_exact

from data_recipes.experience.practices.associations import Association
from data_recipes.experience.practices.doubly_robust import FOLDS, PROPENSITY_LIMITS, doubly_robust
from data_recipes.experience.statistics import benjamini_hochberg, risk_ratio

MAX_Q = 0.05
# (situation, action, sign)
Finding = tuple[str, str, int]


def peers(pairs: Sequence[Association]) -> dict[str, set[Finding]]:
    """What tests without adjustment find on the same pairs."""
    tables = []
    for pair in pairs:
        treated, kept = pair.treated, pair.group.kept
        a, b = int((treated & kept).sum()), int((treated & ~kept).sum())
        c, d = int((~treated & kept).sum()), int((~treated & ~kept).sum())
        tables.append((a, b, c, d))
    fisher = [float(fisher_exact([[a, b], [c, d]])[1]) for a, b, c, d in tables]
    logistic = [_wald(*table) for table in tables]

    def found(p_values: Sequence[float]) -> set[Finding]:
        return {
            (pair.group.situation, pair.group.actions[pair.action], 1 if a * d > b * c else -1)
            for pair, p, (a, b, c, d) in zip(pairs, p_values, tables, strict=True)
            if p <= MAX_Q and not pair.exploratory
        }

    return {
        "Fisher p < 0.05": found(fisher),
        "Fisher + BH": found(benjamini_hochberg(fisher)),
        "logistic regression p < 0.05": found(logistic),
        "logistic regression + BH": found(benjamini_hochberg(logistic)),
    }


def _wald(a: int, b: int, c: int, d: int) -> float:
    """p of the coefficient of a logistic regression on one indicator, in closed form."""
    if not min(a, b, c, d):
        return 1.0
    return math.erfc(abs(math.log(a * d / (b * c))) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d) / math.sqrt(2))


def numbers_by_others(pairs: Sequence[Association]) -> bool:
    """Print the largest differences to statsmodels' StratifiedTable and to AIPW with scikit-learn's models."""
    worst: dict[str, float] = {}
    try:
        from statsmodels.stats.contingency_tables import StratifiedTable
    except ImportError:
        print("statsmodels is not installed: the comparison with StratifiedTable is left out")
    else:
        for pair in pairs:
            tables = [t.reshape(2, 2) for t in pair.counts if t[:2].sum() and t[2:].sum()]
            theirs = StratifiedTable(tables)
            ratio = risk_ratio(pair.counts)
            p = float(theirs.test_null_odds(correction=False).pvalue)
            worst["CMH p"] = max(worst.get("CMH p", 0), abs(pair.effect.p - p))
            if ratio is not None:
                difference = abs(ratio.ratio - float(theirs.riskratio_pooled))
                worst["pooled risk ratio"] = max(worst.get("pooled risk ratio", 0), difference)
    worst["AIPW by scikit-learn"] = max(_aipw_difference(pair) for pair in pairs)
    print(f"{len(pairs)} pairs\n\n| figure | largest difference |\n|---|---|")
    for name, value in worst.items():
        print(f"| {name} | {value:.2g} |")
    return all(value < 1e-6 for name, value in worst.items())


def _aipw_difference(pair: Association) -> float:
    """Our AIPW against the textbook's formula with scikit-learn's logistic regression, same folds and penalty."""
    from sklearn.linear_model import LogisticRegression

    group = pair.group
    cell, cells = group.cells(pair.given)
    covariates = np.eye(cells)[cell]
    fold = np.arange(len(group.cases)) % FOLDS
    a, y = pair.treated.astype(float), group.kept.astype(float)
    result = doubly_robust(pair.treated, group.kept, covariates, fold)
    if result is None:
        return 0.0
    scores = np.empty(len(y))
    # A free coefficient is one of a column so large that its penalty vanishes.
    large = 1e3
    for number in range(FOLDS):
        held, rest = fold == number, fold != number
        e = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(
            covariates[rest], a[rest]
        )
        e_hat = e.predict_proba(covariates[held])[:, 1].clip(*PROPENSITY_LIMITS)
        design = np.column_stack([large * a, covariates])
        m = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(design[rest], y[rest])
        one = m.predict_proba(np.column_stack([np.full(held.sum(), large), covariates[held]]))[:, 1]
        zero = m.predict_proba(np.column_stack([np.zeros(held.sum()), covariates[held]]))[:, 1]
        scores[held] = one - zero + a[held] * (y[held] - one) / e_hat - (1 - a[held]) * (y[held] - zero) / (1 - e_hat)
    return abs(float(scores.mean()) - result.difference)
