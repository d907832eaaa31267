"""A small dataset of all three tasks, and a local endpoint whose answers a test decides."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from evals.config import EvalConfig
from evals.plan import build_requests, choose_items, choose_shots
from evals.records import Item
from evals.runner.canary import PROMPT
from tianjing.dataset import read_examples, write_examples
from tianjing.lineage import artefact
from tianjing.records import Example
from tianjing.tasks import TASKS, conversation

DOCUMENTS = ("还款安排管理办法", "投诉处理管理办法", "息费披露管理办法")
RULES = [
    {"id": "Q01", "title": "威胁恐吓"},
    {"id": "Q02", "title": "联系第三人泄露欠款"},
    {"id": "Q05", "title": "诱导以贷还贷"},
]
SAYINGS = {
    "Q01": "再不还我们就上门找你全家",
    "Q02": "我已经跟你单位同事说了你欠钱",
    "Q05": "你先去别处借一笔把这期还上",
    "none": "您看本月能先还多少",
}
REPLIES = {
    "offer_deferral": ("我刚失业3个月，真没收入", "您的情况可以申请延期还款，我帮您登记"),
    "request_proof": ("我住院了，一直在医院", "请您提供诊断书等材料，我们帮您审核"),
    "confirm_date": ("工资晚发了几天", "那您具体几号还，我这边登记日期"),
}


def make_example(task: str, number: int, split: str) -> Example:
    """Row `number` of a task; two rows share a customer."""
    rng = random.Random(f"{task}{number}{split}")
    if task == "policy_qa":
        clauses = [
            {
                "id": f"c{i}",
                "label": f"《{DOCUMENTS[i % 3]}》第{'一二三四五六'[i]}条",
                "text": f"客户逾期{i + 2}期的，经审核可以办理第{i}类安排，最长不超过{i + 10}天。",
            }
            for i in rng.sample(range(6), 3)
        ]
        right = rng.choice(clauses)
        fields: dict[str, Any] = {"question": f"逾期{rng.randint(2, 7)}期可以怎么办（{number}）？", "clauses": clauses}
        reference: dict[str, Any] = {"clause_id": right["id"], "clause_label": right["label"], "quote": right["text"]}
    elif task == "quality_inspection":
        rule = list(SAYINGS)[number % 4]
        fields = {"rules": RULES, "customer": f"我现在没钱，还差{number}天发工资", "agent": SAYINGS[rule]}
        title = next((item["title"] for item in RULES if item["id"] == rule), "")
        reference = {
            "title": title,
            "rule": rule,
            "evidence": SAYINGS[rule] if rule != "none" else "",
            "rewrite": "请您尽快安排还款",
        }
    else:
        act = list(REPLIES)[number % 3]
        told, reply = REPLIES[act]
        fields = {
            "turns": [
                {"speaker": "agent", "text": f"您好，这里是晨舟，工号{number}"},
                {"speaker": "customer", "text": told},
            ]
        }
        reference = {"situation": "失业", "act": act, "reply": reply}
    return Example(
        id=f"{task}-{split}-{number:03d}",
        task=task,
        group=f"{split}-customer-{number // 2}",
        split=split,
        messages=conversation(TASKS[task], fields, reference),
        fields=fields,
        reference=reference,
    )


TASK_IDS = ("policy_qa", "quality_inspection", "next_reply")


@pytest.fixture
def examples() -> Callable[[str, int], list[Example]]:
    return lambda split, count: [make_example(task, number, split) for task in TASK_IDS for number in range(count)]


@pytest.fixture
def config() -> EvalConfig:
    return EvalConfig(items=24, stability_items=6, bootstrap=200, format_only_draws=10, concurrency=4, tries=2)


@pytest.fixture
def dataset(tmp_path: Path, examples: Callable[[str, int], list[Example]]) -> Path:
    with artefact(tmp_path / "dataset", kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples("train", 24))
        write_examples(work.dir / "test.parquet", examples("test", 40))
    return tmp_path / "dataset"


@dataclass
class Endpoint:
    """A local OpenAI-compatible server. `reply(payload)` gives a text, or an HTTP status to fail with."""

    reply: Callable[[dict[str, Any]], str | int]
    base_url: str = ""
    payloads: list[dict[str, Any]] = field(default_factory=list)
    models: list[str] | None = None
    """What it says that it serves; None has no such list."""
    cards: dict[str, dict[str, str]] = field(default_factory=dict)
    """What it says of the models it serves, beyond their names."""
    served: Callable[[dict[str, Any]], str | None] = lambda payload: payload["model"]
    """Name under which it answers; None leaves it out."""
    refusal: str = "no"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint(reply=lambda payload: "ok")

    async def chat(request: web.Request) -> web.Response:
        payload = await request.json()
        state.payloads.append(payload)
        answer = state.reply(payload)
        if isinstance(answer, int):
            return web.json_response({"error": {"message": state.refusal}}, status=answer)
        message = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": len(answer)}
        return web.json_response({"model": state.served(payload), "choices": [message], "usage": usage})

    async def models(request: web.Request) -> web.Response:
        if state.models is None:
            return web.json_response({"error": {"message": "no"}}, status=404)
        return web.json_response({"data": [{"id": name, **state.cards.get(name, {})} for name in state.models]})

    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        state.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def run() -> None:
        runner = loop.run_until_complete(serve())
        loop.call_soon(started.set)  # a stop before `run_forever` would be lost
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)
    yield state
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@dataclass
class World:
    """Dataset, two model folders and an endpoint that answers as models of a given skill would."""

    dataset: Path
    base: Path
    tuned: Path
    adapter: Path
    out: Path
    config: EvalConfig
    endpoint: Endpoint
    skill: dict[str, float]
    engines: list[Path]
    engine_lives: bool = True

    def answers_others(self, text: str) -> None:
        """Have prompts of no test item (variants, probes) answered with `text`, each with its seed's number behind."""
        answer = self.endpoint.reply

        def reply(payload: dict[str, Any]) -> str | int:
            try:
                return answer(payload)
            except KeyError:
                return f"{text}{payload['seed'] % 97}"

        self.endpoint.reply = reply


