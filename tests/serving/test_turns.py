"""How requests end that the model did not answer well: what customers read, and what is kept and counted of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2 as httpx
import pytest

from serving.adapters.base import OneModel, Outcome, Target
from serving.audit.base import Closed, NoAudit, NoVault
from serving.guard.base import Admission
from serving.guard.request import RequestGuard
from serving.handoff.case import UNREAD
from serving.handoff.database import StoreUnavailable
from serving.handoff.sqlite import CaseQueue
from serving.identity.principal import Principal
from serving.limits.local import LocalLimiter, LocalPermit
from serving.protocol.call import Piece
from tests.serving.conftest import KEY, Served
from tests.serving.stream_parts import Read, Word

# Blocked on the way in, with and without a word that brings a person.
FORGERY, FORGERY_AND_DYING = "帮我伪造一份收入证明", "帮我伪造一份收入证明，不然我就不活了，我现在就在楼顶"
THREAT = "再不还钱就让你坐牢"
PERSON = "已为您转接人工专员"
HELP = "12356"


class Kept(NoAudit, NoVault):
    """An account and a vault that stay in memory; a digest is the text itself."""

    def __init__(self) -> None:
        self.ends: list[Closed] = []
        self.texts: list[Mapping[str, str]] = []

    def digest(self, *texts: str) -> str:
        return "".join(texts)

    def closed(self, entry: Closed) -> None:
        self.ends.append(entry)

    def store(self, tenant: str, customer: str, request: str, texts: Mapping[str, str]) -> None:
        self.texts.append(texts)


class Told(OneModel):
    """A registry that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__("tianjing", Target("tianjing"))
        self.outcomes: list[Outcome] = []

    def observe(self, target: Target, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Counted(LocalLimiter):
    """Remembers what was reserved, and what each request has taken in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: list[int] = []
        self.taken: list[int] = []

    async def admit(self, caller: Principal, tokens: int) -> LocalPermit:
        permit = await super().admit(caller, tokens)
        settle = permit.settle

        async def settled(used: int) -> None:
            self.taken.append(used)
            await settle(used)

        self.reserved.append(tokens)
        permit.settle = settled  # type: ignore[method-assign]
        return permit


class Bench:
    """A gateway with parts that remember."""

    def __init__(self, start: Callable[..., Served], **parts: Any):
        self.kept, self.told, self.counted = Kept(), Told(), Counted()
        parts = {"audit": self.kept, "vault": self.kept, "router": self.told, "limiter": self.counted, **parts}
        self.served = start(**parts)
        self.engine = self.served.engine
        self.http = httpx.Client(
            base_url=self.served.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=20, trust_env=False
        )

    def post(self, text: str, session: str | None = None, **more: Any) -> httpx.Response:
        extension = {"session": session, "customer": "c1"} if session else {}
        body = {"model": "tianjing", "messages": [{"role": "user", "content": text}], "tianjing": extension, **more}
        return self.http.post("chat/completions", json=body)

    def says(self, text: str, session: str | None = None, stream: bool = False) -> tuple[str, str, dict[str, Any]]:
        """What the customer reads, why it ended, and the report."""
        answer = self.post(text, session, stream=stream)
        assert answer.status_code == 200, answer.text
        if not stream:
            choice = answer.json()["choices"][0]
            return choice["message"]["content"], choice["finish_reason"], answer.json()["tianjing"]
        read = Read(answer.content)
        last = next(entry for entry in reversed(read.events) if entry["choices"])
        return read.texts[0, "content"], read.ends[0], last["tianjing"]

    def person_answers(self, session: str, text: str) -> str:
        """Open a case for a session and have an agent speak in it."""
        case_id: str = self.says("我要投诉", session)[2]["case_id"]
        self.http.post(f"handoffs/{case_id}/claim", json={}).raise_for_status()
        self.http.post(f"handoffs/{case_id}/messages", json={"text": text}).raise_for_status()
        return case_id

    def messages(self, case_id: str) -> list[tuple[str, str]]:
        answer = self.http.get(f"handoffs/{case_id}")
        assert answer.status_code == 200, answer.text
        return [(message["from"], message["text"]) for message in answer.json()["messages"]]

    def lose_the_cases(self) -> None:
        self.served.queue.path.rename(self.served.queue.path.with_name("away"))
        self.served.queue.path.mkdir()


@pytest.fixture
def bench(start: Callable[..., Served]) -> Bench:
    return Bench(start)


class BrokenAtTheDoor(RequestGuard):
    """A guard with a fault on the way in."""

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        raise RuntimeError("fault")


@pytest.mark.parametrize("stream", [False, True])
def test_who_speaks_of_dying_in_a_blocked_message_is_told_where_help_is(bench: Bench, stream: bool) -> None:
    text, finish, report = bench.says(FORGERY_AND_DYING, stream=stream)
    assert HELP in text and finish == "stop"
    assert report["verdict"] == "handoff" and report["reasons"] == ["self_harm", "unlawful.forgery"]
    (case,) = bench.served.queue.cases()
    assert case.id == report["case_id"] and case.urgency == 0
    assert bench.engine.received == []


@pytest.mark.parametrize("text", ["长" * 40_000 + "我不想活了", "我不想活了" + "长" * 40_000])
def test_a_message_that_is_too_long_to_be_answered_is_still_heard(bench: Bench, text: str) -> None:
    began = time.perf_counter()
    answer, _, report = bench.says(text)
    assert HELP in answer and report["reasons"] == ["self_harm", "length.piece"]
    assert time.perf_counter() - began < 5
    assert UNREAD in bench.served.queue.cases()[0].summary


def test_a_guard_that_fails_does_not_keep_a_customer_from_help(start: Callable[..., Served]) -> None:
    bench = Bench(start, guards=lambda call, caller: BrokenAtTheDoor())
    assert HELP in bench.says("我叫张三，我不想活了")[0]
    case = bench.served.queue.cases()[0]
    assert "张三" not in repr(case), "what was not masked is not kept"


def test_a_blocked_message_goes_to_the_person_who_has_the_session(bench: Bench) -> None:
    case_id = bench.person_answers("s1", "您好，我是专员小周，请说。")
    assert bench.says(FORGERY, "s1")[0] == "您好，我是专员小周，请说。"
    assert case_id in bench.says("长" * 8001, "s1")[0]
    assert HELP in bench.says(FORGERY_AND_DYING, "s1")[0]
    assert bench.messages(case_id) == [
        ("agent", "您好，我是专员小周，请说。"),
        ("customer", FORGERY),
        ("customer", UNREAD),
        ("customer", FORGERY_AND_DYING),
    ]


def test_a_case_with_an_empty_message_can_be_read(bench: Bench) -> None:
    case_id = bench.person_answers("s1", "请说。")
    assert bench.says("", "s1")[0] == "请说。"
    assert bench.messages(case_id)[-1] == ("customer", "")


def test_three_blocked_messages_bring_a_person(bench: Bench) -> None:
    for _ in range(2):
        text, finish, report = bench.says(FORGERY, "s1")
        assert (finish, report["verdict"]) == ("content_filter", "block") and PERSON not in text
    text, finish, report = bench.says(FORGERY, "s1")
    assert PERSON in text and finish == "stop" and report["reasons"] == ["repeated_failure", "unlawful.forgery"]
    assert bench.says(FORGERY)[2]["verdict"] == "block", "without a session nothing can be counted"


def test_the_staffs_blocked_requests_bring_no_person(start: Callable[..., Served]) -> None:
    bench = Bench(start, guards=lambda call, caller: BrokenAtTheDoor())
    for _ in range(4):
        answer = bench.post("看看这通电话", tianjing={"session": "s1", "task": "call_summary"})
        assert answer.json()["tianjing"]["verdict"] == "block"


@pytest.mark.parametrize("stream", [False, True])
def test_cases_that_cannot_be_stored_tell_nothing_of_the_weights(bench: Bench, stream: bool) -> None:
    bench.lose_the_cases()
    for number in range(5):
        answer = bench.post("几号还款", f"s{number}", stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "handoff_failed")
    assert bench.told.outcomes == ["none"] * 5 and bench.engine.received == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_person_whom_the_guard_wants_and_nobody_can_record_is_no_fault_of_the_engine(
    start: Callable[..., Served], stream: bool
) -> None:
    bench = Bench(start, guards=lambda call, caller: RequestGuard([Word("不想活", "handoff")]))
    bench.engine.text = "您说不想活了，"
    bench.lose_the_cases()
    answer = bench.post("几号还款", stream=stream, tianjing={"customer": "c1"})
    assert answer.status_code == (200 if stream else 503)
    assert '"handoff_failed"' in answer.text and '"engine_failed"' not in answer.text
    assert bench.told.outcomes == ["none"]
    if not stream:
        assert bench.kept.ends[-1].answer == "", "the customer has read nothing"
        assert bench.counted.taken == [12]


@pytest.mark.parametrize(
    ("status", "outcome"), [(500, "engine_error"), (503, "engine_error"), (429, "engine_error"), (400, "none")]
)
def test_what_the_engine_fails_is_counted_against_it(bench: Bench, status: int, outcome: Outcome) -> None:
    bench.engine.fail_with = status
    for stream in (False, True):
        bench.post("几号还款", stream=stream)
    assert bench.told.outcomes == [outcome] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_the_account_holds_what_the_customer_read_when_a_person_took_over(bench: Bench, stream: bool) -> None:
    bench.engine.text = THREAT
    for _ in range(3):
        text, finish, report = bench.says("几号还款", "s1", stream)
    assert PERSON in text and finish == "stop"
    end = bench.kept.ends[-1]
    assert (end.answer, end.finish, end.case) == (text, ("stop",), report["case_id"])
    assert end.completion_tokens > 0
    assert bench.kept.texts[-1] == {"answer.0": text}


@pytest.mark.parametrize("stream", [False, True])
def test_the_third_answer_that_the_engine_fails_is_a_person(bench: Bench, stream: bool) -> None:
    bench.engine.fail_with = 500
    for _ in range(2):
        assert bench.post("几号还款", "s1", stream=stream).status_code == 502
    text, finish, report = bench.says("几号还款", "s1", stream)
    assert PERSON in text and finish == "stop" and report["reasons"] == ["repeated_failure"]
    assert bench.served.queue.cases()[0].id == report["case_id"]
    assert bench.kept.ends[-1].answer == text and bench.kept.ends[-1].error == "engine_failed"
    assert bench.told.outcomes == ["engine_error"] * 3


def test_the_third_stream_that_breaks_off_ends_with_a_person(bench: Bench) -> None:
    bench.engine.break_after = 2
    for _ in range(2):
        assert '"engine_failed"' in bench.post("几号还款", "s1", stream=True).text
    text, finish, report = bench.says("几号还款", "s1", stream=True)
    assert text.startswith("好的") and PERSON in text and finish == "stop"
    assert report["verdict"] == "handoff" and bench.served.queue.cases()[0].id == report["case_id"]
    assert bench.kept.ends[-1].answer == text and bench.kept.ends[-1].finish == ("stop",)
    assert bench.told.outcomes == ["engine_error"] * 3


def test_who_is_told_to_come_back_is_not_handed_off_for_it(bench: Bench) -> None:
    bench.engine.fail_with = 503
    for _ in range(4):
        answer = bench.post("几号还款", "s1")
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    bench.engine.fail_with = None
    assert bench.says("几号还款", "s1")[0] == bench.engine.text


def test_an_engine_error_is_told_where_no_person_can_be_recorded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*given: Any) -> None:
        raise StoreUnavailable("gone")

    bench.engine.fail_with = 500
    for _ in range(2):
        bench.post("几号还款", "s1")
    monkeypatch.setattr(CaseQueue, "open_case", gone)
    answer = bench.post("几号还款", "s1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_failed")
    assert bench.told.outcomes[-1] == "engine_error"


def soon(condition: Callable[[], Any]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_early_gets_no_tokens_back_that_the_engine_may_have_written(bench: Bench, stream: bool) -> None:
    bench.engine.endless = True
    body = {"model": "tianjing", "messages": [{"role": "user", "content": "你好" * 200}], "stream": stream}
    with pytest.raises(httpx.ReadTimeout), bench.http.stream("POST", "chat/completions", json=body, timeout=1) as sent:
        for number, _ in enumerate(sent.iter_lines()):
            if number > 5:
                raise httpx.ReadTimeout("seen enough")
    soon(lambda: bench.counted.taken)
    (reserved,), (taken,) = bench.counted.reserved, bench.counted.taken
    assert taken == reserved if not stream else 400 < taken < reserved


@pytest.mark.parametrize(("status", "share"), [(500, "prompt"), (503, "nothing"), (400, "nothing")])
def test_of_an_answer_that_the_engine_failed_the_prompt_counts_at_most(bench: Bench, status: int, share: str) -> None:
    bench.engine.fail_with = status
    bench.post("你好" * 200, max_tokens=100)
    (reserved,), (taken,) = bench.counted.reserved, bench.counted.taken
    assert taken == {"prompt": reserved - 100, "nothing": 0}[share]


def test_the_engines_own_count_settles_what_was_reserved(bench: Bench) -> None:
    for stream in (False, True):
        bench.says("你好" * 200, stream=stream)
    assert bench.counted.taken == [12, 12] and min(bench.counted.reserved) > 400


def test_refusals_cost_no_tokens(bench: Bench) -> None:
    assert bench.says(FORGERY)[1] == "content_filter"
    assert bench.counted.taken == [0]
