"""Canaries that do badly go back by themselves, whoever sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.adapters.registry import Registry
from serving.adapters.settings import CanarySettings
from serving.errors import ApiError
from tests.serving.adapter_material import NAME, Bench
from tests.serving.adapter_scenes import CALLER, ask, play, until


def test_an_expired_canary_goes_back_by_itself(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        bench.clock.now = datetime.now(UTC).timestamp()
        await bench.added(registry)
        await registry.canary(NAME, "one", 0.9, "ops")
        bench.clock.now += 2 * 86400
        assert {ask(registry, f"c{i}").model for i in range(20)} == {NAME}
        await until(lambda: registry.state.models[NAME].canary is None)
        await until(lambda: bench.audit.kinds[-1] == "adapter_rolled_back")
        with pytest.raises(ApiError, match="has expired"):
            await registry.canary(NAME, "one", 0.9, "ops")

    play(bench, scene)
    assert bench.audit.events[-1][1]["why"] == "its release has expired"


def spoil(registry: Registry, outcome: Any = "block", requests: int = 400) -> int:
    """Requests whose canary answers are all `outcome`; returns how many the canary got."""
    given = 0
    for i in range(requests):
        target = registry.router.choose(NAME, CALLER, f"c{i}")
        given += target.arm == "canary"
        registry.router.observe(target, outcome if target.arm == "canary" else "allow")
    return given


@pytest.mark.parametrize(("outcome", "reason"), [("block", "guard rate"), ("guard_error", "guard failed on 3")])
def test_a_bad_canary_goes_back_by_itself_at_once_and_cools_down(bench: Bench, outcome: str, reason: str) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        await registry.canary(NAME, "one", 0.3, "ops")
        given = spoil(registry, outcome)
        assert given < 30, "customers were given a bad canary for long"
        assert {ask(registry, f"c{i}").arm for i in range(50)} == {"stable"}
        await until(lambda: bench.audit.kinds[-1] == "adapter_rolled_back")
        row = registry.listing()[0]
        assert row["canary"] is None and reason in row["moved"]["why"]
        with pytest.raises(ApiError, match="rolled back automatically") as caught:
            await registry.canary(NAME, "one", 0.3, "ops")
        assert caught.value.retry_after_s == bench.settings.canary.cooldown_s
        bench.clock.now += bench.settings.canary.cooldown_s + 1
        await registry.canary(NAME, "one", 0.3, "ops")

    play(bench, scene)
    assert bench.audit.events[-2][1]["automatic"] is True


def test_a_rollback_happens_even_while_the_audit_log_is_down_and_is_accounted_for_later(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        await registry.canary(NAME, "one", 0.3, "ops")
        bench.audit.down = True
        spoil(registry)
        await until(lambda: registry.state.models[NAME].canary is None)
        with pytest.raises(ApiError, match="audit log"):
            await registry.promote(NAME, "one", "ops")
        assert registry.state.models[NAME].stable != "one"
        bench.audit.down = False
        await until(lambda: bench.audit.kinds[-1] == "adapter_rolled_back")

    play(bench, scene)


def test_gateways_agree_through_the_folder_and_add_up_what_they_saw(tmp_path: Path) -> None:
    bench = Bench(tmp_path, canary=CanarySettings(min_requests=40))

    async def scene(owner: Registry) -> None:
        other = bench.registry(owner=False)
        await other.open()
        try:
            with pytest.raises(ApiError, match="does not manage the engines"):
                await bench.added(other, "two")
            await bench.added(owner)
            await owner.canary(NAME, "one", 0.5, "ops")
            await until(lambda: other.state.revision == owner.state.revision)
            targets = [owner.router.choose(NAME, CALLER, f"c{i}") for i in range(100)]
            assert targets == [other.router.choose(NAME, CALLER, f"c{i}") for i in range(100)]
            # Half of the customers to each: neither gateway sees 40 requests of the canary.
            for gateway, part in ((owner, targets[:50]), (other, targets[50:])):
                for target in part:
                    gateway.router.observe(target, "block" if target.arm == "canary" else "allow")
                assert gateway.state.models[NAME].canary is not None
            await until(lambda: owner.state.models[NAME].canary is None and other.state.models[NAME].canary is None)
            await until(lambda: bench.audit.kinds[-1] == "adapter_rolled_back")
        finally:
            await other.close()

    play(bench, scene)
    assert "guard rate is higher" in bench.audit.events[-1][1]["why"]
    assert bench.audit.kinds.count("adapter_rolled_back") == 1
