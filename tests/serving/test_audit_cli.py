"""`tianjing audit` as an operator or an auditor uses it."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from serving.audit.base import Accepted, Closed
from serving.audit.cli import app
from serving.audit.keeper import TextVault
from serving.audit.log import AuditLog
from serving.audit.settings import AuditSettings, VaultSettings
from tianjing.errors import TianjingError


def tianjing_audit(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Four requests of two tenants, one blocked; the raw texts of one customer in the vault."""

    async def run() -> None:
        settings = AuditSettings.model_validate(
            {"instance": "gateway-0", "anchor": {"file": tmp_path / "anchor.jsonl"}}
        )
        log = AuditLog(settings, tmp_path)
        vault = TextVault(VaultSettings(), tmp_path, log.note)
        await log.open()
        await vault.open()
        for number, (tenant, verdict) in enumerate(
            [("acme", "allow"), ("acme", "block"), ("other", "allow"), ("acme", "allow")]
        ):
            customer = f"C-{number}"
            await log.accepted(
                Accepted(
                    f"r{number}",
                    tenant,
                    "k",
                    "/v1/chat/completions",
                    "tianjing",
                    "tianjing",
                    "none",
                    "stable",
                    prompt=log.digest("x"),
                    prompt_chars=1,
                    customer=log.digest(customer),
                )
            )
            vault.store(tenant, customer, f"r{number}", {"prompt.0": f"我的手机号是1381234567{number}"})
            log.closed(Closed(f"r{number}", 200, verdict, reasons=("rule",) if verdict == "block" else ()))
        await vault.close()
        await log.close()

    asyncio.run(run())
    return tmp_path


def test_verify_says_what_holds_and_what_cannot_be_seen(state: Path) -> None:
    result = tianjing_audit("verify", state / "audit", "--key", state / "audit.key", "--anchor", state / "anchor.jsonl")
    assert result.exit_code == 0
    assert "are as they were written" in result.output and "after it 1 record in" in result.output
    result = tianjing_audit("verify", state / "audit", "--public", state / "audit.pub")
    assert result.exit_code == 0
    assert "not proven" not in result.output
    assert "no anchor was given" in result.output


def test_verify_exits_1_and_names_the_record(state: Path) -> None:
    (path,) = (state / "audit" / "gateway-0").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"status":200,"verdict":"block"', b'"status":200,"verdict":"allow"'))
    for trust in ("--key", state / "audit.key"), ("--public", state / "audit.pub"):
        result = tianjing_audit("verify", state / "audit", *trust)
        assert result.exit_code == 1
        assert "BROKEN at record 6 in 00000001.jsonl: edited" in result.output
    result = tianjing_audit("verify", state / "audit", "--key", state / "audit.key", "--json")
    assert json.loads(result.output)[0]["problem"]["seq"] == 6 and result.exit_code == 1


