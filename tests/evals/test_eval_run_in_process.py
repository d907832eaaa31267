"""A model run by transformers in this process."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from evals.arms import in_process_groups
from evals.ask import ask
from evals.config import EvalConfig
from evals.runner.canary import canary_requests
from tianjing.engine import ChatRequest, Completion, EngineError
from tianjing.records import Message


def request(question: str, temperature: float, seed: int, max_tokens: int = 12) -> ChatRequest:
    return ChatRequest("m", (Message(role="user", content=question),), max_tokens, temperature, seed=seed)


@pytest.mark.slow
def test_an_answer_hangs_on_its_own_seed_alone(tiny_model: Path) -> None:
    in_process: Any = importlib.import_module("evals.arms.in_process")
    model = in_process.InProcess(tiny_model, None, 512)

    async def all_of(*asked: ChatRequest) -> list[Completion]:
        async with model as backend:
            return list(await asyncio.gather(*map(backend.chat, asked)))

    sampled = [request("工资晚发怎么办", 1.0, seed) for seed in (1, 2, 1)]
    first, second, again = asyncio.run(all_of(*sampled))
    assert first.text == again.text != second.text
    (alone,) = asyncio.run(all_of(request("工资晚发怎么办", 1.0, 2)))
    assert alone.text == second.text, "whatever was asked before and beside it"
    greedy = asyncio.run(all_of(*(request("工资晚发怎么办", 0.0, seed) for seed in (1, 2))))
    assert greedy[0].text == greedy[1].text
    assert all(answer.completion_tokens <= 12 and answer.finish_reason in ("stop", "length") for answer in greedy)
    assert greedy[0].prompt_tokens > 7 and greedy[0].latency_s > 0
    with pytest.raises(EngineError, match="max_model_len is 512") as caught:
        asyncio.run(all_of(request("工资晚发怎么办", 0.0, 1, max_tokens=600)))
    assert caught.value.kind == "context_length"


@pytest.mark.slow
def test_the_seed_canary_finds_that_this_process_heeds_seeds(tiny_model: Path, tmp_path: Path) -> None:
    config = EvalConfig(max_model_len=512)
    (group,) = in_process_groups(None, tiny_model, config)
    answered = ask(group, {"tuned": canary_requests(config)}, tmp_path, config)["tuned"]
    assert len(set(answered.details["seed_canary"]["outputs"])) > 1
