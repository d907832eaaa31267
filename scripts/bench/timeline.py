"""Customer timelines and profile proposals, scored on raw folders whose truth is known.

    tianjing simulate --cases 3000 --seed 48211 --out raw
    python scripts/bench/timeline.py raw [raw …] [--parts documents forged confidence statements privacy speed]

`documents`: every field of every proof document against truth/documents.jsonl, which holds the fields as printed.
Precision is the share of the values read that are right, recall the share of the values printed that were read right.
`forged`: of papers with an altered field, how many fail a check, and whether the altered field is among those that
do; of true papers, how many are wrongly doubted. `confidence`: share of readings that are right and not altered, by
the confidence they were given. `statements`: the reason for arrears heard in a post-loan call against the planted
situation; truth knows nothing of the other statements, which stay unmeasured. `privacy`: names, numbers and addresses
of truth that stand in proposals or timelines. `speed`: dialogues a second on one core, and whether the memory given to
the sorts changes a byte. Layouts of simulated papers are few, so what is scored here is close to what the reader was
mended on; docs/benchmarks.md has the first run, on papers that nobody had looked at.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from data_recipes.timeline import TimelineSources, proposals, timelines, write_timelines
from data_recipes.timeline.document_checks import violated
from data_recipes.timeline.document_reader import FieldReading, read_fields
from data_recipes.timeline.page import page_of
from data_recipes.timeline.proposals import reading_confidence
from data_recipes.timeline.statements import HARDSHIPS, statements
from tianjing.files import read_jsonl
from tianjing.records import Account, Contact, Customer, Dialogue, Document, Event, Outcome, Record

Truth = dict[str, Any]
PARTS = ("documents", "forged", "confidence", "statements", "privacy", "speed")
NAMED = "name id_number spouse_name spouse_id_number landlord head address card_number employer company plate".split()
SMALL_RUN_BYTES = 1 << 20


def truth_of(folder: Path, name: str) -> list[Truth]:
    return [json.loads(line) for line in open(folder / "truth" / f"{name}.jsonl", encoding="utf-8")]


def pairs(
    folders: Iterable[Path], kinds: list[str] | None
) -> Iterator[tuple[Document, Truth, dict[str, FieldReading]]]:
    """Each document with its truth and its fields as read."""
    for folder in folders:
        truth = {row["document"]: row for row in truth_of(folder, "documents")}
        for document in read_jsonl(folder / "documents.jsonl", Document):
            if not kinds or document.kind in kinds:
                yield document, truth[document.id], read_fields(page_of(document), document.kind)


def same(read: object, printed: object) -> bool:
    """Whether a value read is the value printed: money to the cent, words without spaces."""
    if isinstance(printed, int | float):
        return isinstance(read, int | float) and abs(float(read) - float(printed)) < 0.005
    if isinstance(read, date):
        return read.isoformat() == printed
    return "".join(str(read).split()) == "".join(str(printed).split())


def documents(folders: list[Path], kinds: list[str] | None, show: bool) -> None:
    """Print precision and recall by variant, kind and field."""
    tables: dict[str, dict[str, Counter[str]]] = {name: defaultdict(Counter) for name in ("variant", "kind", "field")}
    total: Counter[str] = Counter()
    started = time.perf_counter()
    for document, truth, read in pairs(folders, kinds):
        total["documents"] += 1
        printed = {name: value for name, value in truth["fields"].items() if name != "rows"}
        form = truth["variant"] + (", boxes" if document.boxes is not None else ", text")
        for name in sorted(printed.keys() | read.keys()):
            right = name in read and name in printed and same(read[name].value, printed[name])
            verdict = Counter(printed=name in printed, read=name in read, right=right)
            total.update(verdict)
            for table, key in (("variant", form), ("kind", document.kind), ("field", name)):
                tables[table][key].update(verdict)
            if show and not right:
                print(document.id, document.kind, form, name, printed.get(name), read.get(name), sep=" | ")
    seconds = time.perf_counter() - started
    for title, table in tables.items():
        print(f"\n| {title} | printed | read | precision | recall |\n|---|---|---|---|---|")
        for key in sorted(table):
            _row(key, table[key])
    _row("**all**", total)
    print(f"\n{total['documents']} documents in {seconds:.1f} s; {machine()}")


def _row(key: str, count: Counter[str]) -> None:
    precision, recall = share(count["right"], count["read"]), share(count["right"], count["printed"])
    print(f"| {key} | {count['printed']} | {count['read']} | {precision} | {recall} |")


def forged(folders: list[Path], kinds: list[str] | None, show: bool) -> None:
    """Print how many papers fail a check."""
    count: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for document, truth, read in pairs(folders, kinds):
        failed, variant = violated(read), truth["variant"]
        count[variant] += 1
        count[f"{variant} doubted"] += bool(failed)
        if variant == "forged":
            count["named"] += truth["altered"] in failed
            if not failed:
                missed[f"{document.kind}: {', '.join(truth['violated'])}"] += 1
        elif failed and show:
            print(document.id, document.kind, variant, failed, sep=" | ")
    print("\n| papers | how many | fail a check | altered field named |\n|---|---|---|---|")
    for variant in ("forged", "clean", "noisy"):
        named = share(count["named"], count["forged"]) if variant == "forged" else ""
        print(f"| {variant} | {count[variant]} | {share(count[f'{variant} doubted'], count[variant])} | {named} |")
    print("\nForged papers that pass, by what was violated:", dict(missed.most_common()))


def confidence(folders: list[Path], kinds: list[str] | None, show: bool) -> None:
    """Print the share of right readings by confidence."""
    bands: dict[float, Counter[str]] = defaultdict(Counter)
    for _, truth, read in pairs(folders, kinds):
        failed = violated(read)
        for name, reading in read.items():
            right = (
                name in truth["fields"] and same(reading.value, truth["fields"][name]) and name != truth.get("altered")
            )
            bands[round(reading_confidence(reading, name in failed), 3)].update(read=1, right=right)
    print("\n| confidence | readings | right and not altered |\n|---|---|---|")
    for band in sorted(bands, reverse=True):
        print(f"| {band} | {bands[band]['read']} | {share(bands[band]['right'], bands[band]['read'])} |")


def heard(folders: list[Path]) -> None:
    """Print precision and recall of the reason for arrears."""
    by_reason: dict[str, Counter[str]] = defaultdict(Counter)
    for folder in folders:
        planted = {row["dialogue"]: row.get("situation") for row in truth_of(folder, "dialogues")}
        for dialogue in read_jsonl(folder / "dialogues.jsonl", Dialogue):
            said = {s.value for s in statements(dialogue.turns) if s.field == "hardship_reason"}
            for reason in HARDSHIPS:
                true = planted[dialogue.id] == reason
                by_reason[reason].update(printed=true, read=reason in said, right=true and reason in said)
    print("\n| reason heard | planted | heard | precision | recall |\n|---|---|---|---|---|")
    for reason, count in by_reason.items():
        _row(reason, count)
    _row("**all**", sum(by_reason.values(), Counter()))


def privacy(folders: list[Path]) -> bool:
    """Whether no name, number or address of truth stands in what is written; prints those that do."""
    found: Counter[str] = Counter()
    rows = 0
    for folder in folders:
        papers = {row["document"]: row["fields"] for row in truth_of(folder, "documents")}
        sources = sources_of(folder)
        people = {
            c.customer: [str((c.model_extra or {})[k]) for k in ("name", "mobile", "id_card")]
            for c in sources.customers
        }
        for proposal in proposals(sources):
            rows += 1
            paper = papers.get(proposal.source.id, {})
            told = people[proposal.customer] + [str(paper[name]) for name in NAMED if name in paper]
            told += [row[name] for row in paper.get("rows", ()) for name in ("name", "id_number") if name in row]
            written = f"{proposal.value}\n{proposal.current}\n{proposal.evidence}".replace(" ", "")
            found.update(proposal.field for value in told if value in written)
        for timeline in timelines(sources):
            rows += 1
            written = timeline.model_dump_json()
            found.update("timeline" for value in people[timeline.customer] if value in written)
    print(f"\n{rows} rows, {found.total()} with a name, number or address of truth {dict(found) or ''}")
    return not found


def speed(folders: list[Path]) -> bool:
    """Rows a second, and the same bytes from reversed input sorted in small runs."""
    same_bytes = True
    print("\n| folder | dialogues | rows in | timelines | proposals | seconds | dialogues/s, one core | same bytes |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in folders:
        sources = sources_of(folder)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as out:
            rows, _ = write_timelines(Path(out), sources)
            seconds = time.perf_counter() - started
            whole = _digest(json_lines(timelines(sources)) + json_lines(proposals(sources)))
            written = _digest(
                (Path(out, "timeline.jsonl").read_bytes() + Path(out, "proposals.jsonl").read_bytes()).splitlines()
            )
        runs = _digest(
            json_lines(timelines(sources, run_bytes=SMALL_RUN_BYTES)) + json_lines(proposals(sources, SMALL_RUN_BYTES))
        )
        equal = whole == written == runs
        same_bytes &= equal
        count = len(sources.dialogues)  # type: ignore[arg-type]
        given = sum(len(part) for part in vars(sources).values())
        print(
            f"| {folder.name} | {count} | {given} | {rows['timelines']} | {rows['proposals']} | {seconds:.1f} "
            f"| {count / seconds:.0f} | {equal} |"
        )
    print(f"\n{machine()}")
    return same_bytes


def json_lines(rows: Iterable[Any]) -> list[bytes]:
    return [json.dumps(row.model_dump(mode="json", exclude_none=True), ensure_ascii=False).encode() for row in rows]


def _digest(lines: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def sources_of(folder: Path) -> TimelineSources:
    models = {
        "dialogues": Dialogue,
        "events": Event,
        "outcomes": Outcome,
        "customers": Customer,
        "accounts": Account,
        "contacts": Contact,
        "records": Record,
        "documents": Document,
    }
    return TimelineSources(
        **{name: list(read_jsonl(folder / f"{name}.jsonl", model)) for name, model in models.items()}
    )


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="raw folders with truth/")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--kinds", nargs="*", help="only these kinds of documents")
    parser.add_argument("--show", action="store_true", help="list every wrong or missing field and every false doubt")
    given = parser.parse_args()
    held = True
    for part, score in (("documents", documents), ("forged", forged), ("confidence", confidence)):
        if part in given.parts:
            score(given.folders, given.kinds, given.show)
    if "statements" in given.parts:
        heard(given.folders)
    if "privacy" in given.parts:
        held &= privacy(given.folders)
    if "speed" in given.parts:
        held &= speed(given.folders)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
