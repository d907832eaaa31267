"""`tianjing models`: fetch a base model, show what is in the cache, check it."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Base models: a local folder, a hub id, 'embedded' or 'tiny'.",
    epilog="Example: tianjing models fetch embedded",
)

_Name = Annotated[str, typer.Argument(help="A local folder, a hub id such as Qwen/Qwen3-4B, 'embedded' or 'tiny'.")]


@app.command(epilog="Example: tianjing models fetch embedded")
def fetch(name: _Name = "embedded") -> None:
    """Make a base model ready on this machine and print its folder.

    What is here already is not fetched again; a fetch that was stopped goes on. The cache is ~/.cache/tianjing, or
    the folder that TIANJING_CACHE names.
    """
    from tianjing.models import resolve

    typer.echo(resolve(name).path)


@app.command(epilog="Example: tianjing models show")
def show() -> None:
    """List the models in the cache: name, size, digest, folder."""
    from tianjing.lineage import LineageError, read_manifest
    from tianjing.models.cache import cache_dir
    from tianjing.models.embedded import EMBEDDED

    folders = sorted(path for path in (cache_dir() / "models").glob("*") if not path.name.startswith("."))
    for folder in folders:
        name = "embedded" if folder.name == EMBEDDED.name else folder.name
        try:
            manifest = read_manifest(folder)
        except LineageError as error:
            typer.echo(f"{name}  damaged: {error.message}")
            continue
        size_mb = sum(record.bytes for record in manifest.files) / 1e6
        typer.echo(f"{name}  {size_mb:,.1f} MB  sha256 {manifest.digest[:16]}…  {folder}")
    if not folders:
        typer.echo(f"{cache_dir()}: no model yet; make one ready: tianjing models fetch embedded")


@app.command(epilog="Example: tianjing models verify embedded")
def verify(
    name: Annotated[str, typer.Argument(help="'embedded', 'tiny', or a folder with a manifest.")] = "embedded",
    check_only: Annotated[bool, typer.Option("--check-only", help="Report damage, do not mend it; exit 1.")] = False,
) -> None:
    """Read every file of a model and compare its digest with the manifest.

    A damaged model of the cache is made again; one in a folder of your own is only reported, with exit status 1.
    """
    from tianjing.lineage import verify as differences_of
    from tianjing.models import resolve
    from tianjing.models.cache import remove
    from tianjing.models.resolution import RESERVED

    path = resolve(name).path
    differences = differences_of(path)
    for line in differences:
        typer.echo(line)
    if not differences:
        typer.echo(f"{path}: every digest matches")
        return
    if check_only or name not in RESERVED:
        raise typer.Exit(1)
    remove(path.name)
    typer.echo(f"{resolve(name).path}: made again")
