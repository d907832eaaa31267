"""The dataset's card: what is in it, where it comes from, what it may be used for, and what was checked."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from data_recipes.knowledge import DocumentInfo
from data_recipes.mixing import TaskShare
from data_recipes.publish.columns import COLUMNS, PREFERENCE_COLUMNS
from data_recipes.publish.lengths import LengthSummary
from data_recipes.publish.licences import LedgerEntry
from tianjing.dataset import SPLITS, preference_file
from tianjing.records import Example, Preference
from tianjing.tasks import TASKS

_CATEGORIES = {
    "policy_qa": "question-answering",
    "finance_qa": "question-answering",
    "call_summary": "summarization",
    "next_reply": "text-generation",
    "mediation": "text-generation",
    "negotiation": "text-generation",
}
_OTHER_CATEGORY = "text-classification"
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
# Where a hub's name of a licence is not its SPDX identifier in lower case.
_HUB_LICENCES = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl"}
_PAIRS = {
    "config_name": "preferences",
    "data_files": [{"split": split, "path": preference_file(split)} for split in SPLITS],
}
_PLACEHOLDER = re.compile(r"〔([^〕\d]{1,6})\d*〕")


@dataclass(frozen=True)
class CardFacts:
    """What a card tells. A part that was not done (no evaluation set named, no tokenizer) is said to be not done."""

    rows: Sequence[Example]
    pairs: Sequence[Preference] = ()
    """Preference pairs, in files of their own."""
    documents: Sequence[DocumentInfo] = ()
    dialogues: int = 0
    """Dialogues read."""
    instructions: int = 0
    """Open instructions read."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows dropped by reason."""
    ledger: Sequence[LedgerEntry] = ()
    shares: Sequence[TaskShare] = ()
    lengths: Sequence[LengthSummary] = ()
    tokenizer: str = ""
    """Base model whose tokenizer counted."""
    quarantined: Mapping[str, int] | None = None
    """Rule of the rulebook -> what was set aside for it; None where the rulebook was not run."""
    contamination: Mapping[str, int] | None = None
    """Evaluation set -> rows dropped because they stand in it; None where no set was named."""
    teacher: str = ""
    """Model that wrote wordings."""
    teacher_counts: Mapping[str, int] = field(default_factory=dict)


def card(facts: CardFacts) -> str:
    """README.md: the front matter that hubs and `datasets.load_dataset` read, then the page for people."""
    parts = (
        _tasks(facts.rows),
        _loading(),
        _preferences(facts.pairs),
        _mixture(facts.shares),
        _lengths(facts),
        _splits(facts.rows),
        _licences(facts.ledger),
        _personal_data(facts.rows, facts.dropped),
        _compliance(facts.quarantined),
        _decontamination(facts.contamination),
        _teacher(facts),
        _dropped(facts.dropped),
        _sources(facts),
    )
    lines = [line for part in parts for line in (*part, "")]
    return "\n".join([front_matter(facts.rows, facts.ledger, facts.pairs), "# Instruction dataset", "", *lines])


def front_matter(rows: Sequence[Example], ledger: Sequence[LedgerEntry], pairs: Sequence[Preference] = ()) -> str:
    """The YAML block: language, licence, task and size categories, and one file a split; pairs are a configuration."""
    size = next((name for limit, name in _SIZES if len(rows) < limit), "n>10M")
    known = licences(ledger)
    hub = [_HUB_LICENCES.get(name, name) for name in (re.sub(r"-only$", "", spdx.lower()) for spdx in known)]
    plain = bool(hub) and not any(" " in name or "licenseref" in name for name in hub) and not _unnamed(ledger)
    block = {
        "pretty_name": "Instruction dataset",
        "language": ["zh"],
        "license": (hub if len(hub) > 1 else hub[0]) if plain else "other",
        **({} if plain else {"license_name": "see-ledger", "license_link": "licences.json"}),
        "task_categories": sorted({_CATEGORIES.get(row.task, _OTHER_CATEGORY) for row in rows}),
        "size_categories": [size],
        "configs": [
            {
                "config_name": "default",
                "default": True,
                "data_files": [{"split": split, "path": f"{split}.parquet"} for split in SPLITS],
            },
            *([_PAIRS] if pairs else []),
        ],
    }
    return f"---\n{yaml.safe_dump(block, allow_unicode=True, sort_keys=False)}---\n"


