"""Policy questions that customers asked and agents answered with a citation, each citation verified."""

from __future__ import annotations

import re
from collections.abc import Mapping

from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge
from data_recipes.provisions import Provisions
from data_recipes.tasks.agreement import contradiction, is_quotation, understandable
from data_recipes.tasks.citations import CITATION, article_cited
from data_recipes.tasks.draft import Draft, Drafts, by_compact_name, from_dialogue, last_customer_turn, turn_id
from tianjing.records import Clause, Dialogue, Split
from tianjing.text import compact, numbers

TASK = "policy_qa"

_NO_RULE = re.compile(
    r"(?:没有|没|未|查不到|找不到|没查到|没找到)[^，。？！]{0,10}(?:规定|条款|依据|制度|说明|写到|写明|明文|约定)"
    r"|(?:规定|制度|文件|条款|办法)[^，。？！]{0,6}(?:没有|没写|没提|未作|未提|查不到|找不到|不涉及)"
)


def draft_policy_qa(
    knowledge: Knowledge, splits: Mapping[str, Split], config: BuildConfig, licence: str = ""
) -> Drafts:
    """Pairs of a customer's question and an agent's answer citing 《document》第N条, and questions no rule answers.

    The label is the agent's citation. It is believed only if the article exists, nothing in the answer contradicts it,
    the question needs no clause in view and, for what is learned from, a search with it finds the article: each gate
    counts what it drops under its name. An agent who cites the wrong article and states nothing of it is not noticed.
    """
    drafts = Drafts()
    clauses = [clause for clause in knowledge.clauses if clause.strength == "internal"]
    if not clauses or not knowledge.dialogues:
        return drafts
    writer = _Writer(Provisions(clauses, config.policy_qa.max_clause_chars), splits, config, licence)
    names = by_compact_name(clauses)
    for dialogue in knowledge.dialogues:
        for index, turn in enumerate(dialogue.turns):
            if turn.speaker != "agent":
                continue
            citation = CITATION.search(turn.text)
            question = last_customer_turn(dialogue, index)
            if question is None or question != index - 1:
                continue
            if citation:
                article = article_cited(citation, names, writer.provisions.articles)
                made = writer.cited(dialogue, question, index, article)
                if isinstance(made, str):
                    drafts.dropped[f"policy_qa: {made}"] += 1
                else:
                    drafts.rows.append(made)
            elif _NO_RULE.search(turn.text) and _asks(dialogue.turns[question].text):
                drafts.rows.append(writer.without_basis(dialogue, question, index))
    return drafts


class _Writer:
    """Turns a question and its answer into a row, or into the reason why there is none."""

    def __init__(self, provisions: Provisions, splits: Mapping[str, Split], config: BuildConfig, licence: str):
        self.provisions = provisions
        self._splits, self._config, self._licence = splits, config, licence

    def cited(self, dialogue: Dialogue, question_turn: int, answer_turn: int, article: str | None) -> Draft | str:
        question = dialogue.turns[question_turn].text
        answer = CITATION.sub("", dialogue.turns[answer_turn].text)
        limits, split = self._config.policy_qa, self._splits[dialogue.customer]
        if article is None:
            return "the clause cited does not exist"
        gold = self.provisions.best_unit(article, answer)
        if gold is None:
            return "the answer states a number the clause does not have"
        contradicted = contradiction(answer, gold.text)
        if contradicted:
            return contradicted
        if not understandable(question):
            return "the question points at a clause that is not in view"
        if limits.round_trip and split != "test" and not self.provisions.reaches(question, gold, limits.round_trip):
            return "a search with the question does not find the clause"
        choices = self._choices(dialogue, question, gold, answer_turn, question + answer)
        quote = next(choice["text"] for choice in choices if choice["id"] == gold.id)
        if not is_quotation(quote, gold.text):
            return "the quotation does not stand in the clause"
        if not numbers(answer, claims=True) <= numbers(quote):
            return "the clause is too long to show with the number asked for"
        return from_dialogue(
            TASK,
            dialogue,
            answer_turn,
            self._splits,
            self._licence,
            fields={"question": question, "clauses": choices},
            reference={"clause_id": gold.id, "clause_label": gold.label, "quote": quote},
            informative=question,
            stratum=article,
            sources=(turn_id(dialogue, question_turn), turn_id(dialogue, answer_turn)),
            clause_ids=(gold.id,),
        )

    def without_basis(self, dialogue: Dialogue, question_turn: int, answer_turn: int) -> Draft:
        question = dialogue.turns[question_turn].text
        return from_dialogue(
            TASK,
            dialogue,
            answer_turn,
            self._splits,
            self._licence,
            fields={
                "question": question,
                "clauses": self._choices(dialogue, question, None, answer_turn, question),
            },
            reference={"clause_id": "", "clause_label": "", "quote": ""},
            informative=question,
            stratum="",
            at_most=self._config.policy_qa.no_basis_share,
            sources=(turn_id(dialogue, question_turn), turn_id(dialogue, answer_turn)),
        )

    def _choices(
        self, dialogue: Dialogue, question: str, gold: Clause | None, answer_turn: int, focus: str
    ) -> list[dict[str, str]]:
        count, seed = self._config.policy_qa.candidates, self._config.seed
        return self.provisions.choices(question, gold, count, seed, turn_id(dialogue, answer_turn), focus)


def _asks(text: str) -> bool:
    return len(compact(text)) >= 6
