"""Summaries of calls, from what the agent logged while speaking, each field heard in the call.

reason   the log's entry, at a customer turn of the call. The entry is a category: its own words need not be said.
action   the steps logged, each carried by the agent's words at that moment (tianjing.acts). A step that is logged and
         not heard, or heard after the reason and not logged, drops the call: one of the two is wrong.
request  the articles the agent cited that exist.
amount   the log's attribute if it has one and it is said; else the one amount in the agent's first words about money.
date     the same, for the day agreed at the step that agrees one.

What the log cannot know: what was meant between the lines, and what the agent did and neither said nor logged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from data_recipes.clauses.quantities import quantities
from data_recipes.config import BuildConfig
from data_recipes.experience.practices import customer_turn_at
from data_recipes.knowledge import Knowledge, article_id
from data_recipes.tasks.citations import CITATION, articles_cited
from data_recipes.tasks.draft import Drafts, by_compact_name, from_dialogue, turn_id
from tianjing import acts
from tianjing.records import Dialogue, Event, Split
from tianjing.text import HAN_DIGITS, number, numbers

TASK = "call_summary"
_DAY = re.compile(rf"(\d{{1,2}}|[{HAN_DIGITS}十]{{1,3}})[号日](?!线|码|召)")


class _Contested(Exception):
    """Log and dialogue disagree; the message is the reason the call is dropped."""


def draft_call_summary(
    knowledge: Knowledge, splits: Mapping[str, Split], config: BuildConfig, licence: str = ""
) -> Drafts:
    """One row per call that was closed with a summary and of which log and dialogue agree."""
    drafts = Drafts()
    limits = config.call_summary
    names = by_compact_name(knowledge.clauses)
    labels = {article_id(clause): clause.label for clause in knowledge.clauses}
    logs: dict[str, list[Event]] = defaultdict(list)
    for event in knowledge.events:
        logs[event.case].append(event)
    for dialogue in knowledge.dialogues:
        log = logs[dialogue.id]
        if not any(event.activity == limits.summary_activity for event in log):
            continue
        try:
            reference = _summary(dialogue, log, names, labels, config)
        except _Contested as reason:
            drafts.dropped[f"call_summary: {reason}"] += 1
            continue
        if sum(len(turn.text) for turn in dialogue.turns) > limits.max_chars:
            drafts.dropped["call_summary: the call is too long to show whole"] += 1
            continue
        row = from_dialogue(
            TASK,
            dialogue,
            len(dialogue.turns) - 1,
            splits,
            licence,
            fields={"turns": [{"speaker": turn.speaker, "text": turn.text} for turn in dialogue.turns]},
            reference=reference,
            informative="".join(turn.text for turn in dialogue.turns if turn.speaker == "customer"),
            stratum=reference["reason"] or reference["request"],
            sources=tuple(turn_id(dialogue, index) for index in range(len(dialogue.turns))),
        )
        drafts.rows.append(row)
    return drafts


def _summary(
    dialogue: Dialogue, log: Sequence[Event], names: Mapping[str, str], labels: Mapping[str, str], config: BuildConfig
) -> dict[str, str]:
    limits = config.call_summary
    activity, attribute = limits.reason.activity, limits.reason.attribute
    timed = {activity, limits.date_activity, *limits.steps}
    if any(event.activity in timed and event.clock == "unreadable" for event in log):
        raise _Contested("the clock of its log cannot be read")
    logged = next((event for event in log if event.activity == activity and event.attributes.get(attribute)), None)
    reason_turn = customer_turn_at(dialogue, logged.at) if logged else None
    if logged and reason_turn is None:
        raise _Contested("no customer turn at the time of the logged reason")
    summary = {
        "reason": str(logged.attributes[attribute]) if logged else "",
        "action": _action(dialogue, log, reason_turn, limits.steps),
        "request": _request(dialogue, names, labels),
        "amount": _amount(dialogue, log, reason_turn, limits.amount_attribute),
        "date": _date(dialogue, log, limits.date_activity, limits.date_attribute),
    }
    if not (summary["reason"] or summary["action"] or summary["request"]):
        raise _Contested("neither the log nor a citation says what the call was about")
    return summary


def _action(dialogue: Dialogue, log: Sequence[Event], reason_turn: int | None, steps: Mapping[str, str]) -> str:
    """The titles of the steps logged, in the order of the log."""
    done: dict[str, None] = {}
    for event in log:
        if event.activity in steps:
            turn = _agent_turn_at(dialogue, event)
            if turn is None or steps[event.activity] not in acts.tag(dialogue.turns[turn].text):
                raise _Contested("a step is logged and not heard")
            done.setdefault(steps[event.activity])
    known = set(steps.values())
    if reason_turn is not None:
        after = [turn for turn in dialogue.turns[reason_turn + 1 :] if turn.speaker == "agent"]
        heard = {act for turn in after for act in acts.tag(turn.text)} & known
        if heard and not done:
            raise _Contested("a step is heard and not logged")
    return "、".join(acts.ACTS[act] for act in done)


def _request(dialogue: Dialogue, names: Mapping[str, str], labels: Mapping[str, str]) -> str:
    said = [turn.text for turn in dialogue.turns if turn.speaker == "agent"]
    cited = dict.fromkeys(article for text in said for article in articles_cited(text, names, labels))
    return "、".join(labels[article].replace("《", "").replace("》", "") for article in cited)


def _amount(dialogue: Dialogue, log: Sequence[Event], reason_turn: int | None, attribute: str) -> str:
    stated = _attribute(log, attribute)
    spoken = [turn.text for turn in dialogue.turns if turn.speaker == "agent"]
    if stated:
        if not numbers(stated) <= numbers(" ".join(spoken)):
            raise _Contested("the amount logged is not said")
        return f"{stated.removesuffix('元')}元"
    if reason_turn is None:
        return ""  # a service call: amounts in it are those of the rules
    for turn in dialogue.turns[:reason_turn]:
        money = _money(turn.text) if turn.speaker == "agent" else []
        if money:
            return f"{money[0]:g}元" if len(money) == 1 else ""
    return ""


def _money(text: str) -> list[float]:
    if CITATION.search(text):
        return []
    return sorted({quantity.value for quantity in quantities(text) if quantity.kind == "money"})


def _date(dialogue: Dialogue, log: Sequence[Event], activity: str, attribute: str) -> str:
    agreed = next((event for event in log if event.activity == activity), None)
    turn = _agent_turn_at(dialogue, agreed) if agreed else None
    if turn is None:
        return ""
    days = _days(text.text for text in dialogue.turns[turn : turn + 2])
    stated = _attribute(log, attribute)
    if stated:
        day = int(stated[-2:]) if stated[-2:].isdigit() else 0
        if day not in days:
            raise _Contested("the date logged is not said")
        return f"{day}号"
    return f"{days.pop()}号" if len(days) == 1 else ""


def _days(texts: Iterable[str]) -> set[int]:
    found = {int(number(match[1])) for text in texts for match in _DAY.finditer(text)}
    return {day for day in found if 1 <= day <= 31}


def _attribute(log: Sequence[Event], name: str) -> str:
    return next((str(event.attributes[name]).strip() for event in log if event.attributes.get(name)), "")


def _agent_turn_at(dialogue: Dialogue, event: Event) -> int | None:
    """The agent's last turn up to a moment of the log."""
    turns = [i for i, turn in enumerate(dialogue.turns) if turn.speaker == "agent" and turn.at and turn.at <= event.at]
    return turns[-1] if turns else None
