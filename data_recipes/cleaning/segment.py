"""Where one conversation ends and another begins: sessions by time, topics inside a session by their words.

Sessions: a dialogue is cut where nobody speaks for long, and single messages of one customer on one channel are joined
until such a pause. Topics: TextTiling (Hearst 1997, Computational Linguistics 23(1)) on character bigrams, helped by
the words that people open and close a matter with.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tianjing.config import StrictModel
from tianjing.records import DEFAULT_TIME_ZONE, Dialogue, Turn

_ZONE = ZoneInfo(DEFAULT_TIME_ZONE)
_PART = re.compile(r"#\d+$")
_NO_WORD = re.compile(r"[\W_]+")
_CUES = tuple("另外 还有个问题 还有一个问题 那你再帮我 那您再帮我 对了 再问一下 你好 您好 喂".split())
_CLOSINGS = tuple("不客气 再见 拜拜 祝您 祝你 感谢您的来电 没有别的问题 没有其他问题".split())
_Floats = NDArray[np.float64]


class SegmentConfig(StrictModel):
    """How a stream of turns is cut."""

    max_pause_minutes: Annotated[float, Field(gt=0)] = 30.0
    """A longer pause ends a session; less cuts calls on hold in two, more joins a morning's chat with an evening's. Log
    entries farther than this from every session of a dialogue are counted as lying in none."""
    window_turns: Annotated[int, Field(ge=1)] = 3
    """Turns on either side of a place whose words are compared; more finds only long topics."""
    depth_sd: float = 3.5
    """A topic ends where the words change by this many standard deviations more than on average. More cuts less: 0.5
    also finds the steps of one matter; 3.5, tuned to find whole conversations, hardly anything that no cue tells."""
    cue_depth_sd: float = -1.0
    """Likewise where the next turn opens with one of `cues`, or one of `closings` came before it."""
    min_topic_turns: Annotated[int, Field(ge=1)] = 6
    """No topic is shorter."""
    cues: tuple[str, ...] = _CUES
    """Words that open a new matter, at the beginning of a turn."""
    closings: tuple[str, ...] = _CLOSINGS
    """Words that close one, anywhere in the turn before."""


class Place(NamedTuple):
    """Where an entry of a cut dialogue's log belongs.

    Attributes:
        session: its number, from 0.
        turn: the turn it speaks of, counted in that session; None if it speaks of none.
        near: whether it lies in the session by its time, give or take a pause.
    """

    session: int
    turn: int | None
    near: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """A session put together from single messages; `messages` are the ids of those, in order."""

    dialogue: Dialogue
    messages: tuple[str, ...]


def sessions(dialogue: Dialogue, config: SegmentConfig) -> list[Dialogue]:
    """The sessions of a dialogue, cut at long pauses between turns that have a time.

    The first keeps the id; the second has `#2` behind it, and so on (`session_id`).
    """
    pause = timedelta(minutes=config.max_pause_minutes)
    starts, last = [0], None
    for number, turn in enumerate(dialogue.turns):
        if turn.at is None:
            continue
        if last is not None and _since(last, turn.at) > pause:
            starts.append(number)
        last = turn.at
    if len(starts) == 1:
        return [dialogue]
    found = []
    for part, (start, end) in enumerate(zip(starts, [*starts[1:], len(dialogue.turns)], strict=True), 1):
        turns = dialogue.turns[start:end]
        changed: dict[str, object] = {"turns": turns}
        if part > 1:
            changed |= {"id": session_id(dialogue.id, part), "started_at": turns[0].at}
        found.append(dialogue.model_copy(update=changed))
    return found


def session_id(dialogue: str, part: int) -> str:
    """The id of a dialogue's session; parts count from 1."""
    return dialogue if part == 1 else f"{dialogue}#{part}"


def uncut(session: str) -> str:
    """The id of the dialogue that a session is cut from, as far as its own tells."""
    return _PART.sub("", session)


def placed(
    cut: Sequence[Dialogue], turn: int | None, at: datetime, stays: Sequence[bool], config: SegmentConfig
) -> Place:
    """Where an entry of the log belongs: with the turn that it speaks of, else with the session nearest in time, the
    earlier of two. One that is farther than a pause from all goes to the nearest session that stays.

    Args:
        cut: the sessions of the dialogue.
        turn: the number that the entry gives, counted in the dialogue; None if it gives none.
        stays: of each session whether it is kept.
    """
    pause = timedelta(minutes=config.max_pause_minutes)
    distances = [_distance(session, at) for session in cut]
    if turn is not None:
        for number, session in enumerate(cut):
            if turn < len(session.turns):
                return Place(number, turn, distances[number] <= pause)
            turn -= len(session.turns)
    number = distances.index(min(distances))
    if distances[number] <= pause:
        return Place(number, None, True)
    kept = [number for number, wanted in enumerate(stays) if wanted] or range(len(cut))
    return Place(min(kept, key=distances.__getitem__), None, False)


