"""`tianjing audit`: check, read and hand out the account of requests; open and destroy raw texts; label files.

None of it needs the gateway. What an operator does to texts and keys is itself put on record, in the instance
`operator` of the same account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tianjing.console import make_console

if TYPE_CHECKING:
    from serving.audit.reading import Wanted
    from serving.audit.vault import VaultFile
    from serving.audit.verify import Report, Trust

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The account of every request: verify, show, export, reveal, forget.",
    epilog="Example: tianjing audit verify .serving/audit --key .serving/audit.key",
)

OPERATOR = "operator"

_Folder = Annotated[
    Path, typer.Argument(help="Folder of the account (`audit` in the state folder), or of one instance.")
]
_Key = Annotated[Path | None, typer.Option(help="Record keys (audit.key): checks every record to the last.")]
_Public = Annotated[
    Path | None, typer.Option(help="The signer's .pub file, or a folder of them: checks what a checkpoint covers.")
]
_Anchor = Annotated[Path | None, typer.Option(help="File of anchored checkpoints: finds a log that was cut short.")]
_Request = Annotated[str | None, typer.Option(help="Id of one request.")]
_Tenant = Annotated[str | None, typer.Option(help="Records of one tenant's requests.")]
_Verdict = Annotated[str | None, typer.Option(help="allow, mask, rewrite, block or handoff.")]
_Kind = Annotated[str | None, typer.Option(help="accepted, closed, event, checkpoint, recovered, rotated or segment.")]
_Customer = Annotated[str | None, typer.Option(help="Records of one customer's requests; needs --key.")]
_Since = Annotated[
    str | None, typer.Option(help="From this time on: 2026-11-30, or with hour and zone. UTC by default.")
]
_Until = Annotated[str | None, typer.Option(help="Before this time.")]
_State = Annotated[Path, typer.Option(help="State folder of the endpoint (.serving beside the model).")]
_Master = Annotated[
    Path | None, typer.Option(help="The vault's master key. Default: TIANJING_VAULT_KEY, else vault.key in --state.")
]


@app.command(
    epilog="Example: tianjing audit verify .serving/audit --key .serving/audit.key --anchor /worm/anchor.jsonl"
)
def verify(
    folder: _Folder,
    key: _Key = None,
    public: _Public = None,
    anchor: _Anchor = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Check that no record was changed, removed, added or moved; exit 1 at the first one that was.

    May run while a gateway writes. With --public alone no secret is needed, and records after the newest checkpoint
    stay unproven; their number is stated.
    """
    from serving.audit.verify import verify_account

    with _bar() as progress:
        reports = verify_account(folder, _trust(key, public, anchor), progress)
    if as_json:
        typer.echo(json.dumps([report.as_dict() for report in reports], ensure_ascii=False, indent=2))
    else:
        for report in reports:
            typer.echo("\n".join(_told(report)))
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command(epilog="Example: tianjing audit show .serving/audit --verdict block --since 2026-11-30")
def show(
    folder: _Folder,
    request: _Request = None,
    tenant: _Tenant = None,
    verdict: _Verdict = None,
    kind: _Kind = None,
    customer: _Customer = None,
    since: _Since = None,
    until: _Until = None,
    key: _Key = None,
    last: Annotated[int | None, typer.Option(min=1, help="The last N of them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Whole records, one JSON object a line.")] = False,
) -> None:
    """List records. They are shown as they stand; whether they are as they were written, `verify` says."""
    from collections import deque

    from serving.audit.reading import read_rows

    wanted = _wanted(request, tenant, verdict, kind, customer, since, until, key)()
    rows: Any = read_rows(folder, wanted)
    for instance, row in rows if last is None else deque(rows, last):
        if as_json:
            typer.echo(json.dumps({"instance": instance, **row}, ensure_ascii=False))
        else:
            typer.echo(f"{row['at']}  {instance} {row['seq']:>8}  {row['kind']:<10}  {_brief(row['body'])}")


