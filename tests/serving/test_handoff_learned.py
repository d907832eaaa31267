"""What the learned part tells where no pattern was written, and what becomes of a broken file of weights."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from serving.errors import ServeError
from serving.handoff import signals
from serving.handoff.desk import Talk
from serving.handoff.local import LocalDesk
from serving.handoff.settings import HandoffSettings
from serving.handoff.signals import detection
from serving.handoff.signals.learned import COLUMNS, WEIGHTS, learned
from serving.handoff.sqlite import CaseQueue

# None of these is among the sentences that it was fitted on, and no pattern finds their kind.
UNFORESEEN = [
    ("self_harm", "我跟孩子说爸爸要去很远的地方，药就在手边，今晚吃下去就不用醒了"),
    ("fraud", "有个自称专员的人让我先交一笔解冻金，交完就把我拉黑了"),
    ("third_party", "我就是他以前的房东，你们老给我打电话催他干什么"),
    ("complaint", "这件事我要写信告诉主管部门，材料齐全"),
    ("dispute", "合同明明是两年，你们系统里给我排了三年"),
    ("hardship", "脚手架上摔下来，腰椎断了，躺了三个月没挣到钱"),
    ("human_wanted", "我眼睛花看不清字，麻烦找个姑娘打电话跟我讲"),
]
ORDINARY = [
    "提前一天还会收违约金吗",
    "我想把还款日改到每月二十号",
    "这个月账单什么时候出来",
    "为什么放款比申请的少",
    "上次的问题已经处理好了，谢谢，今天想问额度",
    "请问结清证明在哪里下载",
]


@pytest.mark.parametrize(("kind", "text"), UNFORESEEN)
def test_words_that_no_pattern_foresaw_go_to_a_person(kind: str, text: str) -> None:
    assert kind not in [signal.kind for signal in signals.detect(text, margin=None)]
    assert kind in [signal.kind for signal in signals.detect(text)]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_questions_stay_with_the_model(text: str) -> None:
    assert signals.detect(text) == ()


def test_script_and_dialect_make_no_difference() -> None:
    assert [signal.kind for signal in signals.detect("我要投訴你哋")] == ["complaint"]
    assert [signal.kind for signal in signals.detect("唔該轉真人客服")] == ["human_wanted"]


def test_talk_of_dying_within_a_long_story_is_heard() -> None:
    story = "我想问一下这个月账单的明细在哪里看。" * 60
    assert "self_harm" in [signal.kind for signal in signals.detect(story + UNFORESEEN[0][1] + story)]


def test_no_margin_silences_talk_of_dying() -> None:
    kind, text = UNFORESEEN[0]
    assert [signal.kind for signal in signals.detect(text, margin=5)] == [kind]


def test_plain_words_are_never_taken_back() -> None:
    ordinary = "谢谢，我想问一下提前还款的手续费怎么收，账单什么时候出来。"
    assert "human_wanted" in [signal.kind for signal in signals.detect(ordinary + "转人工")]


def test_the_operator_can_leave_it_out_or_ask_for_more(tmp_path: Path) -> None:
    async def asked(learned_part: dict[str, object]) -> bool:
        desk = LocalDesk(
            CaseQueue(tmp_path / "cases.sqlite"), HandoffSettings.model_validate({"learned": learned_part})
        )
        await desk.open()
        text = UNFORESEEN[1][1]
        takeover = await desk.before(Talk("acme", str(learned_part), text, (("user", text),)))
        await desk.close()
        return takeover is not None

    assert asyncio.run(asked({}))
    assert not asyncio.run(asked({"enabled": False}))
    assert not asyncio.run(asked({"margin": 5}))


def _broken() -> dict[str, bytes]:
    fields = json.loads(WEIGHTS.read_bytes())
    changed = {
        "other_columns": {"columns": ["complaint"]},
        "other_format": {"format": 2},
        "short": {"levels": fields["levels"][: len(fields["levels"]) // 8 * 4]},
        "no_threshold": {"say": [None] * len(COLUMNS)},
        "not_base64": {"levels": "?" * 8},
        "twice": {
            "features": fields["features"].replace(" ", " ", 1).rsplit(" ", 1)[0]
            + " "
            + fields["features"].split(" ")[0]
        },
    }
    files = {name: json.dumps(fields | change).encode() for name, change in changed.items()}
    return files | {"cut_off": WEIGHTS.read_bytes()[:1000], "empty": b"", "list": b"[]"}


@pytest.mark.parametrize("name", [*_broken(), "missing"])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.json"
    if name != "missing":
        path.write_bytes(_broken()[name])
    with pytest.raises(ServeError, match=path.name):
        learned(path)


def test_a_desk_with_broken_weights_does_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "learned", lambda: learned(tmp_path / "gone.json"))
    with pytest.raises(ServeError, match=r"gone\.json"):
        asyncio.run(LocalDesk(CaseQueue(tmp_path / "cases.sqlite")).open())


def test_the_policy_covers_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signals.policy()
    fields = json.loads(WEIGHTS.read_bytes())
    fields["say"][0] += 0.5
    (tmp_path / "weights.json").write_text(json.dumps(fields), encoding="utf-8")
    monkeypatch.setattr(detection, "learned", lambda: learned(tmp_path / "weights.json"))
    assert signals.policy() != before
