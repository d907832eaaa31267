"""The table of readers: what each reads, how it is recognised, its licence, and whether its real file was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evals.errors import EvalError
from evals.suites import corpora, exams
from evals.suites.entries import Entry

_CC_NC = "CC BY-NC-SA 4.0"


@dataclass(frozen=True)
class Reader:
    """A published layout.

    Attributes:
        fits: whether a path looks like it; asked in the order of the table, a cheap look at names alone.
        seen: the published file that was read with it, at its commit; "" where only the documented layout is known.
        asks: how the items are put, in a few words.
    """

    name: str
    title: str
    licence: str
    seen: str
    asks: str
    read: Callable[[Path], Iterator[Entry]]
    fits: Callable[[Path], bool]


def _has(*patterns: str) -> Callable[[Path], bool]:
    def fits(path: Path) -> bool:
        if path.is_file():
            return any(path.match(pattern) for pattern in patterns)
        return any(next(path.rglob(pattern), None) is not None for pattern in patterns)

    return fits


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader(
            "financeiq",
            "FinanceIQ",
            _CC_NC,
            "Duxiaoman-DI/XuanYuan d12168b",
            "科目, 题目：, options, 答案是:; dev rows as shots",
            exams.financeiq,
            _has("dev/注册会计师*.csv", "test/注册会计师*.csv", "dev/税务师.csv"),
        ),
        Reader(
            "cflue_knowledge",
            "CFLUE knowledge",
            f"{_CC_NC} (data)",
            "aliyun/cflue ff28c38 (sample)",
            "expert role; 答案：letters, 解析：",
            exams.cflue_knowledge,
            _has("knowledge*.json"),
        ),
        Reader(
            "cflue_application",
            "CFLUE application",
            f"{_CC_NC} (data)",
            "aliyun/cflue ff28c38 (sample)",
            "the instruction as it is",
            corpora.cflue_application,
            _has("application*.json"),
        ),
        Reader(
            "fineva",
            "Fin-Eva 1.0",
            "CC BY 4.0",
            "alipay/financial_evaluation_dataset b175692",
            "role by task, options, 答：; 是/否 tasks",
            exams.fineva,
            _has("Ant/*/*.csv", "SUFE/val/*.csv"),
        ),
        Reader(
            "fineval_rigor",
            "FinEval rigor",
            "Apache-2.0 (badge)",
            "SUFE-AIFLM-Lab/FinEval b676e91",
            "the query of the file as it is",
            corpora.fineval_rigor,
            _has("*Numerical Calculation*.csv"),
        ),
        Reader(
            "fineval_security",
            "FinEval security",
            "Apache-2.0 (badge)",
            "SUFE-AIFLM-Lab/FinEval b676e91",
            "subject, options, 答案：",
            exams.fineval_security,
            _has("cryptography_val.csv"),
        ),
        Reader(
            "fineval",
            "FinEval academic",
            "Apache-2.0 (badge)",
            "alipay/financial_evaluation_dataset b175692 (data/SUFE)",
            "subject, options, 答案：; dev rows as shots",
            exams.fineval,
            _has("banking_practitioner_qualification_certificate_*.csv"),
        ),
        Reader(
            "openfindata",
            "OpenFinData",
            "academic use only, no training (README)",
            "",
            "question, options, 答案: ; keywords all hit",
            exams.openfindata,
            _has("financial_terminology.json", "entity_recognition.json", "metric_calculation.json"),
        ),
        Reader(
            "disc_finllm",
            "DISC-FinLLM computing",
            "Apache-2.0",
            "FudanDISC/DISC-FinLLM e9bfa46",
            "the instruction, then the number",
            corpora.disc_finllm,
            _has("computing_eval.json"),
        ),
        Reader(
            "ceval",
            "C-Eval, CMMLU style",
            "by set (C-Eval CC BY-NC-SA 4.0)",
            "",
            "subject, options, 答案：; dev rows as shots",
            exams.ceval,
            _has("val/*_val.csv"),
        ),
        Reader(
            "general_mcq",
            "evalscope general_mcq",
            "your own",
            "modelscope/evalscope e04e8e7, f450dae (examples looked at, not run)",
            "问题, 选项, last line 答案：",
            exams.general_mcq,
            _has("*_val.csv", "*_val.jsonl"),
        ),
        Reader(
            "flare_zh",
            "FLARE-zh",
            "by task",
            "",
            "the query as it is",
            corpora.flare_zh,
            _has("*flare*zh*", "test-0*.parquet"),
        ),
        Reader(
            "statutes",
            "statutes in Markdown",
            "outside copyright (PRC Copyright Law, art. 5)",
            "LawRefBook/Laws 2f4c5c2",
            "an article, four statutes",
            corpora.statutes,
            _has("*法*.md"),
        ),
    )
}


def recognise(path: Path) -> Reader:
    """The reader whose layout `path` has.

    Raises:
        EvalError: no reader fits, or the path is missing.
    """
    if not path.exists():
        raise EvalError(f"{path}: no such file or folder", "check the path")
    for reader in READERS.values():
        if reader.fits(path):
            return reader
    raise EvalError(
        f"{path}: the layout is none that is known",
        f"describe it in a YAML file (docs/suites.md), or name the reader there: {', '.join(READERS)}",
    )