@app.command(epilog="Example: tianjing audit export .serving/audit --out audit-2026 --format csv --public audit.pub")
def export(
    folder: _Folder,
    out: Annotated[Path, typer.Option(help="Folder to write records and manifest.json to.")],
    form: Annotated[str, typer.Option("--format", help="jsonl, csv or parquet.")] = "jsonl",
    key: _Key = None,
    public: _Public = None,
    anchor: _Anchor = None,
    request: _Request = None,
    tenant: _Tenant = None,
    verdict: _Verdict = None,
    kind: _Kind = None,
    customer: _Customer = None,
    since: _Since = None,
    until: _Until = None,
) -> None:
    """Write records for an auditor, and the result of verifying them into the manifest; exit 1 unless all verify."""
    from serving.audit.export import FORMATS
    from serving.audit.export import export as write

    if form not in FORMATS:
        raise typer.BadParameter(f"give one of {', '.join(FORMATS)}", param_hint="--format")
    wanted = _wanted(request, tenant, verdict, kind, customer, since, until, key)
    with _console().status("verifying and writing …"):
        reports = write(folder, out, form, _trust(key, public, anchor), wanted)
    for report in reports:
        typer.echo("\n".join(_told(report)))
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command(epilog='Example: tianjing audit reveal 5f0c… --state .serving --reason "complaint 2026-118"')
def reveal(
    request: Annotated[str, typer.Argument(help="Id of the request, as in x-request-id.")],
    state: _State,
    reason: Annotated[str, typer.Option(help="Why the texts are read; goes on record.")],
    vault_key: _Master = None,
) -> None:
    """Decrypt the raw texts of a request. That it was done is on record before the first text is shown."""
    vault = _vault(state, vault_key)
    _on_record(state, "revealed", {"request": request, "reason": reason})
    texts = vault.reveal(request)
    if not texts:
        typer.echo("no text: never kept, expired, or the customer was forgotten", err=True)
        raise typer.Exit(1)
    for text in texts:
        at = datetime.fromtimestamp(text.at, UTC).isoformat(timespec="seconds")
        typer.echo(f"[{at} {text.name}] {text.text}")


@app.command(epilog="Example: tianjing audit forget --tenant acme --customer C-1029 --state .serving")
def forget(
    customer: Annotated[str, typer.Option(help="The application's id of the customer.")],
    state: _State,
    tenant: Annotated[str, typer.Option(help="Tenant of the customer.")] = "default",
    vault_key: _Master = None,
) -> None:
    """Destroy a customer's key and raw texts. The account of requests stays as it is and still verifies."""
    vault = _vault(state, vault_key)
    digest = vault.customer_digest(tenant, customer)
    _on_record(state, "forget", {"tenant": tenant, "vault_customer": digest})
    texts = vault.forget(tenant, customer)
    if texts is None:
        typer.echo("the vault does not know this customer", err=True)
        raise typer.Exit(1)
    typer.echo(f"{texts} texts are unreadable from now on; copies of the vault in backups are not: delete them too")


@app.command("rotate-key", epilog="Example: tianjing audit rotate-key --state .serving")
def rotate_key(state: _State) -> None:
    """Add a record key; running gateways go over to it at their next checkpoint, and say so in the account."""
    from serving.audit.keys import add_key
    from serving.audit.log import KEY_FILE

    fresh = add_key(state / KEY_FILE)
    _on_record(state, "key_added", {"key": fresh})
    typer.echo(f"records are written under {fresh} from the next checkpoint on; keep the older keys to verify with")


@app.command(epilog="Example: tianjing audit label answer.md --producer 某某消费金融有限公司 --id 5f0c…")
def label(
    file: Annotated[Path, typer.Argument(help="JSON, Markdown or PNG; any other gets a file beside it.")],
    producer: Annotated[str, typer.Option(help="ContentProducer: name or code of the company.")],
    produce_id: Annotated[str, typer.Option("--id", help="ProduceID: id of the request that made the content.")],
    propagator: Annotated[str, typer.Option(help="ContentPropagator, if it is known.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the labelled file here instead of in place.")] = None,
) -> None:
    """Write the implicit `AIGC` label of GB 45438-2025 into a file that is handed out."""
    from serving.labels.aigc import metadata
    from serving.labels.files import label_file
    from serving.labels.settings import LabelSettings
    from tianjing.config import parse

    settings = parse(LabelSettings, {"producer": producer, "propagator": propagator}, "command line")
    made = metadata(settings, produce_id)
    if made is None:
        raise typer.BadParameter("give the company's name or code", param_hint="--producer")
    typer.echo(f"labelled: {label_file(file, made, out)}")


