"""Tagging of acts and situations with few labels, beside plain TF-IDF + logistic regression and k-means.

    python scripts/bench/tagging.py --star DIR --dstc11 DIR --crosswoz DIR --simulated 3400 [--draws 20]

Labels are drawn at random, ten a class (half of a class with less than twenty turns); the rest is scored. A figure is
the mean over draws ± their standard deviation. Settings were tuned on one half of STAR's tasks (shown by `--tuned`)
with draws 0 to 5, and on simulated corpora of seed 101; reported are the other half, draws from 100 on, and seeds 9001
and 9002. The peer is scikit-learn: TF-IDF of character 2- to 4-grams within words (Chinese: 1- to 3-grams) and logistic
regression with C = 10.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from tagging_sets import BANK, REPORTED, TUNED, Turns, crosswoz, dstc11, star

from data_recipes.config import PracticesConfig
from data_recipes.experience.situations import KnownReason, SituationsConfig, infer_situations, logged_reasons
from data_recipes.experience.tagging.aspects import aspects
from data_recipes.experience.tagging.classifier import Classifier, ClassifierConfig
from data_recipes.experience.tagging.clusters import assign, embed, find_clusters, purity
from data_recipes.experience.tagging.features import Utterance
from tianjing.acts import tag
from tianjing.files import read_jsonl
from tianjing.records import Dialogue, Event
from tianjing.simulation import simulate

FIRST_DRAW = 100
LABELS = 10

Guess = Callable[[Turns, Mapping[int, str]], list[str]]


def draw(labels: Sequence[str], seed: int, each: int = LABELS) -> dict[int, str]:
    """A random few of each class, by index."""
    rng = random.Random(seed)
    by_class: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        by_class[label].append(index)
    chosen = [i for label in sorted(by_class) for i in _some(by_class[label], each, rng)]
    return {index: labels[index] for index in chosen}


def _some(indices: list[int], each: int, rng: random.Random) -> list[int]:
    return rng.sample(indices, min(each, max(1, len(indices) // 2)))


def peer(turns: Turns, labels: Mapping[int, str]) -> list[str]:
    """TF-IDF and logistic regression of the labelled turns' text; the vocabulary is that of all turns."""
    texts = [utterance.text for utterance in turns.utterances]
    chinese = not "".join(texts[:50]).isascii()
    vectoriser = TfidfVectorizer(
        analyzer="char" if chinese else "char_wb", ngram_range=(1, 3) if chinese else (2, 4), sublinear_tf=True
    )
    rows = vectoriser.fit_transform(texts)
    chosen = list(labels)
    model = LogisticRegression(C=10, max_iter=1000).fit(rows[chosen], [labels[i] for i in chosen])
    return list(model.predict(rows))


def ours(turns: Turns, labels: Mapping[int, str], context: bool = True) -> list[str]:
    config = ClassifierConfig() if context else ClassifierConfig(context_words=0)
    return Classifier(turns.utterances, labels, config).best(turns.utterances)


def accuracy(turns: Turns, labels: Mapping[int, str], guess: Guess) -> float:
    """On the turns that were not labelled."""
    said = guess(turns, labels)
    rest = [i for i in range(len(said)) if i not in labels]
    return sum(said[i] == turns.labels[i] for i in rest) / len(rest)


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def clustering(turns: Turns, numbers: Sequence[int]) -> tuple[float, float]:
    """Accuracy of the best one-to-one map from clusters to classes, and normalised mutual information."""
    from scipy.optimize import linear_sum_assignment

    classes = sorted(set(turns.labels))
    table = np.zeros((max(numbers) + 1, len(classes)))
    for number, label in zip(numbers, turns.labels, strict=True):
        table[number, classes.index(label)] += 1
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(turns.labels), normalized_mutual_info_score(turns.labels, numbers)


def plain_kmeans(texts: Sequence[str], count: int) -> list[int]:
    pipe = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        TruncatedSVD(100, random_state=0),
        Normalizer(),
        KMeans(count, n_init=10, random_state=0),
    )
    return list(pipe.fit_predict(texts))


def bench_star(folder: Path, draws: int, tuned: bool) -> None:
    tasks = star(folder)
    print(f"\nSTAR, {'tuning' if tuned else 'reported'} half: accuracy, {LABELS} random labels a class")
    print(f"{'group':<30}turns classes  peer             text alone       with context")
    first = 0 if tuned else FIRST_DRAW
    for names in TUNED if tuned else REPORTED:
        turns = Turns([], [])
        for name in names:
            turns.utterances.extend(tasks[name].utterances)
            turns.labels.extend(tasks[name].labels)
        classes = len(set(turns.labels))
        found = {"peer": [], "text": [], "context": []}
        for seed in range(first, first + draws):
            labels = draw(turns.labels, seed)
            found["peer"].append(accuracy(turns, labels, peer))
            found["text"].append(accuracy(turns, labels, lambda t, few: ours(t, few, context=False)))
            found["context"].append(accuracy(turns, labels, ours))
        row = "  ".join(f"{spread(values):<15}" for values in found.values())
        print(f"{'+'.join(names):<30.30}{len(turns.labels):>5} {classes:>7}  {row}", flush=True)
        if names == BANK:
            _bench_clusters(turns, classes)


