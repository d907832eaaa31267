"""A teacher at work on drafts: new wordings of derived questions, and answers in an agent's words.

Rows are asked for in rounds. A round is judged when all its answers are there, in the order of the drafts, so that the
outcome does not depend on which answer came first; what was rejected is asked again with another seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from data_recipes.surface import NearDuplicates
from data_recipes.tasks.draft import Draft
from data_recipes.teacher.asking import Answer, OnAnswer, ask_all, request_key
from data_recipes.teacher.checks import bare, judge, near_copies
from data_recipes.teacher.config import TeacherConfig, TeacherUse
from data_recipes.teacher.prompts import evidence, request
from tianjing.engine import ChatRequest
from tianjing.errors import EXIT_STAGE_FAILED
from tianjing.files import write_jsonl
from tianjing.order import order_key
from tianjing.rulebook import PhraseMatcher

TASK = "policy_qa"
Finds = Callable[[str, Draft], bool]


@dataclass
class Taught:
    """What came of it: all drafts (old, reworded and new), what was kept and what was rejected, and how many.

    `accepted` and `rejected` have one entry a try: id, use, attempt, prompt digest, model, sampling, raw output, and
    the reason of a rejection.
    """

    rows: list[Draft]
    accepted: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def teach(
    drafts: Sequence[Draft],
    config: TeacherConfig,
    answers: Path,
    finds: Finds,
    agent_rules: PhraseMatcher,
    progress: Callable[[str], None] = lambda step: None,
) -> Taught:
    """Let the teacher write for the training split; rows of the other splits keep the words they have.

    A test row in a teacher's words would measure the teacher.

    Args:
        answers: file that keeps every answer of the endpoint, so that a killed run goes on; made if need be.
        finds: whether a search for a question brings the clause that a draft cites (`RoundTrip`).
        agent_rules: the rulebook's phrases that an agent must not say.

    Raises:
        DataError: the endpoint gives no answers (they are kept so far as they came), or more than
            `config.max_rejected_share` of the rows are left without an accepted one; the rejected tries then stand
            beside `answers`, in a file named by the error.
    """
    taught = Taught(list(drafts))
    copies = near_copies(draft.fields["question"] for draft in drafts if draft.task == TASK)
    desk = _Desk(config, answers, finds, agent_rules, copies, progress)
    for use in sorted(config.uses, key=lambda use: use == "worded_answer"):  # answers also for the new questions
        desk.write(use, taught)
    return taught


@dataclass(frozen=True)
class _Desk:
    """What a teacher needs at hand for every use."""

    config: TeacherConfig
    answers: Path
    finds: Finds
    agent_rules: PhraseMatcher
    copies: NearDuplicates
    progress: Callable[[str], None]

    def write(self, use: TeacherUse, taught: Taught) -> None:
        """Ask for every chosen row until its answer is kept or its tries are used up."""
        todo = _chosen(use, taught.rows, self.config)
        asked = len(todo)
        places = {row.id: place for place, row in enumerate(taught.rows)}
        for attempt in range(self.config.retries + 1):
            if not todo:
                break
            requests = [request(use, evidence(draft), self.config, attempt) for draft in todo]
            said = _share_done(f"teacher writes {use}, try {attempt + 1}", self.progress)
            came = ask_all(requests, self.config, self.answers, said)
            again: list[Draft] = []
            for draft, sent in zip(todo, requests, strict=True):
                answer = came[request_key(sent)]
                wording, reason = judge(answer, use, draft, self.copies, self.agent_rules, self.finds)
                entry = _entry(draft, use, attempt, sent, answer)
                if reason:
                    taught.rejected.append({**entry, "reason": reason})
                    taught.counts[f"teacher_{use}: {reason}"] += 1
                    again.append(draft)
                    continue
                taught.accepted.append(entry)
                taught.counts[f"teacher_{use}_kept"] += 1
                written = _written(draft, use, wording, answer.key)
                if use == "worded_answer":
                    taught.rows[places[draft.id]] = written
                else:
                    self.copies.add(bare(wording))
                    taught.rows.append(written)
            todo = again
        taught.counts[f"teacher_{use}_asked"] += asked
        taught.counts[f"teacher_{use}_without_a_wording"] += len(todo)
        self._require_enough(use, len(todo), asked, taught.rejected)

    def _require_enough(self, use: TeacherUse, without: int, asked: int, rejected: list[dict[str, Any]]) -> None:
        if not asked or without <= self.config.max_rejected_share * asked:
            return
        path = self.answers.with_suffix(".rejected.jsonl")
        write_jsonl(path, rejected)
        worst = Counter(row["reason"] for row in rejected if row["use"] == use).most_common(3)
        raise DataError(
            f"teacher: {without} of {asked} rows have no accepted {use} after {self.config.retries + 1} tries "
            f"({', '.join(f'{reason}: {count}' for reason, count in worst)})",
            f"read {path}; take a stronger model, or raise max_rejected_share",
            EXIT_STAGE_FAILED,
        )


def _chosen(use: TeacherUse, rows: Sequence[Draft], config: TeacherConfig) -> list[Draft]:
    """Rows with a cited clause in the training split; questions only where a template made them.

    A question that misstates its clause on purpose (`corrects`) stays as it is: a rewording would put it right.
    """
    fitting = [
        row
        for row in rows
        if row.task == TASK
        and row.split == "train"
        and row.reference["clause_id"]
        and not row.reference.get("corrects")
        and (use == "worded_answer" or row.origin == "derived")
    ]
    drawn = sorted(fitting, key=lambda row: order_key(config.seed, f"teacher|{row.id}"))[: config.max_rows]
    return sorted(drawn, key=lambda row: row.id)


def _written(draft: Draft, use: TeacherUse, wording: str, key: str) -> Draft:
    trail = (*draft.sources, f"teacher:{key[:16]}")
    if use == "worded_answer":
        return replace(draft, reference={**draft.reference, "wording": wording}, sources=trail, origin="teacher")
    return replace(
        draft,
        id=f"{draft.id}~{use.removesuffix('_question')}",
        fields={**draft.fields, "question": wording},
        informative=wording,
        sources=trail,
        origin="teacher",
    )


def _entry(draft: Draft, use: TeacherUse, attempt: int, sent: ChatRequest, answer: Answer) -> dict[str, Any]:
    return {
        "id": draft.id,
        "use": use,
        "attempt": attempt + 1,
        "request_sha256": answer.key,
        "model": sent.model,
        "temperature": sent.temperature,
        "seed": sent.seed,
        "finish_reason": answer.finish_reason,
        "output": answer.text,
    }


def _share_done(title: str, progress: Callable[[str], None]) -> OnAnswer:
    """Says every twentieth of the way."""

    def on_answer(done: int, total: int) -> None:
        if done * 20 // total != (done - 1) * 20 // total:
            progress(f"{title}: {done} of {total} answers")

    return on_answer
