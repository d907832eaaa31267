"""`tianjing serve`: run the endpoint, or check that it answers as it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from serving.config import ServeConfig

app = typer.Typer(no_args_is_help=True, help="Serve a released model behind the guarded OpenAI-compatible endpoint.")

_Model = Annotated[Path, typer.Argument(help="Folder of the merged model.")]
_Release = Annotated[Path | None, typer.Option(help="Signed release.json that promotes this model.")]
_Trusted = Annotated[
    Path | None, typer.Option(help="Public key (.pub) to trust, or a folder of them. Default: your own key.")
]
_Unreleased = Annotated[bool, typer.Option("--allow-unreleased", help="Serve knowingly without a valid release.")]
_Config = Annotated[Path | None, typer.Option(help="YAML file with fields of ServeConfig.")]


@app.command(epilog="Example: tianjing serve run demo/merged --release demo/release.json --port 8000")
def run(
    model: _Model,
    release: _Release = None,
    trusted: _Trusted = None,
    allow_unreleased: _Unreleased = False,
    config: _Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; overrides the configuration.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port, 0 for a free one; overrides the configuration.")] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of key hash, hand-off queue and engine log. Default: .serving beside the model."),
    ] = None,
) -> None:
    """Serve the model in the foreground until Ctrl-C.

    The API key is taken from TIANJING_API_KEY; without it one is made at the first start and shown once.
    """
    from serving.config import ServeConfig
    from serving.identity.bootstrap import load_or_make
    from serving.launch.endpoint import Endpoint, serve
    from serving.welcome import welcome
    from tianjing.config import load, parse
    from tianjing.engine import require_free_port
    from tianjing.engine.server import require_model

    console = _console()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = parse(ServeConfig, load(ServeConfig, config).model_dump() | given, "command line")
    require_model(model)
    require_free_port(settings.host, settings.port)
    digest = _released(model, release, trusted, settings, allow_unreleased, console)
    folder = state or model.resolve().parent / ".serving"
    key = load_or_make(folder)
    endpoint = Endpoint(model, settings, folder, key, digest, log_folder=folder)
    with _progress(console) as report:

        def ready(base_url: str) -> None:
            report(None)
            typer.echo(welcome(base_url, settings.served_name, key))

        serve(endpoint, report, ready)
    console.print("stopped")


@app.command(epilog="Example: tianjing serve check demo/merged --release demo/release.json --out demo/serving")
def check(
    model: _Model,
    out: Annotated[Path, typer.Option(help="Folder to write check.json to.")],
    release: _Release = None,
    trusted: _Trusted = None,
    allow_unreleased: _Unreleased = False,
    config: _Config = None,
) -> None:
    """Start the endpoint on a free port and try it through the OpenAI client; exit 1 when anything fails.

    Tried: models list, a chat, a streamed chat, a message with personal data, one that must go to a person, a wrong
    key.
    """
    from serving.check import run_checks, write_checks
    from serving.config import ServeConfig
    from tianjing.config import load
    from tianjing.engine.server import require_model
    from tianjing.lineage import artefact

    console = _console()
    settings = load(ServeConfig, config)
    require_model(model)
    digest = _released(model, release, trusted, settings, allow_unreleased, console)
    inputs = [model, *([release] if release else [])]
    with artefact(out, kind="serving_check", inputs=inputs, parameters=settings.model_dump(mode="json")) as work:
        with _progress(console) as report:
            checks = run_checks(model, settings, digest, out.resolve().parent / ".work" / out.name, report)
        write_checks(work.dir, checks)
        failed = [entry.name for entry in checks if not entry.ok]
        work.count("checks", len(checks))
        work.count("failed", len(failed))
    for entry in checks:
        mark = "ok    " if entry.ok else "FAILED"
        typer.echo(f"{mark} {entry.name:8} {entry.seconds:6.2f} s  {entry.detail}")
    if failed:
        console.print(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")
        raise typer.Exit(1)


def _released(
    model: Path, release: Path | None, trusted: Path | None, settings: ServeConfig, allow: bool, console: Console
) -> str:
    """Digest of the released weights, or "none" when the operator serves without a release knowingly."""
    from serving.adapters.release import UNRELEASED, require_release
    from serving.errors import ServeError

    try:
        with console.status("checking the release …"):
            return require_release(model, release, settings.temperature, trusted)
    except ServeError as error:
        if settings.require_release and not allow:
            raise
        console.print(f"[bold yellow]warning[/] serving without a release: {error.message}", markup=True)
        return UNRELEASED


def _console() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str | None], None]]:
    """A spinner on a terminal, a line per phase elsewhere; None ends it."""
    status = console.status("starting …")

    def report(phase: str | None) -> None:
        if phase is None:
            status.stop()
        elif console.is_terminal:
            status.update(f"{phase} …")
        else:
            console.print(f"{phase} …", markup=False)

    if console.is_terminal:
        status.start()
    try:
        yield report
    finally:
        status.stop()
