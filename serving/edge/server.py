"""How the gateway listens: uvicorn with httptools and uvloop, under the limits of `EdgeSettings`."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from serving.edge.connection import Connection
from serving.edge.settings import EdgeSettings
from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED

# Answers in progress get this long to end when the endpoint stops.
DRAIN_S = 5


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration, and what its connections share."""

    def __init__(self, app: ASGIApp, edge: EdgeSettings):
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
            timeout_graceful_shutdown=DRAIN_S,
        )


@contextlib.contextmanager
def listening(app: ASGIApp, sock: socket.socket, edge: EdgeSettings | None = None) -> Iterator[str]:
    """Serve `app` on `sock`, which already listens, in a thread of its own; gives the base URL.

    Raises:
        ServeError: the application does not start.
    """
    config = EdgeConfig(app, edge or EdgeSettings())
    # Connections inherit it: what a client leaves unread is bounded in the kernel too.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, config.edge.send_buffer_bytes)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="gateway", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServeError("the gateway did not start", "see the messages above", exit_code=EXIT_STAGE_FAILED)
            time.sleep(0.02)
        host, port = sock.getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()
