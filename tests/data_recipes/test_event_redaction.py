"""Logs are redacted many cases at a time, and each case as if it were the only one and each text were looked into."""

from __future__ import annotations

import random
from typing import Any

import pytest

from data_recipes.cleaning.normalise import normalise_many
from data_recipes.cleaning.redaction import CaseLog, redact_activities, redact_events
from tianjing.privacy import Session, batch, find

ORDINARY = (
    "忘记还款",
    "失业",
    "none",
    "4",
    "客户称下周发工资",
    "已登记，请复核",
    "线下网点",
    "他说自己来办",
    "",
    "Ａ款产品",
)
TELLING = (
    "我叫欧阳建国",
    "欧阳建国来电",
    "欧阳先生要延期",
    "联系人王小明，电话13812345678",
    "王小明同意",
    "小明说的",
    "家住北京市海淀区中关村大街27号",
    "中关村大街27号的客户",
    "身份证11010519491231002X",
    "在宏远机械厂上班",
    "邮箱wang@example.com",
    "13812345678",
)
KNOWN = ({"name": "王小明", "phone": "13812345678"}, {"name": "欧阳建国"}, None)


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 2 and kind < 0.15:
        return {rng.choice((*ORDINARY, *TELLING)): value(rng, depth + 1) for _ in range(2)}
    if depth < 2 and kind < 0.25:
        return [value(rng, depth + 1) for _ in range(2)]
    if kind < 0.4:
        return rng.choice((4, 13812345678, 4.0, 2.5, True, None))
    return rng.choice(TELLING) if kind < 0.5 else rng.choice(ORDINARY)


def logs(count: int) -> list[CaseLog]:
    """Cases of two or three events each; the same seed gives the same ones, in sessions of their own."""
    rng = random.Random(7)
    return [
        CaseLog(
            [{"reason": value(rng), rng.choice(("note", "备注")): value(rng)} for _ in range(rng.choice((2, 3)))],
            Session(rng.choice(KNOWN)),
        )
        for _ in range(count)
    ]


def test_many_logs_are_redacted_as_each_alone() -> None:
    together = redact_events(logs(1500))
    assert together == [redact_events([log])[0] for log in logs(1500)]
    assert together != [list(log.attributes) for log in logs(1500)]


def test_few_texts_are_looked_into_as_many_are(monkeypatch: pytest.MonkeyPatch) -> None:
    few = redact_events(logs(300)), batch.find_many((*ORDINARY, *TELLING))
    monkeypatch.setattr(batch, "_FEW_CHARS", 0)
    assert (redact_events(logs(300)), batch.find_many((*ORDINARY, *TELLING))) == few
    assert few[1] == [find(text) for text in (*ORDINARY, *TELLING)]


def test_values_of_a_log_are_masked_as_one_after_the_other() -> None:
    rng = random.Random(11)
    texts = [[rng.choice((*ORDINARY, *TELLING, *ORDINARY)) for _ in range(6)] for _ in range(800)]
    alone = []
    for number, said in enumerate(texts):
        session = Session(KNOWN[number % len(KNOWN)])
        alone.append([session.mask(line.text).text for line in normalise_many(said)])
    cases = [
        CaseLog([{"text": text} for text in said], Session(KNOWN[number % len(KNOWN)]))
        for number, said in enumerate(texts)
    ]
    assert [[event["text"] for event in log] for log in redact_events(cases)] == alone


def test_an_activity_that_names_nobody_stays_the_same_bytes() -> None:
    said = ['"填写通话小结"'.encode(), '"致电王小明"'.encode()]
    plain, named = redact_activities([Session(), Session(KNOWN[0])], said)
    assert plain == said[0] and "王小明" not in named.decode()
