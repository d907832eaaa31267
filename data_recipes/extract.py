"""`tianjing data extract`: clean raw material, and turn it into knowledge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from data_recipes.cleaning.executors import ExecutorConfig
from data_recipes.cleaning.run import workspace
from data_recipes.cleaning.segment import uncut
from data_recipes.config import ExtractConfig
from data_recipes.errors import DataError
from data_recipes.experience.practices import align, cases, conclude, mine, told
from data_recipes.experience.procedures import join_cases, mine_procedures
from data_recipes.gathering import Gathered, Progress, SpokenDialogues, gather
from data_recipes.knowledge import (
    KIND,
    Duplicate,
    InferredSituation,
    Instruction,
    Knowledge,
    Quarantined,
    Trail,
    write_knowledge,
)
from data_recipes.splits import LinkedRow, split_groups, split_rows
from tianjing.files import OnError
from tianjing.lineage import Manifest, Work, artefact, check_target, read_manifest
from tianjing.records import Customer, Dialogue, Event, Outcome, Split

Logged = TypeVar("Logged", Event, Outcome)


def extract(
    raw: Path,
    out: Path,
    config: ExtractConfig,
    on_error: OnError = "stop",
    progress: Progress = lambda step: None,
    executor: ExecutorConfig | None = None,
) -> Manifest:
    """Write the knowledge artefact `out` from the folder `raw`; returns its manifest.

    Dialogues are cleaned in a hidden folder beside `out`, which a killed run leaves for the next one to go on from.

    Raises:
        DataError: nothing to read, or a bad line (with file, line and reason) unless `on_error` is `skip`.
    """
    raw, out = Path(raw), Path(out)
    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder", "give the folder that holds the raw material")
    inputs = sorted({(raw / source.path).resolve() for source in config.sources})
    check_target(out, KIND, inputs)
    work_folder = workspace(out)
    gathered = gather(raw, work_folder.root, config, on_error, executor or ExecutorConfig(), progress)
    knowledge = _knowledge(gathered, config, progress)
    parameters = {"config": config.model_dump(mode="json"), "on_error": on_error}
    progress("writing")
    with artefact(out, KIND, inputs, parameters) as work:
        for name, count in sorted(gathered.read.items()):
            work.count(f"read_{name}", count)
        if gathered.rejected:
            work.count("rejected_lines", len(gathered.rejected))
        for name, count in write_knowledge(work.dir, knowledge).items():
            work.count(f"kept_{name}", count)
        stray = sum(row.events_in_no_session for row in knowledge.trail)
        if stray:
            work.count("log_entries_in_no_session", stray)
        if config.timelines:
            progress("joining the timeline of each customer")
            _write_timelines(work, raw, gathered, knowledge, config)
        for reason, count in sorted(gathered.dropped.items()):
            work.drop(reason, count)
    work_folder.clear()
    return read_manifest(out)


def _knowledge(found: Gathered, config: ExtractConfig, progress: Progress) -> Knowledge:
    customers = {customer.customer: customer for _, raw, _ in found.raw for customer in raw.customers}
    dialogues = [dialogue for *_, cleaned in found.raw for dialogue in cleaned.dialogues]
    events = [event for *_, cleaned in found.raw for event in cleaned.events]
    outcomes = [outcome for *_, cleaned in found.raw for outcome in cleaned.outcomes]
    trail = [Trail(**row, source=source) for source, _, cleaned in found.raw for row in cleaned.trail]
    duplicates = [Duplicate(**row) for *_, cleaned in found.raw for row in cleaned.duplicates]
    dropped = [row for *_, cleaned in found.raw for row in cleaned.dropped_rows]
    progress("splitting")
    splits, unusable = _split(dialogues, duplicates, customers, config)
    for dialogue in dialogues:
        if dialogue.id in unusable:
            found.dropped[unusable[dialogue.id]] += 1
            reason = unusable[dialogue.id]
            dropped.append({"id": dialogue.id, "reason": reason, "dialogue": dialogue.model_dump(mode="json")})
    dialogues = [dialogue for dialogue in dialogues if dialogue.id not in unusable]
    events = [event for event in events if event.case not in unusable]
    outcomes = [outcome for outcome in outcomes if outcome.case not in unusable]
    learned = [dialogue for dialogue in dialogues if splits[dialogue.customer] != "test"]
    progress("mining practices and procedures")
    quarantine = [
        Quarantined(**row) for *_, cleaned in found.raw for row in cleaned.quarantine if row["dialogue"] not in unusable
    ]
    breaches: dict[tuple[str, int], frozenset[str]] = {}
    for row in quarantine:
        breaches[row.dialogue, row.turn] = breaches.get((row.dialogue, row.turn), frozenset()) | {row.rule}
    ours = {dialogue.id for dialogue in learned}
    others = [dialogue for dialogue in dialogues if dialogue.id not in ours]
    after_the_call = {*config.practices.exclude_activities, config.inspection_activity}
    events, clocks = align(learned, events, after_the_call, others)
    situations = _situations(learned, dialogues, events, outcomes, config)
    mined, without_reason = cases(learned, events, outcomes, customers, config.practices, told(situations))
    found.dropped.update(without_reason)
    practices = mine(mined, config.practices, breaches)
    everyone = {dialogue.id for dialogue in dialogues}
    held_out = everyone - ours
    logged = [event for event in events if event.case not in held_out] if learned or not dialogues else []
    done, not_joined = join_cases(logged, learned, customers, config.procedures, config.practices, config.strata_fields)
    found.dropped.update(not_joined)
    law_splits = split_groups([d.parsed.document for d in found.documents if d.strength == "law"], config.split)
    instruction_splits = split_groups({row.document for row in found.instructions}, config.split)
    return Knowledge(
        clauses=[clause for document in found.documents for clause in document.parsed.clauses],
        terms=[term for document in found.documents for term in document.terms()],
        quality_rules=found.tables,
        practices=practices,
        situations=situations,
        conclusions=conclude(mined, practices, events, everyone, customers, clocks, config.practices),
        procedures=mine_procedures(done, config.procedures, outcomes, config.practices.strata),
        dialogues=dialogues,
        events=events,
        outcomes=outcomes,
        customers=[_strata(name, customers, splits[name], config) for name in sorted(splits)],
        accounts=[account for _, raw, _ in found.raw for account in raw.accounts],
        documents=[document.info(law_splits.get(document.parsed.document)) for document in found.documents],
        instructions=[
            Instruction(**row._asdict(), split=instruction_splits[row.document]) for row in found.instructions
        ],
        trail=[row for row in trail if row.id not in unusable],
        quarantine=quarantine,
        duplicates=_duplicates(dialogues, duplicates),
        dropped=dropped,
        rejected=found.rejected,
    )


def _situations(
    learned: Sequence[Dialogue],
    dialogues: Sequence[Dialogue],
    events: Sequence[Event],
    outcomes: Sequence[Outcome],
    config: ExtractConfig,
) -> list[InferredSituation]:
    """Situations by the words of the dialogues whose outcome or reason is known, where the configuration asks for them.

    Of those that are learned from, by themselves; the others, which are tested on, are read with what these taught.
    """
    if config.practices.situation == "logged":
        return []
    from data_recipes.experience.situations import SituationsConfig, infer_situations, logged_reasons

    known = logged_reasons(learned, events, config.practices)
    wanted = {outcome.case for outcome in outcomes if outcome.name == config.practices.outcome} | set(known)
    ours = {dialogue.id for dialogue in learned}
    found = infer_situations([d for d in learned if d.id in wanted], known, SituationsConfig())
    held_out = [d for d in dialogues if d.id in wanted - ours]
    if held_out:
        everyone = infer_situations([d for d in dialogues if d.id in wanted], known, SituationsConfig())
        found = {**found, **{case: inferred for case, inferred in everyone.items() if case not in ours}}
    return [
        InferredSituation(
            dialogue=case,
            situation=one.situation,
            turn=one.turn,
            probability=one.probability,
            otherwise=one.otherwise,
        )
        for case, one in sorted(found.items())
    ]


def _split(
    dialogues: Sequence[Dialogue],
    duplicates: Sequence[Duplicate],
    customers: Mapping[str, Customer],
    config: ExtractConfig,
) -> tuple[dict[str, Split], dict[str, str]]:
    """Customer -> split, and dialogue -> why it stands in none.

    Dialogues hang together by customer and by near duplicate, so a customer with dialogues has one split.
    """
    first = {row.id: row.first for row in duplicates}
    holdout = config.split.holdout

    def held_out(customer: str) -> bool:
        record = customers.get(customer)
        return holdout is not None and record is not None and str(record.field(holdout.field)) in holdout.values

    _check_holdout(dialogues, customers, held_out, config)
    rows = [
        LinkedRow(
            id=dialogue.id,
            links=(f"customer:{dialogue.customer}", f"near_duplicate:{first.get(dialogue.id, dialogue.id)}"),
            held_out=held_out(dialogue.customer),
            at=dialogue.started_at,
        )
        for dialogue in dialogues
    ]
    found = split_rows(rows, config.split)
    splits: dict[str, Split] = {name: "test" if held_out(name) else "train" for name in customers}
    splits |= dict.fromkeys((dialogue.customer for dialogue in dialogues), "train")
    splits |= {d.customer: found.splits[d.id] for d in dialogues if d.id in found.splits}
    return splits, found.dropped


def _duplicates(dialogues: Sequence[Dialogue], found: Sequence[Duplicate]) -> list[Duplicate]:
    """Near duplicates among the dialogues that are left: where the first one of all is gone, the next takes its place,
    so that one of them is still built from."""
    cluster = {row.id: row.first for row in found}
    firsts: dict[str, str] = {}
    left = []
    for dialogue in dialogues:
        first = firsts.setdefault(cluster.get(dialogue.id, dialogue.id), dialogue.id)
        if first != dialogue.id:
            left.append(Duplicate(id=dialogue.id, first=first))
    return left


def _check_holdout(
    dialogues: Sequence[Dialogue],
    customers: Mapping[str, Customer],
    held_out: Callable[[str], bool],
    config: ExtractConfig,
) -> None:
    holdout = config.split.holdout
    if holdout is None or not dialogues:
        return
    names = {dialogue.customer for dialogue in dialogues}
    held = sum(map(held_out, names))
    if held in (0, len(names)):
        found = sorted({str(record.field(holdout.field)) for record in customers.values()})[:10]
        raise DataError(
            f"split.holdout: {held} of {len(names)} customers have {holdout.field} in {sorted(holdout.values)}",
            f"values found in customers.jsonl: {', '.join(found) or 'none'}; leave holdout out to split by fraction",
        )


def _write_timelines(work: Work, raw: Path, found: Gathered, knowledge: Knowledge, config: ExtractConfig) -> None:
    """Timelines and profile proposals. They need dialogues as they were said: what is masked proves nothing."""
    from data_recipes.timeline import TimelineSources, write_timelines

    # A timeline tells of dialogues as they came: their sessions are one.
    whole = {row.id: uncut(row.id) for row in knowledge.trail if row.first_turn}
    material = [item for _, item, _ in found.raw]
    names = ("accounts", "contacts", "records", "documents")
    sources = TimelineSources(
        dialogues=SpokenDialogues(raw, knowledge.trail, config.clean.max_line_mib << 20),
        events=[_in_case(event, whole) for event in knowledge.events],
        outcomes=[_in_case(outcome, whole) for outcome in knowledge.outcomes],
        customers=[row for item in material for row in item.customers],
        accounts=[row for item in material for row in item.accounts],
        contacts=[row for item in material for row in item.contacts],
        records=[row for item in material for row in item.records],
        documents=[row for item in material for row in item.documents],
        identity_fields=config.identity_fields,
        dialogue_lines={whole.get(row.id, row.id): row.line for row in knowledge.trail},
        lines={name: [line for item in material for line in item.lines.get(name, ())] for name in names},
    )
    breaches = Counter(whole.get(row.dialogue, row.dialogue) for row in knowledge.quarantine)
    rows, lost = write_timelines(work.dir, sources, breaches)
    for name, count in sorted(rows.items()):
        work.count(f"kept_{name}", count)
    for reason, count in sorted(lost.items()):
        work.drop(reason, count)


def _in_case(row: Logged, whole: Mapping[str, str]) -> Logged:
    return row.model_copy(update={"case": whole[row.case]}) if row.case in whole else row


def _strata(name: str, records: Mapping[str, Customer], split: str, config: ExtractConfig) -> Customer:
    record = records.get(name)
    known = {key: record.field(key) for key in config.strata_fields if record and record.field(key) is not None}
    return Customer.model_validate({"customer": name, "split": split, **known})