def join_messages(messages: Iterable[Dialogue], config: SegmentConfig) -> list[Joined]:
    """Sessions of single messages (dialogues of one or few turns): those of one customer on one channel, in the
    order of their time, without a long pause between them. The session has the id and the agent of its first message.
    """
    pause = timedelta(minutes=config.max_pause_minutes)
    by_key: dict[tuple[str, str], list[Dialogue]] = defaultdict(list)
    for message in messages:
        by_key[message.customer, message.channel].append(message)
    found: list[Joined] = []
    for key in sorted(by_key):
        run: list[Dialogue] = []
        for message in sorted(by_key[key], key=lambda one: (one.started_at.timestamp(), one.id)):
            if run and _since(_last_time(run[-1]), message.started_at) > pause:
                found.append(_joined(run))
                run = []
            run.append(message)
        found.append(_joined(run))
    return found


def topics(turns: Sequence[Turn], config: SegmentConfig) -> list[int]:
    """Numbers of the turns that begin a topic; the first is 0."""
    count = len(turns)
    if count < 2 * config.min_topic_turns:
        return [0] if turns else []
    depths = _depths(_similarities([turn.text for turn in turns], config.window_turns), config.min_topic_turns)
    mean, spread = float(depths.mean()), float(depths.std())
    opened = re.compile(rf"\W*(?:{'|'.join(map(re.escape, config.cues))})") if config.cues else None
    found: list[int] = []
    ranked: list[tuple[bool, float, int]] = []
    for number in range(config.min_topic_turns, count - config.min_topic_turns + 1):
        is_cued = (opened is not None and opened.match(turns[number].text) is not None) or any(
            word in turns[number - 1].text for word in config.closings
        )
        depth = float(depths[number - 1])
        if depth > mean + (config.cue_depth_sd if is_cued else config.depth_sd) * spread:
            ranked.append((not is_cued, -depth, number))
    for _, _, number in sorted(ranked):
        if all(abs(number - other) >= config.min_topic_turns for other in found):
            found.append(number)
    return [0, *sorted(found)]


def _similarities(texts: Sequence[str], window: int) -> _Floats:
    """Cosine of the TF-IDF of character bigrams between the turns before and behind each place between two turns."""
    bags = [Counter(words[i : i + 2] for i in range(len(words) - 1)) for words in (_NO_WORD.sub("", t) for t in texts)]
    known = {gram: i for i, gram in enumerate(dict.fromkeys(gram for bag in bags for gram in bag))}
    table = np.zeros((len(texts) + 1, len(known)))
    for row, bag in enumerate(bags, 1):
        table[row, [known[gram] for gram in bag]] = list(bag.values())
    weight = np.log((1 + len(texts)) / (table > 0).sum(axis=0)) if known else np.zeros(0)
    summed = np.cumsum(table * weight, axis=0)
    places = np.arange(1, len(texts))
    before = summed[places] - summed[np.maximum(places - window, 0)]
    behind = summed[np.minimum(places + window, len(texts))] - summed[places]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
    return np.asarray((before * behind).sum(axis=1) / np.maximum(norms, 1e-12))


def _depths(similarity: _Floats, reach: int) -> _Floats:
    """How far each place lies below the highest of the `reach` places on either side (both differences added)."""
    around = [
        similarity[max(0, place - reach) : place + 1].max() + similarity[place : place + reach + 1].max()
        for place in range(len(similarity))
    ]
    return np.asarray(np.array(around) - 2 * similarity)


def _since(earlier: datetime, later: datetime) -> timedelta:
    """Time between two moments; of two of which one has no zone, by their clocks."""
    if (earlier.tzinfo is None) != (later.tzinfo is None):
        earlier, later = earlier.replace(tzinfo=None), later.replace(tzinfo=None)
    return later - earlier


def _distance(session: Dialogue, at: datetime) -> timedelta:
    """How far a moment is from the time between the first and the last turn; without an offset it is Chinese time."""
    moment, *times = [
        time if time.tzinfo else time.replace(tzinfo=_ZONE)
        for time in (at, *(turn.at for turn in session.turns))
        if time is not None
    ]
    return max(times[0] - moment, moment - times[-1], timedelta())


def _last_time(dialogue: Dialogue) -> datetime:
    return next((turn.at for turn in reversed(dialogue.turns) if turn.at is not None), dialogue.started_at)


def _joined(run: list[Dialogue]) -> Joined:
    turns = tuple(
        turn if turn.at is not None else turn.model_copy(update={"at": message.started_at})
        for message in run
        for turn in message.turns
    )
    return Joined(run[0].model_copy(update={"turns": turns}), tuple(message.id for message in run))
