"""Fuzzed streams through the real gateway: what must not go out does not, however it is cut.

The gateway application with the default guard, which here guards reasoning instead of dropping it, runs in a process of
its own, between an engine and clients that are played here, over loopback sockets and many at a time. A request has one
to four choices; each speaks on three channels, content, reasoning and the arguments of a tool call, and all of them
arrive interleaved. Planted in clean service talk are personal data (written, spaced, dashed, full-width and spoken) and
sentences that break a rule; each text is cut in two at every position in turn, into characters, or at random. Events
come in odd framing: CRLF or CR, comments, `data` over several lines, a byte-order mark, JSON escapes, bytes cut
anywhere.

What must not go out is taken from the detectors run over the whole text, so a released character counts as released
whatever the gateway reports. Each request is also asked for as a whole answer, which must say the same.

Usage: python scripts/bench/serving_leaks.py [--streams 20000 | --seconds 60] [--at-a-time 32] [--seed 1]
Exit status 1: a protected character was released, a clean stream altered, or a stream and its whole answer differ.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import uvloop
from guard_streams import Sample, leaked, pieces, protected, samples
from serving_chunk_cost import KEY

from serving.guard.base import REFUSAL
from serving.protocol.arguments import Requoted, written_out
from tianjing.guard import Guard, PrivacyDetector, RulebookDetector
from tianjing.records import DEFAULT_TIME_ZONE
from tianjing.rulebook import Rulebook
from tianjing.rulebook.schema import PhraseCheck

CHANNELS = ("content", "reasoning", "arguments")
TOOL = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@dataclass(frozen=True)
class Lane:
    """What one choice says on one channel.

    Attributes:
        said: as the engine says it.
        sample: as the guard reads it, with what is protected in it.
        expected: what may be released.
    """

    choice: int
    channel: str
    said: str
    sample: Sample
    expected: str

    @property
    def ends(self) -> bool:
        return bool(self.sample.protected) and self.sample.protected[-1][2]


@dataclass(frozen=True)
class Case:
    """One request: its lanes, and how they are cut and framed."""

    lanes: tuple[Lane, ...]
    choices: int
    turn: int
    seed: int

    def wire(self) -> list[bytes]:
        """The engine's stream, in the pieces in which it is written."""
        rng = random.Random(self.seed)
        queues = [
            (lane, iter(pieces(rng, lane.said, self.turn + number)) if lane.said else iter(()))
            for number, lane in enumerate(self.lanes)
        ]
        events = [self._chunk(index, {"role": "assistant", "content": ""}) for index in range(self.choices)]
        events += [self._chunk(index, _call("", name="note")) for index in range(self.choices)]
        while queues:
            place = rng.randrange(len(queues))
            lane, rest = queues[place]
            if (piece := next(rest, None)) is None:
                del queues[place]
            else:
                events.append(self._chunk(lane.choice, _said(lane, piece)))
        events += [self._chunk(index, {}, "stop") for index in range(self.choices)]
        events.append({"choices": [], "usage": USAGE})
        return _cut(rng, _framed(rng, events))

    def whole(self) -> bytes:
        """The engine's answer when it is asked for no stream."""
        choices = []
        for index in range(self.choices):
            texts = {lane.channel: lane.said for lane in self.lanes if lane.choice == index}
            call = {"id": "x", "type": "function", "function": {"name": "note", "arguments": texts["arguments"]}}
            message = {"content": texts["content"], "reasoning": texts["reasoning"], "tool_calls": [call]}
            choices.append({"index": index, "message": message, "finish_reason": "stop"})
        return json.dumps({"choices": choices, "usage": USAGE}).encode()

    def _chunk(self, index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"id": "x", "choices": [{"index": index, "delta": delta, "finish_reason": reason, "token_ids": None}]}


def _said(lane: Lane, text: str) -> dict[str, Any]:
    return _call(text) if lane.channel == "arguments" else {lane.channel: text}


def _call(arguments: str, **name: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {**name, "arguments": arguments}}]}


def _framed(rng: random.Random, events: list[dict[str, Any]]) -> bytes:
    """Mostly as engines write, at times as the standard allows."""
    odd = rng.random() < 0.4
    end = rng.choice(["\r\n", "\r", "\n"]) if odd else "\n"
    out = "\ufeff" if odd and rng.random() < 0.3 else ""
    for event in events:
        escaped = rng.random() < 0.1
        if odd and rng.random() < 0.2:
            out += f": keep-alive{end}{end}" if rng.random() < 0.5 else f"event: x{end}"
        spread = 1 if odd and rng.random() < 0.2 else None
        text = json.dumps(event, ensure_ascii=escaped, indent=spread, separators=None if spread else (",", ":"))
        out += "".join(f"data: {line}{end}" for line in text.split("\n")) + end
    return (out + f"data: [DONE]{end}{end}").encode()


