"""How many are let in at all: the gate in front of the engine."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from serving.errors import ApiError
from serving.identity.principal import Principal, Quota
from serving.limits import LimitSettings, limiters
from serving.limits.gate import Gate


def gate(inside: int, waiting: int, wait_s: float = 30) -> Gate:
    return Gate(LimitSettings(max_in_progress=inside, max_waiting=waiting, max_wait_s=wait_s))


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def outcome(task: asyncio.Future[Any]) -> str:
    if not task.done():
        return "waits"
    error = task.exception()
    if error is None:
        return "inside"
    assert isinstance(error, ApiError) and error.status == 503 and int(error.headers()["retry-after"]) >= 1
    return "refused"


def test_over_capacity_some_wait_and_the_rest_is_refused_at_once() -> None:
    async def case() -> None:
        door = gate(2, 3)
        tasks = [asyncio.ensure_future(door.enter("a")) for _ in range(8)]
        await turns()
        assert Counter(map(outcome, tasks)) == {"inside": 2, "waits": 3, "refused": 3}
        # First come, first served; each that leaves lets one in.
        assert [outcome(task) for task in tasks] == ["inside"] * 2 + ["waits"] * 3 + ["refused"] * 3
        for n in range(5):
            door.leave("a", tasks[n].result())
            await turns()
            assert Counter(map(outcome, tasks[:5]))["inside"] == min(5, n + 3)
        await door.enter("a")

    asyncio.run(case())


def test_a_quiet_tenant_is_next_however_many_a_loud_one_sends() -> None:
    async def case() -> None:
        door = gate(2, 10)
        entered = [await door.enter("loud") for _ in range(2)]
        loud = [asyncio.ensure_future(door.enter("loud")) for _ in range(10)]
        await turns()
        quiet = [asyncio.ensure_future(door.enter("quiet")) for _ in range(2)]
        await turns()
        # The queue was full: the newest of the loud one made room.
        assert [outcome(task) for task in loud] == ["waits"] * 8 + ["refused"] * 2
        door.leave("loud", entered[0])
        await turns()
        assert outcome(quiet[0]) == "inside"
        door.leave("loud", entered[1])
        await turns()
        assert [outcome(quiet[1]), outcome(loud[0])] == ["waits", "inside"]
        door.leave("loud", loud[0].result())
        await turns()
        assert outcome(quiet[1]) in ("inside", "waits")
        for task in (*loud, *quiet):
            task.cancel()

    asyncio.run(case())


def test_who_waits_too_long_is_refused_and_takes_no_place() -> None:
    async def case() -> None:
        door = gate(1, 5, wait_s=0.05)
        entered = await door.enter("a")
        with pytest.raises(ApiError) as caught:
            await door.enter("b")
        assert caught.value.status == 503 and caught.value.code == "over_capacity"
        door.leave("a", entered)
        async with asyncio.timeout(10):
            door.leave("b", await door.enter("b"))

    asyncio.run(case())


def test_whoever_leaves_at_whatever_moment_no_place_is_lost() -> None:
    async def one(door: Gate, dice: random.Random) -> str:
        tenant = dice.choice("abc")
        try:
            entered = await door.enter(tenant)
        except ApiError:
            return "refused"
        try:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
        finally:
            door.leave(tenant, entered)
        return "answered"

    async def case(seed: int) -> None:
        dice, door = random.Random(seed), gate(3, 8)
        tasks = []
        for _ in range(300):
            tasks.append(asyncio.ensure_future(one(door, dice)))
            if dice.random() < 0.5:
                dice.choice(tasks).cancel()
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        ends = Counter(
            "left" if isinstance(end, asyncio.CancelledError) else end
            for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
        assert set(ends) <= {"answered", "refused", "left"} and sum(ends.values()) == 300
        assert door._total == door._waiting == 0 and not door._inside and not door._queues
        places = [await door.enter("a") for _ in range(3)]
        assert len(places) == 3

    for seed in range(20):
        asyncio.run(case(seed))


def test_a_tenant_over_its_quota_waits_in_nobodys_way_and_a_full_gate_costs_no_quota() -> None:
    async def case() -> None:
        limiter = limiters(LimitSettings(max_in_progress=1, max_waiting=0))[0]
        one = Principal("a", "k1", "app", quota=Quota(requests_per_minute=2, concurrency=2, tokens_per_minute=100))
        permit = await limiter.admit(one, 50)
        for _ in range(5):
            with pytest.raises(ApiError) as caught:
                await limiter.admit(one, 50)
            assert caught.value.code == "over_capacity"
        await permit.settle(10)
        await permit.settle(10)
        second = await limiter.admit(one, 50)
        with pytest.raises(ApiError) as caught:
            await limiter.admit(one, 10)
        assert caught.value.status == 429
        await second.settle(1)

    asyncio.run(case())


def test_retry_after_grows_with_what_is_ahead() -> None:
    async def case() -> None:
        now = [0.0]
        door = Gate(LimitSettings(max_in_progress=2, max_waiting=0), clock=lambda: now[0])
        for _ in range(100):
            entered = await door.enter("a")
            now[0] += 20
            door.leave("a", entered)
        for _ in range(2):
            await door.enter("a")
        with pytest.raises(ApiError) as caught:
            await door.enter("a")
        assert caught.value.headers()["retry-after"] == "10"

    asyncio.run(case())