def licences(ledger: Sequence[LedgerEntry]) -> list[str]:
    """SPDX expressions of the sources that gave rows."""
    return sorted({entry.spdx for entry in ledger if entry.spdx and entry.rows})


def _unnamed(ledger: Sequence[LedgerEntry]) -> bool:
    return any(entry.rows and not entry.spdx for entry in ledger)


def shared_between_splits(rows: Iterable[Example]) -> dict[str, int]:
    """How many groups, source lines and (task by task) surfaces stand in more than one split."""
    where: dict[str, dict[str, set[str]]] = {name: defaultdict(set) for name in ("groups", "source lines", "surfaces")}
    for row in rows:
        where["groups"][row.group].add(row.split)
        for source in row.sources:
            where["source lines"][source].add(row.split)
        if row.split != "validation":  # validation watches training; only what is tested on must be unseen
            where["surfaces"][f"{row.task}|{row.surface}"].add(row.split)
    return {name: sum(len(splits) > 1 for splits in found.values()) for name, found in where.items()}


def _tasks(rows: Sequence[Example]) -> Iterator[str]:
    number = Counter((row.task, row.split) for row in rows)
    built = sorted({row.task for row in rows})
    yield from _table(
        ("task", *SPLITS, "groups"),
        (
            (
                f"{TASKS[task].title} `{task}`",
                *(number[task, split] for split in SPLITS),
                len({row.group for row in rows if row.task == task}),
            )
            for task in built
        ),
    )
    yield ""
    yield "What the model is told in each:"
    yield ""
    for task in built:
        yield f"- `{task}`: {TASKS[task].system().splitlines()[0]}"


def _loading() -> Iterator[str]:
    yield from ("## Loading", "", "```python", "from datasets import load_dataset", "")
    yield from ('rows = load_dataset("THIS_FOLDER")  # rows["train"][0]["messages"]', "```", "")
    yield from _table(("column", "meaning"), ((f"`{column.name}`", column.meaning) for column in COLUMNS))


def _preferences(pairs: Sequence[Preference]) -> Iterator[str]:
    if not pairs:
        return
    yield from ("## Preference pairs", "")
    yield "Configuration `preferences`: to the prompt of a next reply, the answer that worked (`chosen`) and one that"
    yield "did not (`rejected`), as TRL's `DPOTrainer` reads it, and its `KTOTrainer` unpaired."
    yield ""
    number = Counter((str(pair.why), pair.split) for pair in pairs)
    kinds = {
        "harmful": "its act goes with a worse outcome",
        "other": "another act than the practice, and the promise was not kept",
        "breach": "it breaks a rule (`rules`)",
    }
    yield from _table(
        ("rejected because", *SPLITS),
        ((meaning, *(number[why, split] for split in SPLITS)) for why, meaning in kinds.items()),
    )
    yield ""
    yield from _table(("column", "meaning"), ((f"`{column.name}`", column.meaning) for column in PREFERENCE_COLUMNS))


def _mixture(shares: Sequence[TaskShare]) -> Iterator[str]:
    if not shares:
        return
    yield from ("## Mixture of the training split", "")
    yield from _table(
        ("task", "rows there were", "rows taken", "weight", "share asked", "share got"),
        (
            (s.task, s.available_rows, s.rows, f"{s.weight:g}", f"{100 * s.asked:.1f} %", f"{100 * s.got:.1f} %")
            for s in shares
        ),
    )


def _lengths(facts: CardFacts) -> Iterator[str]:
    yield from ("## Length in tokens", "")
    if not facts.lengths:
        yield "Not counted: no base model was named."
        return
    yield f"Prompt and answer under the tokenizer and chat template of `{facts.tokenizer}`:"
    yield ""
    yield from _table(
        ("task", "rows", "median", "95th percentile", "longest", "median of the answer"),
        ((s.task, s.rows, s.median, s.p95, s.longest, s.answer_median) for s in facts.lengths),
    )


