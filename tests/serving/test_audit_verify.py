"""What `verify` finds, with which keys, and that it says what is wrong and where."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.audit import record
from serving.audit.base import Accepted, Closed
from serving.audit.chain import Broken, Chain
from serving.audit.keys import load_ring
from serving.audit.log import KEY_FILE, SIGNING_KEY_FILE, AuditLog
from serving.audit.settings import AnchorSettings, AuditSettings
from serving.audit.verify import Report, Trust, read_anchor, verify_account, verify_instance
from serving.errors import ServeError
from tianjing.lineage.keys import public_path, trusted_keys

INSTANCE = "g"


def write(state: Path, count: int, instance: str = INSTANCE, first: int = 0, segment_mib: float = 0.02) -> None:
    """`count` requests, in segments of some 25 records, anchored."""
    anchor = AnchorSettings(file=state / "anchor.jsonl")
    given = AuditSettings(instance=instance, segment_mib=segment_mib, checkpoint_records=10, anchor=anchor)

    async def run() -> None:
        log = AuditLog(given, state)
        await log.open()
        for number in range(first, first + count):
            entry = Accepted(f"r{number}", "acme", "k", "/v1/x", "m", "m", "none", "stable", prompt="0", prompt_chars=1)
            await log.accepted(entry)
            log.closed(Closed(f"r{number}", 200, "allow"))
        await log.close()

    asyncio.run(run())


class Account:
    """A small account in three or more segments, and ways to damage it."""

    def __init__(self, state: Path):
        self.state = state
        self.folder = state / "audit" / INSTANCE
        self.ring = load_ring(state / KEY_FILE)
        self.public = frozenset(trusted_keys(public_path(state / SIGNING_KEY_FILE)))
        self.files = sorted(self.folder.glob("*.jsonl"))
        self.lines = [path.read_bytes().splitlines(keepends=True) for path in self.files]

    def change(self, segment: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
        self.files[segment].write_bytes(b"".join(change(self.lines[segment])))

    def verify(self, **trust: object) -> Report:
        given = trust or {"keys": self.ring.keys}
        return verify_instance(self.folder, Trust(**given))  # type: ignore[arg-type]

    def fault(self, **trust: object) -> str:
        report = self.verify(**trust)
        return report.problem.fault if report.problem else ""

    def seq(self, segment: int, line: int) -> int:
        return int(json.loads(self.lines[segment][line])["seq"])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("account")
    write(state, 50)
    return state


@pytest.fixture
def account(original: Path, tmp_path: Path) -> Account:
    import shutil

    state = tmp_path / "state"
    shutil.copytree(original, state)
    return Account(state)


def test_a_good_account_verifies_with_record_keys_and_with_the_public_key_alone(account: Account) -> None:
    assert len(account.files) >= 3
    keyed, public = account.verify(), account.verify(public=account.public)
    assert keyed.ok and public.ok and keyed.records == public.records > 100
    assert keyed.unproven == public.unproven == 0


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[5].replace(b'"kind":"', b'"kind":"x'), *lines[6:]]


# name, change to a file's lines, the fault, the line it is found at
DAMAGE: list[tuple[str, Callable[[list[bytes]], list[bytes]], str, int]] = [
    ("a changed value", edited, "edited", 5),
    ("two records taken out", lambda lines: [*lines[:5], *lines[7:]], "deleted", 5),
    ("a record twice", lambda lines: [*lines[:5], lines[4], *lines[5:]], "inserted", 5),
    ("two records exchanged", lambda lines: [*lines[:5], lines[8], *lines[6:8], lines[5], *lines[9:]], "reordered", 5),
    ("a line of another hand", lambda lines: [*lines[:5], lines[5].replace(b"r", b"q"), *lines[5:]], "inserted", 5),
    ("half a record at the end of a file", lambda lines: [*lines[:-1], lines[-1][:50]], "truncated", -1),
    ("an empty file", lambda lines: [], "truncated", 0),
    ("an empty line", lambda lines: [*lines[:5], b"\n", *lines[5:]], "inserted", 5),
]


@pytest.mark.parametrize(("change", "fault", "line"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
def test_damage_is_found_and_named(
    account: Account, change: Callable[[list[bytes]], list[bytes]], fault: str, line: int
) -> None:
    account.change(1, change)
    report = account.verify()
    assert report.problem is not None
    assert report.problem.fault == fault and report.problem.segment == "00000002.jsonl"
    assert report.problem.seq == account.seq(1, line)
    # Without any secret it is found all the same; what to call it is not always known then.
    assert account.fault(public=account.public)


def test_without_record_keys_the_unsigned_end_is_said_to_be_unproven(account: Account) -> None:
    last = len(account.files) - 1
    account.change(last, lambda lines: [*lines[:-3], lines[-3].replace(b'"kind":"', b'"kind":"x')])
    assert account.fault() == "edited"
    report = account.verify(public=account.public)
    assert report.ok and report.unproven > 0


def test_a_file_that_is_missing_or_in_the_place_of_another_is_a_gap(account: Account) -> None:
    content = [path.read_bytes() for path in account.files]
    account.files[1].unlink()
    report = account.verify()
    assert report.problem is not None and report.problem.fault == "segment_gap"
    assert "00000002.jsonl is missing" in report.problem.message
    account.files[1].write_bytes(content[2])
    account.files[2].write_bytes(content[1])
    assert account.fault() in ("deleted", "reordered", "segment_gap")
    account.files[0].unlink()
    assert account.fault() == "segment_gap"


def test_two_spellings_of_one_json_do_not_both_verify(account: Account) -> None:
    """Bytes are authenticated: space, escapes, order and doubled keys make another record."""
    line = account.lines[1][5]
    respelled = [
        line.replace(b'"seq":', b'"seq": ', 1),
        line.replace(b'"kind"', b'"k\\u0069nd"', 1),
        line.replace(b'"kind":"', b'"kind":"event","kind":"', 1),
        line.replace(b'"mac":"', b'"mac" :"', 1),
        line[:-1] + b" \n",
        line[:-1] + b"\r\n",
        line[:-68] + line[-68:].upper(),
    ]
    for other in respelled:
        if other == line:
            continue
        assert json.loads(other.lower()) == json.loads(line.lower())
        account.change(1, lambda lines, other=other: [*lines[:5], other, *lines[6:]])  # type: ignore[misc]
        assert account.fault() in ("edited", "inserted")
        assert account.fault(public=account.public)
    reordered = dict(reversed(json.loads(line).items()))
    account.change(1, lambda lines: [*lines[:5], json.dumps(reordered).encode() + b"\n", *lines[6:]])
    assert account.fault() in ("edited", "inserted")


def test_who_has_the_file_but_not_the_key_cannot_write_it_anew(account: Account) -> None:
    """With a key of his own a thief can make a perfect chain; it is not this account's."""
    forged = []
    chain_hash, key = record.genesis(INSTANCE), b"\1" * 32
    for seq, line in enumerate(account.lines[0], start=1):
        row = json.loads(line)
        body = record.body_bytes(row["body"])
        made = record.encode(seq, seq, record.Stamp(1, 1), 0, row["kind"], row["key"], key, body, chain_hash)
        chain_hash = record.line_hash(made)
        forged.append(made + b"\n")
    account.change(0, lambda lines: forged)
    assert account.fault() == "edited"
    assert account.fault(public=account.public) in ("edited", "bad_signature")


