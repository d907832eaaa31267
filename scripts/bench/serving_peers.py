"""Other people's clients and tests through the gateway: they pass, or the gateway is not what they call compatible.

    python scripts/bench/serving_peers.py [--only openai,vllm,schemathesis] [--schemathesis PROGRAM] [--examples 30]

openai: the behaviour of the OpenAI client's own streams, sync and async, in front of a played engine (serving_mock.py):
chunks add up to the whole answer, one finish reason a choice, usage when asked for, n = 2, completions, tool calls,
the accumulating helper, leaving in the middle (which must end the engine's work), and the client's exceptions.

vllm: `vllm bench serve` over the chat and the completions route in front of the played engine; every request must
succeed. Its command is broken on the CPU wheel, so its entry is called. The tokenizer is that of the model `tiny`.

schemathesis: requests generated from the gateway's own GET /openapi.json, valid and not, with and without key; whatever
an answer breaks of that description is a failure. One check is left out unless --strict is given: that a request which
the schema calls valid is never refused with 400. Limits of the configuration (`n`, tokens, known tasks and models) and
between fields (no contact after the session) stand in no schema. It needs an environment of its own:

    python -m venv /tmp/schemathesis && /tmp/schemathesis/bin/pip install schemathesis
    python scripts/bench/serving_peers.py --only schemathesis --schemathesis /tmp/schemathesis/bin/schemathesis
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
from serving_figures import machine
from serving_gateway import KEY, MODEL, Running, gateway
from serving_mock import ARGUMENTS, Engine, started

MESSAGES: list[Any] = [{"role": "user", "content": "工资晚发，可以晚几天还款吗？"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "note_promise",
        "parameters": {"type": "object", "properties": {"day": {"type": "string"}, "amount": {"type": "string"}}},
    },
}
TOKENS = 40
LEAVE_S = 10.0

# `vllm bench serve` without the command, which the CPU wheel's missing distribution breaks.
VLLM = """
import sys
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args(sys.argv[1:]))
"""

Result = tuple[str, bool, str]


class OpenAiClient:
    """One behaviour a method; each raises AssertionError, or the client's own error, when it is not as it should be."""

    def __init__(self, running: Running, engine: Engine):
        url = f"{running.base_url}/v1"
        self.sync = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=60)
        self.url, self.engine = url, engine
        self.asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": TOKENS}

    def tries(self) -> Iterator[tuple[str, Callable[[], str]]]:
        for name in dir(self):
            if name.startswith("try_"):
                yield name.removeprefix("try_").replace("_", " "), getattr(self, name)

    def whole_text(self) -> str:
        return self.sync.chat.completions.create(**self.asked).choices[0].message.content or ""

    def try_models_list(self) -> str:
        names = [model.id for model in self.sync.models.list()]
        assert MODEL in names, names
        return f"{names}"

    def try_stream(self) -> str:
        stream = self.sync.chat.completions.create(**self.asked, stream=True, stream_options={"include_usage": True})
        return adds_up(list(stream), self.whole_text())

    def try_stream_without_usage(self) -> str:
        chunks = list(self.sync.chat.completions.create(**self.asked, stream=True))
        assert all(chunk.choices for chunk in chunks), "a chunk without choices though no usage was asked for"
        assert len({chunk.id for chunk in chunks}) == 1, "the id changes within a stream"
        return f"{len(chunks)} chunks of one id"

    def try_stream_async(self) -> str:
        async def read() -> list[Any]:
            async with openai.AsyncOpenAI(base_url=self.url, api_key=KEY, max_retries=0, timeout=60) as client:
                options = {"include_usage": True}
                stream = await client.chat.completions.create(**self.asked, stream=True, stream_options=options)
                return [chunk async for chunk in stream]

        return adds_up(asyncio.run(read()), self.whole_text())

    def try_many_async_streams(self) -> str:
        async def read(client: openai.AsyncOpenAI) -> str:
            stream = await client.chat.completions.create(**self.asked, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        async def every() -> list[str]:
            async with openai.AsyncOpenAI(base_url=self.url, api_key=KEY, max_retries=0, timeout=60) as client:
                return await asyncio.gather(*(read(client) for _ in range(32)))

        assert set(asyncio.run(every())) == {self.whole_text()}, "streams at once differ"
        return "32 at once, all alike"

    def try_two_choices(self) -> str:
        whole = self.sync.chat.completions.create(**self.asked, n=2)
        assert sorted(choice.index for choice in whole.choices) == [0, 1]
        chunks = [chunk for chunk in self.sync.chat.completions.create(**self.asked, n=2, stream=True) if chunk.choices]
        for index in (0, 1):
            mine = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
            text = "".join(choice.delta.content or "" for choice in mine)
            assert text == whole.choices[index].message.content, f"choice {index} differs from the whole answer"
            assert [choice.finish_reason for choice in mine if choice.finish_reason] == ["stop"]
        return "each adds up and ends once"

    def try_completions(self) -> str:
        asked: dict[str, Any] = {"model": MODEL, "prompt": "还款日", "max_tokens": TOKENS}
        whole = self.sync.completions.create(**asked).choices[0].text
        chunks = list(self.sync.completions.create(**asked, stream=True))
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        assert text == whole, "the stream differs from the whole answer"
        return f"{len(text)} characters"

    def try_tool_call(self) -> str:
        whole = self.sync.chat.completions.create(**self.asked, tools=[TOOL]).choices[0]
        assert whole.finish_reason == "tool_calls", whole.finish_reason
        assert whole.message.tool_calls
        assert json.loads(whole.message.tool_calls[0].function.arguments) == json.loads(ARGUMENTS)
        calls: list[Any] = []
        for chunk in self.sync.chat.completions.create(**self.asked, tools=[TOOL], stream=True):
            calls += [call for choice in chunk.choices for call in choice.delta.tool_calls or ()]
        names = [call.function.name for call in calls if call.function.name]
        arguments = "".join(call.function.arguments or "" for call in calls)
        assert names == ["note_promise"], names
        assert json.loads(arguments) == json.loads(ARGUMENTS), arguments
        return arguments

    def try_accumulating_helper(self) -> str:
        with self.sync.chat.completions.stream(**self.asked, stream_options={"include_usage": True}) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        assert final.choices[0].message.content == self.whole_text()
        assert final.usage and final.usage.completion_tokens == TOKENS, final.usage
        assert "content.done" in kinds, kinds
        return f"events {', '.join(sorted(kinds))}"

    def try_leaving(self) -> str:
        slow = {**self.asked, "max_tokens": 400}
        before = self._quiet()
        stream = self.sync.chat.completions.create(**slow, stream=True)
        next(iter(stream))
        stream.close()
        return f"the engine stopped {self._stopped(before):.2f} s after the client left"

    def try_leaving_async(self) -> str:
        async def leave() -> None:
            async with openai.AsyncOpenAI(base_url=self.url, api_key=KEY, max_retries=0, timeout=60) as client:
                stream = await client.chat.completions.create(**{**self.asked, "max_tokens": 400}, stream=True)
                async for _ in stream:
                    break
                await stream.close()

        before = self._quiet()
        asyncio.run(leave())
        return f"the engine stopped {self._stopped(before):.2f} s after the client left"

    def _quiet(self) -> dict[str, float]:
        """What the engine has done, once it writes no stream."""
        while (stats := self.engine.stats())["streams"]:
            time.sleep(0.02)
        return stats

    def _stopped(self, before: dict[str, float]) -> float:
        began = time.perf_counter()
        while time.perf_counter() - began < LEAVE_S:
            if self.engine.stats()["left"] > before["left"]:
                return time.perf_counter() - began
            time.sleep(0.02)
        raise AssertionError(f"the engine still writes {LEAVE_S:.0f} s after the client left")

    def try_exceptions(self) -> str:
        wrong = openai.OpenAI(base_url=self.url, api_key="wrong-key-of-some-length", max_retries=0)
        expected: list[tuple[type[openai.APIStatusError], Callable[[], Any]]] = [
            (openai.AuthenticationError, lambda: list(wrong.models.list())),
            (openai.NotFoundError, lambda: self.sync.chat.completions.create(**{**self.asked, "model": "no-such"})),
            (openai.BadRequestError, lambda: self.sync.chat.completions.create(**{**self.asked, "messages": []})),
            (openai.BadRequestError, lambda: self.sync.chat.completions.create(**self.asked, n=99, stream=True)),
        ]
        for kind, attempt in expected:
            try:
                attempt()
            except kind as error:
                assert error.body and "message" in error.body, f"{kind.__name__} without a message"  # type: ignore[operator]
                continue
            raise AssertionError(f"no {kind.__name__}")
        return ", ".join(kind.__name__ for kind, _ in expected)


def adds_up(chunks: list[Any], whole: str) -> str:
    """A stream with usage says what the whole answer says, and ends once."""
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    assert text == whole, f"{text!r} differs from the whole answer"
    assert choices[0].delta.role == "assistant", "the first chunk names no role"
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    assert reasons == ["stop"], reasons
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == TOKENS, "no usage in the last chunk"
    assert not any(chunk.usage for chunk in chunks[:-1]), "usage before the last chunk"
    return f"{len(chunks)} chunks, {len(text)} characters"


def openai_client() -> Iterator[Result]:
    with started("--tokens", 400, "--ms", 5) as engine, gateway(engine.url) as running:
        for name, attempt in OpenAiClient(running, engine).tries():
            try:
                yield f"openai: {name}", True, attempt()
            except Exception as error:  # any failure is a result, and the others are still tried
                yield f"openai: {name}", False, f"{type(error).__name__}: {error}"


def vllm_benchmark(prompts: int) -> Iterator[Result]:
    from tianjing.models import resolve

    tokenizer = resolve("tiny").path
    routes = {"openai-chat": "/v1/chat/completions", "openai": "/v1/completions"}
    with tempfile.TemporaryDirectory() as folder:
        data, result = Path(folder) / "prompts.jsonl", Path(folder) / "result.json"
        rows = [{"prompt": f"第{number}号客户问：还款日是哪天？"} for number in range(prompts)]
        data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        for backend, endpoint in routes.items():
            with started("--tokens", 64, "--ms", 5) as engine, gateway(engine.url) as running:
                options = {
                    "backend": backend,
                    "base-url": running.base_url,
                    "endpoint": endpoint,
                    "model": MODEL,
                    "tokenizer": tokenizer,
                    "dataset-name": "custom",
                    "dataset-path": data,
                    "custom-output-len": 64,
                    "num-prompts": prompts,
                    "max-concurrency": 16,
                    "temperature": 0,
                    "result-dir": folder,
                    "result-filename": result.name,
                }
                flags = ("--skip-chat-template", "--save-result", "--disable-tqdm")
                words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
                environment = {**os.environ, "OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1", "VLLM_PLUGINS": ""}
                command = [sys.executable, "-c", VLLM, *words, *flags]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
            if done.returncode:
                yield f"vllm bench: {endpoint}", False, (done.stderr or done.stdout)[-1500:]
                continue
            figures = json.loads(result.read_text())
            told = f"{figures['completed']} of {prompts} completed, {figures['output_throughput']:.0f} tokens/s, "
            told += f"p99 of the first token {figures.get('p99_ttft_ms', float('nan')):.0f} ms"
            yield f"vllm bench: {endpoint}", figures["completed"] == prompts, told


def schemathesis(program: Path, examples: int, minutes: float, strict: bool) -> Iterator[Result]:
    with started("--tokens", 5, "--ms", 0) as engine, gateway(engine.url) as running:
        command = [str(program), "run", f"{running.base_url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {KEY}", "--max-examples", str(examples)]
        command += ["--generation-deterministic", "--continue-on-failure", "--request-timeout", "60", "--workers", "1"]
        command += ["--max-time", str(round(60 * minutes)), "--no-color"]
        command += [] if strict else ["--exclude-checks", "positive_data_acceptance"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-1000:], file=sys.stderr)
    yield "schemathesis", done.returncode == 0, lines[-1].strip("= ") if lines else done.stderr[-300:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="openai,vllm,schemathesis", help="which; with commas between")
    parser.add_argument("--prompts", type=int, default=64, help="of vLLM's benchmark on each route")
    parser.add_argument("--schemathesis", type=Path, help="the program `schemathesis` of an environment of its own")
    parser.add_argument("--examples", type=int, default=30, help="generated requests for each operation, at most")
    parser.add_argument("--minutes", type=float, default=10, help="of schemathesis, at most")
    parser.add_argument("--strict", action="store_true", help="let schemathesis make every check it has")
    given = parser.parse_args()
    wanted = given.only.split(",")
    print(machine())
    results: list[Result] = []
    if "openai" in wanted:
        results += openai_client()
    if "vllm" in wanted:
        results += vllm_benchmark(given.prompts)
    if "schemathesis" in wanted:
        if given.schemathesis is None:
            sys.exit("give --schemathesis PROGRAM, or leave it out with --only openai,vllm")
        results += schemathesis(given.schemathesis, given.examples, given.minutes, given.strict)
    for name, ok, told in results:
        print(f"{'ok    ' if ok else 'FAILED'} {name:36} {told}")
    failed = [name for name, ok, _ in results if not ok]
    if failed:
        sys.exit(f"{len(failed)} of {len(results)} failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
