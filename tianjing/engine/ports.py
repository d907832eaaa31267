"""TCP ports: take a free one, or say plainly that the wanted one is taken."""

from __future__ import annotations

import errno
import socket

from tianjing.engine.errors import EngineError
from tianjing.errors import EXIT_BAD_INPUT


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on now."""
    with reserve_port(host, 0) as sock:
        return int(sock.getsockname()[1])


def require_free_port(host: str, port: int, option: str = "--port", *, shared: bool = False) -> None:
    """Check that `port` can be listened on; `shared` as in `reserve_port`.

    Raises:
        EngineError: naming the port and the option that chooses another.
    """
    reserve_port(host, port, option, shared=shared).close()


def reserve_port(host: str, port: int, option: str = "--port", *, shared: bool = False) -> socket.socket:
    """A socket that already listens, so that nobody else takes the port while a model loads; 0 takes a free port.

    Args:
        shared: other processes may listen on the port too, if they say so as well; the kernel shares out connections.

    Raises:
        EngineError: as `require_free_port`.
    """
    remedy = f"choose another with {option} (0 takes a free one), or stop the program that uses {port}"
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen()
    except OSError as error:
        sock.close()
        if isinstance(error, socket.gaierror):
            reason, remedy = f"unknown host '{host}'", "use 127.0.0.1, or 0.0.0.0 for every interface"
        elif error.errno == errno.EADDRINUSE:
            reason = f"port {port} on {host} is in use"
        elif error.errno == errno.EACCES:
            reason = f"port {port} needs privileges this user does not have"
        else:
            reason = f"cannot listen on {host}:{port}: {error.strerror}"
        raise EngineError(reason, remedy, exit_code=EXIT_BAD_INPUT) from None
    return sock
