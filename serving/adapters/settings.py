"""Settings of the registry: where weights may come from, and when a canary goes back by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tianjing.config import StrictModel

Counted = Literal["mask", "rewrite", "block", "handoff", "guard_error"]


class CanarySettings(StrictModel):
    """When a canary is rolled back by itself. Each counts from the canary's start."""

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Chance that a canary no worse than stable plus `margin` is ever rolled back by the two comparisons together: a
    bound that holds however often one looks, and is far from reached (docs/serving-adapters.md has what was measured).
    Smaller asks for more evidence, which bad answers pay for."""

    margin: float = Field(default=0.01, ge=0, lt=1)
    """How much higher a canary's rate may be before it counts as worse, as a share of its requests: 0.01 is one in a
    hundred. 0 rolls back for any difference that shows, however small."""

    min_requests: int = Field(default=30, ge=1)
    """Requests of the canary before the rates are compared. The comparison is valid from the first; this keeps an
    accident of the first minutes from ending it."""

    guard_outcomes: tuple[Counted, ...] = ("block", "handoff", "guard_error")
    """Outcomes that count as the guard's rate. Masking is left out: it mostly tells what customers write."""

    guard_errors: int = Field(default=3, ge=1)
    """Answers of the canary on which the guard itself failed, after which it goes back at once."""

    engine_errors_in_a_row: int = Field(default=5, ge=1)
    """Requests in a row that the canary's engine failed, after which it goes back at once."""

    cooldown_s: float = Field(default=3600, ge=0)
    """Seconds after an automatic rollback in which the same version may not be a canary again: time to look why."""


class AdapterSettings(StrictModel):
    """The `adapters` section of ServeConfig."""

    roots: tuple[Path, ...] = ()
    """Folders below which weights and releases may be added from. None by default: nothing can be added, so that a
    stolen operator's key cannot make the endpoint read other places of the disk."""

    canary: CanarySettings = CanarySettings()
    """When a canary goes back by itself."""

    keep_versions: int = Field(default=10, ge=3)
    """Versions of a model that are kept, with their weights, beside those in use; older ones are deleted at an add."""

    keep_previous_s: float = Field(default=600, ge=0)
    """Seconds that the version before a promotion stays loaded, so that going back to it takes no loading."""

    settle_s: float = Field(default=5, ge=0)
    """Seconds from a move until its old weights may be unloaded: gateways of other processes have read the new state
    by then. With several gateways and weights in engines of their own, set it to the longest answer: a gateway knows
    only its own requests in progress."""

    drain_s: float = Field(default=300, ge=0)
    """Seconds that requests in progress on old weights are waited for before these are unloaded all the same."""

    poll_s: Annotated[float, Field(gt=0)] = 1.0
    """Seconds between looks at the state file, at requests in progress on old weights and at expiry."""

    load_timeout_s: float = Field(default=120, gt=0)
    """Seconds the engine may take to load an adapter."""
