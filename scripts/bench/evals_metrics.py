"""Are the estimators unbiased, do the intervals cover what they claim, and what does a summary cost?

Bias: items with known answer distributions are drawn again and again; the mean estimate minus the truth, with its
Monte-Carlo standard error, beside the estimator that other tools use.
Coverage: how often a nominal 95 % interval holds the truth (evals_coverage.py).
Summary: seconds and memory to turn attempts into summary.json.
Usage: python scripts/bench/evals_metrics.py [--only bias|coverage|vectors|summary] [--replicates N]
       [--sizes N ...] [--attempts N]
"""

from __future__ import annotations

import argparse
import math
import platform
import resource
import time
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
from evals_coverage import SIZES, coverage

from evals import stability, stats
from evals.config import EvalConfig
from evals.records import ARMS, Attempt, Item, Variant
from evals.stats import Array
from evals.summary import summarise
from tianjing.tasks import TASKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("bias", "coverage", "vectors", "summary"), help="one part alone")
    parser.add_argument(
        "--replicates", type=int, default=4000, help="simulated evaluations a cell of the coverage table"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="items of each column of that table")
    parser.add_argument("--items", type=int, default=200_000, help="items drawn for each bias")
    parser.add_argument("--attempts", type=int, default=200_000, help="attempts of the summary that is timed")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    if options.only in (None, "bias"):
        bias(options.items)
    if options.only in (None, "vectors"):
        vectors()
    if options.only in (None, "coverage"):
        coverage(options.replicates, options.sizes)
    if options.only in (None, "summary"):
        time_summary(options.attempts)


