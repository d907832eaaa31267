"""Croissant 1.0 metadata (mlcommons.org/croissant/1.0): the files with digest and size, and what their columns are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_recipes.publish.columns import COLUMNS, PREFERENCE_COLUMNS, Column
from tianjing.dataset import SPLITS, preference_file
from tianjing.files import sha256_file
from tianjing.records import Split

VERSION = "1.0.0"
"""Of the row schema: a column that goes or changes its meaning raises the first number, a new one the second."""

# The context that the specification gives, word for word: readers compare it.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "extract",
            "field",
            "fileProperty",
            "fileObject",
            "fileSet",
            "format",
            "includes",
            "isLiveDataset",
            "jsonPath",
            "key",
            "md5",
            "parentField",
            "path",
            "recordSet",
            "references",
            "regex",
            "repeated",
            "replace",
            "samplingRate",
            "separator",
            "source",
            "subField",
            "transform",
        )
    },
    "sc": "https://schema.org/",
}


def croissant(
    folder: Path, name: str, description: str, licences: Sequence[str], languages: Sequence[str]
) -> dict[str, Any]:
    """Metadata of the Parquet files in `folder`, one record set a split.

    Args:
        licences: SPDX expressions of the sources that gave rows; none where all is the owner's own material.
        languages: BCP 47 tags.
    """
    tables = _tables(folder)
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "version": VERSION,
        "inLanguage": list(languages),
        **({"license": list(licences)} if licences else {}),
        "rai:personalSensitiveInformation": (
            "Personal data found is replaced by typed placeholders. The data is de-identified, not anonymised "
            "(个人信息保护法 第七十三条)."
        ),
        "distribution": [_file(folder / name, split) for name, split, *_ in tables],
        "recordSet": [_record_set(*table) for table in tables],
    }


def _tables(folder: Path) -> list[tuple[str, Split, str, tuple[Column, ...]]]:
    """(file, split, name of the record set, columns) of each table there is."""
    rows = [(f"{split}.parquet", split, str(split), COLUMNS) for split in SPLITS]
    pairs = [(preference_file(split), split, f"preferences-{split}", PREFERENCE_COLUMNS) for split in SPLITS]
    return rows + [table for table in pairs if (folder / table[0]).is_file()]


def _file(path: Path, split: Split) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": f"{'Pairs' if path.name == preference_file(split) else 'Rows'} of the {split} split.",
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": sha256_file(path),
    }


def _record_set(file: str, split: Split, name: str, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"One row a {split} {'example' if name == split else 'preference pair'}.",
        "key": {"@id": f"{name}/id"},
        "field": [_field(file, name, column) for column in columns],
    }


def _field(file: str, record_set: str, column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column.name}",
        "name": f"{record_set}/{column.name}",
        "description": column.meaning,
    }
    if column.repeated:
        field["repeated"] = True
    source = {"fileObject": {"@id": file}, "extract": {"column": column.name}}
    if column.parts:
        field["subField"] = [
            {
                "@type": "cr:Field",
                "@id": f"{record_set}/{column.name}/{part}",
                "name": f"{record_set}/{column.name}/{part}",
                "dataType": kind,
                "source": {**source, "transform": {"jsonPath": f"$.{part}"}},
            }
            for part, kind in column.parts
        ]
        field["source"] = source
    else:
        field |= {"dataType": column.kind, "source": source}
    return field
