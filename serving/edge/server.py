"""How the gateway listens: uvicorn with httptools and uvloop, under the limits of `EdgeSettings`."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from serving.edge.connection import Connection
from serving.edge.settings import EdgeSettings
from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED

POLL_S = 0.02
# Between the word that answers must end now and the end of their connections.
LAST_WORDS_S = 3.0


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration, and what its connections share."""

    def __init__(self, app: ASGIApp, edge: EdgeSettings, drain_s: float):
        self.edge = edge
        self.addresses: Counter[str] = Counter()
        super().__init__(
            app,
            http=Connection,
            ws="none",
            interface="asgi3",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=edge.backlog,
            # uvicorn would believe anyone on this machine.
            proxy_headers=bool(edge.trusted_proxies),
            forwarded_allow_ips=list(edge.trusted_proxies),
            timeout_graceful_shutdown=math.ceil(drain_s + LAST_WORDS_S),
            loop="uvloop",
        )


class Listener:
    """Serves `app` on `sock`, which already listens, between `start` and `stop`: in a thread with its own event loop.

    Args:
        drain_s: seconds that answers in progress get to end once `stop` is called.
        at_deadline: called when they are over, to end the answers that are left.
    """

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        edge: EdgeSettings | None = None,
        drain_s: float = 5.0,
        at_deadline: Callable[[], None] = lambda: None,
    ):
        config = EdgeConfig(app, edge or EdgeSettings(), drain_s)
        # Connections inherit it: what a client leaves unread is bounded in the kernel too.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, config.edge.send_buffer_bytes)
        self._server = uvicorn.Server(config)
        self._sock = sock
        self._drain_s = drain_s
        self._at_deadline = at_deadline
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [sock]}, name="gateway", daemon=True
        )

    def start(self) -> str:
        """Answer requests; returns the base URL.

        Raises:
            ServeError: the application does not start; why has been logged.
        """
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise ServeError("the gateway did not start", "see the messages above", exit_code=EXIT_STAGE_FAILED)
            time.sleep(POLL_S)
        host, port = self._sock.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Accept nothing more, let answers end, and stop; `hurry` turning true ends the wait for them."""
        self._server.should_exit = True
        deadline = time.monotonic() + self._drain_s
        while self._thread.is_alive() and time.monotonic() < deadline and not hurry():
            time.sleep(POLL_S)
        if self._thread.is_alive():
            self._at_deadline()
        self._thread.join()  # the server's own time-out cuts what is left, and then closes the gateway's parts


@contextlib.contextmanager
def listening(app: ASGIApp, sock: socket.socket, edge: EdgeSettings | None = None) -> Iterator[str]:
    """Serve `app` on `sock` while the block lasts; gives the base URL.

    Raises:
        ServeError: the application does not start.
    """
    listener = Listener(app, sock, edge)
    try:
        yield listener.start()
    finally:
        listener.stop()
