"""Quotas, the same tests in this process and in a real Redis; and what a Redis that goes away does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from serving.errors import ApiError, ServeError
from serving.identity.principal import Principal, Quota
from serving.limits import LimitSettings, limiters, scripts, shared
from serving.limits.gate import Quotas
from serving.limits.local import LocalLimiter
from serving.limits.quota import DAY_S
from serving.limits.shared import RedisLimiter
from tests.serving.redis_server import RedisServer

START_S = 1_800_000_000.25


class Clock:
    """Seconds that only a test moves; in Redis a key stands for its TIME."""

    def __init__(self, redis: Redis | None = None):
        self._redis = redis
        self.set(START_S)

    def __call__(self) -> float:
        return self.now

    def set(self, now: float) -> None:
        self.now = now
        if self._redis is not None:
            self._redis.mset({"test:s": int(now), "test:us": int(now % 1 * 1e6)})

    def add(self, seconds: float) -> None:
        self.set(self.now + seconds)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    started = RedisServer(tmp_path_factory.mktemp("redis"))
    started.start()
    yield started
    started.kill()


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    client = Redis(unix_socket_path=str(server.path), decode_responses=True)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def moved(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The scripts read the test's clock in place of Redis's own."""
    for name in ("ADMIT", "RENEW"):
        script = getattr(scripts, name)
        assert script.count("redis.call('TIME')") == 1
        monkeypatch.setattr(
            shared, name, script.replace("redis.call('TIME')", "redis.call('MGET', 'test:s', 'test:us')")
        )
    return Clock(redis)


