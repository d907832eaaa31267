"""The clean chain: what a person finds in its artefact, whoever ran it and whatever was killed on the way."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_recipes.cleaning.alignment import from_list
from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.executors import ExecutorConfig, run_phases
from data_recipes.cleaning.phases import phases
from data_recipes.cleaning.run import FILES, clean, prepare, workspace
from data_recipes.config import ExtractConfig
from data_recipes.errors import DataError
from tests.conftest import REPOSITORY
from tianjing.files import sha256_file
from tianjing.lineage import read_manifest

IDENTITY = ExtractConfig().identity_fields


def dialogue(identity: str, *texts: str, customer: str = "c1", **more: Any) -> dict[str, Any]:
    """A dialogue in which the customer speaks first."""
    turns = [{"speaker": ("customer", "agent")[i % 2], "text": text} for i, text in enumerate(texts)]
    head = {"id": identity, "customer": customer, "agent": "a1", "channel": "phone"}
    return {**head, "started_at": "2026-03-02T10:00:00+08:00", "turns": turns, **more}


def write(folder: Path, **tables: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for name, rows in tables.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def run(raw: Path, out: Path, config: CleanConfig | None = None, on_error: Any = "skip") -> Path:
    clean(raw, out, config or CleanConfig(), IDENTITY, on_error)
    return out


QUESTION = "我想问一下上个月的账单为什么多出来一笔费用，是不是算错了"
ANSWER = "您好，这笔是逾期产生的罚息，按合同约定的利率逐日计收，我给您逐项核对一下"


def test_a_dialogue_comes_out_clean_with_a_trail_to_each_raw_turn(tmp_path: Path) -> None:
    said = ["嗯，我我叫王建国，手机是１３８１２３４５６７８，想问上个月的账单", ANSWER]
    raw = write(
        tmp_path / "raw",
        dialogues=[dialogue("d1", *said)],
        customers=[{"customer": "c1", "name": "王建国", "mobile": "13812345678"}],
        events=[{"case": "d1", "at": "2026-03-02T10:01:00+08:00", "actor": "a1", "activity": "备注",
                 "attributes": {"note": "王建国来电"}}],
        outcomes=[{"case": "d1", "name": "csat", "value": 5}],
    )  # fmt: skip
    out = run(raw, tmp_path / "out")
    text = read(out, "dialogues")[0]["turns"][0]["text"]
    assert text == "我叫〔姓名1〕，手机是〔手机1〕，想问上个月的账单"
    assert read(out, "events")[0]["attributes"] == {"note": "〔姓名1〕来电"}
    assert read(out, "outcomes")[0]["value"] == 5
    trail = read(out, "trail")[0]
    with open(raw / trail["file"], "rb") as stream:
        stream.seek(trail["offset"])
        source = json.loads(stream.read(trail["bytes"]))
    assert source["id"] == trail["id"] == "d1" and trail["line"] == 1
    aligned = from_list(text, trail["edits"]["0"])
    place = text.index("〔手机1〕")
    start, end = aligned.raw_span(place, place + len("〔手机1〕"))
    assert source["turns"][0]["text"][start:end] == "１３８１２３４５６７８"


def test_nothing_goes_without_a_reason_and_what_goes_stays_readable(tmp_path: Path) -> None:
    raw = write(
        tmp_path / "raw",
        dialogues=[
            dialogue("d1", QUESTION, ANSWER),
            dialogue("d2", QUESTION, ANSWER),
            dialogue("d3", "喂", "喂"),
            dialogue("d4", "hello I would like to ask about my bill please", "sure let me have a look at it for you"),
            dialogue("d1", QUESTION, ANSWER, "那好吧谢谢你了"),
        ],
        outcomes=[{"case": f"d{n}", "name": "csat", "value": 5} for n in range(1, 5)],
    )
    with open(raw / "dialogues.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"id": "d6"\n')
    out = run(raw, tmp_path / "out")
    assert [row["id"] for row in read(out, "dialogues")] == ["d1"]
    reasons = {row["id"]: row["reason"] for row in read(out, "dropped")}
    assert reasons["d2"] == "dialogue repeated word for word" and reasons["d4"] == "language: en"
    assert reasons["d3"].startswith("quality: too few characters")
    assert read(out, "dropped")[0]["dialogue"]["turns"][0]["text"] == QUESTION
    rejected = {row["line"]: row for row in read(out, "rejected")}
    assert "broken JSON" in rejected[6]["error"] and rejected[6]["text"] == '{"id": "d6"'
    assert "'d1' already stands on line 1" in rejected[5]["error"] and "谢谢你了" in rejected[5]["text"]
    assert [row["case"] for row in read(out, "outcomes")] == ["d1"]
    counts = read_manifest(out).counts
    assert counts["read dialogues"] == 5 and counts["kept"] == 1
    assert sum(counts["dropped"].values()) == 3  # type: ignore[union-attr]


def test_a_near_duplicate_is_kept_and_told_of_its_first(tmp_path: Path) -> None:
    changed = ANSWER.replace("核对一下", "核对一遍")
    rows = [dialogue("d1", QUESTION, ANSWER), dialogue("d2", QUESTION, changed, customer="c2")]
    out = run(write(tmp_path / "raw", dialogues=rows), tmp_path / "out")
    assert [row["id"] for row in read(out, "dialogues")] == ["d1", "d2"]
    assert read(out, "duplicates") == [{"id": "d2", "first": "d1"}]


def test_a_breach_is_quarantined_with_its_rule_and_its_dialogue_stays(tmp_path: Path) -> None:
    threat = "王建国你今天再不还钱，我们就上门砸了你家"
    rows = [dialogue("d1", "我这个月确实还不上，能不能缓几天再还", threat)]
    customers = [{"customer": "c1", "name": "王建国"}]
    out = run(write(tmp_path / "raw", dialogues=rows, customers=customers), tmp_path / "out")
    found = read(out, "quarantine")
    assert {row["turn"] for row in found} == {1} and "collect.threat.violence" in {row["rule"] for row in found}
    text = read(out, "dialogues")[0]["turns"][1]["text"]
    assert all(row["evidence"] and row["evidence"] in text for row in found)
    assert "王建国" not in (out / "quarantine.jsonl").read_text("utf-8")


def test_a_copy_of_an_evaluation_item_is_dropped_with_the_name_of_its_set(tmp_path: Path) -> None:
    item = {"question": QUESTION.replace("上个月", "4月份"), "answer": ANSWER}
    other = dialogue("d2", "我想改一下扣款的银行卡", "可以的，请您在应用里点我的银行卡，按提示更换就行")
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER), other])
    (raw / "exam.jsonl").write_text(json.dumps(item, ensure_ascii=False) + "\n", encoding="utf-8")
    config = CleanConfig.model_validate({"decontaminate": {"sets": [{"name": "exam", "path": "exam.jsonl"}]}})
    out = run(raw, tmp_path / "out", config)
    assert [row["id"] for row in read(out, "dialogues")] == ["d2"]
    assert read(out, "dropped")[0]["reason"] == "holds an item of the evaluation set exam"


def test_events_of_cases_without_a_dialogue_are_redacted_by_themselves(tmp_path: Path) -> None:
    event = {"case": "b7", "at": "2026-03-02T10:01:00+08:00", "actor": "a1", "activity": "外呼",
             "attributes": {"note": "打给13912345678无人接听", "n": 1}}  # fmt: skip
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER)], events=[event])
    assert read(run(raw, tmp_path / "out"), "events")[0]["attributes"] == {"note": "打给〔手机1〕无人接听", "n": 1}


def test_an_activity_that_names_somebody_is_redacted_with_the_placeholders_of_its_case(tmp_path: Path) -> None:
    def event(case: str, activity: str, **attributes: Any) -> dict[str, Any]:
        head = {"case": case, "at": "2026-03-02T10:01:00+08:00", "actor": "a1", "activity": activity}
        return {**head, "attributes": attributes}

    said = "我叫王建国，手机是13812345678，想问上个月的账单"
    raw = write(
        tmp_path / "raw",
        dialogues=[dialogue("d1", said, ANSWER)],
        customers=[{"customer": "c1", "name": "王建国", "mobile": "13812345678"}],
        events=[
            event("d1", "外呼13912345678王建国"),
            event("d1", "回拨", phone=13812345678),
            event("b7", "外呼13812345678", phone=13812345678),
            event("b7", '短信"13812345678"'),
        ],
    )
    found = [(row["activity"], row["attributes"]) for row in read(run(raw, tmp_path / "out"), "events")]
    assert found == [
        ("外呼〔手机2〕〔姓名1〕", {}),
        ("回拨", {"phone": "〔手机1〕"}),
        ("外呼〔手机1〕", {"phone": "〔手机1〕"}),
        ('短信"〔手机1〕"', {}),
    ]


def test_a_folder_without_dialogues_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dialogues here"):
        run(write(tmp_path / "raw", outcomes=[{"case": "x", "name": "csat", "value": 5}]), tmp_path / "out")


def test_slurm_without_a_partition_names_the_option(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER)])
    with pytest.raises(DataError, match="slurm_partition"):
        clean(raw, tmp_path / "out", CleanConfig(), IDENTITY, "stop", ExecutorConfig(kind="slurm"))


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in FILES}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough for several shards of one MiB, so that worker processes have something to share."""
    raw = tmp_path_factory.mktemp("corpus") / "raw"
    raw.mkdir()
    names = ("dialogues", "events", "outcomes", "customers")
    with open(REPOSITORY / "examples" / "raw" / "dialogues.jsonl", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    with open(raw / "dialogues.jsonl", "w", encoding="utf-8") as stream:
        for copy in range(5):
            for row in rows:
                identity = row["id"] if copy == 0 else f"{row['id']}x{copy}"
                stream.write(json.dumps({**row, "id": identity, "customer": f"{row['customer']}-{copy}"}) + "\n")
    for name in names[1:]:
        os.link(REPOSITORY / "examples" / "raw" / f"{name}.jsonl", raw / f"{name}.jsonl")
    return raw


SMALL_SHARDS = CleanConfig(shard_mib=1)


@pytest.fixture(scope="module")
def expected(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one worker writes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    clean(corpus, out, SMALL_SHARDS, IDENTITY, "stop", ExecutorConfig(workers=1))
    return digests(out)


def _children(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                yield int(entry.name)


def _workers(pid: int) -> list[int]:
    """The pool's processes: children of the fork server, which is a child of the command."""
    return [worker for server in _children(pid) for worker in _children(server)]


@pytest.mark.slow
def test_workers_killed_in_the_middle_and_a_killed_command_change_no_byte(
    corpus: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "extract.yaml"
    config.write_text("clean: {shard_mib: 1}\n", encoding="utf-8")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tianjing", "data", "clean", str(corpus), "--out", str(out)]
    command += ["--config", str(config), "--workers", "2"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL, start_new_session=True)

    def wait_for(shards: int) -> None:
        deadline = time.monotonic() + 240
        while len(list((tmp_path / ".out.work" / "clean").glob("[0-9]*"))) < shards:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)

    process = start()
    wait_for(1)
    killed = _workers(process.pid)[:2]
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    wait_for(3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(killed) == 2 and not out.exists()
    process = start()
    assert process.wait(timeout=300) == 0
    assert digests(out) == expected
    assert not (tmp_path / ".out.work").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["datatrove", "ray"])
def test_datatrove_and_ray_write_the_same_bytes(
    corpus: Path, expected: dict[str, str], tmp_path: Path, kind: Any
) -> None:
    out = tmp_path / "out"
    clean(corpus, out, SMALL_SHARDS, IDENTITY, "stop", ExecutorConfig(kind=kind, workers=2))
    assert digests(out) == expected


def test_the_plan_does_not_depend_on_workers_but_on_the_material(corpus: Path, tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER)])
    work = workspace(tmp_path / "out")
    first = prepare(raw, work, CleanConfig(), IDENTITY, "stop", lambda step: None)
    run_phases(work, phases(first)[:3], ExecutorConfig(workers=1))
    assert work.open_tasks(phases(first)[2]) == []
    with open(raw / "dialogues.jsonl", "a", encoding="utf-8") as stream:
        stream.write(json.dumps(dialogue("d2", ANSWER, QUESTION)) + "\n")
    changed = prepare(raw, work, CleanConfig(), IDENTITY, "stop", lambda step: None)
    assert work.open_tasks(phases(changed)[2]) == [0]


@pytest.mark.parametrize("what", ["evaluation set", "rule pack"])
def test_a_run_that_goes_on_reads_an_evaluation_set_or_pack_that_has_changed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER)])
    exam, pack = raw / "exam.jsonl", tmp_path / "pack.yaml"
    config = CleanConfig.model_validate(
        {
            "decontaminate": {"sets": [{"name": "exam", "path": exam.name}]},
            "rulebook": {"packs": [str(pack)]},
        }
    )

    def give(question: str, forbidden: str) -> None:
        exam.write_text(json.dumps({"question": question, "answer": ""}), encoding="utf-8")
        rule = {
            "id": "own.word",
            "title": "不说的话",
            "topic": "other",
            "source": "内部规定",
            "obligation": "不要对客户这样说话",
            "strength": "internal",
            "effective_from": "2020-01-01",
            "severity": "medium",
            "verified": False,
            "check": {"kind": "phrase", "patterns": [forbidden]},
            "action": "warn",
        }
        made = {"pack": "own", "title": "本公司", "rules": [rule]}
        pack.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")

    other = ("今天的天气怎么样，适合出去旅游吗", "绝不可能")
    give(*other)

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("data_recipes.cleaning.run.gather", killed)
        with pytest.raises(KeyboardInterrupt):
            run(raw, tmp_path / "out", config)
    give(*((QUESTION, other[1]) if what == "evaluation set" else (other[0], "逐日计收")))
    out = run(raw, tmp_path / "out", config)
    found = {row["rule"] for row in read(out, "quarantine")}
    dropped = [row["reason"] for row in read(out, "dropped")]
    if what == "evaluation set":
        assert (found, dropped) == (set(), ["holds an item of the evaluation set exam"])
    else:
        assert (found, dropped) == ({"own.word"}, [])


