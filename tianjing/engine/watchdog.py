"""Runs a command that must not outlive the process that asked for it. Standard library only.

    python -I -S watchdog.py COMMAND…

Standard input is a pipe from the owner: a line asks for an orderly end; the end of the pipe, or a new
parent, means that the owner is dead however it died, `kill -9` included. Either way the command gets SIGTERM,
a grace period, and then its whole process group SIGKILL. Exits with the command's status.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

POLL_S = 0.2
# Asked to stop, the engine may finish what it holds; an orphan goes quickly.
STOP_GRACE_S = 10.0
ORPHAN_GRACE_S = 1.0
PR_SET_PDEATHSIG = 1


def watch(command: list[str]) -> int:
    owner = os.getppid()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=die_with_parent)
    grace_s = _wait(child, owner)
    if grace_s is not None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_s)
    # Its helpers may still be there even when the command itself has ended.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    return status if status >= 0 else 128 - status


def die_with_parent() -> None:
    """Ask the kernel (Linux) for SIGKILL when the parent ends; elsewhere the pipe alone has to do."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: "subprocess.Popen[bytes]", owner: int) -> float | None:
    """Seconds of grace when the command must end; None when it ended by itself."""
    stop = False

    def ask(signum: int, frame: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, ask)
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], POLL_S)
        if readable:
            return STOP_GRACE_S if os.read(0, 64) else ORPHAN_GRACE_S
        if stop:
            return STOP_GRACE_S
        if os.getppid() != owner:
            return ORPHAN_GRACE_S
    return None


if __name__ == "__main__":
    sys.exit(watch(sys.argv[1:]))
