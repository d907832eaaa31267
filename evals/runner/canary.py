"""The seed canary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from evals.errors import EvalError
from evals.records import RawAttempt


def require_different_repeats(attempts: Iterable[RawAttempt]) -> None:
    """Sampled repeats that are copies of one another, for every item, measure nothing.

    Servers that ignore a request's seed, or fix it, make any model look perfectly stable.

    Raises:
        EvalError: there are at least two repeated items and for all of them all outputs are byte-identical.
    """
    outputs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for attempt in attempts:
        if attempt.temperature > 0 and attempt.error is None:
            outputs[attempt.item, attempt.condition].append(attempt.output)
    repeated = [texts for texts in outputs.values() if len(texts) > 1]
    if len(repeated) > 1 and all(len(set(texts)) == 1 for texts in repeated):
        raise EvalError(
            f"the repeats of all {len(repeated)} stability items are byte-identical at temperature > 0: "
            "the server seems to ignore the seed of a request, so stability cannot be measured",
            "check the engine's sampling settings; if the model really is this certain, raise `temperature`",
        )
