"""Are the estimators unbiased, do the intervals cover what they claim, and what does a summary cost?

Bias: items with known answer distributions are drawn again and again; the mean estimate minus the truth, with its
Monte-Carlo standard error, beside the estimator that other tools use.
Coverage: how often a nominal 95 % interval holds the truth, for the sizes that are used, with independent items and
with clusters of uneven size whose items resemble one another. Of independent scores of 0 and 1 every sample is counted
with its probability; other cells are simulated. `*` marks what lies outside 93 to 97 %, and `°` what lies above and
cannot be brought down to 97 % (evals_attainable.py says why). Beside it the interval that another tool would print for
the same data.
Summary: seconds and memory to turn attempts into summary.json.
Usage: python scripts/bench/evals_metrics.py [--only bias|coverage|vectors|summary] [--replicates N] [--attempts N]
"""

from __future__ import annotations

import argparse
import math
import platform
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
from evals_attainable import least_coverage_of_mean, least_coverage_of_no_difference, moment

from evals import stability, stats
from evals.config import EvalConfig
from evals.records import ARMS, Attempt, Item, Variant
from evals.stats import Array, Clusters, Interval
from evals.summary import summarise
from tianjing.tasks import TASKS

SIZES = (36, 50, 100, 200, 300)
Z = NormalDist().inv_cdf(0.975)
# Name, mean items a cluster (sizes are uneven, from 1 to twice that less 1), correlation of the items of one.
SHAPES = (("alone", 1, 0.0), ("2 a cluster", 2, 0.4), ("4 a cluster", 4, 0.4))
GOOD = (0.93, 0.97)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("bias", "coverage", "vectors", "summary"), help="one part alone")
    parser.add_argument(
        "--replicates", type=int, default=4000, help="simulated evaluations a cell of the coverage table"
    )
    parser.add_argument("--items", type=int, default=200_000, help="items drawn for each bias")
    parser.add_argument("--attempts", type=int, default=200_000, help="attempts of the summary that is timed")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    if options.only in (None, "bias"):
        bias(options.items)
    if options.only in (None, "vectors"):
        vectors()
    if options.only in (None, "coverage"):
        coverage(options.replicates)
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
    nfr = stability.correctness_flips(hits[:, 0], hits[:, 1])[0]
    both = (hits[:, 0] >= 0.5) & (hits[:, 1] < 0.5)
    _line("negative flips of repeats", grid[:, 0] * (1 - grid[:, 1]), nfr, both, "flip of the majority")
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


def coverage(replicates: int) -> None:
    """Share of nominal 95 % intervals that hold the truth."""
    error = 100 * math.sqrt(0.95 * 0.05 / replicates)
    print(f"\nCoverage in % of nominal 95 % intervals, {replicates:,} evaluations a cell (MC se {error:.2f})")
    print(f"outside {100 * GOOD[0]:.0f} to {100 * GOOD[1]:.0f} %: *, and ° where that is not attainable")
    sizes = "".join(f"{f'N={n}':>9}" for n in SIZES)
    print(f"{'figure':34} {'items':12}{sizes}   {'peer at each N':29}  the peer's interval")
    cells, outside, unattainable = 0, 0, 0
    for row in _quantities():
        for shape, size, rho in SHAPES:
            shown, others = "", []
            for n in SIZES:
                clusters = _clusters(n, size)
                ours, peer = _covered(row, clusters, rho, replicates, np.random.default_rng([n, size, len(row.name)]))
                others.append(peer)
                mark = " "
                if not GOOD[0] <= ours <= GOOD[1]:
                    least = row.least(clusters.sizes.astype(int).tolist(), rho) if ours > GOOD[1] and row.least else 0.0
                    mark = "°" if least > GOOD[1] else "*"
                shown += f"{100 * ours:8.1f}{mark}"
                cells, outside, unattainable = cells + 1, outside + (mark != " "), unattainable + (mark == "°")
            peers = " ".join(f"{100 * one:5.1f}" for one in others)
            print(f"{row.name:34} {shape:12}{shown}   {peers}  {row.label}", flush=True)
    print(f"outside: {outside} of {cells} cells; {unattainable} of them not attainable, {outside - unattainable} are")


