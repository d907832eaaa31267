"""Train the learned rail of the guard: writes serving/guard/packs/learned.json, the same bytes for the same input.

Trains on `tests/data/injection.jsonl`, `serving/guard/training/requests.jsonl` (lines of {"text", "label"}) and the
examples of the unlawful pack, with what customers say otherwise as clean examples: `tests/data/handoff_signals.jsonl`,
`privacy_sentences.jsonl`, and users' turns of CrossWOZ (val.json.zip) where its folder is given.

Thresholds are chosen out of fold: five folds of injection.jsonl, everything else in the training part of each. A
threshold is the least at which model and patterns together refuse at most 1 % of the clean lines, and at most 0.1 % of
the users' turns of CrossWOZ's test.json.zip, which is never trained on. Prints the out-of-fold figures. Needs
scikit-learn (`pip install tianjing[experience]`).

    python scripts/train_injection.py --crosswoz ../shared/data/crosswoz
"""

from __future__ import annotations

import argparse
import base64
import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pypinyin import Style, pinyin
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from serving.guard import features, injection, unlawful
from serving.guard.folding import encoded
from serving.guard.learned import KINDS, Kind, LearnedFile, Weights
from serving.guard.settings import InjectionSettings
from tianjing.rulebook import PhraseMatcher, Rulebook
from tianjing.rulebook.packs import read_pack
from tianjing.rulebook.schema import Pack

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "serving/guard/packs/learned.json"
PHRASES = ROOT / "serving/guard/packs/unlawful.yaml"
LABELLED = ROOT / "tests/data/injection.jsonl"
OWN = ROOT / "serving/guard/training/requests.jsonl"
CUSTOMERS = (ROOT / "tests/data/handoff_signals.jsonl", ROOT / "tests/data/privacy_sentences.jsonl")
FOLDS = 5
SEED = 7
STRENGTH = 100.0
# A travel question tells less of this work than a line that was written for it.
TURN_WEIGHT = 0.3
CLEAN_REFUSED = 0.01
TURNS_REFUSED = 0.001
# Some training sentences were written where the labelled set showed a gap, so its folds are judged too kindly: below
# these no threshold is trusted.
FLOOR: dict[Kind, float] = {"injection": 0.7, "unlawful": 0.5}

Row = dict[str, str]


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def turns(folder: Path, name: str) -> list[Row]:
    """Users' turns, each wording once."""
    with zipfile.ZipFile(folder / f"{name}.zip") as archive:
        dialogues = json.loads(archive.read(name))
    said = {turn["content"] for one in dialogues.values() for turn in one["messages"] if turn["role"] == "usr"}
    return [{"text": text, "label": "clean"} for text in sorted(said)]


def examples(pack: Pack) -> list[Row]:
    """The examples of the pack's rules: a text that breaks one is a request for unlawful help."""
    return [
        {"text": text, "label": label}
        for rule in pack.rules
        for label, texts in (("unlawful", rule.examples.breach), ("clean", rule.examples.fine))
        for text in texts
    ]


def readings() -> dict[str, str]:
    """Syllable -> characters, for the characters of GB 2312."""
    found: dict[str, str] = {}
    for high in range(0xB0, 0xF8):
        for low in range(0xA1, 0xFF):
            try:
                char = bytes((high, low)).decode("gb2312")
            except UnicodeDecodeError:
                continue
            syllable = pinyin(char, style=Style.NORMAL)[0][0].replace("ü", "u")
            found[syllable] = found.get(syllable, "") + char
    return dict(sorted(found.items()))


class Set:
    """Texts as windows. A clean text is clean in every window; an attack is known to be one as a whole only."""

    def __init__(self, rows: Sequence[Row], sounds: dict[int, str], weight: float = 1.0):
        self.rows, self.weight = list(rows), weight
        self.windows = [features.windows(row["text"], sounds) for row in rows]
        self.secrets = [
            [one for secret in encoded(row["text"]) for one in features.windows(secret, sounds)] for row in rows
        ]

    def examples(self, kind: Kind, at: Sequence[int]) -> tuple[list[features.Places], list[bool], list[float]]:
        places, labels, weights = [], [], []
        for one in at:
            is_kind = self.rows[one]["label"] == kind
            seen = self.windows[one] + (self.secrets[one] if kind == "injection" else [])
            for window in [np.unique(np.concatenate(seen))] if is_kind else seen:
                places.append(window)
                labels.append(is_kind)
                weights.append(self.weight)
        return places, labels, weights

    def scores(self, kind: Kind, model: LogisticRegression, at: Sequence[int]) -> list[float]:
        found = []
        for one in at:
            seen = self.windows[one] + (self.secrets[one] if kind == "injection" else [])
            found.append(float(model.predict_proba(matrix(seen))[:, 1].max()))
        return found


def matrix(places: Sequence[features.Places]) -> csr_matrix:
    """Rows of length one over the places."""
    starts = np.cumsum([0, *map(len, places)])
    values = np.concatenate([np.full(len(one), len(one) ** -0.5) for one in places])
    return csr_matrix(
        (values, np.concatenate(places).astype(np.int32), starts), shape=(len(places), 1 << features.BITS)
    )


def fitted(kind: Kind, parts: Sequence[tuple[Set, Sequence[int]]]) -> LogisticRegression:
    places: list[features.Places] = []
    labels: list[bool] = []
    weights: list[float] = []
    for one, at in parts:
        for held, more in zip((places, labels, weights), one.examples(kind, at), strict=True):
            held.extend(more)  # type: ignore[arg-type]
    model = LogisticRegression(C=STRENGTH, max_iter=300, solver="liblinear", random_state=SEED)
    return model.fit(matrix(places), np.array(labels), sample_weight=np.array(weights))


