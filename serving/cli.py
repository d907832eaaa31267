"""`tianjing serve`: run the endpoint, or its halves; or check that it answers as it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from serving.adapters.cli import app as adapters_app
from serving.handoff.cli import app as handoffs_app
from serving.identity.cli import app as keys_app
from tianjing.console import make_console

if TYPE_CHECKING:
    from serving.adapters.state import Version
    from serving.config import ServeConfig


class _RunGroup(TyperGroup):
    """`tianjing serve TARGET` means `tianjing serve run TARGET`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_RunGroup,
    add_completion=False,
    no_args_is_help=True,
    help="Serve a released model behind the guarded OpenAI-compatible endpoint. `tianjing serve TARGET` runs it.",
    epilog="Example: tianjing serve examples/serve.yaml",
)

app.add_typer(adapters_app, name="adapters")
app.add_typer(handoffs_app, name="handoffs")
app.add_typer(keys_app, name="keys")

_Model = Annotated[Path, typer.Argument(help="Folder of the merged model.")]
_Release = Annotated[Path | None, typer.Option(help="Signed release.json that promotes this model.")]
_Trusted = Annotated[
    Path | None, typer.Option(help="Public key (.pub) to trust, or a folder of them. Default: your own key.")
]
_Unreleased = Annotated[bool, typer.Option("--allow-unreleased", help="Serve knowingly without a valid release.")]
_Config = Annotated[Path | None, typer.Option(help="YAML file with fields of ServeConfig.")]
_Host = Annotated[str | None, typer.Option(help="Address to listen on; overrides the configuration.")]
_Port = Annotated[int | None, typer.Option(help="TCP port, 0 for a free one; overrides the configuration.")]
_State = Annotated[
    Path | None,
    typer.Option(help="Folder of key hash, hand-off queue and engine log. Default: .serving beside the target."),
]


@app.command(epilog="Example: tianjing serve run demo/merged --release demo/release.json --port 8000")
def run(
    target: Annotated[Path, typer.Argument(help="Folder of the merged model, or a YAML file of ServeConfig.")],
    release: _Release = None,
    trusted: _Trusted = None,
    allow_unreleased: _Unreleased = False,
    config: _Config = None,
    host: _Host = None,
    port: _Port = None,
    state: _State = None,
) -> None:
    """Serve in the foreground until Ctrl-C or SIGTERM; answers in progress may end. SIGHUP reads the file again.

    The API key is taken from TIANJING_API_KEY; without it one is made at the first start and shown once.
    """
    from serving.errors import ServeError

    source = config
    flags = {"release": release, "trusted": trusted, "host": host, "port": port, "state": state}
    if target.is_file():
        if config is not None:
            raise ServeError(f"{target} and --config {config}: two configurations", "give one of them")
        source = target
    else:
        flags["model"] = target
    _serve(source, flags, allow_unreleased)


@app.command(epilog="Example: tianjing serve gateway examples/serve-gateway.yaml --port 8000")
def gateway(
    config: Annotated[Path, typer.Argument(help="YAML file of ServeConfig with the engines under `upstreams`.")],
    release: _Release = None,
    trusted: _Trusted = None,
    allow_unreleased: _Unreleased = False,
    host: _Host = None,
    port: _Port = None,
    state: _State = None,
) -> None:
    """Serve only the gateway, in front of engines that run already."""
    flags = {"release": release, "trusted": trusted, "host": host, "port": port, "state": state}
    _serve(config, {**flags, "engine": "external"}, allow_unreleased)


@app.command(epilog="Example: tianjing serve engine demo/merged --release demo/release.json --port 9000")
def engine(
    model: _Model,
    release: _Release = None,
    trusted: _Trusted = None,
    allow_unreleased: _Unreleased = False,
    config: _Config = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port, 0 for a free one.")] = 9000,
    uds: Annotated[Path | None, typer.Option(help="Unix socket to listen on instead.")] = None,
    log: Annotated[Path, typer.Option(help="File of the engine's log.")] = Path("engine.log"),
) -> None:
    """Serve only the engine, for gateways elsewhere; it ends with status 1 when vLLM ends.

    Its secret is taken from TIANJING_ENGINE_KEY. Whoever has it gets unguarded answers: only gateways may.
    """
    from serving.launch.alone import serve_engine
    from serving.launch.plan import engine_config
    from tianjing.engine.server import require_model

    console = _console()
    settings = _settings(config, {"model": model, "release": release, "trusted": trusted})
    require_model(model)
    _released(settings, allow_unreleased, console)
    engine_settings = engine_config(model, settings, uds).model_copy(update={"host": host, "port": port})
    with _progress(console) as report:

        def ready(base_url: str) -> None:
            report(None)
            typer.echo(f"the engine answers at {base_url}")

        serve_engine(engine_settings, log, report, ready)
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
    from tianjing.engine.server import require_model
    from tianjing.lineage import artefact

    console = _console()
    settings = _settings(config, {"model": model, "release": release, "trusted": trusted})
    require_model(model)
    weights, digest = _released(settings, allow_unreleased, console)
    inputs = [model, *([settings.release] if settings.release else [])]
    with artefact(out, kind="serving_check", inputs=inputs, parameters=settings.model_dump(mode="json")) as work:
        with _progress(console) as report:
            checks = run_checks(model, settings, weights, digest, out.resolve().parent / ".work" / out.name, report)
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


