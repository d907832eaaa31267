"""The gateway's HTTP server, in a thread of its own with its own event loop."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED

POLL_S = 0.02
# Between the word that answers must end now and the end of their connections.
LAST_WORDS_S = 3.0


class Listener:
    """Serves `app` on `sock` between `start` and `stop`.

    Args:
        drain_s: seconds that answers in progress get to end once `stop` is called.
        at_deadline: called when they are over, to end the answers that are left.
    """

    def __init__(
        self, app: ASGIApp, sock: socket.socket, drain_s: float = 5.0, at_deadline: Callable[[], None] = lambda: None
    ):
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=math.ceil(drain_s + LAST_WORDS_S),
        )
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

    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Accept nothing more, let answers end, and stop; `hurry` turning true ends the wait for them."""
        self._server.should_exit = True
        deadline = time.monotonic() + self._drain_s
        while self._thread.is_alive() and time.monotonic() < deadline and not hurry():
            time.sleep(POLL_S)
        if self._thread.is_alive():
            self._at_deadline()
        self._thread.join()  # the server's own time-out cuts what is left, and then closes the gateway's parts
