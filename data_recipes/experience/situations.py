"""The situation (处境) that a customer is in, inferred from what the customer says: why the account is in arrears.

A few cases with a logged reason say what the situations are; the rest is learned from the calls themselves. Only the
customer's turns are read: what the agent does must not tell the situation, or practices mined within one would be
biased. A case's own logged reason never decides on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from data_recipes.config import PracticesConfig
from data_recipes.errors import DataError
from data_recipes.experience.practices import customer_turn_at
from data_recipes.experience.tagging.features import Grams
from data_recipes.experience.tagging.naive_bayes import TEMPERATURES, Floats, NaiveBayes, View, learn
from tianjing.config import StrictModel
from tianjing.order import order_key
from tianjing.records import Dialogue, Event

_AT_ONCE = 5000
# Most turns tell no reason.
_BACKGROUND = 0.3
_UNKNOWN = -1

Ints = npt.NDArray[np.int64]


class SituationsConfig(StrictModel):
    """How situations are inferred from text."""

    min_probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Below it nothing is said of a dialogue."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Parts that the cases with a known reason are cut into, by customer: each is inferred from the others. Learning
    takes one pass a fold and one for the cases without a reason."""
    words: Annotated[float, Field(gt=0)] = 10.0
    """How many words a turn counts as: higher makes probabilities more extreme."""
    unlabelled_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """What a dialogue without a known reason counts in learning; 0 learns from the known ones alone."""
    max_unlabelled: Annotated[int, Field(ge=0)] = 5000
    """Dialogues without a known reason that are learned from, drawn by a digest of their id; all are inferred."""


@dataclass(frozen=True)
class KnownReason:
    """A reason that was logged or labelled: of the customer's turn `turn`, or of the dialogue where it is None."""

    situation: str
    """Empty: the customer is known to tell none, as in a service call. Some of these keep others from getting one."""
    turn: int | None = None


@dataclass(frozen=True)
class Inferred:
    """The most probable situation of a dialogue, the index of the customer's turn that tells it, and the next one."""

    situation: str
    probability: float
    turn: int
    otherwise: str


def logged_reasons(
    dialogues: Iterable[Dialogue], events: Iterable[Event], config: PracticesConfig
) -> dict[str, KnownReason]:
    """The first reason that the operation log holds of each dialogue, at the customer's turn before it."""
    first: dict[str, Event] = {}
    for event in events:
        logged = event.activity == config.reason_activity and event.attributes.get(config.reason_attribute)
        if logged and event.clock != "unreadable":
            first.setdefault(event.case, event)
    return {
        dialogue.id: KnownReason(
            str(first[dialogue.id].attributes[config.reason_attribute]),
            customer_turn_at(dialogue, first[dialogue.id].at),
        )
        for dialogue in dialogues
        if dialogue.id in first
    }


def infer_situations(
    dialogues: Sequence[Dialogue], known: Mapping[str, KnownReason], config: SituationsConfig
) -> dict[str, Inferred]:
    """Dialogue id -> situation, for every dialogue in which one is probable enough; ten known a situation suffice.

    Each dialogue tells at most one situation, in one of the customer's turns; which, is learned where it is not known
    (multiple instances, by expectation-maximisation). The answer does not depend on the order of `dialogues`.

    Args:
        known: dialogue id -> its reason, for some of the dialogues.

    Raises:
        DataError: fewer than two situations are known, or scikit-learn is not installed.
    """
    spoken = sorted((d for d in dialogues if _customer_turns(d)), key=lambda dialogue: dialogue.id)
    situations = sorted({known[d.id].situation for d in spoken if d.id in known} - {""})
    if len(situations) < 2:
        raise DataError(
            f"situations: {len(situations)} known in the {len(spoken)} dialogues in which a customer speaks",
            "at least two are needed: log the reason of some cases of each (ten suffice), or label them",
        )
    without = sorted((d for d in spoken if d.id not in known), key=lambda d: order_key(0, d.id))
    taught = [*(d for d in spoken if d.id in known), *without[: config.max_unlabelled]]
    vocabulary = Grams([d.turns[i].text for d in taught for i in _customer_turns(d)], min_rows=2)
    calls = _Calls(taught, vocabulary)
    numbers = {situation: number for number, situation in enumerate(["", *situations])}
    reasons = [known.get(d.id) for d in taught]
    situation = np.array([numbers[reason.situation] if reason else _UNKNOWN for reason in reasons])
    told = np.array([calls.row(d, reason.turn) if reason else -1 for d, reason in zip(taught, reasons, strict=True)])
    folds = np.array([int(order_key(1, d.customer), 16) % config.folds for d in taught])

    judged: list[_Judged] = []
    for fold in range(config.folds):
        hidden = (situation != _UNKNOWN) & (folds == fold)
        if hidden.any():
            model = _learn(calls, np.where(hidden, _UNKNOWN, situation), told, len(situations), config)
            own = _Calls([dialogue for dialogue, here in zip(taught, hidden, strict=True) if here], vocabulary)
            judged.append(_Judged(own, model.log_joint([own.matrix]), situation[hidden]))
    scale = _temperature(judged)
    found: dict[str, Inferred] = {}
    for part in judged:
        found |= part.inferred(scale, situations, config.min_probability)
    model = _learn(calls, situation, told, len(situations), config)
    for first in range(0, len(without), _AT_ONCE):
        some = _Calls(without[first : first + _AT_ONCE], vocabulary)
        part = _Judged(some, model.log_joint([some.matrix]), np.full(len(some.dialogues), _UNKNOWN))
        found |= part.inferred(scale, situations, config.min_probability)
    return {dialogue.id: found[dialogue.id] for dialogue in spoken if dialogue.id in found}


