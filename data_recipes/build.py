"""`tianjing data build`: knowledge to an instruction dataset whose splits share no customer, document or template."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from data_recipes.card import card
from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.knowledge import Knowledge, read_knowledge
from data_recipes.splits import order_key
from data_recipes.surface import NearDuplicates, surface
from data_recipes.tasks.call_summary import draft_call_summary
from data_recipes.tasks.complaint_prediction import draft_complaint_prediction
from data_recipes.tasks.contrast import draft_contrast
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.finance_qa import draft_finance_qa
from data_recipes.tasks.handoff_triage import draft_handoff_triage
from data_recipes.tasks.intent import draft_intent
from data_recipes.tasks.next_reply import draft_next_reply
from data_recipes.tasks.policy_qa import draft_policy_qa
from data_recipes.tasks.quality_inspection import breached_turns, draft_quality_inspection
from data_recipes.tasks.statute_qa import draft_statute_qa
from data_recipes.tasks.verdicts import Verdicts
from tianjing.config import parse
from tianjing.dataset import SPLITS, write_examples
from tianjing.files import canonical_json, write_jsonl
from tianjing.lineage import Manifest, artefact, read_manifest
from tianjing.privacy import find
from tianjing.records import Example, Split
from tianjing.rulebook import Rulebook
from tianjing.tasks import TASKS, conversation

KIND = "dataset"


def build(
    knowledge_dir: Path, out: Path, config: BuildConfig, progress: Callable[[str], None] = lambda step: None
) -> Manifest:
    """Write the dataset artefact `out`; returns its manifest.

    Raises:
        DataError: `knowledge_dir` is no knowledge artefact, or gives no training rows.
    """
    progress("reading knowledge")
    knowledge = read_knowledge(knowledge_dir)
    extracted = parse(ExtractConfig, read_manifest(knowledge_dir).parameters["config"], str(knowledge_dir))
    drafts, dropped = _drafts(knowledge, extracted, config, progress)
    progress("checking duplicates, leakage and personal data")
    rejected: list[dict[str, str]] = []
    rows = select(drafts, config, rejected)
    if not any(row.split == "train" for row in rows):
        raise DataError(
            f"{knowledge_dir}: no training rows came out of it; dropped: {dict(dropped) or 'nothing'}",
            "see the dropped reasons; a practice needs support, a policy answer a citation, an inspection a finding",
        )
    progress("writing")
    with artefact(out, KIND, [Path(knowledge_dir)], {"config": config.model_dump(mode="json")}) as work:
        for split in SPLITS:
            chosen = [row for row in rows if row.split == split]
            write_examples(work.dir / f"{split}.parquet", chosen)
            for task, count in sorted(Counter(row.task for row in chosen).items()):
                work.count(f"{task}/{split}", count)
        write_jsonl(work.dir / "rejected.jsonl", rejected)
        for reason, count in sorted((dropped + Counter(row["reason"] for row in rejected)).items()):
            work.drop(reason, count)
        (work.dir / "README.md").write_text(card(rows, knowledge, work.counts), encoding="utf-8")
    return read_manifest(out)


def _drafts(
    knowledge: Knowledge, extracted: ExtractConfig, config: BuildConfig, progress: Callable[[str], None]
) -> tuple[list[Draft], Counter[str]]:
    splits: dict[str, Split] = {customer.customer: customer.field("split") for customer in knowledge.customers}
    licence = next((source.licence for source in extracted.sources if source.kind == "raw"), "")
    inspection = extracted.inspection_activity
    breached = breached_turns(knowledge, inspection)
    verdicts = Verdicts(Rulebook.load())
    makers: dict[str, Callable[[], Drafts]] = {
        "policy_qa": lambda: _policy_questions(knowledge, splits, config, licence),
        "quality_inspection": lambda: draft_quality_inspection(
            knowledge, splits, inspection, verdicts, config, licence
        ),
        "next_reply": lambda: draft_next_reply(
            knowledge, splits, breached, verdicts, extracted.practices, config, licence
        ),
        "intent": lambda: draft_intent(knowledge, splits, config, licence),
        "call_summary": lambda: draft_call_summary(knowledge, splits, config, licence),
        "handoff_triage": lambda: draft_handoff_triage(knowledge, splits, verdicts, config, licence),
        "complaint_prediction": lambda: draft_complaint_prediction(
            knowledge, splits, inspection, verdicts, config, licence
        ),
        "finance_qa": lambda: draft_finance_qa(knowledge, config),
    }
    drafts: list[Draft] = []
    dropped: Counter[str] = Counter()
    for task in makers if config.tasks is None else config.tasks:
        progress(f"building {TASKS[task].title}")
        made = makers[task]()
        drafts += made.rows
        dropped += made.dropped
    return sorted(drafts, key=lambda draft: (draft.task, draft.id)), dropped


def _policy_questions(knowledge: Knowledge, splits: dict[str, Split], config: BuildConfig, licence: str) -> Drafts:
    """Questions that customers asked, those derived from statutes, and contrast rows beside them."""
    asked, derived = draft_policy_qa(knowledge, splits, config, licence), draft_statute_qa(knowledge, config)
    rows = asked.rows + derived.rows
    answered = sum(row.split == "train" and bool(row.clause_ids) for row in rows)
    contrast = draft_contrast(knowledge, answered, config, licence)
    return Drafts(rows + contrast.rows, asked.dropped + derived.dropped + contrast.dropped)


def select(drafts: Iterable[Draft], config: BuildConfig, rejected: list[dict[str, str]]) -> list[Example]:
    """Drop repetitions, rows with personal data and leaked test rows; apply limits.

    `rejected` keeps the id of each dropped row with its reason.
    """

    def reject(row: Example, reason: str) -> None:
        rejected.append({"id": row.id, "task": row.task, "split": row.split, "reason": f"{row.task}: {reason}"})

    kept_drafts: dict[str, Draft] = {}
    by_task: dict[str, list[Example]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    ids: set[str] = set()
    for draft in drafts:
        row = _example(draft)
        key = (row.task, canonical_json([message.model_dump() for message in row.messages]))
        if key in seen or row.id in ids:
            reject(row, "repeated")
        elif any(find(message.content) for message in row.messages):
            reject(row, "personal_data")
        else:
            seen.add(key)
            ids.add(row.id)
            kept_drafts[row.id] = draft
            by_task[row.task].append(row)
    kept: list[Example] = []
    for task in sorted(by_task):
        rows = list(_kept_of_task(by_task[task], kept_drafts, config, reject))
        if any(row.split == "train" for row in rows):
            kept += rows
        else:  # an evaluation needs worked examples, and a control, of every task it asks
            for row in rows:
                reject(row, "no row of this task to learn from")
    check_disjoint(kept)
    return kept


def _kept_of_task(
    rows: Sequence[Example], drafts: dict[str, Draft], config: BuildConfig, reject: Callable[[Example, str], None]
) -> Iterator[Example]:
    """The rows of one task that stay: unseen in training, and within the share of their class and the limit."""
    learned = NearDuplicates((row.surface for row in rows if row.split == "train"), config.near_duplicate)
    for split in SPLITS:
        chosen = [row for row in rows if row.split == split]
        if split == "test":
            for row in chosen:
                if learned.seen(row.surface):
                    reject(row, "surface_seen_in_training")
            chosen = [row for row in chosen if not learned.seen(row.surface)]
        shared = _within_share(chosen, drafts, config.seed)
        limit = config.max_rows_per_task.get(split, len(shared))
        picked = _round_robin([row for row in chosen if row.id in shared], drafts, limit, config.seed)
        for row in chosen:
            if row.id in picked:
                yield row
            else:
                reject(row, "over the limit of rows" if row.id in shared else "over the share of its class")


def check_disjoint(rows: Iterable[Example]) -> None:
    """No group stands in two splits.

    Raises:
        DataError: one does; the dataset is not written.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row.group].add(row.split)
    shared = sorted(group for group, splits in found.items() if len(splits) > 1)
    if shared:
        raise DataError(
            f"{len(shared)} groups stand in more than one split, e.g. {shared[0]}", "report this as a defect"
        )


