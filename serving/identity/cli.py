"""`tianjing serve keys`: make, list, rotate and revoke API keys; a running gateway follows within one request."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from serving.identity.principal import Role

app = typer.Typer(
    no_args_is_help=True,
    help="API keys of the endpoint's callers.",
    epilog="Example: tianjing serve keys new keys.jsonl --tenant acme --role app --rpm 600 --expires 90d",
)

_Keyring = Annotated[Path, typer.Argument(help="Keyring file (serve.identity.keyring).")]
_Pepper = Annotated[Path | None, typer.Option(help="File of its secret. Default: beside it, with the suffix .pepper.")]
_KeyId = Annotated[str, typer.Argument(help="Id of the key, from `list`.")]


@app.command(epilog="Example: tianjing serve keys new keys.jsonl --tenant acme --role app --rpm 600 --expires 90d")
def new(
    keyring: _Keyring,
    tenant: Annotated[str, typer.Option(help="Who the key belongs to.")],
    role: Annotated[Role, typer.Option(help="app asks, agent answers cases, monitor watches, operator does all.")],
    model: Annotated[list[str] | None, typer.Option(help="A model it may ask for; repeat. Default: every one.")] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests in any minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Prompt and answer tokens in any minute.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests in progress.")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Tokens over --budget-days.")] = None,
    budget_days: Annotated[int, typer.Option(min=1, max=366, help="Days of a budget's period.")] = 30,
    not_before: Annotated[str | None, typer.Option(help="Valid from: 12h, or 2027-01-31.")] = None,
    expires: Annotated[str | None, typer.Option(help="Valid until: 90d, or 2027-01-31. Default: for good.")] = None,
    pepper: _Pepper = None,
) -> None:
    """Make a key and print it, this once: only its keyed digest is stored."""
    from pydantic import ValidationError

    from serving.errors import ServeError
    from serving.identity.keyring import QuotaEntry
    from serving.identity.manage import KeyringFile, moment

    now = datetime.now(UTC)
    quota = QuotaEntry(
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        concurrency=concurrency,
        budget_tokens=budget,
        budget_days=budget_days,
    )
    begins, ends = (None if given is None else moment(given, now) for given in (not_before, expires))
    try:
        entry, key = KeyringFile(keyring, pepper).new(
            tenant,
            role,
            now,
            models=tuple(model) if model else None,
            quota=quota,
            not_before=begins,
            expires=ends,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise ServeError(
            f"'{problem['loc'][0]}': {problem['msg']}", "use letters, digits, '.', '_' and '-', 64 at most"
        ) from None
    _show(entry.id, key)


@app.command("list", epilog="Example: tianjing serve keys list keys.jsonl")
def list_keys(keyring: _Keyring) -> None:
    """Show every key with its state; never the keys themselves."""
    from rich.table import Table

    from serving.identity.keyring import quota_text
    from serving.identity.manage import KeyringFile
    from tianjing.console import make_console

    now = datetime.now(UTC)
    table = Table("id", "tenant", "role", "models", "quota", "state", "expires", box=None, pad_edge=False)
    for entry in KeyringFile(keyring).entries():
        models = "every" if entry.models is None else ", ".join(entry.models)
        ends = f"{entry.expires:%Y-%m-%d %H:%M}" if entry.expires else "never"
        state = entry.status(now)
        table.add_row(entry.id, entry.tenant, entry.role, models, quota_text(entry.quota), state, ends)
    make_console(soft_wrap=True, width=160).print(table)


@app.command(epilog="Example: tianjing serve keys rotate keys.jsonl k3f2a91bc --overlap 7d")
def rotate(
    keyring: _Keyring,
    key_id: _KeyId,
    overlap: Annotated[str, typer.Option(help="How long the old key stays valid: 7d, 12h, 0m.")] = "7d",
    pepper: _Pepper = None,
) -> None:
    """Make a key that may do what the old one may, within the same quota; the old one ends after the overlap."""
    from serving.identity.manage import KeyringFile, duration

    entry, key = KeyringFile(keyring, pepper).rotate(key_id, duration(overlap), datetime.now(UTC))
    _show(entry.id, key)
    typer.echo(f"{key_id} stays valid for {overlap}", err=True)


@app.command(epilog="Example: tianjing serve keys revoke keys.jsonl k3f2a91bc")
def revoke(keyring: _Keyring, key_id: _KeyId, pepper: _Pepper = None) -> None:
    """End a key at once and for good."""
    from serving.identity.manage import KeyringFile

    KeyringFile(keyring, pepper).revoke(key_id, datetime.now(UTC))
    typer.echo(f"{key_id} is revoked", err=True)


def _show(key_id: str, key: str) -> None:
    typer.echo(f"key {key_id}, shown this once:", err=True)
    typer.echo(key)
