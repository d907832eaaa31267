"""The head of a request, judged before anything acts on it. What two programs could read differently is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from serving.edge.settings import EdgeSettings
from serving.errors import ApiError

Header = tuple[bytes, bytes]

# A second one of these would be read by one program and passed over by another.
_ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
    }
)
# Origin form: one slash, printable ASCII, no fragment.
_TARGET = re.compile(rb"/(?!/)[!\"$-~]*|/")
_HOST = re.compile(rb"[A-Za-z0-9._\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


def check_head(
    version: str, target: bytes, headers: Sequence[Header], upgrade: bool, settings: EdgeSettings
) -> ApiError | None:
    """What is wrong with a request's head; None when nothing is.

    Args:
        version: "1.1" or "1.0"; any other is refused.
        target: as it stands in the request line.
        headers: names in lower case.
        upgrade: the client asks for another protocol on this connection.
    """
    if version not in ("1.0", "1.1"):
        return ApiError(505, "this server speaks HTTP/1.1 and HTTP/1.0")
    if len(target) > settings.max_target_bytes:
        return ApiError(414, f"the path and query have more than {settings.max_target_bytes} bytes")
    if not _TARGET.fullmatch(target):
        return ApiError(400, "the request target must be a path")
    if upgrade:
        # The parser would take what follows for the other protocol and drop the body.
        return ApiError(400, "no protocol upgrade here: speak plain HTTP/1.1 (in Java: HttpClient.Version.HTTP_1_1)")
    return _check_headers(version, headers)


def _check_headers(version: str, headers: Sequence[Header]) -> ApiError | None:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _ONCE:
            if name in found:
                return ApiError(400, f"header '{name.decode('latin-1')}' is given twice")
            found[name] = value
    host = found.get(b"host")
    if (host is None and version == "1.1") or (host is not None and not _HOST.fullmatch(host)):
        return ApiError(400, "a request needs one header 'host' that names a host")
    coding = found.get(b"transfer-encoding")
    if coding is not None:
        if b"content-length" in found:
            return ApiError(400, "'content-length' and 'transfer-encoding' exclude one another")
        if version == "1.0" or coding.lower() != b"chunked":
            return ApiError(400, "the only 'transfer-encoding' is 'chunked', in HTTP/1.1")
    if found.get(b"expect", b"100-continue").lower() != b"100-continue":
        return ApiError(417, "the only expectation is '100-continue'")
    return None
