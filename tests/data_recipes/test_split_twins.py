"""Near duplicates over a split: one of each cluster is left to build from, also where the first one of all is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_recipes.build import build
from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.extract import extract
from tianjing.dataset import read_examples

QUESTIONS = (
    "我想问一下上个月的账单为什么多出来一笔费用，是不是系统算错了，麻烦帮我查清楚",
    "我准备下周去外地出差，想把扣款日往后挪几天，不知道手机应用里面能不能自己改",
    "昨天收到短信说额度调整了，我没有申请过，请帮我看看到底是谁操作的，现在还剩多少",
)
ANSWER = "您好，这边已经看到您的账户，我逐项核对以后马上给您答复，请不要挂机"


def _raw(folder: Path) -> Path:
    """The first question in January and twice in March, nearly alike, of three customers; the others in January."""
    asked = [
        ("d1", "01", QUESTIONS[0] + "。"),
        ("d2", "03", QUESTIONS[0] + "啊"),
        ("d3", "03", QUESTIONS[0] + "呢"),
        ("d4", "01", QUESTIONS[1]),
        ("d5", "01", QUESTIONS[2]),
    ]
    rows: dict[str, list[dict[str, Any]]] = {"dialogues": [], "events": [], "customers": []}
    for identity, month, question in asked:
        at = f"2026-{month}-05T09:00:00+08:00"
        turns = [("customer", question), ("agent", ANSWER)]
        rows["dialogues"].append(
            {
                "id": identity,
                "customer": f"c{identity}",
                "agent": "a1",
                "channel": "phone",
                "started_at": at,
                "turns": [{"speaker": speaker, "text": text, "at": at} for speaker, text in turns],
            }
        )
        intent = "改期" if identity == "d4" else "咨询"
        event = {"case": identity, "at": at, "actor": "a1", "activity": "登记意图", "attributes": {"intent": intent}}
        rows["events"].append(event)
        rows["customers"].append({"customer": f"c{identity}", "site": "west" if month == "03" else "east"})
    folder.mkdir()
    for name, lines in rows.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "split",
    [{"time": {"test_from": "2026-02-01"}}, {"holdout": {"field": "site", "values": ["west"]}}],
    ids=["time", "holdout"],
)
def test_a_test_dialogue_whose_earlier_twin_went_is_tested_on(tmp_path: Path, split: dict[str, Any]) -> None:
    config = ExtractConfig.model_validate({"split": {**split, "validation_fraction": 0}})
    knowledge = tmp_path / "knowledge"
    extract(_raw(tmp_path / "raw"), knowledge, config)
    dropped = [json.loads(line)["id"] for line in (knowledge / "dropped.jsonl").read_text("utf-8").splitlines()]
    assert dropped == ["d1"]
    twins = [json.loads(line) for line in (knowledge / "duplicates.jsonl").read_text("utf-8").splitlines()]
    assert twins == [{"id": "d3", "first": "d2"}]
    intent = {"labels": [{"activity": "登记意图", "attribute": "intent"}], "min_cases": 1}
    manifest = build(
        knowledge, tmp_path / "dataset", BuildConfig.model_validate({"tasks": ["intent"], "intent": intent})
    )
    assert manifest.counts["dropped"] == {"intent: from a near duplicate of another dialogue": 1}
    tested = read_examples(tmp_path / "dataset" / "test.parquet")
    assert [row.group for row in tested] == ["cd2"]
