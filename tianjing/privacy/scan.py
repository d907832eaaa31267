"""What `tianjing privacy scan` does: read dialogues or texts, de-identify them, count, and test re-identification."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tianjing.errors import TianjingError
from tianjing.files import atomic_write, read_jsonl, require_target
from tianjing.privacy.acts import Act, Pseudonym, Surrogate, stars
from tianjing.privacy.engine import Masked, Session
from tianjing.privacy.findings import FIELD_KINDS, KINDS
from tianjing.privacy.reidentify import Linkage, link
from tianjing.privacy.turns import mask_turns
from tianjing.records import Customer

ACTS = ("placeholder", "mask", "pseudonym", "surrogate")
_SAMPLES_PER_KIND, _SAMPLE_CHARS = 3, 40
_TEXT_SUFFIXES = (".txt", ".md")


@dataclass(frozen=True)
class _Record:
    customer: str
    turns: tuple[tuple[str, str], ...]
    put: Callable[[Sequence[str]], dict[str, Any]]


@dataclass
class Scan:
    """The outcome of a scan. Samples are text after de-identification, never before."""

    records: int = 0
    turns: int = 0
    chars: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    with_findings: int = 0
    samples: dict[str, list[str]] = field(default_factory=dict)
    before: Linkage | None = None
    after: Linkage | None = None

    def add(self, record: _Record, masked: Sequence[Masked]) -> None:
        """Count one record, and keep short samples of what it became."""
        self.records += 1
        self.turns += len(masked)
        self.with_findings += any(turn.findings for turn in masked)
        for (_, raw), turn in zip(record.turns, masked, strict=True):
            self.chars += len(raw)
            kinds = [finding.kind for finding in turn.findings]
            self.counts.update(kinds)
            for kind in dict.fromkeys(kinds):
                kept = self.samples.setdefault(kind, [])
                if len(kept) < _SAMPLES_PER_KIND:
                    kept.append(turn.text if len(turn.text) <= _SAMPLE_CHARS else turn.text[:_SAMPLE_CHARS] + "…")

    def lines(self) -> list[tuple[str, str, int]]:
        """(kind, its Chinese word, findings), most frequent first."""
        return [(kind, KINDS[kind], count) for kind, count in self.counts.most_common()]


def make_act(name: str, key: Path | None) -> Act | None:
    """The act of this name, one of `ACTS`; None stands for placeholders, which the session numbers itself.

    Raises:
        TianjingError: no such act, or one that needs a key and has none, or one that is shorter than 16 bytes.
    """
    if name == "placeholder":
        return None
    if name == "mask":
        return stars
    if name not in ACTS:
        raise TianjingError(f"--act {name}: no such act", f"one of {', '.join(ACTS)}")
    if key is None:
        remedy = "make one with head -c 32 /dev/urandom > privacy.key, then pass --key privacy.key"
        raise TianjingError(f"--act {name} needs a key", remedy)
    try:
        secret = Path(key).read_bytes()
    except OSError as error:
        raise TianjingError(f"{key}: cannot be read: {error}", "name a file that holds the key") from None
    return Pseudonym(secret) if name == "pseudonym" else Surrogate(secret)


def scan(
    file: Path,
    customers: Path | None = None,
    out: Path | None = None,
    act: Act | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Scan:
    """De-identify `file` (JSON Lines with `turns` or `text`, or plain text by line).

    Args:
        customers: customers.jsonl; its fields are searched for, and the re-identification test links to it.
        out: where the de-identified records go, field by field as they came.
        progress: called with the number of records done.

    Raises:
        TianjingError: a file is missing or holds no records, `out` is a folder, or a line is not what it should be;
            nothing is written.
    """
    require_target(out)
    table = _customers(customers) if customers else {}
    result = Scan()
    written: list[str] = []
    aliases: dict[str, str] = {}
    raw_texts: list[tuple[str, str]] = []
    safe_texts: list[tuple[str, str]] = []
    for record in _records(file):
        session = Session(table.get(record.customer), act=act, person=record.customer)
        masked = mask_turns(session, record.turns)
        result.add(record, masked)
        row = record.put([turn.text for turn in masked])
        if out:
            alias = aliases.setdefault(record.customer, f"customer-{len(aliases) + 1}")
            written.append(json.dumps(_outside(row, record.customer, alias, act), ensure_ascii=False))
        raw_texts.append((record.customer, "\n".join(text for _, text in record.turns)))
        safe_texts.append((record.customer, "\n".join(turn.text for turn in masked)))
        progress(result.records)
    if not result.records:
        raise TianjingError(f"{file}: holds no records", 'give a text, or {"text": …} or {"turns": […]}, a line')
    if out:
        atomic_write(out, "".join(line + "\n" for line in written))
    if table:
        result.before, result.after = link(raw_texts, table), link(safe_texts, table)
    return result


def write_report(result: Scan, file: Path, act: str, path: Path) -> None:
    """The report as one HTML file without scripts: `file` is what was scanned, `act` how it was de-identified."""
    environment = Environment(
        loader=PackageLoader("tianjing.privacy", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    atomic_write(path, environment.get_template("report.html.j2").render(scan=result, file=file.name, act=act))


def _outside(row: dict[str, Any], customer: str, alias: str, act: Act | None) -> dict[str, Any]:
    """The customer's id outside of the text identifies too: it becomes a pseudonym, or without a key a number."""
    if not customer or "customer" not in row:
        return row
    if isinstance(act, Pseudonym | Surrogate):
        alias = Pseudonym(act.key)("other", f"customer\n{customer}", "")
    return row | {"customer": alias}


