"""Situations from text for the benchmark of practices: ten labelled calls of each situation, and the unlabelled rest.

A labelled call is one whose reason the agent logged: its customer's turn at that moment is an example of the situation,
its other customer turns are examples of none. A mixture of multinomials over character 1- to 3-grams is fitted by
expectation-maximisation to labelled and unlabelled calls together (Nigam, McCallum, Thrun and Mitchell 2000, Machine
Learning 39:103), with the constraint that one customer turn of a call tells the reason. Log-likelihoods are multiplied
by a temperature, since overlapping n-grams are far from independent, and the weight of unlabelled calls grows from a
tenth to one, so that the labels decide first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from practices_corpus import Planted
from sklearn.feature_extraction.text import CountVectorizer

LABELLED = 10
_ROUNDS = 16
_TEMPERATURE = 0.1
_SMOOTHING = 0.1


def infer(rows: Sequence[Planted], labelled: int = LABELLED) -> dict[str, tuple[str, int]]:
    """Dialogue id -> (situation, index of the turn that tells it) of every call but the labelled ones."""
    names = sorted({row.situation for row in rows})
    seen: Counter[str] = Counter()
    texts: list[str] = []
    call: list[int] = []
    turn: list[int] = []
    told: list[int] = []  # class of a labelled turn, len(names) for none, -1 where unlabelled
    known: list[bool] = []
    for number, row in enumerate(rows):
        seen[row.situation] += 1
        known.append(seen[row.situation] <= labelled)
        for index, said in enumerate(row.dialogue.turns):
            if said.speaker == "customer":
                label = names.index(row.situation) if index == row.act_turn - 1 else len(names)
                texts.append(said.text)
                call.append(number)
                turn.append(index)
                told.append(label if known[-1] else -1)
    grams = CountVectorizer(analyzer="char", ngram_range=(1, 3), binary=True, min_df=2, dtype=np.float32)
    posterior = _fit(grams.fit_transform(texts), np.array(call), np.array(told), len(names))
    found: dict[str, tuple[float, str, int]] = {}
    for number, index, row in zip(call, turn, posterior, strict=True):
        if not known[number]:
            case = rows[number].dialogue.id
            best = (float(row.max()), names[int(row.argmax())], index)
            found[case] = max(found.get(case, best), best)
    return {case: (situation, index) for case, (_, situation, index) in found.items()}


def _fit(grams, call: np.ndarray, told: np.ndarray, classes: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Posterior of each turn telling each situation, (turns, classes); a call's turns add up to 1 over both."""
    turns = len(call)
    starts = np.flatnonzero(np.r_[True, call[1:] != call[:-1]])
    labels = told >= 0
    given = np.zeros((turns, classes + 1), np.float32)
    given[labels, told[labels]] = 1
    share = given
    transposed = grams.T.tocsr()
    posterior = given[:, :classes]
    for step in range(_ROUNDS):
        counts = transposed @ share + _SMOOTHING
        scores = grams @ np.log(counts / counts.sum(0))
        prior = np.log((share[:, :classes].sum(0) + 1) / (share[:, :classes].sum() + classes))
        odds = _TEMPERATURE * (scores[:, :classes] - scores[:, classes:]) + prior
        top = np.maximum.reduceat(odds.max(1), starts)
        weight = np.exp(odds - np.repeat(top, np.diff(np.r_[starts, turns]))[:, None])
        total = np.add.reduceat(weight.sum(1), starts)
        posterior = weight / np.repeat(total, np.diff(np.r_[starts, turns]))[:, None]
        trust = min(1.0, (step + 1) / 10)
        share = np.hstack([posterior, 1 - posterior.sum(1, keepdims=True)]).astype(np.float32) * trust
        share[labels] = given[labels]
    return posterior