def _bench_clusters(turns: Turns, classes: int) -> None:
    """What clusters give without any label, and with one for each medoid; and what all labels would give the peer."""
    texts = [utterance.text for utterance in turns.utterances]
    for title, numbers in (("ours", assign(embed(texts), classes)), ("plain k-means", plain_kmeans(texts, classes))):
        score, information = clustering(turns, list(numbers))
        print(f"   clusters without labels, {title}: ACC {score:.3f}, NMI {information:.3f}")
    clusters = find_clusters(texts, 3 * classes)
    members = [(cluster.number, turns.labels[i]) for cluster in clusters for i in cluster.members]
    medoids = {cluster.medoid: turns.labels[cluster.medoid] for cluster in clusters}
    print(f"   purity at three clusters a class: {purity(*zip(*members, strict=True)):.3f}")
    print(f"   {len(medoids)} medoids labelled instead of random turns: accuracy {accuracy(turns, medoids, ours):.3f}")
    pipe = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    every = cross_val_score(pipe, texts, turns.labels, cv=5).mean()
    print(f"   the peer with all labels of four fifths, on the last fifth: accuracy {every:.3f}", flush=True)


def bench_dstc11(folder: Path, draws: int) -> None:
    print("\nDSTC11 intents: clusters with the true number (ACC / NMI), then accuracy with few labels")
    for domain, turns in dstc11(folder).items():
        texts = [utterance.text for utterance in turns.utterances]
        count = len(set(turns.labels))
        own, plain = clustering(turns, assign(embed(texts), count)), clustering(turns, plain_kmeans(texts, count))
        few: dict[str, list[float]] = {"peer": [], "ours": []}
        for seed in range(FIRST_DRAW, FIRST_DRAW + draws):
            labels = draw(turns.labels, seed)
            few["peer"].append(accuracy(turns, labels, peer))
            few["ours"].append(accuracy(turns, labels, lambda t, some: ours(t, some, context=False)))
        print(
            f"{domain:<10} {len(texts):>5} utterances, {count} intents  k-means {plain[0]:.3f} / {plain[1]:.3f}  "
            f"ours {own[0]:.3f} / {own[1]:.3f}  few labels: peer {spread(few['peer'])}  ours {spread(few['ours'])}",
            flush=True,
        )


def multi_label_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    """Micro F1 over acts."""
    hits = sum(len(set(a.split("+")) & set(b.split("+"))) for a, b in zip(gold, said, strict=True))
    return 2 * hits / sum(len(a.split("+")) + len(b.split("+")) for a, b in zip(gold, said, strict=True))


def bench_crosswoz(folder: Path, draws: int) -> None:
    """Learn on val (few labels of it, the rest unlabelled, or all), score on test."""
    val, test = crosswoz(folder, "val"), crosswoz(folder, "test")
    both = Turns(val.utterances + test.utterances, val.labels + test.labels)
    print(f"\nCrossWOZ: micro F1 of acts on test ({len(test.labels)} turns), combinations of acts as classes")
    for each in (LABELS, 10**9):
        scores: dict[str, list[float]] = {"peer": [], "ours": []}
        for seed in range(FIRST_DRAW, FIRST_DRAW + (draws if each == LABELS else 1)):
            labels = draw(val.labels, seed, each) if each == LABELS else dict(enumerate(val.labels))
            for title, guess in (("peer", peer), ("ours", ours)):
                scores[title].append(multi_label_f1(test.labels, guess(both, labels)[len(val.labels) :]))
        title = f"{LABELS} of each" if each == LABELS else f"all {len(val.labels)} of val"
        print(f"{title:<20} peer {spread(scores['peer'])}  ours {spread(scores['ours'])}", flush=True)