def _example(draft: Draft) -> Example:
    return Example(
        id=draft.id,
        task=draft.task,
        group=draft.group,
        split=draft.split,
        messages=conversation(TASKS[draft.task], draft.fields, draft.reference),
        weight=draft.weight,
        fields=dict(draft.fields),
        reference=dict(draft.reference),
        surface=surface(draft.informative),
        sources=draft.sources,
        clause_ids=draft.clause_ids,
        practice_ids=draft.practice_ids,
        licence=draft.licence,
    )


def _within_share(rows: Sequence[Example], drafts: dict[str, Draft], seed: int) -> set[str]:
    """Ids of the rows that stay when a class with a limited share (no basis, no breach) is cut to it."""
    limited, free, share = _limited(rows, drafts)
    ordered = [row.id for row in sorted(limited, key=lambda row: _turned_away(row, drafts, seed))]
    return {row.id for row in free} | set(ordered[: round(len(free) * share / (1 - share))])


def _round_robin(rows: Sequence[Example], drafts: dict[str, Draft], limit: int, seed: int) -> set[str]:
    """Ids of up to `limit` rows, taken in turn from each clause, rule or situation; a limited class keeps its share."""
    limited, free, share = _limited(rows, drafts)
    quota = min(len(limited), round(min(limit, len(rows)) * share))
    picked = {row.id for row in sorted(limited, key=lambda row: _turned_away(row, drafts, seed))[:quota]}
    queues: dict[str, list[str]] = defaultdict(list)
    for row in sorted(free, key=lambda row: order_key(seed, row.id)):
        queues[drafts[row.id].stratum].append(row.id)
    while len(picked) < limit and any(queues.values()):
        for stratum in sorted(queues):
            if queues[stratum] and len(picked) < limit:
                picked.add(queues[stratum].pop(0))
    return picked


def _turned_away(row: Example, drafts: dict[str, Draft], seed: int) -> tuple[int, str]:
    """Rows that sort last go first where a class is cut to its share."""
    return drafts[row.id].turn_away, order_key(seed, row.id)


def _limited(rows: Sequence[Example], drafts: dict[str, Draft]) -> tuple[list[Example], list[Example], float]:
    """Rows of the class with a limited share, the other rows, and that share."""
    limited = [row for row in rows if drafts[row.id].at_most is not None]
    free = [row for row in rows if drafts[row.id].at_most is None]
    return limited, free, (drafts[limited[0].id].at_most or 0.0) if limited else 0.0
