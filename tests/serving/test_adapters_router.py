"""Who gets which weights: sticky, by share, and only what may be served."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.adapters.base import Outcome
from serving.adapters.router import Assigned, CanaryRouter, bound_of, draw
from serving.adapters.settings import CanarySettings
from serving.adapters.state import Canary, Model, Override, Placement, State, Version
from serving.errors import ApiError
from serving.identity.principal import Principal
from tests.serving.adapter_material import Clock

CALLER = Principal("acme", "k1")
KEY = bytes(range(32))
DIGEST = {"stable": "a" * 64, "canary": "c" * 64}


def state_of(share: float | None = 0.3, expires: float = math.inf, name: str = "m") -> State:
    def version(arm: str) -> Version:
        return Version(kind="adapter", folder="", digest=DIGEST[arm], release="d" * 64, expires=expires)

    canary = Canary(id="t1", version="new", share=share, since=0) if share is not None else None
    model = Model(versions={"old": version("stable"), "new": version("canary")}, stable="old", canary=canary)
    places = {
        f"{version}-1": Placement(model=name, version=version, kind="adapter", group="g", status="ready", since=0)
        for version in model.versions
    }
    return State(key=KEY.hex(), models={name: model}, placements=places)


def router_of(state: State, clock: Clock | None = None) -> CanaryRouter:
    router = CanaryRouter(CanarySettings(), lambda *_: None, clock or Clock())
    router.show(state)
    return router


@settings(deadline=None)
@given(st.text(max_size=40), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_a_customer_in_the_canary_stays_there_when_the_share_grows(customer: str, one: float, two: float) -> None:
    small, large = sorted((one, two))
    arm = router_of(state_of(small)).choose("m", CALLER, customer).arm
    assert router_of(state_of(small)).choose("m", CALLER, customer).arm == arm
    if arm == "canary":
        assert router_of(state_of(large)).choose("m", CALLER, customer).arm == "canary"


@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.1, 0.5, 0.9]))
@settings(max_examples=20, deadline=None)
def test_the_share_of_customers_is_the_share_that_was_asked_for(seed: int, share: float) -> None:
    customers = 4000
    key = random.Random(seed).randbytes(32)
    hit = sum(draw(key, "m", "v", f"customer-{i}") < bound_of(share) for i in range(customers))
    # Six standard deviations: once in a thousand million examples by chance.
    assert abs(hit - share * customers) < 6 * math.sqrt(customers * share * (1 - share))


def test_another_canary_and_another_key_draw_other_customers() -> None:
    def drawn(key: bytes, version: str) -> list[bool]:
        return [draw(key, "m", version, f"c{i}") < bound_of(0.5) for i in range(2000)]

    first = drawn(KEY, "v1")
    for other in (drawn(KEY, "v2"), drawn(bytes(32), "v1")):
        assert 850 < sum(a == b for a, b in zip(first, other, strict=True)) < 1150


def test_a_target_names_the_load_the_group_the_release_and_the_arm() -> None:
    router = router_of(state_of(0.5))
    seen = {target.arm: target for i in range(50) if (target := router.choose("m", CALLER, f"c{i}"))}
    assert (seen["stable"].model, seen["canary"].model) == ("old-1", "new-1")
    assert (seen["stable"].release, seen["canary"].release) == (DIGEST["stable"], DIGEST["canary"])
    assert {target.group for target in seen.values()} == {"g"}


def test_only_its_own_models_exist_for_a_caller() -> None:
    router = router_of(state_of())
    stranger = Principal("acme", "k2", "app", frozenset({"else"}))
    assert router.listed(CALLER) == ["m"] and router.listed(stranger) == []
    for model in ("m", "no-such", "old-1", "../m"):
        with pytest.raises(ApiError) as caught:
            router.choose(model, stranger, "c")
        assert caught.value.status == 404 and caught.value.code == "model_not_found"
        assert "'m'" not in caught.value.message.split("served here")[1]


def test_expired_weights_are_not_served_and_an_override_is() -> None:
    clock = Clock()
    router = router_of(state_of(0.5, expires=clock.now + 1), clock)
    assert {router.choose("m", CALLER, f"c{i}").arm for i in range(50)} == {"stable", "canary"}
    clock.now += 1
    for i in range(10):
        with pytest.raises(ApiError) as caught:
            router.choose("m", CALLER, f"c{i}")
        assert (caught.value.status, caught.value.code) == (503, "expired")
    state = state_of(None, expires=0)
    old = state.models["m"].versions["old"].model_copy(update={"override": Override(who="o", why="w", at=0)})
    model = state.models["m"].model_copy(update={"versions": {**state.models["m"].versions, "old": old}})
    assert router_of(state.with_model("m", model), clock).choose("m", CALLER, "c").model == "old-1"
    # What has neither a release nor an override is served by nobody's leave.
    bare = old.model_copy(update={"override": None, "release": None, "expires": None})
    model = model.model_copy(update={"versions": {"old": bare}})
    with pytest.raises(ApiError):
        router_of(state.with_model("m", model), clock).choose("m", CALLER, "c")


def test_requests_in_progress_are_counted_down_however_they_end() -> None:
    router = router_of(state_of(None))
    targets = [router.choose("m", CALLER, f"c{i}") for i in range(3)]
    assert router.busy("old-1") == 3
    outcomes: tuple[Outcome, ...] = ("allow", "none", "engine_error")
    for target, outcome in zip(targets, outcomes, strict=True):
        router.observe(target, outcome)
    assert router.busy("old-1") == 0


def test_outcomes_of_an_earlier_canary_do_not_count_against_the_next() -> None:
    told: list[str] = []
    router = CanaryRouter(CanarySettings(min_requests=1), lambda model, trial, why: told.append(trial), Clock())
    router.show(state_of(0.9))
    late = [target for i in range(200) if (target := router.choose("m", CALLER, f"c{i}")).arm == "canary"]
    state = state_of(0.9)
    canary = state.models["m"].canary
    assert canary is not None
    second = state.models["m"].model_copy(update={"canary": canary.model_copy(update={"id": "t2"})})
    router.show(state.with_model("m", second))
    for target in late:
        router.observe(target, "guard_error")
    assert told == []
    fresh = next(target for i in range(200) if (target := router.choose("m", CALLER, f"c{i}")).arm == "canary")
    assert isinstance(fresh, Assigned) and fresh.trial == "t2"
    for _ in range(6):
        router.observe(fresh, "guard_error")
    assert told == ["t2"], "it goes once, however many of its answers are still to come"
