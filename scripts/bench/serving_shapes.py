"""What `serving_doors.py` sends and must see refused: bytes that two programs could read differently, limits, bombs."""

from __future__ import annotations

_POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n"
_GET = b"GET /v1/models HTTP/1.1\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n"
_QUESTION = b'{"model":"tianjing","messages":[{"role":"user","content":"a"}]}'
_HIDDEN = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

# Name → bytes and the statuses that may come back; KEY is replaced by a good key. One answer each, then the end.
SMUGGLING: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "length and chunks": (_CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + _HIDDEN, (400,)),
    "length before chunks": (
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _HIDDEN,
        (400,),
    ),
    "two lengths": (_POST + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}" + _HIDDEN, (400,)),
    "same length twice": (_POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", (400,)),
    "list of lengths": (_POST + b"Content-Length: 2, 2\r\n\r\n{}", (400,)),
    "signed length": (_POST + b"Content-Length: +2\r\n\r\n{}", (400,)),
    "negative length": (_POST + b"Content-Length: -2\r\n\r\n{}", (400,)),
    "hexadecimal length": (_POST + b"Content-Length: 0x2\r\n\r\n{}", (400,)),
    "length past 64 bits": (_POST + b"Content-Length: 18446744073709551618\r\n\r\n{}", (400,)),
    "space before colon": (_POST + b"Content-Length : 2\r\n\r\n{}", (400,)),
    "two codings": (_POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400,)),
    "coding twice": (_CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + _HIDDEN, (400,)),
    "unknown coding": (_POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (400,)),
    "coding after vertical tab": (_POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", (400,)),
    "folded coding": (_POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", (400,)),
    "chunks in HTTP/1.0": (
        b"POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400,),
    ),
    "chunk size not a number": (_CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n", (400,)),
    "chunk size with 0x": (_CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n", (400,)),
    "chunk size overflows": (_CHUNKED + b"\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n", (400,)),
    "chunk ends with LF": (_CHUNKED + b"\r\n2\n{}\n0\n\n", (400,)),
    "key in a trailer": (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n" % (len(_QUESTION), _QUESTION)
        + b"0\r\nAuthorization: Bearer KEY\r\n\r\n",
        (400, 401),
    ),
    "folded header": (_GET + b"Host: x\r\nX-A: b\r\n  c\r\n\r\n", (400,)),
    "lines end with LF": (b"GET /health HTTP/1.1\nHost: x\n\n", (400,)),
    "CR inside a value": (_GET + b"Host: x\r\nX-A: b\rAuthorization: Bearer KEY\r\n\r\n", (400,)),
    "NUL inside a value": (_GET + b"Host: x\r\nX-A: b\x00c\r\n\r\n", (400,)),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", (400,)),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", (400,)),
    "host with a path": (b"GET /v1/models HTTP/1.1\r\nHost: x/health?\r\n\r\n", (400,)),
    "two keys": (_GET + b"Host: x\r\nAuthorization: Bearer KEY\r\nAuthorization: Bearer b\r\n\r\n", (400,)),
    "absolute target": (b"GET http://x/health HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "two slashes": (b"GET //x/health HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "tunnel": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "fragment": (b"GET /health#/v1/models HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "HTTP/0.9": (b"GET /health\r\n\r\n", (400, 505)),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    "upgrade to HTTP/2": (_GET + b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + _HIDDEN, (400,)),
    "upgrade to WebSocket": (
        b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        (400,),
    ),
    "unknown expectation": (_POST + b"Content-Length: 2\r\nExpect: 200-ok\r\n\r\n{}", (417,)),
    "lower-case method": (b"get /health HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "space in the target": (b"GET /health x HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, (400,)),
}

LIMITS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "one header of 20 KB": (_GET + b"Host: x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n", (431,)),
    "a header without end": (_GET + b"Host: x\r\nX-A: " + b"a" * 200_000, (431,)),
    "200 headers": (_GET + b"Host: x\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", (431,)),
    "a path of 8 KB": (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414,)),
    "a length of 8 GB": (_POST + b"Content-Length: 8589934592\r\n\r\n{", (413,)),
    "2 MB in chunks": (_CHUNKED + b"\r\n" + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 64, (413,)),
    "a compressed body": (_POST + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", (415,)),
    "a form": (_POST + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n{}", (415,)),
    "another charset": (_POST + b"Content-Type: application/json; charset=gbk\r\nContent-Length: 2\r\n\r\n{}", (415,)),
}

BOMBS: dict[str, bytes] = {
    "500,000 arrays deep": b"[" * 500_000,
    "100,000 objects deep": b'{"a":' * 100_000,
    "deep inside a message": b'{"model":"tianjing","messages":[{"role":"user","content":' + b"[" * 300_000,
    "90,000 keys": b"{" + b",".join(b'"k%d":1' % number for number in range(90_000)) + b"}",
    "a number of 900,000 digits": b'{"seed":' + b"9" * 900_000 + b"}",
    "a number past every float": b'{"model":"tianjing","temperature":1e999,"messages":[{"role":"user","content":"a"}]}',
    "100,000 messages": b'{"model":"tianjing","messages":[' + b",".join([b"{}"] * 100_000) + b"]}",
    "half a surrogate pair": b'{"model":"tianjing","messages":[{"role":"user","content":"\\ud800"}]}',
}

MODEL_NAMES = (
    "../outside",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "tianjing/../other",
    "tianjing\x00",
    "tianjing%2f..",
    "file:///etc/passwd",
    "TIANJING",
    "tianjing ",
    "",
    "．．/outside",
    "a" * 100_000,
)

PATHS = (
    "/v1/models/",
    "/v1//models",
    "/v1/./models",
    "/v1/x/../models",
    "/health/../metrics",
    "/health/..%2fmetrics",
    "/health%2f..%2fmetrics",
    "/v1%2Fmodels",
    "/%76%31/models",
    "/v1/models%00",
    "/v1/models%20",
    "/v1/models;a=b",
    "/v1/models%3Fa",
    "/V1/MODELS",
    "/\\v1\\models",
    "/v1/models.",
    "/.well-known/security.txt",
    "/v1/handoffs/../models",
    "/health?/../v1/models&x=",
)
