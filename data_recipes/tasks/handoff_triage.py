"""Who answers a customer's words: the model, or a person, and why.

The label is the rulebook's verdict on the customer's turn. The log is the check: a call that agents handed on although
no rule was met gives no rows (somebody saw what the rules do not), nor does a turn that meets a rule and that the agent
answered from a policy without handing it on (a question about complaints is no complaint), nor a turn that meets none
and whose logged reason elsewhere comes with one (an unemployed customer in words the rules do not know). A turn that
meets a rule and was not handed on stays: that agents forget is what the rule is for. Neither knows a reason that only
the voice carries, and kinds without a rule in the book (fraud, dispute) have no rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.citations import CITATION
from data_recipes.tasks.draft import Draft, Drafts, from_dialogue, turn_id
from data_recipes.tasks.intent import logged_intents
from data_recipes.tasks.nearest import nearest
from data_recipes.tasks.verdicts import Verdicts
from tianjing.order import order_key
from tianjing.records import Dialogue, Split
from tianjing.tasks.talk import context
from tianjing.text import compact

TASK = "handoff_triage"
_MIN_CHARS = 6


def draft_handoff_triage(
    knowledge: Knowledge, splits: Mapping[str, Split], verdicts: Verdicts, config: BuildConfig, licence: str = ""
) -> Drafts:
    """The first turn of each call that needs a person; as many others, half of them the most like those."""
    drafts = Drafts()
    handed_on = {event.case for event in knowledge.events if event.activity == config.handoff_triage.transfer_activity}
    ordinary: dict[Split, list[tuple[Dialogue, int]]] = defaultdict(list)
    logged = logged_intents(knowledge, config)
    labels = {label.activity for label in config.intent.labels}
    unread = {event.case for event in knowledge.events if event.clock == "unreadable" and event.activity in labels}
    grave: set[str] = set()
    for dialogue in knowledge.dialogues:
        turn, evidence, reason = _first(dialogue, verdicts, config)
        if turn is None:
            if dialogue.id in handed_on:
                drafts.dropped["handoff_triage: handed on in the log, no rule says why"] += 1
            elif dialogue.id in unread:
                drafts.dropped["handoff_triage: no rule is met, the clock of the logged reason cannot be read"] += 1
            else:
                ordinary[splits[dialogue.customer]] += _answerable(dialogue)
        elif reason is None:
            drafts.dropped["handoff_triage: a hand-off rule without a kind of reason"] += 1
        elif dialogue.id not in handed_on and _answered_from_policy(dialogue, turn):
            drafts.dropped["handoff_triage: a rule is met, the agent answered from a policy"] += 1
        else:
            grave |= logged.get((dialogue.id, turn), set())
            reference = {"route": "human", "reason": reason, "evidence": evidence}
            drafts.rows.append(_draft(dialogue, turn, reference, splits, config, licence))
    for split in sorted(ordinary):
        human = [row.informative for row in drafts.rows if row.split == split and row.stratum]
        share = config.handoff_triage.max_ai_share
        wanted = round(len(human) * share / (1 - share))
        sure = [item for item in ordinary[split] if not logged.get((item[0].id, item[1]), set()) & grave]
        if len(sure) < len(ordinary[split]):
            reason = "no rule is met, but the reason logged comes with one elsewhere"
            drafts.dropped[f"handoff_triage: {reason}"] += len(ordinary[split]) - len(sure)
        for dialogue, turn in _picked(human, sure, wanted, config.seed):
            reference = {"route": "ai", "reason": "", "evidence": ""}
            drafts.rows.append(_draft(dialogue, turn, reference, splits, config, licence))
    return drafts


def _first(dialogue: Dialogue, verdicts: Verdicts, config: BuildConfig) -> tuple[int | None, str, str | None]:
    """(turn, evidence, kind of reason) of the first customer turn that meets a hand-off rule."""
    for index, turn in enumerate(dialogue.turns):
        if turn.speaker == "customer":
            met = verdicts.handoff(dialogue, index, config.handoff_triage.reasons)
            if met is not None:
                return index, *met
    return None, "", None


def _answerable(dialogue: Dialogue) -> list[tuple[Dialogue, int]]:
    """The customer's turns that say something; 好的 asks for no decision."""
    return [
        (dialogue, index)
        for index, turn in enumerate(dialogue.turns)
        if turn.speaker == "customer" and len(compact(turn.text)) >= _MIN_CHARS
    ]


def _answered_from_policy(dialogue: Dialogue, turn: int) -> bool:
    after = dialogue.turns[turn + 1 : turn + 2]
    return bool(after) and after[0].speaker == "agent" and CITATION.search(after[0].text) is not None


def _picked(
    human: list[str], ordinary: list[tuple[Dialogue, int]], wanted: int, seed: int
) -> list[tuple[Dialogue, int]]:
    """Up to `wanted` turns, each of another call: half the nearest to those that need a person, half any."""
    shuffled = sorted(ordinary, key=lambda item: order_key(seed, turn_id(*item)))
    near = nearest(human, [item[0].turns[item[1]].text for item in shuffled], wanted)
    picked: dict[str, tuple[Dialogue, int]] = {}
    for index in near:
        if len(picked) < wanted // 2:
            picked.setdefault(shuffled[index][0].id, shuffled[index])
    for item in shuffled:
        if len(picked) < wanted:
            picked.setdefault(item[0].id, item)
    return list(picked.values())


def _draft(
    dialogue: Dialogue,
    turn: int,
    reference: Mapping[str, str],
    splits: Mapping[str, Split],
    config: BuildConfig,
    licence: str,
) -> Draft:
    limits = config.handoff_triage
    return from_dialogue(
        TASK,
        dialogue,
        turn,
        splits,
        licence,
        fields={"turns": context(dialogue.turns[: turn + 1], limits.context_turns, limits.context_chars)},
        reference=reference,
        informative=dialogue.turns[turn].text,
        stratum=reference["reason"],
        at_most=limits.max_ai_share if reference["route"] == "ai" else None,
        sources=(turn_id(dialogue, turn),),
    )
