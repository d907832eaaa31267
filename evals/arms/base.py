"""What the runner needs to know of an arm, and of the models that are served together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.records import Arm
from evals.runner import Backend
from tianjing.files import canonical_json, sha256_bytes

Json = dict[str, Any]


@dataclass(frozen=True)
class ArmSpec:
    """One arm.

    Attributes:
        model: its name for people.
        name: what requests give in their `model` field.
        digest: of the weights, or of all that is known of them.
        server: what answers and its version; answers of another are not the same answers.
        aliases: other names under which its server may answer.
        facts: more for run.json: `over`, the digest of the model under an adapter; `unknown`, what could not be learnt.
    """

    model: str
    name: str
    digest: str
    server: str
    facts: Json = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """All that decides an answer besides the request; part of every request's key."""
        return sha256_bytes(canonical_json([self.digest, self.server, self.facts.get("over")]).encode())


@dataclass(frozen=True)
class Serving:
    """Models while they are served.

    Attributes:
        backend: entered in the event loop that asks; answers for every arm of the group, by its name.
        ended: why nothing more can be asked, or "".
    """

    backend: AbstractAsyncContextManager[Backend]
    ended: Callable[[], str] = lambda: ""


class Group(ABC):
    """Arms that are served at the same time and asked in turn, item by item, so that they see the same load."""

    shared: bool = False
    """Whether others use the server too, so that its limits have to be found."""
    at_once: int | None = None
    """Requests in flight that it can use; None for what the configuration says."""

    def __init__(self, specs: Mapping[Arm, ArmSpec]):
        self.specs = specs

    @abstractmethod
    def serve(self, folder: Path, say: Callable[[str], None], widest: int) -> AbstractContextManager[Serving]:
        """Make the models answer until the block ends.

        Args:
            folder: for logs.
            say: told what is going on.
            widest: most requests that will be in flight together.
        """
