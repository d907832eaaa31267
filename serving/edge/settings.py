"""Settings of the outer door."""

from __future__ import annotations

from pydantic import Field

from tianjing.config import StrictModel


class EdgeSettings(StrictModel):
    """The `edge` section of ServeConfig."""

    max_head_bytes: int = Field(default=16 << 10, ge=1024)
    """Bytes of request line and headers; past that the request is refused with 431. Proxies add a few hundred."""

    max_headers: int = Field(default=64, ge=8)
    """Headers of a request; past that it is refused with 431."""

    max_target_bytes: int = Field(default=2048, ge=256)
    """Bytes of path and query; past that the request is refused with 414."""

    head_timeout_s: float = Field(default=10, gt=0)
    """Seconds from a connection's start, or a request's first byte, to the end of its headers."""

    request_timeout_s: float = Field(default=60, gt=0)
    """Seconds from a request's first byte to its last; past that it is refused with 408. 1 MiB needs 17 KiB/s."""

    min_body_bytes_per_s: int = Field(default=1024, ge=1)
    """Mean rate below which a body is given up with 408 once `head_timeout_s` has gone by."""

    send_timeout_s: float = Field(default=30, gt=0)
    """Seconds a client may leave its full buffer unread; then it is dropped and the engine stops working for it."""

    send_buffer_bytes: int = Field(default=128 << 10, ge=16 << 10)
    """Bytes the kernel keeps for one connection's unread answer; the gateway itself keeps 64 KiB more."""

    keep_alive_s: float = Field(default=15, gt=0)
    """Seconds an idle connection stays open for another request."""

    max_connections: int = Field(default=4096, ge=1)
    """Open connections; a further one is answered with 503 and closed. Each needs a file descriptor."""

    max_connections_per_address: int | None = Field(default=None, ge=1)
    """Open connections from one address. None: no limit, because behind a proxy, which TLS needs, all come from one."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose X-Forwarded-For is believed when callers are told apart by address.
    Empty believes nobody: a header is not a fact."""

    backlog: int = Field(default=2048, ge=1)
    """Connections that the kernel holds until they are accepted."""
