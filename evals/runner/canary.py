"""The seed canary: one open prompt, asked with several seeds before any repeat is paid for.

Servers that ignore a request's seed, or fix it, and caches before them make any model look perfectly stable. Repeats of
real items cannot tell them from a model that is certain: no model is certain of a story that it is to make up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import SAMPLED, RawAttempt, Request
from evals.requests import derived_seed
from tianjing.records import Message

NAME = "seed-canary"
PROMPT = "请随意编一个两三句话的小故事，主角、地点和情节都由你随机决定。直接写故事，不要解释。"
TEMPERATURE, REPEATS, MAX_TOKENS = 1.0, 4, 64

Json = dict[str, Any]


def canary_requests(config: EvalConfig) -> list[Request]:
    """The same prompt with seeds of their own."""
    return [
        Request(
            item=NAME,
            task=NAME,
            condition=SAMPLED,
            repeat=repeat,
            messages=(Message(role="user", content=PROMPT),),
            max_tokens=MAX_TOKENS,
            temperature=TEMPERATURE,
            top_p=1.0,
            seed=derived_seed(config.seed, NAME, SAMPLED, repeat),
            parameters=config.parameters,
        )
        for repeat in range(REPEATS)
    ]


def canary_result(attempts: Iterable[RawAttempt]) -> Json:
    """What run.json keeps of it. An empty answer, of a model that spent its tokens on thoughts, tells nothing."""
    outputs = [attempt.output for attempt in attempts if attempt.error is None and attempt.output.strip()]
    return {"prompt": PROMPT, "temperature": TEMPERATURE, "outputs": outputs}


def seeds_ignored(result: Mapping[str, Any] | None) -> bool | None:
    """Whether all answers are copies; None where too few came, or evidence is older than the canary."""
    outputs = result["outputs"] if result else ()
    return len(set(outputs)) == 1 if len(outputs) > 1 else None


def require_seeds(model: str, result: Mapping[str, Any]) -> None:
    """Raises EvalError where the seeds of requests were ignored."""
    if seeds_ignored(result):
        raise EvalError(
            f"{len(result['outputs'])} answers of '{model}' to one open prompt are byte-identical at temperature "
            f"{result['temperature']:g}: the server seems to ignore the seed of a request, or to answer from a cache, "
            "so stability cannot be measured",
            "check the engine's sampling settings and what stands before it; nothing but this prompt was asked",
        )


def copied_repeats(attempts: Iterable[RawAttempt]) -> int:
    """Items that were repeated, where all of them (two at least) were answered with copies; 0 where one was not."""
    outputs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for attempt in attempts:
        if attempt.temperature > 0 and attempt.error is None:
            outputs[attempt.item, attempt.condition].append(attempt.output)
    repeated = [texts for texts in outputs.values() if len(texts) > 1]
    return len(repeated) if len(repeated) > 1 and all(len(set(texts)) == 1 for texts in repeated) else 0