def test_a_run_that_goes_on_in_another_version_of_the_package_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER)])
    work = workspace(tmp_path / "out")
    plan = prepare(raw, work, CleanConfig(), IDENTITY, "stop", lambda step: None)
    run_phases(work, phases(plan)[:3], ExecutorConfig(workers=1))
    prepare(raw, work, CleanConfig(), IDENTITY, "stop", lambda step: None)
    assert work.open_tasks(phases(plan)[2]) == []
    monkeypatch.setattr("data_recipes.cleaning.plan.__version__", "99")
    prepare(raw, work, CleanConfig(), IDENTITY, "stop", lambda step: None)
    assert work.open_tasks(phases(plan)[2]) == [0]


def test_what_no_later_phase_reads_is_gone_when_the_result_is_gathered(
    corpus: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    work = workspace(out)
    plan = prepare(corpus, work, SMALL_SHARDS, IDENTITY, "stop", lambda step: None)
    every = phases(plan)
    for number, phase in enumerate(every, start=1):
        run_phases(work, every[:number], ExecutorConfig(workers=1))
        if phase.name == "free-cleaned":
            # Killed while it gives back room, it goes on.
            os.rmdir(work.folder(phase.name))
    lines = [path for path in work.root.rglob("*.jsonl") if path.stat().st_size]
    assert {path.relative_to(work.root).parts[0] for path in lines} <= {"ingest", "join", "finish", "rest"}
    assert not list(work.root.rglob("rows*"))
    clean(corpus, out, SMALL_SHARDS, IDENTITY, "stop")
    assert digests(out) == expected


def test_a_full_disk_is_an_error_with_a_remedy_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write(tmp_path / "raw", dialogues=[dialogue("d1", QUESTION, ANSWER)])

    def full(path: Path, array: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("data_recipes.cleaning.phases.np.save", full)
        with pytest.raises(DataError, match="No space left") as caught:
            run(raw, tmp_path / "out")
    assert "goes on where it stopped" in caught.value.remedy and not (tmp_path / "out").exists()
    assert read(run(raw, tmp_path / "out"), "dialogues")[0]["id"] == "d1"
