"""What the gateway asks of the adapter registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from serving.errors import ApiError
from serving.identity.principal import Principal

# "none": it ended without telling anything of the weights (the caller left, or was refused before an engine was asked).
Outcome = Literal["allow", "mask", "rewrite", "block", "handoff", "guard_error", "engine_error", "none"]


@dataclass(frozen=True)
class Target:
    """Who answers a request.

    Attributes:
        model: the name the engine knows the weights by.
        group: the group of engines that serve them.
        release: digest of the released weights, "none" without a release.
        arm: of a canary, which share this request fell into.
    """

    model: str
    group: str = "default"
    release: str = "none"
    arm: Literal["stable", "canary"] = "stable"


class Router(Protocol):
    """Maps the model name of a request to weights."""

    def listed(self, caller: Principal) -> list[str]:
        """The names this caller may ask for."""
        ...

    def choose(self, model: str, caller: Principal, sticky: str) -> Target:
        """Who answers; the same for one `sticky` key as long as the shares are.

        Raises:
            ApiError: 404 when this caller may not ask for the model, as if it did not exist.
        """
        ...

    def observe(self, target: Target, outcome: Outcome) -> None:
        """Note how a request ended; a canary that does badly is rolled back."""
        ...


class OneModel:
    """One name, one set of weights.

    Args:
        name: the name callers give.
        target: who answers.
    """

    def __init__(self, name: str, target: Target):
        self._name = name
        self._target = target

    def listed(self, caller: Principal) -> list[str]:
        return [self._name] if caller.models is None or self._name in caller.models else []

    def choose(self, model: str, caller: Principal, sticky: str) -> Target:
        if model not in self.listed(caller):
            message = f"the model '{model[:100]}' does not exist; served here: '{self._name}'"
            raise ApiError(404, message, param="model", code="model_not_found")
        return self._target

    def observe(self, target: Target, outcome: Outcome) -> None:
        pass
