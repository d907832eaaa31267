"""`tianjing data build`: knowledge to an instruction dataset whose splits share no customer, document or template."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.knowledge import Knowledge, read_knowledge
from data_recipes.mixing import mix
from data_recipes.publish.card import CardFacts
from data_recipes.publish.folder import write_folder
from data_recipes.publish.lengths import TokenLengthsConfig, count_tokens, load_tokenizer, summarise
from data_recipes.publish.licences import count_rows, judge
from data_recipes.publish.permitted import permitted, row_source
from data_recipes.splits import order_key
from data_recipes.surface import NearDuplicates, surface
from data_recipes.tasks.draft import Draft
from data_recipes.tasks.finance_qa import draft_finance_qa
from data_recipes.tasks.next_reply import draft_next_reply
from data_recipes.tasks.policy_qa import draft_policy_qa
from data_recipes.tasks.quality_inspection import breached_turns, draft_quality_inspection
from data_recipes.tasks.statute_qa import draft_statute_qa
from data_recipes.teacher.round_trip import RoundTrip
from data_recipes.teacher.writing import Taught, teach
from tianjing.config import parse
from tianjing.dataset import SPLITS
from tianjing.files import canonical_json
from tianjing.lineage import Manifest, artefact, read_manifest
from tianjing.privacy import find
from tianjing.records import Example, Split
from tianjing.rulebook import Rulebook
from tianjing.tasks import TASKS, conversation

KIND = "dataset"


# Where and how patiently a teacher is asked does not change what it says.
_OUTSIDE_THE_RESULT = {"teacher": {"base_url", "api_key_env", "concurrency", "timeout_s", "sends", "backoff_s"}}

Reject = Callable[[Example, str], None]


def build(
    knowledge_dir: Path, out: Path, config: BuildConfig, progress: Callable[[str], None] = lambda step: None
) -> Manifest:
    """Write the dataset artefact `out`; returns its manifest.

    A teacher's answers are kept in OUT.teacher.jsonl beside it, so that a build that was stopped goes on.

    Raises:
        DataError: `knowledge_dir` is no knowledge artefact, holds a source that may not be trained on, or gives no
            training rows; the teacher does not answer, or not well enough; the mixture does not fit the tasks.
    """
    progress("reading knowledge")
    knowledge = read_knowledge(knowledge_dir)
    extracted = parse(ExtractConfig, read_manifest(knowledge_dir).parameters["config"], str(knowledge_dir))
    ledger = judge([(source.path, source.kind, source.licence) for source in extracted.sources], config.licences)
    knowledge, refused = permitted(knowledge, ledger)
    drafts, dropped = _drafts(knowledge, extracted, config, progress)
    taught = _taught(drafts, knowledge, config, Path(out), progress)
    drafts = taught.rows if taught else drafts
    progress("checking duplicates, leakage and personal data")
    rejected: list[dict[str, str]] = []
    rows = select(drafts, config, rejected)
    if not any(row.split == "train" for row in rows):
        raise DataError(
            f"{knowledge_dir}: no training rows came out of it; dropped: {dict(dropped + refused) or 'nothing'}",
            "see the dropped reasons; a practice needs support, a policy answer a citation, an inspection a finding",
        )
    source = row_source(knowledge, ledger)
    sources = {draft.id: source(draft) for draft in drafts}
    rows = [row.model_copy(update={"source": sources[row.id]}) for row in rows]
    if config.token_lengths:
        progress("counting tokens")
        rows = _counted(rows, config.token_lengths, _rejecter(rejected))
    mixed = mix(rows, config.mixture, config.seed, _rejecter(rejected))
    progress("writing")
    parameters = {"config": config.model_dump(mode="json", exclude=_OUTSIDE_THE_RESULT)}
    with artefact(out, KIND, [Path(knowledge_dir)], parameters) as work:
        for (split, task), count in sorted(Counter((row.split, row.task) for row in mixed.rows).items()):
            work.count(f"{task}/{split}", count)
        for name, count in sorted((taught.counts if taught else Counter()).items()):
            work.count(name, count)
        for reason, count in sorted((dropped + refused + Counter(row["reason"] for row in rejected)).items()):
            work.drop(reason, count)
        facts = CardFacts(
            rows=mixed.rows,
            documents=knowledge.documents,
            dialogues=len(knowledge.dialogues),
            instructions=len(knowledge.instructions),
            dropped=work.counts.get("dropped", {}),  # type: ignore[arg-type]
            ledger=count_rows(ledger, ((row.source, row.split) for row in mixed.rows)),
            shares=mixed.shares,
            lengths=summarise(mixed.rows),
            tokenizer=config.token_lengths.model if config.token_lengths else "",
            teacher=config.teacher.model if config.teacher else "",
            teacher_counts=taught.counts if taught else {},
        )
        write_folder(work.dir, facts, rejected, taught)
    return read_manifest(out)


def _taught(
    drafts: Sequence[Draft], knowledge: Knowledge, config: BuildConfig, out: Path, progress: Callable[[str], None]
) -> Taught | None:
    if config.teacher is None:
        return None
    finds = RoundTrip(knowledge, config.policy_qa.max_clause_chars)
    answers = out.with_name(f"{out.name}.teacher.jsonl")
    return teach(drafts, config.teacher, answers, finds, Rulebook.load().matcher("agent"), progress)


def _counted(rows: Sequence[Example], config: TokenLengthsConfig, reject: Reject) -> list[Example]:
    """The rows with their lengths, without those that are too long."""
    kept = []
    for row in count_tokens(rows, load_tokenizer(config.model)):
        if config.max_tokens is None or row.tokens is None or row.tokens.total <= config.max_tokens:
            kept.append(row)
        else:
            reject(row, f"longer than {config.max_tokens} tokens")
    return kept


def _rejecter(rejected: list[dict[str, str]]) -> Reject:
    """Keeps the id of each row that is left out, with the reason."""

    def reject(row: Example, reason: str) -> None:
        rejected.append({"id": row.id, "task": row.task, "split": row.split, "reason": f"{row.task}: {reason}"})

    return reject


def _drafts(
    knowledge: Knowledge, extracted: ExtractConfig, config: BuildConfig, progress: Callable[[str], None]
) -> tuple[list[Draft], Counter[str]]:
    splits: dict[str, Split] = {customer.customer: customer.field("split") for customer in knowledge.customers}
    licence = next((source.licence for source in extracted.sources if source.kind == "raw"), "")
    breached = breached_turns(knowledge, extracted.inspection_activity)
    makers = {
        "policy questions": lambda: draft_policy_qa(knowledge, splits, config, licence),
        "questions on statutes": lambda: draft_statute_qa(knowledge, config),
        "quality inspection": lambda: draft_quality_inspection(
            knowledge, splits, extracted.inspection_activity, config, licence
        ),
        "next replies": lambda: draft_next_reply(knowledge, splits, breached, extracted.practices, config, licence),
        "finance instructions": lambda: draft_finance_qa(knowledge, config),
    }
    drafts: list[Draft] = []
    dropped: Counter[str] = Counter()
    for name, make in makers.items():
        progress(f"building {name}")
        made = make()
        drafts += made.rows
        dropped += made.dropped
    return sorted(drafts, key=lambda draft: (draft.task, draft.id)), dropped


def select(drafts: Iterable[Draft], config: BuildConfig, rejected: list[dict[str, str]]) -> list[Example]:
    """Drop repetitions, rows with personal data and leaked test rows; apply limits.

    `rejected` keeps the id of each dropped row with its reason.
    """
    reject = _rejecter(rejected)
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
    kept = [row for task in sorted(by_task) for row in _kept_of_task(by_task[task], kept_drafts, config, reject)]
    check_disjoint(kept)
    return kept


def _kept_of_task(
    rows: Sequence[Example], drafts: dict[str, Draft], config: BuildConfig, reject: Reject
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
        origin=draft.origin,
    )


def _within_share(rows: Sequence[Example], drafts: dict[str, Draft], seed: int) -> set[str]:
    """Ids of the rows that stay when a class with a limited share (no basis, no breach) is cut to it."""
    limited, free, share = _limited(rows, drafts)
    ordered = sorted((row.id for row in limited), key=lambda identity: order_key(seed, identity))
    return {row.id for row in free} | set(ordered[: round(len(free) * share / (1 - share))])


def _round_robin(rows: Sequence[Example], drafts: dict[str, Draft], limit: int, seed: int) -> set[str]:
    """Ids of up to `limit` rows, taken in turn from each clause, rule or situation; a limited class keeps its share."""
    limited, free, share = _limited(rows, drafts)
    quota = min(len(limited), round(min(limit, len(rows)) * share))
    picked = {row.id for row in sorted(limited, key=lambda row: order_key(seed, row.id))[:quota]}
    queues: dict[str, list[str]] = defaultdict(list)
    for row in sorted(free, key=lambda row: order_key(seed, row.id)):
        queues[drafts[row.id].stratum].append(row.id)
    while len(picked) < limit and any(queues.values()):
        for stratum in sorted(queues):
            if queues[stratum] and len(picked) < limit:
                picked.add(queues[stratum].pop(0))
    return picked


def _limited(rows: Sequence[Example], drafts: dict[str, Draft]) -> tuple[list[Example], list[Example], float]:
    """Rows of the class with a limited share, the other rows, and that share."""
    limited = [row for row in rows if drafts[row.id].at_most is not None]
    free = [row for row in rows if drafts[row.id].at_most is None]
    return limited, free, (drafts[limited[0].id].at_most or 0.0) if limited else 0.0
