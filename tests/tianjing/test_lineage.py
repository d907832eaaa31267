"""Artefacts are whole or absent, any change is found, and a release cannot be forged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from tianjing.errors import TianjingError
from tianjing.lineage import (
    LineageError,
    artefact,
    artefact_digest,
    default_key_path,
    keygen,
    read_manifest,
    sign_release,
    verify,
    verify_chain,
    verify_release,
)
from tianjing.lineage.cli import app
from tianjing.lineage.manifest import MANIFEST

run = CliRunner().invoke


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    (folder / "rules").mkdir(parents=True)
    (folder / "dialogues.jsonl").write_text('{"id": "d1"}\n{"id": "d2"}\n', encoding="utf-8")
    (folder / "rules" / "办法.md").write_text("第一条 为了规范管理。\n", encoding="utf-8")
    return folder


def write_knowledge(path: Path, raw: Path, text: str = "第一条") -> Path:
    with artefact(path, kind="knowledge", inputs=[raw], parameters={"min_support": 5}) as work:
        (work.dir / "clauses.jsonl").write_text(f'{{"text": "{text}"}}\n' * 3, encoding="utf-8")
        pyarrow.parquet.write_table(pyarrow.table({"x": [1, 2]}), work.dir / "x.parquet")
        (work.dir / "deep").mkdir()
        (work.dir / "deep" / "note.txt").write_text("备注", encoding="utf-8")
        work.count("read", 4)
        work.count("read")
        work.drop("empty", 2)
        work.drop("empty")
    return path


def write_dataset(path: Path, knowledge: Path) -> Path:
    with artefact(path, kind="dataset", inputs=[knowledge]) as work:
        (work.dir / "train.jsonl").write_text("{}\n", encoding="utf-8")
    return path


def test_manifest_says_what_was_read_written_and_dropped(tmp_path: Path, raw: Path) -> None:
    manifest = read_manifest(write_knowledge(tmp_path / "knowledge", raw))
    assert manifest.inputs[0].path == "../raw"
    assert {f.path: f.rows for f in manifest.files} == {"clauses.jsonl": 3, "deep/note.txt": None, "x.parquet": 2}
    assert manifest.counts == {"read": 5, "dropped": {"empty": 3}}
    assert manifest.versions["pydantic"]
    assert manifest.compute.cores >= 1
    assert manifest.compute.memory_bytes > 2**28


@pytest.mark.parametrize("name", ["created", "counts", "versions", "compute"])
def test_a_change_of_what_the_manifest_only_tells_is_found(tmp_path: Path, raw: Path, name: str) -> None:
    folder = write_knowledge(tmp_path / "knowledge", raw)
    written = json.loads((folder / MANIFEST).read_text())
    changed = {
        "created": "2020-01-01T00:00:00Z",
        "counts": {"read": 9},
        "versions": {},
        "compute": {**written["compute"], "cores": 999},
    }
    (folder / MANIFEST).write_text(json.dumps({**written, name: changed[name]}))
    assert [line.split(": ")[1] for line in verify(folder)] == ["changed"]


def test_last_line_without_newline_is_a_row(tmp_path: Path) -> None:
    with artefact(tmp_path / "a", kind="x") as work:
        (work.dir / "open.jsonl").write_text("{}\n{}")
        (work.dir / "empty.jsonl").write_text("")
    assert [f.rows for f in read_manifest(tmp_path / "a").files] == [0, 2]


def test_same_work_elsewhere_and_later_has_the_same_digest(tmp_path: Path, raw: Path) -> None:
    here = write_knowledge(tmp_path / "knowledge", raw)
    shutil.copytree(raw, tmp_path / "other" / "material")
    there = write_knowledge(tmp_path / "other" / "out", tmp_path / "other" / "material")
    assert artefact_digest(here) == artefact_digest(there)
    assert artefact_digest(write_knowledge(tmp_path / "changed", raw, "第二条")) != artefact_digest(here)


def test_digest_follows_parameters_and_inputs(tmp_path: Path, raw: Path) -> None:
    digests = set()
    for name, parameters in (("a", {"k": 1}), ("b", {"k": 2})):
        with artefact(tmp_path / name, kind="x", inputs=[raw], parameters=parameters):
            pass
        digests.add(artefact_digest(tmp_path / name))
    (raw / "rules" / "办法.md").write_text("第一条 改。\n", encoding="utf-8")
    with artefact(tmp_path / "c", kind="x", inputs=[raw], parameters={"k": 1}):
        pass
    digests.add(artefact_digest(tmp_path / "c"))
    assert len(digests) == 3


def test_plain_folder_digest_sees_names_and_bytes_but_not_hidden_notes(raw: Path) -> None:
    first = artefact_digest(raw)
    (raw / ".cache").mkdir()
    (raw / ".cache" / "fetched").write_text("today")
    assert artefact_digest(raw) == first
    (raw / "dialogues.jsonl").rename(raw / "dialogues2.jsonl")
    assert artefact_digest(raw) != first


def test_a_linked_folder_of_raw_material_is_digested_like_a_copy_of_it(tmp_path: Path, raw: Path) -> None:
    expected = artefact_digest(raw)
    (raw / "rules").rename(tmp_path / "shared")
    (raw / "rules").symlink_to(tmp_path / "shared")
    assert artefact_digest(raw) == expected
    (tmp_path / "shared" / "办法.md").write_text("第一条 改。\n", encoding="utf-8")
    assert artefact_digest(raw) != expected


def test_links_that_lead_in_a_circle_end(tmp_path: Path, raw: Path) -> None:
    expected = artefact_digest(raw)
    (raw / "rules" / "up").symlink_to(raw)
    assert artefact_digest(raw) == expected


def test_foreign_manifest_json_is_just_a_file(raw: Path) -> None:
    before = artefact_digest(raw)
    (raw / "manifest.json").write_text('{"name": "a web page"}')
    assert artefact_digest(raw) != before


def test_failure_leaves_neither_half_artefact_nor_temporary(tmp_path: Path, raw: Path) -> None:
    knowledge = write_knowledge(tmp_path / "knowledge", raw)
    before = artefact_digest(knowledge)
    for exception in (ValueError, KeyboardInterrupt):
        with pytest.raises(exception), artefact(knowledge, kind="knowledge") as work:
            (work.dir / "half.jsonl").write_text("{}")
            raise exception
    assert artefact_digest(knowledge) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["knowledge", "raw"]


def test_success_replaces_the_old_artefact_whole(tmp_path: Path, raw: Path) -> None:
    knowledge = write_knowledge(tmp_path / "knowledge", raw)
    with artefact(knowledge, kind="knowledge") as work:
        assert (knowledge / "clauses.jsonl").exists(), "the old one stays until the new one is finished"
        (work.dir / "only.txt").write_text("neu")
    assert sorted(p.name for p in knowledge.iterdir()) == ["manifest.json", "only.txt"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["knowledge", "raw"]


@pytest.mark.parametrize("case", ["users_folder", "file", "other_kind", "own_input"])
def test_refuses_to_replace_what_it_did_not_write(tmp_path: Path, raw: Path, case: str) -> None:
    target, inputs = tmp_path / "target", []
    if case == "users_folder":
        target.mkdir()
        (target / "thesis.docx").write_text("precious")
    elif case == "file":
        target.write_text("precious")
    elif case == "other_kind":
        write_dataset(target, raw)
    else:
        write_knowledge(target, raw)
        inputs = [target]
    before = artefact_digest(target)
    with pytest.raises(LineageError, match="target"), artefact(target, kind="knowledge", inputs=inputs):
        pytest.fail("the stage must not even start")
    assert artefact_digest(target) == before


CHILD = """
import sys, time
from pathlib import Path
from tianjing.lineage import artefact
with artefact(Path(sys.argv[1]), kind="knowledge") as work:
    (work.dir / "half.jsonl").write_text("{}")
    print("writing", flush=True)
    time.sleep(60)
