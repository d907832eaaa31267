"""Clusters of turns without any label: many small ones, so that a person names few medoids instead of many turns.

Over-clustering buys purity first: three clusters for each class that is expected, then names by hand, by a teacher, or
by the words that set a cluster apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_recipes.experience.tagging.features import Grams, sklearn_part, words

Ints = npt.NDArray[np.int64]
_DIMENSIONS = 200
_RESTARTS = 10
_PRIOR_WEIGHT = 0.1
_MIN_Z = 1.96
"""A word sets a cluster apart from two standard errors on."""


@dataclass(frozen=True)
class Cluster:
    """Turns that are said alike."""

    number: int
    members: tuple[int, ...]
    medoid: int
    """The member nearest to the middle."""
    words: tuple[str, ...]
    """What sets it apart, most telling first."""


def embed(texts: Sequence[str], seed: int = 0) -> npt.NDArray[np.float64]:
    """Latent semantic vectors (texts, dimensions) of length 1: truncated SVD of TF-IDF (Deerwester et al. 1990)."""
    matrix: Any = Grams(texts, min_rows=2).matrix(texts)
    dimensions = min(_DIMENSIONS, matrix.shape[1] - 1, len(texts) - 1)
    if dimensions < 1 or len(set(texts)) == 1:
        return np.ones((len(texts), 1))
    svd = sklearn_part("decomposition").TruncatedSVD(dimensions, random_state=seed)
    vectors = np.asarray(svd.fit_transform(matrix), dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def assign(vectors: npt.NDArray[np.float64], count: int, seed: int = 0) -> Ints:
    """Number of the cluster of each row (k-means, best of ten starts); at most one cluster for each distinct row."""
    count = min(count, len(np.unique(vectors.round(6), axis=0)))
    means = sklearn_part("cluster").KMeans(count, n_init=_RESTARTS, random_state=seed)
    return np.asarray(means.fit_predict(vectors), dtype=np.int64)


def find_clusters(texts: Sequence[str], count: int, seed: int = 0) -> list[Cluster]:
    """At most `count` clusters of the texts, largest first, each with its medoid and the words that set it apart."""
    if not texts:
        return []
    vectors = embed(texts, seed)
    numbers = assign(vectors, count, seed)
    background: Counter[str] = Counter(word for text in texts for word in set(words(text)))
    found = []
    for number in np.unique(numbers):
        members = np.flatnonzero(numbers == number)
        middle = vectors[members].mean(axis=0)
        medoid = int(members[int((vectors[members] @ middle).argmax())])
        inside: Counter[str] = Counter(word for i in members for word in set(words(texts[int(i)])))
        found.append((tuple(int(i) for i in members), medoid, distinctive(inside, background)))
    found.sort(key=lambda row: (-len(row[0]), row[1]))
    return [Cluster(number, *row) for number, row in enumerate(found)]


def distinctive(inside: Mapping[str, int], everywhere: Mapping[str, int], most: int = 5) -> tuple[str, ...]:
    """Words said more often in a part than in the rest, by z-score of the log odds ratio, at most `most`.

    Informative Dirichlet prior from all of it (Monroe, Colaresi and Quinn 2008, Political Analysis 16:372):
    δ = ln((y1+α)/(n1+α0−y1−α)) − ln((y2+α)/(n2+α0−y2−α)), z = δ/√(1/(y1+α)+1/(y2+α)).
    """
    total_inside, total = sum(inside.values()), sum(everywhere.values())
    total_outside, prior_total = total - total_inside, _PRIOR_WEIGHT * total + 1.0  # one word unheard of
    scores: list[tuple[float, str]] = []
    for word, count in inside.items():
        prior = _PRIOR_WEIGHT * everywhere[word]
        here, there = count + prior, everywhere[word] - count + prior
        odds = np.log(here / (total_inside + prior_total - here)) - np.log(
            there / (total_outside + prior_total - there)
        )
        scores.append((float(odds / np.sqrt(1 / here + 1 / there)), word))
    chosen: list[str] = []
    for z, word in sorted(scores, key=lambda pair: (-pair[0], -len(pair[1]), pair[1])):
        if z < _MIN_Z or len(chosen) == most:
            break
        if not any(word in other or other in word for other in chosen):
            chosen.append(word)
    return tuple(chosen)


def purity(numbers: Iterable[int], truth: Iterable[str]) -> float:
    """Share of rows whose class is the most frequent one of their cluster."""
    inside: dict[int, Counter[str]] = {}
    for number, label in zip(numbers, truth, strict=True):
        inside.setdefault(int(number), Counter())[label] += 1
    rows = sum(counts.total() for counts in inside.values())
    return sum(max(counts.values()) for counts in inside.values()) / rows if rows else float("nan")
