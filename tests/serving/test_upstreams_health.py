"""When an engine is up, ejected, and tried again: the breaker and the health checks by themselves."""

from __future__ import annotations

import pytest

from serving.upstreams.health import Health
from serving.upstreams.settings import PoolSettings


def test_the_breaker_lets_one_trial_through_and_doubles_its_pause() -> None:
    now = 0.0
    settings = PoolSettings(eject_after=2, eject_s=5, eject_most_s=15, rise=2, fall=3)
    health = Health(settings, lambda: now)
    health.failed(False, True)
    assert health.usable()
    health.failed(False, True)
    for _ in range(5):
        health.failed(False, True)  # requests from before
    assert health.state == "ejected" and health.ejections == 1
    for pause in (5, 10, 15, 15):
        now += pause - 0.1
        assert not health.usable() and health.wait_s() == pytest.approx(0.1)
        now += 0.1
        assert health.usable() and health.asked() and not health.usable()
        health.failed(True, True)
    now += 15
    assert health.asked()
    health.left(True)  # its caller left: nothing is known yet
    assert health.usable() and health.asked()
    health.answered()
    assert health.state == "up" and not health.asked()


def test_one_bad_check_in_between_changes_nothing() -> None:
    health = Health(PoolSettings(rise=2, fall=3), lambda: 0.0)
    for passed in (True, False, False, True, False, False, True):
        health.checked(passed)
        assert health.up
    for _ in range(3):
        health.checked(False)
    assert not health.up
    for passed in (True, False, True):
        health.checked(passed)
        assert not health.up
    health.checked(True)
    assert health.up
