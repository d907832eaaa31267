"""Policy questions that customers asked and agents answered with a citation, each citation verified."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from data_recipes.clauses import canonical_article
from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge
from data_recipes.provisions import Provisions
from data_recipes.tasks.draft import Draft, Drafts, by_compact_name, last_customer_turn, turn_id
from tianjing.records import Dialogue, Split
from tianjing.text import compact, numbers

TASK = "policy_qa"

_CITATION = re.compile(r"《([^》]{2,40})》\s*(第[零〇一二三四五六七八九十百千\d]+条(?:之[一二三四五六七八九十])?)")
_NO_RULE = re.compile(
    r"(?:没有|没|未|查不到|找不到|没查到|没找到)[^，。？！]{0,10}(?:规定|条款|依据|制度|说明|写到|写明|明文|约定)"
    r"|(?:规定|制度|文件|条款|办法)[^，。？！]{0,6}(?:没有|没写|没提|未作|未提|查不到|找不到|不涉及)"
)


def draft_policy_qa(
    knowledge: Knowledge, splits: Mapping[str, Split], config: BuildConfig, licence: str = ""
) -> Drafts:
    """Pairs of a customer's question and an agent's answer citing 《document》第N条, and questions no rule answers."""
    drafts = Drafts()
    clauses = [clause for clause in knowledge.clauses if clause.strength == "internal"]
    if not clauses or not knowledge.dialogues:
        return drafts
    provisions = Provisions(clauses, config.policy_qa.max_clause_chars)
    names = by_compact_name(clauses)
    for dialogue in knowledge.dialogues:
        for index, turn in enumerate(dialogue.turns):
            if turn.speaker != "agent":
                continue
            citation = _CITATION.search(turn.text)
            question = last_customer_turn(dialogue, index)
            if question is None or question != index - 1:
                continue
            if citation:
                row = _cited(dialogue, question, index, citation, provisions, names, splits, config, drafts)
            elif _NO_RULE.search(turn.text) and _asks(dialogue.turns[question].text):
                row = _without_basis(dialogue, question, index, provisions, splits, config)
            else:
                continue
            if row is not None:
                drafts.rows.append(replace(row, licence=licence))
    return drafts


def _cited(
    dialogue: Dialogue,
    question_turn: int,
    answer_turn: int,
    citation: re.Match[str],
    provisions: Provisions,
    names: Mapping[str, str],
    splits: Mapping[str, Split],
    config: BuildConfig,
    drafts: Drafts,
) -> Draft | None:
    question, spoken = dialogue.turns[question_turn].text, dialogue.turns[answer_turn].text
    document = names.get(compact(citation[1]))
    article = f"{document}:{canonical_article(citation[2])}"
    if document is None or article not in provisions.articles:
        drafts.dropped["policy_qa: the clause cited does not exist"] += 1
        return None
    answer = _CITATION.sub("", spoken)
    gold = provisions.best_unit(article, answer)
    if gold is None:
        drafts.dropped["policy_qa: the answer states a number the clause does not have"] += 1
        return None
    choices = provisions.choices(
        question, gold, config.policy_qa.candidates, config.seed, turn_id(dialogue, answer_turn), question + answer
    )
    quote = next(choice["text"] for choice in choices if choice["id"] == gold.id)
    if not numbers(answer, claims=True) <= numbers(quote):
        drafts.dropped["policy_qa: the clause is too long to show with the number asked for"] += 1
        return None
    return Draft(
        id=f"{TASK}:{turn_id(dialogue, answer_turn)}",
        task=TASK,
        group=dialogue.customer,
        split=splits[dialogue.customer],
        fields={"question": question, "clauses": choices},
        reference={"clause_id": gold.id, "clause_label": gold.label, "quote": quote},
        informative=question,
        stratum=article,
        sources=(turn_id(dialogue, question_turn), turn_id(dialogue, answer_turn)),
        clause_ids=(gold.id,),
    )


def _without_basis(
    dialogue: Dialogue,
    question_turn: int,
    answer_turn: int,
    provisions: Provisions,
    splits: Mapping[str, Split],
    config: BuildConfig,
) -> Draft:
    question = dialogue.turns[question_turn].text
    key = turn_id(dialogue, answer_turn)
    return Draft(
        id=f"{TASK}:{key}",
        task=TASK,
        group=dialogue.customer,
        split=splits[dialogue.customer],
        fields={
            "question": question,
            "clauses": provisions.choices(question, None, config.policy_qa.candidates, config.seed, key, question),
        },
        reference={"clause_id": "", "clause_label": "", "quote": ""},
        informative=question,
        stratum="",
        at_most=config.policy_qa.no_basis_share,
        sources=(turn_id(dialogue, question_turn), key),
    )


def _asks(text: str) -> bool:
    return len(compact(text)) >= 6
