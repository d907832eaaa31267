"""A private store of weights, named by their digest: what is checked here is what the engine loads.

A folder that is checked in its own place can be another one when it is loaded. So its files are first copied, opened
one by one without following links, and checked as copies; nobody but this user can reach those.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ServeError
from tianjing.files import flush, flush_folder, sha256_bytes
from tianjing.lineage import artefact_digest, is_artefact, verify

_NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_RELEASE_BYTES = 1 << 20
_INCOMING = ".incoming-"


@dataclass(frozen=True)
class Store:
    """Weights below `folder`/store, loads of them below `folder`/loads, releases below `folder`/releases.

    Args:
        roots: folders below which weights may be taken from.
    """

    folder: Path
    roots: tuple[Path, ...] = ()

    @property
    def loads(self) -> Path:
        """The folder below which an engine may load from."""
        return self.folder / "loads"

    def prepare(self) -> None:
        """Make the folders, and clear what a killed process left. Only the one process that adds may call it."""
        for name in ("store", "loads", "releases"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in (self.folder / "store").glob(f"{_INCOMING}*"):
            shutil.rmtree(entry)

    @contextlib.contextmanager
    def incoming(self, source: Path) -> Iterator[Path]:
        """A copy of `source` to check; `keep` makes it stay, else it goes with the block.

        Raises:
            ServeError: not below an allowed root, not a folder, or it holds something else than plain files.
        """
        target = self.folder / "store" / f"{_INCOMING}{secrets.token_hex(8)}"
        with _opened(source, self.roots, os.O_DIRECTORY) as descriptor:
            target.mkdir(mode=0o700)
            try:
                _copied(descriptor, source, target)
                yield target
            finally:
                shutil.rmtree(target, ignore_errors=True)

    def keep(self, copy: Path, digest: str) -> Path:
        """Give a checked copy its place; returns where it lies. Equal weights are kept once."""
        place = self.place(digest)
        if not place.exists():
            os.rename(copy, place)
            flush(place.parent)
        else:
            require_digest(place, digest)
        return place

    def place(self, digest: str) -> Path:
        """Where weights of this digest lie, or would."""
        return self.folder / "store" / digest

    def take_release(self, source: Path) -> Path:
        """Copy a release file; it is checked where it then lies.

        Raises:
            ServeError: not below an allowed root, or not a plain file of reasonable size.
        """
        with _opened(source, self.roots, 0) as descriptor:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_RELEASE_BYTES:
                raise ServeError(
                    f"{source}: not a release file", "give the release.json that 'tianjing eval gate' wrote"
                )
            data = os.read(descriptor, _MAX_RELEASE_BYTES)
        return self.keep_release(data)

    def keep_release(self, data: bytes) -> Path:
        """Give a release its place; returns where it lies."""
        path = self.release(sha256_bytes(data))
        temporary = path.with_name(f"{_INCOMING}{secrets.token_hex(8)}")
        temporary.write_bytes(data)
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
        return path

    def release(self, digest: str) -> Path:
        """Where the release of this SHA-256 lies, or would."""
        return self.folder / "releases" / f"{digest}.json"

    def link(self, folder: Path, engine_name: str) -> Path:
        """A path of its own for one load: the engine tells loads apart by name and path."""
        path = self.loads / engine_name
        shutil.copytree(folder, path, copy_function=os.link)
        return path

    def unlink(self, engine_name: str) -> None:
        """Remove the path of a load."""
        shutil.rmtree(self.loads / engine_name, ignore_errors=True)

    def sweep(self, digests: set[str], releases: set[str], loads: set[str]) -> None:
        """Delete weights, releases and loads that nothing names any more. Call it while nothing is being added."""
        for parent, kept in (("store", digests), ("loads", loads), ("releases", {f"{name}.json" for name in releases})):
            for entry in (self.folder / parent).iterdir():
                if entry.name in kept or entry.name.startswith(_INCOMING):
                    continue
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


def require_digest(folder: Path, digest: str) -> None:
    """Check that the bytes in `folder` are still those of `digest`.

    Raises:
        ServeError: naming the first difference.
    """
    differences = verify(folder) if is_artefact(folder) else []
    found = artefact_digest(folder)
    if found != digest:
        differences.append(f"digest {found[:16]}…, recorded {digest[:16]}…")
    if differences:
        raise ServeError(
            f"{folder}: the weights were changed after they were checked: {differences[0]}",
            "find out who changed them; then add the version again from the folder that was evaluated",
        )


@contextlib.contextmanager
def _opened(source: Path, roots: Sequence[Path], flags: int) -> Iterator[int]:
    """`source` opened from its root downwards, without following a link: what is opened lies below the root."""
    remedy = "name a folder of adapters.roots in the endpoint's configuration, and put the weights below it"
    if not source.is_absolute():
        raise ServeError(f"{source}: not an absolute path", remedy)
    real = Path(os.path.realpath(source))
    root = next((Path(os.path.realpath(root)) for root in roots if real.is_relative_to(os.path.realpath(root))), None)
    if root is None or real == root:
        raise ServeError(f"{source}: not below a folder that weights may be added from", remedy)
    with contextlib.ExitStack() as stack:
        try:
            descriptor = os.open(root, _NO_LINK | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            parts = real.relative_to(root).parts
            for number, part in enumerate(parts, start=1):
                kind = flags if number == len(parts) else os.O_DIRECTORY
                descriptor = os.open(part, _NO_LINK | os.O_NONBLOCK | kind, dir_fd=descriptor)
                stack.callback(os.close, descriptor)
        except OSError as error:
            raise ServeError(
                f"{source}: cannot be read: {error.strerror}", "check the path and its permissions"
            ) from None
        yield descriptor


def _copied(descriptor: int, source: Path, target: Path) -> None:
    try:
        _copy_folder(descriptor, source, target)
        flush_folder(target)
    except OSError as error:
        raise ServeError(
            f"{source}: cannot be copied into {target.parent}: {error.strerror}",
            "free space there, or mend the permissions",
        ) from None


def _copy_folder(descriptor: int, source: Path, target: Path) -> None:
    """Copy the plain files of an opened folder; anything else than files and folders is refused.

    Hidden files are left out: no digest covers them, and no engine reads them.
    """
    for name in os.listdir(descriptor):
        if name.startswith("."):
            continue
        found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            inner = os.open(name, _NO_LINK | os.O_DIRECTORY, dir_fd=descriptor)
            try:
                (target / name).mkdir(mode=0o700)
                _copy_folder(inner, source / name, target / name)
            finally:
                os.close(inner)
        elif stat.S_ISREG(found.st_mode):
            _copy_file(descriptor, name, target / name)
        else:
            raise ServeError(f"{source / name}: not a plain file", "give a folder without links, sockets and devices")


def _copy_file(folder: int, name: str, target: Path) -> None:
    # Without waiting: between the look and the opening the file may have become a pipe that nobody writes to.
    descriptor = os.open(name, _NO_LINK | os.O_NONBLOCK, dir_fd=folder)
    with open(descriptor, "rb") as stream, open(target, "xb") as copy:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ServeError(f"{name}: became something else while it was read", "give a folder that nobody changes")
        shutil.copyfileobj(stream, copy, 1 << 20)
    target.chmod(0o400)
