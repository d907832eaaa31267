"""Mined procedures against written ones: STAR's 24 task graphs (logged and inferred labels) and ABCD's 55 workflows.

    python scripts/bench/procedures.py --star STAR --abcd ABCD [--pm4py PYTHON]

STAR holds dialogues.tar.gz and tasks/, ABCD kb.json and abcd_sample.json. STAR: complete dialogues of one task.
Thresholds were tuned by score on every second task in alphabetical order, beginning with the first (`tuned`); the other
12 (`held out`) were scored with them afterwards. How common steps are, and which pairs of steps run against a graph,
was looked at in all 24 beforehand, so held-out step recall is not blind. Nodes that no dialogue of a task utters are
contracted, and so are mined steps that a graph does not have.

Inferred labels: 10 turns of each label are learned from (character 2- to 4-grams, logistic
regression), one classifier over all tasks, and every turn is labelled by it. ABCD has no dialogues here but three:
workflows are played with deviations at a stated rate, by seeds that building did not use (100 to 104).

Course: share of all ordered pairs of found steps that the usual course has rightly. Order: share of the pairs stated by
the partial order that are right. Edge F1: direct edges; “open”: not counting edges that the graph leaves open, because
it does not join a query to its results. pm4py (AGPL, an interpreter of its own) runs only if given.
"""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from procedures_data import Turn, abcd_gold, abcd_sample, abcd_workflows, play, star_cases, star_dialogues, star_gold
from procedures_peers import former, heuristics, pm4py, pruned_graph

from data_recipes.config import ProceduresConfig
from data_recipes.experience.procedures import Case, conform, mine_procedures
from data_recipes.experience.procedures.cases import by_task
from data_recipes.experience.procedures.gold import Found, Gold, Score, score

CONFIG = ProceduresConfig()
LABELLED_PER_CLASS = 10
RATES = (0.05, 0.1, 0.2)
SEEDS = range(100, 105)
CASES = 200


def ours(cases: Sequence[Case]) -> dict[str, Found]:
    return {procedure.task: Found.of(procedure) for procedure in mine_procedures(cases, CONFIG)}


def miners(cases: Sequence[Case], python: Path | None) -> dict[str, tuple[dict[str, Found], float]]:
    """Every miner's procedures and its processor seconds (pm4py: none, it runs in another process)."""
    traces = {task: [[s.activity for s in case.steps] for case in found] for task, found in by_task(cases).items()}
    found: dict[str, tuple[dict[str, Found], float]] = {}
    start = time.process_time()
    found["ours"] = (ours(cases), time.process_time() - start)
    for name, miner in (("former miner", former), ("pruned graph", pruned_graph), ("heuristics", heuristics)):
        start = time.process_time()
        mined = {task: miner(some) for task, some in traces.items()}
        found[name] = (mined, time.process_time() - start)
    if python is not None:
        with tempfile.TemporaryDirectory() as folder:
            found["pm4py heuristics net"] = (pm4py(python, traces, Path(folder)), float("nan"))
    return found


def total(found: Mapping[str, Found], gold: Iterable[Gold]) -> Score:
    nothing = Found(frozenset(), frozenset(), frozenset())
    return sum((score(found.get(one.task, nothing), one) for one in gold), Score())


def line(name: str, result: Score, seconds: float | None = None) -> str:
    course = f"{result.course_agreement:.3f}" if result.course_pairs else "–"
    cells = [
        name,
        f"{result.step_recall:.3f}",
        course,
        f"{result.order_agreement:.3f} of {result.order_stated:.0%}",
        f"{result.edge_f1:.3f}",
        f"{result.edge_f1_open:.3f}",
        f"{result.exact}/{result.tasks}",
    ]
    if seconds is not None:
        cells.append("–" if seconds != seconds else f"{seconds:.2f}")
    return "| " + " | ".join(cells) + " |"


HEAD = "| miner | step recall | course | order, of pairs stated | edge F1 | edge F1, open | exact |"


