"""Arms on an endpoint, one arm alone, an adapter beside its base, bad material, and a real kill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.arms import ArmSpec, Group, Serving, endpoint_group, read_endpoint, vllm_groups
from evals.arms import Endpoint as EndpointArms
from evals.ask import ask
from evals.config import EvalConfig, Prices
from evals.errors import EvalError
from evals.material import read_material
from evals.performance import performance
from evals.plan import build_requests, choose_items
from evals.records import RawAttempt, Request
from evals.run import evaluate, evaluate_endpoint
from evals.runner.canary import REPEATS
from tests.evals.conftest import World, make_example
from tianjing.dataset import read_examples, write_examples
from tianjing.engine import ChatRequest, Completion, free_port
from tianjing.errors import TianjingError
from tianjing.files import read_jsonl
from tianjing.lineage import artefact, artefact_digest
from tianjing.records import Example, Message
from tianjing.tasks import TASKS

TIMES = {"created", "seconds", "latency_s", "latency_p50_s", "latency_p95_s"}


def served(world: World, **more: Any) -> EndpointArms:
    return EndpointArms(world.endpoint.base_url, {"base": "base", "tuned": "merged"}, "k", **more)


def by_model(world: World) -> None:
    """The endpoint answers as the model that a request names; the fixture's own engine, not started, is named ""."""
    answer = world.endpoint.reply

    def reply(payload: dict[str, Any]) -> str | int:
        world.skill[""] = world.skill[payload["model"]]
        return answer(payload)

    world.endpoint.reply = reply


def test_both_arms_of_an_endpoint_are_asked_in_turn(world: World) -> None:
    by_model(world)
    world.endpoint.models = ["base", "merged"]
    summary = evaluate_endpoint(world.dataset, served(world, adapter=world.adapter), world.out, world.config)
    assert summary["requests"] == 2 * (3 * 24 + 3 * 6 * 7)
    models = [payload["model"] for payload in world.endpoint.payloads]
    assert models.count("base") == models.count("merged") == len(models) / 2
    lead = [models[:end].count("base") - models[:end].count("merged") for end in range(len(models))]
    assert max(map(abs, lead)) <= 2 * world.config.concurrency, "the same load for both"
    assert all(task["ci_low"] > 0 for task in summary["tasks"].values()), "answers went to their own arm"
    run = json.loads((world.out / "run.json").read_text())
    assert run["arms"]["tuned"]["adapter"] == artefact_digest(world.adapter)
    assert run["arms"]["tuned"]["unknown"] == ["weights", "chat template", "server version"]
    assert run["arms"]["base"]["digest"] != run["arms"]["tuned"]["digest"]


def test_an_endpoint_is_looked_at_before_it_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.endpoint.models = ["qwen3-8b"]
    with pytest.raises(EvalError, match=r"serves no model 'base'\n.*it serves: qwen3-8b"):
        endpoint_group(served(world), world.config)
    began = time.monotonic()
    with pytest.raises(EvalError, match="no endpoint answers at"):
        endpoint_group(EndpointArms(f"http://127.0.0.1:{free_port()}/v1", {"tuned": "m"}), world.config)
    assert time.monotonic() - began < 3, "at once, not after the retries of every request"
    with pytest.raises(EvalError, match="not an address"):
        endpoint_group(EndpointArms("localhost:8000/v1", {"tuned": "m"}), world.config)
    with pytest.raises(EvalError, match="EVAL_KEY: the variable is not set"):
        read_endpoint("http://h/v1", None, "m", "EVAL_KEY", None)
    monkeypatch.setenv("EVAL_KEY", "secret")
    assert read_endpoint("http://h/v1", None, "m", "EVAL_KEY", None).api_key == "secret"


def test_a_password_in_the_address_stays_out_of_the_evidence() -> None:
    endpoint = EndpointArms("https://user:hunter2@models.example/v1", {"tuned": "m"})
    assert endpoint.shown == "https://models.example/v1" and not endpoint.is_local
    assert EndpointArms("http://localhost:8000/v1", {}).is_local and EndpointArms("http://[::1]:8000/v1", {}).is_local


def test_one_arm_alone_is_asked(world: World) -> None:
    (group,) = vllm_groups(None, world.tuned, world.config)
    items = choose_items(read_examples(world.dataset / "test.parquet"), world.config, TASKS)
    answered = ask(group, {"tuned": build_requests(items, {}, world.config, TASKS)}, world.out, world.config)
    assert list(answered) == ["tuned"] and len(answered["tuned"].attempts) == len(items) + 18 * 7
    assert {attempt.arm for attempt in answered["tuned"].attempts} == {"tuned"}
    with pytest.raises(EvalError, match="no model to evaluate"):
        vllm_groups(None, None, world.config)


