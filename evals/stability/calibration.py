"""Uncertainty and calibration: semantic entropy, Brier score, calibration error with its null, selective accuracy.

A confidence must be named by its source wherever it is shown (here: the vote share of repeats).
Shapes: N items, K classes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stability.agreement import Answer
from evals.stats import Array

Numbers = NDArray[np.intp]

ECE_BINS = 10


def semantic_entropy(answers: Sequence[Answer], corrected: bool = False) -> float:
    """Discrete semantic entropy in nats, −Σ_C p(C) ln p(C) with p(C) = count / M (Farquhar et al., Nature 2024).

    A cluster is a canonical answer; an unreadable one is a cluster of its own. The plug-in value is too low for few
    runs; `corrected` adds Miller and Madow's (clusters − 1) / (2M). State M beside it. NaN without runs.
    """
    if not answers:
        return math.nan
    counts = list(Counter(answer for answer in answers if answer is not None).values())
    counts += [1] * sum(answer is None for answer in answers)
    total = len(answers)
    entropy = -math.fsum(count / total * math.log(count / total) for count in counts) + 0.0
    return entropy + (len(counts) - 1) / (2 * total) if corrected else entropy


def brier(probabilities: Array, gold: Array) -> Array:
    """(N,) multi-class Brier score per item, Σ_k (p_k − 1[k is right])², in [0, 2]; lower is better.

    Args:
        probabilities: (N, K), rows summing to 1.
        gold: (N,) number of the right class.
    """
    p = np.asarray(probabilities, dtype=float)
    return np.asarray((p**2).sum(axis=1) - 2 * p[np.arange(len(p)), np.asarray(gold, dtype=int)] + 1)


def vote_brier(answers: Sequence[Answer], right: Sequence[bool]) -> float:
    """Brier score of one item's vote shares: the right class has the share of right runs, each wrong answer its own.

    An unreadable answer is a wrong class of its own. NaN without runs.
    """
    total = len(answers)
    if not total:
        return math.nan
    wrong = [answer for answer, hit in zip(answers, right, strict=True) if not hit]
    votes = list(Counter(answer for answer in wrong if answer is not None).values())
    votes += [1] * sum(answer is None for answer in wrong)
    return (len(wrong) / total) ** 2 + sum((count / total) ** 2 for count in votes)


@dataclass(frozen=True)
class CurvePoint:
    """One bin of the reliability curve: mean confidence, accuracy, and how many items."""

    confidence: float
    accuracy: float
    n: int


def reliability_curve(confidence: Array, correct: ArrayLike, bins: int = ECE_BINS) -> list[CurvePoint]:
    """Equal-mass bins of confidence; items of one confidence are never split, for their order is arbitrary."""
    edges, order = _bins(np.asarray(confidence, dtype=float), bins)
    conf, hits = np.asarray(confidence, dtype=float)[order], np.asarray(correct, dtype=float)[order]
    return [
        CurvePoint(float(conf[start:end].mean()), float(hits[start:end].mean()), int(end - start))
        for start, end in pairwise(edges)
    ]


def ece(confidence: Array, correct: ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error Σ_b (n_b/N) |acc_b − conf_b| over equal-mass bins; NaN without items.

    Never 0 in a finite sample, however well calibrated: read it beside its null (`ece_excess`).
    """
    if not len(confidence):
        return math.nan
    edges, order = _bins(np.asarray(confidence, dtype=float), bins)
    gaps = (np.asarray(correct, dtype=float) - np.asarray(confidence, dtype=float))[order]
    return float(np.abs(np.add.reduceat(gaps, edges[:-1])).sum() / len(gaps))


def ece_excess(
    confidence: Array, correct: ArrayLike, bins: int = ECE_BINS, draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """ECE minus its mean under perfect calibration, that mean, and the p-value of the ECE against it.

    The null draws y_i ~ Bernoulli(confidence_i) in the same bins. With 300 items a perfectly calibrated model reads
    about 0.06.
    """
    if not len(confidence):
        return math.nan, math.nan, math.nan
    seen = ece(confidence, correct, bins)
    conf = np.asarray(confidence, dtype=float)
    edges, order = _bins(conf, bins)
    conf = conf[order]
    rng = np.random.default_rng(seed)
    gaps = (rng.random((draws, len(conf))) < conf) - conf
    null = np.abs(np.add.reduceat(gaps, edges[:-1], axis=1)).sum(axis=1) / len(conf)
    expected = float(null.mean())
    return seen - expected, expected, (1 + int(np.sum(null >= seen - 1e-12))) / (1 + draws)


def coverage_accuracy_area(confidence: Array, correct: ArrayLike) -> float:
    """Area under accuracy of the n most confident items over coverage n/N, n = 1 … N (selective prediction, as HELM).

    Items of one confidence enter together, each coverage within them with the accuracy expected of a random order.
    """
    conf, hits = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if not len(conf):
        return math.nan
    expected = np.empty(len(conf))
    for value in np.unique(conf):
        expected[conf == value] = hits[conf == value].mean()
    ranked = expected[np.argsort(-conf, kind="stable")]
    return float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1)).mean())


def _bins(confidence: Array, bins: int) -> tuple[Numbers, Numbers]:
    """Edges in sorted order (from 0 to N) of at most `bins` bins of about equal mass, and the sorting order."""
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    n = len(ranked)
    edges = [0]
    for cut in range(1, bins):
        # The cut moves down to the first item of this confidence.
        edge = int(np.searchsorted(ranked, ranked[min(n - 1, round(cut * n / bins))], side="left"))
        if edge > edges[-1]:
            edges.append(edge)
    return np.asarray([*edges, n]), order
