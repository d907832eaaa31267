"""A registry that is killed in the middle of a move is as before it or as after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from serving.adapters.moves import settled
from serving.adapters.registry import Registry
from serving.adapters.state import StateFile
from tests.serving.adapter_material import NAME, Bench
from tests.serving.adapter_scenes import ask, play

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
