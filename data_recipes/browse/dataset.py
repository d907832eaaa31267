"""A dataset artefact as a view: rows with their conversation and what they rest on, and the rows left out."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_recipes.browse.view import Drawing, Entry, Lengths, Sample, Selection, Source, Tab, Table, contains, shown
from data_recipes.errors import DataError
from data_recipes.knowledge import KIND as KNOWLEDGE
from tianjing.dataset import SPLITS, preference_file, read_preferences, stream_examples
from tianjing.files import canonical_json, read_jsonl
from tianjing.lineage import Manifest, is_artefact, read_manifest
from tianjing.lineage.verification import locate
from tianjing.records import Clause, Dialogue, Example, Preference
from tianjing.tasks import TASKS

_TURNS_AROUND = 1
# In a reference these name something or are said in its place: no words of the conversation.
_NAMES = {
    "clause_id",
    "clause_label",
    "rule",
    "title",
    "act",
    "act_wording",
    "practice",
    "route",
    "label",
    "intent",
    "situation",
    "reply",
    "rewrite",
}
_LEFT_OUT = {"rejected.jsonl": "剔除 rejected", "teacher_rejected.jsonl": "教师剔除 teacher rejected"}


class Contents(NamedTuple):
    """What a kind of artefact adds to a view."""

    tables: tuple[Table, ...]
    lengths: tuple[Lengths, ...]
    tabs: tuple[Tab, ...]
    notes: tuple[str, ...]
    drawings: tuple[Drawing, ...] = ()


def dataset_contents(folder: Path, manifest: Manifest, selection: Selection) -> Contents:
    """Read every row once and keep a sample.

    Raises:
        DataError: no row is of the task that is selected.
        TianjingError: a split is missing or damaged.
    """
    sample: Sample[Example] = Sample(selection.limit)
    counts: Counter[tuple[str, str]] = Counter()
    licences: Counter[tuple[str, str]] = Counter()
    characters: dict[str, list[int]] = defaultdict(list)
    tokens: list[int] = []
    for split in SPLITS:
        for row in stream_examples(folder / f"{split}.parquet"):
            sample.total += 1
            counts[row.task, row.split] += 1
            licences[row.licence or "未注明 not stated", row.source or "–"] += 1
            characters[row.task].append(sum(len(message.content) for message in row.messages[1:]))
            if row.tokens is not None:
                tokens.append(row.tokens.total)
            if _fits(row, selection):
                sample.add((row.task, row.split), row.id, row)
    chosen = sample.chosen()
    sources, note = _sources(folder, manifest, chosen)
    rows = Tab("rows", "数据 rows", sample.total, sample.matched, tuple(_entry(row, sources) for row in chosen))
    tabs = (rows, *_pairs(folder, selection), *_left_out(folder, selection))
    tasks = sorted({task for task, _ in counts})
    if selection.task is not None and selection.task not in tasks and not any(tab.matched for tab in tabs):
        raise DataError(f"{folder}: no row of task '{selection.task}'", f"tasks here: {', '.join(tasks)}")
    tables = (
        _task_table(counts),
        _figures("许可 licences", ("许可 licence", "来源 source", "行 rows"), licences),
    )
    return Contents(
        tables,
        tuple(_lengths(tokens, characters)),
        tabs,
        (note,) if note else (),
    )


def _fits(row: Example, selection: Selection) -> bool:
    return (
        selection.split in (None, row.split)
        and selection.task in (None, row.task)
        and (not selection.where or contains(row.model_dump(mode="json"), selection.where))
    )


def _lengths(tokens: list[int], characters: Mapping[str, list[int]]) -> Iterator[Lengths]:
    if tokens:
        yield Lengths("每行长度 length of a row, prompt and answer", "词元 tokens", tokens)
    yield Lengths(
        "每行长度 length of a row, without the system message",
        "字 characters",
        [length for lengths in characters.values() for length in lengths],
    )


def _task_table(counts: Mapping[tuple[str, str], int]) -> Table:
    rows = []
    for task in sorted({task for task, _ in counts}):
        figures = [counts.get((task, split), 0) for split in SPLITS]
        title = TASKS[task].title if task in TASKS else ""
        rows.append((f"{task} {title}".strip(), *(f"{figure:,}" for figure in figures), f"{sum(figures):,}"))
    sums = [sum(count for (_, split), count in counts.items() if split == one) for one in SPLITS]
    rows.append(("合计 total", *(f"{figure:,}" for figure in sums), f"{sum(sums):,}"))
    return Table("任务与切分 tasks and splits", ("任务 task", *SPLITS, "合计 total"), tuple(rows))


def _figures(title: str, headings: tuple[str, ...], counts: Mapping[tuple[str, str], int]) -> Table:
    return Table(title, headings, tuple((*key, f"{count:,}") for key, count in sorted(counts.items())))


def _entry(row: Example, sources: Mapping[str, Source]) -> Entry:
    facts = [("权重 weight", f"{row.weight:g}"), ("措辞 origin", row.origin), ("组 group", row.group)]
    if row.tokens is not None:
        facts.append(("词元 tokens", f"{row.tokens.prompt} + {row.tokens.answer}"))
    facts += [("许可 licence", row.licence or "未注明 not stated"), ("来源 source", row.source or "–")]
    facts += [(title, "、".join(ids)) for title, ids in (("做法 practices", row.practice_ids),) if ids]
    facts.append(("评分依据 reference", canonical_json(row.reference)))
    return Entry(
        id=row.id,
        split=row.split,
        task=row.task,
        source=row.source,
        rule=str(row.reference.get("rule", "")),
        messages=tuple((message.role, shown(message.content)) for message in row.messages),
        facts=tuple(facts),
        marks=_decisive(row.reference),
        sources=tuple(_shown_sources(row, sources)),
    )


def _decisive(reference: Mapping[str, Any]) -> tuple[str, ...]:
    """The words that the answer turns on: evidence, quote, amount, sign; longest first."""
    found = {value for name, value in reference.items() if name not in _NAMES and isinstance(value, str)}
    return tuple(sorted((value for value in found if len(value) > 1), key=lambda value: (-len(value), value)))


def _sources(folder: Path, manifest: Manifest, rows: Iterable[Example]) -> tuple[dict[str, Source], str]:
    """Dialogues (by id) and clauses that the rows cite, and why there are none."""
    wanted = {name.partition("#")[0] for row in rows for name in (*row.sources, *row.clause_ids)}
    for record in manifest.inputs:
        knowledge = locate(folder, record)
        if is_artefact(knowledge) and read_manifest(knowledge).kind == KNOWLEDGE:
            note = ""
            if read_manifest(knowledge).digest != record.sha256:
                note = f"{knowledge}: 知识已改变，出处可能不符 no longer the knowledge that this was built from"
            return _cited(knowledge, wanted), note
    return (
        {},
        "知识目录不在原处，只列出处编号 the knowledge it was built from is not here: sources are shown as ids only",
    )


def _cited(knowledge: Path, wanted: set[str]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for clause in read_jsonl(knowledge / "clauses.jsonl", Clause):
        if clause.id in wanted:
            found[clause.id] = Source(
                clause.id, f"《{clause.document}》{''.join(clause.path)}", (("", clause.text, True),)
            )
    for dialogue in read_jsonl(knowledge / "dialogues.jsonl", Dialogue):
        if dialogue.id in wanted:
            lines = tuple((turn.speaker, shown(turn.text), False) for turn in dialogue.turns)
            title = f"{dialogue.channel} {dialogue.started_at:%Y-%m-%d %H:%M}"
            found[dialogue.id] = Source(dialogue.id, title, lines)
    return found


def _shown_sources(row: Example, known: Mapping[str, Source]) -> Iterator[Source]:
    """Each source once; of a dialogue the cited turns and those beside them."""
    cited: dict[str, list[int]] = {}
    for name in dict.fromkeys((*row.sources, *row.clause_ids)):
        whole, _, turn = name.partition("#")
        cited.setdefault(whole, []).extend([int(turn)] if turn.isdigit() else [])
    for name, turns in cited.items():
        source = known.get(name)
        if source is None:
            yield Source(name + "".join(f" #{turn}" for turn in turns))
        elif turns:
            around = {near for turn in turns for near in range(turn - _TURNS_AROUND, turn + _TURNS_AROUND + 1)}
            lines = tuple(
                (speaker, text, number in turns)
                for number, (speaker, text, _) in enumerate(source.lines)
                if number in around
            )
            yield Source(f"{name} #{', #'.join(map(str, turns))}", source.title, lines)
        else:
            yield source


def _pairs(folder: Path, selection: Selection) -> Iterator[Tab]:
    """Preference pairs, where there are any: the prompt, the answer that worked and the one that did not."""
    sample: Sample[Preference] = Sample(selection.limit)
    for split in SPLITS:
        path = folder / preference_file(split)
        for pair in read_preferences(path) if path.is_file() else ():
            sample.total += 1
            wanted = selection.split in (None, pair.split) and selection.task in (None, pair.task)
            if wanted and (not selection.where or contains(pair.model_dump(mode="json"), selection.where)):
                sample.add((pair.split, pair.why), pair.id, pair)
    if sample.total:
        yield Tab("pairs", "偏好对 pairs", sample.total, sample.matched, tuple(map(_pair, sample.chosen())))


def _pair(pair: Preference) -> Entry:
    answers = (("chosen", pair.chosen[-1].content), ("rejected", pair.rejected[-1].content))
    return Entry(
        id=pair.id,
        split=pair.split,
        task=pair.task,
        source=pair.source,
        rule=" ".join(pair.rules),
        reason=pair.why,
        messages=(*((message.role, shown(message.content)) for message in pair.prompt), *answers),
        facts=(
            ("权重 weight", f"{pair.weight:g}"),
            ("做法 practices", "、".join((*pair.practice_ids, *pair.rejected_practice_ids))),
            ("出处 sources", "、".join((*pair.sources, *pair.rejected_sources))),
        ),
    )


def _left_out(folder: Path, selection: Selection) -> Iterator[Tab]:
    """Rows that the build did not keep, with the reason."""
    for name, title in _LEFT_OUT.items():
        path = folder / name
        if not path.is_file():
            continue
        sample: Sample[dict[str, Any]] = Sample(selection.limit)
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                sample.total += 1
                if (
                    selection.split in (None, row.get("split"))
                    and selection.task in (None, row.get("task"))
                    and contains(row, selection.where)
                ):
                    sample.add((str(row.get("task", "")), str(row.get("reason", ""))), str(row.get("id", "")), row)
        entries = tuple(left_out_entry(row) for row in sample.chosen())
        yield Tab(name.removesuffix(".jsonl"), title, sample.total, sample.matched, entries)


def left_out_entry(row: Mapping[str, Any]) -> Entry:
    """A row of rejected.jsonl or dropped.jsonl, whatever else it holds."""
    dialogue = row.get("dialogue")
    turns = dialogue.get("turns", ()) if isinstance(dialogue, dict) else ()
    plain = {"id", "task", "split", "reason", "error", "file", "line", "text"} | ({"dialogue"} if turns else set())
    facts = tuple((name, shown(canonical_json(value))) for name, value in row.items() if name not in plain)
    text = row.get("text")
    at = f"{row['file']}:{row.get('line', 0)}" if "file" in row else ""
    return Entry(
        id=str(row.get("id") or at),
        split=str(row.get("split", "")),
        task=str(row.get("task", "")),
        reason=str(row.get("reason") or row.get("error") or ""),
        messages=(
            *((str(turn.get("speaker", "")), shown(str(turn.get("text", "")))) for turn in turns),
            *((("text", shown(str(text))),) if text else ()),
        ),
        facts=facts,
    )
