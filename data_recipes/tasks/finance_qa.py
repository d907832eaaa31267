"""Open finance instructions: prompts and answers brought to a length that a small model can learn and be scored on."""

from __future__ import annotations

import re
import unicodedata

from data_recipes.config import BuildConfig
from data_recipes.knowledge import Instruction, Knowledge
from data_recipes.tasks.draft import Draft, Drafts

TASK = "finance_qa"
COMPUTING = "computing"

_CALL = re.compile(r"\[[A-Za-z_]+\(.*?\)→[^\]]*\]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?]?\n*")
_QUESTION_TAIL = re.compile(r"\s*(?:问题|现在)[^\n]{0,12}[：:，,].*$", re.DOTALL)
_CUT = "……"


def draft_finance_qa(knowledge: Knowledge, config: BuildConfig) -> Drafts:
    """One row per instruction, split by the document it is about."""
    drafts = Drafts()
    for instruction in knowledge.instructions:
        made = _draft(instruction, config)
        if isinstance(made, str):
            drafts.dropped[f"finance_qa: {made}"] += 1
        else:
            drafts.rows.append(made)
    return drafts


def _draft(row: Instruction, config: BuildConfig) -> Draft | str:
    """A row, or the reason it is dropped."""
    if not row.answer:
        return "the answer is empty"
    prompt = shorten_prompt(row.prompt, config.finance_qa.max_prompt_chars)
    if prompt is None:
        return "the question alone is longer than a prompt may be"
    plain = _CALL.sub("", row.answer).strip()
    reference: dict[str, str | float] = {}
    if row.kind == COMPUTING:
        numbers = _NUMBER.findall(unicodedata.normalize("NFKC", plain).replace(",", ""))
        if not numbers:
            return "a calculation without a number in its answer"
        reference["number"] = float(numbers[-1])
    reference["answer"] = shorten_answer(plain, config.finance_qa.max_answer_chars, keep_end=row.kind == COMPUTING)
    return Draft(
        id=f"{TASK}:{row.id}",
        task=TASK,
        group=row.document,
        split=row.split,
        fields={"kind": row.kind, "instruction": prompt},
        reference=reference,
        informative=prompt,
        stratum=row.kind,
        sources=(row.id,),
        licence=row.licence,
    )


def shorten_prompt(text: str, limit: int) -> str | None:
    """At most `limit` characters: a question at the end stays whole, what is before it is cut; None if that fails."""
    text = re.sub(r"[ \t]+", " ", re.sub(r"\n\s*\n+", "\n", text)).strip()
    if len(text) <= limit:
        return text
    tail = _QUESTION_TAIL.search(text)
    question = tail[0] if tail and len(tail[0]) <= limit // 2 else text[-(limit // 3) :]
    room = limit - len(question) - len(_CUT)
    return text[:room].rstrip() + _CUT + question if room >= limit // 3 else None


def shorten_answer(text: str, limit: int, keep_end: bool) -> str:
    """Whole sentences up to `limit` characters, from the start, or from the end where the result stands there."""
    text = re.sub(r"\n\s*\n+", "\n", text).strip()
    if len(text) <= limit:
        return text
    sentences = [match[0] for match in _SENTENCE.finditer(text)]
    picked = ""
    for sentence in reversed(sentences) if keep_end else sentences:
        longer = sentence + picked if keep_end else picked + sentence
        if picked and len(longer) > limit:
            break
        picked = longer
    picked = picked.strip()
    if len(picked) <= limit:
        return picked
    return picked[-limit:] if keep_end else picked[:limit]
