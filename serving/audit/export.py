"""An account for the auditor: the records that verify, and the result of verifying them in the manifest."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.audit.reading import COLUMNS, Wanted, flat
from serving.audit.record import Row
from serving.audit.segments import instances
from serving.audit.verify import Report, Trust, verify_instance
from tianjing.lineage import artefact

Write = Callable[[str, Row], None]
_BATCH_ROWS = 10_000


def export(folder: Path, out: Path, form: str, trust: Trust, wanted: Callable[[], Wanted]) -> list[Report]:
    """Write an artefact with the wanted records; from the first problem on none is, and the manifest says so.

    Args:
        wanted: makes the filter of one instance.

    Raises:
        ServeError: there is no account, or nothing to check it with.
        LineageError: `out` cannot be written.
    """
    with artefact(out, kind="audit_export", parameters={"account": folder.name, "format": form}) as work:
        reports = []
        with FORMATS[form](work.dir / f"records.{form}") as write:
            for instance in instances(folder):
                taken = wanted()

                def row_is_good(row: Row, name: str = instance.name, taken: Wanted = taken) -> None:
                    if taken.takes(row):
                        write(name, row)
                        work.count("records")

                reports.append(verify_instance(instance, trust, on_row=row_is_good))
        work.parameters["verify"] = [report.as_dict() for report in reports]
        work.parameters["verified"] = all(report.ok for report in reports)
    return reports


@contextmanager
def _jsonl(path: Path) -> Iterator[Write]:
    with open(path, "w", encoding="utf-8", newline="\n") as stream:

        def write(instance: str, row: Row) -> None:
            stream.write(json.dumps({"instance": instance, **row}, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    # With a byte order mark: spreadsheets take Chinese for something else without it.
    with open(path, "w", encoding="utf-8-sig", newline="") as stream:
        table = csv.DictWriter(stream, [*COLUMNS, "body"])
        table.writeheader()

        def write(instance: str, row: Row) -> None:
            table.writerow(flat(instance, row))

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"seq": pa.int64(), "status": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in (*COLUMNS, "body")])
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(path, schema) as table:

        def drain() -> None:
            table.write_table(pa.Table.from_pylist(waiting, schema))
            waiting.clear()

        def write(instance: str, row: Row) -> None:
            waiting.append(flat(instance, row))
            if len(waiting) >= _BATCH_ROWS:
                drain()

        yield write
        drain()


FORMATS = {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet}
