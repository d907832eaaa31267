"""Policy questions derived from the provisions themselves: the norm is turned into the question it answers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from data_recipes.clauses import norms
from data_recipes.clauses.modality import first_modal
from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge
from data_recipes.provisions import Provisions
from data_recipes.tasks.agreement import is_quotation
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.policy_qa import TASK
from tianjing.order import order_key
from tianjing.records import Clause, Modality, Split
from tianjing.text import numbers

_SENTENCE = re.compile(r"[^。；;]+")
# What only means something where it stands: 前款, 本法, 该, 第五条.
_DEICTIC = re.compile(r"前款|前条|前两款|前述|本条|本款|下列|上述|以下简称|该")
_HERE = re.compile(r"本法|本条例|本办法|本规定|本解释|第[零〇一二三四五六七八九十百千]+[条款项章]|^[其所并]")
_CONDITION = re.compile(r"([^，]{4,40}(?:的|后|时))，")
_MANNER = re.compile(r"按照|依照|根据|参照|遵循|向|经|未经|通过|对|以(?!上|下)|自|在")
QUANTITY = re.compile(
    r"(?<!第)(\d+(?:\.\d+)?|[一二三四五六七八九十百千万两]+)(个工作日|工作日|个月|日|天|年|小时|万元|元|倍|人|名|次)(?![月日])"
)
PER_CENT = re.compile(r"百分之[零〇一二三四五六七八九十百点]+|\d+(?:\.\d+)?[%％]")
_PENALTY = re.compile(r"罚款|责令|没收|警告|处罚|依法承担|刑事责任|赔偿责任")  # consequences, no demands on a subject
_DATE = re.compile(r"\d{4}年|\d+月\d+日|第[零〇一二三四五六七八九十百千]+[条款项章]")
_QUESTION_CHARS = 64
_MIN_CHARS, _MIN_ACTION_CHARS, _MIN_BARE_ACTION_CHARS = 16, 4, 10

_ASK: dict[Modality, tuple[str, ...]] = {
    "must_not": ("{subject}能不能{action}？", "{subject}可以{action}吗？", "法律允许{subject}{action}吗？"),
    "must": ("{subject}是不是必须{action}？", "谁负有{action}的义务？", "{subject}需要{action}吗？"),
    "may": ("{subject}有没有权利{action}？", "谁可以{action}？", "{subject}可不可以{action}？"),
    "statement": (),
}


def draft_statute_qa(knowledge: Knowledge, config: BuildConfig) -> Drafts:
    """Questions on statutes, split by document; distractors come from documents of the same split only."""
    drafts = Drafts()
    licences = {info.document: info.licence for info in knowledge.documents}
    splits = {info.document: info.split for info in knowledge.documents if info.split is not None}
    for split in ("train", "validation", "test"):
        clauses = [clause for clause in knowledge.clauses if splits.get(clause.document) == split]
        if not clauses:
            continue
        provisions = Provisions(clauses, config.policy_qa.max_clause_chars)
        by_document: dict[str, list[tuple[Clause, str, str]]] = defaultdict(list)
        for unit in provisions.units:
            asked = sorted(questions(unit), key=lambda item: order_key(config.seed, f"{unit.id}|{item[0]}"))
            clear = [item for item in asked if provisions.finds(item[0], unit)]
            if clear:
                by_document[unit.document].append((unit, *clear[0]))
            elif asked:
                drafts.dropped["policy_qa: another clause answers the question as well"] += 1
        for document in sorted(by_document):
            picked = sorted(by_document[document], key=lambda item: order_key(config.seed, item[0].id))
            limit = config.policy_qa.questions_per_document
            if len(picked) > limit:
                drafts.dropped["policy_qa: more questions than one document may give"] += len(picked) - limit
            for unit, question, sentence in picked[:limit]:
                row = _draft(unit, question, sentence, provisions, split, licences[document], config)
                if len(row.fields["clauses"]) < 2:
                    drafts.dropped["policy_qa: no other clause to choose from"] += 1
                elif row.clause_ids and not _answers(row.reference["quote"], question, sentence, unit):
                    drafts.dropped["policy_qa: the clause is too long to show with the number asked for"] += 1
                else:
                    drafts.rows.append(row)
    return drafts


def _answers(quote: str, question: str, sentence: str, unit: Clause) -> bool:
    """Whether the quotation stands in the clause and has what the question left out of its sentence."""
    return is_quotation(quote, unit.text) and numbers(sentence) - numbers(question) <= numbers(quote)


def questions(clause: Clause) -> Iterator[tuple[str, str]]:
    """(question, the sentence it was made from) for each norm of the clause that stands on its own."""
    subject = ""
    for match in _SENTENCE.finditer(clause.text):
        sentence = match[0].strip()
        subject = norms.subject(sentence, subject or clause.subject)
        if len(sentence) < _MIN_CHARS or _DEICTIC.search(sentence):
            continue
        for question in (*_on_quantity(sentence), *_on_modal(sentence, subject)):
            if not _HERE.search(question) and not _DEICTIC.search(question):
                yield question, sentence


def stands_alone(sentence: str) -> bool:
    """Whether a sentence is long enough and points at nothing outside it, so that a question can be made of it."""
    return len(sentence) >= _MIN_CHARS and not _DEICTIC.search(sentence) and not _HERE.search(sentence)


def _on_quantity(sentence: str) -> Iterator[str]:
    """The sentence with its quantity asked for: 自受理申请之日起60日内… becomes …起多少日内…？"""
    if _DATE.search(sentence):
        return
    for pattern, asked in ((PER_CENT, "百分之多少"), (QUANTITY, "")):
        found = pattern.search(sentence)
        if found and found[0] not in ("一人", "一次", "一名", "两人"):
            text = sentence[: found.start()] + (asked or f"多少{found[2]}") + sentence[found.end() :]
            start = 0
            if len(text) > _QUESTION_CHARS:  # keep the part round the quantity, cut at commas
                start = text.rfind("，", 0, max(0, found.start() - 10)) + 1
            clipped = text[start:]
            if len(clipped) > _QUESTION_CHARS:
                end = clipped.find("，", found.start() - start + 6)
                clipped = clipped[: end if 0 < end <= _QUESTION_CHARS else _QUESTION_CHARS]
            yield clipped.strip("，、：") + "？"
            return


def _on_modal(sentence: str, subject: str) -> Iterator[str]:
    found = first_modal(sentence)
    if found is None or not subject or _PENALTY.search(sentence):
        return
    first, _, rest = re.split("：", sentence[found[2] :])[0].partition("，")
    action = f"{first}，{rest.partition('，')[0]}" if _MANNER.match(first) and rest else first
    if len(action) < _MIN_ACTION_CHARS or len(subject) + len(action) > _QUESTION_CHARS - 10:
        return
    if _MANNER.match(subject) or (_MANNER.match(action) and not rest) or not re.match(r"\w", action):
        return
    condition = _CONDITION.match(sentence[: found[1]])
    opening = (
        f"{condition[1]}，" if condition and len(condition[1]) + len(subject) + len(action) < _QUESTION_CHARS else ""
    )
    for template in _ASK[found[0]]:
        if "{subject}" in template or len(action) >= _MIN_BARE_ACTION_CHARS:
            yield opening + template.format(subject=subject, action=action)


def _draft(
    unit: Clause, question: str, sentence: str, provisions: Provisions, split: Split, licence: str, config: BuildConfig
) -> Draft:
    """A share of the questions is shown without its clause and without its law: no basis."""
    key = f"{unit.id}|{question}"
    unanswered = int(order_key(config.seed, f"basis|{key}")[:8], 16) / 0xFFFFFFFF < config.policy_qa.no_basis_share
    count = config.policy_qa.candidates
    if unanswered:
        choices = provisions.choices(question, None, count, config.seed, key, question, without=unit.document)
        reference = {"clause_id": "", "clause_label": "", "quote": ""}
    else:
        choices = provisions.choices(question, unit, count, config.seed, key, sentence)
        quote = next(choice["text"] for choice in choices if choice["id"] == unit.id)
        reference = {"clause_id": unit.id, "clause_label": unit.label, "quote": quote}
    return Draft(
        id=f"{TASK}:{unit.id}",
        task=TASK,
        group=unit.document,
        split=split,
        fields={"question": question, "clauses": choices},
        reference=reference,
        informative=question,
        stratum=unit.document,
        sources=(f"{unit.span.file}@{unit.span.start}-{unit.span.end}",),
        clause_ids=() if unanswered else (unit.id,),
        licence=licence,
        origin="derived",
    )
