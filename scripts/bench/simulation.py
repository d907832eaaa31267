"""Simulation: speed and memory, equal bytes, realised against planted effects, and whether wording leaks the outcome.

    python scripts/bench/simulation.py [speed] [bytes] [effects] [leak] [--cases 100000] [--seeds 50]

`effects`: per situation and act, the risk difference against acts that do nothing, over all seeds. *Adjusted* takes off
what the structural model adds for bucket, agent, month and hidden state; *by bucket* is all that the files show
(Mantel-Haenszel weights); *crude* adjusts for nothing. A 95% interval by the model's own probabilities should cover the
planted effect in at least 95 of 100 (outcomes are drawn systematically, so errors are smaller than independent ones).
`leak`: logistic regression on the bag of characters of what the agent says before the decisive turn, trained on half of
the customers; the bound is the best that bucket and amount allow, which those turns state. Needs scikit-learn (`dev`).
Exit 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from tianjing.pipeline.process import run
from tianjing.simulation import simulate, structural
from tianjing.simulation.agents import PLACEBO
from tianjing.simulation.planted import SITUATIONS
from tianjing.simulation.shard import Shard, write_shard

SPEED_LIMIT_S = 120.0
EFFECT_CASES = 2000
LEAK_CASES = 24_000
Z_95 = 1.96
Row = dict[str, Any]
PARTS = ("speed", "bytes", "effects", "leak")


def speed(cases: int) -> bool:
    """Time and memory of one command on every processor."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "raw"
        command = [sys.executable, "-m", "tianjing", "simulate", "--cases", str(cases), "--out", str(out)]
        result = run(command)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print("| dialogues | seconds | dialogues/s | files, MB | peak memory, GiB (PSS) |\n|---|---|---|---|---|")
    rate = cases / result.seconds
    print(f"| {cases} | {result.seconds:.1f} | {rate:.0f} | {size / 1e6:.0f} | {result.peak_memory_gib:.2f} |")
    return result.status == 0 and result.seconds < SPEED_LIMIT_S * max(1.0, cases / 100_000)


def same_bytes(cases: int) -> bool:
    """Digests of whole folders: twice the same, and with one process or two."""
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for number, workers in enumerate((1, 2, 2)):
            out = Path(folder) / str(number)
            simulate(out, cases, 20260, workers=workers)
            digests.append((workers, _digest(out)))
    print("| processes | SHA-256 of all files |\n|---|---|")
    for workers, digest in digests:
        print(f"| {workers} | {digest[:32]}… |")
    return len({digest for _, digest in digests}) == 1


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def effects(seeds: int) -> bool:
    """Realised against planted effects over `seeds` corpora."""
    cells = [(name, act) for name in SITUATIONS for act in (SITUATIONS[name].act, *structural.HARM)]
    cells = [(name, act) for name, act in cells if structural.effect(name, act)]
    with multiprocessing.Pool() as pool:
        corpora = pool.map(_post_loan, range(1, seeds + 1), chunksize=1)
    print(f"{seeds} seeds of {EFFECT_CASES} dialogues\n")
    print("| situation | act | planted | adjusted | by bucket | crude | s.e. | 95% intervals that cover | sd of z |")
    print("|---|---|---|---|---|---|---|---|---|")
    covered: list[bool] = []
    pooled: list[float] = []
    for situation, act in cells:
        planted = structural.effect(situation, act)
        found = [_estimates(rows, situation, act) for rows in corpora]
        found = [one for one in found if one is not None]
        z = [(one["adjusted"] - planted) / one["error"] for one in found]
        covered += [abs(value) < Z_95 for value in z]
        mean = {name: fmean(one[name] for one in found) for name in ("adjusted", "by_bucket", "crude")}
        error = (sum(one["error"] ** 2 for one in found)) ** 0.5 / len(found)
        pooled.append((mean["adjusted"] - planted) / error)
        share = fmean(abs(value) < Z_95 for value in z)
        told = " | ".join(f"{value:+.3f}" for value in (planted, mean["adjusted"], mean["by_bucket"], mean["crude"]))
        print(f"| {situation} | {act} | {told} | {error:.3f} | {share:.2f} | {pstdev(z):.2f} |")
    _placebo(corpora)
    share = fmean(covered)
    worst = max(pooled, key=abs)
    print(f"\n{share:.3f} of {len(covered)} intervals cover; largest pooled |z| of {len(pooled)}: {abs(worst):.2f}")
    limit = 3.1  # two-sided 0.05 over the pooled tests (Bonferroni)
    return share >= 0.94 and abs(worst) < limit