def _trust(key: Path | None, public: Path | None, anchor: Path | None) -> Trust:
    from serving.audit.keys import load_ring
    from serving.audit.verify import Trust, read_anchor
    from tianjing.lineage.keys import trusted_keys

    signers = frozenset(trusted_keys(public)) if public else None
    return Trust(
        keys=load_ring(key).keys if key else None,
        public=signers,
        anchored=read_anchor(anchor, signers) if anchor else {},
    )


def _wanted(
    request: str | None,
    tenant: str | None,
    verdict: str | None,
    kind: str | None,
    customer: str | None,
    since: str | None,
    until: str | None,
    key: Path | None,
) -> Callable[[], Wanted]:
    from serving.audit.keys import load_ring
    from serving.audit.log import text_digest
    from serving.audit.reading import Wanted, moment

    digests: frozenset[str] = frozenset()
    if customer is not None:
        if key is None:
            raise typer.BadParameter("give --key too: customers stand in the account as keyed digests")
        digests = frozenset(text_digest(one, customer) for one in load_ring(key).keys.values())
    begin, end = moment(since) if since else "", moment(until) if until else ""
    return lambda: Wanted(request, tenant, verdict, kind, digests, begin, end)


def _vault(state: Path, key_file: Path | None) -> VaultFile:
    from serving.audit.keeper import KEY_FILE, VARIABLE
    from serving.audit.keys import load_master
    from serving.audit.vault import FILE_NAME, VaultFile
    from serving.errors import ServeError

    path = state / FILE_NAME
    if not path.exists():
        raise ServeError(f"{path}: no vault", "give the endpoint's state folder with --state")
    return VaultFile(path, load_master(key_file or state / KEY_FILE, VARIABLE))


def _on_record(state: Path, kind: str, details: dict[str, Any]) -> None:
    """Put an operator's act into the account, durably, before it is done.

    Raises:
        ServeError: it cannot be; the act must not happen then.
    """
    import asyncio
    import getpass

    from serving.audit.log import AuditLog
    from serving.audit.settings import AuditSettings
    from serving.errors import ApiError, ServeError

    async def record() -> None:
        log = AuditLog(AuditSettings(instance=OPERATOR), state)
        await log.open()
        try:
            await log.event(kind, {**details, "by": getpass.getuser()})
        finally:
            await log.close()

    try:
        asyncio.run(record())
    except ApiError as error:
        raise ServeError(f"{state}: {error.message}", "free space on its disk") from None


def _told(report: Report) -> Iterator[str]:
    """A report in words."""
    name = report.instance
    span = f"records {report.first_seq} to {report.last_seq}" if report.records else "no record"
    if report.problem is not None:
        where = f" in {report.problem.segment}" if report.problem.segment else ""
        yield f"{name}: BROKEN at record {report.problem.seq}{where}: {report.problem.fault}: {report.problem.message}"
        yield f"  good before it: {span}"
    else:
        checkpoints = f"{report.checkpoints} checkpoint{'' if report.checkpoints == 1 else 's'}"
        yield f"{name}: {span} are as they were written; {checkpoints}, last record {report.last_at}"
    if report.removed:
        yield f"  records 1 to {report.removed} were removed by retention, stated under signature"
    if report.unproven:
        yield f"  not proven without --key, because after the newest checkpoint: {_records(report.unproven)}"
    if report.anchored_seq is None:
        yield "  no anchor was given: whether records are missing at the end cannot be seen"
    elif report.problem is None:
        yield (
            f"  anchored up to record {report.anchored_seq}; after it {_records(report.unanchored)}"
            f" in {report.unanchored_s:g} s, whose loss could not be seen"
        )
    yield (
        f"  open {report.open}, interrupted {report.interrupted}, refused {report.refused} in {report.outages} outages,"
        f" lost {report.lost}, torn bytes cut {report.cut_bytes}, clock set back {report.clock_back} times"
    )


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def _brief(body: dict[str, Any]) -> str:
    names = ("event", "request", "tenant", "model", "verdict", "status", "error", "reasons", "case", "seq", "cut_bytes")
    said = [f"{name}={body[name]}" for name in names if body.get(name) not in (None, "", [], 0)]
    return " ".join(said)


def _console() -> Console:
    return make_console(stderr=True, soft_wrap=True)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar over bytes; shown on a terminal alone."""
    from rich.progress import Progress

    with Progress(console=_console(), transient=True) as bar:
        task = bar.add_task("verifying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
