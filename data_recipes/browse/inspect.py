"""`tianjing data inspect`: a dataset or a knowledge artefact as one page to browse, or as tables on the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_recipes.browse.dataset import dataset_contents
from data_recipes.browse.histogram import histogram
from data_recipes.browse.knowledge import knowledge_contents
from data_recipes.browse.pages import asset, digest, json_block, markup, render
from data_recipes.browse.view import SEED, Entry, Selection, Table, View
from data_recipes.errors import DataError
from tianjing.lineage import Manifest, read_manifest

MAX_PAGE_BYTES = 20_000_000


def inspect(folder: Path, selection: Selection | None = None) -> View:
    """What there is to see of the artefact in `folder`, in one pass over its files.

    Raises:
        DataError: it is neither a dataset nor a knowledge artefact.
        TianjingError: it has no manifest, or a file of it is damaged.
    """
    folder, selection = Path(folder), selection or Selection()
    manifest = read_manifest(folder)
    if manifest.kind == "dataset":
        contents = dataset_contents(folder, manifest, selection)
    elif manifest.kind == "knowledge":
        contents = knowledge_contents(folder, selection)
    else:
        raise DataError(
            f"{folder}: an artefact of kind '{manifest.kind}'", "give a folder that data extract or data build wrote"
        )
    card = folder / "README.md"
    return View(
        kind=manifest.kind,
        folder=folder.name,
        digest=manifest.digest,
        created=f"{manifest.created:%Y-%m-%d %H:%M}",
        selection=selection,
        tables=(*contents.tables, *_manifest_tables(manifest)),
        lengths=contents.lengths,
        tabs=contents.tabs,
        notes=contents.notes,
        drawings=contents.drawings,
        card=card.read_text(encoding="utf-8") if card.is_file() else "",
        config=json.dumps(manifest.parameters, ensure_ascii=False, indent=2, sort_keys=True),
    )


def inspect_page(folder: Path, selection: Selection | None = None) -> str:
    """The artefact as one HTML page without any outside resource.

    A page that would be over 20 MB shows fewer rows, evenly again, and says so.
    """
    view = inspect(folder, selection)
    page = render_view(view)
    while (size := len(page.encode())) > MAX_PAGE_BYTES and view.selection.limit > 1:
        smaller = max(1, int(0.9 * view.selection.limit * MAX_PAGE_BYTES / size))
        view = inspect(folder, replace(view.selection, limit=smaller))
        page = render_view(view)
    return page


def render_view(view: View) -> str:
    """The HTML page of a view."""
    shared: dict[str, int] = {}
    tabs = [
        {
            "name": tab.name,
            "title": tab.title,
            "total": tab.total,
            "matched": tab.matched,
            "entries": [_compact(entry, shared) for entry in tab.entries],
        }
        for tab in view.tabs
    ]
    script = asset("shared.js") + asset("page.js")
    return render(
        "page.html.j2",
        view=view,
        seed=SEED,
        histograms=[(lengths.title, histogram(lengths.values, lengths.unit)) for lengths in view.lengths],
        drawings=[(drawing.title, markup(drawing.svg)) for drawing in view.drawings],
        data=json_block({"tabs": tabs, "shared": list(shared)}),
        style=asset("page.css"),
        script=script,
        script_digest=digest(script),
    )


def _compact(entry: Entry, shared: dict[str, int]) -> dict[str, Any]:
    """An entry without what is empty; a system message, the same in every row of a task, stands once in the page."""
    values = {name: value for name, value in vars(entry).items() if value}
    if entry.sources:
        values["sources"] = [vars(source) for source in entry.sources]
    if entry.messages:
        values["messages"] = [
            (role, shared.setdefault(text, len(shared)) if role == "system" else text) for role, text in entry.messages
        ]
    return values


def _manifest_tables(manifest: Manifest) -> tuple[Table, ...]:
    # A dataset's counts by task and split stand in the table of tasks already.
    counts = [(name, f"{n:,}") for name, n in manifest.counts.items() if isinstance(n, int) and "/" not in name]
    dropped = manifest.counts.get("dropped")
    tables = []
    if isinstance(dropped, dict):
        rows = tuple(
            (reason, f"{count:,}") for reason, count in sorted(dropped.items(), key=lambda one: (-one[1], one[0]))
        )
        tables.append(Table("剔除原因 dropped, by reason", ("原因 reason", "行 rows"), rows))
    tables.append(Table("清单计数 counts of the manifest", ("项 count", "行 rows"), tuple(counts)))
    inputs = tuple((record.path, record.sha256[:16]) for record in manifest.inputs)
    tables.append(Table("输入 inputs", ("路径 path", "sha256"), inputs))
    return tuple(table for table in tables if table.rows)
