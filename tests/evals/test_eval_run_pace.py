"""How many requests are in flight: steady, doubled until the first refusal, held where a server asks for it."""

from __future__ import annotations

import asyncio

import pytest

from evals.runner import Pace, adaptive, fixed, pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves."""
    now = [1000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def rounds(paced: Pace, count: int) -> list[int]:
    """Limits after each of `count` rounds of answers at full load."""
    limits = []
    for _ in range(count):
        for _ in range(paced.limit):
            paced.in_flight = paced.limit
            paced.leave(None)
        limits.append(paced.limit)
    return limits


def refuse(paced: Pace, kind: str, retry_after_s: float | None = None) -> None:
    paced.in_flight = paced.limit
    paced.leave(kind, retry_after_s)  # type: ignore[arg-type]


def test_doubles_to_the_highest_while_nothing_is_refused(clock: list[float]) -> None:
    assert rounds(adaptive(100), 4) == [40, 80, 100, 100]
    assert rounds(fixed(16), 3) == [16, 16, 16]


def test_a_429_takes_a_fifth_once_in_fifteen_seconds_and_ends_the_doubling(clock: list[float]) -> None:
    paced = adaptive(100)
    rounds(paced, 2)
    for _ in range(30):
        refuse(paced, "rate_limit")
    assert paced.limit == 64, "those in flight say the same thing"
    clock[0] += 16
    refuse(paced, "rate_limit")
    assert paced.limit == 51
    clock[0] += 16
    assert rounds(paced, 2) == [53, 55], "5 % a round from here on"
    assert [(step["limit"], step["why"]) for step in paced.history] == [
        (40, "grown"), (80, "grown"), (64, "rate limit"), (51, "rate limit"), (53, "grown"), (55, "grown"),
    ]  # fmt: skip


def test_a_5xx_pauses_growth_and_does_not_shrink(clock: list[float]) -> None:
    paced = adaptive(100)
    refuse(paced, "server")
    assert rounds(paced, 2) == [20, 20]
    clock[0] += 6
    assert rounds(paced, 1) == [40]


def test_an_idle_limit_does_not_grow(clock: list[float]) -> None:
    paced = adaptive(100)
    for _ in range(500):
        paced.in_flight = 3
        paced.leave(None)
    assert paced.limit == 20


def test_retry_after_holds_everyone() -> None:
    async def go() -> float:
        paced = fixed(2)
        await paced.enter()
        paced.leave("rate_limit", 0.2)
        began = asyncio.get_running_loop().time()
        await paced.enter()
        return asyncio.get_running_loop().time() - began

    assert 0.15 < asyncio.run(go()) < 2


def test_never_more_than_the_limit_in_flight() -> None:
    async def go() -> int:
        paced, most = Pace(3, 8), 0

        async def one() -> None:
            nonlocal most
            for _ in range(10):
                await paced.enter()
                most = max(most, paced.in_flight - paced.limit)
                await asyncio.sleep(0)
                paced.leave(None)

        await asyncio.gather(*(one() for _ in range(8)))
        assert paced.limit > 3 and paced.in_flight == 0
        return most

    assert asyncio.run(go()) == 0
