"""The pool of engines: who is asked, who stands in, who is left alone, and what the caller is told."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving.errors import ApiError
from serving.upstreams.base import Reply
from serving.upstreams.pool import Pool
from serving.upstreams.settings import PoolSettings, UpstreamSettings
from tianjing.engine import free_port

QUICK = PoolSettings(health_interval_s=0.05, health_timeout_s=2, connect_timeout_s=2, eject_after=2, eject_s=0.2)
OK = b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"said": "ok"}'.replace(b"13", b"14")
PATH = "/v1/chat/completions"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


def status(code: int, headers: str = "") -> bytes:
    body = b'{"error": {"message": "too long by 3"}}'
    return f"HTTP/1.1 {code} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


class Played:
    """An engine that answers every POST with `reply` (None breaks off) and counts what it was asked."""

    def __init__(self, reply: bytes | None = OK, healthy: bool = True, health_path: str = "/health"):
        self.reply = reply
        self.health_path = health_path
        self.healthy = healthy
        self.silent = False
        self.end = b""
        """Sent a moment after the reply."""
        self.most = 1000
        """Requests that a connection answers; the next one closes it."""
        self.asked: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        left = self.most
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(f"GET {self.health_path} ".encode()):
                    writer.write(status(200 if self.healthy else 503))
                    continue
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.asked.append(head + await reader.readexactly(length))
                if self.silent:
                    await reader.read()
                left -= 1
                if self.reply is None or left < 0:
                    return
                writer.write(self.reply)
                if self.end:
                    await asyncio.sleep(0.02)
                    writer.write(self.end)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def pool_of(
    *engines: Played, settings: PoolSettings = QUICK, timeout_s: float = 10, **common: Any
) -> AsyncIterator[Pool]:
    async with AsyncExitStack() as stack:
        upstreams = []
        for number, engine in enumerate(engines):
            server = await stack.enter_async_context(await asyncio.start_server(engine.serve, "127.0.0.1", 0))
            engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            upstreams.append((UpstreamSettings(url=engine.url, name=f"e{number}", **common), "secret"))
        pool = Pool(upstreams, settings, timeout_s)
        await pool.open()
        try:
            yield pool
        finally:
            await pool.close()


async def ask(pool: Pool, group: str = "default", **headers: str) -> str:
    """Name of the engine that answered."""
    async with pool.ask(group, PATH, {"x": "你好"}, headers) as reply:
        assert await reply.read() == {"said": "ok"}
        return reply.upstream


async def first(reply: Reply) -> bytes:
    """The first piece of an answer; the rest is left."""
    pieces: list[bytes] = []

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        return False

    assert not await reply.pump(take)
    return pieces[0]


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        await asyncio.sleep(0.02)


def test_an_engine_gets_the_secret_the_headers_and_the_body_over_one_connection() -> None:
    async def main() -> None:
        engine = Played()
        async with pool_of(engine, settings=QUICK.model_copy(update={"health_interval_s": 60.0})) as pool:
            for _ in range(5):
                assert await ask(pool, **{"x-request-id": "abc"}) == "e0"
            with pytest.raises(ApiError):
                await ask(pool, traceparent="00\r\nx-evil: 1")
        head, _, body = engine.asked[0].partition(b"\r\n\r\n")
        assert head.startswith(f"POST {PATH} HTTP/1.1\r\n".encode()) and body == '{"x": "你好"}'.encode()
        assert b"authorization: Bearer secret" in head and b"x-request-id: abc" in head
        assert len(engine.asked) == 5 and engine.connections == 2  # one was the health check's

    run(main())


def test_requests_are_shared_out_by_weight_and_load() -> None:
    async def main() -> None:
        engines = [Played() for _ in range(3)]
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(pool_of(*engines))
            await pool.remove("e2", 0)
            await pool.add(UpstreamSettings(url=engines[2].url, name="big", weight=4), "secret")
            replies = [await stack.enter_async_context(pool.ask("default", PATH, {})) for _ in range(60)]
            counted = Counter(reply.upstream for reply in replies)
        assert 6 <= counted["e0"] <= 16 and 6 <= counted["e1"] <= 16 and counted["big"] > 28, counted

    run(main())


@pytest.mark.parametrize("first", [None, status(503), status(429), "gone"])
def test_another_engine_stands_in_before_the_first_byte(first: bytes | str | None) -> None:
    async def main() -> None:
        bad, good = Played(first if first != "gone" else OK), Played()  # type: ignore[arg-type]
        async with pool_of(bad, good, settings=QUICK.model_copy(update={"health_interval_s": 60.0})) as pool:
            if first == "gone":
                await pool.remove("e0", 0)
                dead = UpstreamSettings(url=f"http://127.0.0.1:{free_port()}", name="e0")
                await pool.add(dead, "")
                next(iter(pool._engines[name] for name in ["e0"])).health.checked(True)
                pool._engines["e0"].health.checked(True)  # as if it had died just now
            assert [await ask(pool) for _ in range(6)] == ["e1"] * 6
            assert {state.name: state.failed for state in pool.snapshot()}["e1"] == 0

    run(main())


def test_a_request_that_breaks_engines_breaks_no_more_than_two() -> None:
    async def main() -> None:
        engines = [Played(None) for _ in range(4)]
        async with pool_of(*engines) as pool:
            with pytest.raises(ApiError) as caught:
                await ask(pool)
            assert caught.value.status == 502
        assert sum(len(engine.asked) for engine in engines) == 2

    run(main())


@pytest.mark.parametrize("reply", [None, status(500)])
def test_an_engine_that_dies_under_a_request_is_503_come_back_later(reply: bytes | None) -> None:
    async def main() -> None:
        engine = Played(reply)
        async with pool_of(engine, settings=QUICK.model_copy(update={"health_interval_s": 60.0})) as pool:
            engine.healthy = False  # as one whose process is ending, while its socket still takes requests
            with pytest.raises(ApiError) as caught:
                await asyncio.gather(*(ask(pool) for _ in range(20)))
        assert caught.value.status == 503 and caught.value.retry_after_s
        assert engine.connections <= 1 + 20 + 2  # their health checks are one

    run(main())


@pytest.mark.parametrize(("code", "told"), [(400, 400), (401, 502), (404, 502), (500, 502)])
def test_what_another_engine_would_answer_alike_is_not_asked_again(code: int, told: int) -> None:
    async def main() -> None:
        engines = [Played(status(code)), Played(status(code))]
        async with pool_of(*engines) as pool:
            with pytest.raises(ApiError) as caught:
                await ask(pool)
        assert caught.value.status == told and ("too long by 3" in caught.value.message) == (told == 400)
        assert sum(len(engine.asked) for engine in engines) == 1

    run(main())


def test_a_silent_engine_is_504_and_nobody_stands_in() -> None:
    async def main() -> None:
        engines = [Played(), Played()]
        for engine in engines:
            engine.silent = True
        async with pool_of(*engines, timeout_s=0.2) as pool:
            with pytest.raises(ApiError) as caught:
                await ask(pool)
        assert caught.value.status == 504 and sum(len(engine.asked) for engine in engines) == 1

    run(main())


def test_overload_everywhere_is_503_with_the_engines_own_wait() -> None:
    async def main() -> None:
        async with pool_of(Played(status(503, "retry-after: 7\r\n"))) as pool:
            with pytest.raises(ApiError) as caught:
                await ask(pool)
        assert caught.value.status == 503 and caught.value.headers()["retry-after"] == "7"

    run(main())


def test_no_engine_and_full_engines_are_503_with_a_wait() -> None:
    async def main() -> None:
        async with pool_of(Played(), max_connections=2) as pool, AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(pool.ask("default", PATH, {}))
            for group in ("default", "unknown"):
                with pytest.raises(ApiError) as caught:
                    await ask(pool, group)
                assert caught.value.status == 503 and int(caught.value.headers()["retry-after"]) >= 1
            await stack.aclose()
            assert await ask(pool) == "e0"

    run(main())


def test_health_checks_take_an_engine_out_and_bring_it_back() -> None:
    async def main() -> None:
        engine = Played()
        async with pool_of(engine) as pool:
            assert await pool.ready()
            engine.healthy = False
            await until(lambda: pool.snapshot()[0].state == "down")
            assert not await pool.ready()
            with pytest.raises(ApiError) as caught:
                await ask(pool)
            assert caught.value.status == 503 and engine.asked == []
            engine.healthy = True
            await until(pool.ready)
            assert await ask(pool) == "e0"

    run(main())


def test_a_router_is_asked_for_the_health_that_it_has() -> None:
    async def main() -> None:
        router = Played(health_path="/readiness")
        async with pool_of(router, health_path="/readiness") as pool:
            assert await pool.ready()
            router.healthy = False
            await until(lambda: pool.snapshot()[0].state == "down")

    run(main())


def test_an_engine_that_answers_others_is_not_down_for_a_slow_health_check() -> None:
    class Busy(Played):
        """Streams, and is for two seconds too busy to say that it is well."""

        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /health ") and self.healthy:
                writer.write(status(200))
            elif head.startswith(b"GET /health "):
                await reader.read()  # until the check is given up
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(100):
                    writer.write(b"1\r\na\r\n")
                    await asyncio.sleep(0.02)
                writer.write(b"0\r\n\r\n")
            writer.close()

    async def main() -> None:
        quick = QUICK.model_copy(update={"health_timeout_s": 0.1})
        engine = Busy()
        async with pool_of(engine, settings=quick) as pool:
            async with pool.ask("default", PATH, {}) as reply:
                engine.healthy = False
                assert await reply.pump(lambda piece: True)
                assert await pool.ready()
            await until(lambda: pool.snapshot()[0].state == "down")  # nobody hears of it any more

    run(main())


def test_an_engine_whose_answers_fail_is_left_alone_then_tried_by_one_request() -> None:
    async def main() -> None:
        bad, good = Played(None), Played()
        async with pool_of(bad, good) as pool:
            while len(bad.asked) < 2:
                await ask(pool)
            assert {state.name: state.state for state in pool.snapshot()}["e0"] == "ejected"
            for _ in range(20):
                await ask(pool)
            assert len(bad.asked) == 2 and all(state.state != "down" for state in pool.snapshot())
            bad.reply = OK
            await asyncio.sleep(0.25)
            names = [await ask(pool) for _ in range(20)]
            assert "e0" in names and {state.state for state in pool.snapshot()} == {"up"}

    run(main())


def test_the_only_engine_of_a_group_is_never_ejected() -> None:
    """Or a few requests that break their own answers would shut everyone out."""

    async def main() -> None:
        engine = Played(None)
        async with pool_of(engine) as pool:
            for _ in range(6):
                with pytest.raises(ApiError):
                    await ask(pool)
            assert pool.snapshot()[0].state == "up"
            engine.reply = OK
            assert await ask(pool) == "e0"

    run(main())


STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\ndata: \r\n"


def test_draining_lets_answers_end_and_breaks_off_what_stays() -> None:
    async def main() -> None:
        async with pool_of(Played(STREAM), Played()) as pool:
            await pool.remove("e1", 0)
            async with pool.ask("default", PATH, {}) as reply:
                removing = asyncio.ensure_future(pool.remove("e0", 0.3))
                await asyncio.sleep(0.05)
                assert pool.snapshot()[0].draining
                with pytest.raises(ApiError) as refused:
                    await ask(pool)
                assert refused.value.status == 503
                with pytest.raises(ApiError, match="stopped"):
                    await reply.pump(lambda piece: True)
            assert await removing is False and pool.snapshot() == ()
        async with pool_of(Played(STREAM)) as pool:
            async with pool.ask("default", PATH, {}):
                removing = asyncio.ensure_future(pool.remove("e0", 20))
                await asyncio.sleep(0.1)
                assert not removing.done()
            assert await removing is True

    run(main())


def test_a_new_list_of_engines_changes_only_what_differs() -> None:
    async def main() -> None:
        engines = [Played() for _ in range(3)]
        async with pool_of(*engines) as pool:
            kept, changed = (UpstreamSettings(url=engines[n].url, name=f"e{n}") for n in (0, 1))
            new = UpstreamSettings(url=engines[2].url, name="new")
            before = pool._engines["e0"]
            done = await pool.apply([(kept, "secret"), (changed, "rotated"), (new, "secret")], 1)
            assert done == ["changed e1", "removed e2", "added new"] and pool._engines["e0"] is before
            while not engines[1].asked:
                await ask(pool)
            assert b"Bearer rotated" in engines[1].asked[0]

    run(main())


def test_leaving_closes_the_connection_at_once_and_done_keeps_it() -> None:
    gone = asyncio.Event()

    class Endless(Played):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await super().serve(reader, writer)
            if self.asked:
                gone.set()

    async def main() -> None:
        async with pool_of(Endless(STREAM)) as pool:
            async with pool.ask("default", PATH, {}) as reply:
                assert await first(reply) == b"data: "
            await asyncio.wait_for(gone.wait(), 5)
        last = b"data: [DONE]\n\n"
        # As vLLM's server does it, the end of the body comes a moment after the last event.
        engine = Played(STREAM.partition(b"6\r\n")[0] + b"%x\r\n%s\r\n" % (len(last), last))
        engine.end = b"0\r\n\r\n"
        async with pool_of(engine, settings=QUICK.model_copy(update={"health_interval_s": 60.0})) as pool:
            for _ in range(4):
                async with pool.ask("default", PATH, {}) as reply:
                    assert await first(reply) == last
                await asyncio.sleep(0.1)
            assert engine.connections == 2  # one was the health check's

    run(main())


def test_a_pump_stops_where_it_is_told_goes_on_there_and_passes_faults_on() -> None:
    pieces: list[bytes] = []

    def two_at_most(piece: bytes) -> bool:
        pieces.append(piece)
        return False

    def broken(piece: bytes) -> bool:
        raise RuntimeError("fault")

    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        engine = Played(head + b"1\r\na\r\n")
        engine.end = b"1\r\nb\r\n0\r\n\r\n"
        async with pool_of(engine) as pool:
            async with pool.ask("default", PATH, {}) as reply:
                assert [await reply.pump(two_at_most) for _ in range(3)] == [False, False, True]
            assert pieces == [b"a", b"b"]
            async with pool.ask("default", PATH, {}) as reply:
                assert not await reply.pump(two_at_most)
                with pytest.raises(RuntimeError, match="fault"):
                    await reply.pump(broken)
            await ask_streamed(pool)

    async def ask_streamed(pool: Pool) -> None:
        async with pool.ask("default", PATH, {}) as reply:
            assert await reply.pump(lambda piece: True)

    run(main())


def test_what_one_caller_left_unread_never_reaches_the_next() -> None:
    """The engine has sent its whole answer, so its connection is used again; the rest of the answer must not be."""

    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        engine = Played(head + b'9\r\n{"said": \r\n')
        engine.end = b'5\r\n"ok"}\r\n0\r\n\r\n'
        async with pool_of(engine, settings=QUICK.model_copy(update={"health_interval_s": 60.0})) as pool:
            async with pool.ask("default", PATH, {}) as reply:
                await until(lambda: reply.connection.reusable)  # and nothing of the second piece is read
            await ask(pool)
        assert engine.connections == 2  # one was the health check's

    run(main())


def test_an_idle_connection_that_the_engine_closed_costs_no_request() -> None:
    async def main() -> None:
        engine = Played()
        engine.most = 1  # it closes the connection just as a second request is on its way
        async with pool_of(engine) as pool:
            for _ in range(6):
                assert await ask(pool) == "e0"
            assert pool.snapshot()[0].failed == 0

    run(main())


def test_an_answer_longer_than_the_limit_is_not_read() -> None:
    async def main() -> None:
        big = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"[" * 5000
        async with pool_of(Played(big), settings=PoolSettings(max_answer_bytes=2000)) as pool:
            with pytest.raises(ApiError) as caught:
                await ask(pool)
            assert caught.value.status == 502

    run(main())


def test_a_unix_socket_and_a_verified_certificate(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "engine")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(ca, private)

    async def main() -> None:
        engine = Played()
        path = tmp_path / "engine.sock"
        async with (
            await asyncio.start_unix_server(engine.serve, str(path)),
            await asyncio.start_server(engine.serve, "127.0.0.1", 0, ssl=tls) as secure,
        ):
            url = f"https://127.0.0.1:{secure.sockets[0].getsockname()[1]}/v1"
            groups = {
                "unix": UpstreamSettings(url=f"unix:{path}", group="unix"),
                "tls": UpstreamSettings(url=url, name="tls", group="tls", ca_file=ca),
                "stranger": UpstreamSettings(url=url, name="stranger", group="stranger"),
            }
            pool = Pool([(one, "secret") for one in groups.values()], QUICK)
            await pool.open()
            try:
                assert await ask(pool, "unix") == f"unix:{path}" and await ask(pool, "tls") == "tls"
                with pytest.raises(ApiError) as caught:
                    await ask(pool, "stranger")
                assert caught.value.status == 503
            finally:
                await pool.close()

    run(main())