def test_a_true_checkpoint_does_not_vouch_for_another_chain(account: Account) -> None:
    """Without record keys, the forger keeps the signed statements and writes the rest anew."""
    forged = []
    chain_hash = record.genesis(INSTANCE)
    for seq, line in enumerate(account.lines[0], start=1):
        row = json.loads(line)
        body = row["body"] if row["kind"] == "checkpoint" else {**row["body"], "verdict": "allow", "tenant": "nobody"}
        stamp, data = record.Stamp(1, 1), record.body_bytes(body)
        made = record.encode(seq, seq, stamp, 0, row["kind"], row["key"], b"\1" * 32, data, chain_hash)
        chain_hash = record.line_hash(made)
        forged.append(made + b"\n")
    account.change(0, lambda lines: forged)
    report = account.verify(public=account.public)
    assert report.problem is not None and report.problem.fault == "bad_signature"
    assert "another record" in report.problem.message


def test_a_checkpoint_of_another_signer_is_not_trusted(account: Account) -> None:
    report = account.verify(keys=account.ring.keys, public=frozenset({"ab" * 32}))
    assert report.problem is not None and report.problem.fault == "bad_signature"
    assert "not trusted" in report.problem.message


def test_another_key_is_named(account: Account) -> None:
    report = account.verify(keys={"0" * 16: b"\0" * 32})
    assert report.problem is not None and report.problem.fault == "wrong_key" and report.problem.seq == 1


