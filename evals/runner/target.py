"""Who is asked: an arm, the name that its requests give, and the names under which its answers may come."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from evals.records import Arm, Request
from evals.runner.journal import Journal
from tianjing.engine import ChatRequest, Completion, EngineError

# Servers put the model folder's own defaults where a request is silent, so nothing is left to them.
_NEUTRAL = {"n": 1, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_BEYOND_OPENAI = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
_EXTRA = {"openai": _NEUTRAL, "all": {**_NEUTRAL, **_BEYOND_OPENAI}}
# Hosted endpoints answer `gpt-4o-2024-08-06` to `gpt-4o`.
_DATED = re.compile(r"[-@]20\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])")


class Backend(Protocol):
    """Whatever answers chat requests: `tianjing.engine.ChatClient`, or a model in this process."""

    async def chat(self, request: ChatRequest) -> Completion:
        """Raises EngineError as `ChatClient.chat` does."""


@dataclass
class Target:
    """One arm of a run: who is asked, under which name, and where its answers go.

    Attributes:
        identity: digest of all that decides its answers; part of every request's key.
        model: the name that the backend knows the model by.
        finished: `short_key` of the requests that need not be asked.
        plan: all its requests; some of them are tried before an endpoint that fails is given up.
        aliases: other names under which the endpoint may answer for `model`.
        others: names of the other arms: an answer under one of them is never this arm's.
    """

    arm: Arm
    identity: str
    model: str
    backend: Backend
    journal: Journal
    finished: Set[bytes] = frozenset()
    plan: Sequence[Request] = ()
    aliases: Set[str] = frozenset()
    others: Set[str] = frozenset()

    async def ask(self, request: Request, stream: bool) -> Completion:
        """Raises EngineError as `ChatClient.chat` does, and where another model answered."""
        completion = await self.backend.chat(
            ChatRequest(
                self.model,
                request.messages,
                request.max_tokens,
                request.temperature,
                request.top_p,
                request.seed,
                extra=_EXTRA[request.parameters],
                stream=stream,
            )
        )
        if completion.model and completion.model != self.model:
            self._require_own(completion.model)
        return completion

    def _require_own(self, told: str) -> None:
        dated = told.startswith(self.model) and _DATED.fullmatch(told, len(self.model))
        if told in self.others or not (dated or told in self.aliases):
            raise EngineError(
                f"'{self.model}' was asked, and '{told}' answered",
                f"serve '{self.model}'; if both are one model, set `served_as: {{{self.model}: [{told}]}}`",
                kind="protocol",
            )


def remedy(error: str) -> str:
    """What to change where an endpoint answers nothing but this."""
    named = [name for name in _BEYOND_OPENAI if name in error]
    if named:
        return f"the endpoint does not know {', '.join(named)}: set `parameters: openai`"
    return "mend the cause; for an endpoint that refuses what the OpenAI protocol does not know, `parameters: openai`"