def _post_loan(seed: int) -> list[Row]:
    """Post-loan rows of truth/dialogues.jsonl of one corpus."""
    lines = write_shard(Shard(seed, 0, 1, EFFECT_CASES, "both"))["truth/dialogues.jsonl"].decode().splitlines()
    return [row for row in map(json.loads, lines) if "propensity" in row]


def _estimates(rows: Sequence[Row], situation: str, act: str) -> dict[str, float] | None:
    """Risk differences of `act` against acts without effect, or None where a group is empty."""
    mine = [row for row in rows if row["situation"] == situation]
    treated = [row for row in mine if row["act"] == act]
    control = [row for row in mine if not structural.effect(situation, row["act"])]
    if not treated or not control:
        return None

    def rest(row: Row) -> float:
        return float(row["kept"] - (row["propensity"] - structural.effect(situation, row["act"])))

    def variance(group: Sequence[Row]) -> float:
        return sum(row["propensity"] * (1 - row["propensity"]) for row in group) / len(group) ** 2

    return {
        "adjusted": fmean(map(rest, treated)) - fmean(map(rest, control)),
        "error": (variance(treated) + variance(control)) ** 0.5,
        "by_bucket": _stratified(treated, control, ("bucket",)),
        "crude": _stratified(treated, control, ()),
    }


