"""`tianjing lineage`: walk back to the raw files, check every digest, make keys, sign releases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tianjing.console import make_console

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Where a result comes from, and whether anything was changed since.",
    epilog="Example: tianjing lineage verify runs/demo/merged",
)

_NEVER_WRAPPED = 4096
_Directory = Annotated[Path, typer.Argument(help="Folder of an artefact: knowledge, dataset, adapter, merged, evals.")]


@app.command(epilog="Example: tianjing lineage show runs/demo/merged")
def show(directory: _Directory) -> None:
    """Walk from an artefact back to the raw files, through the inputs in the manifests.

    Nothing is hashed: each input is shown as found, missing, or (for an artefact) no longer the one that was read.
    """
    from tianjing.lineage.tree import lineage_tree

    # Wider than any path: a digest or a path that is cut or wrapped cannot be copied.
    make_console(width=_NEVER_WRAPPED).print(lineage_tree(directory))


@app.command(epilog="Example: tianjing lineage verify runs/demo/merged")
def verify(
    path: Annotated[Path, typer.Argument(help="Folder of an artefact, or a release.json.")],
    here: Annotated[bool, typer.Option("--here", help="Check this artefact alone, not what it was made from.")] = False,
    trusted: Annotated[
        Path | None,
        typer.Option(help="For a release: the signer's .pub file, or a folder of them. Default: your own key."),
    ] = None,
) -> None:
    """Recompute every digest down to the raw files; exit 1 on any difference.

    A release.json is checked for its signature, its signer and its term instead.
    """
    if path.is_file():
        _verify_release(path, trusted)
        return
    from tianjing.lineage.verification import ChainReport, verify_chain
    from tianjing.lineage.verification import verify as verify_artefact

    with make_console(stderr=True).status("reading …") as status:
        if here:
            report = ChainReport(differences=verify_artefact(path), artefacts=1)
        else:
            report = verify_chain(path, lambda current: status.update(f"reading {current}"))
    for line in report.differences:
        typer.echo(line)
    for line in report.absent:
        typer.echo(f"not checked, because it is not here: {line}", err=True)
    artefacts = f"{report.artefacts} artefact{'s' if report.artefacts != 1 else ''} read"
    if report.differences:
        typer.echo(f"{len(report.differences)} difference(s); {artefacts}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{path}: every digest matches; {artefacts}")


def _verify_release(path: Path, trusted: Path | None) -> None:
    from tianjing.lineage.errors import LineageError
    from tianjing.lineage.release import verify_release

    try:
        release = verify_release(path, trusted)
    except LineageError as error:
        typer.echo(str(error))
        raise typer.Exit(1) from None
    if release.expired():
        typer.echo(f"{path}: the signature holds, but the release expired at {release.expires.isoformat()}")
        raise typer.Exit(1)
    typer.echo(f"{path}: the signature holds; verdict {release.verdict}; valid until {release.expires.isoformat()}")


@app.command(epilog="Example: tianjing lineage keygen keys/release.pem")
def keygen(path: Annotated[Path, typer.Argument(help="Private key to write; the public key goes beside it.")]) -> None:
    """Make an Ed25519 key pair; existing files are never overwritten."""
    from tianjing.lineage.keys import keygen as make

    public = make(path)
    typer.echo(f"{path}: private key; keep it secret, it cannot be replaced\n{public}: public key; give it to servers")


@app.command(epilog="Example: tianjing lineage sign release.json --key keys/release.pem")
def sign(
    file: Annotated[Path, typer.Argument(help="A release as JSON, unsigned or to be signed anew; written in place.")],
    key: Annotated[Path | None, typer.Option(help="Private key. Default: your own, made on first use.")] = None,
) -> None:
    """Sign a release, or sign it anew with another key."""
    from tianjing.files import atomic_write
    from tianjing.lineage.errors import LineageError
    from tianjing.lineage.release import sign_release

    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LineageError(f"{file}: cannot be read as JSON: {error}", "write one: tianjing eval gate") from None
    if not isinstance(body, dict):
        raise LineageError(f"{file}: is not a JSON object", "write one: tianjing eval gate")
    signed = sign_release(body, key)
    atomic_write(file, json.dumps(signed, ensure_ascii=False, indent=2) + "\n")
    typer.echo(f"{file}: signed by {signed['public_key'][:16]}…")
