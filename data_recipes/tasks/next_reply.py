"""Next replies: the conversation up to the customer's reason, answered with the practice that worked."""

from __future__ import annotations

from collections.abc import Mapping

from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.experience.evidence import known_cases, vetoed_acts, weigh
from data_recipes.experience.practices import Case, best_practices
from data_recipes.knowledge import Knowledge
from data_recipes.tasks.draft import Draft, Drafts, from_dialogue, turn_id
from tianjing import acts
from tianjing.records import Dialogue, Practice, Split
from tianjing.tasks.next_reply import MAX_ACTS
from tianjing.tasks.talk import context

TASK = "next_reply"


def draft_next_reply(
    knowledge: Knowledge,
    splits: Mapping[str, Split],
    breached: set[tuple[str, int]],
    mining: PracticesConfig,
    config: BuildConfig,
    licence: str = "",
) -> Drafts:
    """Training and validation: cases where the agent followed the situation's best practice and the promise was kept.

    Test: every held-out case of such a situation, whatever its agent did; its reference is the practice's act. A turn
    in which an inspector or the rulebook found a breach (`breached`), or in which a vetoed act is heard too, is never
    an answer, whatever became of the case. Rows weigh by the evidence of their practice.
    """
    drafts = Drafts()
    best = best_practices(knowledge.practices, config.next_reply.max_q)
    vetoed = vetoed_acts(knowledge.practices)
    for case in known_cases(knowledge, mining):
        practice = best.get(case.situation)
        split = splits[case.dialogue.customer]
        if practice is None:
            drafts.dropped["next_reply: no practice is sure enough in this situation"] += 1
            continue
        reply = _reply(case, practice)
        if split != "test" and reply is None:
            drafts.dropped["next_reply: the agent did not follow the practice"] += 1
            continue
        if split != "test" and not case.kept:
            drafts.dropped["next_reply: the promise was not kept"] += 1
            continue
        if reply is not None and (
            (case.dialogue.id, reply) in breached
            or any((case.situation, act) in vetoed for act in acts.tag(case.dialogue.turns[reply].text))
        ):
            if split != "test":
                drafts.dropped["next_reply: the reply breaks a rule"] += 1
                continue
            reply = None
        drafts.rows.append(_draft(case, practice, reply, splits, config, licence))
    drafts.rows = weigh(drafts.rows, {practice.id: practice for practice in best.values()})
    return drafts


def _reply(case: Case, practice: Practice) -> int | None:
    """Index of the agent's turn right after the reason, if it carries the act."""
    index = case.reason_turn + 1
    turns = case.dialogue.turns
    if index >= len(turns) or turns[index].speaker != "agent":
        return None
    found = acts.tag(turns[index].text)
    return index if practice.action in found and len(found) <= MAX_ACTS else None


def _draft(
    case: Case,
    practice: Practice,
    reply: int | None,
    splits: Mapping[str, Split],
    config: BuildConfig,
    licence: str,
) -> Draft:
    dialogue: Dialogue = case.dialogue
    turns = context(
        dialogue.turns[: case.reason_turn + 1], config.next_reply.context_turns, config.next_reply.context_chars
    )
    sources = [turn_id(dialogue, case.reason_turn)] + ([turn_id(dialogue, reply)] if reply is not None else [])
    return from_dialogue(
        TASK,
        dialogue,
        case.reason_turn,
        splits,
        licence,
        fields={"turns": turns},
        reference={
            "situation": practice.situation_wording or practice.situation,
            "act": practice.action,
            **({"act_wording": practice.action_wording} if practice.action_wording else {}),
            "reply": dialogue.turns[reply].text if reply is not None else "",
        },
        informative=dialogue.turns[case.reason_turn].text,
        stratum=case.situation,
        sources=tuple(sources),
        practice_ids=(practice.id,),
    )
