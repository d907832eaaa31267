"""Which model family a name belongs to: a judge favours answers of its own kind (self-preference)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.errors import EvalError
from evals.judge.config import JudgeConfig

_FAMILIES = {
    "qwen": r"qwen|qwq|tongyi|通义|dianjin|embedded",
    "glm": r"(?:chat)?glm|智谱",
    "deepseek": r"deepseek",
    "llama": r"llama|vicuna",
    "baichuan": r"baichuan|百川",
    "yi": r"(?:^|[/_-])yi(?:$|[/_.-])",
    "internlm": r"internlm|书生",
    "mistral": r"mistral|mixtral",
    "gemma": r"gemma|gemini",
    "gpt": r"(?:^|[/_-])(?:gpt|o[134])(?:$|[/_.-])",
    "claude": r"claude",
    "hunyuan": r"hunyuan|混元",
    "ernie": r"ernie|文心",
    "minimax": r"minimax|abab",
    "moonshot": r"moonshot|kimi",
    "doubao": r"doubao|seed-oss|豆包",
}


def families_of(name: str) -> frozenset[str]:
    """Families that a model's name tells; a distilled model (deepseek-r1-distill-qwen) has two."""
    return frozenset(family for family, pattern in _FAMILIES.items() if re.search(pattern, name, re.I))


def require_other_family(config: JudgeConfig, candidates: Sequence[str]) -> list[str]:
    """Warnings where a family is not known.

    Raises:
        EvalError: the judge is of the family of a model that it would judge.
    """
    judge = frozenset({config.family.lower()}) if config.family else families_of(config.model)
    own = frozenset({config.candidate_family.lower()} if config.candidate_family else ())
    judged = own.union(*map(families_of, candidates))
    shared = sorted(judge & judged)
    if shared:
        raise EvalError(
            f"the judge '{config.model}' is of the same family as the models it would judge: {shared[0]}",
            "name a judge of another family: a judge favours answers of its own kind",
        )
    warnings = []
    if not judge:
        warnings.append(f"family of the judge '{config.model}' is not known by its name: give `judge.family`")
    if not judged:
        warnings.append(f"family of {', '.join(candidates)} is not known: give `judge.candidate_family`")
    return warnings