def bench_simulated(draws: int, cases: int) -> None:
    """Situations from text with ten logged reasons each, and the act lexicon against what was planted."""
    print(f"\nSimulated corpus ({cases} dialogues a surface, seeds 9001 and 9002)")
    with tempfile.TemporaryDirectory() as folder:
        corpora = {}
        for surface, seed in (("a", 9001), ("b", 9002)):
            path = Path(folder) / surface
            simulate(path, cases, seed, surface, 1)
            corpora[surface] = _planted(path)
        for learned, judged in (("a", "a"), ("b", "b"), ("a", "b"), ("b", "a")):
            _bench_situations(corpora, learned, judged, draws)
        for surface, (dialogues, truth, reasons) in corpora.items():
            counts: Counter[str] = Counter()
            for dialogue in dialogues:
                said, planted = set(tag(dialogue.turns[truth[dialogue.id][1]].text)), truth[dialogue.id][2]
                counts.update(hit=planted in said, said=len(said), planted=1)
            print(
                f"lexicon, decisive turns of {surface}: recall {counts['hit'] / counts['planted']:.3f}, "
                f"precision {counts['hit'] / counts['said']:.3f}, {counts['planted']} turns"
            )

            for aspect, situation in (("emotion", "情绪激动"), ("dispute", "费用争议"), ("illness", "生病住院")):
                told = {d.id: d.turns[reasons[d.id].turn or 0].text for d in dialogues if d.id in reasons}
                said = {name for name, text in told.items() if aspect in aspects(text)}
                so = {name for name in told if truth[name][0] == situation}
                print(
                    f"   aspects of the turn that tells the reason, {aspect} for {situation}: "
                    f"recall {len(said & so) / len(so):.3f}, precision {len(said & so) / len(said):.3f}"
                )


Planted = tuple[list[Dialogue], dict[str, tuple[str, int, str]], dict[str, KnownReason]]


def _planted(path: Path) -> Planted:
    """Post-loan dialogues; dialogue -> (situation, decisive turn, act); logged reasons."""
    rows = [json.loads(line) for line in (path / "truth" / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()]
    truth = {row["dialogue"]: (row["situation"], row["turn"], row["act"]) for row in rows if row.get("situation")}
    dialogues = [d for d in read_jsonl(path / "dialogues.jsonl", Dialogue) if d.id in truth]
    events = list(read_jsonl(path / "events.jsonl", Event))
    return dialogues, truth, logged_reasons(dialogues, events, PracticesConfig())


def _bench_situations(corpora: Mapping[str, Planted], learned: str, judged: str, draws: int) -> None:
    dialogues, truth, reasons = corpora[learned]
    others, other_truth, other_reasons = corpora[judged]
    if learned != judged:
        others = [d.model_copy(update={"id": f"other-{d.id}"}) for d in others]
        other_truth = {f"other-{name}": value for name, value in other_truth.items()}
        other_reasons = {f"other-{name}": value for name, value in other_reasons.items()}
    scores: dict[str, list[float]] = {"peer": [], "ours": [], "said": []}
    ids = sorted(reasons)
    for seed in range(FIRST_DRAW, FIRST_DRAW + draws):
        chosen = draw([truth[name][0] for name in ids], seed)
        known = {ids[i]: reasons[ids[i]] for i in chosen}
        asked = [d for d in others if d.id not in known]
        everything = dialogues if learned == judged else [*dialogues, *others]
        found = infer_situations(everything, known, SituationsConfig(min_probability=0))
        right = [found[d.id].situation == other_truth[d.id][0] for d in asked]
        scores["ours"].append(float(np.mean(right)))
        scores["said"].append(float(np.mean([found[d.id].turn == other_reasons[d.id].turn for d in asked])))
        # The peer is told which turn tells the reason, which ours has to find.
        turn = {**{n: r.turn for n, r in reasons.items()}, **{n: r.turn for n, r in other_reasons.items()}}
        rows = [d for d in everything if turn.get(d.id) is not None]
        texts = Turns([Utterance(d.turns[turn[d.id] or 0].text) for d in rows], [""] * len(rows))
        said = peer(texts, {i: known[d.id].situation for i, d in enumerate(rows) if d.id in known})
        by_id = {d.id: label for d, label in zip(rows, said, strict=True)}
        scores["peer"].append(float(np.mean([by_id[d.id] == other_truth[d.id][0] for d in asked])))
    print(
        f"situations, labels of {learned}, judged on {judged}: peer (told the turn) {spread(scores['peer'])}  "
        f"ours {spread(scores['ours'])}  turn found {spread(scores['said'])}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--star", type=Path)
    parser.add_argument("--dstc11", type=Path)
    parser.add_argument("--crosswoz", type=Path)
    parser.add_argument("--simulated", type=int, default=0, help="dialogues a surface; 0 leaves this part out")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--tuned", action="store_true", help="the tuning half of STAR, with the draws used for it")
    given = parser.parse_args()
    started = time.process_time()
    if given.star:
        bench_star(given.star, given.draws, given.tuned)
    if given.dstc11:
        bench_dstc11(given.dstc11, given.draws)
    if given.crosswoz:
        bench_crosswoz(given.crosswoz, given.draws)
    if given.simulated:
        bench_simulated(given.draws, given.simulated)
    print(f"\n{platform.processor() or platform.machine()}, {time.process_time() - started:.0f} s of processor time")


if __name__ == "__main__":
    main()
