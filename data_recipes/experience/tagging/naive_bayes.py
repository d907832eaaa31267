"""Learning from few labels and many turns without one: multinomial naive Bayes by expectation-maximisation.

Nigam, McCallum, Thrun and Mitchell 2000 (Machine Learning 39:103). A few labels a class say what the classes are; the
turns without one say how often each class is and in what other words it comes. Labels are drawn evenly over classes,
turns are not: that the prior is learned too is most of the gain over a classifier of the labels alone.
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


@dataclass(frozen=True)
class View:
    """One kind of evidence: `matrix` sparse (rows, grams), and how many words a row of length 1 counts as."""

    matrix: Any
    strength: float


@dataclass(frozen=True)
class NaiveBayes:
    """Log prior (classes,) and per view log gram probabilities (grams, classes) times the view's strength."""

    log_prior: Floats
    log_grams: tuple[Floats, ...]

    def log_joint(self, matrices: Sequence[Any]) -> Floats:
        """ln p(class, row) up to a constant of the row, (rows, classes)."""
        total = np.tile(self.log_prior, (matrices[0].shape[0], 1))
        for matrix, weights in zip(matrices, self.log_grams, strict=True):
            total += np.asarray(matrix @ weights)
        return total


def fit(views: Sequence[View], responsibilities: Floats, row_weights: Floats, smoothing: float) -> NaiveBayes:
    """Maximise: weighted counts of grams by class, `smoothing` added to each, and one row added to each class."""
    weighted = responsibilities * row_weights[:, None]
    mass = weighted.sum(axis=0) + 1.0
    log_grams = []
    for view in views:
        counts = np.asarray(view.matrix.T @ weighted, dtype=np.float64) + smoothing
        log_grams.append(np.log(counts / counts.sum(axis=0)) * view.strength)
    return NaiveBayes(np.log(mass / mass.sum()), tuple(log_grams))


def learn(
    views: Sequence[View],
    start: Floats,
    labelled: npt.NDArray[np.bool_],
    assign: Assign,
    unlabelled_weight: float,
    smoothing: float,
    rounds: int,
) -> NaiveBayes:
    """Fit on the labelled rows, then `rounds` times assign every row and fit on all.

    Args:
        start: responsibilities (rows, classes) of the labelled rows.
        unlabelled_weight: what a row without a label counts, from 0 (labels alone) to 1.
    """
    model = fit(views, start, labelled.astype(np.float64), smoothing)
    weights = np.where(labelled, 1.0, unlabelled_weight)
    matrices = [view.matrix for view in views]
    for _ in range(rounds):
        model = fit(views, assign(model.log_joint(matrices)), weights, smoothing)
    return model


def softmax(log_joint: Floats) -> Floats:
    """Responsibilities where every row has exactly one class."""
    shifted = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
