"""Does training see what serving will see? Token by token, for every answer of every conversation.

Serving renders the messages before an answer, and the model generates until its first stop token. So a supervised
answer must follow exactly the prompt that the server renders at that turn, must be what the template makes of it when
it is the newest one (templates of reasoning models drop `<think>` blocks from older ones), must end with the stop
token, supervised, and nothing after it may carry a loss.

The server's side is rendered here from the message lists alone, not taken from `training.rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tianjing.records import Example, Message
from training.errors import TrainingError
from training.rows import IGNORED, TokenRow, choose, stop_tokens, tokenize

# Tokens shown on either side of a difference.
_CONTEXT_TOKENS = 8
# A sample of this many rows takes about a second and meets every template's habits.
SAMPLE_ROWS = 64
# Two days between which a template that writes the date cannot write the same one.
_CLOCKS = (datetime(2001, 2, 3).strftime, datetime(2034, 11, 26).strftime)


@dataclass(frozen=True)
class Difference:
    """Where what is trained and what is served part."""

    row: str
    answer: int
    """Which answer of the conversation, from 1."""
    problem: str
    trained: str
    served: str

    def __str__(self) -> str:
        where = f"row {self.row}, answer {self.answer}: {self.problem}"
        return f"{where}\n    trained {self.trained}\n    served  {self.served}"


@dataclass(frozen=True)
class Parity:
    """What a comparison found; `differences` is empty where training and serving agree."""

    rows: int
    answers: int
    """Assistant turns compared, those of earlier turns too."""
    differences: tuple[Difference, ...]
    rewritten: tuple[str, ...]
    """Rows in whose history the template renders an answer otherwise than when it was the newest. No fault while each
    row supervises its last answer alone: the server's history is rendered so too."""


@dataclass(frozen=True)
class Turn:
    """One answer as serving sees it: the prompt's ids, and what the model must generate, its stop token included."""

    prompt: list[int]
    answer: list[int]


