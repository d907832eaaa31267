"""`tianjing serve adapters`: move weights of a running endpoint through its API."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from serving.errors import ServeError
from serving.identity.bootstrap import VARIABLE
from tianjing.errors import EXIT_NOT_RELEASED, EXIT_STAGE_FAILED

app = typer.Typer(
    no_args_is_help=True,
    help="Add, try out, promote and roll back the weights of a running endpoint.",
    epilog="Example: tianjing serve adapters list",
)

# Copying and checking large weights, or starting an engine for them, takes minutes.
TIMEOUT_S = 3600

_Url = Annotated[str, typer.Option("--url", envvar="TIANJING_URL", help="Root of the running endpoint.")]
_KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help=f"File with an operator's key. Default: the variable {VARIABLE}.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print the endpoint's answer as JSON.")]
_Name = Annotated[str, typer.Argument(help="The model's name, as callers give it.")]
DEFAULT_URL = "http://127.0.0.1:8000"


@app.command("list", epilog="Example: tianjing serve adapters list --url http://127.0.0.1:8000")
def list_(url: _Url = DEFAULT_URL, key_file: _KeyFile = None, as_json: _Json = False) -> None:
    """Show every model with its versions, the canary and what it has counted."""
    answer = _call(url, key_file, "GET", "/v1/adapters")
    if as_json:
        _print_json(answer)
    elif not answer["data"]:
        typer.echo("no models yet")
    else:
        typer.echo("\n\n".join(_shown(row) for row in answer["data"]))


@app.command(
    epilog="Example: tianjing serve adapters add tianjing v2 /srv/weights/adapter --release /srv/weights/release.json"
)
def add(
    name: _Name,
    version: Annotated[str, typer.Argument(help="What these weights are called from now on.")],
    folder: Annotated[Path, typer.Argument(help="Adapter or merged weights, on the endpoint's machine.")],
    release: Annotated[Path | None, typer.Option(help="Their signed release.json.")] = None,
    override_reason: Annotated[
        str | None, typer.Option(help="Serve knowingly without a release, and why; goes into the audit log.")
    ] = None,
    url: _Url = DEFAULT_URL,
    key_file: _KeyFile = None,
    as_json: _Json = False,
) -> None:
    """Check weights and take a copy into the registry. Nobody gets them yet."""
    body = {
        "name": name,
        "version": version,
        "folder": str(folder.absolute()),
        "release": str(release.absolute()) if release is not None else None,
        "override_reason": override_reason,
    }
    _moved(_call(url, key_file, "POST", "/v1/adapters", body), as_json)


@app.command(epilog="Example: tianjing serve adapters canary tianjing v2 --share 0.05")
def canary(
    name: _Name,
    version: Annotated[str, typer.Argument(help="A version that was added.")],
    share: Annotated[float, typer.Option(help="Share of the customers who get it, above 0 and below 1.")],
    url: _Url = DEFAULT_URL,
    key_file: _KeyFile = None,
    as_json: _Json = False,
) -> None:
    """Give a version to a share of the customers, or change the share. It goes back by itself when it does badly."""
    _moved(_call(url, key_file, "POST", _path(name, "canary"), {"version": version, "share": share}), as_json)


@app.command(epilog="Example: tianjing serve adapters promote tianjing")
def promote(
    name: _Name,
    version: Annotated[str | None, typer.Argument(help="Default: the canary.")] = None,
    url: _Url = DEFAULT_URL,
    key_file: _KeyFile = None,
    as_json: _Json = False,
) -> None:
    """Give everybody the canary, or a version."""
    _moved(_call(url, key_file, "POST", _path(name, "promote"), {"version": version}), as_json)


@app.command(epilog="Example: tianjing serve adapters rollback tianjing --reason '投诉增多'")
def rollback(
    name: _Name,
    reason: Annotated[str, typer.Option(help="For the audit log.")] = "",
    url: _Url = DEFAULT_URL,
    key_file: _KeyFile = None,
    as_json: _Json = False,
) -> None:
    """End the canary; without one, give everybody what they got before the last promotion."""
    _moved(_call(url, key_file, "POST", _path(name, "rollback"), {"reason": reason}), as_json)


def _path(name: str, move: str) -> str:
    return f"/v1/adapters/{quote(name, safe='')}/{move}"


def _call(url: str, key_file: Path | None, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The endpoint's answer.

    Raises:
        ServeError: no key, no endpoint, or its refusal with its reason.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ServeError(
            f"--url {url}: not an http or https address", "give the endpoint's root, such as " + DEFAULT_URL
        )
    root = url.rstrip("/").removesuffix("/v1")
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {_key(key_file)}", "Content-Type": "application/json"}
    request = urllib.request.Request(root + path, data=data, headers=headers, method=method)
    # Without the proxies of the environment: the key is for the endpoint alone.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise _refused(error, root) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ServeError(
            f"{root}: the endpoint does not answer: {reason}",
            "start it with 'tianjing serve', or name another with --url",
            exit_code=EXIT_STAGE_FAILED,
        ) from None


def _refused(error: urllib.error.HTTPError, root: str) -> ServeError:
    try:
        told = json.load(error)["error"]
        message, code = str(told["message"]), told.get("code")
    except (ValueError, KeyError, TypeError):
        message, code = error.reason, None
    reason, _, remedy = message.partition("\n  → ")
    if error.code in (401, 403):
        remedy = f"put an operator's key into {VARIABLE}, or name its file with --key-file"
    elif error.code == 404 and code is None and "path" in reason:
        remedy = "this endpoint has no registry of adapters; see docs/serving-adapters.md"
    else:
        remedy = remedy or "'tianjing serve adapters list' shows every model, its versions and the canary"
    exit_code = EXIT_NOT_RELEASED if code == "not_released" else EXIT_STAGE_FAILED
    return ServeError(f"{root}: {error.code}: {reason}", remedy, exit_code=exit_code)


def _key(key_file: Path | None) -> str:
    if key_file is not None:
        try:
            return key_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServeError(f"{key_file}: no key can be read: {error}", "give a file that holds one key") from None
    if key := os.environ.get(VARIABLE):
        return key
    raise ServeError("no key is given", f"put an operator's key into {VARIABLE}, or name its file with --key-file")


def _moved(row: Any, as_json: bool) -> None:
    if as_json:
        _print_json(row)
    else:
        typer.echo(_shown(row))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _shown(row: dict[str, Any]) -> str:
    """One model as a person reads it."""
    canary = row["canary"]
    lines = [f"{row['name']}: stable {row['stable'] or 'none'}"]
    if canary:
        lines[0] += f", canary {canary['version']} at {canary['share']:g}"
    if moved := row["moved"]:
        why = f": {moved['why']}" if moved["why"] else ""
        lines.append(f"  last: {_time(moved['at'])} {moved['what']} {moved['version']}{why}")
    for version in row["versions"]:
        lines.append("  " + _version(row, version))
    for rate, counts in (canary or {}).get("counts", {}).items():
        lines.append(
            f"  {rate} rate: canary {counts['canary_bad']} of {counts['canary']}, "
            f"stable {counts['stable_bad']} of {counts['stable']}"
        )
    return "\n".join(lines)


def _version(row: dict[str, Any], version: dict[str, Any]) -> str:
    name = version["version"]
    roles = {row["stable"]: "stable", row["previous"]: "previous"}
    if row["canary"]:
        roles[row["canary"]["version"]] = "canary"
    if version["override"]:
        proof = f"without a release: {version['override']['why']}"
    elif version["served"]:
        proof = f"released until {_time(version['expires'])}"
    else:
        proof = "release expired"
    return f"{name:24} {version['kind']:8} {roles.get(name, ''):9} {version['status']:10} {proof}"


def _time(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%d %H:%M UTC")