def packed(model: LogisticRegression, threshold: float) -> Weights:
    weights = model.coef_[0]
    scale = float(f"{np.abs(weights).max() / 127:.6g}")
    places = np.clip(np.round(weights / scale), -127, 127).astype(np.int8)
    return Weights(
        places=base64.b64encode(places.tobytes()).decode(),
        scale=scale,
        bias=round(float(model.intercept_[0]), 4),
        threshold=threshold,
    )


def by_patterns(asked: PhraseMatcher, text: str) -> str:
    """What the patterns alone take a text for."""
    actions = InjectionSettings()
    if any(getattr(actions, name) in ("block", "handoff") for name in injection.families(text)):
        return "injection"
    return "unlawful" if unlawful.requests(asked, text) else "clean"


def judged(patterns: str, scores: dict[Kind, float], thresholds: dict[Kind, float]) -> str:
    """What patterns and models together take a text for: the patterns first, then the model that is surer."""
    sure = [kind for kind in KINDS if scores[kind] >= thresholds[kind]]
    if patterns != "clean" or not sure:
        return patterns
    return max(sure, key=lambda kind: scores[kind] - thresholds[kind])


def figures(title: str, rows: Sequence[Row], said: Sequence[str]) -> None:
    given, taken = Counter(row["label"] for row in rows), Counter(said)
    right = Counter(row["label"] for row, one in zip(rows, said, strict=True) if row["label"] == one)
    print(title)
    for label in ("injection", "unlawful", "clean"):
        precision = right[label] / taken[label] if taken[label] else float("nan")
        print(f"  {label:10} {given[label]:5} recall {right[label] / given[label]:.3f} precision {precision:.3f}")
    attacks = [one != "clean" for row, one in zip(rows, said, strict=True) if row["label"] != "clean"]
    print(f"  attacks refused, whichever kind: {sum(attacks) / len(attacks):.3f}")


def least(scores: Sequence[float], most: int) -> float:
    """The least threshold that at most `most` of the scores reach."""
    ordered = sorted(scores, reverse=True)
    return min(0.99, max(0.2, round(ordered[most] + 0.005, 2))) if len(ordered) > most else 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crosswoz", type=Path, help="folder with val.json.zip and test.json.zip")
    parser.add_argument("--dry", action="store_true", help="print figures, write nothing")
    arguments = parser.parse_args()
    syllables = readings()
    sounds = {ord(char): syllable for syllable, chars in syllables.items() for char in chars}
    pack = read_pack(PHRASES)
    asked = Rulebook.of([(str(PHRASES), pack)]).matcher("customer")
    rows = lines(LABELLED)
    labelled, own = Set(rows, sounds), Set(lines(OWN), sounds)
    said_elsewhere = [{"text": row["text"], "label": "clean"} for path in CUSTOMERS for row in lines(path)]
    always = [own, Set([*said_elsewhere, *examples(pack)], sounds)]
    unseen = Set([], sounds)
    if arguments.crosswoz:
        always.append(Set(turns(arguments.crosswoz, "val.json"), sounds, TURN_WEIGHT))
        unseen = Set(turns(arguments.crosswoz, "test.json"), sounds)
    rest = [(one, range(len(one.rows))) for one in always]
    patterns = [by_patterns(asked, row["text"]) for row in rows]
    clean = [at for at, row in enumerate(rows) if row["label"] == "clean"]

    scores: dict[Kind, list[float]] = {kind: [0.0] * len(rows) for kind in KINDS}
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for train, test in splitter.split(rows, [row["label"] for row in rows]):
        for kind in KINDS:
            model = fitted(kind, [(labelled, train), *rest])
            for at, score in zip(test, labelled.scores(kind, model, test), strict=True):
                scores[kind][at] = score
    models = {kind: fitted(kind, [(labelled, range(len(rows))), *rest]) for kind in KINDS}

    # The patterns' own false refusals are taken off what the two models may add, and the rest is shared.
    allowed = int(CLEAN_REFUSED * len(clean)) - sum(patterns[at] != "clean" for at in clean)
    free = [at for at in clean if patterns[at] == "clean"]
    thresholds: dict[Kind, float] = {}
    for kind, most in zip(KINDS, (allowed - allowed // 2, allowed // 2), strict=True):
        limit = least([scores[kind][at] for at in free], max(0, most))
        travel = unseen.scores(kind, models[kind], range(len(unseen.rows)))
        thresholds[kind] = max(FLOOR[kind], limit, least(travel, int(TURNS_REFUSED * len(travel) / 2)))
        print(f"{kind}: threshold {thresholds[kind]}, CrossWOZ test {sum(s >= thresholds[kind] for s in travel)}")
    said = [judged(patterns[at], {kind: scores[kind][at] for kind in KINDS}, thresholds) for at in range(len(rows))]
    figures("patterns alone", rows, patterns)
    figures(f"patterns and models, out of fold ({FOLDS} folds)", rows, said)
    for at in clean:
        if said[at] != "clean":
            print(f"  clean taken for {said[at]}: {rows[at]['text'][:80]}")
    if not arguments.dry:
        held: dict[str, Any] = {kind: packed(models[kind], thresholds[kind]) for kind in KINDS}
        file = LearnedFile(features=features.DIGEST, readings=syllables, models=held)
        OUT.write_text(file.model_dump_json(indent=0), encoding="utf-8")
        print(f"{OUT.relative_to(ROOT)}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
