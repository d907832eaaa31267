"""What the repeats of an item at temperature T say: the pass family, agreement, entropy and calibration.

The confidence of the calibration figures is the vote share: how many of the repeats gave the answer that most gave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals import stability, stats
from evals.config import EvalConfig
from evals.measures import Measure
from evals.records import SAMPLED, Attempt, Item
from evals.scoring import ERROR
from evals.stats import Array, Clusters
from evals.summary.columns import SIGNED, Column, bounds_of, estimate
from evals.summary.index import Runs

Json = dict[str, Any]


def repeats_profile(chosen: Sequence[Item], arm: Runs, config: EvalConfig) -> tuple[Json, list[Column]]:
    """Figures and per-item columns of one arm over its stability items."""
    runs = [arm.of(item, SAMPLED) for item in chosen]
    answers = [[attempt.answer for attempt in row] for row in runs]
    right = [[attempt.score >= config.success_at for attempt in row] for row in runs]
    clusters = Clusters.of([item.group for item in chosen])
    ids = [item.id for item in chosen]
    passes, pass_columns = _passes(ids, [(sum(row), len(row)) for row in right], clusters, config)
    agreement, agreement_columns = _agreement(ids, runs, answers, right, config)
    doubt, doubt_columns = _doubt(ids, answers, right, config)
    return {**passes, **agreement, **doubt}, pass_columns + agreement_columns + doubt_columns


def pass_ratio_measure(
    columns: Mapping[str, Mapping[str, Column]], groups: Mapping[str, str], task: str, config: EvalConfig
) -> Measure | None:
    """pass^k / pass^1 at k = repeats, a ratio of means; None where nothing was repeated."""
    last, first = columns.get(f"pass^{config.repeats}", {}), columns.get("pass^1", {})
    if not last:
        return None
    pairs = {arm: np.asarray([list(last[arm].values.values()), list(first[arm].values.values())]) for arm in last}
    ids = list(next(iter(last.values())).values)
    clusters = Clusters.of([groups[item] for item in ids])
    found = {
        arm: stats.share_of_sum_interval(pair[0], pair[1], clusters, config.confidence) for arm, pair in pairs.items()
    }
    difference = None
    if len(pairs) == 2:
        sums = [clusters.sums(row) for arm in ("tuned", "base") for row in pairs[arm]]
        settings = (config.bootstrap, config.seed, config.confidence)
        difference = estimate(stats.cluster_bootstrap(_ratio_gap, sums, range(clusters.count), *settings))
    return Measure(
        name="pass_ratio",
        task=task,
        arms={arm: estimate(one) for arm, one in found.items()},
        difference=difference,
        n=len(ids),
        groups=clusters.count,
        note=f"pass^{config.repeats} / pass^1: how much of the success survives {config.repeats} runs in a row",
    )


def _ratio_gap(columns: Array, weights: Array) -> Array:
    return stats.ratio_of_means(columns[:2], weights) - stats.ratio_of_means(columns[2:], weights)


def _passes(
    ids: Sequence[str], counts: Sequence[tuple[int, int]], clusters: Clusters, config: EvalConfig
) -> tuple[Json, list[Column]]:
    """pass^k and pass@k for each k up to the number of repeats, and how much of pass^1 the last keeps."""
    k = config.repeats
    ks = range(1, k + 1)
    every = {j: [stability.pass_hat_k(c, n, j) for c, n in counts] for j in ks}
    any_of = {j: [stability.pass_at_k(c, n, j) for c, n in counts] for j in ks}
    ratio = stats.share_of_sum_interval(every[k], every[1], clusters, config.confidence)
    means = {j: stability.mean(every[j]) for j in ks}
    figures = {
        **{f"pass^{j}": means[j] for j in ks},
        **{f"pass@{j}": stability.mean(any_of[j]) for j in ks},
        **{
            f"G-Pass@{k}_{tau}": stability.mean([stability.g_pass_at_k(c, n, k, tau) for c, n in counts])
            for tau in ("0.25", "0.5", "0.75")
        },
        f"mG-Pass@{k}": stability.mean([stability.mg_pass_at_k(c, n, k) for c, n in counts]),
        "pass_intervals": {
            f"pass^{j}": bounds_of(stats.mean_interval(every[j], clusters, config.confidence)) for j in ks
        },
        "pass_ratio": {"estimate": ratio.estimate, "ci_low": ratio.low, "ci_high": ratio.high},
        "reliability_gap": means[1] - means[k],
    }
    columns = [Column(f"pass^{j}", dict(zip(ids, every[j], strict=True))) for j in ks]
    columns.append(Column(f"pass@{k}", dict(zip(ids, any_of[k], strict=True))))
    gaps = [stability.reliability_gap(c, n, k) for c, n in counts]
    columns.append(Column("reliability_gap", dict(zip(ids, gaps, strict=True)), "lower", note=f"pass^1 − pass^{k}"))
    return figures, columns


def _agreement(
    ids: Sequence[str],
    runs: Sequence[Sequence[Attempt]],
    answers: Sequence[Sequence[str | None]],
    right: Sequence[Sequence[bool]],
    config: EvalConfig,
) -> tuple[Json, list[Column]]:
    """How often repeats get the same answer, letter for letter (raw) and once read."""
    raw = [[None if attempt.rule == ERROR else attempt.output for attempt in row] for row in runs]
    ks = range(2, config.repeats + 1)
    read = {j: [stability.tar_at_k(row, j) for row in answers] for j in ks}
    exact = {j: [stability.tar_at_k(row, j) for row in raw] for j in ks}
    gains = [stability.maj_gain(row, hits) for row, hits in zip(answers, right, strict=True)]
    figures = {
        "agreement": stability.mean(read[2]),
        **{f"TAR@{j}": stability.mean(read[j]) for j in ks},
        **{f"TARr@{j}": stability.mean(exact[j]) for j in ks},
        "within": stability.mean(read[2]),
        "self_consistency_gain": stability.mean(gains),
        "krippendorff_alpha": stability.krippendorff_alpha(answers),
    }
    k = config.repeats
    columns = [Column("agreement", dict(zip(ids, read[2], strict=True)))]
    columns += [Column(f"TAR@{j}", dict(zip(ids, read[j], strict=True))) for j in ks if j > 2]
    columns.append(Column(f"TARr@{k}", dict(zip(ids, exact[k], strict=True)), note="raw outputs, letter for letter"))
    note = f"majority of {k} runs minus pass^1"
    columns.append(Column("self_consistency_gain", dict(zip(ids, gains, strict=True)), bounds=SIGNED, note=note))
    return figures, columns


def _doubt(
    ids: Sequence[str],
    answers: Sequence[Sequence[str | None]],
    right: Sequence[Sequence[bool]],
    config: EvalConfig,
) -> tuple[Json, list[Column]]:
    """Semantic entropy, and how far the vote share can be taken for a probability."""
    k = config.repeats
    plug_in = [stability.semantic_entropy(row) for row in answers]
    corrected = [stability.semantic_entropy(row, corrected=True) for row in answers]
    scores = [stability.vote_brier(row, hits) for row, hits in zip(answers, right, strict=True)]
    figures: Json = {
        "semantic_entropy": {
            "runs": k,
            "unit": "nats",
            "plug_in": stability.mean(plug_in),
            "miller_madow": stability.mean(corrected),
        },
        "calibration": {
            "confidence": f"vote share of {k} repeats",
            "brier": stability.mean(scores),
            **_calibration(answers, right, config),
        },
    }
    most = max(map(len, answers), default=0)
    limit = math.log(most) + (most - 1) / (2 * most) if most else 1.0
    columns = [
        Column(
            "semantic_entropy",
            dict(zip(ids, corrected, strict=True)),
            "lower",
            "nats",
            (0.0, limit),
            f"Miller-Madow from {k} runs; the agreement is the unbiased figure",
        ),
        Column("brier", dict(zip(ids, scores, strict=True)), "lower", "score", (0.0, 2.0), f"vote share of {k} runs"),
    ]
    return figures, columns


def _calibration(answers: Sequence[Sequence[str | None]], right: Sequence[Sequence[bool]], config: EvalConfig) -> Json:
    votes = [stability.vote_confidence(row, hits) for row, hits in zip(answers, right, strict=True) if row]
    shares, voted = np.asarray(votes).reshape(-1, 2).T
    excess, null, p = stability.ece_excess(shares, voted, seed=config.seed)
    curve = stability.reliability_curve(shares, voted) if len(shares) else []
    return {
        "n": len(shares),
        "ece": stability.ece(shares, voted),
        "ece_null": null,
        "ece_excess": excess,
        "ece_p": p,
        "curve": [{"confidence": point.confidence, "accuracy": point.accuracy, "n": point.n} for point in curve],
        "coverage_accuracy_area": stability.coverage_accuracy_area(shares, voted),
    }
