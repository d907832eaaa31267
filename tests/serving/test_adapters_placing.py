"""Where weights are loaded, what makes room for them, and what a restart brings back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from serving.adapters.registry import Registry
from serving.errors import ApiError
from tests.serving.adapter_material import NAME, Bench, write_merged
from tests.serving.adapter_scenes import CALLER, ask, play, until


def test_requests_in_progress_end_before_their_adapter_is_unloaded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_previous_s=0)

    async def scene(registry: Registry) -> None:
        await bench.added(registry, "v2")
        await registry.promote(NAME, "v2", "ops")
        slow = registry.router.choose(NAME, CALLER, "slow")
        await registry.rollback(NAME, "", "ops")
        for _ in range(5):
            await asyncio.sleep(0.02)
            bench.steady.now += 10
            bench.clock.now += 10 * bench.settings.drain_s
        assert slow.model in bench.loader.there, "a jump of the clock ended it"
        registry.router.observe(slow, "allow")
        await until(lambda: not bench.loader.there)
        await registry.promote(NAME, "v2", "ops")
        registry.router.choose(NAME, CALLER, "stuck")
        await registry.rollback(NAME, "", "ops")
        await asyncio.sleep(0.1)
        bench.steady.now += bench.settings.drain_s
        await until(lambda: not bench.loader.there)

    play(bench, scene)


def test_the_engine_never_holds_more_than_it_has_room_for(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        for version in ("a", "b", "c", "d", "e"):
            await bench.added(registry, version)
            await registry.promote(NAME, version, "ops")
            assert len(bench.loader.there) <= bench.loader.max_loras
            assert ask(registry).model.startswith(f"{version}-")

    play(bench, scene)


def test_what_a_restarted_engine_forgot_is_loaded_again_under_a_new_name(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        await registry.promote(NAME, "one", "ops")
        before = ask(registry).model
        bench.loader.there.clear()
        await registry.reload()
        after = ask(registry).model
        assert after != before and after in bench.loader.there
        await registry.reload()
        assert ask(registry).model == after

    play(bench, scene)


def test_after_a_restart_the_promoted_version_is_served_again(bench: Bench) -> None:
    async def first(registry: Registry) -> None:
        await bench.added(registry, "v2")
        await registry.promote(NAME, "v2", "ops")
        await bench.added(registry, "v3")
        await registry.canary(NAME, "v3", 0.5, "ops")

    play(bench, first)
    bench.loader.there.clear()

    async def second(registry: Registry) -> None:
        assert {ask(registry, f"c{i}").model[:2] for i in range(40)} == {"v2", "v3"}

    play(bench, second)
    bench.base = "d" * 64

    async def on_another_base(registry: Registry) -> None:
        with pytest.raises(ApiError, match="not loaded") as caught:
            ask(registry)
        assert caught.value.status == 503 and registry.state.models[NAME].canary is None

    play(bench, on_another_base)


def test_merged_weights_get_an_engine_of_their_own_and_the_old_one_is_stopped_when_it_is_quiet(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_previous_s=0)

    async def scene(registry: Registry) -> None:
        folder = write_merged(bench.inbox / "m2", b"two")
        await registry.add(NAME, "m2", folder, bench.release(folder), None, "ops")
        slow = registry.router.choose(NAME, CALLER, "slow")
        await registry.canary(NAME, "m2", 0.5, "ops")
        (group,) = bench.engines.running
        assert bench.engines.running[group].folder.name == registry.state.models[NAME].versions["m2"].digest
        assert {ask(registry, f"c{i}").group for i in range(40)} == {"default", group}
        await registry.promote(NAME, None, "ops")
        await asyncio.sleep(0.1)
        assert bench.engines.stopped == [] and ask(registry).group == group
        registry.router.observe(slow, "allow")
        await until(lambda: bench.engines.stopped == ["default"])

    play(bench, scene, runtime_lora=False)


def test_released_weights_of_the_start_come_back_in_an_engine_of_their_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_previous_s=0)
    bench.configured()
    bench.release(tmp_path / "configured", "configured.json")

    async def scene(registry: Registry) -> None:
        digest = ask(registry).release
        folder = write_merged(bench.inbox / "m2", b"two")
        await registry.add(NAME, "m2", folder, bench.release(folder), None, "ops")
        await registry.promote(NAME, "m2", "ops")
        await until(lambda: bench.engines.stopped == ["default"])
        await registry.rollback(NAME, "", "ops")
        target = ask(registry)
        assert target.release == digest != "none" and target.group in bench.engines.running
        assert bench.engines.running[target.group].folder == tmp_path / "configured"

    play(bench, scene, runtime_lora=False)


def test_other_configured_weights_are_stable_at_the_next_start_unless_one_was_promoted(bench: Bench) -> None:
    async def stable(registry: Registry) -> str:
        return str(registry.state.models[NAME].stable)

    first = play(bench, stable)
    shutil.rmtree(bench.folder / "configured")
    write_merged(bench.folder / "configured", b"other")
    second = play(bench, stable)
    assert first != second

    async def promote(registry: Registry) -> None:
        await bench.added(registry)
        await registry.promote(NAME, "one", "ops")

    play(bench, promote)
    shutil.rmtree(bench.folder / "configured")
    write_merged(bench.folder / "configured", b"third")
    assert play(bench, stable) == "one"


def test_with_data_parallel_an_adapter_gets_a_second_engine(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        await registry.canary(NAME, "one", 0.5, "ops")
        (weights,) = bench.engines.running.values()
        assert weights.kind == "adapter" and not bench.loader.there
        await registry.rollback(NAME, "", "ops")
        await until(lambda: not bench.engines.running)

    play(bench, scene, runtime_lora=False)


def test_a_load_that_fails_changes_nothing_and_says_why(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        bench.loader.fails.append("out of memory")
        before = registry.state.models
        with pytest.raises(ApiError, match="out of memory") as caught:
            await registry.canary(NAME, "one", 0.5, "ops")
        assert caught.value.status == 502
        assert registry.state.models == before and "one" not in {p.version for p in registry.state.placements.values()}
        assert not list((bench.folder / "adapters" / "loads").iterdir())

    play(bench, scene)


def test_old_versions_are_deleted_with_their_weights(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_versions=3)

    async def scene(registry: Registry) -> None:
        for version in "abcdefg":
            bench.clock.now += 1
            await bench.added(registry, version)
        kept = set(registry.state.models[NAME].versions)
        assert {"d", "e", "f", "g"} <= kept and "a" not in kept
        assert len(list((bench.folder / "adapters" / "store").iterdir())) == len(kept) - 1
        assert len(list((bench.folder / "adapters" / "releases").iterdir())) == len(kept) - 1

    play(bench, scene)
