"""Calls that led to a complaint and calls that did not, told up to a point before anyone could know.

The label is the outcome of the file. What is shown ends before the customer's last turn, before the customer first
speaks of complaining or asks for a person, and before the outcome was registered, whichever comes first: what gives the
answer away is never part of the question. The sign is what an inspector or the rulebook found in the agent's turns
shown; neither knows why this customer complained, so a complaint without such a finding has no sign, and none is made
up. Cases whose outcome is missing give no row.
"""

from __future__ import annotations

from collections.abc import Mapping

from data_recipes.config import BuildConfig
from data_recipes.findings import turn_of
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import Drafts, from_dialogue, turn_id
from data_recipes.tasks.verdicts import Verdicts
from tianjing.records import Dialogue, Outcome, Split
from tianjing.tasks.quality_inspection import NONE
from tianjing.tasks.talk import context, said

TASK = "complaint_prediction"


def draft_complaint_prediction(
    knowledge: Knowledge,
    splits: Mapping[str, Split],
    inspection_activity: str,
    verdicts: Verdicts,
    config: BuildConfig,
    licence: str = "",
) -> Drafts:
    """One row per call with a known outcome; those without a complaint are cut to their share when rows are chosen."""
    drafts = Drafts()
    limits = config.complaint_prediction
    outcomes = {outcome.case: outcome for outcome in knowledge.outcomes if outcome.name == limits.outcome}
    evidence = _inspectors(knowledge, inspection_activity)
    for dialogue in knowledge.dialogues:
        outcome = outcomes.get(dialogue.id)
        if outcome is None:
            continue
        end = _cut(dialogue, outcome, verdicts, config)
        if end is None:
            drafts.dropped["complaint_prediction: nothing was said before the complaint could be known"] += 1
            continue
        shown = context(dialogue.turns[:end], limits.context_turns, limits.context_chars)
        complained = outcome.value > 0
        sign = _sign(dialogue, end, evidence, verdicts) if complained else ""
        row = from_dialogue(
            TASK,
            dialogue,
            end - 1,
            splits,
            licence,
            fields={"turns": shown},
            reference={"label": "yes" if complained else "no", "sign": sign if said(sign, shown) else ""},
            informative="".join(turn["text"] for turn in shown if turn["speaker"] == "customer"),
            stratum="yes" if complained else "no",
            at_most=None if complained else limits.max_no_share,
            sources=(turn_id(dialogue, end - 1),),
        )
        drafts.rows.append(row)
    return drafts


def _cut(dialogue: Dialogue, outcome: Outcome, verdicts: Verdicts, config: BuildConfig) -> int | None:
    """How many turns may be shown; None if no customer turn is among them."""
    spoken = [index for index, turn in enumerate(dialogue.turns) if turn.speaker == "customer"]
    telling = [index for index in spoken if _tells(dialogue, index, verdicts, config)]
    late = [i for i, turn in enumerate(dialogue.turns) if turn.at and outcome.at and turn.at >= outcome.at]
    end = min([*spoken[-1:], *telling[:1], *late[:1]], default=0)
    return end if any(index < end for index in spoken) else None


def _tells(dialogue: Dialogue, turn: int, verdicts: Verdicts, config: BuildConfig) -> bool:
    met = verdicts.handoff(dialogue, turn, config.handoff_triage.reasons)
    told = met is not None and met[1] in ("complaint", "lawyer", "human_wanted")
    return told or "投诉" in dialogue.turns[turn].text


def _inspectors(knowledge: Knowledge, activity: str) -> dict[tuple[str, int], str]:
    """(dialogue, turn) -> the words in which an inspector found a breach."""
    return {
        (event.case, turn): str(event.attributes["evidence"])
        for event in knowledge.events
        if event.activity == activity
        and event.attributes.get("rule", NONE) != NONE
        and event.attributes.get("evidence")
        and (turn := turn_of(event.attributes)) is not None
    }


def _sign(dialogue: Dialogue, end: int, evidence: Mapping[tuple[str, int], str], verdicts: Verdicts) -> str:
    """The first breach heard before the cut, by the inspector, else by the rulebook."""
    agent_turns = [index for index in range(end) if dialogue.turns[index].speaker == "agent"]
    for index in agent_turns:
        if (dialogue.id, index) in evidence:
            return evidence[dialogue.id, index]
    for index in agent_turns:
        text = dialogue.turns[index].text
        for finding in verdicts.breaches(dialogue, text):
            return text[finding.start : finding.end]
    return ""
