"""Reading the engine's log: which phase a start is in, and why one failed."""

from __future__ import annotations

import re
from pathlib import Path

_PHASES = (
    (re.compile(r"Starting vLLM server"), "opening the endpoint"),
    (re.compile(r"KV cache size"), "key-value cache ready"),
    (re.compile(r"Loading weights took"), "weights loaded"),
    (re.compile(r"Starting to load model"), "loading weights"),
    (re.compile(r"Initializing a V1 LLM engine"), "starting the core"),
    (re.compile(r"Resolved architecture"), "reading the model's configuration"),
)
_REASON = re.compile(r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Interrupt): .+)")
# Lines that a failing start prints after its reason, and that tell nothing.
_NOISE = re.compile(r"nanobind|^ - (?:leaked|\.\.\.)|resource_tracker|warnings\.warn|refleaks")
TAIL_LINES = 12


def phase(text: str) -> str:
    """The furthest phase that the log shows."""
    return next((name for pattern, name in _PHASES if pattern.search(text)), "importing vLLM")


def failure(path: Path) -> str:
    """The reason a start failed as far as the log tells, followed by its last telling lines."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip() and not _NOISE.search(line)]
    reasons = [match[1] for line in lines if (match := _REASON.search(line))]
    # The first error is the cause; those after it are processes that noticed.
    head = [reasons[0]] if reasons else []
    return "\n  ".join([*head, *lines[-TAIL_LINES:]])
