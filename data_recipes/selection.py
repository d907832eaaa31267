"""Which drafts become rows: no repetition, no personal data, no leak between splits, no class beyond its share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from data_recipes.cleaning.decontamination import Contamination, row_text
from data_recipes.config import BuildConfig
from data_recipes.splits import check_disjoint
from data_recipes.surface import NearDuplicates, surface
from data_recipes.tasks.draft import Draft
from tianjing.dataset import SPLITS
from tianjing.files import canonical_json
from tianjing.order import order_key
from tianjing.privacy import find
from tianjing.records import Example
from tianjing.tasks import TASKS, conversation

Reject = Callable[[Example, str], None]


def rejecter(rejected: list[dict[str, str]]) -> Reject:
    """Keeps the id of each row that is left out, with the reason."""

    def reject(row: Example, reason: str) -> None:
        rejected.append({"id": row.id, "task": row.task, "split": row.split, "reason": f"{row.task}: {reason}"})

    return reject


def select(
    drafts: Iterable[Draft],
    config: BuildConfig,
    rejected: list[dict[str, str]],
    duplicates: Mapping[str, str] | None = None,
    contamination: Contamination | None = None,
    known_documents: Iterable[str] = (),
) -> list[Example]:
    """Drop repetitions, rows with personal data, copies of evaluation items and leaked test rows; apply limits.

    Args:
        rejected: keeps the id of each dropped row with its reason.
        duplicates: dialogue -> the first of its near duplicates, for those that are not the first.
        contamination: evaluation sets of which no training or validation row may hold an item.
        known_documents: documents that every split may cite: a company's own rules.

    Raises:
        DataError: rows of two splits hang together by a customer, a session, a near duplicate or a clause.
    """
    reject = rejecter(rejected)
    first = duplicates or {}
    kept_drafts: dict[str, Draft] = {}
    by_task: dict[str, list[Example]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    ids: set[str] = set()
    for draft in drafts:
        row = _example(draft)
        key = (row.task, canonical_json([message.model_dump() for message in row.messages]))
        if key in seen or row.id in ids:
            reject(row, "repeated")
        elif draft.session in first:
            reject(row, "from a near duplicate of another dialogue")
        elif any(find(message.content) for message in row.messages):
            reject(row, "personal_data")
        else:
            seen.add(key)
            ids.add(row.id)
            kept_drafts[row.id] = draft
            by_task[row.task].append(row)
    kept: list[Example] = []
    for task in sorted(by_task):
        rows = list(_kept_of_task(_clean(by_task[task], contamination, reject), kept_drafts, config, reject))
        if any(row.split == "train" for row in rows):
            kept += rows
        else:  # an evaluation needs worked examples, and a control, of every task it asks
            for row in rows:
                reject(row, "no row of this task to learn from")
    common = set(known_documents)
    check_disjoint((row.split, _links(kept_drafts[row.id], common)) for row in kept)
    return kept


def contaminated(reason: str) -> str:
    """The evaluation set that a row was rejected for, or "" for another reason."""
    return reason.partition(_HOLDS)[2]


_HOLDS = "holds an item of the evaluation set "


def _clean(rows: Sequence[Example], contamination: Contamination | None, reject: Reject) -> list[Example]:
    """Rows without those that are learned from and hold an item of an evaluation set."""
    if contamination is None:
        return list(rows)
    texts = [row_text([message.model_dump() for message in row.messages]) for row in rows]
    kept = []
    for row, hit in zip(rows, contamination.find_many(texts), strict=True):
        if hit is not None and row.split != "test":
            reject(row, f"{_HOLDS}{hit.set}")
        else:
            kept.append(row)
    return kept


def _links(draft: Draft, common: set[str]) -> list[str]:
    """What a row hangs together with others by; a clause that every split knows joins nothing."""
    return [link for link in draft.links if not link.startswith("clause:") or link[7:].partition(":")[0] not in common]


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
