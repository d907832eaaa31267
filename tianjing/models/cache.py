"""Where converted models, downloads and keys are kept, and how two processes share them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tianjing.lineage import all_there, artefact, is_artefact, read_manifest
from tianjing.models.errors import ModelError
from tianjing.models.progress import OnPhase

CACHE_VARIABLE = "TIANJING_CACHE"
KIND = "model"


def cache_dir() -> Path:
    """The user's cache folder: `TIANJING_CACHE`, or `~/.cache/tianjing`. Not created here."""
    value = os.environ.get(CACHE_VARIABLE)
    return Path(value).expanduser().absolute() if value else Path.home() / ".cache" / "tianjing"


def model_dir(name: str) -> Path:
    """Where the converted model `name` stands, or will stand."""
    return cache_dir() / "models" / name


def holds(name: str, parameters: dict[str, Any]) -> bool:
    """Whether the cache holds this model, made with these parameters, every file at its size (no file is read)."""
    folder = model_dir(name)
    return all_there(folder) and read_manifest(folder).parameters == parameters


def ensure(name: str, parameters: dict[str, Any], on_phase: OnPhase, fill: Callable[[Path], None]) -> Path:
    """Folder of a model in the cache; if it is not there, or damaged, `fill` makes it in the folder it is given.

    Of several processes that ask at once, one works and the others wait. The model appears whole or not at all.

    Raises:
        ModelError: the cache cannot be written. LineageError: its disk is full.
    """
    folder = model_dir(name)
    if holds(name, parameters):
        return folder
    with exclusive(name, lambda pid: on_phase(f"waiting for process {pid}, which is preparing {name}", 0.0)):
        if not holds(name, parameters):
            if folder.exists() and not is_artefact(folder):
                shutil.rmtree(folder)  # damaged beyond reading; the cache is ours to clear
            with artefact(folder, kind=KIND, parameters=parameters) as work:
                fill(work.dir)
    return folder


def remove(name: str) -> None:
    """Take a model out of the cache; a process that has it open keeps its files until it ends."""
    with exclusive(name, lambda _: None), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(model_dir(name))


@contextlib.contextmanager
def exclusive(name: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time prepare the model `name`; the system frees the lock when a process is killed.

    Args:
        on_wait: called once, with the process id of the other, before this one waits for it.

    Raises:
        ModelError: the cache folder cannot be written.
    """
    path = cache_dir() / "locks" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ModelError(
            f"{path}: the cache cannot be written: {error.strerror}", f"set {CACHE_VARIABLE} to a folder you may write"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
