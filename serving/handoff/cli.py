"""`tianjing serve handoffs`: see the cases, and turn what people answered into raw material."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from serving.handoff.store import CaseStore

app = typer.Typer(
    no_args_is_help=True,
    help="Conversations that people took over: list, show, export.",
    epilog="Example: tianjing serve handoffs list --queue demo/.serving/handoffs.sqlite",
)
Result = TypeVar("Result")

_Queue = Annotated[
    Path | None, typer.Option("--queue", help="The gateway's handoffs.sqlite, in its state folder.", dir_okay=False)
]
_Postgres = Annotated[
    str | None,
    typer.Option(
        "--postgres", envvar="TIANJING_HANDOFF_POSTGRES", help="Connection string of PostgreSQL, instead of --queue."
    ),
]


@app.command("list", epilog="Example: tianjing serve handoffs list --queue demo/.serving/handoffs.sqlite")
def list_command(
    queue: _Queue = None,
    postgres: _Postgres = None,
    status: Annotated[str, typer.Option(help="open, claimed, answered or closed; without it, all but closed.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """One line a case, in the order of work: most urgent first, then by deadline."""
    from serving.errors import ServeError
    from serving.handoff.case import STATUSES

    if status and status not in STATUSES:
        raise ServeError(f"--status {status}: no such status", f"give one of {', '.join(STATUSES)}")
    statuses = [status] if status else STATUSES[:-1]
    cases = _with_store(queue, postgres, lambda store: store.page(None, statuses, limit), read_only=True)
    for case in cases:
        holder = f" by {case.claimed_by}" if case.claimed_by else ""
        typer.echo(f"{case.id}  {case.status}{holder}  due {case.due_at[:16]}Z  {case.tenant}  {case.summary}")
    typer.echo(f"{len(cases)} cases", err=True)


@app.command("show", epilog="Example: tianjing serve handoffs show CASE --queue demo/.serving/handoffs.sqlite")
def show_command(
    case: Annotated[str, typer.Argument(help="Number of the case.")],
    queue: _Queue = None,
    postgres: _Postgres = None,
) -> None:
    """The case with its conversation, as JSON."""
    from serving.errors import ServeError

    try:
        found, events = _with_store(queue, postgres, lambda store: store.news(case, None), read_only=True)
    except KeyError:
        raise ServeError(f"{case}: no such case", "`tianjing serve handoffs list` shows the numbers") from None
    typer.echo(json.dumps(found.whole(events), ensure_ascii=False, indent=2))


@app.command(
    "export",
    epilog="Example: tianjing serve handoffs export --queue demo/.serving/handoffs.sqlite --out raw/handoffs-1; "
    "tianjing data extract raw/handoffs-1 --out runs/knowledge",
)
def export_command(
    out: Annotated[Path, typer.Option("--out", help="New raw folder to write, for `tianjing data extract`.")],
    queue: _Queue = None,
    postgres: _Postgres = None,
) -> None:
    """Write the cases closed since the last export as a raw folder; each case is exported once."""
    from serving.handoff.export import export

    done = _with_store(queue, postgres, lambda store: export(store.database, out))
    if done is None:
        typer.echo("no case was closed since the last export; nothing is written", err=True)
    else:
        typer.echo(f"{out}: {done.cases} cases (batch {done.batch})", err=True)


def _with_store(
    queue: Path | None, postgres: str | None, work: Callable[[CaseStore], Awaitable[Result]], read_only: bool = False
) -> Result:
    from serving.errors import ServeError
    from serving.handoff.database import StoreUnavailable
    from serving.handoff.postgres import PostgresQueue
    from serving.handoff.sqlite import CaseQueue, require_queue

    if (queue is None) == (postgres is None):
        raise ServeError("give either --queue or --postgres", "the queue lies in the gateway's state folder")
    if queue is not None:
        if not queue.exists():
            raise ServeError(f"{queue}: no such file", "give the handoffs.sqlite of a gateway's state folder")
        require_queue(queue)
    store = CaseQueue(queue, read_only) if queue is not None else PostgresQueue(postgres or "", connections=1)

    async def run() -> Result:
        try:
            return await work(store)
        finally:
            await store.close_store()

    try:
        return asyncio.run(run())
    except StoreUnavailable as error:
        raise ServeError(
            f"the cases cannot be read: {error}", "check that the store is there and lets you in"
        ) from None
