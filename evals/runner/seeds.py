"""The seed canaries of a group's arms, kept beside their journals: a resumed run does not ask them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import Arm, RawAttempt
from evals.runner.cache import Cache
from evals.runner.canary import canary_requests, canary_result, require_seeds
from evals.runner.journal import Journal, finished_keys, load_attempts
from evals.runner.pace import Pace
from evals.runner.pool import Pool
from evals.runner.target import Target


class SeedCanaries:
    """Of the arms in `identities`: those whose plan has sampled requests."""

    def __init__(self, identities: Mapping[Arm, str], scratch: Path, config: EvalConfig):
        self._identities, self._config = identities, config
        self._requests = canary_requests(config)
        self._paths = {arm: scratch / f"canary-{arm}.jsonl" for arm in identities}

    async def ask(self, targets: Iterable[Target], pace: Pace) -> None:
        """Ask what was not asked before.

        Raises:
            EvalError: a server ignores seeds, or answers nothing.
        """
        with ExitStack() as stack:
            mine = [
                replace(
                    target,
                    journal=stack.enter_context(Journal(self._paths[target.arm])),
                    finished=finished_keys(self._paths[target.arm]),
                )
                for target in targets
                if target.arm in self._paths
            ]
            await Pool(self._config).run(((target, request) for target in mine for request in self._requests), pace)
        for target in mine:
            try:
                require_seeds(target.model, canary_result(self._attempts(target.arm)))
            except EvalError:
                self._paths[target.arm].unlink()  # once the cause is mended it must be asked again
                raise

    def result(self, arm: Arm, cache: Cache | None) -> dict[str, Any] | None:
        """For run.json; of an earlier run where nothing had to be asked, None where nothing is sampled.

        What this run asked goes into the cache, for the run that needs no server.
        """
        if arm not in self._paths:
            return None
        attempts: Sequence[RawAttempt | None] = self._attempts(arm)
        if cache is not None:
            cache.put(attempt for attempt in attempts if attempt is not None)
            if not attempts:
                attempts = [cache.get(request.key(self._identities[arm]), arm, request) for request in self._requests]
        return canary_result(attempt for attempt in attempts if attempt is not None)

    def _attempts(self, arm: Arm) -> list[RawAttempt]:
        known = load_attempts(self._paths[arm])
        keys = (request.key(self._identities[arm]) for request in self._requests)
        return [known[key] for key in keys if key in known]
