"""The teacher: nothing it writes is kept unchecked, nothing an endpoint does wrong is lost or taken for an answer."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_recipes.errors import DataError
from data_recipes.teacher.config import TeacherConfig
from data_recipes.teacher.fidelity import unfaithful
from data_recipes.teacher.writing import teach
from tests.data_recipes.teacher_endpoint import (
    BY_CLAUSE,
    MATERIAL,
    FaultInjector,
    Reply,
    agent_rules,
    clause_of,
    drafts,
    honest,
    new_rows,
    run,
)
from tianjing.config import parse
from tianjing.engine import Engine, EngineConfig, free_port
from tianjing.errors import TianjingError
from tianjing.tasks import TASKS


@pytest.fixture
def endpoint() -> Iterator[FaultInjector]:
    injector = FaultInjector()
    yield injector
    injector.stop()


def test_a_question_is_reworded_beside_its_original_with_the_trail(endpoint: FaultInjector, tmp_path: Path) -> None:
    taught = run(endpoint, tmp_path)
    assert taught.rows[:6] == drafts()
    assert {row.fields["question"] for row in new_rows(taught)} == {spoken for _, _, spoken, _ in MATERIAL}
    for row, entry in zip(new_rows(taught), taught.accepted, strict=True):
        original = next(draft for draft in drafts() if row.id == f"{draft.id}~spoken")
        assert (row.reference, row.group, row.split) == (original.reference, original.group, original.split)
        assert row.sources == (*original.sources, f"teacher:{entry['request_sha256'][:16]}")
    assert taught.counts["teacher_spoken_question_kept"] == 6 and not taught.rejected


def test_an_answer_is_worded_below_the_quotation_and_scores_as_before(endpoint: FaultInjector, tmp_path: Path) -> None:
    taught = run(endpoint, tmp_path, uses=["worded_answer"])
    task = TASKS["policy_qa"]
    assert len(taught.rows) == 6 == len(new_rows(taught))
    for row, (clause, _, _, answer) in zip(taught.rows, MATERIAL, strict=True):
        target = task.target(row.reference)
        assert target == f"{row.reference['clause_label']}：{clause}\n{answer}"
        assert task.score(task.read(target, row.fields), row.reference, row.fields) == 1.0


def test_the_prompt_carries_the_cited_clause_and_nothing_else(endpoint: FaultInjector, tmp_path: Path) -> None:
    run(endpoint, tmp_path)
    for body in endpoint.requests:
        text = json.dumps(body, ensure_ascii=False)
        assert sum(clause in text for clause, *_ in MATERIAL) == 1 and "与此无关" not in text
        assert body["response_format"]["json_schema"]["strict"] and body["temperature"] == 0


def test_only_training_rows_are_written_for_and_only_so_many(endpoint: FaultInjector, tmp_path: Path) -> None:
    assert not new_rows(run(endpoint, tmp_path, drafts("test"))) and not endpoint.requests
    assert len(new_rows(run(endpoint, tmp_path, max_rows=2))) == 2 == len(endpoint.requests)


def changed_answer(body: dict[str, Any], old: str, new: str) -> Reply:
    """The honest answer to the first clause, forged in one place."""
    answer = BY_CLAUSE[clause_of(body)][1]
    return honest(body, answer=answer.replace(old, new))


FORGED_ANSWERS: dict[str, tuple[Callable[[dict[str, Any]], Reply], str]] = {
    "number": (lambda body: changed_answer(body, "30天", "45天"), "states a number the quote does not have"),
    "unit": (lambda body: changed_answer(body, "30天", "30个月"), "states a number in another unit than the quote"),
    "working days": (lambda body: changed_answer(body, "30天", "30个工作日"), "in another unit"),
    "limit": (lambda body: changed_answer(body, "最长", "至少"), "turns a limit of the quote round"),
    "modality": (lambda body: changed_answer(body, "不能超过", "可以超过"), "another modality"),
    "quote": (lambda body: honest(body, quote="延期还款每次最长60日"), "the quote does not stand in the clause"),
    "no quote": (lambda body: honest(body, quote=""), "the quote does not stand in the clause"),
    "personal data": (lambda body: changed_answer(body, "延期还款", "张伟先生延期还款打13812345678"), "personal data"),
    "off topic": (lambda body: honest(body, answer="我不能替您做主，祝您生活愉快，再见"), "too little in common"),
    "breach": (
        lambda body: changed_answer(body, "2次。", "2次，再拖就上门找您家里人。"),
        "breaks rule",
    ),
    "title": (lambda body: changed_answer(body, "延期还款每次", "根据第二条延期还款每次"), "speaks of an article"),
    "length": (lambda body: changed_answer(body, "2次。", "2次" + "，延期还款每次最长30天" * 20), "too long"),
}


@pytest.mark.parametrize("forgery", sorted(FORGED_ANSWERS))
def test_a_forged_answer_is_kept_aside_with_the_reason(endpoint: FaultInjector, tmp_path: Path, forgery: str) -> None:
    forge, reason = FORGED_ANSWERS[forgery]
    endpoint.behave = lambda body, count: forge(body)
    taught = run(endpoint, tmp_path, drafts()[:1], uses=["worded_answer"], retries=0)
    assert taught.rows == drafts()[:1]
    (rejected,) = taught.rejected
    assert reason in rejected["reason"]
    assert rejected["output"] == forge(endpoint.requests[0]).text and len(rejected["request_sha256"]) == 64


BAD_REPLIES: dict[str, tuple[Callable[[dict[str, Any]], Reply], str]] = {
    "nonsense": (lambda body: Reply("好的，没问题"), "not JSON"),
    "half JSON": (lambda body: Reply(honest(body).text[:-9]), "not JSON"),
    "cut off": (lambda body: Reply('{"question": "我想', "length"), "cut off at max_tokens"),
    "other fields": (lambda body: honest(body, note="x"), "JSON of other fields"),
    "other types": (lambda body: Reply('{"question": 1, "quote": []}'), "JSON of other types"),
    "a list": (lambda body: Reply("[]"), "JSON of other fields"),
    "empty": (lambda body: Reply(""), "not JSON"),
    "a web page": (lambda body: Reply(raw="<html>please log in</html>"), "no chat completion"),
    "no question": (lambda body: honest(body, question="我想延期还款"), "not a question"),
    "copy": (lambda body: honest(body, question="请问延期还款每次最长多少日？"), "nearly a copy"),
    "gives it away": (lambda body: honest(body, question="我想延期还，最长是30天吗"), "a number the question does not"),
}


@pytest.mark.parametrize("fault", sorted(BAD_REPLIES))
def test_what_cannot_be_used_is_counted_kept_aside_and_asked_again(
    endpoint: FaultInjector, tmp_path: Path, fault: str
) -> None:
    reply, reason = BAD_REPLIES[fault]
    endpoint.behave = lambda body, count: reply(body) if body["seed"] < 2 else honest(body)
    taught = run(endpoint, tmp_path, drafts()[:1])
    assert [entry["attempt"] for entry in taught.rejected] == [1, 2]
    assert all(reason in entry["reason"] for entry in taught.rejected)
    assert [(body["seed"], body["temperature"]) for body in endpoint.requests] == [(0, 0.0), (1, 0.7), (2, 0.7)]
    assert len(new_rows(taught)) == 1 and taught.accepted[0]["attempt"] == 3
    assert sum(count for name, count in taught.counts.items() if reason in name) == 2


def test_a_question_that_no_search_leads_back_to_its_clause_is_rejected(
    endpoint: FaultInjector, tmp_path: Path
) -> None:
    taught = run(endpoint, tmp_path, finds=False)
    assert not new_rows(taught)
    assert {entry["reason"] for entry in taught.rejected} == {"a search for the question does not find its clause"}


def test_errors_that_pass_lose_nothing(endpoint: FaultInjector, tmp_path: Path) -> None:
    faults = (Reply(status=500), Reply(status=429), Reply(status=503, raw="<html>"))

    def behave(body: dict[str, Any], count: int) -> Reply:
        return faults[len(clause_of(body)) % 3] if count < 3 else honest(body)

    endpoint.behave = behave
    assert len(new_rows(run(endpoint, tmp_path))) == 6


def test_a_teacher_that_never_answers_is_an_error_and_no_empty_row(endpoint: FaultInjector, tmp_path: Path) -> None:
    for reply in (Reply(delay_s=30), Reply(status=500)):  # of 6 requests 3 are given up, and the rest not sent
        endpoint.behave = lambda body, count, reply=reply: reply  # type: ignore[misc]
        with pytest.raises(DataError, match="does not answer") as caught:
            run(endpoint, tmp_path, timeout_s=0.2)
        assert "give the same command again" in caught.value.remedy and caught.value.exit_code == 1
    with pytest.raises(DataError, match="does not answer"):
        run(f"http://127.0.0.1:{free_port()}/v1", tmp_path)
    assert (tmp_path / "answers.jsonl").read_text() == ""


def test_one_request_without_an_answer_is_an_error_that_keeps_the_others(
    endpoint: FaultInjector, tmp_path: Path
) -> None:
    stuck = MATERIAL[2][0]

    def behave(body: dict[str, Any], count: int) -> Reply:
        return Reply(status=503) if clause_of(body) == stuck else honest(body)

    endpoint.behave = behave
    with pytest.raises(DataError, match="1 of 6 requests got no answer"):
        run(endpoint, tmp_path, concurrency=1)
    asked = len(endpoint.requests)
    endpoint.behave = lambda body, count: honest(body)
    assert len(new_rows(run(endpoint, tmp_path))) == 6
    assert [clause_of(body) for body in endpoint.requests[asked:]] == [stuck]


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_stops_at_once_and_says_what_to_check(endpoint: FaultInjector, tmp_path: Path, status: int) -> None:
    endpoint.behave = lambda body, count: Reply(status=status)
    with pytest.raises(DataError, match="broken on purpose") as caught:
        run(endpoint, tmp_path, concurrency=1)
    assert len(endpoint.requests) == 1 and "json_schema" in caught.value.remedy


def test_too_many_rejected_rows_end_the_build_and_can_be_read(endpoint: FaultInjector, tmp_path: Path) -> None:
    endpoint.behave = lambda body, count: Reply("无") if "不得" in clause_of(body) else honest(body)
    with pytest.raises(DataError, match="3 of 6 rows have no accepted spoken_question after 3 tries") as caught:
        run(endpoint, tmp_path, max_rejected_share=0.4)
    assert "not JSON: 9" in caught.value.message
    lines = (tmp_path / "answers.rejected.jsonl").read_text("utf-8").splitlines()
    assert str(tmp_path / "answers.rejected.jsonl") in caught.value.remedy
    assert len(lines) == 9 and {json.loads(line)["output"] for line in lines} == {"无"}
    assert len(new_rows(run(endpoint, tmp_path, max_rejected_share=0.5))) == 3


def test_the_outcome_does_not_depend_on_which_answer_comes_first(endpoint: FaultInjector, tmp_path: Path) -> None:
    rng = random.Random(5)

    def behave(body: dict[str, Any], count: int) -> Reply:
        reply = honest(body, question="我想问一下这个要多少天啊延期还款") if body["seed"] == 0 else honest(body)
        reply.delay_s = rng.random() / 20
        return reply

    endpoint.behave = behave  # the same question for all: the first draft keeps it, whoever was answered first
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, many = (run(endpoint, tmp_path / name, concurrency=n) for name, n in (("a", 1), ("b", 6)))
    assert one == many and one.rejected


def test_a_web_page_instead_of_an_answer_is_not_remembered(endpoint: FaultInjector, tmp_path: Path) -> None:
    endpoint.behave = lambda body, count: Reply(raw="<html>please log in</html>")
    assert not new_rows(run(endpoint, tmp_path, retries=0))
    endpoint.behave = lambda body, count: honest(body)
    assert len(new_rows(run(endpoint, tmp_path, retries=0))) == 6


def test_a_finished_run_asks_nothing_again_and_another_model_everything(
    endpoint: FaultInjector, tmp_path: Path
) -> None:
    first = run(endpoint, tmp_path)
    assert run(endpoint, tmp_path) == first and len(endpoint.requests) == 6
    run(endpoint, tmp_path, model="another")
    assert len(endpoint.requests) == 12


def test_a_killed_run_goes_on_where_it_stopped(endpoint: FaultInjector, tmp_path: Path) -> None:
    def behave(body: dict[str, Any], count: int) -> Reply:
        reply = honest(body)
        reply.delay_s = 0.15
        return reply

    endpoint.behave = behave
    code = textwrap.dedent(f"""
        from pathlib import Path
        from tests.data_recipes.test_teacher import run
        run({endpoint.url!r}, Path({str(tmp_path)!r}), concurrency=1)
    """)
    child = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    answers = tmp_path / "answers.jsonl"
    deadline = time.monotonic() + 60
    while not (answers.exists() and answers.read_bytes().count(b"\n") >= 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = [json.loads(line)["key"] for line in answers.read_text("utf-8").splitlines()]
    assert 3 <= len(kept) < 6
    with open(answers, "a", encoding="utf-8") as stream:
        stream.write('{"key": "torn off by the ki')
    time.sleep(0.3)  # what was under way at the kill ends
    before = len(endpoint.requests)
    taught = run(endpoint, tmp_path)
    assert len(new_rows(taught)) == 6
    assert len(endpoint.requests) - before == 6 - len(kept)
    (tmp_path / "whole").mkdir()
    assert taught == run(endpoint, tmp_path / "whole")


def test_the_key_comes_from_the_named_variable_and_stands_in_no_file(
    endpoint: FaultInjector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="TEACHER_KEY is not set"):
        run(endpoint, tmp_path, api_key_env="TEACHER_KEY")
    assert not endpoint.requests
    monkeypatch.setenv("TEACHER_KEY", "s3cret")
    run(endpoint, tmp_path, api_key_env="TEACHER_KEY")
    assert set(endpoint.keys) == {"Bearer s3cret"}
    assert "s3cret" not in (tmp_path / "answers.jsonl").read_text("utf-8")


def test_a_wrong_setting_is_an_error_that_names_the_field() -> None:
    for wrong in ({"base_url": "127.0.0.1:8000"}, {"uses": []}, {"uses": ["paraphrased_question"] * 2}, {"model": 1}):
        with pytest.raises(TianjingError, match=next(iter(wrong))):
            parse(TeacherConfig, {"base_url": "http://127.0.0.1:1/v1", "model": "m", **wrong}, "teacher")


FAITHFUL = (
    ("您可以分24期还，最多24期", "分期还款可以分24期，最长不超过24期"),
    ("我们最多一天打3次", "同一客户每日拨打催收电话不超过三次"),
    ("您不用先交手续费", "客户无需预先支付手续费"),
    ("您需要在十五天内交齐材料", "客户应当在15日内补齐材料"),
    ("一次讲清楚：年化利率24%", "年化利率为百分之二十四"),
)
UNFAITHFUL = (
    ("您可以超过24期", "分期不得超过24期"),
    ("您应当提交证明", "客户可以提交证明"),
    ("您可以提交证明", "客户应当提交证明"),
    ("请提交证明", "客户应当提交证明"),
    ("您必须先交手续费", "客户无需预先支付手续费"),
    ("您需要在15个工作日内交齐", "客户应当在15日内补齐材料"),
    ("最少24期", "最长24期"),
    ("年化利率24", "年化利率24%"),
    ("我们计收复利", "逾期利息不计收复利"),
    ("延期不能申请，超期可以", "客户可以申请延期，超期的不得申请"),
    ("您可以拒绝，也不能拒绝", "客户可以拒绝"),
)


@pytest.mark.parametrize(("wording", "quote"), FAITHFUL)
def test_spoken_words_may_stand_for_written_ones(wording: str, quote: str) -> None:
    assert unfaithful(wording, quote) == ""


@pytest.mark.parametrize(("wording", "quote"), UNFAITHFUL)
def test_a_wording_that_says_something_else_is_found_out(wording: str, quote: str) -> None:
    assert unfaithful(wording, quote)


@pytest.mark.slow
def test_a_real_engine_decodes_under_the_schema_and_is_checked(tiny_model: Path, tmp_path: Path) -> None:
    engine_config = EngineConfig(model=tiny_model, max_model_len=1024, kv_cache_gib=0.1)
    with Engine(engine_config, tmp_path / "engine.log") as engine:
        settings = {"base_url": engine.base_url, "model": "tianjing", "api_key_env": "ENGINE_KEY", "max_tokens": 64}
        config = parse(TeacherConfig, {**settings, "max_rejected_share": 1.0}, "teacher")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ENGINE_KEY", engine.api_key)
            taught = teach(drafts(), config, tmp_path / "answers.jsonl", lambda question, draft: True, agent_rules())
    # Random weights know nothing, and still open the object and name its field: the schema is in force.
    outputs = [entry["output"] for entry in taught.rejected]
    assert len(outputs) == 18 and not new_rows(taught)
    opening = re.compile(r'\s*\{\s*("question"\s*(:\s*(".*)?)?)?', re.DOTALL)
    assert all(opening.fullmatch(output) for output in outputs)
    assert any('"question"' in output for output in outputs)
