"""An endpoint that a teacher is asked at, and that does wrong on purpose; with clauses and drafts to ask about."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from data_recipes.tasks.draft import Draft
from data_recipes.teacher.config import TeacherConfig
from data_recipes.teacher.writing import Taught, teach
from tianjing.config import parse
from tianjing.rulebook import PhraseMatcher, Rulebook

# clause, derived question, the question as a customer asks it, the answer as an agent gives it
MATERIAL = (
    (
        "延期还款每次最长30日，同一笔借款12个月内不得超过2次。",
        "延期还款每次最长多少日？",
        "我想延期还，一回给延多少天啊",
        "延期还款每次最长30天，同一笔借款12个月内不能超过2次。",
    ),
    (
        "客户申请延期的，应当提交离职证明。",
        "客户申请延期是不是必须提交离职证明？",
        "我要办延期，离职证明非得交吗",
        "您申请延期的，需要提交离职证明。",
    ),
    (
        "坐席不得向第三人透露客户的欠款情况。",
        "坐席能不能向第三人透露客户的欠款情况？",
        "你们会把我欠款的事讲给第三人听吗",
        "我们坐席不能向第三人透露您的欠款情况。",
    ),
    (
        "客户有权要求查阅全部还款记录。",
        "客户有没有权利要求查阅全部还款记录？",
        "我的还款记录全部调出来看看行不行",
        "您可以要求查阅全部还款记录。",
    ),
    (
        "分期还款每期应还金额不得低于200元。",
        "分期还款每期应还金额不得低于多少元？",
        "分期的话每一期最少还多少钱呢",
        "分期还款每期应还金额不能低于200元。",
    ),
    (
        "投诉自受理之日起15日内作出处理决定。",
        "投诉自受理之日起多少日内作出处理决定？",
        "投诉受理了以后几天给我处理决定",
        "您的投诉自受理之日起15天内作出处理决定。",
    ),
)
BY_CLAUSE = {clause: (spoken, answer) for clause, _, spoken, answer in MATERIAL}
FAST: dict[str, Any] = {"model": "m", "backoff_s": 0.01, "timeout_s": 5, "sends": 3, "max_rejected_share": 1.0}


def drafts(split: Any = "train") -> list[Draft]:
    found = []
    for number, (clause, question, _, _) in enumerate(MATERIAL):
        label = f"《还款办法》第{'一二三四五六'[number]}条"
        shown = [
            {"id": f"c{number}", "label": label, "text": clause},
            {"id": "other", "label": "《他法》第一条", "text": "与此无关的另一条规定。"},
        ]
        found.append(
            Draft(
                id=f"policy_qa:{number}",
                task="policy_qa",
                group="还款办法",
                split=split,
                fields={"question": question, "clauses": shown},
                reference={"clause_id": f"c{number}", "clause_label": label, "quote": clause},
                informative=question,
                stratum="还款办法",
                sources=(f"rules.md@{number}",),
                clause_ids=(f"c{number}",),
                origin="derived",
            )
        )
    return found


@functools.cache
def agent_rules() -> PhraseMatcher:
    return Rulebook.load().matcher("agent")


@dataclass
class Reply:
    """What the fault injector does with one request."""

    text: str = ""
    finish_reason: str = "stop"
    status: int = 200
    delay_s: float = 0
    raw: str | None = None


class FaultInjector:
    """An endpoint that answers as `behave` says, which is told how often this very request came: no model at all."""

    def __init__(self) -> None:
        self.behave: Callable[[dict[str, Any], int], Reply] = lambda body, count: honest(body)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.seen: Counter[str] = Counter()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/v1"

    async def _answer(self, http: web.Request) -> web.Response:
        body = await http.json()
        self.requests.append(body)
        self.keys.append(http.headers.get("Authorization", ""))
        key = json.dumps(body, sort_keys=True)
        self.seen[key] += 1
        reply = self.behave(body, self.seen[key])
        await asyncio.sleep(reply.delay_s)
        if reply.raw is not None:
            return web.Response(text=reply.raw, status=reply.status)
        if reply.status != 200:
            return web.json_response({"error": {"message": "broken on purpose"}}, status=reply.status)
        choice = {"message": {"content": reply.text}, "finish_reason": reply.finish_reason}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def clause_of(body: dict[str, Any]) -> str:
    found = re.search(r"<<<\n(.*?)\n>>>", body["messages"][-1]["content"], re.DOTALL)
    assert found
    return found[1]


def honest(body: dict[str, Any], **changed: str) -> Reply:
    """The hand-written wording of the clause in the prompt."""
    clause = clause_of(body)
    field = body["response_format"]["json_schema"]["schema"]["required"][0]
    spoken, answer = BY_CLAUSE[clause]
    value = {field: answer if field == "answer" else spoken, "quote": clause, **changed}
    return Reply(json.dumps(value, ensure_ascii=False))


def run(
    endpoint: FaultInjector | str, folder: Path, rows: list[Draft] | None = None, finds: bool = True, **settings: Any
) -> Taught:
    url = endpoint if isinstance(endpoint, str) else endpoint.url
    config = parse(TeacherConfig, {**FAST, "base_url": url, **settings}, "teacher")
    return teach(rows or drafts(), config, folder / "answers.jsonl", lambda question, draft: finds, agent_rules())


def new_rows(taught: Taught) -> list[Draft]:
    return [row for row in taught.rows if row.origin == "teacher"]
