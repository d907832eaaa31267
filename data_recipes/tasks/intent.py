"""Intents of customers' turns, as the agents logged them.

The label is the attribute of the log line; the words it labels are the customer's last ones before that line. The log
knows one intent a line: a customer who wants two things at once has only the one that the agent wrote down, and an
agent who chose the wrong entry is believed. Calls without such a line have no intent here, none is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from data_recipes.config import BuildConfig
from data_recipes.experience.practices import customer_turn_at
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import Drafts, from_dialogue, turn_id
from tianjing.records import Split
from tianjing.tasks.talk import context

TASK = "intent"


def draft_intent(knowledge: Knowledge, splits: Mapping[str, Split], config: BuildConfig, licence: str = "") -> Drafts:
    """One row a logged customer turn; the intents offered are those with enough rows to learn from."""
    drafts = Drafts()
    dialogues = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    found = logged_intents(knowledge, config, drafts.dropped)
    several = sum(len(values) > 1 for values in found.values())
    if several:
        drafts.dropped["intent: two intents logged for one turn"] += several
    labelled = [(dialogues[case], turn, min(values)) for (case, turn), values in found.items() if len(values) == 1]
    learned = Counter(value for dialogue, _, value in labelled if splits[dialogue.customer] == "train")
    offered = sorted(value for value, count in learned.items() if count >= config.intent.min_cases)
    if len(offered) < 2:
        if labelled:
            drafts.dropped["intent: fewer than two intents with enough cases to choose from"] += len(labelled)
        return drafts
    intents = [{"id": value, "title": value} for value in offered]
    for dialogue, turn, value in labelled:
        if value not in offered:
            drafts.dropped["intent: an intent with too few cases to learn from"] += 1
            continue
        shown = context(dialogue.turns[: turn + 1], config.intent.context_turns, config.intent.context_chars)
        row = from_dialogue(
            TASK,
            dialogue,
            turn,
            splits,
            licence,
            fields={"intents": intents, "turns": shown},
            reference={"intent": value, "title": value},
            informative=dialogue.turns[turn].text,
            stratum=value,
            sources=(turn_id(dialogue, turn),),
        )
        drafts.rows.append(row)
    return drafts


def logged_intents(
    knowledge: Knowledge, config: BuildConfig, dropped: Counter[str] | None = None
) -> dict[tuple[str, int], set[str]]:
    """(dialogue, customer turn) -> what the log says of it, in the order of the log."""
    attributes = {label.activity: label.attribute for label in config.intent.labels}
    dialogues = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    found: dict[tuple[str, int], set[str]] = {}
    for event in knowledge.events:
        value = str(event.attributes.get(attributes.get(event.activity, ""), "")).strip()
        if not value or event.case not in dialogues:
            continue
        turn, problem = None, "the clock of the logged intent cannot be read"
        if event.clock != "unreadable":
            problem = "no customer turn at the time of the logged intent"
            turn = customer_turn_at(dialogues[event.case], event.at)
        if turn is not None:
            found.setdefault((event.case, turn), set()).add(value)
        elif dropped is not None:
            dropped[f"intent: {problem}"] += 1
    return found
