"""Preference training: DPO (Rafailov et al. 2023, arXiv 2305.18290) and KTO (Ethayarajh et al. 2024, arXiv 2402.01306).

The losses are those of TRL's DPOTrainer and KTOTrainer, under TRL's names where it has one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tianjing.config import StrictModel

Method = Literal["sft", "dpo", "kto"]

_ONLY_DPO = ("loss", "label_smoothing", "sft_weight")
_ONLY_KTO = ("desirable_weight", "undesirable_weight")


class PreferenceSection(StrictModel, allow_inf_nan=False):
    """How preference pairs are learned. The reference is the model as it stands before the first step."""

    beta: float = Field(0.1, gt=0)
    """Hold of the reference: reward is beta x log-ratio to it (nats). More keeps the answers nearer to the reference's.
    With `ipo` it is the paper's tau, and 1 / (2 beta) the margin aimed at, in nats a token."""

    loss: Literal["sigmoid", "ipo", "robust"] = "sigmoid"
    """DPO's own loss; `ipo` aims at a margin and stops there (Azar et al. 2023, arXiv 2310.12036), for pairs that are
    learned by heart; `robust` allows for pairs whose answers are swapped (Chowdhury et al. 2024, arXiv 2403.00409)."""

    label_smoothing: float = Field(0.0, ge=0.0, lt=0.5)
    """Share of pairs taken to be swapped; `robust` needs it and nothing else takes it. The paper's choice is 0.1."""

    sft_weight: float = Field(0.0, ge=0.0)
    """Adds this times the cross-entropy of the chosen answers, a mean over their tokens (RPO's alpha, Pang et al. 2024,
    arXiv 2404.19733; TRL's loss `sft`): keeps them likely, where DPO may lower both. 0 leaves it out."""

    desirable_weight: float = Field(1.0, gt=0)
    """KTO's weight of the chosen answers' losses."""

    undesirable_weight: float = Field(1.0, gt=0)
    """KTO's weight of the rejected answers' losses. Pairs hold as many of one as of the other, so both are 1."""


def misplaced(method: Method, section: PreferenceSection | None) -> list[tuple[str, str]]:
    """Fields that `method` would not look at, or that contradict one another: name ("" for the section), and why."""
    if section is None:
        return []
    if method == "sft":
        return [("", "belongs to preference training; set method: dpo or kto, or leave the section out")]
    others, named = (_ONLY_KTO, "kto") if method == "dpo" else (_ONLY_DPO, "dpo")
    plain = PreferenceSection()
    found = [
        (name, f"is of method {named}; leave it out")
        for name in others
        if getattr(section, name) != getattr(plain, name)
    ]
    if method == "dpo" and (section.label_smoothing > 0) != (section.loss == "robust"):
        found.append(("label_smoothing", "goes with loss: robust, which needs it (0.1, say); set both or neither"))
    return found