class _Calls:
    """The customer's turns of some dialogues as rows, those of one dialogue together.

    Shapes: D dialogues, R rows. `matrix` (R, grams); `owner` (R,) the row's dialogue; `turns` (R,) the index of the
    row's turn; `starts` (D,) the first row of each dialogue.
    """

    def __init__(self, dialogues: Sequence[Dialogue], vocabulary: Grams):
        places = [(number, index) for number, d in enumerate(dialogues) for index in _customer_turns(d)]
        self.dialogues = dialogues
        self.matrix = vocabulary.matrix([dialogues[number].turns[index].text for number, index in places])
        self.owner = np.array([number for number, _ in places])
        self.turns = np.array([index for _, index in places])
        self.starts = np.searchsorted(self.owner, np.arange(len(dialogues)))
        self._row = {(dialogues[number].id, index): row for row, (number, index) in enumerate(places)}

    def row(self, dialogue: Dialogue, turn: int | None) -> int:
        """Row of a customer's turn; -1 if it is none."""
        return -1 if turn is None else self._row.get((dialogue.id, turn), -1)

    def assign(self, log_joint: Floats, situation: Ints, told: Ints) -> Floats:
        """Responsibilities (R, 1 + S) from log joints: in each dialogue one pair (row, situation) is true, or none.

        Args:
            situation: (D,) the number of the known one from 1, 0 where it is known that none is told, or `_UNKNOWN`.
            told: (D,) the row that is known to tell it, or -1.
        """
        odds = log_joint[:, 1:] - log_joint[:, :1]
        known = situation[self.owner]
        possible = (known[:, None] == _UNKNOWN) | (known[:, None] == np.arange(1, odds.shape[1] + 1))
        place = np.where(known > 0, told[self.owner], -1)
        possible &= ((place < 0) | (place == np.arange(len(place))))[:, None]
        odds = np.where(possible, odds, -np.inf)
        silent = np.where(situation > 0, -np.inf, 0.0)
        highest = np.maximum(np.maximum.reduceat(odds.max(axis=1), self.starts), silent)
        shares = np.exp(odds - highest[self.owner][:, None])
        total = np.add.reduceat(shares.sum(axis=1), self.starts) + np.exp(silent - highest)
        shares /= total[self.owner][:, None]
        return np.concatenate([1.0 - shares.sum(axis=1, keepdims=True), shares], axis=1)


def _learn(calls: _Calls, situation: Ints, told: Ints, situations: int, config: SituationsConfig) -> NaiveBayes:
    start = calls.assign(np.zeros((len(calls.owner), situations + 1)), situation, told)
    return learn(
        [View(calls.matrix, config.words)],
        start,
        (situation != _UNKNOWN)[calls.owner],
        lambda log_joint: calls.assign(log_joint, situation, told),
        config.unlabelled_weight,
        _BACKGROUND,
    )


@dataclass(frozen=True)
class _Judged:
    """Dialogues judged by a model that did not see their reasons: log joints (R, 1 + S), and the true ones (D,)."""

    calls: _Calls
    log_joint: Floats
    truth: Ints

    def shares(self, temperature: float) -> Floats:
        """Probability (R, S) of each pair of turn and situation."""
        unknown = np.full(len(self.truth), _UNKNOWN)
        return self.calls.assign(self.log_joint / temperature, unknown, unknown)[:, 1:]

    def loss(self, temperature: float) -> float:
        """Summed log loss of the true situations."""
        told = np.add.reduceat(self.shares(temperature), self.calls.starts)
        probabilities = np.concatenate([1.0 - told.sum(axis=1, keepdims=True), told], axis=1)
        return float(-np.log(probabilities[np.arange(len(self.truth)), self.truth].clip(1e-12)).sum())

    def inferred(self, temperature: float, situations: Sequence[str], least: float) -> dict[str, Inferred]:
        """The best situation of each dialogue that has one of at least this probability."""
        shares = self.shares(temperature)
        by_dialogue = np.add.reduceat(shares, self.calls.starts)
        ends = [*self.calls.starts[1:], len(shares)]
        found: dict[str, Inferred] = {}
        for number, dialogue in enumerate(self.calls.dialogues):
            best, second = np.argsort(-by_dialogue[number], kind="stable")[:2].tolist()
            probability = float(by_dialogue[number, best])
            if probability >= least:
                first = self.calls.starts[number]
                row = first + int(shares[first : ends[number], best].argmax())
                turn = int(self.calls.turns[row])
                found[dialogue.id] = Inferred(situations[best], round(probability, 6), turn, situations[second])
        return found


def _temperature(judged: Sequence[_Judged]) -> float:
    """What log joints are divided by so that probabilities are honest on the cases whose reason is known."""
    return float(min(TEMPERATURES, key=lambda tried: sum(part.loss(tried) for part in judged)))


def _customer_turns(dialogue: Dialogue) -> list[int]:
    return [i for i, turn in enumerate(dialogue.turns) if turn.speaker == "customer" and turn.text.strip()]
