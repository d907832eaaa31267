"""Intervals and tests for evaluation scores: pure functions of arrays, numpy only.

The unit of resampling is the cluster (`groups`: a customer, a source document), never a single row:
items of one customer share wording and circumstances. Every function takes one number per item.
Shapes: N items, G groups, B resamples, C columns.
"""

from evals.stats.bootstrap import (
    Statistic,
    cluster_bootstrap,
    mean_of,
    ratio_of_means,
    relative_loss,
)
from evals.stats.clusters import Array, Clusters
from evals.stats.distributions import clopper_pearson, incomplete_beta, t_quantile, t_tail, wilson
from evals.stats.hypothesis import benjamini_hochberg, holm, mcnemar_exact, sign_flip_test
from evals.stats.intervals import (
    FEW_GROUPS,
    Interval,
    clustered_se,
    correlation,
    difference_interval,
    mean_interval,
    newcombe,
    paired_difference,
    share_of_sum_interval,
)
from evals.stats.sizes import design_effect, minimum_detectable_effect, sample_size

__all__ = [
    "FEW_GROUPS",
    "Array",
    "Clusters",
    "Interval",
    "Statistic",
    "benjamini_hochberg",
    "clopper_pearson",
    "cluster_bootstrap",
    "clustered_se",
    "correlation",
    "design_effect",
    "difference_interval",
    "holm",
    "incomplete_beta",
    "mcnemar_exact",
    "mean_interval",
    "mean_of",
    "minimum_detectable_effect",
    "newcombe",
    "paired_difference",
    "ratio_of_means",
    "relative_loss",
    "sample_size",
    "share_of_sum_interval",
    "sign_flip_test",
    "t_quantile",
    "t_tail",
    "wilson",
]
