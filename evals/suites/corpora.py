"""Readers of published material without options: CFLUE application, FinEval rigor, FLARE-zh, DISC; and statutes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.extract import quantities
from evals.suites.definition import Definition
from evals.suites.entries import Entry, Part, entry, files_of, table_entries, table_files
from evals.suites.rows import LETTERS, Columns
from evals.suites.tables import Record, records
from tianjing.order import order_key

_AS_IT_IS = ("{context}{question}", "请完成下面的任务。\n{context}{question}", "{context}{question}\n请直接给出答案。")
CFLUE_LABEL = Definition(id="cflue_application_label", title="CFLUE 应用：分类", kind="label", prompts=_AS_IT_IS)
CFLUE_TEXT = Definition(
    id="cflue_application_text", title="CFLUE 应用：文本", kind="text", prompts=_AS_IT_IS, max_tokens=512
)
RIGOR = Definition(id="fineval_rigor", title="FinEval rigor, calculation", kind="numeric", prompts=_AS_IT_IS)
DISC = Definition(
    id="disc_finllm_computing",
    title="DISC-FinLLM computing",
    kind="numeric",
    prompts=("{question}\n请计算，最后写出“答案：”和数值。",),
)
STATUTES = Definition(
    id="statutes",
    title="法条出处",
    kind="single_choice",
    prompts=("下面的条文出自哪一部法律法规？只回答选项字母。\n条文：{question}\n{options}\n答案：",),
)

_QUOTED = re.compile(r"[‘'“\"]([^‘’'“”\"\n]{1,20})[’'”\"]")
_ARTICLE = re.compile(r"^第[零〇一二三四五六七八九十百千]+条(?:之[一二三四五六七八九十])?[\s　]+")
_DISTRACTORS = 3
_MIN_ARTICLE, _MAX_ARTICLE = 40, 400
_SEED = 20260101


def cflue_application(path: Path) -> Iterator[Entry]:
    """`application.json`: task, sub_task, instruction, input, output. Classification by label, the rest by overlap.

    The labels are those that the instruction quotes, or else all outputs of the sub-task.
    """
    for file in files_of(path, "application*.json"):
        rows = list(records(file))
        outputs: dict[str, set[str]] = defaultdict(set)
        for record in rows:
            outputs[record.optional("sub_task")].add(record.optional("output"))
        for number, record in enumerate(rows, start=1):
            columns = Columns(
                question="instruction", answer="output", context="input", subject="sub_task", labels="labels"
            )
            if record.text("task") != "金融文本分类":
                yield entry(CFLUE_TEXT, "test", record, columns.model_copy(update={"labels": None}), number)
                continue
            labels = sorted(set(_QUOTED.findall(record.text("instruction"))))
            if record.optional("output") not in labels:
                labels = sorted(outputs[record.optional("sub_task")])
            yield entry(CFLUE_LABEL, "test", _with(record, labels=labels), columns, number)


def fineval_rigor(path: Path) -> Iterator[Entry]:
    """`*Numerical Calculation.csv`: 序号, 类型, 基座query, 标准答案. The file on index extraction is not scored: its
    answers are lists of sentences."""
    columns = Columns(id="序号", question="基座query", answer="标准答案", subject="类型")
    for file in files_of(path, "*Numerical Calculation*.csv"):
        yield from table_entries(RIGOR, "test", file, columns)


def flare_zh(path: Path) -> Iterator[Entry]:
    """Files of one task: query, answer, and choices with gold, or text; names with train, valid or test tell the split.

    Rows with choices are read by label (letters as a single choice), others scored by overlap of text.
    """
    files = table_files(path)
    tested = any("test" in file.stem for file in files)
    for file in files:
        if "valid" in file.stem and tested:
            continue
        part: Part = "train" if "train" in file.stem else "test"
        name = re.sub(r"\W+", "_", (path if path.is_dir() else file.parent).name.lower()).strip("_") or "flare_zh"
        name = name if name.startswith("flare") else f"flare_zh_{name}"
        for number, record in enumerate(records(file), start=1):
            yield _flare_entry(record, part, name, number)


def _flare_entry(record: Record, part: Part, name: str, number: int) -> Entry:
    choices = record.cells.get("choices")
    key = "id" if "id" in record.cells else None
    if not choices:
        definition = Definition(id=f"{name}_text", title=name, kind="text", prompts=_AS_IT_IS)
        return entry(definition, part, record, Columns(id=key, question="query"), number)
    labels = [str(choice) for choice in choices]
    gold = record.cells.get("gold")
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold < len(labels):
        raise record.error("gold", f"'{gold}' is no index of {len(labels)} choices", "count from 0")
    if [label.upper() for label in labels] == list(LETTERS[: len(labels)]):
        definition = Definition(id=f"{name}_choice", title=name, kind="single_choice", prompts=_AS_IT_IS)
        made = _with(record, options=[f"选项{letter}" for letter in LETTERS[: len(labels)]], answer=LETTERS[gold])
        return entry(definition, part, made, Columns(id=key, question="query", options="options"), number)
    definition = Definition(id=f"{name}_label", title=name, kind="label", prompts=_AS_IT_IS)
    made = _with(record, labels=labels, answer=labels[gold])
    return entry(definition, part, made, Columns(id=key, question="query", labels="labels"), number)


def disc_finllm(path: Path) -> Iterator[Entry]:
    """`computing_eval.json`: instruction, input, output with the result behind the last `=`. `retriever_eval.json` has
    no answers and is left out."""
    for file in files_of(path, "computing_eval.json"):
        for number, record in enumerate(records(file), start=1):
            result = re.split(r"[=＝≈]", record.text("output"))[-1]
            found = quantities(result.rstrip("。 "))
            if not found:
                raise record.error("output", "no number behind the last '='", "write the result as a number")
            shown = re.sub(r"[\s。]+$", "", result.strip())
            answer = shown if len(found) == 1 else str(found[0])
            yield entry(
                DISC, "test", _with(record, answer=answer), Columns(question="instruction", context="input"), number
            )


def statutes(path: Path) -> Iterator[Entry]:
    """Markdown statutes (`# title`, `第…条 text`): from which of four an article is; each is a group of its own."""
    laws = {title: file for file in files_of(path, "*.md") if (title := _title(file))}
    if len(laws) <= _DISTRACTORS:
        raise EvalError(
            f"{path}: {len(laws)} statute(s) in it", f"at least {_DISTRACTORS + 1} are needed to choose from"
        )
    for title, file in sorted(laws.items()):
        for number, (line, text) in enumerate(_articles(file, title), start=1):
            others = sorted(
                (other for other in laws if other != title), key=lambda o: order_key(_SEED, f"{title}/{number}/{o}")
            )
            options = sorted((title, *others[:_DISTRACTORS]), key=lambda o: order_key(_SEED, f"{number}/{o}"))
            cells = {
                "question": text,
                "options": options,
                "answer": LETTERS[options.index(title)],
                "group": title,
                "subject": title,
            }
            record = Record(file, str(line), cells)
            yield entry(STATUTES, "test", record, Columns(options="options", group="group"), number)


def _title(file: Path) -> str:
    with open(file, encoding="utf-8") as stream:
        first = stream.readline()
    return first.removeprefix("# ").strip() if first.startswith("# ") else ""


def _articles(file: Path, title: str) -> Iterator[tuple[int, str]]:
    """(line, text) of the articles of a usable length, without the names that would tell the source."""
    short = title.removeprefix("中华人民共和国")
    current: list[str] = []
    begun = 0
    with open(file, encoding="utf-8") as stream:
        for number, line in enumerate((*stream, "第一条 "), start=1):
            heads = _ARTICLE.match(line)
            if heads or line.startswith("#"):
                text = re.sub(rf"《[^》]*》|{re.escape(title)}|{re.escape(short)}", "本法", "".join(current))
                if _MIN_ARTICLE <= len(text) <= _MAX_ARTICLE:
                    yield begun, text
                current, begun = ([line[heads.end() :].strip()] if heads else []), number
            elif current:
                current.append(line.strip())


def _with(record: Record, **cells: Any) -> Record:
    return Record(record.file, record.place, {**record.cells, **cells})
