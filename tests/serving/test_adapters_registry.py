"""The registry as an operator meets it: what may be added and promoted, and under which names and releases."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.adapters.registry import Registry
from serving.adapters.router import CanaryRouter
from serving.adapters.settings import CanarySettings
from serving.errors import ApiError, ServeError
from tests.serving.adapter_material import NAME, Bench, write_adapter
from tests.serving.adapter_scenes import CALLER, ask, play, until
from tianjing.lineage import keygen


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


def test_a_second_owner_of_the_folder_is_refused(bench: Bench) -> None:
    async def scene(registry: Registry) -> None:
        with pytest.raises(ServeError, match="another endpoint"):
            await bench.registry().open()

    play(bench, scene)
    play(bench, lambda registry: asyncio.sleep(0))


def test_a_state_that_is_not_ours_keeps_the_endpoint_from_starting(bench: Bench) -> None:
    play(bench, lambda registry: asyncio.sleep(0))
    path = bench.folder / "adapters" / "registry.json"
    good = json.loads(path.read_text())
    assert path.parent.stat().st_mode & 0o077 == 0
    for bad in ("{", json.dumps(good | {"format": 2}), json.dumps(good | {"more": 1})):
        path.write_text(bad)
        with pytest.raises(ServeError, match="not a registry's state"):
            play(bench, lambda registry: asyncio.sleep(0))


def test_a_router_without_models_serves_none() -> None:
    router = CanaryRouter(CanarySettings(), lambda *_: None)
    with pytest.raises(ApiError, match="served here: none") as caught:
        router.choose(NAME, CALLER, "c")
    assert caught.value.status == 404
