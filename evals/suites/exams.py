"""Readers of published exams with options: FinanceIQ, FinEval, Fin-Eva, C-Eval, evalscope, CFLUE, OpenFinData."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from evals.errors import EvalError
from evals.suites.definition import Definition
from evals.suites.entries import Entry, Part, entry, files_of, table_entries
from evals.suites.rows import Columns, folded_letters
from evals.suites.tables import records

_SUBJECT_MAPS = ("subject_map.json", "subject_mapping.json")

FINANCEIQ = Definition(
    id="financeiq",
    title="FinanceIQ",
    kind="single_choice",
    prompts=(
        "你正在参加{subject}考试。下面是一道单项选择题，只需给出正确的选项。\n题目：{question}\n{options}\n答案是: ",
    ),
)
_EXAM_PROMPT = "下面是{subject}考试的单项选择题，请选出正确的选项。\n{question}\n{options}\n答案："
FINEVAL = Definition(id="fineval", title="FinEval", kind="single_choice", prompts=(_EXAM_PROMPT,))
FINEVAL_SECURITY = Definition(
    id="fineval_security", title="FinEval security", kind="single_choice", prompts=(_EXAM_PROMPT,)
)
FINEVA_SUFE = Definition(id="fineva_sufe", title="Fin-Eva (SUFE)", kind="single_choice", prompts=(_EXAM_PROMPT,))
FINEVA_ANT = Definition(
    id="fineva_ant",
    title="Fin-Eva (Ant)",
    kind="single_choice",
    prompts=(
        "你熟悉{subject}。请从选项中选出对下面问题最恰当的一个，只输出它的字母。\n{context}问题："
        "{question}\n选项：\n{options}\n答：",
    ),
)
FINEVA_ANT_JUDGEMENT = Definition(
    id="fineva_ant_judgement",
    title="Fin-Eva (Ant), 是/否",
    kind="judgement",
    prompts=("你负责{subject}审核，请对下面的输入作出判断。\n{context}{question}\n只能输出“{options}”。",),
)
CEVAL = Definition(id="ceval", title="C-Eval style", kind="single_choice", prompts=(_EXAM_PROMPT,))
GENERAL_MCQ = Definition(
    id="general_mcq",
    title="general_mcq",
    kind="single_choice",
    prompts=("请回答下面的选择题，并在最后一行写“答案：”加上一个选项字母。\n\n问题：{question}\n选项：\n{options}\n",),
)
GENERAL_MCQ_MULTIPLE = Definition(
    id="general_mcq_multiple",
    title="general_mcq, several right",
    kind="multiple_choice",
    prompts=(
        "请回答下面的选择题，正确选项可能不止一个，并在最后一行写“答案：”加上全部选项字母。\n\n问"
        "题：{question}\n选项：\n{options}\n",
    ),
)
_CFLUE = (
    "你是金融行业的专家，请回答下面的{form}。\n第一行写“答案：”和{letters}，第二行写“解析：”和"
    "简短的理由。\n\n{{question}}\n{{options}}"
)
CFLUE = {
    "单项选择题": Definition(
        id="cflue_single",
        title="CFLUE 单项选择",
        kind="single_choice",
        prompts=(_CFLUE.format(form="单选题", letters="最合适的一个选项字母"),),
    ),
    "多项选择题": Definition(
        id="cflue_multiple",
        title="CFLUE 多项选择",
        kind="multiple_choice",
        prompts=(_CFLUE.format(form="多选题", letters="全部正确选项的字母"),),
    ),
    "判断题": Definition(
        id="cflue_judgement",
        title="CFLUE 判断",
        kind="single_choice",
        prompts=(_CFLUE.format(form="判断题", letters="一个选项字母"),),
    ),
}
OPENFINDATA = Definition(
    id="openfindata", title="OpenFinData", kind="single_choice", prompts=("{question}\n{options}\n答案: ",)
)
OPENFINDATA_KEYWORDS = Definition(
    id="openfindata_keywords", title="OpenFinData entities", kind="keywords", prompts=("{question}\n答案: ",)
)
_OPENFINDATA_FILES = (
    "emotion_identification",
    "entity_disambiguation",
    "financial_facts",
    "data_inspection",
    "financial_terminology",
    "metric_calculation",
    "value_extraction",
    "intent_understanding",
    "entity_recognition",
)

_LOWER = Columns(id="id")


def financeiq(path: Path) -> Iterator[Entry]:
    """`{dev,test}/<科目>.csv` with columns (no name), Question, A to D, Answer."""
    columns = Columns(id="", question="Question", answer="Answer")
    for file in files_of(path, "*.csv"):
        yield from table_entries(FINANCEIQ, _part(file), file, columns, file.stem)


def fineval(path: Path) -> Iterator[Entry]:
    """`{dev,val}/<subject>_{dev,val}.csv`; the test split is published without answers and left out."""
    yield from _exam(path, FINEVAL)


def fineval_security(path: Path) -> Iterator[Entry]:
    """`<field>_val.csv` with columns id, question, A to D, answer."""
    for file in files_of(path, "*_val.csv"):
        yield from table_entries(FINEVAL_SECURITY, "test", file, _LOWER, file.stem.removesuffix("_val"))


def fineva(path: Path) -> Iterator[Entry]:
    """`Ant/<ability>/<task>.csv` (first part with answers, the rest blind) and `SUFE/{dev,val}/<subject>_*.csv`."""
    ant, sufe = _below(path, "Ant"), _below(path, "SUFE")
    if ant is None and sufe is None:
        raise EvalError(f"{path}: no folder 'Ant' or 'SUFE' in it", "give the repository's 'data' folder")
    columns = Columns(id="id", context="context")
    for file in files_of(ant, "*.csv") if ant else ():
        definition: Definition | None = None
        for number, record in enumerate(records(file), start=1):
            definition = definition or (FINEVA_ANT if "A" in record.cells else FINEVA_ANT_JUDGEMENT)
            yield entry(definition, "test", record, columns, number, file.stem, blind=True)
    if sufe:
        yield from _exam(sufe, FINEVA_SUFE)


def ceval(path: Path) -> Iterator[Entry]:
    """C-Eval and CMMLU style: `{dev,val}/<subject>_{dev,val}.csv` or such files in one folder; test has no answers."""
    yield from _exam(path, CEVAL)


def general_mcq(path: Path) -> Iterator[Entry]:
    """evalscope's own form: `<subset>_{dev,val}.csv` or `.jsonl`; an answer that is a list, or has several letters,
    makes a multiple choice."""
    for file in files_of(path, "*_*.*"):
        if file.suffix not in (".csv", ".jsonl") or not file.stem.endswith(("_dev", "_val")):
            continue
        part: Part = "train" if file.stem.endswith("_dev") else "test"
        for number, record in enumerate(records(file), start=1):
            answer = record.cells.get("answer")
            several = isinstance(answer, list) or len(folded_letters(answer)) > 1
            definition = GENERAL_MCQ_MULTIPLE if several else GENERAL_MCQ
            columns = Columns(id="id", subject="category")
            yield entry(definition, part, record, columns, number, file.stem.rpartition("_")[0])


def cflue_knowledge(path: Path) -> Iterator[Entry]:
    """`knowledge.json`: 名称, task, question, choices (an object as text), answer, analysis."""
    columns = Columns(options="choices", subject="名称")
    for file in files_of(path, "knowledge*.json"):
        for number, record in enumerate(records(file), start=1):
            task = record.text("task")
            if task not in CFLUE:
                raise record.error("task", f"unknown form '{task}'", f"known: {', '.join(CFLUE)}")
            yield entry(CFLUE[task], "test", record, columns, number)


def openfindata(path: Path) -> Iterator[Entry]:
    """`<name>.json` for each of nine tasks: question, A to E, answer; entity_recognition has keywords joined by 、."""
    for name in _OPENFINDATA_FILES:
        for file in [path] if path.stem == name else sorted(path.rglob(f"{name}.json")):
            definition = OPENFINDATA_KEYWORDS if name == "entity_recognition" else OPENFINDATA
            yield from table_entries(definition, "test", file, Columns(id="id"), name)


def _exam(path: Path, definition: Definition) -> Iterator[Entry]:
    names = _subjects(path)
    files = [file for file in files_of(path, "*.csv") if file.stem.endswith(("_dev", "_val"))]
    if not files:
        raise EvalError(
            f"{path}: no file *_dev.csv or *_val.csv in it",
            "the test split is published without answers: give the folder that has val",
        )
    for file in files:
        subject, _, split = file.stem.rpartition("_")
        yield from table_entries(
            definition, "train" if split == "dev" else "test", file, _LOWER, names.get(subject, subject)
        )


def _subjects(path: Path) -> dict[str, str]:
    """Chinese names of the subjects, where the published map lies beside the data."""
    for folder in (path, *path.parents[:3]):
        for name in _SUBJECT_MAPS:
            if (folder / name).is_file():
                told = json.loads((folder / name).read_text(encoding="utf-8"))
                return {
                    subject: entry["ch"] if isinstance(entry, dict) else str(entry[1])
                    for subject, entry in told.items()
                }
    return {}


def _below(path: Path, name: str) -> Path | None:
    if path.name == name:
        return path
    return next((folder for folder in (path / name, path / "data" / name) if folder.is_dir()), None)


def _part(file: Path) -> Part:
    return "train" if file.parent.name == "dev" else "test"
