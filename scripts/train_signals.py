"""Fit the learned part of the hand-off signals and say what it finds in messages that it was not fitted on.

    python scripts/train_signals.py --set tests/data/handoff_signals.jsonl --woz ../shared/data/crosswoz [--write]

The labelled set is divided into five folds. A fold is judged by a model fitted on the other four, on our own
sentences (`serving/handoff/training/`) and on the user turns of CrossWOZ's test part; its validation part is never
fitted on. The thresholds are taken from these out-of-fold scores. `--write` then fits on everything and writes
`serving/handoff/signals/weights.json`, the same bytes for the same data and scikit-learn (extra `experience`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from serving.handoff.signals.context import customer_words
from serving.handoff.signals.detection import matched
from serving.handoff.signals.kinds import Kind
from serving.handoff.signals.learned import (
    ANY,
    COLUMNS,
    FIRM,
    LEARNED_KINDS,
    WEIGHTS,
    Learned,
    hints,
    packed,
    runs,
    unpacked,
)

OWN: Final = Path(__file__).parents[1] / "serving" / "handoff" / "training"
ALSO_CALLED: Final = {"wants_person": "human_wanted"}
FOLDS: Final = 5
MOST_FEATURES: Final = 14_000
# What is seen in one message alone tells nothing of the next.
LEAST_MESSAGES: Final = 2
STRENGTH: Final = 30.0
# Messages made by putting sentences together.
AT_LENGTH: Final = 800
# Of those handed off, the share that must need a person; a wrong hand-off costs a call.
PRECISION: Final = 0.915
# How much more a found kind weighs than a wrong one (F-beta): a missed word of dying costs a life.
BETA: Final = {"self_harm": 2.0}
# What a pattern found is taken back only where the model holds a need for any person to be less likely than not, or
# gives this kind less than one in twenty.
SURE_OF_NONE: Final = 0.0
SURE_OF_NO_KIND: Final = -2.94
_NEVER: Final = -99.0

Row = tuple[str, frozenset[str]]


def labelled(path: Path) -> list[Row]:
    """Messages as the detector reads them, with their kinds."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [(row["text"], frozenset(ALSO_CALLED.get(kind, kind) for kind in row["signals"])) for row in rows]


def turns(archive: Path) -> list[Row]:
    """User turns of a part of CrossWOZ: talk of travellers, none of it for a person."""
    with zipfile.ZipFile(archive) as opened:
        dialogues = json.loads(opened.read(opened.namelist()[0]))
    said = (m["content"] for d in dialogues.values() for m in d["messages"] if m["role"] == "usr")
    return [(text, frozenset()) for text in dict.fromkeys(said)]


def told_at_length(rows: list[Row], count: int) -> list[Row]:
    """Sentences put together, for customers tell more than one thing: a signal stays one within other talk."""
    draw = random.Random(0)
    told = [row for row in rows if row[1]]
    other = [row for row in rows if not row[1]]
    made = []
    for _ in range(count):
        parts = [draw.choice(told), draw.choice(other)] if draw.random() < 0.6 else draw.sample(other, 2)
        draw.shuffle(parts)
        made.append(("，".join(text for text, _ in parts), frozenset().union(*(kinds for _, kinds in parts))))
    return made


def features(text: str) -> set[str]:
    """What the model reads of a message."""
    words = customer_words(text)
    return runs(words) | hints(*matched(words))


def fit(rows: list[Row]) -> Learned:
    """A logistic regression for each column; the features with the largest weights stay, rounded as they are stored."""
    read = [features(text) for text, _ in rows]
    seen = Counter(feature for found in read for feature in found)
    told = {feature for found, (_, kinds) in zip(read, rows, strict=True) if kinds for feature in found}
    listed = sorted(feature for feature in told if seen[feature] >= LEAST_MESSAGES)
    weights, _ = _solved(read, rows, listed)
    strongest = np.argsort(-np.abs(weights).max(axis=1), kind="stable")[:MOST_FEATURES]
    kept = sorted(listed[i] for i in strongest)
    weights, bias = _solved(read, rows, kept)
    model = Learned({feature: i for i, feature in enumerate(kept)}, weights, bias, bias, bias)
    return unpacked(packed(model))


def out_of_fold(rows: list[Row], own: list[Row], travel: list[Row]) -> NDArray[np.float32]:
    """(rows, columns) scores, each by a model that has not seen the row's fold."""
    order = list(range(len(rows)))
    random.Random(1).shuffle(order)
    scores = np.zeros((len(rows), len(COLUMNS)), np.float32)
    for fold in range(FOLDS):
        held = set(order[fold::FOLDS])
        model = fit(_with_length([row for i, row in enumerate(rows) if i not in held] + own) + travel)
        for i in held:
            words = customer_words(rows[i][0])
            scores[i] = model.scores(words, *matched(words))
    return scores