def sample(examples: Sequence[Example], rows: int, seed: int = 0) -> list[Example]:
    """About `rows` rows, evenly over the tasks; rows that hold no answer are not trained on and not compared."""
    answered = _answered(examples)
    tasks = len({example.task for example in answered})
    return choose(answered, -(-rows // max(1, tasks)), seed)


def check_parity(examples: Sequence[Example], tokenizer: Any, stops: frozenset[int]) -> Parity:
    """Compare the rows that training makes of `examples` with what a server renders from the same messages.

    Args:
        stops: the token ids at which the server stops (`stop_tokens`).
    """
    examples = _answered(examples)
    differences: list[Difference] = []
    rewritten: list[str] = []
    answers = 0
    for example in examples:
        places = answer_places(example.messages)
        answers += len(places)
        differences += _dated(example, places[0], tokenizer)
        row = None
        for number, place in enumerate(places, start=1):
            # Each answer in its turn, as the row that ends with it; the last one is the row as it is trained.
            turn = example.model_copy(update={"messages": example.messages[: place + 1]})
            row = _row(turn, tokenizer, stops)
            differences += check_row(turn, row, tokenizer, stops) if row else _unlike(turn, number, tokenizer)
        if row and _rewrites(example, row, tokenizer, stops):
            rewritten.append(example.id)
    return Parity(len(examples), answers, tuple(differences), tuple(rewritten))


def require_parity(examples: Sequence[Example], tokenizer: Any, model: Path) -> None:
    """What a training run calls before its first step: a sample of its rows must be what a server will render.

    Raises:
        TrainingError: with the first difference, and the tokens around it.
    """
    parity = check_parity(sample(examples, SAMPLE_ROWS), tokenizer, stop_tokens(tokenizer, model))
    if parity.differences:
        raise TrainingError(
            f"training would not see what serving sees ({len(parity.differences)} differences in {parity.rows} rows):\n"
            f"  {parity.differences[0]}",
            "mend chat_template.jinja or the tokenizer of the base model; `tianjing train parity` shows more",
        )


def check_row(example: Example, row: TokenRow, tokenizer: Any, stops: frozenset[int]) -> list[Difference]:
    """Differences of one training row: each run of supervised tokens must be an answer as serving generates it."""
    places = answer_places(example.messages)
    turns = [serve_turn(example.messages, place, tokenizer, stops) for place in places]
    differences = []
    runs = supervised_runs(row.labels)
    if not runs or len(runs) > len(turns):
        return [Difference(example.id, len(places), f"{len(runs)} supervised runs", "", f"{len(turns)} answers")]
    # A row supervises its last answers: all of them, or the newest alone.
    numbered = list(enumerate(turns, start=1))[-len(runs) :]
    for (number, turn), (start, stop) in zip(numbered, runs, strict=True):
        trained = row.input_ids[:stop]
        expected = turn.prompt + turn.answer
        at = first_difference(trained, expected)
        # A loss that begins elsewhere than the answer shows in equal tokens too.
        shift = None if start == len(turn.prompt) else min(start, len(turn.prompt))
        if at is not None and at < len(turn.prompt):
            problem = "the prompt differs"
        elif not turn.answer or turn.answer[-1] not in stops:
            problem, at = "the template ends the answer without a token at which the model stops", len(expected) - 1
        elif at is None and shift is None:
            continue
        elif at == len(expected) and shift is None:
            problem = "tokens after the stop token carry a loss"
        elif at is not None:
            problem = "the answer differs"
        else:
            problem, at = "the loss does not begin where the answer does", shift
        assert at is not None
        shown = (around(trained, at, tokenizer), around(expected, at, tokenizer))
        differences.append(Difference(example.id, number, problem, *shown))
    return differences + _changed_answer(example, tokenizer)


def serve_turn(messages: Sequence[Message], place: int, tokenizer: Any, stops: frozenset[int]) -> Turn:
    """The answer at `place` as a server renders its prompt and as the model, given its training, generates it."""
    prompt = serve_prompt(messages[:place], tokenizer)
    whole = _render(messages[: place + 1], tokenizer, generate=False)
    ids = list(tokenizer(whole, add_special_tokens=False)["input_ids"])
    answer = ids[len(prompt) :]
    end = next((at for at, token in enumerate(answer) if token in stops), len(answer) - 1)
    return Turn(prompt, answer[: end + 1])


def serve_prompt(messages: Sequence[Message], tokenizer: Any) -> list[int]:
    """Token ids of a prompt, as vLLM renders it: the chat template, then no special tokens beside the template's."""
    text = _render(messages, tokenizer, generate=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def answer_places(messages: Sequence[Message]) -> list[int]:
    """Indices of the assistant's messages."""
    return [place for place, message in enumerate(messages) if message.role == "assistant"]


def supervised_runs(labels: Sequence[int]) -> list[tuple[int, int]]:
    """Spans [start, stop) of neighbouring tokens that carry a loss."""
    runs, start = [], None
    for at, label in enumerate([*labels, IGNORED]):
        if label != IGNORED and start is None:
            start = at
        elif label == IGNORED and start is not None:
            runs.append((start, at))
            start = None
    return runs


def first_difference(left: Iterable[int], right: Iterable[int]) -> int | None:
    """Index of the first place at which two sequences differ, in length too; None where they are equal."""
    return next((at for at, (a, b) in enumerate(zip_longest(left, right)) if a != b), None)


def around(ids: Sequence[int], at: int, tokenizer: Any) -> str:
    """The tokens around place `at`, decoded, the one at it in brackets (⟦end⟧ past the last)."""
    before = tokenizer.decode(ids[max(0, at - _CONTEXT_TOKENS) : at])
    here = tokenizer.decode(ids[at : at + 1]) if at < len(ids) else "end"
    after = tokenizer.decode(ids[at + 1 : at + 1 + _CONTEXT_TOKENS])
    return f"token {at}: " + f"{before}⟦{here}⟧{after}".replace("\n", "\\n")


def _render(messages: Sequence[Message], tokenizer: Any, generate: bool, **variables: Any) -> str:
    text: str = tokenizer.apply_chat_template(
        [message.model_dump() for message in messages], tokenize=False, add_generation_prompt=generate, **variables
    )
    return text


def _answered(examples: Sequence[Example]) -> list[Example]:
    return [example for example in examples if example.messages[-1].role == "assistant"]


def _row(example: Example, tokenizer: Any, stops: frozenset[int]) -> TokenRow | None:
    """The row that training makes of a conversation of any length; None where it can make none."""
    try:
        rows = tokenize([example], tokenizer, max_length_tokens=1 << 40, stops=stops).rows
    except TrainingError:
        return None
    return rows[0] if rows else None


def _unlike(example: Example, number: int, tokenizer: Any) -> list[Difference]:
    """What keeps `tokenize` from making a row: the conversation does not open with its own prompt, or has no answer."""
    prompt = serve_prompt(example.messages[:-1], tokenizer)
    whole = list(tokenizer(_render(example.messages, tokenizer, generate=False), add_special_tokens=False)["input_ids"])
    at = first_difference(whole[: len(prompt)], prompt)
    problem = "the prompt differs" if at is not None else "the template renders no answer"
    at = len(prompt) if at is None else at
    return [Difference(example.id, number, problem, around(whole, at, tokenizer), around(prompt, at, tokenizer))]


def _changed_answer(example: Example, tokenizer: Any) -> list[Difference]:
    """The template must keep the newest answer's words; white space is its own affair."""
    places = answer_places(example.messages)
    prompt = _render(example.messages[:-1], tokenizer, generate=True)
    rendered = _render(example.messages, tokenizer, generate=False)[len(prompt) :]
    wanted, kept = ("".join(text.split()) for text in (example.messages[-1].content, rendered))
    if wanted in kept:
        return []
    problem = "the template drops or changes words of the answer"
    return [
        Difference(example.id, len(places), problem, repr(rendered[:200]), repr(example.messages[-1].content[:200]))
    ]


def _dated(example: Example, place: int, tokenizer: Any) -> list[Difference]:
    """A prompt in which the template writes today's date is another one tomorrow."""
    one, other = (_render(example.messages[:place], tokenizer, generate=True, strftime_now=clock) for clock in _CLOCKS)
    if one == other:
        return []
    at = next(at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    shown = (repr(text[max(0, at - 20) : at + 20]) for text in (one, other))
    return [Difference(example.id, 1, "the template writes the date: two days give two prompts", *shown)]


def _rewrites(example: Example, row: TokenRow, tokenizer: Any, stops: frozenset[int]) -> bool:
    """Whether an earlier answer stands in the row otherwise than it was generated."""
    for place in answer_places(example.messages)[:-1]:
        turn = serve_turn(example.messages, place, tokenizer, stops)
        generated = turn.prompt + turn.answer
        if row.input_ids[: len(generated)] != generated:
            return True
    return False