def bias(items: int) -> None:
    """Eight runs an item, k = 4; success chances from Beta(1, 1), four answers with shares from a Dirichlet."""
    print(f"\nBias over {items:,} items (8 runs each, k = 4; truth known)")
    print(f"{'metric':34} {'truth':>8} {'ours':>9} {'± MC se':>8} {'peer':>9}  the peer's estimator")
    rng = np.random.default_rng(1)
    n, k = 8, 4
    p = rng.beta(1, 1, items)
    c = rng.binomial(n, p)
    plug = c / n
    _line("pass^4", p**k, [stability.pass_hat_k(int(x), n, k) for x in c], plug**k, "(c/n)^k")
    _line(
        "pass@4",
        1 - (1 - p) ** k,
        [stability.pass_at_k(int(x), n, k) for x in c],
        1 - (1 - plug) ** k,
        "1 − (1 − c/n)^k",
    )
    tail = _at_least(p, 3, k)
    ours = [stability.g_pass_at_k(int(x), n, k, "0.75") for x in c]
    _line("G-Pass@4_0.75", tail, ours, _at_least(plug, 3, k), "binomial tail at c/n")
    shares = rng.dirichlet(np.ones(4) * 0.7, items)
    counts: Any = rng.multinomial(n, shares)
    answers = [[str(a) for a, m in enumerate(row) for _ in range(m)] for row in counts]
    for name, power in (("agreement (TAR@2)", 2), ("TAR@4", 4)):
        ours = [stability.tar_at_k(row, power) for row in answers]
        _line(name, (shares**power).sum(1), ours, ((counts / n) ** power).sum(1), "Σ (m/n)^k")
    other = rng.dirichlet(np.ones(4) * 0.7, items)
    second: Any = rng.multinomial(n, other)
    turned = [[str(a) for a, m in enumerate(row) for _ in range(m)] for row in second]
    pairs = [stability.within_between(pair) for pair in zip(answers, turned, strict=True)]
    truth = ((shares - other) ** 2).sum(1) / 2
    plain = ((counts - second) ** 2).sum(1) / n**2 / 2
    _line("wording effect W − B", truth, [w - b for w, b in pairs], plain, "½ Σ (m/n − m'/n)²")
    grid = rng.beta(2, 1, (items, 4))
    hits = rng.binomial(n, grid) / n
    _line(
        "all-conditions success",
        grid.prod(1),
        stability.all_conditions_success(hits),
        hits.min(1),
        "min of noisy means",
    )
    # Equal seeds at their worst: both models draw the same number for the same repeat.
    drawn = np.random.default_rng(1).random((items, 1, n)) < grid[:, :2, None]
    flips = [stability.sampled_flips(base, tuned)[0] for base, tuned in drawn.astype(float).tolist()]
    rates = drawn.mean(axis=2)
    plain = rates[:, 0] * (1 - rates[:, 1])
    _line("negative flips, equal seeds", grid[:, 0] * (1 - grid[:, 1]), flips, plain, "p̂ (1 − p̂')")
    truth = -(shares * np.log(shares)).sum(1)
    mm = [stability.semantic_entropy(row, corrected=True) for row in answers]
    raw = [stability.semantic_entropy(row) for row in answers]
    _line("semantic entropy (not unbiased)", truth, mm, raw, "plug-in, M = 8")
    worst, crossfit, point = [], [], []
    for seed in range(min(1000, items // 200)):
        table = (rng.random((200, 10)) < 0.7).astype(float)
        found = stability.worst_prompt(table, range(200), draws=1, seed=seed)
        worst.append(0.7)
        crossfit.append(found.crossfit_worst)
        point.append(found.worst)
    _line("worst of 10 equal prompts, N = 200", worst, crossfit, point, "min over prompts")
    excess, plain = [], []
    for seed in range(min(1000, items // 200)):
        confidence = rng.random(300)
        correct = rng.random(300) < confidence
        excess.append(stability.ece_excess(confidence, correct, draws=200, seed=seed)[0])
        plain.append(stability.ece(confidence, correct))
    _line("ECE of a calibrated model, N = 300", [0.0] * len(excess), excess, plain, "ECE without its null")


def _line(name: str, truth: Any, ours: Any, peer: Any, label: str) -> None:
    gap = np.asarray(ours, dtype=float) - np.asarray(truth)
    other = float((np.asarray(peer, dtype=float) - np.asarray(truth)).mean())
    error = gap.std(ddof=1) / math.sqrt(len(gap))
    print(f"{name:34} {np.mean(truth):8.4f} {gap.mean():+9.4f} {error:8.4f} {other:+9.4f}  {label}")


def _at_least(p: Array, least: int, k: int) -> Array:
    return np.asarray(sum(math.comb(k, j) * p**j * (1 - p) ** (k - j) for j in range(least, k + 1)))


def vectors() -> None:
    """What other harnesses get wrong, on small data with a known answer."""
    print("\nKnown defects of other harnesses")
    grid = [(k, t) for k in range(1, 101) for t in range(1, 101)]
    floats = sum(math.ceil(k * (t / 100)) != -(-k * t // 100) for k, t in grid)
    exact = sum(stability.ceil_share(k, t / 100) != -(-k * t // 100) for k, t in grid)
    print(f"⌈τk⌉ for τ = 0.01 … 1, k = 1 … 100: in floats {floats} wrong, here {exact}")
    values = (np.arange(100) % 10 < 7).astype(float)
    truth, found = math.sqrt(0.21 / 99), stats.cluster_bootstrap(stats.mean_of, [values], range(100), draws=1000)
    divided = found.se / math.sqrt(1000)
    print(f"bootstrap error of a mean: truth {truth:.4f}, divided by √B again {divided:.5f}, here {found.se:.4f}")
    base, wins, losses = np.array([1.0] * 120 + [0.0] * 80), 14, 2
    tuned = base.copy()
    tuned[:losses], tuned[120 : 120 + wins] = 0.0, 1.0
    error = math.hypot(*(stats.clustered_se(arm, range(200)) for arm in (base, tuned)))
    unpaired = 2 * (1 - NormalDist().cdf(float(tuned.mean() - base.mean()) / error))
    paired = stats.mcnemar_exact(wins, losses)
    print(f"{wins} wins, {losses} losses of 200: unpaired z p {unpaired:.3f}, here McNemar p {paired:.4f}")
    turns = [[(j + turn) % 4 for j in range(4)] for turn in range(4)]
    contents = [str(stability.undo_permutation(0, order)) for order in turns]
    agreed = stability.pairwise_agreement(contents)
    print(f"always 'A' over 4 rotations: letters mapped there and back agree 1.00, contents {agreed:.2f}")
    readme, here = 5 * 4 / math.comb(5, 2), stability.pairwise_agreement(["a"] * 5)
    print(f"five equal answers: formula of SCORE's README {readme:.2f}, here {here:.2f}")
    strict = stability.g_pass_at_k(14, 50, 50, Fraction(28, 100))
    print(f"G-Pass@50_0.28 of 14 right in 50: {strict:.0f} (floats ask for 15 and read 0)")


def time_summary(attempts: int) -> None:
    """Quality inspection items under greedy, 8 repeats, 6 variants and 3 loads, both arms: 36 attempts an item."""
    count = max(1, attempts // 36)
    variants = {f"wording{j}": Variant(wording=j, check="same") for j in range(1, 7)}
    fields = {"rules": [{"id": "Q01", "title": "威胁"}], "customer": "没钱", "agent": "还款"}
    reference = {"rule": "none", "title": "", "evidence": "", "rewrite": ""}
    items = [
        Item(
            id=f"i{number}", task="quality_inspection", group=f"g{number // 2}", kind="k", stability=True,
            fields=fields, reference=reference, variants=variants,
        )
        for number in range(count)
    ]  # fmt: skip
    loads = ("concurrent1", "concurrent8", "concurrent32")
    conditions = {"greedy": 1, "sampled": 8, **dict.fromkeys((*variants, *loads), 1)}
    rng = np.random.default_rng(0)
    rows = []
    for item in items:
        for arm in ARMS:
            for condition, repeats in conditions.items():
                for repeat in range(repeats):
                    answer = "none" if rng.random() < 0.7 else "Q01"
                    rows.append(
                        Attempt(
                            key="k", item=item.id, task=item.task, arm=arm, condition=condition, repeat=repeat,
                            prompt="p", seed=1, temperature=0.3, output=answer, answer=answer, rule="json",
                            score=float(answer == "none"), finish_reason="stop", latency_s=0.1,
                        )
                    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began, used = time.monotonic(), time.process_time()
    summary = summarise(items, rows, EvalConfig(repeats=8), TASKS)
    seconds, busy = time.monotonic() - began, time.process_time() - used
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    measured = f"{seconds:.1f} s ({busy:.1f} s of processor time), {len(summary['measures'])} measures"
    memory = f"peak memory {before:.0f} MB with the attempts loaded, {after:.0f} MB after"
    print(f"\nSummary of {len(rows):,} attempts, {count:,} items: {measured}; {memory}")


if __name__ == "__main__":
    main()
