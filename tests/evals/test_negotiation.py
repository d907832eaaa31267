"""Negotiations are held step by step, counted as they were said, compared in pairs, and never held twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.errors import EvalError
from evals.negotiation import run
from evals.negotiation.compare import SCRIPTS, summarise
from evals.negotiation.config import NegotiationEvalConfig
from evals.negotiation.play import OPENING, Played, Step, make_case, play
from evals.negotiation.report import render, verdict
from evals.negotiation.scripts import scripted
from tianjing.dataset import write_examples
from tianjing.finance.offers import PlanPolicy
from tianjing.lineage import artefact, verify
from tianjing.records import Example
from tianjing.simulation.planted import SITUATIONS
from tianjing.tasks import TASKS, Fields, conversation

CONFIG = NegotiationEvalConfig(debtors=40, first_debtor=0, replies=6, concurrency=4)
PRACTICES = {name: situation.act for name, situation in SITUATIONS.items()}
WORDS = {
    "offer_deferral": "您这种情况能申请延期还款，先安顿好生活。",
    "offer_instalment": "建议您走分期还款，每期压力小一些。",
    "offer_autopay": "我帮您开通自动扣款，就不用惦记了。",
    "request_proof": "麻烦您提供医院的诊断书，我帮您提交审核。",
    "explain_fees": "我给您逐项说一下，费用构成都在账单里。",
    "ask_affordable_amount": "您现在每个月能拿出多少来还？",
    "confirm_date": "咱们定个日子，您看哪天还？",
    "empathise": "实在抱歉，理解您的难处，您别着急。",
    "remind_consequence": "再不还会影响征信。",
    "demand_full_payment": "这笔请您一次性全部还清。",
}


def held(agent: Callable[[int], Step], config: NegotiationEvalConfig = CONFIG) -> list[Played]:
    async def all_of_them() -> list[Played]:
        return [await play(number, agent(number), config) for number in range(config.debtors)]

    return asyncio.run(all_of_them())


def script(practices: dict[str, str] | None) -> Callable[[int], Step]:
    return lambda number: scripted(
        make_case(number, CONFIG).state.situation, practices, WORDS, random.Random(f"{number}")
    )


@pytest.fixture(scope="module")
def practice() -> list[Played]:
    return held(script(PRACTICES))


def test_the_practice_recovers_more_than_chance_from_the_same_debtors(practice: list[Played]) -> None:
    chance = held(script(None))
    figures = summarise(["practice"], {"practice": practice, "chance": chance}, {}, 0.95)
    assert figures["arms"]["practice"]["recovery"]["estimate"] > figures["arms"]["chance"]["recovery"]["estimate"]
    difference = figures["differences"]["chance"]["recovery"]
    mean = sum(a.recovery - b.recovery for a, b in zip(practice, chance, strict=True)) / len(practice)
    assert difference["estimate"] == pytest.approx(mean, abs=1e-5) and difference["low"] < mean < difference["high"]


def test_a_negotiation_is_the_same_every_time_and_opens_as_given(practice: list[Played]) -> None:
    assert held(script(PRACTICES)) == practice
    for row in practice:
        assert row.talk[0]["text"] == OPENING
        spoken = [turn["text"] for turn in row.talk if turn["speaker"] == "agent"]
        assert not any("【" in text for text in spoken), "only the speech is heard"
        assert row.misquoted == 0 and row.quotations >= row.agreed and not row.outside_policy


def always(*steps: str) -> Callable[[int], Step]:
    def agent(number: int) -> Step:
        left = list(steps)

        async def step(fields: Fields) -> str:
            return left.pop(0) if len(left) > 1 else left[0]

        return step

    return agent


def test_an_offer_that_states_other_amounts_than_the_cost_engine_is_counted() -> None:
    config = CONFIG.model_copy(update={"debtors": 6, "max_turns": 4})
    wrong = held(always("【试算：分12期，现在】", "【报方案】给您分12期，每期1.00元，您看行吗？"), config)
    assert all(row.misquoted == row.offers > 0 for row in wrong)
    other_term = held(always("【报方案】给您分24期，每期88.00元，您看行吗？"), config)
    assert all(row.misquoted == row.offers > 0 for row in other_term), "an offer that nobody quoted"


def test_what_is_agreed_outside_the_policy_is_counted() -> None:
    generous = held(always("给您分36期，延期30天，减免百分之五十，您看行吗？"))
    agreed = [row for row in generous if row.agreed]
    assert agreed and all(row.outside_policy for row in agreed)


def test_an_agent_that_only_quotes_must_speak_and_one_that_is_silent_does_not_end_it() -> None:
    config = CONFIG.model_copy(update={"debtors": 3, "max_turns": 3})
    for text in ("【试算：分12期，现在】", "", "【问原因】"):
        for row in held(always(text), config):
            assert row.turns == 3 and not row.agreed and row.recovery == 0
            assert row.quotations in (0, 2 * config.max_quotes)


def test_threats_are_counted_as_breaches() -> None:
    config = CONFIG.model_copy(update={"debtors": 4})
    assert all(row.breaches > 0 and row.hung_up for row in held(always("再不还就上门找你家里人，让你坐牢。"), config))


# The whole comparison, with an engine that a test answers for


def example(number: int, split: str) -> Example:
    situation = sorted(PRACTICES)[number % len(PRACTICES)]
    act = PRACTICES[situation]
    fields = {
        "product": "轻舟贷",
        "outstanding": "9000.00",
        "as_of": "2026-04-15",
        "policy": PlanPolicy().model_dump(mode="json"),
        "turns": [{"speaker": "customer", "text": f"是因为{situation}，{number}个月了"}],
    }
    reference = {"step": "act", "situation": situation, "act": act, "reply": WORDS[act]}
    return Example(
        id=f"{split}-{number}",
        task="negotiation",
        group=f"{split}-{number}",
        split=split,
        messages=conversation(TASKS["negotiation"], fields, reference),
        fields=fields,
        reference=reference,
        practice_ids=(f"{situation}/{act}",),
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    with artefact(tmp_path / "dataset", kind="dataset") as work:
        write_examples(work.dir / "train.parquet", [example(number, "train") for number in range(16)])
        write_examples(work.dir / "test.parquet", [example(number, "test") for number in range(16)])
    return tmp_path / "dataset"


class Answers:
    """Stands in for the engine: model `good` does the practice and offers, any other says nothing useful."""

    asked = 0
    fail_after: int | None = None

    def __init__(self, config: Any, *_: Any) -> None:
        self.config, self.base_url, self.api_key, self.version = config, "http://none/v1", "key", "0"

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    current: dict[str, Path] = {}

    class Served(Answers):
        def __enter__(self) -> Answers:
            current["model"] = self.config.model
            return self

    def asker(client: Any, name: str, config: NegotiationEvalConfig) -> Callable[[Any, float, int], Awaitable[str]]:
        async def ask(messages: Any, temperature: float, seed: int) -> str:
            Served.asked += 1
            if Served.fail_after is not None and Served.asked > Served.fail_after:
                raise KeyboardInterrupt
            text = messages[-1].content
            if current["model"].name != "good":
                return "您好。"
            for situation, act in PRACTICES.items():
                if f"是因为{situation}" in text:
                    return f"【{situation}：{act}】"
            if "试算结果：" not in text:
                return "【试算：分24期，30天后】"
            return f"【报方案】{text.split('试算结果：')[-1].splitlines()[0]}"

        return ask

    monkeypatch.setattr(run, "Engine", Served)
    monkeypatch.setattr(run, "_asker", asker)
    Served.asked, Served.fail_after = 0, None
    yield Served


@pytest.fixture
def arms(tmp_path: Path) -> dict[str, Path]:
    for name in ("good", "poor"):
        with artefact(tmp_path / name, kind="merged") as work:
            (work.dir / "weights").write_text(name, encoding="utf-8")
    return {"experience": tmp_path / "good", "control": tmp_path / "poor"}


SMALL = CONFIG.model_copy(update={"debtors": 8})


def test_arms_are_compared_on_the_same_debtors_and_replies(
    dataset: Path, arms: dict[str, Path], served: type[Answers], tmp_path: Path
) -> None:
    summary = run.compare(dataset, arms, tmp_path / "out", SMALL)
    assert list(summary["arms"]) == [*SCRIPTS, "experience", "control"]
    assert summary["arms"]["experience"]["recovery"]["estimate"] > summary["arms"]["control"]["recovery"]["estimate"]
    assert summary["arms"]["control"]["next_reply"]["estimate"] == 0
    page = (tmp_path / "out" / run.REPORT).read_text(encoding="utf-8")
    assert page == render(json.loads((tmp_path / "out" / run.SUMMARY).read_text("utf-8"))) and verdict(summary) in page
    lines = (tmp_path / "out" / run.NEGOTIATIONS).read_text("utf-8").splitlines()
    assert len(lines) == 4 * SMALL.debtors and verify(tmp_path / "out") == []


def test_an_interrupted_comparison_holds_no_negotiation_twice(
    dataset: Path, arms: dict[str, Path], served: type[Answers], tmp_path: Path
) -> None:
    whole = run.compare(dataset, arms, tmp_path / "whole", SMALL)
    needed, served.asked, served.fail_after = served.asked, 0, served.asked // 2
    with pytest.raises(KeyboardInterrupt):
        run.compare(dataset, arms, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
    spent, served.fail_after = served.asked, None
    assert run.compare(dataset, arms, tmp_path / "out", SMALL)["arms"] == whole["arms"]
    assert served.asked < spent + needed, "what was finished is not asked again"


def test_a_dataset_without_negotiations_or_a_single_arm_is_refused(
    dataset: Path, arms: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(EvalError, match="arms: experience"):
        run.compare(dataset, {"experience": arms["experience"]}, tmp_path / "out", SMALL)
    with artefact(tmp_path / "empty", kind="dataset") as work:
        for split in ("train", "test"):
            write_examples(work.dir / f"{split}.parquet", [])
    with pytest.raises(EvalError, match="no step of a negotiation"):
        run.compare(tmp_path / "empty", arms, tmp_path / "out", SMALL)
