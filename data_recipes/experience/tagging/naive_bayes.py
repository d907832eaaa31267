"""Learning from few labels and many turns without one: multinomial naive Bayes by expectation-maximisation.

Nigam, McCallum, Thrun and Mitchell 2000 (Machine Learning 39:103), with deterministic annealing (Ueda and Nakano 1998,
Neural Networks 11:271). A few labels a class say what the classes are; the turns without one say how often each class
is and in what other words it comes. Labels are drawn evenly over classes, turns are not: that the prior is learned too
is much of the gain over a classifier of the labels alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Assign = Callable[[Floats], Floats]
"""From log joint probabilities (rows, classes) to responsibilities (rows, classes), known labels included."""

SMOOTHING = 0.1
"""Added to the count of every gram in every class."""
TEMPERATURES: tuple[float, ...] = tuple(np.geomspace(0.2, 100.0, 55).tolist())
"""Tried to make probabilities honest; 1 leaves probabilities as they are."""
# Share of the evidence that each round believes: early rounds, whose model is poor, leave a row to several classes.
_ANNEALING = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0)


@dataclass(frozen=True)
class View:
    """One kind of evidence: `matrix` sparse (rows, grams), and how many words a row of length 1 counts as."""

    matrix: Any
    words: float


@dataclass(frozen=True)
class NaiveBayes:
    """Log prior (classes,), and for each view the log gram probabilities (grams, classes) times its words."""

    log_prior: Floats
    log_grams: tuple[Floats, ...]

    def log_joint(self, matrices: Sequence[Any], belief: float = 1.0) -> Floats:
        """ln p(class, row) up to a constant of the row, (rows, classes); the evidence to the power of `belief`."""
        total = np.tile(self.log_prior, (matrices[0].shape[0], 1))
        for matrix, weights in zip(matrices, self.log_grams, strict=True):
            total += belief * np.asarray(matrix @ weights)
        return total


def fit(views: Sequence[View], responsibilities: Floats, row_weights: Floats, background: float) -> NaiveBayes:
    """Maximise: weighted counts of grams by class, smoothed, and one row more for each class."""
    weighted = responsibilities * row_weights[:, None]
    mass = weighted.sum(axis=0) + 1.0
    log_grams = []
    for view in views:
        counts = np.asarray(view.matrix.T @ weighted, dtype=np.float64) + SMOOTHING
        everywhere = np.asarray(view.matrix.sum(axis=0), dtype=np.float64).reshape(-1, 1)
        shares = (1 - background) * counts / counts.sum(axis=0) + background * everywhere / max(everywhere.sum(), 1e-9)
        log_grams.append(np.log(shares) * view.words)
    return NaiveBayes(np.log(mass / mass.sum()), tuple(log_grams))


def learn(
    views: Sequence[View],
    start: Floats,
    labelled: npt.NDArray[np.bool_],
    assign: Assign,
    unlabelled_weight: float,
    background: float = 0.0,
) -> NaiveBayes:
    """Fit on the labelled rows, then assign every row and fit on all, in ten rounds.

    Args:
        start: responsibilities (rows, classes) of the labelled rows.
        labelled: (rows,) whether a row has a label.
        unlabelled_weight: what a row without a label counts, from 0 (labels alone) to 1.
        background: share of the gram probabilities of all rows in those of each class (Jelinek and Mercer 1980).
            Without it a gram that a class has not is likelier in a small class, which draws rows away from a class
            that is most of the rows.
    """
    model = fit(views, start, labelled.astype(np.float64), background)
    weights = np.where(labelled, 1.0, unlabelled_weight)
    matrices = [view.matrix for view in views]
    for belief in _ANNEALING if unlabelled_weight else ():
        model = fit(views, assign(model.log_joint(matrices, belief)), weights, background)
    return model


def softmax(log_joint: Floats) -> Floats:
    """Responsibilities where every row has exactly one class."""
    shifted = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def temperature(log_joint: Floats, truth: npt.NDArray[np.int64], prior: Floats) -> float:
    """What to divide log joints by so that their softmax is honest: least log loss on rows judged out of sample.

    Guo et al. 2017 (ICML, arXiv 1706.04599). Naive Bayes counts dependent grams as if they were not, and is too sure.

    Args:
        prior: (classes,) how frequent the classes are: labels are drawn evenly, so each class weighs as it occurs.
    """
    if not len(truth):
        return 1.0
    rows = np.arange(len(truth))
    weights = prior[truth] / np.bincount(truth, minlength=len(prior))[truth]
    loss = [-weights @ np.log(softmax(log_joint / tried)[rows, truth] + 1e-12) for tried in TEMPERATURES]
    return TEMPERATURES[int(np.argmin(loss))]