def _serve(source: Path | None, flags: dict[str, Any], allow_unreleased: bool) -> None:
    from serving.errors import ServeError
    from serving.identity.bootstrap import own_key
    from serving.launch.endpoint import serve
    from serving.launch.plan import Endpoint
    from serving.launch.reload import Reloader
    from serving.observe.logs import set_up
    from serving.upstreams.pool import Pool
    from serving.welcome import welcome
    from tianjing.engine import require_free_port
    from tianjing.engine.server import require_model

    console = _console()
    settings = _settings(source, flags)
    model = settings.model if settings.engine == "managed" else None
    if settings.engine == "managed":
        if model is None:
            raise ServeError(
                f"{source}: no 'model' to serve", "name its folder there, or set 'engine: external' with 'upstreams'"
            )
        require_model(model)
    require_free_port(settings.host, settings.port, shared=settings.reuse_port)
    for one in settings.upstreams:
        one.secret()
    weights, digest = _released(settings, allow_unreleased, console)
    _warn(settings, console)
    beside = model if model is not None else source
    assert beside is not None
    folder = settings.state or beside.resolve().parent / ".serving"
    key = own_key(folder, settings.identity.keyring)
    endpoint = Endpoint(model, settings, folder, key, weights, digest, log_folder=folder)

    def reloader(pool: Pool) -> Reloader:
        assert source is not None
        return Reloader(lambda: _settings(source, flags), source, settings, pool)

    set_up(settings.observe)
    with _progress(console) as report:

        def ready(base_url: str) -> None:
            report(None)
            typer.echo(welcome(base_url, settings.served_name, key))

        serve(endpoint, report, ready, reloader if source else None)
    console.print("stopped")


def _settings(source: Path | None, flags: dict[str, Any]) -> ServeConfig:
    """The file's settings, with those of the command line over them."""
    from serving.config import ServeConfig
    from tianjing.config import load_yaml, parse

    given = {name: value for name, value in flags.items() if value is not None}
    if source is None:
        return parse(ServeConfig, given, "command line")
    # Together, because only together they need to fit; the file's own mistakes are told with their lines.
    return parse(ServeConfig, load_yaml(source) | given, str(source), source)


def _released(settings: ServeConfig, allow: bool, console: Console) -> tuple[Version | None, str]:
    """The weights of `settings.model` and the digest of those released, "none" when served knowingly without."""
    import time

    from serving.adapters.configured import vouched
    from serving.adapters.release import UNRELEASED
    from serving.errors import ServeError
    from serving.launch.alone import require_release_elsewhere

    knowingly = allow or not settings.require_release
    with console.status("checking the release …"):
        if settings.model is not None:
            given = (settings.model, settings.release, settings.temperature, settings.trusted)
            weights = vouched(*given, knowingly=knowingly, now=time.time())
            why = weights.override.why if weights.override else ""
            digest = UNRELEASED if why else weights.digest
        else:
            weights, why, digest = None, "", UNRELEASED
            try:
                digest = require_release_elsewhere(settings)
            except ServeError as error:
                if not knowingly:
                    raise
                why = error.message
    if why:
        console.print(f"[bold yellow]warning[/] serving without a release: {why}", markup=True)
    return weights, digest


def _warn(settings: ServeConfig, console: Console) -> None:
    """What an endpoint may do without, and should not do without once customers reach it."""
    if not settings.labels.producer:
        console.print("[bold yellow]warning[/] answers are not labelled as AI-generated: set labels.producer")
    if settings.audit.mode == "off":
        console.print("[bold yellow]warning[/] requests are not accounted for: audit.mode is off")
    elif settings.audit.anchor is None:
        console.print("[bold yellow]warning[/] a cut tail of the audit log would not be found: set audit.anchor")


def _console() -> Console:
    return make_console(stderr=True, soft_wrap=True)


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