def test_the_chat_template_of_each_arm_is_known(world: World) -> None:
    (world.base / "chat_template.jinja").write_text("{{ messages }}")
    (world.tuned / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (world.adapter / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": "nowhere"}))

    def templates(tuned: Path) -> set[str]:
        groups = vllm_groups(world.base, tuned, world.config)
        return {spec.facts["chat_template"] for group in groups for spec in group.specs.values()}

    assert len(templates(world.tuned)) == 1, "one text, wherever it stands"
    assert len(templates(world.adapter)) == 1, "an adapter is asked by the template of its base"
    (world.tuned / "chat_template.jinja").write_text("{{ messages | trim }}")
    assert len(templates(world.tuned)) == 2


def test_an_adapter_shares_the_engine_of_its_base(world: World) -> None:
    (world.adapter / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": "nowhere"}))
    groups = vllm_groups(world.base, world.adapter, world.config)
    assert [list(group.specs) for group in groups] == [["base", "tuned"]]
    items = choose_items(read_examples(world.dataset / "test.parquet"), world.config, TASKS)
    plans: Any = {arm: build_requests(items, {}, world.config, TASKS) for arm in ("base", "tuned")}
    ask(groups[0], plans, world.out, world.config)
    assert {payload["model"] for payload in world.endpoint.payloads} == {"tianjing", "adapter"}
    assert len(world.engines) == 1


class Counted(Group):
    """A model that answers after a moment and counts how many requests are with it."""

    def __init__(self) -> None:
        super().__init__({"tuned": ArmSpec("m", "m", "digest", "server")})
        self.in_flight = 0
        self.most: dict[int, int] = defaultdict(int)
        self.widest = 0

    async def chat(self, request: ChatRequest) -> Completion:
        self.in_flight += 1
        width = (request.seed or 0) // 1000
        self.most[width] = max(self.most[width], self.in_flight)
        await asyncio.sleep(0.001)
        self.in_flight -= 1
        return Completion("ok", "stop", 1, 1, 0.001)

    @contextlib.contextmanager
    def serve(self, folder: Path, say: Callable[[str], None], widest: int) -> Iterator[Serving]:
        self.widest = widest
        yield Serving(contextlib.nullcontext(self))


def test_requests_that_demand_a_concurrency_are_asked_apart(tmp_path: Path) -> None:
    message = Message(role="user", content="问")

    requests = [
        Request(f"i{n}", "t", f"concurrent{width}", 0, (message,), 4, 0.0, 1.0, 1000 * width + n, width or None)
        for n in range(40)
        for width in (32, 0, 1, 8)
    ]
    group = Counted()
    answered = ask(group, {"tuned": requests}, tmp_path, EvalConfig(concurrency=4))["tuned"].attempts
    assert len(answered) == 160
    assert dict(group.most) == {0: 4, 1: 1, 8: 8, 32: 32}, "each with its own number in flight, and nothing beside it"
    assert group.widest == 32, "the engine has room for the widest"
    rows = list(read_jsonl(tmp_path / "attempts-tuned.jsonl", RawAttempt))
    assert [row.concurrency for row in rows] == [None] * 40 + [1] * 40 + [8] * 40 + [32] * 40


def test_the_cache_answers_a_second_run(world: World, tmp_path: Path) -> None:
    config = world.config.model_copy(update={"cache": tmp_path / "cached"})
    first = evaluate(world.dataset, world.base, world.tuned, world.out, config)
    world.endpoint.payloads.clear()
    world.engines.clear()
    second = evaluate(world.dataset, world.base, world.tuned, tmp_path / "again", config)
    assert world.endpoint.payloads == [] and world.engines == [], "nothing to ask needs no engine"
    assert second["tasks"] == first["tasks"]
    assert second["performance"]["base"]["reused"] == second["performance"]["base"]["requests"]


def test_without_a_cache_everything_is_asked_anew(world: World, tmp_path: Path) -> None:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    asked = len(world.endpoint.payloads)
    evaluate(world.dataset, world.base, world.tuned, tmp_path / "again", world.config)
    assert len(world.endpoint.payloads) == 2 * asked


def test_a_run_killed_with_sigkill_ends_as_if_left_in_peace(world: World, tmp_path: Path) -> None:
    world.endpoint.models = ["base", "merged"]
    by_model(world)
    whole = evaluate_endpoint(world.dataset, served(world), tmp_path / "whole", world.config)
    world.endpoint.payloads.clear()
    code = (
        "import sys; from pathlib import Path; from evals.arms import Endpoint; from evals.config import EvalConfig; "
        "from evals.run import evaluate_endpoint; "
        "evaluate_endpoint(Path(sys.argv[1]), Endpoint(sys.argv[2], {'base': 'base', 'tuned': 'merged'}, 'k'), "
        "Path(sys.argv[3]), EvalConfig.model_validate_json(sys.argv[4]))"
    )
    arguments = [str(world.dataset), world.endpoint.base_url, str(world.out), world.config.model_dump_json()]
    child = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(world.endpoint.payloads) < 100 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL and not world.out.exists()
    sent = len(world.endpoint.payloads)
    assert 100 <= sent < whole["requests"]
    resumed = evaluate_endpoint(world.dataset, served(world), world.out, world.config)
    planned = whole["requests"] + 2 * REPEATS
    assert len(world.endpoint.payloads) <= planned + world.config.concurrency, "only what was in flight again"
    assert without_times(resumed) == without_times(whole)


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(entry) for key, entry in value.items() if key not in TIMES}
    return [without_times(entry) for entry in value] if isinstance(value, list) else value


def test_a_thought_without_an_answer_counts_as_truncated(world: World) -> None:
    world.endpoint.reply = lambda payload: f"<think>让我想想{payload['seed']}"
    summary = evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    for task in summary["tasks"].values():
        assert task["rules"]["tuned"] == {"truncated_thought": 24}, "never guessed from the thought"


def test_failures_are_said_in_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = world.endpoint.reply
    world.endpoint.reply = lambda payload: 400 if payload["seed"] % 2 else answer(payload)
    summary = evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    said = [line for line in capsys.readouterr().err.splitlines() if "requests failed" in line]
    failed = summary["performance"]["base"]["failed"]["refused"]
    assert said[0].startswith(
        f"base: {failed} of 198 requests failed (refused {failed}) and count as wrong; the first: "
    )


def write(dataset: Path, rows: list[Example], examples: Callable[[str, int], list[Example]]) -> Path:
    with artefact(dataset, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples("train", 6))
        write_examples(work.dir / "test.parquet", rows)
    return dataset


def test_two_rows_of_one_id_are_named(tmp_path: Path, examples: Callable[[str, int], list[Example]]) -> None:
    rows = [*examples("test", 4), make_example("next_reply", 1, "test")]
    with pytest.raises(EvalError, match=r"test rows 10 and 13: both have the id 'next_reply-test-001'"):
        read_material(write(tmp_path / "d", rows, examples))


@pytest.mark.parametrize("reference", [{}, {"situation": "失业"}])
def test_a_row_without_gold_is_named(
    tmp_path: Path, examples: Callable[[str, int], list[Example]], reference: dict[str, Any]
) -> None:
    rows = examples("test", 4)
    rows[9] = rows[9].model_copy(update={"reference": reference})
    with pytest.raises(TianjingError, match=r"test row 10 \('next_reply-test-001', task next_reply\): no gold"):
        read_material(write(tmp_path / "d", rows, examples))


def test_dataset_and_suites_are_read_together(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "question,A,B,answer\n逾期会影响征信吗？,会,不会,A\n还款日可以变更吗？,可以,不可以,A\n", "utf-8"
    )
    (tmp_path / "own.yaml").write_text(
        "id: own\ntitle: 自编\nkind: single_choice\nheld_out: 1\ndata: own.csv\nlicence: own\n", "utf-8"
    )
    suite, both = read_material(None, [tmp_path / "own.yaml"]), read_material(dataset, [tmp_path / "own.yaml"])
    assert len(both.test) == 120 + len(suite.test) and "own" in both.tasks and "next_reply" in both.tasks
    assert both.digest not in (suite.digest, read_material(dataset).digest)
    with pytest.raises(EvalError, match="nothing to ask"):
        read_material(None)


def test_cost_and_latency_are_of_what_this_run_asked() -> None:
    def attempt(number: int, **more: Any) -> RawAttempt:
        values = {"prompt_tokens": 1000, "output_tokens": 100, "latency_s": 1.0 + number, **more}
        return RawAttempt(
            key=str(number), item="i", task="t", arm="tuned", condition="greedy", repeat=0, prompt="p", seed=1,
            temperature=0.0, **values,
        )  # fmt: skip

    rows = [
        attempt(0, cached_tokens=600, first_token_s=0.25),
        attempt(1),
        attempt(2, reused=True, latency_s=50),
        attempt(3, prompt_tokens=0, output_tokens=0, error="no", error_kind="timeout", tries=2),
    ]
    prices = Prices(prompt=2.0, cached_prompt=0.5, output=8.0)
    figures = performance(rows, prices)["tuned"]
    assert figures["cost"]["total"] == pytest.approx((400 * 2 + 600 * 0.5 + 800 + 2000 + 800) / 1e6)
    assert figures["latency_s"] == {"mean": 1.5, "p50": 1.0, "p95": 2.0, "p99": 2.0}
    assert figures["first_token_s"]["p50"] == 0.25
    assert (figures["reused"], figures["failed"], figures["sent_again"]) == (1, {"timeout": 1}, 1)
    assert "cost" not in performance(rows, None)["tuned"]
    assert EvalConfig(prices=prices).prices == prices


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tuned", "m", "--api-key-env", "KEY"], "--api-key-env belongs to --endpoint"),
        (["--tuned", "m", "--adapter", "x"], "--adapter belongs to --endpoint"),
        (["--tuned", "m", "--endpoint", "http://h/v1", "--in-process"], "exclude each other"),
        (["--endpoint", "http://h/v1"], "no model to evaluate"),
        ([], "no model to evaluate"),
    ],
)
def test_options_that_do_not_go_together_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    from evals.cli import app

    result = CliRunner().invoke(app, ["run", str(tmp_path), "--out", str(tmp_path / "out"), *words])
    assert isinstance(result.exception, EvalError) and said in str(result.exception)
