"""Fill the cells of a parity check. Every answer goes to a journal at once: a killed check goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.errors import EvalError
from evals.parity.config import ParityConfig
from evals.parity.consult import Consulted
from evals.parity.records import Answer, Cell
from evals.parity.reference import Reference, ids_digest
from evals.progress import ArmProgress
from evals.records import Request
from tianjing.engine import ChatClient, ChatRequest, Engine, EngineError
from tianjing.files import read_journal
from tianjing.workers import run_workers

FIRST_PAUSE_S = 0.5
# So many requests in a row that nobody answered mean that the engine is gone.
GIVE_UP_AFTER = 5


@dataclass(frozen=True)
class Question:
    """One item to ask: its request, and the token ids of its prompt by the base's tokenizer."""

    request: Request
    prompt: tuple[int, ...]


class Journal:
    """Answers on disk, by key."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.answers = {answer.key: answer for answer in read_journal(path, Answer)}

    def left(self, cell: Cell, digest: str, questions: Sequence[Question]) -> list[Question]:
        """Questions that this cell has not answered; those that ended in an error are asked again."""
        keys = {key for key, answer in self.answers.items() if answer.error is None}
        return [question for question in questions if key(cell, digest, question) not in keys]

    def add(self, answer: Answer) -> None:
        self.answers[answer.key] = answer
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(answer.model_dump(mode="json"), ensure_ascii=False) + "\n")

    def of(self, cell: Cell, digest: str, questions: Sequence[Question]) -> dict[str, Answer]:
        """This cell's answers by item."""
        return {question.request.item: self.answers[key(cell, digest, question)] for question in questions}


def key(cell: Cell, digest: str, question: Question) -> str:
    """Fingerprint of a cell's model (`digest`) and of all that it is asked."""
    return question.request.key(f"{cell.name}/{digest}")


def ask_reference(
    consulted: Consulted,
    cell: Cell,
    digest: str,
    questions: Sequence[Question],
    journal: Journal,
    drafts: Mapping[str, Sequence[Sequence[int]]],
) -> None:
    """The adapter in transformers, `cell.load` rows a batch; alone, each answer follows the `drafts` of its item."""
    left = journal.left(cell, digest, questions)
    with _progress(cell, questions, left) as progress:
        for batch in _batches(left, cell.load):
            began = time.monotonic()
            if cell.load == 1:
                (question,) = batch
                request = question.request
                outputs = [consulted.answer(question.prompt, request.max_tokens, drafts[request.item])]
            else:
                longest = max(question.request.max_tokens for question in batch)
                outputs = consulted.reference.generate([question.prompt for question in batch], longest)
            spent_s = round(time.monotonic() - began, 4)
            for question, output in zip(batch, outputs, strict=True):
                journal.add(_of_reference(consulted.reference, cell, digest, question, output, spent_s))
                progress.step(False)


def _of_reference(
    reference: Reference, cell: Cell, digest: str, question: Question, output: Sequence[int], spent_s: float
) -> Answer:
    request = question.request
    tokens = list(output[: request.max_tokens])
    return Answer(
        key=key(cell, digest, question),
        cell=cell.name,
        item=request.item,
        text=reference.prompts.decode(tokens),
        tokens=tokens,
        prompt=ids_digest(question.prompt),
        finish_reason="stop" if reference.ends(tokens) else "length",
        seconds=spent_s,
    )


def ask_engine(
    engine: Engine,
    served_name: str,
    cell: Cell,
    digest: str,
    questions: Sequence[Question],
    journal: Journal,
    config: ParityConfig,
) -> None:
    """A running engine, `cell.load` requests in flight.

    Raises:
        EvalError: the engine ended; what came before is kept.
    """
    left = journal.left(cell, digest, questions)
    with _progress(cell, questions, left) as progress:
        asyncio.run(_ask_all(engine, served_name, cell, digest, left, journal, config, progress.step))


async def _ask_all(
    engine: Engine,
    served_name: str,
    cell: Cell,
    digest: str,
    left: Sequence[Question],
    journal: Journal,
    config: ParityConfig,
    step: Callable[[bool], None],
) -> None:
    queue = iter(left)
    unanswered = 0

    async def work(client: ChatClient) -> None:
        nonlocal unanswered
        for question in queue:
            answer, reached = await _ask(client, served_name, cell, digest, question, config.tries)
            journal.add(answer)
            step(answer.error is not None)
            unanswered = 0 if reached else unanswered + 1
            if unanswered >= GIVE_UP_AFTER or not (reached or engine.alive()):
                raise EvalError(
                    f"the engine of {cell.name} stopped answering: {answer.error}",
                    f"read {engine.log_path}, then give the same command again: answers are kept",
                )

    async with ChatClient(engine.base_url, engine.api_key, config.request_timeout_s) as client:
        await run_workers(min(cell.load, len(left)), lambda: work(client))


async def _ask(
    client: ChatClient, served_name: str, cell: Cell, digest: str, question: Question, tries: int
) -> tuple[Answer, bool]:
    """One answer, and whether the engine was there to give or refuse it."""
    request = question.request
    asked = ChatRequest(
        model=served_name,
        messages=request.messages,
        max_tokens=request.max_tokens,
        temperature=0.0,
        seed=request.seed,
        # Prompts computed alone must not be found in the cache under load: then the load would compute no prompt.
        extra={"return_token_ids": True, "logprobs": True, "cache_salt": cell.name.replace("@", "-")},
    )
    blank = Answer(key=key(cell, digest, question), cell=cell.name, item=request.item)
    pause_s = FIRST_PAUSE_S
    for number in range(1, tries + 1):
        try:
            completion = await client.chat(asked)
        except EngineError as error:
            if error.transient and number < tries:
                await asyncio.sleep(pause_s)
                pause_s *= 2
                continue
            return blank.model_copy(update={"error": error.message}), error.status is not None
        if not completion.prompt_ids or len(completion.logprobs) != len(completion.output_ids):
            return blank.model_copy(update={"error": "the endpoint gave no token ids or no logprobs"}), True
        return blank.model_copy(
            update={
                "text": completion.text,
                "tokens": list(completion.output_ids),
                "logprobs": list(completion.logprobs),
                "prompt": ids_digest(completion.prompt_ids),
                "finish_reason": completion.finish_reason,
                "seconds": round(completion.latency_s, 4),
            }
        ), True
    raise AssertionError("tries is at least 1")


def _batches(questions: Sequence[Question], size: int) -> Iterator[Sequence[Question]]:
    for start in range(0, len(questions), size):
        yield questions[start : start + size]


def _progress(cell: Cell, questions: Sequence[Question], left: Sequence[Question]) -> ArmProgress:
    return ArmProgress(f"parity {cell.name}", len(questions), len(questions) - len(left))


def cell_totals(cell: Cell, answers: Mapping[str, Answer]) -> dict[str, str | float]:
    """One cell: what it is, items, tokens that it answered, errors, answers cut short, mean seconds of an answer."""
    given = answers.values()
    return {
        "way": cell.way,
        "load": cell.load,
        "dtype": cell.dtype,
        "items": len(answers),
        "tokens": sum(len(answer.tokens) for answer in given),
        "errors": sum(answer.error is not None for answer in given),
        "cut_short": sum(answer.finish_reason == "length" for answer in given),
        "mean_seconds": round(sum(answer.seconds for answer in given) / max(len(answers), 1), 3),
    }
