"""Material of the perturbation bench: built datasets, and questions and documents in the form of a suite."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tianjing.dataset import read_examples
from tianjing.files import canonical_json
from tianjing.records import Example
from tianjing.tasks import Fields, Reading, Reference
from tianjing.text import compact

EXTRACT = "split: {holdout: {field: site, values: [west]}}\n"
OPEN = """
sources:
  - {kind: statutes, path: laws-cn, licence: statutes}
  - kind: instructions
    path: disc-finllm
    licence: Apache-2.0
    files: {consulting: consulting_part.json, task: task_part.json, computing: computing_part.json}
split: {test_fraction: 0.3}
"""


class Choice:
    """A multiple-choice question as suites hold them: options as shown, and the original letter of each."""

    id, title, max_tokens, closed = "choice", "single choice", 8, True

    def system(self) -> str:
        return "请选择正确选项。"

    def render(self, fields: Fields, wording: int = 0) -> str:
        lines = [f"{chr(65 + place)}. {text}" for place, text in enumerate(fields["options"])]
        return "\n".join(("请选出正确的一项。", f"题目：{fields['question']}", *lines, "答案：")[wording % 2 :])

    def target(self, reference: Reference) -> str:
        return str(reference["answer"])

    def decisive(self, reference: Reference) -> str:
        return self.target(reference)

    def read(self, text: str, fields: Fields) -> Reading:
        if re.fullmatch(r"[A-J]", text.strip()) and ord(text.strip()) - 65 < len(fields["ids"]):
            return Reading(fields["ids"][ord(text.strip()) - 65], "letter", {})
        named = [
            fields["ids"][place] for place, option in enumerate(fields["options"]) if compact(option) == compact(text)
        ]
        return Reading(named[0] if len(named) == 1 else None, "text", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer == reference["answer"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return chr(65 + rng.randrange(len(fields["options"])))


class Paper:
    """A document whose lines `name value` are to be written as a JSON object."""

    id, title, max_tokens, closed = "paper", "document fields", 128, True

    def system(self) -> str:
        return "请抽取字段，只输出JSON。"

    def render(self, fields: Fields, wording: int = 0) -> str:
        return ("材料：\n{0}\n字段：", "请抽取下面材料的字段。\n{0}", "{0}\n请写出其中的字段。")[wording % 3].format(
            fields["document"]
        )

    def target(self, reference: Reference) -> str:
        return json.dumps(reference["values"], ensure_ascii=False)

    def decisive(self, reference: Reference) -> str:
        return ""

    def read(self, text: str, fields: Fields) -> Reading:
        try:
            return Reading(canonical_json(json.loads(text)), "json", {})
        except ValueError:
            return Reading(None, "unreadable", {})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer == canonical_json(reference["values"]))

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))


def material(work: Path, cases: int, data: Path | None) -> Iterator[Example]:
    """Test rows of the datasets, and questions and documents made of the simulated material."""
    work.mkdir(parents=True, exist_ok=True)
    raw = work / "raw"
    if not raw.exists():
        _tianjing("simulate", "--cases", str(cases), "--seed", "7", "--out", str(raw))
    simulated = list(read_examples(_dataset(work, "simulated", raw, EXTRACT)))
    yield from simulated
    yield from _choices(simulated)
    yield from _papers(raw / "documents.jsonl")
    if data:
        yield from read_examples(_dataset(work, "open", data, OPEN))


def _dataset(work: Path, name: str, source: Path, extract: str) -> Path:
    out = work / name
    if not out.exists():
        (work / f"{name}.yaml").write_text(extract, encoding="utf-8")
        config = ("--config", str(work / f"{name}.yaml"))
        _tianjing("data", "extract", str(source), *config, "--out", str(work / f"{name}-knowledge"))
        _tianjing("data", "build", str(work / f"{name}-knowledge"), "--out", str(out))
    return out / "test.parquet"


def _tianjing(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tianjing", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def _choices(rows: Sequence[Example]) -> Iterator[Example]:
    for row in rows:
        if row.task == "policy_qa" and row.reference["clause_id"] and len(row.fields["clauses"]) > 2:
            clauses = row.fields["clauses"]
            right = [clause["id"] for clause in clauses].index(row.reference["clause_id"])
            fields = {"question": row.fields["question"], "options": [clause["text"] for clause in clauses]}
            fields["ids"] = [chr(65 + place) for place in range(len(clauses))]
            yield row.model_copy(
                update={
                    "id": f"choice:{row.id}",
                    "task": "choice",
                    "fields": fields,
                    "reference": {"answer": chr(65 + right)},
                }
            )


def _papers(path: Path) -> Iterator[Example]:
    """Documents of which two lines or more give a name and a value; the values are the reference."""
    for line in path.read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        text = document.get("text") or "\n".join(box["text"] for box in document.get("boxes", ()))
        values = dict(re.findall(r"^([一-鿿]{2,6})[：: ] ?(\S{2,20})$", text, re.M))
        if len(values) > 1:
            yield Example(
                id=f"paper:{document['id']}",
                task="paper",
                group=document["customer"],
                split="test",
                messages=(),
                fields={"document": text},
                reference={"values": values},
            )
