"""Ask a plan of requests of an OpenAI-compatible endpoint and keep every answer on disk at once.

The file of attempts is the state: it is appended and flushed per answer, so a killed run goes on where it stopped.
A request that failed stays in the file as an error and counts as a failure; the next run asks it again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import Arm, RawAttempt, Request
from tianjing.engine import ChatClient, ChatRequest, EngineError
from tianjing.files import read_journal

FIRST_PAUSE_S = 0.5
# So many failures in a row, none of them the request's own fault, mean that the engine is gone.
GIVE_UP_AFTER = 20

OnAttempt = Callable[[RawAttempt], None]


def load_attempts(path: Path) -> dict[str, RawAttempt]:
    """Attempts by key, the last of each."""
    return {attempt.key: attempt for attempt in read_journal(path, RawAttempt)}


def pending(requests: Sequence[Request], model_digest: str, done: dict[str, RawAttempt]) -> list[Request]:
    """Requests without an answer yet; those that ended in an error are asked again."""
    finished = {key for key, attempt in done.items() if attempt.error is None}
    return [request for request in requests if request.key(model_digest) not in finished]


async def run_requests(
    requests: Sequence[Request],
    client: ChatClient,
    served_name: str,
    arm: Arm,
    model_digest: str,
    path: Path,
    config: EvalConfig,
    on_attempt: OnAttempt = lambda attempt: None,
) -> None:
    """Ask all `requests` with `config.concurrency` in flight and append each attempt to `path`.

    Raises:
        EvalError: the endpoint stopped answering; what came before is kept.
    """
    queue = iter(requests)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        pool = _Pool(client, served_name, arm, model_digest, config, stream, on_attempt)
        count = min(config.concurrency, len(requests))
        tasks = [asyncio.create_task(pool.work(queue)) for _ in range(count)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Pool:
    """What the concurrent tasks share: the client, the open file and the count of failures in a row."""

    def __init__(
        self,
        client: ChatClient,
        served_name: str,
        arm: Arm,
        model_digest: str,
        config: EvalConfig,
        stream: IO[str],
        on_attempt: OnAttempt,
    ):
        self.client, self.served_name, self.arm, self.model_digest = client, served_name, arm, model_digest
        self.config, self.stream, self.on_attempt = config, stream, on_attempt
        self.failures_in_a_row = 0

    async def work(self, queue: Iterator[Request]) -> None:
        for request in queue:
            attempt = await self.attempt(request)
            self.stream.write(json.dumps(attempt.model_dump(mode="json"), ensure_ascii=False) + "\n")
            self.stream.flush()
            self.on_attempt(attempt)

    async def attempt(self, request: Request) -> RawAttempt:
        """One request until it is answered, refused for good, or out of tries."""
        asked = ChatRequest(
            model=self.served_name,
            messages=request.messages,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
        )
        blank = self._blank(request)
        pause_s = FIRST_PAUSE_S
        began = time.monotonic()
        for number in range(1, self.config.tries + 1):
            try:
                completion = await self.client.chat(asked)
            except EngineError as error:
                self._note_failure(error)
                if not error.transient or number == self.config.tries:
                    spent_s = round(time.monotonic() - began, 4)
                    return blank.model_copy(update={"tries": number, "latency_s": spent_s, "error": error.message})
                await asyncio.sleep(pause_s)
                pause_s *= 2
                continue
            self.failures_in_a_row = 0
            return blank.model_copy(
                update={
                    "output": completion.text,
                    "finish_reason": completion.finish_reason,
                    "latency_s": round(completion.latency_s, 4),
                    "prompt_tokens": completion.prompt_tokens,
                    "output_tokens": completion.completion_tokens,
                    "tries": number,
                }
            )
        raise AssertionError("tries is at least 1")

    def _blank(self, request: Request) -> RawAttempt:
        """The attempt before it is made: what identifies it, and no answer."""
        return RawAttempt(
            key=request.key(self.model_digest),
            item=request.item,
            task=request.task,
            arm=self.arm,
            condition=request.condition,
            repeat=request.repeat,
            prompt=request.prompt_digest,
            seed=request.seed,
            temperature=request.temperature,
        )

    def _note_failure(self, error: EngineError) -> None:
        if error.status is not None and not error.transient:
            return  # the engine lives and refuses this one request
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= max(GIVE_UP_AFTER, 2 * self.config.concurrency):
            raise EvalError(
                f"the engine stopped answering ({self.failures_in_a_row} failures in a row; last: {error.message})",
                "read the engine's log, then give the same command again: answered requests are kept",
            )


def require_different_repeats(attempts: Sequence[RawAttempt]) -> None:
    """The seed canary: sampled repeats that are copies of one another, for every item, measure nothing.

    Servers that ignore a request's seed, or fix it, make any model look perfectly stable.

    Raises:
        EvalError: there are at least two repeated items and for all of them all outputs are byte-identical.
    """
    outputs: dict[str, list[str]] = defaultdict(list)
    for attempt in attempts:
        if attempt.temperature > 0 and attempt.error is None:
            outputs[attempt.item].append(attempt.output)
    repeated = [texts for texts in outputs.values() if len(texts) > 1]
    if len(repeated) > 1 and all(len(set(texts)) == 1 for texts in repeated):
        raise EvalError(
            f"the repeats of all {len(repeated)} stability items are byte-identical at temperature > 0: "
            "the server seems to ignore the seed of a request, so stability cannot be measured",
            "check the engine's sampling settings; if the model really is this certain, raise `temperature`",
        )
