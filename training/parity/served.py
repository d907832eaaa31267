"""The prompts of a running vLLM beside those rendered here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tianjing.engine import ChatClient, EngineError
from tianjing.records import Example
from training.errors import TrainingError
from training.parity.check import Difference, answer_places, around, first_difference, serve_prompt

# Requests in flight: rendering is the server's single-threaded work.
_AT_ONCE = 16


def check_server(
    examples: Sequence[Example], tokenizer: Any, endpoint: str, api_key: str = "", model: str | None = None
) -> list[Difference]:
    """Ask the server at `endpoint` (its `/v1` root) for the prompt of every answer, and compare token ids.

    Args:
        model: name that the server knows the model by; None takes the first it lists.

    Raises:
        TrainingError: the server does not answer, or does not offer vLLM's `/tokenize`.
    """
    try:
        return asyncio.run(_check(examples, tokenizer, endpoint, api_key, model))
    except EngineError as error:
        closed = error.status in (401, 403, 404)
        raise TrainingError(
            error.message,
            "ask vLLM itself (`vllm serve MODEL`): the engine that `tianjing serve` starts closes /tokenize"
            if closed
            else "check that vLLM is up and that --endpoint ends in /v1",
        ) from None


async def _check(
    examples: Sequence[Example], tokenizer: Any, endpoint: str, api_key: str, model: str | None
) -> list[Difference]:
    slots = asyncio.Semaphore(_AT_ONCE)
    async with ChatClient(endpoint, api_key) as client:
        name = model or (await client.models())[0]

        async def compare(example: Example, number: int, place: int) -> Difference | None:
            messages = example.messages[:place]
            async with slots:
                theirs = await client.tokenize(name, messages)
            ours = serve_prompt(messages, tokenizer)
            at = first_difference(ours, theirs)
            if at is None:
                return None
            shown = (around(ours, at, tokenizer), around(theirs, at, tokenizer))
            return Difference(example.id, number, "the running server renders another prompt", *shown)

        found = await asyncio.gather(
            *(
                compare(example, number, place)
                for example in examples
                for number, place in enumerate(answer_places(example.messages), start=1)
            )
        )
    return [difference for difference in found if difference is not None]
