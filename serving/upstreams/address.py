"""Where an engine listens: `http://host:port`, `https://host:port` or `unix:/path/of/socket`."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

Protocol = TypeVar("Protocol", bound=asyncio.Protocol)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Attributes:
        socket: path of a unix socket, "" for TCP.
        prefix: what stands before `/v1/…` in every path, mostly "".
        authority: value of the Host header.
    """

    scheme: str
    host: str
    port: int
    socket: str
    prefix: str
    authority: str

    async def connect(self, protocol: Protocol, tls: ssl.SSLContext | None) -> Protocol:
        """Open a connection; raises OSError."""
        loop = asyncio.get_running_loop()
        if self.socket:
            await loop.create_unix_connection(lambda: protocol, self.socket)
        else:
            await loop.create_connection(lambda: protocol, self.host, self.port, ssl=tls)
        return protocol


def parse_address(url: str) -> Address:
    """Read an address; a trailing `/v1`, as OpenAI clients write it, is left out.

    Raises:
        ValueError: what is wrong with it.
    """
    if url.startswith("unix:"):
        path = url.removeprefix("unix:").removeprefix("//")
        if not path.startswith("/"):
            raise ValueError("a unix socket is written unix:/absolute/path")
        return Address("unix", "", 0, path, "", "localhost")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an engine's address is http://host:port, https://host:port or unix:/path")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(
            "an engine's address holds no user, query or fragment; its key is given by key_env or key_file"
        )
    prefix = parts.path.rstrip("/").removesuffix("/v1")
    port = parts.port or _PORTS[parts.scheme]
    return Address(parts.scheme, parts.hostname, port, "", prefix, parts.netloc)


def tls_context(address: Address, ca_file: Path | None) -> ssl.SSLContext | None:
    """Certificates are always verified: against `ca_file` alone where it is given, else against the system's."""
    return ssl.create_default_context(cafile=ca_file) if address.scheme == "https" else None
