"""A classifier of turns for which a few labels a class are enough, given many turns without a label.

It sees the turn's words, what both sides said around it and the log between; it says how sure it is, and says nothing
where it is not sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from data_recipes.errors import DataError
from data_recipes.experience.tagging.features import Grams, Utterance, sklearn_part
from data_recipes.experience.tagging.naive_bayes import Floats, NaiveBayes, View, learn, softmax, temperature
from tianjing.config import StrictModel
from tianjing.order import order_key

_AT_ONCE = 20_000
_TEMPER = 10.0
"""Divides naive Bayes's log joints beside those of logistic regression, which are no overstatement."""
_INVERSE_PENALTY = 10.0
_UNSEEN = float(np.log(1e-9))
"""Log probability of a class that a fold has no label of."""

Ints = npt.NDArray[np.int64]


class ClassifierConfig(StrictModel):
    """How turns are classified; the strengths were tuned on twelve tasks of STAR (see docs/benchmarks.md)."""

    words: Annotated[float, Field(gt=0)] = 6.0
    """How many words the turn's own text counts as."""
    context_words: Annotated[float, Field(ge=0)] = 1.5
    """How many each of its neighbours counts as: the other side's last turn, the same side's last and next one, and
    the marks. 0 looks at the text alone."""
    unlabelled_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """What a turn without a label counts in learning; 0 learns from the labels alone."""
    max_unlabelled: Annotated[int, Field(ge=0)] = 20_000
    """Turns without a label that are learned from, drawn by a digest of their words; all are tagged."""
    min_margin: Annotated[float, Field(ge=0, le=1)] = 0.1
    """No label where the best two classes are closer in probability than this."""
    min_known: Annotated[float, Field(ge=0, le=1)] = 0.3
    """No label where fewer of the turn's grams than this share were ever seen: probabilities mean nothing there."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Parts of the labels; each is judged by the others to learn how sure to be, one pass of learning each."""


@dataclass(frozen=True)
class Tagged:
    """The best class of a turn, or None where the classifier abstains; its probability, and the lead over the next."""

    label: str | None
    probability: float
    margin: float


class Classifier:
    """Classes learned from a few labelled utterances among many (transductive), for these and any further ones."""

    def __init__(self, utterances: Sequence[Utterance], labels: Mapping[int, str], config: ClassifierConfig):
        """Learn.

        Args:
            labels: index of an utterance -> its class.

        Raises:
            DataError: fewer than two classes, or scikit-learn is not installed.
        """
        self.classes = sorted(set(labels.values()))
        if len(self.classes) < 2:
            raise DataError(
                f"tagging: the labels name {len(self.classes)} class(es), two are needed to tell one from another",
                "label a few turns of each act; ten a class are enough",
            )
        self.config = config
        without = [index for index in range(len(utterances)) if index not in labels]
        if len(without) > config.max_unlabelled:
            without.sort(key=lambda index: order_key(0, f"{index}|{utterances[index].text}"))
        chosen = sorted([*labels, *without[: config.max_unlabelled]])
        taught = [utterances[index] for index in chosen]
        self._grams = [Grams(texts, least) for texts, least in zip(_parts(taught, config), _LEAST_ROWS, strict=False)]
        number = {label: place for place, label in enumerate(self.classes)}
        truth = np.array([number[labels[index]] if index in labels else -1 for index in chosen])
        self._words = [config.words, *[config.context_words] * (len(self._grams) - 1)]
        views = [View(matrix, words) for matrix, words in zip(self._matrices(taught), self._words, strict=True)]
        self._views, self._truth = views, truth
        self._model = _learn(views, truth, len(self.classes), config)

    @cached_property
    def _calibration(self) -> tuple[float, float]:
        """Temperature, and the share of labels that are right by the others; learned when first asked for."""
        judged, right = _judge_by_others(self._views, self._truth, len(self.classes), self.config)
        agreed = float((judged.argmax(axis=1) == right).mean()) if len(right) else float("nan")
        return temperature(judged, right, np.exp(self._model.bayes.log_prior)), agreed

    @property
    def cross_validated(self) -> float:
        """Share of labelled utterances that a classifier of the other folds' labels gets right, classes as labelled."""
        return self._calibration[1]

    def best(self, utterances: Sequence[Utterance]) -> list[str]:
        """The most probable class of each utterance, however unsure."""
        found: list[str] = []
        for first in range(0, len(utterances), _AT_ONCE):
            joint = self._model.log_joint(self._matrices(utterances[first : first + _AT_ONCE]))
            found.extend(self.classes[number] for number in joint.argmax(axis=1))
        return found

    def probabilities(self, utterances: Sequence[Utterance]) -> Floats:
        """(utterances, classes), rows adding up to 1."""
        parts = [
            softmax(self._model.log_joint(self._matrices(utterances[first : first + _AT_ONCE])) / self._calibration[0])
            for first in range(0, len(utterances), _AT_ONCE)
        ]
        return np.concatenate([np.zeros((0, len(self.classes))), *parts])

    def tag(self, utterances: Sequence[Utterance]) -> list[Tagged]:
        """The class of each utterance, also of those that were labelled."""
        found = self.probabilities(utterances)
        known = self._grams[0].known_share([utterance.text for utterance in utterances])
        tags = []
        for row, share in zip(found, known, strict=True):
            second, best = np.sort(row)[-2:]
            sure = best - second >= self.config.min_margin and share >= self.config.min_known
            tags.append(
                Tagged(
                    self.classes[int(row.argmax())] if sure else None,
                    round(float(best), 6),
                    round(float(best - second), 6),
                )
            )
        return tags

    def _matrices(self, utterances: Sequence[Utterance]) -> list[Any]:
        parts = _parts(utterances, self.config)
        return [grams.matrix(texts) for grams, texts in zip(self._grams, parts, strict=True)]


