"""Stability: pure functions of counts, canonical answers and probabilities, numpy only.

Notation: item i has n_i runs of which c_i are right; under condition v it has n_iv and c_iv. An answer of None could
not be read; it is wrong and agrees with nothing, not even with itself. NaN means undefined (fewer runs than k), never
zero, and a mean over items that holds a NaN is NaN: nothing is dropped in silence.
"""

from evals.stability.agreement import (
    Answer,
    flip_rate,
    krippendorff_alpha,
    maj_gain,
    majority,
    pairwise_agreement,
    tar_at_k,
    vote_confidence,
    within_between,
)
from evals.stability.calibration import (
    CurvePoint,
    brier,
    coverage_accuracy_area,
    ece,
    ece_excess,
    reliability_curve,
    semantic_entropy,
    vote_brier,
)
from evals.stability.flips import batch_determinism, correctness_flips, first_divergence, sampled_flips
from evals.stability.options import (
    Circular,
    circular,
    pride_debiased,
    pride_prior,
    pride_prior_of_choices,
    rstd,
    undo_permutation,
)
from evals.stability.passes import (
    ceil_share,
    g_pass_at_k,
    mean,
    mg_pass_at_k,
    pass_at_k,
    pass_hat_k,
    reliability_gap,
)
from evals.stability.spread import (
    PromptSpread,
    WorstPrompt,
    all_conditions_success,
    crossfit_gaps,
    crossfit_interval,
    instance_worst_case,
    performance_drop_rate,
    prompt_spread,
    worst_prompt,
)

__all__ = [
    "Answer",
    "Circular",
    "CurvePoint",
    "PromptSpread",
    "WorstPrompt",
    "all_conditions_success",
    "batch_determinism",
    "brier",
    "ceil_share",
    "circular",
    "correctness_flips",
    "coverage_accuracy_area",
    "crossfit_gaps",
    "crossfit_interval",
    "ece",
    "ece_excess",
    "first_divergence",
    "flip_rate",
    "g_pass_at_k",
    "instance_worst_case",
    "krippendorff_alpha",
    "maj_gain",
    "majority",
    "mean",
    "mg_pass_at_k",
    "pairwise_agreement",
    "pass_at_k",
    "pass_hat_k",
    "performance_drop_rate",
    "pride_debiased",
    "pride_prior",
    "pride_prior_of_choices",
    "prompt_spread",
    "reliability_curve",
    "reliability_gap",
    "rstd",
    "sampled_flips",
    "semantic_entropy",
    "tar_at_k",
    "undo_permutation",
    "vote_brier",
    "vote_confidence",
    "within_between",
    "worst_prompt",
]