def inferred_labels(dialogues: Mapping[str, Mapping[str, Sequence[Turn]]], seed: int) -> tuple[dict[str, str], float]:
    """Text -> label by a classifier of ten turns a label, and its accuracy on all other turns."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    turns = [turn for task in dialogues.values() for some in task.values() for turn in some]
    by_label: dict[str, list[int]] = defaultdict(list)
    for number, turn in enumerate(turns):
        by_label[turn.label].append(number)
    rng = random.Random(seed)
    learned = [
        n
        for label in sorted(by_label)
        for n in rng.sample(by_label[label], min(LABELLED_PER_CLASS, len(by_label[label])))
    ]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    features = vectorizer.fit_transform([turns[n].text.lower() for n in learned])
    model = LogisticRegression(C=30, max_iter=300).fit(features, [turns[n].label for n in learned])
    texts = sorted({turn.text for turn in turns})
    parts = np.array_split(np.array(texts, dtype=object), max(1, len(texts) // 1000))
    labels = {
        str(text): str(label)
        for part in parts
        for text, label in zip(part, model.predict(vectorizer.transform([text.lower() for text in part])), strict=True)
    }
    rest = set(range(len(turns))) - set(learned)
    return labels, sum(labels[turns[n].text] == turns[n].label for n in rest) / len(rest)


def star(folder: Path, python: Path | None) -> None:
    dialogues = star_dialogues(folder / "dialogues.tar.gz")
    gold = [
        star_gold(folder / "tasks", task, {turn.label for turns in rows.values() for turn in turns})
        for task, rows in dialogues.items()
    ]
    halves = {"tuned": gold[::2], "held out": gold[1::2], "all": gold}
    labels, accuracy = inferred_labels(dialogues, seed=0)
    names = sorted({turn.label for rows in dialogues.values() for turns in rows.values() for turn in turns})
    print(f"STAR: {sum(map(len, dialogues.values())):,} dialogues, {len(gold)} tasks, {len(names)} labels.")
    print("Tuned on:", ", ".join(one.task for one in halves["tuned"]))
    for title, known in (("logged labels", None), (f"inferred labels (accuracy {accuracy:.3f})", labels)):
        cases = [case for task, rows in dialogues.items() for case in star_cases(task, rows, known)]
        print(f"\n### STAR, {title}\n\n{HEAD} CPU s |\n|---|---|---|---|---|---|---|---|")
        for name, (found, seconds) in miners(cases, python).items():
            for half, some in halves.items():
                print(line(f"{name}, {half}", total(found, some), seconds if half == "all" else None))
        mined = mine_procedures(cases, CONFIG)
        weights = [procedure.support for procedure in mined]
        fitness = np.average([procedure.fitness for procedure in mined], weights=weights)
        coverage = np.average([procedure.coverage for procedure in mined], weights=weights)
        print(
            f"\nSteps mined {sum(len(p.steps) for p in mined)}, in the graphs {sum(len(g.steps) for g in gold)}; mean "
            f"fitness {fitness:.3f}, fully conforming {coverage:.3f}; {sum(len(p.branches) for p in mined)} branches."
        )


def abcd(folder: Path, python: Path | None) -> None:
    gold, workflows = abcd_gold(folder), abcd_workflows(folder)
    print(f"\n### ABCD: {len(gold)} workflows, {CASES} played cases each, seeds {SEEDS.start} to {SEEDS.stop - 1}\n")
    print(f"{HEAD}\n|---|---|---|---|---|---|---|")
    for rate in RATES:
        sums: dict[str, Score] = defaultdict(Score)
        for seed in SEEDS:
            cases = play(workflows, CASES, rate, seed)
            # pm4py takes a minute a corpus: one seed.
            for name, (found, _) in miners(cases, python if seed == SEEDS.start else None).items():
                sums[name] += total(found, gold)
        for name, result in sums.items():
            print(line(f"{name}, deviations {rate:.0%}", result))
    procedures = mine_procedures(play(workflows, CASES, 0.1, SEEDS.start), CONFIG)
    print("\nThe three sample dialogues against the procedures mined from played cases (deviations 10 %):")
    for one in conform(abcd_sample(folder), procedures):
        print(
            f"  {one.case}: fitness {one.fitness}, missing {list(one.missing)}, out of order {list(one.out_of_order)}, "
            f"unknown {list(one.unknown)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--star", type=Path, required=True)
    parser.add_argument("--abcd", type=Path, required=True)
    parser.add_argument("--pm4py", type=Path, help="Python interpreter that has pm4py.")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    star(arguments.star, arguments.pm4py)
    abcd(arguments.abcd, arguments.pm4py)


if __name__ == "__main__":
    main()