# The words of the labelled turns count though they are said once; context that is seen once teaches nothing.
_LEAST_ROWS = (1, 2, 2, 2, 1)


def _parts(utterances: Sequence[Utterance], config: ClassifierConfig) -> list[list[str]]:
    """The texts of each view."""
    own = [utterance.text for utterance in utterances]
    if not config.context_words:
        return [own]
    return [
        own,
        [utterance.before for utterance in utterances],
        [utterance.own_before for utterance in utterances],
        [utterance.own_after for utterance in utterances],
        [" ".join(utterance.context) for utterance in utterances],
    ]


@dataclass(frozen=True)
class _Model:
    """Two classifiers that err differently, as a product of experts (Hinton 2002, Neural Computation 14:1771).

    Naive Bayes has seen every turn and its context but counts dependent grams as if they were not; logistic regression
    of the labelled turns' own words does not, but knows nothing else.
    """

    bayes: NaiveBayes
    logistic: Any
    classes: int

    def log_joint(self, matrices: Sequence[Any]) -> Floats:
        """(rows, classes), up to a constant of the row."""
        found = np.full((matrices[0].shape[0], self.classes), _UNSEEN)
        found[:, self.logistic.classes_] = np.log(self.logistic.predict_proba(matrices[0]) + np.exp(_UNSEEN))
        return self.bayes.log_joint(matrices) / _TEMPER + found


def _learn(views: Sequence[View], truth: Ints, classes: int, config: ClassifierConfig) -> _Model:
    labelled = truth >= 0
    start = np.zeros((len(truth), classes))
    start[labelled, truth[labelled]] = 1.0

    def assign(log_joint: Floats) -> Floats:
        shares = softmax(log_joint)
        shares[labelled] = start[labelled]
        return shares

    bayes = learn(views, start, labelled, assign, config.unlabelled_weight)
    regression = sklearn_part("linear_model").LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    return _Model(bayes, regression.fit(views[0].matrix[labelled], truth[labelled]), classes)


def _judge_by_others(views: Sequence[View], truth: Ints, classes: int, config: ClassifierConfig) -> tuple[Floats, Ints]:
    """Log joints (labelled, classes) by models that did not see the label, and the labels."""
    rows = np.flatnonzero(truth >= 0)
    # By class in turn, so that every fold has some of each.
    by_class = rows[np.argsort(truth[rows], kind="stable")]
    judged: list[Floats] = [np.zeros((0, classes))]
    right: list[Ints] = [np.zeros(0, dtype=np.int64)]
    for fold in range(config.folds):
        held = by_class[fold :: config.folds]
        if len(held):
            model = _learn(views, np.where(np.isin(np.arange(len(truth)), held), -1, truth), classes, config)
            judged.append(model.log_joint([view.matrix[held] for view in views]))
            right.append(truth[held])
    return np.concatenate(judged), np.concatenate(right)
