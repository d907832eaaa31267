"""The seed canary before the repeats: servers that ignore seeds, and models that are certain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.arms import Endpoint as EndpointArms
from evals.arms import endpoint_group
from evals.ask import ask
from evals.errors import EvalError
from evals.plan import build_requests, choose_items
from evals.run import evaluate, evaluate_endpoint, rescore
from evals.runner.canary import PROMPT, REPEATS
from tests.evals.conftest import World
from tianjing.dataset import read_examples
from tianjing.tasks import TASKS


def run(world: World) -> dict[str, Any]:
    return evaluate(world.dataset, world.base, world.tuned, world.out, world.config)


def is_canary(payload: dict[str, Any]) -> bool:
    return bool(payload["messages"][-1]["content"] == PROMPT)


def certain(world: World, canary: Any) -> None:
    """Models whose repeats are copies; `canary(payload)` answers the open prompt."""
    answer = world.endpoint.reply
    world.endpoint.reply = lambda payload: canary(payload) if is_canary(payload) else answer({**payload, "seed": 0})


def test_a_server_that_ignores_seeds_is_found_before_any_item_is_asked(world: World) -> None:
    answer = world.endpoint.reply
    certain(world, lambda payload: "从前有座山")
    with pytest.raises(EvalError, match="byte-identical at temperature 1: the server seems to ignore the seed"):
        run(world)
    assert len(world.endpoint.payloads) == REPEATS and all(map(is_canary, world.endpoint.payloads))
    assert len({payload["seed"] for payload in world.endpoint.payloads}) == REPEATS
    world.endpoint.reply = answer
    assert run(world)["error_rate"] == 0, "once it is mended the same command goes on"


def test_a_model_that_is_certain_of_its_answers_is_evaluated(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    certain(world, lambda payload: f"从前有座山，山里有{payload['seed']}座庙")
    summary = run(world)
    assert summary["error_rate"] == 0 and summary["requests"] == 396, "the canary is no request of the plan"
    assert all(task["stability"]["tuned"]["agreement"] == 1 for task in summary["tasks"].values())
    for details in summary["arms"].values():
        assert len(set(details["seed_canary"]["outputs"])) == REPEATS and details["copied_repeats"] > 1
    assert "the model is this certain" in capsys.readouterr().err
    again, same = rescore(world.out, None, None, None)
    assert same and again == summary


@pytest.mark.parametrize("answer", [500, "", "  "])
def test_a_canary_that_tells_nothing_costs_no_answer(
    world: World, answer: str | int, capsys: pytest.CaptureFixture[str]
) -> None:
    certain(world, lambda payload: answer)
    summary = run(world)
    assert summary["error_rate"] == 0
    assert summary["arms"]["base"]["seed_canary"]["outputs"] == []
    assert "the gate will find it invalid" in capsys.readouterr().err


def test_without_sampled_requests_there_is_no_canary(world: World) -> None:
    world.config = world.config.model_copy(update={"stability_items": 0})
    summary = run(world)
    assert not any(map(is_canary, world.endpoint.payloads)) and "seed_canary" not in summary["arms"]["tuned"]


def test_a_run_from_the_cache_keeps_the_canary_of_the_run_that_asked(world: World, tmp_path: Path) -> None:
    world.config = world.config.model_copy(update={"cache": tmp_path / "cached"})
    certain(world, lambda payload: f"从前有座山，山里有{payload['seed']}座庙")
    first = run(world)
    world.endpoint.payloads.clear()
    second = evaluate(world.dataset, world.base, world.tuned, tmp_path / "again", world.config)
    assert world.endpoint.payloads == []
    for arm in ("base", "tuned"):
        assert second["arms"][arm]["seed_canary"] == first["arms"][arm]["seed_canary"]


def test_an_arm_without_any_answer_is_no_evaluation(world: World) -> None:
    world.config = world.config.model_copy(update={"items": 2, "stability_items": 0})
    world.endpoint.reply, world.endpoint.refusal = (lambda payload: 400), "Unrecognized argument: top_k"
    with pytest.raises(EvalError, match=r"none of the 6 requests was answered.*top_k") as caught:
        run(world)
    assert "parameters: openai" in caught.value.remedy and not world.out.exists()


def test_rows_that_cannot_be_read_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.runner.pool.with_reasoning", lambda completion: 5)
    with pytest.raises(EvalError, match=r"198 of 198 requests have no row that can be read, e\.g\. next_reply-test"):
        run(world)


def named(world: World, cards: dict[str, dict[str, str]], **names: str) -> Any:
    """The arms of an endpoint that lists these models."""
    world.endpoint.models, world.endpoint.cards = list(cards), cards
    return endpoint_group(EndpointArms(world.endpoint.base_url, names, "k"), world.config)  # type: ignore[arg-type]


def test_names_of_one_model_are_known_from_the_list_of_models(world: World) -> None:
    cards = {
        "qwen": {"root": "/models/qwen"},
        "qwen-chat": {"root": "/models/qwen"},
        "collection": {"root": "/adapters/v3", "parent": "qwen"},
        "bare": {"root": "qwen", "parent": "qwen"},
        "other": {},
    }
    group = named(world, cards, base="qwen-chat", tuned="collection")
    assert group.specs["base"].aliases == {"qwen", "/models/qwen"}
    assert group.specs["tuned"].aliases == {"/adapters/v3"}
    assert named(world, cards, tuned="bare").specs["tuned"].aliases == set(), "an adapter is not the model under it"
    world.config = world.config.model_copy(update={"served_as": {"other": ("hosted-other",)}})
    assert named(world, cards, tuned="other").specs["tuned"].aliases == {"hosted-other"}


def test_an_endpoint_that_answers_as_the_base_for_both_is_no_comparison(world: World) -> None:
    world.endpoint.models = ["base", "merged"]
    world.endpoint.served = lambda payload: "base"
    arms = EndpointArms(world.endpoint.base_url, {"base": "base", "tuned": "merged"}, "k")
    world.skill[""] = 0.5
    with pytest.raises(EvalError, match="'merged' was asked, and 'base' answered"):
        evaluate_endpoint(world.dataset, arms, world.out, world.config)
    assert not world.out.exists()


def test_a_dated_name_is_in_the_evidence(world: World) -> None:
    world.endpoint.models = ["merged"]
    world.endpoint.served = lambda payload: "merged-2024-08-06"
    world.skill[""] = 0.5
    group = endpoint_group(EndpointArms(world.endpoint.base_url, {"tuned": "merged"}, "k"), world.config)
    items = choose_items(read_examples(world.dataset / "test.parquet"), world.config, TASKS)
    answered = ask(group, {"tuned": build_requests(items, {}, world.config, TASKS)}, world.out, world.config)["tuned"]
    assert {attempt.served for attempt in answered.attempts} == {"merged-2024-08-06"}
    assert answered.details["served_as"] == ["merged-2024-08-06"] and json.dumps(answered.details)