def thresholds(rows: list[Row], scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`say` and `keep` of `Learned`: each kind's best F-beta, then the most found at `PRECISION` over all kinds."""
    patterns = [_by_patterns(text) for text, _ in rows]
    say, keep = np.zeros(len(COLUMNS), np.float32), np.full(len(COLUMNS), _NEVER, np.float32)
    for column, kind in enumerate(LEARNED_KINDS):
        wanted = np.array([kind in kinds for _, kinds in rows])
        hinted = np.array([kind in found for found in patterns])
        steps = _steps(scores[:, column])
        say[column] = max(steps, key=lambda step: _f(scores[:, column] >= step, wanted, BETA.get(kind, 1.0)))
        told = scores[:, column] >= say[column]
        if kind not in FIRM:
            lower = [_NEVER, *(step for step in steps if step <= min(say[column], SURE_OF_NO_KIND))]
            keep[column] = max(lower, key=lambda step: _f(told | hinted & (scores[:, column] >= step), wanted, 1.5))
    best = (-1.0, 0.0, 0.0)
    wanted = np.array([bool(kinds) for _, kinds in rows])
    steps = _steps(scores[:, -1])[::4]
    for say[-1] in steps:
        for keep[-1] in (step for step in steps if step <= min(say[-1], SURE_OF_NONE)):
            found = np.array([bool(kinds) for kinds in _judged(scores, patterns, say, keep)])
            right = (found & wanted).sum()
            if right >= PRECISION * found.sum():
                best = max(best, (float(right), float(say[-1]), float(keep[-1])))
    if best[0] < 0:
        sys.exit(f"no thresholds reach a precision of {PRECISION}; add sentences or lower it")
    say[-1], keep[-1] = best[1:]
    return say, keep


def table(rows: list[Row], found: list[frozenset[Kind]]) -> None:
    """Print recall and precision of each kind, and of any."""
    for kind in (*LEARNED_KINDS, ANY):
        wanted = np.array([bool(kinds) if kind == ANY else kind in kinds for _, kinds in rows])
        said = np.array([bool(kinds) if kind == ANY else kind in kinds for kinds in found])
        right = (wanted & said).sum()
        print(f"  {kind:14} recall {right / wanted.sum():.3f}  precision {right / max(1, said.sum()):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", type=Path, required=True, help="labelled messages (JSON Lines)")
    parser.add_argument("--woz", type=Path, required=True, help="folder with CrossWOZ's val.json.zip and test.json.zip")
    parser.add_argument("--write", action="store_true", help=f"fit on everything and write {WEIGHTS.name}")
    options = parser.parse_args()
    rows = labelled(options.set)
    own = [row for path in sorted(OWN.glob("*.jsonl")) for row in labelled(path)]
    travel = turns(options.woz / "test.json.zip")
    print(f"{len(rows)} labelled messages, {len(own)} sentences of our own, {len(travel)} turns of CrossWOZ")
    scores = out_of_fold(rows, own, travel)
    say, keep = thresholds(rows, scores)
    patterns = [_by_patterns(text) for text, _ in rows]
    print("patterns alone")
    table(rows, patterns)
    print("patterns and what is learned, out of fold")
    table(rows, _judged(scores, patterns, say, keep))
    if not options.write:
        return
    model = fit(_with_length(rows + own) + travel)
    WEIGHTS.write_bytes(packed(replace(model, say=say, keep=keep)))
    model = unpacked(WEIGHTS.read_bytes())
    read = [(words, *matched(words)) for words in (customer_words(t) for t, _ in turns(options.woz / "val.json.zip"))]
    alarms = sum(bool(model.decide(model.scores(*one), one[1])) for one in read)
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size} bytes, SHA-256 {model.digest}")
    print(f"{alarms} false alarms in {len(read)} turns of CrossWOZ's validation part")


def _by_patterns(text: str) -> frozenset[Kind]:
    return frozenset(matched(customer_words(text))[0])


def _with_length(rows: list[Row]) -> list[Row]:
    return rows + told_at_length(rows, AT_LENGTH)


def _judged(
    scores: NDArray[np.float32],
    patterns: list[frozenset[Kind]],
    say: NDArray[np.float32],
    keep: NDArray[np.float32],
) -> list[frozenset[Kind]]:
    model = Learned({}, np.zeros((0, len(COLUMNS)), np.float32), say, say, keep)
    return [model.decide(row, found) for row, found in zip(scores, patterns, strict=True)]


def _steps(scores: NDArray[np.float32]) -> list[float]:
    """Thresholds to try: halfway between neighbouring scores, without the lowest quarter."""
    sorted_scores = np.sort(scores)[len(scores) // 4 :]
    return [float(x) for x in (sorted_scores[1:] + sorted_scores[:-1]) / 2]


def _f(found: NDArray[np.bool_], wanted: NDArray[np.bool_], beta: float) -> float:
    right = int((found & wanted).sum())
    return (1 + beta**2) * right / (beta**2 * wanted.sum() + found.sum())


def _solved(
    read: list[set[str]], rows: list[Row], listed: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    place = {feature: i for i, feature in enumerate(listed)}
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for found in read:
        known = sorted(place[feature] for feature in found if feature in place)
        values += [len(known) ** -0.5] * len(known)
        columns += known
        ends.append(len(columns))
    matrix = csr_matrix((values, columns, ends), shape=(len(read), len(listed)))
    weights = np.zeros((len(listed), len(COLUMNS)), np.float32)
    bias = np.zeros(len(COLUMNS), np.float32)
    for column, name in enumerate(COLUMNS):
        wanted = np.array([bool(kinds) if name == ANY else name in kinds for _, kinds in rows])
        solver = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0)
        solver.fit(matrix, wanted)
        weights[:, column], bias[column] = solver.coef_[0], solver.intercept_[0]
    return weights, bias


if __name__ == "__main__":
    main()
