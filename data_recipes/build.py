"""`tianjing data build`: knowledge to an instruction dataset whose splits share no customer, document or template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from data_recipes.cleaning.decontamination import Contamination, row_text
from data_recipes.config import BuildConfig, ExtractConfig
from data_recipes.errors import DataError
from data_recipes.experience.accepted import decided
from data_recipes.experience.decisions import read_decisions
from data_recipes.knowledge import Knowledge, read_knowledge
from data_recipes.mixing import mix
from data_recipes.publish.card import CardFacts
from data_recipes.publish.folder import write_folder
from data_recipes.publish.lengths import TokenLengthsConfig, count_tokens, load_tokenizer, summarise
from data_recipes.publish.licences import count_rows, judge
from data_recipes.publish.permitted import permitted, row_source
from data_recipes.selection import Reject, contaminated, rejecter, select
from data_recipes.tasks.call_summary import draft_call_summary
from data_recipes.tasks.complaint_prediction import draft_complaint_prediction
from data_recipes.tasks.contrast import draft_contrast
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.finance_qa import draft_finance_qa
from data_recipes.tasks.handoff_triage import draft_handoff_triage
from data_recipes.tasks.intent import draft_intent
from data_recipes.tasks.mediation import draft_mediation
from data_recipes.tasks.negotiation import draft_negotiation
from data_recipes.tasks.next_reply import draft_next_reply
from data_recipes.tasks.policy_qa import draft_policy_qa
from data_recipes.tasks.preferences import draft_preferences
from data_recipes.tasks.quality_inspection import breached_turns, draft_quality_inspection
from data_recipes.tasks.statute_qa import draft_statute_qa
from data_recipes.tasks.verdicts import Verdicts
from data_recipes.teacher.round_trip import RoundTrip
from data_recipes.teacher.writing import Taught, teach
from tianjing.config import parse
from tianjing.lineage import Manifest, artefact, check_target, read_manifest
from tianjing.records import Example, Preference, Split
from tianjing.rulebook import Rulebook
from tianjing.tasks import TASKS

KIND = "dataset"
# Where and how patiently a teacher is asked does not change what it says.
_OUTSIDE_THE_RESULT = {"teacher": {"base_url", "api_key_env", "concurrency", "timeout_s", "sends", "backoff_s"}}


def build(
    knowledge_dir: Path, out: Path, config: BuildConfig, progress: Callable[[str], None] = lambda step: None
) -> Manifest:
    """Write the dataset artefact `out`; returns its manifest.

    A teacher's answers are kept in OUT.teacher.jsonl beside it, so that a build that was stopped goes on.

    Raises:
        DataError: `knowledge_dir` is no knowledge artefact, holds a source that may not be trained on, or gives no
            training rows; accepted knowledge is asked for and nothing was decided; the teacher does not answer, or not
            well enough; the mixture does not fit the tasks.
    """
    inputs = [Path(knowledge_dir), *([config.decisions] if config.decisions else [])]
    check_target(out, KIND, inputs)
    progress("reading knowledge")
    knowledge = read_knowledge(knowledge_dir)
    extracted = parse(ExtractConfig, read_manifest(knowledge_dir).parameters["config"], str(knowledge_dir))
    ledger = judge([(source.path, source.kind, source.licence) for source in extracted.sources], config.licences)
    knowledge, refused = permitted(knowledge, ledger)
    book = Rulebook.load()
    knowledge, undecided = _reviewed(knowledge, config, book)
    refused += undecided
    material = _material(knowledge, extracted, book)
    drafts, dropped = _drafts(knowledge, extracted, material, config, progress)
    taught = _taught(drafts, knowledge, config, Path(out), progress)
    drafts = taught.rows if taught else drafts
    progress("checking duplicates, leakage and personal data")
    rejected: list[dict[str, str]] = []
    first = {row.id: row.first for row in knowledge.duplicates}
    known = [info.document for info in knowledge.documents if info.split is None]
    rows = select(drafts, config, rejected, first, _contamination(config), known)
    if not any(row.split == "train" for row in rows):
        raise DataError(
            f"{knowledge_dir}: no training rows came out of it; dropped: {dict(dropped + refused) or 'nothing'}",
            "see the dropped reasons; a practice needs support, a policy answer a citation, an inspection a finding",
        )
    source = row_source(knowledge, ledger)
    sources = {draft.id: source(draft) for draft in drafts}
    rows = [row.model_copy(update={"source": sources[row.id]}) for row in rows]
    pairs, unpaired = _pairs(rows, knowledge, extracted, material, config)
    dropped += unpaired
    if config.token_lengths:
        progress("counting tokens")
        rows = _counted(rows, config.token_lengths, rejecter(rejected))
    mixed = mix(rows, config.mixture, config.seed, rejecter(rejected))
    progress("writing")
    parameters = {"config": config.model_dump(mode="json", exclude=_OUTSIDE_THE_RESULT)}
    with artefact(out, KIND, inputs, parameters) as work:
        for (split, task), count in sorted(Counter((row.split, row.task) for row in mixed.rows).items()):
            work.count(f"{task}/{split}", count)
        for split, count in sorted(Counter(pair.split for pair in pairs).items()):
            work.count(f"preferences/{split}", count)
        for name, count in sorted((taught.counts if taught else Counter()).items()):
            work.count(name, count)
        for reason, count in sorted((dropped + refused + Counter(row["reason"] for row in rejected)).items()):
            work.drop(reason, count)
        facts = CardFacts(
            rows=mixed.rows,
            pairs=pairs,
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
            quarantined=Counter(row.rule for row in knowledge.quarantine),
            contamination=_copies(rejected, config),
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


def _contamination(config: BuildConfig) -> Contamination | None:
    wanted = config.decontaminate
    return Contamination(wanted.sets, Path(), wanted.min_share) if wanted.sets else None


def _copies(rejected: Sequence[Mapping[str, str]], config: BuildConfig) -> dict[str, int] | None:
    """Rows dropped for each evaluation set that was named, or None where none was."""
    found = Counter(contaminated(row["reason"]) for row in rejected)
    return {named.name: found[named.name] for named in config.decontaminate.sets} or None


def _counted(rows: Sequence[Example], config: TokenLengthsConfig, reject: Reject) -> list[Example]:
    """The rows with their lengths, without those that are too long."""
    kept = []
    for row in count_tokens(rows, load_tokenizer(config.model)):
        if config.max_tokens is None or row.tokens is None or row.tokens.total <= config.max_tokens:
            kept.append(row)
        else:
            reject(row, f"longer than {config.max_tokens} tokens")
    return kept


def _reviewed(knowledge: Knowledge, config: BuildConfig, book: Rulebook) -> tuple[Knowledge, Counter[str]]:
    """The knowledge as people have decided on it, and what their decisions leave out."""
    decisions = read_decisions(config.decisions) if config.decisions else []
    if config.knowledge == "accepted" and not decisions:
        where = f"{config.decisions} holds none" if config.decisions else "'decisions' names no file"
        raise DataError(
            f"knowledge: accepted, but nothing was decided: {where}",
            "review first: tianjing data review KNOWLEDGE --out REVIEW, then --apply; or build with knowledge: all",
        )
    if not decisions:
        return knowledge, Counter()
    return decided(knowledge, decisions, config.knowledge, book.matcher("agent"))


class _Material(NamedTuple):
    """What several builders ask: the split of each customer, the turns in breach, and the rulebook."""

    splits: dict[str, Split]
    breached: set[tuple[str, int]]
    verdicts: Verdicts


def _material(knowledge: Knowledge, extracted: ExtractConfig, book: Rulebook) -> _Material:
    splits: dict[str, Split] = {customer.customer: customer.field("split") for customer in knowledge.customers}
    inspected = breached_turns(knowledge, extracted.inspection_activity)
    quarantined = {(row.dialogue, row.turn) for row in knowledge.quarantine}
    return _Material(splits, inspected | quarantined, Verdicts(book))


def _pairs(
    rows: Sequence[Example],
    knowledge: Knowledge,
    extracted: ExtractConfig,
    material: _Material,
    config: BuildConfig,
) -> tuple[list[Preference], Counter[str]]:
    """Preference pairs to the rows; none that is learned from holds an item of an evaluation set."""
    if not config.preference.pairs:
        return [], Counter()
    pairs, dropped = draft_preferences(rows, knowledge, *material[:2], extracted.practices, material.verdicts, config)
    contamination = _contamination(config)
    if contamination is None:
        return pairs, dropped
    texts = [row_text([message.model_dump() for message in (*pair.prompt, *pair.rejected)]) for pair in pairs]
    kept = []
    for pair, hit in zip(pairs, contamination.find_many(texts), strict=True):
        if hit is not None and pair.split != "test":
            dropped[f"preference: the rejected answer holds an item of the evaluation set {hit.set}"] += 1
        else:
            kept.append(pair)
    return kept, dropped


def _drafts(
    knowledge: Knowledge,
    extracted: ExtractConfig,
    material: _Material,
    config: BuildConfig,
    progress: Callable[[str], None],
) -> tuple[list[Draft], Counter[str]]:
    splits, breached, verdicts = material
    by_source = {source.path: source.licence for source in extracted.sources}
    licences = {row.id: by_source[row.source] for row in knowledge.trail}
    licence = next((source.licence for source in extracted.sources if source.kind == "raw"), "")
    inspection = extracted.inspection_activity
    makers: dict[str, Callable[[], Drafts]] = {
        "policy_qa": lambda: _policy_questions(knowledge, splits, config, licence),
        "quality_inspection": lambda: draft_quality_inspection(
            knowledge, splits, inspection, verdicts, config, licence
        ),
        "next_reply": lambda: draft_next_reply(knowledge, splits, breached, extracted.practices, config, licence),
        "negotiation": lambda: draft_negotiation(knowledge, splits, breached, extracted.practices, config, licence),
        "intent": lambda: draft_intent(knowledge, splits, config, licence),
        "call_summary": lambda: draft_call_summary(knowledge, splits, config, licence),
        "handoff_triage": lambda: draft_handoff_triage(knowledge, splits, verdicts, config, licence),
        "complaint_prediction": lambda: draft_complaint_prediction(
            knowledge, splits, inspection, verdicts, config, licence
        ),
        "mediation": lambda: draft_mediation(
            knowledge, splits, breached, extracted.practices, inspection, verdicts, config, licence
        ),
        "finance_qa": lambda: draft_finance_qa(knowledge, config),
    }
    drafts: list[Draft] = []
    dropped: Counter[str] = Counter()
    for task in makers if config.tasks is None else config.tasks:
        progress(f"building {TASKS[task].title}")
        made = makers[task]()
        drafts += [replace(row, licence=licences.get(row.session, row.licence)) for row in made.rows]
        dropped += made.dropped
    return sorted(drafts, key=lambda draft: (draft.task, draft.id)), dropped


def _policy_questions(knowledge: Knowledge, splits: dict[str, Split], config: BuildConfig, licence: str) -> Drafts:
    """Questions that customers asked, those derived from statutes, and contrast rows beside them."""
    asked, derived = draft_policy_qa(knowledge, splits, config, licence), draft_statute_qa(knowledge, config)
    rows = asked.rows + derived.rows
    answered = sum(row.split == "train" and bool(row.clause_ids) for row in rows)
    contrast = draft_contrast(knowledge, answered, config, licence)
    return Drafts(rows + contrast.rows, asked.dropped + derived.dropped + contrast.dropped)
