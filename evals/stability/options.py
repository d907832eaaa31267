"""Multiple choice under permuted options: CircularEval, selection bias, and the prior of the letters.

Option positions are numbered from 0 as they stood in the prompt. `order` is a permutation: `order[j]` is the number of
the content that stood at position j.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.stats import Array

Choice = int | None


def undo_permutation(chosen: Choice, order: Sequence[int]) -> Choice:
    """The content that the chosen position held; None stays None.

    One look-up, so a letter cannot be mapped there and back again: consistency is counted over contents, and a model
    that always says A is as inconsistent as it is.
    """
    return None if chosen is None else order[chosen]


@dataclass(frozen=True)
class Circular:
    """CircularEval over the K rotations of one question (MMBench, arXiv 2307.06281).

    Attributes:
        perfect: `perf_K`, 1 when all K rotations are right.
        accuracy: `acc_K`, the mean over rotations.
        vote: `vote_K`, 1 when the content chosen most often is right; a tie counts with the right one's share.
        at_least: `more_K_j` for j = 1 … K: at least j rotations right.
        prior: share of each letter among the K answers; an unreadable answer counts for none.
    """

    perfect: float
    accuracy: float
    vote: float
    at_least: tuple[float, ...]
    prior: tuple[float, ...]


def circular(chosen: Sequence[Choice], gold: int) -> Circular:
    """One question with K options asked in K rotations.

    Args:
        chosen: chosen[r] is the position chosen in rotation r, where content (j + r) mod K stands at position j.
        gold: number of the right content.
    """
    k = len(chosen)
    contents = [
        undo_permutation(letter, [(j + rotation) % k for j in range(k)]) for rotation, letter in enumerate(chosen)
    ]
    right = sum(content == gold for content in contents)
    votes = Counter(content for content in contents if content is not None)
    most = max(votes.values(), default=0)
    winners = [content for content, count in votes.items() if count == most]
    letters = Counter(letter for letter in chosen if letter is not None)
    return Circular(
        perfect=float(right == k),
        accuracy=right / k,
        vote=(gold in winners) / len(winners) if winners else 0.0,
        at_least=tuple(float(right >= j) for j in range(1, k + 1)),
        prior=tuple(letters[j] / k for j in range(k)),
    )


def rstd(gold: Array, chosen: Array, weights: Array | None = None) -> Array:
    """Standard deviation over option positions of recall, ×100 (Zheng et al., arXiv 2309.03882); 0 without bias.

    Args:
        gold: (N,) position of the right option of each question as asked.
        chosen: (N,) position chosen; −1 for unreadable, which is never a hit.
        weights: (B, N) weights of resamples; None for one unweighted value.

    Returns:
        (B,) population standard deviation of the recalls of those positions that are right at least once.
    """
    given = np.ones((1, len(gold))) if weights is None else weights
    hits = np.asarray(gold) == np.asarray(chosen)
    recalls = []
    for position in np.unique(gold):
        here = np.asarray(gold) == position
        total = given[:, here].sum(axis=1)
        hit = given[:, here & hits].sum(axis=1)
        recalls.append(np.divide(hit, total, out=np.full(len(given), math.nan), where=total > 0))
    table = np.asarray(recalls)
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    filled = np.where(known, table, 0.0)
    average = filled.sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(known, table - average, 0.0) ** 2).sum(axis=0) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, 100 * np.sqrt(squares), math.nan))


def pride_prior(log_probabilities: Array) -> Array:
    """PriDe's prior of the option letters, (K,): softmax of the mean log-probability over permutations.

    Args:
        log_probabilities: (P, K) log P(letter j) under each of P permutations in which every content stands at every
            letter equally often (the cyclic ones), so that what the contents contribute cancels. For several questions
            average the priors of each (Zheng et al., arXiv 2309.03882).
    """
    means = np.asarray(log_probabilities, dtype=float).mean(axis=0)
    shifted = np.exp(means - means.max())
    return np.asarray(shifted / shifted.sum())


def pride_prior_of_choices(chosen: Sequence[Choice], options: int) -> Array:
    """The letters' prior from how often each was chosen over balanced permutations, where there are no probabilities.

    Add-one smoothed, (m_j + 1) / (M + K): a letter that was never chosen is rare, not impossible.
    """
    counts = Counter(choice for choice in chosen if choice is not None)
    total = sum(counts.values())
    return np.asarray([(counts[letter] + 1) / (total + options) for letter in range(options)])


def pride_debiased(log_probabilities: Array, prior: Array) -> Array:
    """(…,) position with the largest log P_observed − log prior, over the last axis of `log_probabilities`."""
    return np.asarray(np.argmax(np.asarray(log_probabilities, dtype=float) - np.log(prior), axis=-1))