def _stratified(treated: Sequence[Row], control: Sequence[Row], by: tuple[str, ...]) -> float:
    """Difference of the shares that kept the promise, within strata, with Mantel-Haenszel weights."""
    strata: dict[tuple[str, ...], tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    for side, group in enumerate((treated, control)):
        for row in group:
            strata[tuple(row[name] for name in by)][side].append(row["kept"])
    pairs = [pair for pair in strata.values() if all(pair)]
    weights = [len(one) * len(other) / (len(one) + len(other)) for one, other in pairs]
    differences = [fmean(one) - fmean(other) for one, other in pairs]
    return sum(w * d for w, d in zip(weights, differences, strict=True)) / sum(weights) if weights else 0.0


def _placebo(corpora: Sequence[Sequence[Row]]) -> None:
    """Print what the act that does nothing, and is done in hard cases, seems to do."""
    rows = [row for corpus in corpora for row in corpus if not structural.effect(row["situation"], row["act"])]
    groups = [[row for row in rows if (row["act"] == PLACEBO) == treated] for treated in (True, False)]
    crude, adjusted = (_stratified(groups[0], groups[1], by) for by in ((), ("situation", "bucket")))
    print(f"\nConfounded placebo {PLACEBO}: planted 0, crude {crude:+.3f}, by situation and bucket {adjusted:+.3f}")


def leak(cases: int) -> bool:
    """What the agent's first turns tell of the outcome, against what the model lets them tell."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "raw", cases, 11)
        rows = _first_turns(Path(folder) / "raw")
    train = [row for row in rows if row["half"]]
    test = [row for row in rows if not row["half"]]
    kept = [row["kept"] for row in test]
    rates: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in train:
        for cell in ((row["bucket"],), (row["bucket"], row["amount"])):
            rates[cell].append(row["propensity"])
    bound = [fmean(rates.get((row["bucket"], row["amount"])) or rates[row["bucket"],]) for row in test]

    print(f"{len(train)} post-loan dialogues to learn from, {len(test)} of other customers to test on\n")
    print("| predictor of a kept promise | AUC | less the bound | 95% interval |\n|---|---|---|---|")
    print(f"| bound: bucket and amount | {roc_auc_score(kept, bound):.3f} | | |")
    excess = 0.0
    for name, key in (("agent's turns before the decisive one", "before"), ("and the decisive turn", "with_act")):
        vectorizer = CountVectorizer(analyzer="char", min_df=5)
        model = LogisticRegression(max_iter=2000, C=0.05)
        model.fit(vectorizer.fit_transform([row[key] for row in train]), [row["kept"] for row in train])
        scores = model.predict_proba(vectorizer.transform([row[key] for row in test]))[:, 1]
        difference, low, high = _bootstrap(kept, scores, bound, roc_auc_score)
        area = roc_auc_score(kept, scores)
        print(f"| bag of characters: {name} | {area:.3f} | {difference:+.3f} | {low:+.3f} … {high:+.3f} |")
        if key == "before":
            excess = low
    oracle = roc_auc_score(kept, [row["propensity"] for row in test])
    print(f"| the whole structural model | {oracle:.3f} | | |")
    return excess <= 0


def _first_turns(folder: Path) -> list[Row]:
    truth = {row["dialogue"]: row for row in _jsonl(folder / "truth" / "dialogues.jsonl")}
    arrears: dict[tuple[str, str], float] = {
        (row["customer"], row["as_of"]): row["arrears"]["total"] for row in _jsonl(folder / "accounts.jsonl")
    }
    rows = []
    for dialogue in _jsonl(folder / "dialogues.jsonl"):
        about = truth[dialogue["id"]]
        if "propensity" not in about:
            continue
        said = [turn["text"] for turn in dialogue["turns"][: about["turn"]] if turn["speaker"] == "agent"]
        amount = arrears[dialogue["customer"], dialogue["started_at"][:10]]
        rows.append(
            {
                "before": "\n".join(said),
                "with_act": "\n".join([*said, dialogue["turns"][about["turn"]]["text"]]),
                "kept": int(about["kept"]),
                "propensity": about["propensity"],
                "bucket": about["bucket"],
                "amount": sum(amount > limit for limit in (500, 1000, 2000, 4000)),
                "half": int(dialogue["customer"][1:]) % 2 == 0,
            }
        )
    return rows


def _bootstrap(
    kept: Sequence[int], scores: Sequence[float], bound: Sequence[float], auc: Callable[..., float], draws: int = 400
) -> tuple[float, float, float]:
    """Difference of two areas under the curve on the same cases, and its 95% percentile interval."""
    rng = random.Random(5)
    found = []
    for _ in range(draws):
        picked = [rng.randrange(len(kept)) for _ in kept]
        outcome = [kept[i] for i in picked]
        found.append(auc(outcome, [scores[i] for i in picked]) - auc(outcome, [bound[i] for i in picked]))
    found.sort()
    return auc(kept, scores) - auc(kept, bound), found[int(0.025 * draws)], found[int(0.975 * draws)]


def _jsonl(path: Path) -> list[Row]:
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; without it, everything")
    parser.add_argument("--cases", type=int, default=100_000, help="dialogues for speed; a tenth of them for bytes")
    parser.add_argument("--seeds", type=int, default=50, help="corpora for effects")
    arguments = parser.parse_args()
    work: dict[str, Callable[[], bool]] = {
        "speed": partial(speed, arguments.cases),
        "bytes": partial(same_bytes, max(20, arguments.cases // 10)),
        "effects": partial(effects, arguments.seeds),
        "leak": partial(leak, LEAK_CASES),
    }
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, Python {platform.python_version()}")
    missed = []
    for name in arguments.parts or PARTS:
        print(f"\n## {name}\n")
        if not work[name]():
            missed.append(name)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