def _covered(
    row: Quantity, clusters: Clusters, rho: float, replicates: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Coverage of our interval and of the peer's."""
    hit = miss = 0
    for _ in range(replicates):
        truth, data = row.draw(rng, clusters, rho)
        found, other = row.interval(data, clusters), row.peer(data)
        hit += found.low <= truth <= found.high
        miss += other[0] <= truth <= other[1]
    ours = hit / replicates
    if row.samples is not None and clusters.count == len(clusters.index):
        ours = 0.0
        for chance, data in row.samples(clusters.count):
            found = row.interval(data, clusters)
            ours += chance * (found.low <= truth <= found.high)
    return ours, miss / replicates


Draw = Callable[[np.random.Generator, Clusters, float], tuple[float, Any]]


@dataclass(frozen=True)
class Quantity:
    """One figure of the coverage table.

    Attributes:
        draw: one simulated evaluation: the truth, and the data.
        label: the peer's interval.
        least: least coverage that is attainable, of cluster sizes and correlation.
        samples: every sample of N independent items with its probability.
    """

    name: str
    draw: Draw
    interval: Callable[[Any, Clusters], Interval]
    peer: Callable[[Any], tuple[float, float]]
    label: str
    least: Callable[[Sequence[int], float], float] | None = None
    samples: Callable[[int], Iterator[tuple[float, Any]]] | None = None


def _quantities() -> Iterator[Quantity]:
    for mean in (0.5, 0.8, 0.95):
        yield Quantity(
            f"binary score, mean {mean:g}",
            _scores(mean, 1, None),
            stats.mean_interval,
            _wald,
            "Wald z, items alone",
            partial(least_coverage_of_mean, mean=mean, runs=1),
            partial(_every_score, mean=mean),
        )
    least = partial(least_coverage_of_mean, mean=0.75, runs=4)
    name = "graded score, mean 0.75"
    yield Quantity(name, _scores(0.75, 4, None), stats.mean_interval, _wald, "Wald z, items alone", least)
    for mean in (0.5, 0.8, 0.95):
        label = "bootstrap SD / √B (lighteval)"
        least = partial(least_coverage_of_mean, mean=mean, runs=8)
        name = f"pass^4 of 8 runs, pass^1 {mean:g}"
        yield Quantity(name, _scores(mean, 8, 4), stats.mean_interval, _shrunk, label, least)
    for discordance, gap in ((0.05, 0.0), (0.1, 0.04), (0.2, 0.05), (0.3, 0.1)):
        yield Quantity(
            f"difference {gap:g}, discordance {discordance:g}",
            _pairs(discordance, gap, 1),
            _paired,
            _unpaired,
            "unpaired z (lm-eval)",
            None if gap else partial(least_coverage_of_no_difference, discordance=discordance),
            partial(_every_pair, discordance=discordance, gap=gap),
        )
    name = "difference of graded scores 0.05"
    yield Quantity(name, _pairs(0.3, 0.05, 4), _paired, _unpaired, "unpaired z (lm-eval)")
    yield Quantity("difference of pass^4", _pass_pairs, _paired, _unpaired, "unpaired z (lm-eval)")
    yield Quantity("pass^4 / pass^1 of 4 runs", _ratio, _share, _percentile, "percentile bootstrap, items alone")


def _every_score(n: int, mean: float) -> Iterator[tuple[float, Array]]:
    for right in range(n + 1):
        chance = math.comb(n, right) * mean**right * (1 - mean) ** (n - right)
        yield chance, (np.arange(n) < right).astype(float)


def _every_pair(n: int, discordance: float, gap: float) -> Iterator[tuple[float, Any]]:
    """Wins, losses and ties, but for outcomes that together have no weight."""
    up, down = (discordance + gap) / 2, (discordance - gap) / 2
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            ties = n - wins - losses
            ways = math.lgamma(n + 1) - math.lgamma(wins + 1) - math.lgamma(losses + 1) - math.lgamma(ties + 1)
            chance = math.exp(ways + wins * math.log(up) + losses * math.log(down) + ties * math.log(1 - discordance))
            if chance > 1e-10:
                item = np.arange(n)
                base = ((item >= wins) & (item < wins + losses)).astype(float)
                yield chance, (base, (item < wins).astype(float))


def _clusters(n: int, size: int) -> Clusters:
    rng = np.random.default_rng(n * 7 + size)
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(int(rng.integers(1, 2 * size)) if size > 1 else 1)
    return Clusters.of(np.repeat(np.arange(len(sizes)), sizes)[:n].tolist())


def _shared(rng: np.random.Generator, own: Array, common: Array, clusters: Clusters, rho: float) -> Array:
    """Each item takes its cluster's value with chance √rho."""
    return np.where(rng.random(len(own)) < math.sqrt(rho), common[clusters.index], own)


def _chances(rng: np.random.Generator, clusters: Clusters, rho: float, mean: float) -> Array:
    n = len(clusters.index)
    a, b = 1.0 * mean, 1.0 * (1 - mean)
    return _shared(rng, rng.beta(a, b, n), rng.beta(a, b, clusters.count), clusters, rho)


def _scores(mean: float, runs: int, k: int | None) -> Draw:
    """A score of `runs` runs, or pass^k of them."""
    table = np.array([c / runs if k is None else stability.pass_hat_k(c, runs, k) for c in range(runs + 1)])
    truth = mean if k is None else moment(mean, k)

    def draw(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Array]:
        return truth, table[rng.binomial(runs, _chances(rng, clusters, rho, mean))]

    return draw


def _pairs(discordance: float, gap: float, runs: int) -> Draw:
    """Scores of two arms that differ on a share of the items; each is the mean of `runs` like outcomes."""

    def draw(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Any]:
        n = len(clusters.index)
        base, tuned = np.zeros(n), np.zeros(n)
        for _ in range(runs):
            kind = _shared(rng, rng.random(n), rng.random(clusters.count), clusters, rho)
            better, worse = kind < (discordance + gap) / 2, kind > 1 - (discordance - gap) / 2
            alike = rng.random(n) < 0.6
            base += np.where(better, 0.0, np.where(worse, 1.0, alike)) / runs
            tuned += np.where(better, 1.0, np.where(worse, 0.0, alike)) / runs
        return gap, (base, tuned)

    return draw


def _pass_pairs(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Any]:
    """pass^4 of 8 runs of two arms whose chances go together."""
    table = np.array([stability.pass_hat_k(c, 8, 4) for c in range(9)])
    p = _chances(rng, clusters, rho, 0.6)
    fresh = _chances(rng, clusters, rho, 0.75)
    other = np.where(rng.random(len(p)) < 0.6, p, fresh)
    truth = 0.4 * (moment(0.75, 4) - moment(0.6, 4))
    return truth, (table[rng.binomial(8, p)], table[rng.binomial(8, other)])


def _ratio(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Any]:
    c = rng.binomial(4, _chances(rng, clusters, rho, 0.6))
    return moment(0.6, 4) / 0.6, ((c == 4).astype(float), c / 4)


def _paired(data: Any, clusters: Clusters) -> Interval:
    return stats.paired_difference(data[1], data[0], clusters)


def _share(data: Any, clusters: Clusters) -> Interval:
    return stats.share_of_sum_interval(data[0], data[1], clusters)


def _wald(x: Array) -> tuple[float, float]:
    half = Z * x.std(ddof=1) / math.sqrt(len(x))
    return x.mean() - half, x.mean() + half


def _shrunk(x: Array, draws: int = 1000) -> tuple[float, float]:
    """The mean's standard error stands for the bootstrap's, which it equals up to noise."""
    half = Z * x.std(ddof=1) / math.sqrt(len(x)) / math.sqrt(draws)
    return x.mean() - half, x.mean() + half


def _unpaired(data: Any) -> tuple[float, float]:
    gap = data[1].mean() - data[0].mean()
    half = Z * math.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in data))
    return gap - half, gap + half


def _percentile(data: Any, draws: int = 200) -> tuple[float, float]:
    n = len(data[0])
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), draws)
    low, high = np.nanquantile(stats.ratio_of_means(np.vstack(data), weights.astype(float)), [0.025, 0.975])
    return float(low), float(high)


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