def test_the_log_of_another_instance_does_not_pass(account: Account) -> None:
    other = account.folder.rename(account.folder.with_name("h"))
    report = verify_instance(other, Trust(account.ring.keys))
    assert report.problem is not None and report.problem.seq == 1


def test_tail_loss_is_found_past_the_anchor_and_the_rest_is_stated(account: Account) -> None:
    anchored = read_anchor(account.state / "anchor.jsonl", account.public)
    last = len(account.files) - 1
    newest = max(anchored[INSTANCE])
    for cut in range(1, 12):
        account.change(last, lambda lines, cut=cut: lines[:-cut])  # type: ignore[misc]
        report = account.verify(keys=account.ring.keys, anchored=anchored)
        lost = report.last_seq < newest
        assert (report.problem is not None and report.problem.fault == "tail_lost") == lost
        if not lost:
            assert report.unanchored == report.last_seq - newest <= 1


def test_an_instance_that_is_gone_as_a_whole_is_found(account: Account) -> None:
    import shutil

    anchored = read_anchor(account.state / "anchor.jsonl", account.public)
    write(account.state, 3, instance="other")
    shutil.rmtree(account.folder)
    reports = verify_account(account.folder.parent, Trust(account.ring.keys, anchored=anchored))
    assert [(report.instance, report.ok) for report in reports] == [("other", True), (INSTANCE, False)]


def test_an_anchor_of_somebody_else_is_refused(account: Account) -> None:
    anchor = account.state / "anchor.jsonl"
    with pytest.raises(ServeError, match="not trusted"):
        read_anchor(anchor, frozenset({"ab" * 32}))
    anchor.write_bytes(anchor.read_bytes().replace(b'"seq":', b'"seq":1', 1))
    with pytest.raises(ServeError, match="signature is wrong"):
        read_anchor(anchor, None)


def test_a_torn_line_of_the_anchor_does_not_spoil_it(account: Account) -> None:
    anchor = account.state / "anchor.jsonl"
    whole = read_anchor(anchor, account.public)
    anchor.write_bytes(anchor.read_bytes() + b'\n{"instance":"g","se')
    write(account.state, 2, first=90)
    assert len(read_anchor(anchor, account.public)[INSTANCE]) > len(whole[INSTANCE])


def test_nothing_to_check_with_is_an_error(account: Account) -> None:
    with pytest.raises(ServeError, match="nothing to check"):
        verify_instance(account.folder, Trust())


def test_verify_works_while_the_log_is_written(tmp_path: Path) -> None:
    async def run() -> list[Report]:
        log = AuditLog(AuditSettings(instance=INSTANCE, segment_mib=0.02, linger_ms=0), tmp_path)
        await log.open()
        reports = []
        stop = asyncio.Event()

        async def busy() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                entry = Accepted(
                    f"r{number}", "t", "k", "/v1/x", "m", "m", "none", "stable", prompt="0", prompt_chars=1
                )
                await log.accepted(entry)
                log.closed(Closed(f"r{number}", 200, "allow"))

        tasks = [asyncio.create_task(busy()) for _ in range(5)]
        for _ in range(15):
            await asyncio.sleep(0.01)
            trust = Trust(load_ring(tmp_path / KEY_FILE).keys)
            reports.append(await asyncio.to_thread(verify_instance, tmp_path / "audit" / INSTANCE, trust))
        stop.set()
        await asyncio.gather(*tasks)
        await log.close()
        return reports

    reports = asyncio.run(run())
    assert [report.problem for report in reports] == [None] * len(reports)
    assert all(report.being_written for report in reports) and reports[-1].records > reports[0].records


@given(seed=st.integers(0, 1 << 30))
@settings(max_examples=150, deadline=None)
def test_no_change_of_bytes_passes(original: Path, seed: int) -> None:
    """Any replaced, removed or added run of bytes, anywhere, with the record keys."""
    account = Account(original)
    rng = random.Random(seed)
    whole = b"".join(line for lines in account.lines for line in lines)
    at, width = rng.randrange(len(whole)), rng.randrange(0, 40)
    changed = whole[:at] + rng.randbytes(rng.randrange(0, 40)) + whole[at + width :]
    if changed == whole:
        return
    chain = Chain(record.genesis(INSTANCE), account.ring.keys)
    wanted = whole.count(b"\n")
    pieces = changed.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
    with pytest.raises(Broken):
        for line in lines:
            chain.take(line)
        assert chain.seq == wanted, "cut at a record's end: for the anchor to find"
        raise AssertionError("a change has passed")