Case = Callable[[Quotas, Clock], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
def on(request: pytest.FixtureRequest) -> Callable[[Case], None]:
    """Runs a case on a limiter that counts in memory, and on one that counts in Redis."""
    if request.param == "memory":
        clock = Clock()
        return lambda case: asyncio.run(_with(LocalLimiter(clock), case, clock))
    server, clock = request.getfixturevalue("server"), request.getfixturevalue("moved")

    def run(case: Case) -> None:
        async def work() -> None:
            await _with(RedisLimiter(LimitSettings(redis=server.url, redis_timeout_s=10)), case, clock)

        asyncio.run(work())

    return run


async def _with(limiter: Quotas, case: Case, clock: Clock) -> None:
    await limiter.open()
    try:
        await case(limiter, clock)
    finally:
        await limiter.close()


def caller(key_id: str = "k1", **quota: Any) -> Principal:
    return Principal("acme", key_id, "app", quota=Quota(**quota))


async def refusal(limiter: Quotas, who: Principal, tokens: int = 10) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await limiter.admit(who, tokens)
    return caught.value


async def admitted(limiter: Quotas, who: Principal, tokens: int = 10) -> bool:
    try:
        await limiter.admit(who, tokens)
    except ApiError as error:
        assert error.status == 429
        return False
    return True


def test_requests_a_minute_and_when_the_next_is_admitted(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(requests_per_minute=3)
        assert await admitted(limiter, who)
        clock.add(20)
        assert [await admitted(limiter, who) for _ in range(3)] == [True, True, False]
        error = await refusal(limiter, who)
        assert error.status == 429 and error.code == "requests_limit_exceeded" and error.retry_after_s is not None
        assert 40 <= error.retry_after_s <= 41
        headers = error.headers()
        assert headers["x-ratelimit-limit-requests"] == "3" and headers["x-ratelimit-remaining-requests"] == "0"
        assert headers["x-ratelimit-reset-requests"] == f"{headers['retry-after']}s"
        clock.add(error.retry_after_s - 0.01)
        assert not await admitted(limiter, who)
        clock.add(0.02)
        assert [await admitted(limiter, who) for _ in range(2)] == [True, False]
        assert await admitted(limiter, caller("k2", requests_per_minute=1))

    on(case)


def test_no_minute_ever_has_more_than_the_quota_and_retry_after_is_true(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who, dice, times = caller(requests_per_minute=7), random.Random(1), []
        for _ in range(400):
            try:
                await limiter.admit(who, 1)
                times.append(clock.now)
                clock.add(dice.choice((0, 0.3, 2.5, 9, 30)))
            except ApiError as error:
                assert error.retry_after_s is not None
                # Redis counts in milliseconds.
                clock.add(error.retry_after_s + 0.001 if dice.random() < 0.7 else dice.random())
                if clock.now - times[-1] > 1e9:
                    break
        for position in range(len(times) - 7):
            assert times[position + 7] - times[position] >= 60
        assert len(times) > 150

    on(case)


def test_tokens_are_reserved_and_what_was_not_used_is_given_back(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(tokens_per_minute=1000)
        permit = await limiter.admit(who, 900)
        error = await refusal(limiter, who, 200)
        assert error.code == "tokens_limit_exceeded" and error.headers()["x-ratelimit-remaining-tokens"] == "100"
        await permit.settle(50)
        await permit.settle(0)
        assert [await admitted(limiter, who, 475) for _ in range(3)] == [True, True, False]
        impossible = await refusal(limiter, who, 1001)
        assert impossible.status == 400 and impossible.param == "max_tokens" and impossible.retry_after_s is None
        clock.add(61)
        assert await admitted(limiter, who, 1000)

    on(case)


def test_what_was_used_in_a_minute_that_is_over_does_not_come_back_into_this_one(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(tokens_per_minute=1000)
        permit = await limiter.admit(who, 900)
        clock.add(62)
        assert await admitted(limiter, who, 1000)
        await permit.settle(10)
        assert not await admitted(limiter, who, 1)

    on(case)


def test_requests_in_progress(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(concurrency=2)
        first, second = await limiter.admit(who, 10), await limiter.admit(who, 10)
        error = await refusal(limiter, who)
        assert error.code == "concurrency_limit_exceeded" and error.headers()["retry-after"] == "1"
        await first.settle(10)
        third = await limiter.admit(who, 10)
        await first.settle(10)
        assert not await admitted(limiter, who)
        for permit in (second, third):
            await permit.settle(10)
        assert [await admitted(limiter, who) for _ in range(3)] == [True, True, False]

    on(case)


def test_a_budget_lasts_for_its_period(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(budget_tokens=1000, budget_days=7)
        permit = await limiter.admit(who, 800)
        error = await refusal(limiter, who, 300)
        assert error.code == "budget_limit_exceeded" and error.retry_after_s is not None
        assert error.retry_after_s == pytest.approx(7 * DAY_S - clock.now % (7 * DAY_S), abs=0.01)
        await permit.settle(100)
        assert [await admitted(limiter, who, 300) for _ in range(4)] == [True, True, True, False]
        assert (await refusal(limiter, who, 2000)).status == 400
        clock.add(error.retry_after_s + 0.01)
        assert await admitted(limiter, who, 1000)

    on(case)


def test_a_refused_or_cancelled_request_counts_for_nothing(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(requests_per_minute=2, tokens_per_minute=100, concurrency=2, budget_tokens=100)
        for _ in range(5):
            permit = await limiter.admit(who, 60)
            assert not await admitted(limiter, who, 60)
            await permit.cancel()
        assert await admitted(limiter, who, 50) and await admitted(limiter, who, 50)

    on(case)


def test_many_at_once_never_get_more_than_the_quota(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        who = caller(requests_per_minute=40, tokens_per_minute=4000, concurrency=25)
        assert sum(await asyncio.gather(*(admitted(limiter, who, 100) for _ in range(200)))) == 25

    on(case)


def test_a_rotated_key_counts_with_the_old_one(on: Callable[[Case], None]) -> None:
    async def case(limiter: Quotas, clock: Clock) -> None:
        quota = Quota(requests_per_minute=1)
        assert await admitted(limiter, Principal("acme", "k1", "app", quota=quota, counted_as="k1"))
        assert not await admitted(limiter, Principal("acme", "k2", "app", quota=quota, counted_as="k1"))

    on(case)


def redis_limiter(server: RedisServer, **settings: Any) -> RedisLimiter:
    return RedisLimiter(LimitSettings(redis=server.url, **{"redis_timeout_s": 10, **settings}))


def test_gateways_share_what_they_count_and_every_key_expires(server: RedisServer, redis: Redis) -> None:
    async def case() -> None:
        one, two = redis_limiter(server), redis_limiter(server)
        who = caller(concurrency=3, requests_per_minute=10, tokens_per_minute=1000, budget_tokens=1000)
        permits = [await limiter.admit(who, 10) for limiter in (one, two, one)]
        assert not await admitted(two, who)
        keys = list(redis.scan_iter("tianjing:*"))
        assert len(keys) == 4 and all(redis.ttl(key) > 0 for key in keys)
        await permits[1].settle(5)
        assert await admitted(one, who)
        await one.close()
        await two.close()

    asyncio.run(case())


def test_a_killed_gateway_frees_its_places_and_a_running_one_keeps_its_own(server: RedisServer, moved: Clock) -> None:
    async def case() -> None:
        killed, running = redis_limiter(server, lease_s=30), redis_limiter(server, lease_s=30)
        who = caller(concurrency=2)
        await killed.admit(who, 10)
        permit = await running.admit(who, 10)
        for _ in range(4):
            moved.add(10)
            await running._renew_all()
        assert [await admitted(running, who) for _ in range(2)] == [True, False]
        await permit.settle(10)
        assert await admitted(running, who)
        await running.close()
        await killed._redis.aclose()

    asyncio.run(case())


def test_a_lease_that_ends_while_it_is_renewed_is_gone(server: RedisServer, redis: Redis) -> None:
    async def case() -> None:
        limiter = redis_limiter(server)
        permits = [await limiter.admit(caller(f"k{n}", concurrency=1), 10) for n in range(20)]
        await asyncio.gather(limiter._renew_all(), *(permit.settle(10) for permit in permits))
        assert [await admitted(limiter, caller(f"k{n}", concurrency=1)) for n in range(20)] == [True] * 20
        await limiter.close()

    asyncio.run(case())


@pytest.mark.parametrize("jump_s", [-86_400 * 400, -3600, -30, 30, 3600, 86_400 * 400])
def test_a_jump_of_rediss_clock_neither_admits_nor_blocks_for_long(
    server: RedisServer, moved: Clock, jump_s: float
) -> None:
    async def case() -> None:
        limiter = redis_limiter(server, lease_s=30)
        who = caller(requests_per_minute=5, concurrency=5)
        permits = [await limiter.admit(who, 10) for _ in range(5)]
        moved.add(jump_s)
        for permit in permits[:4]:
            await permit.settle(10)
        at_once = sum([await admitted(limiter, who) for _ in range(20)])
        assert at_once <= (0 if jump_s <= 30 else 5)
        error = await refusal(limiter, who)
        assert error.retry_after_s is not None and error.retry_after_s <= 61
        moved.add(61)
        assert await admitted(limiter, who)
        await limiter.close()

    asyncio.run(case())


def test_a_jump_back_does_not_renew_a_budget(server: RedisServer, moved: Clock) -> None:
    async def case() -> None:
        limiter = redis_limiter(server)
        who = caller(budget_tokens=100, budget_days=1)
        assert await admitted(limiter, who, 100)
        moved.add(-3 * DAY_S)
        assert not await admitted(limiter, who, 1)
        await limiter.close()

    asyncio.run(case())


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_without_redis_nobody_is_admitted_and_with_it_everything_goes_on(
    server: RedisServer, redis: Redis, how: str
) -> None:
    async def case() -> None:
        limiter = limiters(LimitSettings(redis=server.url, redis_timeout_s=0.3, lease_s=1.5))[0]
        await limiter.open()
        who = caller(concurrency=3)
        permits = [await limiter.admit(who, 10) for _ in range(3)]
        assert await limiter.ready()
        server.kill() if how == "killed" else server.hang()
        for _ in range(3):
            # Far above the 0.3 s it takes, for a loaded machine.
            async with asyncio.timeout(10):
                error = await refusal(limiter, who)
            assert error.status == 503 and error.code == "limits_unavailable" and error.headers()["retry-after"] == "2"
        assert not await limiter.ready()
        await permits[0].settle(10)
        server.start() if how == "killed" else server.go_on()
        # Two are still in progress: renewed, or taken again in a Redis that has lost everything. One place is free.
        async with asyncio.timeout(30):
            while redis.zcard("tianjing:{k1}:lease") != 2:
                await asyncio.sleep(0.05)
        assert await limiter.ready()
        assert await admitted(limiter, who)
        assert not await admitted(limiter, who)
        for permit in permits[1:]:
            await permit.settle(10)
        assert await admitted(limiter, who)
        await limiter.close()

    try:
        asyncio.run(case())
    finally:
        server.kill()
        server.start()


def test_a_gateway_may_start_before_its_redis(server: RedisServer) -> None:
    async def case() -> None:
        limiter = limiters(LimitSettings(redis=server.url, redis_timeout_s=5))[0]
        server.kill()
        await limiter.open()
        assert not await limiter.ready() and (await refusal(limiter, caller())).status == 503
        server.start()
        assert await limiter.ready() and await admitted(limiter, caller())
        await limiter.close()

    asyncio.run(case())


def test_a_count_whose_answer_was_lost_is_given_back(server: RedisServer, redis: Redis) -> None:
    async def case() -> None:
        limiter = redis_limiter(server)
        who = caller(concurrency=1, tokens_per_minute=100, requests_per_minute=10)
        ask = limiter._ask

        async def lost(work: Awaitable[Any]) -> Any:
            await work
            raise ApiError(503, "lost", retry_after_s=1)

        limiter._ask = lost  # type: ignore[method-assign]
        assert (await refusal(limiter, who, 80)).status == 503
        limiter._ask = ask  # type: ignore[method-assign]
        assert (await refusal(limiter, who, 80)).status == 429
        await limiter._give_back()
        assert await admitted(limiter, who, 80)
        await limiter.close()

    asyncio.run(case())


def test_a_caller_who_leaves_while_being_counted_holds_no_place(server: RedisServer, redis: Redis) -> None:
    async def case() -> None:
        limiter = redis_limiter(server)
        who = caller(concurrency=1)
        for _ in range(50):
            task = asyncio.ensure_future(limiter.admit(who, 10))
            for _ in range(random.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
            done = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(done, BaseException):
                await done.settle(10)
            await limiter._give_back()
        assert await admitted(limiter, who)
        await limiter.close()

    asyncio.run(case())


def test_a_wrong_address_is_told_to_the_operator() -> None:
    with pytest.raises(ServeError, match="redis://"):
        limiters(LimitSettings(redis="http://localhost"))[0]
