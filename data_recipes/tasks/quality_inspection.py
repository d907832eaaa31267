"""Quality inspection rows from the inspectors' own findings."""

from __future__ import annotations

from collections.abc import Mapping

from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import Draft, Drafts, last_customer_turn, turn_id
from tianjing.records import Dialogue, Event, Split
from tianjing.tasks.quality_inspection import NONE

TASK = "quality_inspection"


def draft_quality_inspection(
    knowledge: Knowledge, splits: Mapping[str, Split], activity: str, config: BuildConfig, licence: str = ""
) -> Drafts:
    """One row per inspected agent turn; the evidence must be the agent's own words."""
    drafts = Drafts()
    rules = [{"id": rule.id, "title": rule.title} for rule in knowledge.quality_rules]
    if not rules:
        return drafts
    known = {rule["id"] for rule in rules} | {NONE}
    dialogues = {dialogue.id: dialogue for dialogue in knowledge.dialogues}
    for event in knowledge.events:
        dialogue = dialogues.get(event.case)
        if event.activity != activity or dialogue is None:
            continue
        problem = _problem(event, dialogue, known)
        if problem:
            drafts.dropped[f"quality_inspection: {problem}"] += 1
            continue
        drafts.rows.append(_draft(event, dialogue, rules, splits, config, licence))
    return drafts


def breached_turns(knowledge: Knowledge, activity: str) -> set[tuple[str, int]]:
    """(dialogue, turn) of every turn in which an inspector found a breach: never taught as an answer."""
    return {
        (event.case, event.attributes["turn"])
        for event in knowledge.events
        if event.activity == activity and event.attributes.get("rule", NONE) != NONE and "turn" in event.attributes
    }


def _problem(event: Event, dialogue: Dialogue, known: set[str]) -> str:
    turn, rule = event.attributes.get("turn"), event.attributes.get("rule")
    if not isinstance(turn, int) or not 0 <= turn < len(dialogue.turns) or dialogue.turns[turn].speaker != "agent":
        return "the turn inspected is no agent turn"
    if rule not in known:
        return "the rule found is not in the list of items"
    evidence = str(event.attributes.get("evidence", ""))
    if rule != NONE and (not evidence or evidence not in dialogue.turns[turn].text):
        return "the evidence does not stand in the turn"
    if rule != NONE and not event.attributes.get("rewrite"):
        return "a breach without a compliant rewrite"
    return ""


def _draft(
    event: Event,
    dialogue: Dialogue,
    rules: list[dict[str, str]],
    splits: Mapping[str, Split],
    config: BuildConfig,
    licence: str,
) -> Draft:
    index, rule = event.attributes["turn"], event.attributes["rule"]
    breach = rule != NONE
    before = last_customer_turn(dialogue, index)
    customer = dialogue.turns[before].text if before is not None else ""
    limit = config.quality_inspection.max_customer_chars
    key = turn_id(dialogue, index)
    return Draft(
        id=f"{TASK}:{key}",
        task=TASK,
        group=dialogue.customer,
        split=splits[dialogue.customer],
        fields={"rules": rules, "customer": customer[:limit], "agent": dialogue.turns[index].text},
        reference={
            "rule": rule,
            "title": next((item["title"] for item in rules if item["id"] == rule), ""),
            "evidence": event.attributes["evidence"] if breach else "",
            "rewrite": event.attributes["rewrite"] if breach else "",
        },
        informative=dialogue.turns[index].text,
        stratum=rule,
        at_most=None if breach else config.quality_inspection.max_none_share,
        sources=(key,),
        licence=licence,
    )
