"""Who said it: put right the roles of a dialogue whose words and turn taking contradict its labels.

Recordings of one channel, or of two that were swapped, come with roles that are wrong throughout; a diariser mislabels
a turn here and there, or cuts one at a comma. Nothing is touched unless the evidence is clear, in log-odds.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AGENT, CUSTOMER = "agent", "customer"
_OTHER = {AGENT: CUSTOMER, CUSTOMER: AGENT}

# What agents (+) and customers (-) say: log P(cue | agent's turn) / P(cue | customer's turn), rounded towards zero, at
# most 3, from counts over simulated service and post-loan dialogues. Only wordings of a role, none of a topic, count.
_CUES = (
    (re.compile(r"[为帮给跟向]您|您(?:的|名下|这边|看|先)|(?:提醒|建议|祝)您"), 3.0),
    (re.compile(r"工号|客服(?:中心|热线|代表|专员|人员)|请讲|有什么(?:可以)?帮|感谢(?:您的?)?来电|不打扰"), 3.0),
    (re.compile(r"您好.{0,12}(?:这里是|我是).{0,12}(?:公司|金融|银行|中心|贷后|客服)"), 2.0),
    (re.compile(r"您"), 1.0),
    (re.compile(r"你们|别再?打|挂了|我(?:老公|老婆|爱人|爸|妈)"), -3.0),
    (re.compile(r"是我(?!们)"), -2.0),
    (re.compile(r"还不[上起]|没钱|你[说讲]"), -2.0),
    (re.compile(r"我(?:想|要)(?:问|咨询|投诉|查)|我的?(?:贷款|借款|账单|额度|信用卡)"), -2.0),
)
# For RE2, which knows no look-around. Where 您 stands, no longer wording with it is to be looked for.
LIKELY_AGENT = "|".join(("您", *(cue.pattern for cue, weight in _CUES if weight > 0 and "您好" not in cue.pattern)))
LIKELY_CUSTOMER = "|".join(cue.pattern.replace("(?!们)", "") for cue, weight in _CUES if weight < 0)
# Cues of one turn are not independent: together they count no more than this.
_MOST_OF_TURN = 4.0
# The odds at which roles are changed: e^6 is 400 to 1.
_SURE = 6.0
# Of a single turn among others of the same label: e^3 is 20 to 1, on top of turn taking.
_SURE_OF_TURN = 3.0
# log 0.9 / 0.1: turns of one channel mostly alternate.
_TAKES_TURN = 2.2
_COMMAS = ("，", "、", ",")
_CUT = re.compile(rf"[{''.join(_COMMAS)}]\s*$")


@dataclass(frozen=True, slots=True)
class Repaired:
    """A dialogue with the roles put right.

    Attributes:
        turns: (speaker, raw text); of a turn that had been cut the parts joined.
        sources: for each turn the numbers of the raw turns it is made of.
        relabelled: raw turns whose role changed.
        joined: raw turns that were joined to the one before.
    """

    turns: tuple[tuple[str, str], ...]
    sources: tuple[tuple[int, ...], ...]
    relabelled: int = 0
    joined: int = 0


def as_labelled(turns: Sequence[tuple[str, str]]) -> Repaired:
    """A dialogue whose roles stay as they are."""
    return Repaired(tuple(turns), _one_each(len(turns)))


@functools.lru_cache(maxsize=256)
def _one_each(length: int) -> tuple[tuple[int, ...], ...]:
    return tuple((number,) for number in range(length))


def repair_speakers(turns: Sequence[tuple[str, str]]) -> Repaired:
    """The roles of one dialogue's turns (speaker, text) put right; a system's turns are never touched.

    - All roles are swapped where the words say so with odds of e^6 or more.
    - A dialogue of which all turns carry one role gets two, by turn taking and words, if they say with those odds who
      begins.
    - A turn next to another of its role changes to the other role if its words say so with odds of e^3 or more.
    - A turn that ends in a comma is joined with the next one of the same speaker.
    """
    return repair_many([turns])[0]


def repair_many(dialogues: Sequence[Sequence[tuple[str, str]]]) -> list[Repaired]:
    """`[repair_speakers(turns) for turns in dialogues]`, with one look by RE2 at the words of all."""
    speakers = [speaker for turns in dialogues for speaker, _ in turns]
    texts = [text for turns in dialogues for _, text in turns]
    found = repairs(speakers, texts, [len(turns) for turns in dialogues], *numbered(texts))
    return [found.get(number) or as_labelled(turns) for number, turns in enumerate(dialogues)]


def numbered(texts: Iterable[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The distinct texts, and of each text which of them it is."""
    numbers: dict[str, int] = {}
    which = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
    return list(numbers), which