def _customers(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        raise TianjingError(f"{path}: no such file", "name a customers.jsonl")
    table = {}
    for row in read_jsonl(path, Customer):
        fields = {name: str(value) for name, value in (row.model_extra or {}).items() if value not in (None, "")}
        table[row.customer] = {name: value for name, value in fields.items() if name in FIELD_KINDS}
    return table


def _records(path: Path) -> Iterator[_Record]:
    if not path.is_file():
        raise TianjingError(f"{path}: no such file", "name a .jsonl or a text file")
    with open(path, "rb") as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise TianjingError(
                    f"{path}:{number}: not UTF-8 at byte {error.start} of the line",
                    "convert the file first, e.g. iconv -f GB18030 -t UTF-8 FILE > NEW",
                ) from None
            if not line.strip():
                continue
            if path.suffix in _TEXT_SUFFIXES:
                yield _Record("", (("", line.rstrip("\r\n")),), lambda texts: {"text": texts[0]})
                continue
            try:
                yield _record(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise TianjingError(
                    f"{path}:{number}: not a record to scan: {_reason(error)}",
                    'each line is {"text": …} or {"turns": [{"speaker": …, "text": …}]}, with "customer" if known',
                ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"broken JSON at column {error.colno}: {error.msg}"
    return f"no field {error}" if isinstance(error, KeyError) else str(error)


def _record(row: dict[str, Any]) -> _Record:
    if not isinstance(row, dict):
        raise TypeError("not a JSON object")
    customer = str(row.get("customer", ""))
    if "turns" in row:
        turns = [dict(turn) for turn in row["turns"]]
        pairs = tuple((str(turn.get("speaker", "")), str(turn["text"])) for turn in turns)

        def put(texts: Sequence[str]) -> dict[str, Any]:
            return row | {"turns": [turn | {"text": text} for turn, text in zip(turns, texts, strict=True)]}

        return _Record(customer, pairs, put)
    if not isinstance(row["text"], str):
        raise TypeError("'text' is not a string")
    return _Record(customer, (("", row["text"]),), lambda texts: row | {"text": texts[0]})


def totals(result: Scan) -> Mapping[str, str]:
    """Headline figures for the terminal."""
    per = result.counts.total() / result.chars * 10_000 if result.chars else 0.0
    return {
        "records": str(result.records),
        "turns": str(result.turns),
        "characters": str(result.chars),
        "findings": f"{result.counts.total()} ({per:.1f} per 10,000 characters)",
        "records with findings": str(result.with_findings),
    }
