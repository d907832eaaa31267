"""The licence decisions carried out on a knowledge, before rows are made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from data_recipes.errors import DataError
from data_recipes.knowledge import Knowledge
from data_recipes.publish.licences import LedgerEntry, Use
from data_recipes.tasks.draft import Draft
from tianjing.records import Customer


def permitted(knowledge: Knowledge, ledger: Sequence[LedgerEntry]) -> tuple[Knowledge, Counter[str]]:
    """The knowledge without what comes from refused sources, and what was left out, by source.

    What may only be evaluated on goes to the test split whole. An open instruction of such a source on a document that
    another source is learned from is left out: the test split shares no document with the training split.

    Raises:
        DataError: several raw folders were extracted together and may not be used alike: which of them a dialogue came
            from is not recorded.
    """
    use: dict[str, Use] = {entry.source: entry.use for entry in ledger}
    left_out: Counter[str] = Counter()

    def keeps(source: str, what: str) -> bool:
        if use.get(source, "train") != "refused":
            return True
        left_out[f"{what} of source {source}, refused by its licence"] += 1
        return False

    documents = [
        info.model_copy(update={"split": "test"})
        if use.get(info.source) == "evaluation" and info.split is not None
        else info
        for info in knowledge.documents
        if keeps(info.source, "document")
    ]
    names = {info.document for info in documents}
    learned = {row.document for row in knowledge.instructions if use.get(row.source, "train") == "train"}
    instructions = []
    for row in knowledge.instructions:
        if not keeps(row.source, "instruction"):
            continue
        if use.get(row.source) != "evaluation":
            instructions.append(row)
        elif row.document in learned:
            left_out[f"instruction of source {row.source}, on a document that is learned from"] += 1
        else:
            instructions.append(row.model_copy(update={"split": "test"}))
    kept = replace(
        knowledge,
        documents=documents,
        clauses=[clause for clause in knowledge.clauses if clause.document in names],
        instructions=instructions,
    )
    raw = _raw_use(ledger)
    if raw == "refused":
        left_out["dialogues of a raw folder refused by its licence"] += len(kept.dialogues)
        kept = replace(kept, dialogues=(), events=(), outcomes=(), practices=(), procedures=(), quality_rules=())
    elif raw == "evaluation":
        kept = replace(kept, customers=[_tested(customer) for customer in kept.customers])
    return kept, +left_out


def row_source(knowledge: Knowledge, ledger: Sequence[LedgerEntry]) -> Callable[[Draft], str]:
    """Says which source of the ledger a draft came from: of its instruction, its statute, or the raw folder."""
    instructions = {row.id: row.source for row in knowledge.instructions}
    statutes = {info.document: info.source for info in knowledge.documents if info.split is not None}
    dialogues = {row.id: row.source for row in knowledge.trail}
    raw = next((entry.source for entry in ledger if entry.kind == "raw"), "")

    def source(draft: Draft) -> str:
        if draft.session in dialogues:
            return dialogues[draft.session]
        return instructions.get(draft.sources[0]) or statutes.get(draft.group) or raw

    return source


def _raw_use(ledger: Sequence[LedgerEntry]) -> Use:
    uses = sorted({entry.use for entry in ledger if entry.kind == "raw"})
    if len(uses) > 1:
        raise DataError(
            f"raw folders that may not be used alike ({', '.join(uses)}) were extracted together",
            "extract them one by one, and build from each",
        )
    return uses[0] if uses else "train"


def _tested(customer: Customer) -> Customer:
    return Customer.model_validate({**customer.model_dump(), "split": "test"})