def _cut(rng: random.Random, wire: bytes) -> list[bytes]:
    places = sorted(rng.randrange(len(wire)) for _ in range(rng.choice((0, 3, 12))))
    return [wire[a:b] for a, b in itertools.pairwise([0, *places, len(wire)]) if b > a]


class Source:
    """Makes cases; a text is used until it has been cut at each of its positions."""

    def __init__(self, seed: int, counts: Counter[str]):
        today = datetime.now(ZoneInfo(DEFAULT_TIME_ZONE)).date()
        book = Rulebook.load().within("consumer_finance", channel="chat").on(today)
        self._detectors = [PrivacyDetector(), RulebookDetector(book.matcher())]
        rules = [rule for rule in book if isinstance(rule.check, PhraseCheck) and rule.check.speaker == "agent"]
        breaches = [
            text
            for rule in rules
            if rule.action in ("block", "mask")
            for text in rule.examples.breach
            if isinstance(text, str)
        ]
        self._rng = random.Random(seed)
        self._numbers = itertools.count(1)
        self._samples = samples(self._rng, self._detectors, breaches, counts)

    def cases(self) -> Iterator[Case]:
        while True:
            choices, turn = self._rng.randint(1, 4), self._rng.randrange(4)
            lanes = tuple(self._lane(index, channel) for index in range(choices) for channel in CHANNELS)
            for place in range(max(len(lane.said) for lane in lanes) + 1):
                # `pieces` cuts in two at turn // 4; lanes beside one another are cut in its other ways.
                yield Case(lanes, choices, 4 * place + turn, next(self._numbers))

    def _lane(self, choice: int, channel: str) -> Lane:
        sample = next(self._samples)
        said = sample.text
        if channel == "arguments":
            said = json.dumps({"note": sample.text, "n": 1}, ensure_ascii=self._rng.random() < 0.3)
            text = written_out(said)
            sample = Sample(text, protected(text, self._detectors))
        expected = Guard(self._detectors).check(sample.text).text
        if channel == "arguments":
            requoted = Requoted()
            expected = requoted.push(expected) + requoted.finish()
        return Lane(choice, channel, said, sample, expected)


class Engine(asyncio.Protocol):
    """Answers with the case whose number is the request's seed."""

    cases: dict[int, Case] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        head, found, body = self.seen.partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"GET"):
            self.seen = b""
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            return
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) >= length:
            self.seen = b""
            request = json.loads(body)
            case = self.cases[request["seed"]]
            if request.get("stream"):
                self.task = asyncio.ensure_future(self.stream(case.wire()))
            else:
                answer = case.whole()
                self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))

    async def stream(self, wire: list[bytes]) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for data in [*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in wire), b"0\r\n\r\n"]:
            if self.transport.is_closing():  # the gateway has heard enough
                return
            self.transport.write(data)
            await asyncio.sleep(0.001 if len(wire) > 1 else 0)  # so that a cut is a read of its own


