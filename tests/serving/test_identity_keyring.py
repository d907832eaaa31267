"""Who may call: keys, their file, its changes while the gateway runs, and the command line."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ApiError, ServeError
from serving.identity.attempts import Attempts
from serving.identity.bootstrap import key_from
from serving.identity.keyring import Keyring, QuotaEntry, read_entries, read_pepper
from serving.identity.live import LiveKeyring, identity_of
from serving.identity.manage import KeyringFile, duration, moment
from serving.identity.principal import Identity, Principal, Quota
from serving.identity.settings import IdentitySettings

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)


@pytest.fixture
def ring(tmp_path: Path) -> KeyringFile:
    return KeyringFile(tmp_path / "keys.jsonl")


def known(ring: KeyringFile) -> Keyring:
    return Keyring(read_entries(ring.path), read_pepper(ring.pepper))


def who(identity: Keyring, key: str, now: datetime = NOW) -> Principal:
    return identity.identify(f"Bearer {key}", now.timestamp())


def refused(identity: Identity, key: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        identity.identify(f"Bearer {key}")
    return caught.value


def test_a_key_says_who_calls_and_only_its_keyed_digest_is_stored(ring: KeyringFile) -> None:
    quota = QuotaEntry(requests_per_minute=60, budget_tokens=1000, budget_days=7)
    entry, key = ring.new("acme", "app", NOW, models=("tianjing",), quota=quota)
    caller = who(known(ring), key)
    assert (caller.tenant, caller.key_id, caller.role) == ("acme", entry.id, "app")
    assert caller.models == {"tianjing"}
    assert caller.quota == Quota(requests_per_minute=60, budget_tokens=1000, budget_days=7)
    stored = ring.path.read_text()
    assert key not in stored and hashlib.sha256(key.encode()).hexdigest() not in stored
    assert len(key) > 40 and stat.S_IMODE(ring.path.stat().st_mode) == stat.S_IMODE(ring.pepper.stat().st_mode) == 0o600


def test_missing_wrong_early_expired_and_revoked_keys_get_one_and_the_same_answer(ring: KeyringFile) -> None:
    keys = {
        "early": ring.new("acme", "app", NOW, not_before=NOW + timedelta(hours=1))[1],
        "expired": ring.new("acme", "app", NOW, expires=NOW)[1],
        "good": ring.new("acme", "app", NOW, expires=NOW + timedelta(seconds=1))[1],
    }
    entry, keys["revoked"] = ring.new("acme", "app", NOW)
    ring.revoke(entry.id, NOW)
    identity = known(ring)
    assert who(identity, keys.pop("good"))
    answers = set()
    for header in [None, "", "Bearer", "Bearer tj-wrong", "Basic x", *(f"Bearer {key}" for key in keys.values())]:
        with pytest.raises(ApiError) as caught:
            identity.identify(header, NOW.timestamp())
        answers.add((caught.value.status, str(caught.value.body()), str(caught.value.headers())))
    assert len(answers) == 1 and answers.pop()[0] == 401
    assert who(identity, keys["early"], NOW + timedelta(hours=1))


@given(st.text())
def test_no_header_whatever_it_holds_is_anything_but_401(header: str) -> None:
    identity = Keyring([], b"p" * 32)
    for given_header in (header, f"Bearer {header}"):
        with pytest.raises(ApiError) as caught:
            identity.identify(given_header, NOW.timestamp())
        assert caught.value.status == 401


def test_another_pepper_opens_nothing(ring: KeyringFile) -> None:
    _, key = ring.new("acme", "app", NOW)
    with pytest.raises(ApiError):
        Keyring(read_entries(ring.path), b"x" * 64).identify(f"Bearer {key}", NOW.timestamp())


def test_the_engines_salt_is_the_tenants_own_and_does_not_name_it(ring: KeyringFile) -> None:
    keys = [ring.new(tenant, "app", NOW)[1] for tenant in ("acme", "acme", "beta")]
    salts = [who(known(ring), key).cache_salt for key in keys]
    assert salts[0] == salts[1] != salts[2]
    assert all(len(salt) == 64 and "acme" not in salt for salt in salts)
    assert key_from("0123456789abcdef").identify("Bearer 0123456789abcdef").cache_salt


def test_a_rotated_key_goes_on_with_the_old_ones_quota_and_both_are_valid_for_a_while(ring: KeyringFile) -> None:
    old, old_key = ring.new("acme", "app", NOW, expires=NOW + timedelta(days=90), quota=QuotaEntry(concurrency=2))
    later = NOW + timedelta(days=80)
    new, new_key = ring.rotate(old.id, timedelta(days=7), later)
    identity = known(ring)
    first, second = who(identity, old_key, later), who(identity, new_key, later)
    assert first.account == second.account and first.key_id != second.key_id
    assert (second.tenant, second.quota) == (first.tenant, first.quota)
    assert new.expires == later + timedelta(days=90)
    with pytest.raises(ApiError):
        who(identity, old_key, later + timedelta(days=7))
    assert who(identity, new_key, later + timedelta(days=7))
    with pytest.raises(ServeError, match="expired"):
        ring.rotate(old.id, timedelta(0), later + timedelta(days=8))


def test_every_change_of_the_keys_is_told_by_their_ids(ring: KeyringFile) -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    first, key = ring.new("acme", "app", NOW)
    identity = LiveKeyring(ring.path, ring.pepper, NOW.timestamp, lambda event, details: told.append((event, details)))
    identity.identify(f"Bearer {key}")
    assert not told
    second, _ = ring.new("acme", "operator", NOW)
    identity.identify(f"Bearer {key}")
    ring.revoke(first.id, NOW)
    refused(identity, key)
    ring.path.write_text("{}\n")
    refused(identity, key)
    assert told[:2] == [
        ("keys_changed", {"added": [second.id], "removed": [], "changed": {}}),
        ("keys_changed", {"added": [], "removed": [], "changed": {first.id: ["revoked"]}}),
    ]
    event, details = told[2]
    assert event == "keys_refused" and f"{ring.path}:1" in str(details["reason"])


def live(ring: KeyringFile) -> LiveKeyring:
    return LiveKeyring(ring.path, ring.pepper, clock=NOW.timestamp)


def test_new_and_revoked_keys_count_at_the_next_request(ring: KeyringFile) -> None:
    first, key = ring.new("acme", "app", NOW)
    identity = live(ring)
    assert identity.identify(f"Bearer {key}").key_id == first.id
    second, other = ring.new("acme", "app", NOW)
    assert identity.identify(f"Bearer {other}").key_id == second.id
    ring.revoke(first.id, NOW)
    assert refused(identity, key).status == 401
    assert identity.identify(f"Bearer {other}")


@pytest.mark.parametrize("damage", ["torn", "unknown field", "gone", "open to others", "pepper gone"])
def test_a_broken_keyring_keeps_the_last_good_one_and_says_so(
    ring: KeyringFile, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = ring.new("acme", "app", NOW)
    identity = live(ring)
    good = ring.path.read_text()
    if damage == "torn":
        ring.path.write_text(good[:-20])
    elif damage == "unknown field":
        ring.path.write_text(good.replace('"tenant"', '"tenent"'))
    elif damage == "gone":
        ring.path.unlink()
    elif damage == "open to others":
        ring.path.chmod(0o644)
    else:
        ring.pepper.rename(ring.pepper.with_suffix(".away"))
        os.utime(ring.path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert identity.identify(f"Bearer {key}")
    assert len(caplog.records) == 1 and "stays in use" in identity.trouble
    assert str(ring.pepper if damage == "pepper gone" else ring.path) in identity.trouble
    if damage == "pepper gone":
        ring.pepper.with_suffix(".away").rename(ring.pepper)
    ring.path.write_text(good)
    ring.path.chmod(0o600)
    assert identity.identify(f"Bearer {key}") and identity.trouble == ""


def test_a_wrong_line_is_named_with_its_field(ring: KeyringFile) -> None:
    ring.new("acme", "app", NOW)
    line = ring.path.read_text()
    with open(ring.path, "a") as stream:
        stream.write(line.replace('"app"', '"admin"'))
    with pytest.raises(ServeError, match=r"keys.jsonl:2: field 'role'"):
        known(ring)
    ring.path.write_text(line + line)
    with pytest.raises(ServeError, match="the key of line 1 again"):
        known(ring)


def test_a_keyring_without_its_pepper_does_not_get_another_one(ring: KeyringFile) -> None:
    ring.new("acme", "app", NOW)
    ring.pepper.unlink()
    with pytest.raises(ServeError, match="missing"):
        ring.new("acme", "app", NOW)
    assert not ring.pepper.exists()


def test_operators_at_the_same_time_lose_no_key(ring: KeyringFile) -> None:
    ring.new("acme", "app", NOW)
    with ThreadPoolExecutor(8) as pool:
        keys = [key for _, key in pool.map(lambda _: KeyringFile(ring.path).new("acme", "app", NOW), range(24))]
    identity = known(ring)
    assert len({who(identity, key).key_id for key in keys}) == 24


def test_the_operators_own_key_works_beside_the_keyring(ring: KeyringFile) -> None:
    _, key = ring.new("acme", "app", NOW)
    identity = identity_of(IdentitySettings(keyring=ring.path), key_from("operators-key-0123456789"))
    assert identity.identify(f"Bearer {key}").role == "app"
    assert identity.identify("Bearer operators-key-0123456789").role == "operator"
    assert refused(identity, "neither").status == 401


def test_repeated_wrong_keys_are_refused_by_address_and_good_ones_from_there_go_on() -> None:
    now = [100.0]
    own = key_from("operators-key-0123456789")
    good = "Bearer operators-key-0123456789"
    attempts = Attempts(IdentitySettings(wrong_keys=3, wrong_keys_window_s=60), clock=lambda: now[0])
    attempts.identify(own, good, "10.0.0.1")

    def status(header: str | None, address: str) -> int:
        try:
            attempts.identify(own, header, address)
        except ApiError as error:
            assert error.status == 401 or 0 < float(error.headers()["retry-after"]) <= 60
            return error.status
        return 200

    assert [status(f"Bearer wrong-{n}", "10.0.0.1") for n in range(5)] == [401, 401, 401, 429, 429]
    assert status(None, "10.0.0.1") == 429
    # Who had the key before is not locked out by a stranger behind the same proxy; a guess that hits is told nothing.
    assert status(good, "10.0.0.1") == 200
    assert [status(f"Bearer wrong-{n}", "10.0.0.2") for n in range(3)] == [401] * 3
    assert status(good, "10.0.0.2") == 429
    now[0] += 60
    assert status(good, "10.0.0.2") == 200
    # A network of IPv6 is one address: its owner chooses the rest.
    assert [status("Bearer wrong", f"2001:db8::{n}") for n in range(1, 5)] == [401, 401, 401, 429]
    assert [status(None, "10.0.0.3") for _ in range(9)] == [401] * 9


def test_remembered_addresses_are_bounded() -> None:
    own = key_from("operators-key-0123456789")
    attempts = Attempts(IdentitySettings(remembered_addresses=50))
    for n in range(500):
        for header in ("Bearer wrong", "Bearer operators-key-0123456789"):
            try:
                attempts.identify(own, header, f"10.0.{n // 250}.{n % 250}")
            except ApiError as error:
                assert error.status == 401
    assert len(attempts._wrong) == len(attempts._right) == 50


def test_times_are_read_as_they_are_written() -> None:
    assert moment("90d", NOW) == NOW + timedelta(days=90)
    assert moment("2027-01-31", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert moment("2027-01-31T08:00+08:00", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert duration("0m") == timedelta(0)
    for wrong in ("soon", "90", "90w", ""):
        with pytest.raises(ServeError, match=r"90d|7d"):
            moment(wrong, NOW)
        with pytest.raises(ServeError, match="duration"):
            duration(wrong)


def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from serving.identity.cli import app; from tianjing.errors import TianjingError\nimport sys\n"
    code += "try: app()\nexcept TianjingError as error: print(error, file=sys.stderr); sys.exit(error.exit_code)"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)


def test_the_command_line_makes_lists_rotates_and_revokes(tmp_path: Path) -> None:
    path = str(tmp_path / "keys.jsonl")
    made = keys("new", path, "--tenant", "acme", "--role", "app", "--rpm", "600", "--expires", "90d")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    identity = LiveKeyring(Path(path), Path(path + ".pepper"))
    key_id = identity.identify(f"Bearer {key}").key_id
    rotated = keys("rotate", path, key_id, "--overlap", "12h").stdout.strip()
    assert identity.identify(f"Bearer {rotated}").account == key_id
    assert keys("revoke", path, key_id).returncode == 0
    with pytest.raises(ApiError):
        identity.identify(f"Bearer {key}")
    listed = keys("list", path).stdout
    assert key not in listed and rotated not in listed
    assert "revoked" in listed and "valid" in listed and "600 req/min" in listed
    unknown = keys("revoke", path, "k00000000")
    assert unknown.returncode == 2 and "no key 'k00000000'" in unknown.stderr
    wrong = keys("new", path, "--tenant", "../acme", "--role", "app")
    assert wrong.returncode == 2 and "tenant" in wrong.stderr
    for command in ("new", "list", "rotate", "revoke"):
        assert "Example: tianjing serve keys" in keys(command, "--help").stdout