def repairs(
    speakers: Sequence[str],
    texts: Sequence[str],
    lengths: Sequence[int],
    distinct: Sequence[str],
    which: npt.NDArray[np.int64],
) -> dict[int, Repaired]:
    """By number the dialogues that are put right, of some whose turns stand one dialogue behind another.

    Args:
        lengths: turns of each dialogue.
        distinct, which: `numbered(texts)`.
    """
    agent, customer = (flags[which] for flags in _flags(distinct))
    kinds: dict[str, int] = {CUSTOMER: 0, AGENT: 1}
    labels = np.array([kinds.setdefault(speaker, len(kinds)) for speaker in speakers], np.int64)
    ends = np.cumsum(lengths, dtype=np.int64)
    doubtful = ((labels == kinds[CUSTOMER]) & agent) | ((labels == kinds[AGENT]) & customer)
    repeats = np.zeros(len(labels), np.bool_)
    repeats[1:] = labels[1:] == labels[:-1]
    opens = ends[:-1]
    repeats[opens[opens < len(labels)]] = False
    cut = repeats.copy()
    for number in np.flatnonzero(repeats).tolist():
        cut[number] = texts[number - 1].rstrip().endswith(_COMMAS)
    against = _any_of_each(doubtful, ends)
    looked_at = against | _any_of_each(cut, ends)
    found = {}
    for number in np.flatnonzero(looked_at).tolist():
        start, end = int(ends[number]) - lengths[number], int(ends[number])
        flags = (agent[start:end] | customer[start:end]).tolist() if against[number] else []
        turns = list(zip(speakers[start:end], texts[start:end], strict=True))
        done = _repair(turns, flags)
        if done.relabelled or done.joined:
            found[number] = done
    return found


def _any_of_each(marks: npt.NDArray[np.bool_], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether any of the turns of each dialogue, which ends before the turn `ends`, is marked."""
    counts = np.concatenate(([0], np.cumsum(marks)))
    upto = counts[ends]
    return np.diff(upto, prepend=0) > 0


def _flags(texts: Sequence[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Of each text whether an agent's, and whether a customer's cue may stand in it."""
    import pyarrow
    from pyarrow import compute

    try:
        column = pyarrow.array(texts, pyarrow.string())
    except UnicodeEncodeError:  # a lone surrogate
        return np.ones(len(texts), np.bool_), np.ones(len(texts), np.bool_)
    agent, customer = (compute.match_substring_regex(column, likely) for likely in (LIKELY_AGENT, LIKELY_CUSTOMER))
    return agent.to_numpy(zero_copy_only=False), customer.to_numpy(zero_copy_only=False)


def _repair(turns: Sequence[tuple[str, str]], flags: Sequence[bool]) -> Repaired:
    """One dialogue; `flags`: of each turn whether a cue may stand in it, empty if none speaks against its label."""
    labels = [speaker for speaker, _ in turns]
    new = labels
    if flags:
        odds = [_log_odds(text) if flag else 0.0 for (_, text), flag in zip(turns, flags, strict=True)]
        new = _relabelled(labels, odds)
    relabelled = sum(one != other for one, other in zip(labels, new, strict=True))
    if not relabelled and not any(one == other for one, other in itertools.pairwise(labels)):
        return as_labelled(turns)
    joined: list[tuple[str, str]] = []
    sources: list[tuple[int, ...]] = []
    for number, (speaker, (_, text)) in enumerate(zip(new, turns, strict=True)):
        if joined and joined[-1][0] == speaker and _CUT.search(joined[-1][1]):
            joined[-1] = (speaker, joined[-1][1] + text)
            sources[-1] += (number,)
        else:
            joined.append((speaker, text))
            sources.append((number,))
    return Repaired(tuple(joined), tuple(sources), relabelled, len(turns) - len(joined))


@functools.lru_cache(maxsize=16_384)
def _log_odds(text: str) -> float:
    """Of an agent rather than a customer saying this."""
    total = sum(weight for cue, weight in _CUES if cue.search(text))
    return max(-_MOST_OF_TURN, min(_MOST_OF_TURN, total))


def _relabelled(labels: list[str], odds: Sequence[float]) -> list[str]:
    roles = set(labels) & {AGENT, CUSTOMER}
    if len(roles) == 1:
        return _one_by_one(_shared_out(labels, odds), odds)
    new = labels
    if sum(map(_signed, labels, odds)) <= -_SURE:
        new = [_OTHER.get(speaker, speaker) for speaker in labels]
    return _one_by_one(new, odds)


def _one_by_one(labels: list[str], odds: Sequence[float]) -> list[str]:
    """Turns beside another of their role changed until none is left whose words speak against it."""
    new, changed = list(labels), True
    while changed:
        changed = False
        for number, odd in enumerate(odds):
            beside = new[number] in (*new[max(0, number - 1) : number], *new[number + 1 : number + 2])
            if beside and _signed(new[number], odd) <= -_SURE_OF_TURN:
                new[number], changed = _OTHER[new[number]], True
    return new


def _signed(speaker: str, odd: float) -> float:
    """How much the words speak for the role that they are labelled with."""
    return odd if speaker == AGENT else -odd if speaker == CUSTOMER else 0.0


def _shared_out(labels: list[str], odds: Sequence[float]) -> list[str]:
    """Two roles for turns that all carry one: the likeliest path, if it is clear which of the two begins."""
    spoken = [number for number, speaker in enumerate(labels) if speaker in _OTHER]
    score = {AGENT: 0.0, CUSTOMER: 0.0}
    back: list[dict[str, str]] = []
    for place, number in enumerate(spoken):
        before, came = score, {}
        score = {}
        for role in (AGENT, CUSTOMER):
            change, stay = before[_OTHER[role]] + (_TAKES_TURN if place else 0.0), before[role]
            came[role] = _OTHER[role] if change > stay else role
            score[role] = max(change, stay) + _signed(role, odds[number])
        back.append(came)
    role = max(score, key=lambda name: score[name])
    path: list[str] = []
    for came in reversed(back):
        path.append(role)
        role = came[role]
    path.reverse()
    words = sum(_signed(role, odds[number]) for role, number in zip(path, spoken, strict=True))
    if words < _SURE or len(set(path)) < 2:
        return labels
    new = list(labels)
    for role, number in zip(path, spoken, strict=True):
        new[number] = role
    return new