class Clients:
    """Asks for every case, whole and streamed, and compares."""

    def __init__(self, url: str, counts: Counter[str]):
        self._url = url
        self._counts = counts
        self._headers = {"authorization": f"Bearer {KEY}"}

    async def run(self, source: Source, streams: int, seconds: float, at_a_time: int) -> int:
        begun, done = time.monotonic(), 0
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:

            async def one_after_another() -> None:
                nonlocal done
                cases = source.cases()
                while (time.monotonic() - begun < seconds) if seconds else done < streams:
                    case = next(cases)
                    done += 1
                    Engine.cases[case.seed] = case
                    await self._compare(session, case)
                    del Engine.cases[case.seed]

            await asyncio.gather(*(one_after_another() for _ in range(at_a_time)))
        return done

    async def _compare(self, session: aiohttp.ClientSession, case: Case) -> None:
        said = [{"role": "user", "content": "你好"}]
        body = {"model": "tianjing", "messages": said, "n": case.choices, "seed": case.seed, "tools": [TOOL]}
        async with session.post(self._url, json={**body, "stream": True}) as reply:
            streamed = _read(await reply.read())
        async with session.post(self._url, json=body) as reply:
            whole = _of_whole(await reply.json())
        if streamed is None or set(streamed[1]) != set(range(case.choices)):
            self._counts["streams that did not end as they should"] += 1
            return
        texts, ends = streamed
        for index in range(case.choices):
            self._choice([lane for lane in case.lanes if lane.choice == index], texts, whole, ends[index])

    def _choice(self, lanes: list[Lane], texts: Any, whole: Any, end: str) -> None:
        counts = self._counts
        blocked = any(lane.ends for lane in lanes)
        counts["choices ended by a rule"] += blocked
        if blocked != (end == "content_filter"):
            counts["streams that did not end as they should"] += 1
        for lane in lanes:
            sent = texts.get((lane.choice, lane.channel), "")
            if blocked and lane.channel == "content":
                sent = sent.removesuffix(REFUSAL)
            counts["texts"] += 1
            counts["protected spans"] += len(lane.sample.protected)
            clean = not blocked and not lane.sample.protected
            counts["clean texts"] += clean
            if sent != lane.expected and not (blocked and lane.expected.startswith(sent)):
                chars, _ = leaked(lane.sample, sent)
                counts["characters of protected spans released"] += chars
                counts["clean texts altered" if clean else "texts around what is protected altered"] += not chars
            if not blocked and sent != whole.get((lane.choice, lane.channel), ""):
                counts["streams that differ from the whole answer"] += 1


def _read(sent: bytes) -> tuple[dict[tuple[int, str], str], dict[int, str]] | None:
    """Texts and finish reasons of a stream as a plain client reads it; None when it did not come to its end."""
    events = [line[6:] for line in sent.decode().split("\n\n") if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        return None
    texts: dict[tuple[int, str], str] = {}
    ends: dict[int, str] = {}
    for event in map(json.loads, events[:-1]):
        for choice in event.get("choices", ()):
            delta = dict(choice["delta"])
            delta["arguments"] = "".join(call["function"]["arguments"] for call in delta.get("tool_calls", ()))
            delta["reasoning"] = delta.get("reasoning_content", "")
            for channel in CHANNELS:
                place = choice["index"], channel
                texts[place] = texts.get(place, "") + (delta.get(channel) or "")
            if choice["finish_reason"]:
                ends[choice["index"]] = choice["finish_reason"]
    return texts, ends


def _of_whole(answer: dict[str, Any]) -> dict[tuple[int, str], str]:
    texts: dict[tuple[int, str], str] = {}
    for choice in answer.get("choices", ()):
        message, index = choice["message"], choice["index"]
        texts[index, "content"] = message.get("content") or ""
        texts[index, "reasoning"] = message.get("reasoning_content") or ""
        for call in message.get("tool_calls", ()):
            texts[index, "arguments"] = call["function"]["arguments"]
    return texts


WRONG = (
    "characters of protected spans released",
    "clean texts altered",
    "texts around what is protected altered",
    "streams that differ from the whole answer",
    "streams that did not end as they should",
)


async def fuzz(arguments: argparse.Namespace) -> bool:
    counts: Counter[str] = Counter()
    server = await asyncio.get_running_loop().create_server(Engine, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    script = __file__.replace("serving_leaks", "serving_chunk_cost")
    command = [sys.executable, script, "--role=gateway", f"--url={url}", "--reasoning=guard"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            assert gateway.stdout is not None
            port = await asyncio.to_thread(gateway.stdout.readline)
            clients = Clients(f"http://127.0.0.1:{port.strip()}/v1/chat/completions", counts)
            begun = time.monotonic()
            source = Source(arguments.seed, counts)
            done = await clients.run(source, arguments.streams, arguments.seconds, arguments.at_a_time)
        finally:
            gateway.terminate()
    server.close()
    seconds = time.monotonic() - begun
    print(f"{done:,} streams of 1 to 4 choices on 3 channels in {seconds:.0f} s, {arguments.at_a_time} at a time")
    more = (
        "texts",
        "clean texts",
        "protected spans",
        "choices ended by a rule",
    )
    for name in (*more, *WRONG):
        print(f"  {name:<44}{counts[name]:>12,}")
    return not any(counts[name] for name in WRONG)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=20_000, help="streams to run")
    parser.add_argument("--seconds", type=float, default=0.0, help="run this long instead of a number of streams")
    parser.add_argument("--at-a-time", type=int, default=32, help="requests in progress")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, gateway in a process of its own\n")
    sys.exit(not uvloop.run(fuzz(arguments)))


if __name__ == "__main__":
    main()