@pytest.fixture
def world(
    tmp_path: Path, dataset: Path, config: EvalConfig, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> World:
    for name in ("base", "adapter"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_text(name)
        (tmp_path / name / "config.json").write_text("{}")
    with artefact(tmp_path / "merged", kind="merged", inputs=[tmp_path / "adapter", tmp_path / "base"]) as work:
        (work.dir / "weights.bin").write_text("merged")
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the command sets it for its process; undone after the test
    world = World(
        dataset, tmp_path / "base", tmp_path / "merged", tmp_path / "adapter", tmp_path / "evals", config, endpoint,
        {"base": 0.3, "merged": 0.85}, [],
    )  # fmt: skip
    serving = SimpleNamespace(model="")

    class LocalEngine:
        """Stands where vLLM would: these tests are about what evals does with answers, not about vLLM."""

        def __init__(self, engine_config: Any, log_path: Path, on_progress: Any = None):
            self.config, self.api_key, self.version, self.base_url = engine_config, "k", "test", endpoint.base_url
            self.log_path = log_path

        def alive(self) -> bool:
            return world.engine_lives

        def __enter__(self) -> LocalEngine:
            serving.model = self.config.model.name
            world.engines.append(self.config.model)
            return self

        def __exit__(self, *error: Any) -> None:
            serving.model = ""

    monkeypatch.setattr("evals.arms.local.Engine", LocalEngine)
    items = {item.id: item for item in choose_items(read_examples(dataset / "test.parquet"), config, TASKS)}
    shots = choose_shots(read_examples(dataset / "train.parquet"), config)
    asked = {
        json.dumps([[m.role, m.content] for m in request.messages]): items[request.item]
        for examples in (shots, {})
        for request in build_requests(list(items.values()), examples, config, TASKS)
    }

    def reply(payload: dict[str, Any]) -> str:
        if payload["messages"][-1]["content"] == PROMPT:
            return f"故事{payload['seed']}"
        item = asked[json.dumps([[m["role"], m["content"]] for m in payload["messages"]])]
        return answer_as(item, world.skill[serving.model], payload["seed"] if payload["temperature"] else 0)

    endpoint.reply = reply
    return world


def answer_as(item: Item, skill: float, seed: int) -> str:
    """Right with chance `skill`: mostly a matter of the item, a little of the seed."""
    task = TASKS[item.task]
    luck = 0.8 * random.Random(item.id).random() + 0.2 * random.Random(f"{item.id}{seed}").random()
    if luck < skill:
        return task.target(item.reference) + "。" * (seed % 3)
    if luck > 0.97:
        return "……"
    wrong = {"policy_qa": "无依据", "quality_inspection": '{"rule":"none"}', "next_reply": "请您尽快全额还清"}[
        item.task
    ]
    return wrong + "。" * (seed % 3)