"""


def start_writer(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    return child


def test_kill_leaves_nothing_after_the_next_run_and_two_writers_exclude_each_other(tmp_path: Path, raw: Path) -> None:
    target = tmp_path / "knowledge"
    child = start_writer(target)
    try:
        with pytest.raises(LineageError, match=f"process {child.pid} is writing"), artefact(target, kind="knowledge"):
            pytest.fail("must not start")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert not target.exists(), "a killed stage leaves no half artefact"
    assert (tmp_path / f".knowledge.{child.pid}.tmp").exists()
    write_knowledge(target, raw)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["knowledge", "raw"]


def test_kill_between_the_two_renames_keeps_the_old_artefact(tmp_path: Path, raw: Path) -> None:
    knowledge = write_knowledge(tmp_path / "knowledge", raw)
    digest = artefact_digest(knowledge)
    knowledge.rename(tmp_path / ".knowledge.4242.old")
    with pytest.raises(ZeroDivisionError), artefact(knowledge, kind="knowledge"):
        raise ZeroDivisionError
    assert artefact_digest(knowledge) == digest


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_full_disk_names_the_path_and_the_remedy(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(TianjingError) as caught, artefact(tmp_path / "merged", kind="merged"):
        raise error
    assert str(tmp_path / "merged") in caught.value.message
    assert "disk is full" in caught.value.message
    assert "free space" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_missing_input_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(LineageError, match="nowhere"), artefact(tmp_path / "a", "x", inputs=[tmp_path / "nowhere"]):
        pytest.fail("must not start")


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lower_min_support(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace('"min_support": 5', '"min_support": 1'))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: flip_byte(d / "clauses.jsonl"), "clauses.jsonl: changed"),
        (lambda d: (d / "deep" / "note.txt").unlink(), "note.txt: missing"),
        (lambda d: (d / "deep" / "new.txt").write_text("x"), "new.txt: extra"),
        (lambda d: (d / "deep" / "linked").symlink_to(d.parent), "linked: extra"),
        (lambda d: lower_min_support(d / "manifest.json"), "manifest.json: changed"),
    ],
)
def test_verify_finds_every_kind_of_change(tmp_path: Path, raw: Path, damage: Any, said: str) -> None:
    knowledge = write_knowledge(tmp_path / "knowledge", raw)
    assert verify(knowledge) == []
    good = run(app, ["verify", str(knowledge)])
    assert good.exit_code == 0, good.output
    damage(knowledge)
    found = verify(knowledge)
    assert len(found) == 1
    assert said in found[0]
    bad = run(app, ["verify", str(knowledge)])
    assert bad.exit_code == 1
    assert said in bad.output


def test_verify_walks_the_chain_down_to_the_raw_files(tmp_path: Path, raw: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", write_knowledge(tmp_path / "knowledge", raw))
    assert run(app, ["verify", str(dataset)]).exit_code == 0
    flip_byte(raw / "dialogues.jsonl")
    deep = run(app, ["verify", str(dataset)])
    assert deep.exit_code == 1
    assert "is not what" in deep.output
    assert run(app, ["verify", "--here", str(dataset)]).exit_code == 0


def test_verify_notices_that_an_input_was_made_again_differently(tmp_path: Path, raw: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", write_knowledge(tmp_path / "knowledge", raw))
    write_knowledge(tmp_path / "knowledge", raw, "改了")
    assert any("is not what" in line for line in verify_chain(dataset).differences)


def test_a_run_folder_may_be_moved_and_absent_inputs_are_told(tmp_path: Path, raw: Path) -> None:
    runs = tmp_path / "runs"
    write_dataset(runs / "dataset", write_knowledge(runs / "knowledge", raw))
    runs.rename(tmp_path / "archive")
    assert verify_chain(tmp_path / "archive" / "dataset").artefacts == 2
    shutil.rmtree(raw)
    report = verify_chain(tmp_path / "archive" / "dataset")
    assert report.differences == []
    assert len(report.absent) == 1
    result = run(app, ["verify", str(tmp_path / "archive" / "dataset")])
    assert result.exit_code == 0
    assert "not checked" in result.output


def test_show_walks_back_to_the_raw_files(tmp_path: Path, raw: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", write_knowledge(tmp_path / "knowledge", raw))
    shown = run(app, ["show", str(dataset)]).output
    assert shown.index("dataset") < shown.index("knowledge") < shown.index("found")
    assert "dropped 3 empty" in shown
    write_knowledge(tmp_path / "knowledge", raw, "改了")
    shutil.rmtree(raw)
    shown = run(app, ["show", str(dataset)]).output
    assert "no longer the one that was read" in shown
    assert "missing" in shown


def test_commands_have_help_with_an_example() -> None:
    for command in ("show", "verify", "keygen", "sign"):
        result = run(app, [command, "--help"])
        assert result.exit_code == 0
        assert f"Example: tianjing lineage {command}" in result.output


def test_a_folder_that_is_no_artefact_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(LineageError) as caught:
        verify(tmp_path)
    assert caught.value.remedy


# ---- releases


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def release_body(days: int = 30) -> dict[str, Any]:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    parts = ("base", "adapter", "merged", "dataset", "evaluation", "policy")
    return {
        "kind": "release",
        "schema_version": 1,
        **{part: f"{i}" * 64 for i, part in enumerate(parts)},
        "verdict": "promote",
        "reasons": ["两项任务显著提升"],
        "temperature": 0.3,
        "created": now.isoformat(),
        "expires": (now + timedelta(days=days)).isoformat(),
    }


def write_release(path: Path, key: Path | None = None, days: int = 30) -> Path:
    path.write_text(json.dumps(sign_release(release_body(days), key), ensure_ascii=False), encoding="utf-8")
    return path


def test_private_key_is_the_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "release.pem"
    assert run(app, ["keygen", str(key)]).exit_code == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE" in key.read_bytes()
    assert b"PRIVATE" not in key.with_suffix(".pub").read_bytes()
    before = key.read_bytes()
    with pytest.raises(LineageError, match="not overwritten"):
        keygen(key)
    assert key.read_bytes() == before


def test_signed_release_is_verified_by_its_own_signer(tmp_path: Path, cache: Path) -> None:
    release = verify_release(write_release(tmp_path / "release.json"))
    assert release.verdict == "promote"
    assert default_key_path() == cache / "keys" / "release.pem"
    assert default_key_path().exists()


@pytest.mark.parametrize("field", ["merged", "verdict", "reasons", "expires", "signature", "public_key"])
def test_any_change_to_a_release_is_found(tmp_path: Path, cache: Path, field: str) -> None:
    path = tmp_path / "release.json"
    body = sign_release({**release_body(), "verdict": "block"})
    other = {"verdict": "promote", "reasons": [], "expires": "2099-01-01T00:00:00Z"}
    body[field] = other.get(field) or (
        [] if field == "reasons" else body[field].translate({ord("0"): "1", ord("2"): "3"})
    )
    path.write_text(json.dumps(body))
    with pytest.raises(LineageError):
        verify_release(path)
    result = run(app, ["verify", str(path)])
    assert result.exit_code == 1


def test_a_forger_with_another_key_is_not_trusted(tmp_path: Path, cache: Path) -> None:
    forger, signer = tmp_path / "forger.pem", tmp_path / "trusted" / "signer.pem"
    keygen(forger)
    keygen(signer)
    write_release(tmp_path / "own.json")
    forged = write_release(tmp_path / "forged.json", forger)
    with pytest.raises(LineageError, match="unknown key"):
        verify_release(forged)
    with pytest.raises(LineageError, match="unknown key"):
        verify_release(forged, trusted=signer.parent)
    assert verify_release(write_release(tmp_path / "good.json", signer), trusted=signer.parent).verdict == "promote"
    assert verify_release(forged, trusted=forger.with_suffix(".pub")).verdict == "promote"


def test_expiry_is_told_apart_from_a_bad_signature(tmp_path: Path, cache: Path) -> None:
    path = write_release(tmp_path / "release.json", days=1)
    inside, after = datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC)
    release = verify_release(path)
    assert not release.expired(inside)
    assert release.expired(after)
    assert verify_release(path, now=inside) == release
    with pytest.raises(LineageError, match="expired at"):
        verify_release(path, now=after)


def test_sign_command_signs_in_place_and_verify_accepts(tmp_path: Path, cache: Path) -> None:
    key, path = tmp_path / "k.pem", tmp_path / "release.json"
    keygen(key)
    path.write_text(json.dumps(release_body(days=36500)))
    assert run(app, ["sign", str(path), "--key", str(key)]).exit_code == 0
    result = run(app, ["verify", str(path), "--trusted", str(key.with_suffix(".pub"))])
    assert result.exit_code == 0, result.output
    assert "promote" in result.output


def test_a_release_with_a_wrong_field_is_not_signed(cache: Path) -> None:
    with pytest.raises(LineageError, match="merged"):
        sign_release({**release_body(), "merged": "not a digest"})
    with pytest.raises(LineageError, match="expires"):
        sign_release(release_body(days=0))


def test_lineage_help_loads_no_heavy_library() -> None:
    code = "import sys, tianjing.lineage.cli; print(sorted({'torch', 'vllm', 'pyarrow'} & set(sys.modules)))"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - began < 5
