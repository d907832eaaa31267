"""The registry as an operator meets it: add, try out, promote, roll back; and what it survives."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.adapters.base import Target
from serving.adapters.moves import settled
from serving.adapters.registry import Registry
from serving.adapters.router import CanaryRouter
from serving.adapters.settings import CanarySettings
from serving.adapters.state import StateFile
from serving.errors import ApiError, ServeError
from serving.identity.principal import Principal
from tests.serving.adapter_material import NAME, Bench, write_adapter, write_merged
from tianjing.lineage import keygen

CALLER = Principal("acme", "k1")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def play(bench: Bench, scene: Callable[[Registry], Awaitable[Any]], **how: Any) -> Any:
    """Run a scene on an open registry."""

    async def run() -> Any:
        registry = bench.registry(**how)
        await registry.open()
        try:
            return await scene(registry)
        finally:
            await registry.close()

    return asyncio.run(run())


def ask(registry: Registry, customer: str = "c") -> Target:
    target = registry.router.choose(NAME, CALLER, customer)
    registry.router.observe(target, "allow")
    return target


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_an_adapter_goes_from_added_to_canary_to_everybody_and_back(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        assert ask(registry).model == NAME
        version = await bench.added(registry, "v2")
        assert bench.loader.there == {}, "added weights are given to nobody"
        await registry.canary(NAME, "v2", 0.5, "ops/k1")
        arms = {ask(registry, f"c{i}").arm for i in range(40)}
        assert arms == {"stable", "canary"}
        await registry.promote(NAME, None, "ops/k1")
        target = ask(registry)
        assert target.model in bench.loader.there and target.release == version.digest and target.arm == "stable"
        await registry.rollback(NAME, "投诉", "ops/k1")
        assert ask(registry).model == NAME
        await until(lambda: not bench.loader.there)
        with pytest.raises(ApiError, match="neither a canary nor"):
            await registry.rollback(NAME, "", "ops/k1")

    play(bench, scene)
    kinds = ["adapter_added", "adapter_canary", "adapter_promoted", "adapter_rolled_back"]
    assert bench.audit.kinds == kinds
    assert bench.audit.events[-1][1]["why"] == "投诉"


def test_every_load_has_a_new_name_and_a_path_of_its_own(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        paths = set()
        for _ in range(3):
            await registry.canary(NAME, "one", 0.5, "ops")
            paths.add(next(iter(bench.loader.there.values())))
            await registry.rollback(NAME, "", "ops")
            await until(lambda: not bench.loader.there)
        names = [name for what, name in bench.loader.seen if what == "load"]
        assert len(set(names)) == len(paths) == 3
        assert not any(path.exists() for path in paths)

    play(bench, scene)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"verdict": "block", "reasons": ["worse than the base"]}, "worse than the base"),
        ({"adapter": "f" * 64}, "not the released weights"),
        ({"adapter": None}, "released none"),
        ({"base": "c" * 64}, "tuned on the base cccc"),
        ({"temperature": 0.2}, "up to temperature 0.2, not at 0.3"),
        ({"expires": datetime.now(UTC) - timedelta(days=1)}, "expired"),
    ],
)
def test_an_adapter_that_its_release_does_not_cover_is_not_added(
    bench: Bench, changes: dict[str, Any], reason: str
) -> None:
    async def scene(registry: Registry) -> None:
        folder = bench.adapter()
        with pytest.raises(ApiError, match=reason):
            await registry.add(NAME, "v2", folder, bench.release(folder, **changes), None, "ops")
        assert "v2" not in registry.state.models[NAME].versions

    play(bench, scene)
    assert bench.audit.events == [] and not list((bench.folder / "adapters" / "store").iterdir())


def test_without_a_release_only_with_a_reason_that_is_accounted_for(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        plain = bench.inbox / "plain"
        write_adapter(plain)
        (plain / "manifest.json").unlink()
        with pytest.raises(ApiError, match="no release is given") as caught:
            await registry.add(NAME, "v2", plain, None, None, "ops/k1")
        assert caught.value.code == "not_released" and "--override-reason" in caught.value.message
        version = await registry.add(NAME, "v2", plain, None, "演练", "ops/k1")
        assert version.override and version.override.why == "演练"
        await registry.promote(NAME, "v2", "ops/k1")
        assert ask(registry).release == "none"
        with pytest.raises(ApiError, match="does not name the base"):
            await registry.add(NAME, "v3", bench.adapter("ours"), None, "演练", "ops/k1")

    play(bench, scene)
    kind, details = bench.audit.events[0]
    assert kind == "adapter_added_with_override" and details["override_reason"] == "演练" and details["who"] == "ops/k1"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"r": 128}, "ranks up to 64"),
        ({"rank_pattern": {"q_proj": 1024}}, "1024"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
    ],
)
def test_an_adapter_that_the_engine_would_refuse_is_refused_before(bench: Bench, config: Any, field: str) -> None:
    async def scene(registry: Registry) -> None:
        folder = bench.adapter(**config)
        with pytest.raises(ApiError, match=field):
            await registry.add(NAME, "v2", folder, bench.release(folder), None, "ops")

    play(bench, scene)


def test_pickled_weights_are_refused(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        folder = bench.adapter()
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
        with pytest.raises(ApiError, match="pickled weights are not loaded"):
            await registry.add(NAME, "v2", folder, None, "try", "ops")

    play(bench, scene)


def test_weights_that_are_changed_before_or_after_the_adding_are_not_loaded(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        folder = bench.adapter()
        release = bench.release(folder)
        (folder / "adapter_model.safetensors").write_bytes(b"evil")
        with pytest.raises(ApiError, match="changed after the release"):
            await registry.add(NAME, "v2", folder, release, None, "ops")
        version = await bench.added(registry, "v3")
        # The source may change as it likes: the store has a copy.
        (bench.inbox / "v3" / "adapter_model.safetensors").write_bytes(b"evil")
        await registry.canary(NAME, "v3", 0.5, "ops")
        assert next(iter(bench.loader.there.values())).joinpath("adapter_model.safetensors").read_bytes() == b"v3"
        await registry.rollback(NAME, "", "ops")
        # Who can write into the store is found out before the next load.
        stored = Path(version.folder) / "adapter_model.safetensors"
        stored.chmod(0o600)
        stored.write_bytes(b"evil")
        await until(lambda: not bench.loader.there)
        with pytest.raises(ApiError, match="weights were changed"):
            await registry.canary(NAME, "v3", 0.5, "ops")
        assert not bench.loader.there and ask(registry).model == NAME

    play(bench, scene)


def test_a_signer_who_is_trusted_no_more_is_found_out_before_the_next_load(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        keygen(bench.folder / "other.pem")
        (bench.folder / "other.pub").replace(bench.signer.with_suffix(".pub"))
        with pytest.raises(ApiError, match="signed by an unknown key"):
            await registry.canary(NAME, "one", 0.5, "ops")
        assert not bench.loader.there

    play(bench, scene)


def test_names_that_could_be_paths_are_refused(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        folder = bench.adapter()
        for bad in ("../x", "a/b", "", ".", "..", "A", "a" * 65, "a\n", "a b", "a\0"):
            with pytest.raises(ApiError) as caught:
                await registry.add(NAME, bad, folder, bench.release(folder), None, "ops")
            assert caught.value.status == 400 and caught.value.param == "version"
        for bad in ("../x", "a/b", ".hidden", "a" * 65):
            with pytest.raises(ApiError) as caught:
                await registry.add(bad, "v2", folder, bench.release(folder), None, "ops")
            assert caught.value.param == "name"

    play(bench, scene)


def test_a_release_that_expires_while_it_serves_ends_the_serving_until_a_new_one_is_added(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        bench.clock.now = datetime.now(UTC).timestamp()
        folder = bench.adapter("v2")
        soon = datetime.now(UTC) + timedelta(hours=1)
        await registry.add(NAME, "v2", folder, bench.release(folder, expires=soon), None, "ops")
        await registry.promote(NAME, "v2", "ops")
        bench.clock.now += 7200
        with pytest.raises(ApiError, match="expired") as caught:
            ask(registry)
        assert caught.value.status == 503 and registry.router.listed(CALLER) == []
        assert registry.router.refused[NAME, "v2"] == 1
        await registry.add(NAME, "v2", folder, bench.release(folder), None, "ops")
        assert ask(registry).model in bench.loader.there and registry.router.listed(CALLER) == [NAME]

    play(bench, scene)


def test_a_version_names_the_same_weights_for_ever(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry, "v2")
        other = bench.adapter("other")
        with pytest.raises(ApiError, match="other weights") as caught:
            await registry.add(NAME, "v2", other, bench.release(other), None, "ops")
        assert caught.value.status == 409

    play(bench, scene)


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


def test_a_second_owner_of_the_folder_is_refused(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        with pytest.raises(ServeError, match="another endpoint"):
            await bench.registry().open()

    play(bench, scene)
    play(bench, lambda registry: asyncio.sleep(0))


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


def test_a_state_that_is_not_ours_keeps_the_endpoint_from_starting(bench: Bench) -> None:
    play(bench, lambda registry: asyncio.sleep(0))
    path = bench.folder / "adapters" / "registry.json"
    good = json.loads(path.read_text())
    assert path.parent.stat().st_mode & 0o077 == 0
    for bad in ("{", json.dumps(good | {"format": 2}), json.dumps(good | {"more": 1})):
        path.write_text(bad)
        with pytest.raises(ServeError, match="not a registry's state"):
            play(bench, lambda registry: asyncio.sleep(0))


# Every call after which a kill leaves something else on the disk.
_CALLS = ("open", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync", "chmod")


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Run `work` in a process that dies before its `number`-th change to the disk; returns whether it died."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    calls = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                os._exit(9)
            return real(*args, **more)

        return call

    for name in _CALLS:
        setattr(os, name, counting(getattr(os, name)))
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def moves_of(bench: Bench) -> dict[str, Callable[[Registry], Awaitable[Any]]]:
    folder, release = bench.inbox / "v3", bench.inbox / "v3.json"
    return {
        "add": lambda registry: registry.add(NAME, "v3", folder, release, None, "ops"),
        "canary": lambda registry: registry.canary(NAME, "v2", 0.5, "ops"),
        "promote": lambda registry: registry.promote(NAME, "v2", "ops"),
        "rollback": lambda registry: registry.rollback(NAME, "", "ops"),
    }


@pytest.mark.parametrize("move", ["add", "canary", "promote", "rollback"])
def test_killed_anywhere_in_a_move_the_registry_is_as_before_or_as_after(tmp_path: Path, move: str) -> None:
    template = Bench(tmp_path / "template", poll_s=60)
    template.release(template.adapter("v3"), "v3.json")

    async def prepare(registry: Registry) -> None:
        await template.added(registry, "v2")
        if move == "rollback":
            await registry.promote(NAME, "v2", "ops")

    play(template, prepare)
    number, died = 0, True
    before = StateFile(template.folder / "adapters").read().models[NAME]
    while died:
        number += 1 if number < 10 else 6
        folder = tmp_path / str(number)
        bench = copied(template, folder)
        died = killed_at(number, lambda bench=bench: play(bench, moves_of(bench)[move]))  # type: ignore[misc]
        after_kill = StateFile(folder / "adapters").read().models[NAME]
        known = {"v2", "v3", None, before.stable, before.previous}
        assert {after_kill.stable, after_kill.previous} <= known

        async def recovers(registry: Registry, bench: Bench = bench) -> None:
            assert ask(registry).model
            state = bench.folder / "adapters"
            assert not list((state / "store").glob(".incoming*"))
            assert {path.name for path in (state / "loads").iterdir()} <= set(registry.state.placements)
            if registry.state.models[NAME].stable == before.stable and move != "add":
                await moves_of(bench)[move](registry)

        play(bench, recovers)
    assert number > 20, "the move was never killed"


def copied(template: Bench, folder: Path) -> Bench:
    """The same state in another place."""
    shutil.copytree(template.folder, folder)
    path = folder / "adapters" / "registry.json"
    path.write_text(path.read_text().replace(str(template.folder), str(folder)))
    return Bench(folder, poll_s=60)


def test_a_settled_state_stays_as_it_is(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        await bench.added(registry)
        await registry.canary(NAME, "one", 0.5, "ops")
        assert settled(registry.state, bench.clock.now) is registry.state

    play(bench, scene)


def test_a_router_without_models_serves_none() -> None:
    router = CanaryRouter(CanarySettings(), lambda *_: None)
    with pytest.raises(ApiError, match="served here: none") as caught:
        router.choose(NAME, CALLER, "c")
    assert caught.value.status == 404