def _splits(rows: Sequence[Example]) -> Iterator[str]:
    yield from ("## Splits", "", "Counted again over the rows written:", "")
    meaning = {
        "groups": "customers and held-out documents in two splits",
        "source lines": "source lines in two splits",
        "surfaces": "surfaces of a task in both training and test rows",
    }
    yield from (f"- {meaning[name]}: {count}" for name, count in shared_between_splits(rows).items())


def _licences(ledger: Sequence[LedgerEntry]) -> Iterator[str]:
    if not ledger:
        return
    yield from ("## Licences", "")
    yield from _table(
        ("source", "kind", "licence as given", "class", "use", "by", *SPLITS),
        (
            (e.source, e.kind, e.licence or "none", e.licence_class, e.use, e.rule, *(e.rows.get(s, 0) for s in SPLITS))
            for e in ledger
        ),
    )
    bound = [entry for entry in ledger if entry.rows and entry.licence_class in ("share-alike", "copyleft")]
    if bound:
        yield ""
        yield f"Passing these rows on binds to the terms of: {', '.join(_cell(entry.source) for entry in bound)}."


def _personal_data(rows: Sequence[Example], dropped: Mapping[str, int]) -> Iterator[str]:
    yield from ("## Personal data", "")
    yield "Personal data that was found is replaced by typed placeholders such as 〔手机1〕. The data is de-identified,"
    yield "not anonymised (个人信息保护法 第七十三条): what is left may point to a person and stays personal data."
    found: Counter[str] = Counter()
    touched = 0
    for row in rows:
        kinds = [kind for message in row.messages for kind in _PLACEHOLDER.findall(message.content)]
        found.update(kinds)
        touched += bool(kinds)
    left_out = sum(count for reason, count in dropped.items() if reason.endswith("personal_data"))
    yield ""
    yield f"- rows with a placeholder: {touched} of {len(rows)}"
    yield f"- rows dropped because personal data was found in them once more: {left_out}"
    yield from (f"- placeholders 〔{kind}〕: {count}" for kind, count in sorted(found.items()))


def _compliance(quarantined: Mapping[str, int] | None) -> Iterator[str]:
    yield from ("## Quarantined by rule", "")
    if quarantined is None:
        yield "The rulebook was not run over this material."
    elif not quarantined:
        yield "The rulebook was run and found no breach."
    else:
        yield from _table(("rule", "set aside"), sorted(quarantined.items()))


def _decontamination(contamination: Mapping[str, int] | None) -> Iterator[str]:
    yield from ("## Decontamination", "")
    if not contamination:
        yield "No evaluation set was named, so the rows were checked against none."
    else:
        yield from _table(("evaluation set", "rows dropped"), sorted(contamination.items()))


def _teacher(facts: CardFacts) -> Iterator[str]:
    written = Counter(row.split for row in facts.rows if row.origin == "teacher")
    yield from ("## Wording by a teacher", "")
    if not facts.teacher:
        yield "None: every wording is people's or a template's (column `origin`)."
        return
    yield f"{sum(written.values())} rows of the training split hold wording that `{facts.teacher}` wrote from the cited"
    yield "clause alone; every answer is in `teacher.jsonl`, every rejected one in `teacher_rejected.jsonl`."
    yield ""
    yield from _table(("outcome", "number"), sorted(facts.teacher_counts.items()))


def _dropped(dropped: Mapping[str, int]) -> Iterator[str]:
    if dropped:
        yield from ("## Dropped", "")
        yield from _table(("reason", "rows"), dropped.items())


def _sources(facts: CardFacts) -> Iterator[str]:
    yield from ("## Sources", "")
    for info in facts.documents:
        yield f"- {_cell(info.document)} ({info.strength}, {info.articles} articles)"
    yield f"- {facts.dialogues} dialogues, {facts.instructions} open instructions"
    yield "- `manifest.json` holds the digests of all files and of the knowledge they were built from;"
    yield "  `tianjing lineage show` walks back to the raw files"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(_cell(str(value)) for value in row)} |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
