"""Brings signed checkpoints out of this machine's reach: to a file elsewhere, to a command, or to an address."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from serving.audit.settings import AnchorSettings
from tianjing.files import canonical_json

_log = logging.getLogger(__name__)

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0


class Anchor:
    """Sends the newest checkpoint in a thread of its own; one that a newer one has overtaken is left out."""

    def __init__(self, settings: AnchorSettings):
        self.anchored = 0
        """seq of the newest record that an anchored checkpoint covers, in this run."""
        self.failures = 0
        self._settings = settings
        self._newest: Mapping[str, Any] | None = None
        self._waiting_since: float | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="audit-anchor", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Try once more to send what is left, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(self._settings.timeout_s + 1)

    def offer(self, checkpoint: Mapping[str, Any]) -> None:
        """Send a checkpoint, soon."""
        with self._changed:
            self._newest = checkpoint
            if self._waiting_since is None:
                self._waiting_since = time.monotonic()
            self._changed.notify()

    def too_late(self) -> bool:
        """Whether requests must be refused, because nothing could be anchored for too long."""
        limit, since = self._settings.refuse_after_s, self._waiting_since
        return limit is not None and since is not None and time.monotonic() - since > limit

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            with self._changed:
                while self._newest is None and not self._closing:
                    self._changed.wait()
                checkpoint, last_try = self._newest, self._closing
            if checkpoint is None:
                return
            try:
                send(checkpoint, self._settings)
            except Exception as error:  # whatever broke, the next try may succeed, and nobody starts this thread again
                self.failures += 1
                _log.warning("checkpoint %s is not anchored: %s", checkpoint["seq"], _brief(error))
                if last_try:
                    return
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, retry_s)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
                continue
            retry_s = _FIRST_RETRY_S
            with self._changed:
                self.anchored = int(checkpoint["seq"])
                overtaken = self._newest is not checkpoint
                self._newest = self._newest if overtaken else None
                self._waiting_since = time.monotonic() if overtaken else None


def send(checkpoint: Mapping[str, Any], settings: AnchorSettings) -> None:
    """Send one checkpoint.

    Raises:
        Exception: it did not arrive for certain. OSError, SubprocessError and HTTPException are the usual ones.
    """
    line = (canonical_json(checkpoint) + "\n").encode()
    if settings.file is not None:
        descriptor = os.open(settings.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with os.fdopen(descriptor, "ab", buffering=0) as stream:
            stream.write(b"\n" + line)  # on a line of its own, whatever a crash left of the last one
            os.fsync(stream.fileno())
    elif settings.command:
        subprocess.run(settings.command, input=line, timeout=settings.timeout_s, check=True, capture_output=True)
    else:
        request = urllib.request.Request(settings.url, line, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=settings.timeout_s):
            pass  # urlopen raises on anything but 2xx


def _brief(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__
