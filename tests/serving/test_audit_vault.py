"""Raw texts: readable with the master key, by nobody else, and by nobody at all once the customer is forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from serving.audit.base import NoVault
from serving.audit.keeper import KEY_FILE, VARIABLE, TextVault
from serving.audit.keys import load_master
from serving.audit.parts import account
from serving.audit.settings import AuditSettings, VaultSettings
from serving.audit.vault import FILE_NAME, RawText, VaultFile, seconds_ago
from serving.errors import ServeError

TEXT = "我叫王小明，手机号是13812345678，想协商还款。"
MASTER = b"\7" * 32


@pytest.fixture
def vault(tmp_path: Path) -> VaultFile:
    file = VaultFile(tmp_path / FILE_NAME, MASTER)
    file.create()
    return file


def raw(request: str = "r1", customer: str = "C-1029", text: str = TEXT, at: float | None = None) -> RawText:
    return RawText("acme", customer, request, "prompt.0", text, time.time() if at is None else at)


def stored(vault: VaultFile) -> bytes:
    """Every byte that the vault has on disk."""
    return b"".join(path.read_bytes() for path in vault.path.parent.glob(f"{FILE_NAME}*"))


def test_a_text_comes_back_with_the_master_key(vault: VaultFile) -> None:
    vault.put([raw(), raw("r2", text="另一条")])
    (found,) = vault.reveal("r1")
    assert found.text == TEXT and found.tenant == "acme" and found.name == "prompt.0"


def test_nothing_readable_is_on_disk(vault: VaultFile) -> None:
    vault.put([raw()])
    content = stored(vault)
    assert b"13812345678" not in content and "王小明".encode() not in content and b"C-1029" not in content
    assert vault.path.stat().st_mode & 0o077 == 0


def test_another_master_key_reads_nothing(vault: VaultFile) -> None:
    vault.put([raw()])
    with pytest.raises(ServeError, match="another master key"):
        VaultFile(vault.path, b"\x08" * 32).reveal("r1")


def test_a_forgotten_customers_texts_are_gone_and_the_key_with_them(vault: VaultFile) -> None:
    vault.put([raw(), raw("r2"), raw("r3", customer="C-2")])
    before = stored(vault)
    with sqlite3.connect(vault.path) as database:
        (wrapped,) = database.execute(
            "SELECT wrapped FROM customers WHERE customer = ?", (vault.customer_digest("acme", "C-1029"),)
        ).fetchone()
    assert wrapped in before
    assert vault.forget("acme", "C-1029") == 2
    assert vault.reveal("r1") == [] and vault.reveal("r2") == [] and vault.reveal("r3")
    assert wrapped not in stored(vault)
    assert vault.forget("acme", "C-1029") is None


def test_texts_copied_before_forgetting_need_the_destroyed_key(vault: VaultFile) -> None:
    """A row that somebody puts back does not decrypt under the customer's next key."""
    vault.put([raw()])
    with sqlite3.connect(vault.path) as database:
        row = database.execute("SELECT * FROM texts").fetchone()
    vault.forget("acme", "C-1029")
    vault.put([raw("r9")])
    with sqlite3.connect(vault.path) as database:
        database.execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(ServeError, match="altered"):
        vault.reveal("r1")
    assert vault.reveal("r9")[0].text == TEXT


@pytest.mark.parametrize("column", ["request", "name"])
def test_a_text_cannot_be_passed_off_as_anothers(vault: VaultFile, column: str) -> None:
    vault.put([raw()])
    with sqlite3.connect(vault.path) as database:
        database.execute(f"UPDATE texts SET {column} = 'other'")
    with pytest.raises(ServeError, match="altered"):
        vault.reveal("other" if column == "request" else "r1")


def test_old_texts_expire_and_their_keys_with_them(vault: VaultFile) -> None:
    vault.put([raw(at=seconds_ago(31)), raw("r2", customer="C-2")])
    assert vault.expire(seconds_ago(30)) == 1
    assert vault.reveal("r1") == [] and vault.reveal("r2")
    with sqlite3.connect(vault.path) as database:
        assert database.execute("SELECT COUNT(*) FROM customers").fetchone() == (1,)


def keeping(
    state: Path, work: Callable[[TextVault], Awaitable[None]], **more: Any
) -> tuple[TextVault, list[tuple[str, Mapping[str, Any]]]]:
    notes: list[tuple[str, Mapping[str, Any]]] = []

    async def run() -> TextVault:
        vault = TextVault(VaultSettings(**more), state, lambda kind, details: notes.append((kind, details)))
        await vault.open()
        try:
            await work(vault)
        finally:
            await vault.close()
        return vault

    return asyncio.run(run()), notes


def test_the_settings_decide_what_the_gateway_has(tmp_path: Path) -> None:
    assert isinstance(account(AuditSettings(mode="off", vault=VaultSettings()), tmp_path)[1], NoVault)
    log, vault = account(AuditSettings(instance="g", vault=VaultSettings()), tmp_path)

    async def run() -> None:
        for part in (log, vault):
            await part.open()
        vault.store("acme", "C-1029", "r1", {"prompt.0": TEXT})
        for part in (vault, log):
            await part.close()

    asyncio.run(run())
    file = VaultFile(tmp_path / FILE_NAME, load_master(tmp_path / KEY_FILE, VARIABLE))
    assert file.reveal("r1")[0].text == TEXT


def test_what_was_stored_is_there_after_close(tmp_path: Path) -> None:
    async def work(vault: TextVault) -> None:
        for number in range(50):
            vault.store("acme", "C-1029", f"r{number}", {"prompt.0": TEXT, "prompt.1": "半个\ud800"})

    vault, notes = keeping(tmp_path, work)
    file = VaultFile(tmp_path / FILE_NAME, load_master(tmp_path / KEY_FILE, VARIABLE))
    assert [text.text for text in file.reveal("r49")] == [TEXT, "半个\ud800"]
    assert vault.stored == 100 and vault.failed == 0 and notes == []


def test_a_vault_that_fails_is_counted_and_put_on_record_and_fails_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: VaultFile, texts: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def work(vault: TextVault) -> None:
        monkeypatch.setattr(VaultFile, "put", full)
        vault.store("acme", "C-1029", "r1", {"prompt.0": TEXT})

    vault, notes = keeping(tmp_path, work)
    assert vault.failed == 1
    assert notes == [("vault_failed", {"texts": 1, "reason": "database or disk is full"})]
    assert TEXT not in str(notes)


def test_memory_is_bounded(tmp_path: Path) -> None:
    async def work(vault: TextVault) -> None:
        vault.store("acme", "C-1029", "r1", {"prompt.0": "长" * 400_000})

    vault, notes = keeping(tmp_path, work, max_waiting_mib=1)
    assert vault.failed == 1 and notes[0][0] == "vault_failed"


def test_the_variable_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "07" * 32)
    assert load_master(tmp_path / "none", VARIABLE) == MASTER
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(ServeError, match="64 hexadecimal"):
        load_master(tmp_path / "none", VARIABLE)
