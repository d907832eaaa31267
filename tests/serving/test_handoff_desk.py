"""The desk: who gets a person, what goes into the case, and what the customer hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ApiError
from serving.handoff.case import Case
from serving.handoff.desk import Talk
from serving.handoff.ledger import Act
from serving.handoff.local import LocalDesk
from serving.handoff.settings import HandoffSettings
from serving.handoff.sqlite import CaseQueue

Work = Callable[[LocalDesk], Coroutine[Any, Any, None]]
_count = iter(range(10**6))


def talk(words: str, session: str | None = "s1", masked: str | None = None, **more: Any) -> Talk:
    texts = more.pop("texts", (("user", words if masked is None else masked),))
    return Talk("acme", f"r{next(_count)}", words, texts, session, **more)


@pytest.fixture
def trial(tmp_path: Path) -> Callable[[Work], None]:
    def run(work: Work) -> None:
        async def all_of_it() -> None:
            desk = LocalDesk(CaseQueue(tmp_path / "state" / "handoffs.sqlite"))
            await desk.open()
            try:
                await work(desk)
            finally:
                await desk.close()

        asyncio.run(all_of_it())

    return run


async def only(desk: LocalDesk) -> Case:
    (case,) = await desk.queue.page(None, ["open", "claimed", "answered"], 10)
    return case


async def says(desk: LocalDesk, text: str) -> None:
    act = Act((await only(desk)).id, "A1", None)
    await desk.queue.claim(act)
    await desk.queue.answer(act, text, text)


def test_a_question_stays_with_the_model(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        for session in ("s1", None):
            assert await desk.before(talk("下个月几号还款", session)) is None
        assert await desk.queue.page(None, ["open"], 10) == ()

    trial(work)


def test_a_case_holds_reasons_deadline_and_masked_words_only(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        said = talk("我是张三13812345678，我要投诉", masked="我是〔姓名1〕〔手机1〕，我要投诉", customer="c7")
        takeover = await desk.before(said)
        assert takeover is not None and takeover.reasons == ("complaint",) and takeover.case in takeover.text
        case, events = await desk.queue.news(takeover.case, "acme")
        assert (case.customer, case.verdict, case.status) == ("c7", "words", "open")
        assert case.summary == "投诉：我是〔姓名1〕〔手机1〕，我要投诉"
        assert case.due_at[:10] > case.opened_at[:10]
        assert "13812345678" not in repr((case, events))
        assert "13812345678" not in "".join(map(str, (await only(desk)).whole(events).values()))

    trial(work)


def test_the_sessions_customer_talks_to_the_person_until_the_case_is_closed(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        opened = await desk.before(talk("转人工"))
        assert opened is not None
        waiting = await desk.before(talk("下个月几号还款"))
        assert waiting is not None and waiting.case == opened.case and "请稍候" in waiting.text
        await says(desk, "您好，我是小李。")
        answered = await desk.before(talk("我想分期"))
        assert answered is not None and answered.text == "您好，我是小李。"
        _, events = await desk.queue.news(opened.case, "acme")
        customers = [event.text for event in events if event.sender == "customer"]
        assert customers == ["下个月几号还款", "我想分期"]
        assert await desk.before(talk("下个月几号还款", "another")) is None
        await says(desk, "已办好。")
        await desk.queue.close(Act(opened.case, "A1", None), "分期", "resolved")
        last = await desk.before(talk("好的"))
        assert last is not None and last.text.startswith("已办好。\n") and "请再发一次" in last.text
        assert await desk.before(talk("下个月几号还款")) is None

    trial(work)


def test_a_session_with_a_person_that_asks_again_opens_no_second_case(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        first = await desk.before(talk("我要投诉"))
        again = await desk.before(talk("转人工"))
        guards = await desk.escalate(talk("好"), ("handoff.complaint",))
        assert first and again and first.case == again.case == guards.case
        assert (await only(desk)).reasons == ("complaint", "human_wanted", "handoff.complaint")

    trial(work)


def test_who_speaks_of_dying_hears_where_help_is_at_once(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        await desk.before(talk("转人工"))
        heard = await desk.before(talk("我不想活了"))
        assert heard is not None and "12356" in heard.text
        case = await only(desk)
        assert case.urgency == 0 and case.reasons[0] == "self_harm"

    trial(work)


def test_without_a_session_each_request_is_a_case_of_its_own(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        first, second = await desk.before(talk("我要投诉", None)), await desk.before(talk("我要投诉", None))
        assert first and second and first.case != second.case
        assert await desk.before(talk("几号还款", None)) is None

    trial(work)


def test_the_guard_may_ask_for_a_person(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        takeover = await desk.escalate(talk("利息多少"), ("handoff.hardship",))
        case = await only(desk)
        assert takeover.case == case.id and case.verdict == "guard" and case.reasons == ("handoff.hardship",)

    trial(work)


def test_three_failures_of_a_session_bring_a_person(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        assert await desk.failed(talk("问"), "block") is None
        assert await desk.failed(talk("问"), "block") is None
        assert await desk.failed(talk("问", "another"), "block") is None
        assert await desk.failed(talk("问", None), "block") is None
        takeover = await desk.failed(talk("问"), "block")
        assert takeover is not None and takeover.reasons == ("repeated_failure",)
        assert (await only(desk)).verdict == "failures"

    trial(work)


def test_failures_on_several_gateways_add_up(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        other = LocalDesk(CaseQueue(desk.queue.path))  # type: ignore[attr-defined]
        assert await desk.failed(talk("问"), "block") is None
        assert await other.failed(talk("问"), "block") is None
        assert await desk.failed(talk("问"), "block") is not None
        await other.close()

    trial(work)


def test_a_proper_answer_in_between_starts_the_count_again(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        for _ in range(2):
            for _ in range(2):
                assert await desk.failed(talk("问"), "block") is None
            await desk.answered(talk("问"))

    trial(work)


def test_an_answer_that_does_not_help_three_times_brings_a_person(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        told = (("user", "没用"), ("assistant", "…"), ("user", "答非所问"), ("assistant", "…"), ("user", "没解决问题"))
        takeover = await desk.before(talk("没解决问题", None, texts=told))
        assert takeover is not None and takeover.reasons == ("repeated_failure",)
        for _ in range(2):  # an application that sends the last message only
            assert await desk.before(talk("没用", "s9")) is None
        assert await desk.before(talk("没用", "s9")) is not None

    trial(work)


@pytest.mark.parametrize("task", ["quality_inspection", "call_summary"])
def test_the_staffs_own_work_is_never_handed_off(trial: Any, task: str) -> None:
    async def work(desk: LocalDesk) -> None:
        assert await desk.before(talk("我要投诉", task=task)) is None

    trial(work)


def test_while_the_store_is_gone_nobody_is_promised_a_call(trial: Any, tmp_path: Path) -> None:
    async def work(desk: LocalDesk) -> None:
        state, aside = tmp_path / "state", tmp_path / "aside"
        state.rename(aside)
        state.write_text("no folder")
        for attempt in (
            lambda: desk.before(talk("我要投诉", None)),
            lambda: desk.before(talk("几号还款", "s1")),  # it may be with a person: the model must not answer
            lambda: desk.escalate(talk("好", None), ("handoff.complaint",)),
        ):
            with pytest.raises(ApiError) as refused:
                await attempt()
            assert (refused.value.status, refused.value.code) == (503, "handoff_failed")
            assert refused.value.retry_after_s
        assert await desk.before(talk("几号还款", None)) is None
        assert await desk.failed(talk("问"), "block") is None
        state.unlink()
        aside.rename(state)
        takeover = await desk.before(talk("我要投诉", None))
        assert takeover is not None and (await only(desk)).id == takeover.case
        assert desk.counts().refused == 3

    trial(work)


def test_what_was_done_is_counted(trial: Any) -> None:
    async def work(desk: LocalDesk) -> None:
        for _ in range(3):
            await desk.answered(talk("问"))
        await desk.before(talk("我要投诉，叫律师告你们"))
        await desk.before(talk("喂"))
        counts = desk.counts()
        assert (counts.answered, counts.opened, counts.continued) == (3, 1, 1)
        assert counts.reasons == {"complaint": 1, "lawyer": 1}

    trial(work)


def test_a_long_conversation_keeps_its_end(tmp_path: Path) -> None:
    async def run() -> None:
        desk = LocalDesk(CaseQueue(tmp_path / "q.sqlite"), HandoffSettings(most_transcript_chars=100))
        texts = (*(("user", f"第{i}句" + "长" * 20) for i in range(20)), ("user", "我要投诉"))
        await desk.before(talk("我要投诉", texts=texts))
        kept = (await only(desk)).transcript
        assert kept[0] == ("system", "（此前16条未保留）") and kept[-1] == ("customer", "我要投诉")
        assert sum(len(text) for _, text in kept[1:]) <= 101
        await desk.close()

    asyncio.run(run())
