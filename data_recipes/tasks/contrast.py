"""Contrast rows (对照): questions that misstate a clause, to be corrected with the citation.

They are derived from the clauses themselves and only learned from: a number is doubled, or what is forbidden is said to
be allowed, what must be done to be optional, what is allowed to be forbidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_recipes.clauses.modality import first_modal
from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge
from data_recipes.provisions import Provisions
from data_recipes.tasks.agreement import is_quotation, understandable
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.policy_qa import TASK
from data_recipes.tasks.statute_qa import PER_CENT, QUANTITY, stands_alone
from tianjing.order import order_key
from tianjing.records import Clause, Modality
from tianjing.text import number, numbers

_SENTENCE = re.compile(r"[^。；;]+")
_QUESTION_CHARS = 60
_OPPOSITE: dict[Modality, str] = {"must_not": "可以", "must": "可以不", "may": "不得"}
_PER_CENT_NUMBER = re.compile(r"百分之|[%％]")


def draft_contrast(knowledge: Knowledge, answered: int, config: BuildConfig, licence: str = "") -> Drafts:
    """So many rows that they are `contrast_share` of all answered questions learned from, over the clauses in turn.

    Args:
        answered: answered questions among the other rows that are learned from.
    """
    drafts = Drafts()
    share = config.policy_qa.contrast_share
    wanted = round(answered * share / (1 - share))
    if not wanted:
        return drafts
    laws = {info.document: info for info in knowledge.documents if info.split is not None}
    internal = [clause for clause in knowledge.clauses if clause.strength == "internal"]
    learned = [c for c in knowledge.clauses if c.document in laws and laws[c.document].split == "train"]
    rows: list[Draft] = []
    for clauses in (internal, learned):
        provisions = Provisions(clauses, config.policy_qa.max_clause_chars)
        for unit in provisions.units:
            known = laws.get(unit.document)
            found = sorted(misstatements(unit), key=lambda item: order_key(config.seed, item[1]))
            for sentence, question, wrong in found:
                row = _draft(unit, sentence, question, wrong, provisions, config, known.licence if known else licence)
                if row is not None:
                    rows.append(row)
                    break
            else:
                drafts.dropped["policy_qa: a clause without a sentence that can be misstated"] += 1
    rows.sort(key=lambda row: order_key(config.seed, row.id))
    drafts.rows = rows[:wanted]
    return drafts


def misstatements(clause: Clause) -> Iterator[tuple[str, str, str]]:
    """(sentence, question, what is wrong in it) for each way to misstate a sentence that stands on its own."""
    for match in _SENTENCE.finditer(clause.text):
        sentence = match[0].strip()
        if not stands_alone(sentence) or len(sentence) > _QUESTION_CHARS:
            continue
        for wrong, start, end in (*_other_number(sentence), *_other_modality(sentence)):
            yield sentence, f"{sentence[:start]}{wrong}{sentence[end:]}，对吗？", wrong


def _other_number(sentence: str) -> Iterator[tuple[str, int, int]]:
    per_cent = PER_CENT.search(sentence)
    if per_cent:
        value = number(_PER_CENT_NUMBER.sub("", per_cent[0])) * 2
        yield f"{value:f}%", per_cent.start(), per_cent.end()
        return
    found = QUANTITY.search(sentence)
    if found:
        yield f"{number(found[1]) * 2:f}{found[2]}", found.start(), found.end()


def _other_modality(sentence: str) -> Iterator[tuple[str, int, int]]:
    found = first_modal(sentence)
    if found:
        yield _OPPOSITE[found[0]], found[1], found[2]


def _draft(
    unit: Clause,
    sentence: str,
    question: str,
    wrong: str,
    provisions: Provisions,
    config: BuildConfig,
    licence: str,
) -> Draft | None:
    """A row, or None where a gate of policy questions does not let it pass."""
    limits = config.policy_qa
    if numbers(wrong) and numbers(wrong) <= numbers(unit.text):
        return None
    if not understandable(question) or (
        limits.round_trip and not provisions.reaches(question, unit, limits.round_trip)
    ):
        return None
    key = f"contrast|{unit.id}"
    choices = provisions.choices(question, unit, limits.candidates, config.seed, key, sentence)
    quote = next(choice["text"] for choice in choices if choice["id"] == unit.id)
    if len(choices) < 2 or not is_quotation(quote, unit.text) or not is_quotation(sentence, quote):
        return None
    return Draft(
        id=f"{TASK}:{unit.id}:contrast",
        task=TASK,
        group=f"clause:{unit.id}" if unit.strength == "internal" else unit.document,
        split="train",
        fields={"question": question, "clauses": choices},
        reference={"clause_id": unit.id, "clause_label": unit.label, "quote": quote, "corrects": wrong},
        informative=question,
        stratum=unit.document,
        sources=(f"{unit.span.file}@{unit.span.start}-{unit.span.end}",),
        clause_ids=(unit.id,),
        licence=licence,
        origin="derived",
    )
