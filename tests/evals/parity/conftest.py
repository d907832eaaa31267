"""Models made of a table: the same words through three ways, and what a test does to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evals.parity.config import ParityConfig
from evals.parity.records import Gap, Scored
from tianjing.dataset import write_examples
from tianjing.engine import ChatRequest, Completion, EngineError
from tianjing.lineage import artefact
from tianjing.records import Example, Message
from tianjing.tasks import TASKS

END = 0


def token_ids(text: str) -> list[int]:
    """One token a character, and the end."""
    return [*map(ord, text), END]


class CharacterPrompts:
    """Stands where the tokenizer of a base would."""

    def __init__(self, base: Path):
        pass

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return [ord(char) for message in messages for char in f"{message.role}:{message.content}\n"]

    def decode(self, tokens: Sequence[int], special: bool = False) -> str:
        return "".join(map(chr, filter(None, tokens)))


@dataclass
class Ways:
    """What each way answers to a question, by cell: the right answer unless `change` says otherwise."""

    dataset: Path
    folders: dict[str, Path]
    out: Path
    config: ParityConfig
    change: Callable[[str, str, str], str | Exception] = lambda cell, question, text: text
    asked: list[tuple[str, str]] = field(default_factory=list)
    behind: float = 0.01
    nats: dict[str, float] = field(default_factory=dict)
    """By cell: how far its log-probabilities are from the reference's."""

    def answer(self, cell: str, question: str) -> str:
        self.asked.append((cell, question))
        text = self.change(cell, question, self.right[question])
        if isinstance(text, Exception):
            raise text
        return text

    right: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def ways(tmp_path: Path, examples: Callable[[str, int], list[Example]], monkeypatch: pytest.MonkeyPatch) -> Ways:
    rows = examples("test", 8)
    with artefact(tmp_path / "dataset", kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples("train", 4))
        write_examples(work.dir / "test.parquet", rows)
    folders = {name: tmp_path / name for name in ("base", "adapter", "merged")}
    for name, folder in folders.items():
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "weights.bin").write_text(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the command sets it for its process; undone after the test
    state = Ways(tmp_path / "dataset", folders, tmp_path / "parity", ParityConfig(items=8, concurrency=4, tries=2))
    state.right = {row.messages[-2].content: TASKS[row.task].target(row.reference) for row in rows}
    prompts = CharacterPrompts(folders["base"])
    questions = {tuple(prompts.encode(row.messages[:-1])): row.messages[-2].content for row in rows}

    class TableReference:
        def __init__(self, base: Path, adapter: Path):
            self.prompts = prompts

        def generate(self, batch: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
            cell = f"peft-float32@{1 if len(batch) == 1 else state.config.concurrency}"
            return [self.rest(cell, prompt) for prompt in batch]

        def rest(self, cell: str, prompt: Sequence[int]) -> list[int]:
            """What is left of the answer to a question that is all, or the first part, of `prompt`."""
            asked = next(asked for asked in questions if tuple(prompt[: len(asked)]) == asked)
            said = len(prompt) - len(asked)
            own = token_ids(state.answer(cell, questions[asked]))
            assert own[:said] == list(prompt[len(asked) :])
            return own[said:]

        def ends(self, tokens: Sequence[int]) -> bool:
            return bool(tokens) and tokens[-1] == END

        def gap(self, prompt: Any, before: Sequence[int], chosen: Sequence[int]) -> Gap:
            return Gap(best=max(chosen), top2=state.behind, behind=state.behind, step=0.125)

        def score(self, prompt: Sequence[int], tokens: Sequence[int]) -> Scored:
            """Says its own answer for as long as `tokens` are that, and agrees with all that they say after."""
            own = token_ids(state.answer("peft-float32@1", questions[tuple(prompt)]))
            parts = next((i for i, (left, right) in enumerate(zip(own, tokens, strict=False)) if left != right), None)
            best = list(tokens) if parts is None else [*tokens[:parts], own[parts], *tokens[parts + 1 :]]
            return Scored(logprobs=[-0.5] * len(tokens), best=best, steps=[0.125] * len(tokens))

        def close(self) -> None:
            pass

    class TableEngine:
        def __init__(self, config: Any, log_path: Path, on_progress: Any = None):
            self.config, self.log_path, self.base_url, self.api_key = config, log_path, "", ""

        def __enter__(self) -> TableEngine:
            return self

        def __exit__(self, *error: Any) -> None:
            pass

        def alive(self) -> bool:
            return True

    class TableClient:
        def __init__(self, *given: Any):
            pass

        async def __aenter__(self) -> TableClient:
            return self

        async def __aexit__(self, *error: Any) -> None:
            pass

        async def chat(self, request: ChatRequest) -> Completion:
            assert request.extra is not None and request.extra["return_token_ids"]
            salt = request.extra["cache_salt"]
            assert not set(salt) & set("@/"), "vLLM refuses these"
            cell = "@".join(salt.rsplit("-", 1))
            assert (request.model == "adapter") == cell.startswith("lora")
            text = state.answer(cell, request.messages[-1].content)
            tokens = token_ids(text)[: request.max_tokens]
            text = prompts.decode(tokens)
            return Completion(
                text,
                "stop",
                1,
                1,
                0.1,
                prompt_ids=tuple(prompts.encode(request.messages)),
                output_ids=tuple(tokens),
                logprobs=(-0.5 + state.nats.get(cell, 0.0),) * len(tokens),
            )

    monkeypatch.setattr("evals.parity.run.precision", lambda on_gpu: "bfloat16")
    monkeypatch.setattr("evals.parity.run.Reference", TableReference)
    monkeypatch.setattr("evals.parity.run.Prompts", CharacterPrompts)
    monkeypatch.setattr("evals.parity.run.Engine", TableEngine)
    monkeypatch.setattr("evals.parity.ask.ChatClient", TableClient)
    return state


def refused(status: int) -> EngineError:
    return EngineError(f"HTTP {status}: no", status=status)
