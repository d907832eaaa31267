"""`tianjing run PIPELINE.yaml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tianjing.files import OnError

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: tianjing run examples/quickstart.yaml --out runs/quickstart")
def run(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (YAML).")],
    out: Annotated[Path | None, typer.Option("--out", help="Output folder; default runs/NAME.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Raw folder, in place of the file's; also TIANJING_DATA.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Base model, in place of the file's.")] = None,
    force: Annotated[
        list[str] | None, typer.Option("--force", metavar="STAGE", help="Run this stage again; repeatable.")
    ] = None,
    on_error: Annotated[
        OnError, typer.Option("--on-error", help="Bad raw lines: stop, or keep them aside and go on.")
    ] = "stop",
    serve: Annotated[bool, typer.Option("--serve", help="Leave the endpoint running in the foreground.")] = False,
    port: Annotated[int, typer.Option("--port", help="Port of the endpoint with --serve.")] = 8000,
) -> None:
    """Run data, train, merge, evaluate, gate, report and serve check; finished stages are skipped.

    Exit status: 0 finished, 1 a stage failed, 2 bad input, 3 the gate did not promote, 130 interrupted.
    """
    from tianjing.errors import TianjingError
    from tianjing.pipeline.config import load_pipeline
    from tianjing.pipeline.run import run_pipeline
    from tianjing.pipeline.serve import check_port, serve_result

    config = load_pipeline(pipeline)
    given = data or (Path(os.environ["TIANJING_DATA"]) if os.environ.get("TIANJING_DATA") else None)
    raw = given or (pipeline.parent / config.raw if config.raw else None)
    if raw is None:
        raise TianjingError(f"{pipeline}: the raw folder is not given", config.raw_help or "pass --data DIR")
    if not raw.is_dir():
        raise TianjingError(f"{raw}: no such folder of raw material", config.raw_help or "pass --data DIR")
    if serve:
        check_port(port)
    target = out or Path("runs") / config.name
    status = run_pipeline(config, raw, target, model=model or config.model, force=tuple(force or ()), on_error=on_error)
    if serve and status == 0:
        status = serve_result(config, target, port)
    raise typer.Exit(status)