def shown(*arguments: object) -> list[dict[str, object]]:
    result = tianjing_audit("show", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_show_filters_by_request_tenant_verdict_customer_and_time(state: Path) -> None:
    folder = state / "audit"
    assert [row["kind"] for row in shown(folder, "--request", "r1")] == ["accepted", "closed"]
    tenants = shown(folder, "--tenant", "acme")
    assert {row["body"]["request"] for row in tenants} == {"r0", "r1", "r3"}  # type: ignore[index]
    assert len(tenants) == 6
    assert [row["body"]["request"] for row in shown(folder, "--verdict", "block")] == ["r1"]  # type: ignore[index]
    mine = shown(folder, "--customer", "C-2", "--key", state / "audit.key")
    assert [row["body"]["request"] for row in mine] == ["r2", "r2"]  # type: ignore[index]
    assert shown(folder, "--until", "2020-01-01") == []
    assert len(shown(folder, "--since", "2020-01-01T08:00:00+08:00", "--last", "2")) == 2
    plain = tianjing_audit("show", folder, "--request", "r1")
    assert "verdict=block" in plain.output and "reasons=['rule']" in plain.output


def test_show_says_what_is_wrong_with_a_time(state: Path) -> None:
    result = tianjing_audit("show", state / "audit", "--since", "yesterday")
    assert isinstance(result.exception, TianjingError) and "yesterday" in str(result.exception)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_export_holds_the_records_and_the_result_of_verifying_them(state: Path, form: str) -> None:
    out = state / "export"
    result = tianjing_audit(
        "export", state / "audit", "--out", out, "--format", form, "--key", state / "audit.key", "--tenant", "acme"
    )
    assert result.exit_code == 0, result.output
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["parameters"]["verified"] and manifest["parameters"]["verify"][0]["problem"] is None
    assert manifest["counts"]["records"] == 6
    path = out / f"records.{form}"
    if form == "parquet":
        assert pq.read_table(path).column("request").to_pylist() == ["r0", "r0", "r1", "r1", "r3", "r3"]
    elif form == "csv":
        with open(path, encoding="utf-8-sig", newline="") as stream:
            assert [row["kind"] for row in csv.DictReader(stream)] == ["accepted", "closed"] * 3
    else:
        assert [json.loads(line)["body"]["request"] for line in path.read_text().splitlines()][::2] == [
            "r0",
            "r1",
            "r3",
        ]


def test_export_of_a_damaged_account_says_so(state: Path) -> None:
    (path,) = (state / "audit" / "gateway-0").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"verdict":"block"', b'"verdict":"allow"'))
    for trust in ("--key", state / "audit.key"), ("--public", state / "audit.pub"):
        out = state / f"export{trust[0]}"
        result = tianjing_audit("export", state / "audit", "--out", out, *trust)
        assert result.exit_code == 1 and "good before it: records 1 to 5" in result.output
        manifest = json.loads((out / "manifest.json").read_text())
        assert manifest["parameters"]["verified"] is False
        assert manifest["parameters"]["verify"][0]["problem"]["fault"] == "edited"
        rows = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
        assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5]


def test_reveal_shows_the_texts_and_is_itself_on_record(state: Path) -> None:
    result = tianjing_audit("reveal", "r1", "--state", state, "--reason", "complaint 118")
    assert result.exit_code == 0 and "我的手机号是13812345671" in result.output
    (event,) = (
        row["body"]
        for row in shown(state / "audit", "--kind", "event")
        if row["body"]["event"] == "revealed"  # type: ignore[index]
    )
    assert event["request"] == "r1" and event["reason"] == "complaint 118" and event["by"]  # type: ignore[index]
    assert tianjing_audit("verify", state / "audit", "--key", state / "audit.key").exit_code == 0


def test_reveal_without_a_record_shows_nothing(state: Path) -> None:
    """The account is damaged, so the act cannot be put on record."""
    assert tianjing_audit("reveal", "r1", "--state", state, "--reason", "x").exit_code == 0
    (path,) = (state / "audit" / "operator").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"revealed"', b'"reveiled"'))
    result = tianjing_audit("reveal", "r1", "--state", state, "--reason", "y")
    assert result.exit_code != 0 and "138" not in result.output


def test_forget_destroys_the_texts_and_the_account_still_verifies(state: Path) -> None:
    result = tianjing_audit("forget", "--tenant", "acme", "--customer", "C-1", "--state", state)
    assert result.exit_code == 0 and "1 texts are unreadable" in result.output and "backups" in result.output
    assert tianjing_audit("reveal", "r1", "--state", state, "--reason", "x").exit_code == 1
    assert tianjing_audit("reveal", "r0", "--state", state, "--reason", "x").exit_code == 0
    result = tianjing_audit("verify", state / "audit", "--key", state / "audit.key", "--anchor", state / "anchor.jsonl")
    assert result.exit_code == 0
    content = b"".join(path.read_bytes() for path in (state / "audit").rglob("*.jsonl"))
    assert b"C-1" not in content
    assert tianjing_audit("forget", "--tenant", "acme", "--customer", "nobody", "--state", state).exit_code == 1


def test_rotate_key_adds_a_key_and_says_so(state: Path) -> None:
    result = tianjing_audit("rotate-key", "--state", state)
    assert result.exit_code == 0
    assert len((state / "audit.key").read_text().split()) == 2
    assert tianjing_audit("verify", state / "audit", "--key", state / "audit.key").exit_code == 0


def test_label_writes_the_metadata_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text('{"text": "好的"}', encoding="utf-8")
    result = tianjing_audit("label", file, "--producer", "某某消费金融有限公司", "--id", "r1")
    assert result.exit_code == 0
    assert json.loads(file.read_text(encoding="utf-8"))["AIGC"]["ContentProducer"] == "某某消费金融有限公司"
