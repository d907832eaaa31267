"""One choice of an answer on its way through the guard: a lane for each channel, and one for each tool call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from serving.guard.base import Guard, Outlet
from serving.protocol.arguments import ArgumentsOutlet
from serving.protocol.call import Channel, ChoiceText, ToolCall

MAX_CALLS = 128
UNKNOWN_TOOL = "unknown_tool"
# Fields of an engine's message or delta, and the channels they speak on. vLLM has written `reasoning_content` before.
CHANNELS: dict[str, Channel] = {
    "reasoning": "reasoning",
    "reasoning_content": "reasoning",
    "content": "content",
    "refusal": "refusal",
}
# vLLM ends an answer that repeats itself; to a client that is one cut short.
_REASONS = {name: name for name in ("stop", "length", "tool_calls", "content_filter")} | {"repetition": "length"}


class Unreadable(Exception):
    """The engine's answer is not what an engine says."""


class Lane:
    """The text of one channel: where it goes through the guard, and what came out.

    Attributes:
        call: number of the tool call whose arguments these are, in the order of their appearance.
        around: what stands before and behind the text in an event, once it is known.
    """

    __slots__ = ("around", "call", "channel", "id", "index", "name", "outlet", "push", "released")

    def __init__(self, index: int, channel: Channel, outlet: Outlet, call: int = 0, id: str = "", name: str = ""):
        self.index = index
        self.channel = channel
        self.outlet = outlet
        self.push = outlet.push
        self.call = call
        self.id = id
        self.name = name
        self.released: list[str] = []
        self.around: tuple[bytes, bytes] | None = None

    @property
    def text(self) -> str:
        """All that has been released."""
        return "".join(self.released)


class GuardedChoice:
    """One choice. What `take` and `finish` give are released texts, each with its lane; a tool call opens with "".

    Args:
        tools: names of the functions that may be called; a call of any other ends the choice.
        request: id of the answer; the ids of tool calls come from it, for an engine's may be the model's words.
    """

    def __init__(self, guard: Guard, index: int, tools: frozenset[str], request: str):
        self.index = index
        self.ended: Literal["block", "handoff"] | None = None
        self.lanes: dict[Channel, Lane] = {}
        self.calls: dict[int, Lane] = {}
        self._guard = guard
        self._tools = tools
        self._request = request
        self._ready: Lane | None = None

    def prepare(self) -> None:
        """Open the way that most answers take, while the engine has not begun to speak."""
        if self._ready is None and "content" not in self.lanes:
            self._ready = Lane(self.index, "content", self._guard.outlet(self.index, "content"))

    def lane(self, channel: Channel) -> Lane:
        """The lane of a channel."""
        lane = self.lanes.get(channel)
        if lane is None:
            ready = self._ready if channel == "content" else None
            lane = ready or Lane(self.index, channel, self._guard.outlet(self.index, channel))
            self.lanes[channel] = lane
        return lane

    def take(self, delta: Mapping[str, Any], now_ms: float = 0.0) -> Iterator[tuple[Lane, str]]:
        """Take a delta (or a whole message) of the engine.

        Raises:
            GuardFailure: nothing more may be released.
            Unreadable: it is not of the expected form.
        """
        spoken: set[Channel] = set()
        for field, channel in CHANNELS.items():
            text = delta.get(field)
            if not text or channel in spoken:
                continue
            spoken.add(channel)
            yield from self._push(self.lane(channel), text, now_ms)
            if self.ended:
                return
        for position, call in enumerate(delta.get("tool_calls") or ()):
            yield from self._call(call, call.get("index", position), now_ms)
            if self.ended:
                return

    def finish(self) -> Iterator[tuple[Lane, str]]:
        """Take the end; raises as `take`."""
        if not self.calls:
            self.lane("content")  # an answer without a word lacks its disclosures too
        for lane in self._all():
            if self.ended:
                return
            released = lane.outlet.finish()
            self.ended = lane.outlet.ended
            lane.released.append(released)
            if released:
                yield lane, released

    def cut_off(self) -> Iterator[tuple[Lane, str]]:
        """What has to stand behind content that was released, where something else ended the choice."""
        lane = self.lanes.get("content")
        if lane is not None and (behind := lane.outlet.cut_off()):
            lane.released.append(behind)
            yield lane, behind

    def spoke(self) -> bool:
        """Whether content has been released."""
        lane = self.lanes.get("content")
        return lane is not None and any(lane.released)

    def texts(self) -> list[str]:
        """All that has been released, as `serving.turn.texts_of` has it of a whole choice."""
        said = [self.lanes[name].text if name in self.lanes else "" for name in ("content", "reasoning")]
        said += [self.lanes["refusal"].text] if "refusal" in self.lanes else []
        return said + [call.text for call in self.calls.values()]

    def whole(self, reason: str) -> ChoiceText:
        """The choice as a whole answer has it."""
        text = {channel: lane.text for channel, lane in self.lanes.items()}
        calls = tuple(ToolCall(lane.id, lane.name, lane.text) for lane in self.calls.values())
        return ChoiceText(
            self.index, text.get("content", ""), reason, text.get("reasoning"), calls, text.get("refusal")
        )

    def _all(self) -> list[Lane]:
        order: tuple[Channel, ...] = ("reasoning", "content", "refusal")
        return [self.lanes[channel] for channel in order if channel in self.lanes] + list(self.calls.values())

    def _push(self, lane: Lane, text: Any, now_ms: float) -> Iterator[tuple[Lane, str]]:
        if not isinstance(text, str):
            raise Unreadable("text that is no string")
        released = lane.push(text, now_ms)
        self.ended = lane.outlet.ended
        if released:
            lane.released.append(released)
            yield lane, released

    def _call(self, call: Mapping[str, Any], position: Any, now_ms: float) -> Iterator[tuple[Lane, str]]:
        function = call.get("function") or {}
        name, arguments = function.get("name"), function.get("arguments")
        lane = self.calls.get(position)
        if lane is None:
            if name not in self._tools or len(self.calls) == MAX_CALLS:
                self._withhold()
                return
            lane = self.calls[position] = self._opened(name)
            yield lane, ""
        elif name and name != lane.name:
            self._withhold()
            return
        if arguments:
            yield from self._push(lane, arguments, now_ms)

    def _opened(self, name: str) -> Lane:
        number = len(self.calls)
        outlet = ArgumentsOutlet(self._guard.outlet(self.index, "arguments"))
        id = f"call_{self._request.rpartition('-')[2]}{self.index:x}{number:02x}"
        return Lane(self.index, "arguments", outlet, number, id, name)

    def _withhold(self) -> None:
        """A call of a function that nobody offered: what the model means by it is unknown, so the choice ends."""
        self._guard.block(UNKNOWN_TOOL)
        self.ended = "block"


def finish_reason(given: Any) -> str | None:
    """Why a choice ended, None while it has not.

    Raises:
        Unreadable: it did not end well ("abort", "error"), or for a reason that clients do not know.
    """
    if given is None:
        return None
    if not isinstance(given, str) or given not in _REASONS:
        raise Unreadable("the engine gave the answer up")
    return _REASONS[given]
