"""A knowledge artefact as a view: one tab for each kind of record, and for all that was set aside."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from data_recipes.browse.dataset import Contents, left_out_entry
from data_recipes.browse.view import Drawing, Entry, Lengths, Sample, Selection, Source, Tab, Table, contains, shown
from data_recipes.errors import DataError
from data_recipes.experience.procedures.chart import label
from data_recipes.experience.procedures.svg import svg
from data_recipes.knowledge import DocumentInfo, Duplicate, Instruction, QualityRule, Quarantined, Term, Trail
from tianjing.files import read_jsonl
from tianjing.records import Branch, Clause, Customer, Dialogue, Event, Outcome, Practice, Procedure, StepOutcome

Record = TypeVar("Record", bound=BaseModel)


def knowledge_contents(folder: Path, selection: Selection) -> Contents:
    """Read every file once and keep a sample of each; `split` and `task` select nothing here but what has one.

    Raises:
        TianjingError: a file is missing or damaged.
    """
    reader = _Reader(folder, selection)
    tabs = tuple(tab for tab in reader.tabs() if tab.total)
    rows = tuple((tab.title, f"{tab.total:,}") for tab in tabs)
    tables = (
        Table("内容 contents", ("表 table", "行 rows"), rows),
        Table(
            "规则文件 rule documents",
            ("文件 document", "效力 strength", "条款 articles", "许可 licence", "切分 split", "缺号 gaps"),
            tuple(
                (d.document, d.strength, f"{d.articles:,}", d.licence or "–", d.split or "–", "、".join(d.gaps) or "–")
                for d in reader.documents
            ),
        ),
    )
    drawings = tuple(Drawing(procedure.task, svg(procedure)) for procedure in reader.procedures)
    lengths = (Lengths("每通对话长度 length of a dialogue", "字 characters", reader.characters),)
    return Contents(tables, lengths if reader.characters else (), tabs, (), drawings)


def records(folder: Path, name: str, model: type[Record]) -> Iterator[Record]:
    """The records of one file of a knowledge artefact.

    Raises:
        DataError: it has no such file.
        TianjingError: a line does not fit, naming it.
    """
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise DataError(
            f"{path}: missing, so another version wrote this knowledge", "extract it again with this version"
        )
    return read_jsonl(path, model)


class _Reader:
    """Streams the files of one artefact; what hangs on a dialogue is read for the chosen ones only."""

    def __init__(self, folder: Path, selection: Selection):
        self.folder = folder
        self.selection = selection
        self.characters: list[int] = []
        self.documents: list[DocumentInfo] = []
        self.procedures: list[Procedure] = []

    def tabs(self) -> Iterator[Tab]:
        self.documents = list(self._read("documents", DocumentInfo))
        splits = {row.customer: str(row.field("split") or "") for row in self._read("customers", Customer)}
        quarantine = list(self._read("quarantine", Quarantined))
        held_out = {info.document: info.split or "" for info in self.documents}
        yield self._tab(
            "clauses", "条款 clauses", Clause, lambda c: (c.document,), _clause, lambda c: held_out.get(c.document, "")
        )
        yield self._tab("practices", "做法 practices", Practice, lambda p: (p.situation,), _practice)
        self.procedures = [p for p in self._read("procedures", Procedure) if self._fits(p, "")][: self.selection.limit]
        yield self._tab("procedures", "流程 procedures", Procedure, lambda p: (), _procedure)
        yield self._tab("quality_rules", "质检项 quality rules", QualityRule, lambda r: (), _quality_rule)
        yield self._dialogues(splits, quarantine)
        yield self._tab(
            "instructions",
            "指令 instructions",
            Instruction,
            lambda r: (r.kind, r.split),
            _instruction,
            lambda r: r.split,
        )
        yield self._tab("terms", "术语 terms", Term, lambda t: (t.document,), _term)
        yield self._quarantine(quarantine)
        yield self._tab("duplicates", "近重复 near duplicates", Duplicate, lambda d: (), _duplicate)
        for name, title in (("dropped", "剔除 dropped"), ("rejected", "坏行 rejected lines")):
            yield self._plain(name, title)

    def _read(self, name: str, model: type[Record]) -> Iterator[Record]:
        return records(self.folder, name, model)

    def _fits(self, record: BaseModel, split: str) -> bool:
        return self.selection.split in (None, split or None) and (
            not self.selection.where or contains(record.model_dump(mode="json"), self.selection.where)
        )

    def _tab(
        self,
        name: str,
        title: str,
        model: type[Record],
        cell: Callable[[Record], tuple[str, ...]],
        entry: Callable[[Record], Entry],
        split: Callable[[Record], str] = lambda record: "",
    ) -> Tab:
        sample: Sample[Record] = Sample(self.selection.limit)
        for record in self._read(name, model):
            sample.total += 1
            if self._fits(record, split(record)):
                sample.add(cell(record), str(getattr(record, "id", sample.total)), record)
        return Tab(name, title, sample.total, sample.matched, tuple(map(entry, sample.chosen())))

    def _dialogues(self, splits: dict[str, str], quarantine: Iterable[Quarantined]) -> Tab:
        sample: Sample[Dialogue] = Sample(self.selection.limit)
        for dialogue in self._read("dialogues", Dialogue):
            sample.total += 1
            self.characters.append(sum(len(turn.text) for turn in dialogue.turns))
            split = splits.get(dialogue.customer, "")
            if self._fits(dialogue, split):
                sample.add((split,), dialogue.id, dialogue)
        chosen = sample.chosen()
        wanted = {dialogue.id for dialogue in chosen}
        facts: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for trail in self._read("trail", Trail):
            if trail.id in wanted:
                facts[trail.id] += [
                    ("原文 raw line", f"{trail.source}/{trail.file}:{trail.line}".removeprefix("./")),
                    ("语言与质量 language, quality", f"{trail.language} {trail.quality:.2f}"),
                    *([("换边 relabelled", str(trail.relabelled))] if trail.relabelled else []),
                ]
        for outcome in self._read("outcomes", Outcome):
            if outcome.case in wanted:
                facts[outcome.case].append((f"结果 {outcome.name}", f"{outcome.value:g}"))
        for event in self._read("events", Event):
            if event.case in wanted:
                attributes = " ".join(f"{key}={value}" for key, value in event.attributes.items())
                facts[event.case].append(
                    (f"{event.at:%m-%d %H:%M:%S}", shown(f"{event.activity} {attributes}".strip()))
                )
        breaches: dict[str, list[Quarantined]] = defaultdict(list)
        for row in quarantine:
            breaches[row.dialogue].append(row)
        entries = tuple(
            _dialogue(dialogue, splits.get(dialogue.customer, ""), facts[dialogue.id], breaches[dialogue.id])
            for dialogue in chosen
        )
        return Tab("dialogues", "对话 dialogues", sample.total, sample.matched, entries)

    def _quarantine(self, rows: Iterable[Quarantined]) -> Tab:
        """What broke a rule, in the turns around it."""
        sample: Sample[Quarantined] = Sample(self.selection.limit)
        for row in rows:
            sample.total += 1
            if self._fits(row, ""):
                sample.add((row.rule,), f"{row.dialogue}#{row.turn}", row)
        chosen = sample.chosen()
        wanted = {row.dialogue for row in chosen}
        dialogues = {d.id: d for d in self._read("dialogues", Dialogue) if d.id in wanted}
        entries = tuple(_quarantined(row, dialogues.get(row.dialogue)) for row in chosen)
        return Tab("quarantine", "隔离 quarantine", sample.total, sample.matched, entries)

    def _plain(self, name: str, title: str) -> Tab:
        sample: Sample[dict[str, Any]] = Sample(self.selection.limit)
        with open(self.folder / f"{name}.jsonl", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                sample.total += 1
                if contains(row, self.selection.where):
                    reason = str(row.get("reason") or row.get("error") or "")
                    sample.add((reason,), str(row.get("id") or sample.total), row)
        return Tab(name, title, sample.total, sample.matched, tuple(map(left_out_entry, sample.chosen())))


def _clause(clause: Clause) -> Entry:
    facts = [("情态 modality", clause.modality), ("主体 subject", clause.subject)]
    facts += [("条件 condition", condition) for condition in clause.conditions]
    facts.append(("例外 exception", clause.exception))
    for quantity in clause.quantities:
        value = f"{quantity.comparator} {quantity.value:g} {quantity.unit} {quantity.period}".strip()
        facts.append((f"数量 {quantity.kind}", f"{quantity.text} → {value}"))
    facts += [
        ("引用 reference", f"{r.text} → {'、'.join(r.clause_ids) or r.document or '未找到 not found'}")
        for r in clause.references
    ]
    facts += [("定义 definition", f"{one.term}：{one.meaning}") for one in clause.definitions]
    facts.append(("施行 in force", f"{clause.effective_from or ''} – {clause.effective_to or ''}".strip(" –")))
    page = f" 第{clause.span.page}页" if clause.span.page else ""
    facts.append(("出处 span", f"{clause.span.file} {clause.span.start}–{clause.span.end}{page}"))
    return Entry(
        id=clause.id,
        title=f"《{clause.document}》{' '.join(clause.path)}",
        source=clause.document,
        rule=clause.modality,
        messages=(("clause", shown(clause.text)),),
        facts=tuple((name, value) for name, value in facts if value),
        marks=tuple(dict.fromkeys(quantity.text for quantity in clause.quantities)),
    )


def _practice(practice: Practice) -> Entry:
    support = practice.support
    return Entry(
        id=practice.id,
        title=f"{practice.situation}：{practice.action} → {practice.outcome}",
        rule=practice.verdict,
        facts=(
            ("结论 verdict", " ".join((practice.verdict, *practice.rules))),
            ("效应 effect", f"{practice.effect:+.3f} [{practice.ci_low:+.3f}, {practice.ci_high:+.3f}]"),
            ("q", f"{practice.q:.3g}{' 探索性 exploratory' if practice.exploratory else ''}"),
            ("结果率 rate with, without", f"{practice.rate_treated:.1%}, {practice.rate_control:.1%}"),
            ("支持 cases, treated, agents", f"{support.cases}, {support.treated}, {support.agents}"),
            ("分层 strata", "、".join(practice.strata)),
            ("例子 exemplars", "、".join(practice.exemplars)),
        ),
    )


def _procedure(procedure: Procedure) -> Entry:
    return Entry(
        id=procedure.id,
        title=procedure.task,
        messages=(("steps", " → ".join(map(label, procedure.steps))),),
        facts=(
            ("支持 support", f"{procedure.support:,}"),
            ("合规 conform", f"{procedure.coverage:.1%}（平均 mean fitness {procedure.fitness:.3f}）"),
            ("可省 optional", "、".join(map(label, procedure.optional)) or "–"),
            ("反复 repeated", "、".join(map(label, procedure.repeated)) or "–"),
            ("先后 order", "；".join(f"{label(before)} < {label(after)}" for before, after in procedure.order) or "–"),
            *((f"分支 after {label(branch.after)}", _ways(branch)) for branch in procedure.branches),
            (
                f"变体 variants ({procedure.distinct_variants:,})",
                "\n".join(f"{v.count} × {' → '.join(map(label, v.steps))}" for v in procedure.variants[:3]) or "–",
            ),
            ("相关 associated", "；".join(_association(row) for row in procedure.separating if row.q <= 0.05) or "–"),
        ),
    )


def _ways(branch: Branch) -> str:
    return "；".join(
        f"{label(option.step) or '省去 left out'} {option.share:.0%}{option.condition and f'（{option.condition}）'}"
        for option in branch.options
    )


def _association(row: StepOutcome) -> str:
    unsure = "，探索性 exploratory" if row.exploratory else ""
    interval = f"[{row.ci_low:+.3f}, {row.ci_high:+.3f}]"
    return f"{label(row.step)}：{row.outcome} {row.difference:+.3f} {interval} q {row.q:.2g}{unsure}"


def _quality_rule(rule: QualityRule) -> Entry:
    return Entry(id=rule.id, title=rule.title, rule=rule.id, messages=(("clause", rule.text),))


def _instruction(row: Instruction) -> Entry:
    return Entry(
        id=row.id,
        split=row.split,
        task=row.kind,
        source=row.source,
        messages=(("user", shown(row.prompt)), ("assistant", shown(row.answer))),
        facts=(("文件 document", row.document), ("许可 licence", row.licence or "未注明 not stated")),
    )


def _term(term: Term) -> Entry:
    return Entry(id=term.clause, title=term.term, source=term.document, messages=(("clause", term.meaning),))


def _duplicate(row: Duplicate) -> Entry:
    return Entry(id=row.id, title=f"{row.id} ≈ {row.first}")


def _dialogue(
    dialogue: Dialogue, split: str, facts: Iterable[tuple[str, str]], breaches: Iterable[Quarantined]
) -> Entry:
    found = list(breaches)
    return Entry(
        id=dialogue.id,
        title=f"{dialogue.channel} {dialogue.started_at:%Y-%m-%d %H:%M}",
        split=split,
        rule=found[0].rule if found else "",
        messages=tuple((turn.speaker, shown(turn.text)) for turn in dialogue.turns),
        facts=(
            ("客户 customer", dialogue.customer),
            ("坐席 agent", dialogue.agent),
            *((f"隔离 #{row.turn}", f"{row.rule}（{row.severity}）") for row in found),
            *facts,
        ),
        marks=tuple(dict.fromkeys(row.evidence for row in found if row.evidence)),
    )


def _quarantined(row: Quarantined, dialogue: Dialogue | None) -> Entry:
    turns = dialogue.turns if dialogue else ()
    near = [(number, turns[number]) for number in range(max(0, row.turn - 2), min(len(turns), row.turn + 2))]
    return Entry(
        id=f"{row.dialogue}#{row.turn}",
        rule=row.rule,
        reason=row.severity,
        facts=(("规则 rule", row.rule), ("级别 severity", row.severity), ("处置 action", row.action)),
        marks=(row.evidence,) if row.evidence else (),
        sources=(Source(row.dialogue, "", tuple((turn.speaker, shown(turn.text), n == row.turn) for n, turn in near)),),
    )
