"""The picture of `tianjing lineage show`: an artefact, and below it what it was made from."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.tree import Tree

from tianjing.lineage.errors import LineageError
from tianjing.lineage.manifest import InputRecord, Manifest, is_artefact, read_manifest, walk
from tianjing.lineage.verification import locate


def lineage_tree(directory: Path) -> Tree:
    """Tree from the artefact in `directory` down to raw files.

    Raises:
        LineageError: `directory` has no readable manifest.
    """
    manifest = read_manifest(directory)
    tree = Tree(_title(Path(directory), manifest))
    _add(tree, Path(directory), manifest, {Path(directory).resolve()})
    return tree


def _title(path: Path, manifest: Manifest) -> str:
    rows = sum(record.rows or 0 for record in manifest.files)
    size_mb = sum(record.bytes for record in manifest.files) / 1e6
    parts = [f"{len(manifest.files)} files", f"{size_mb:.1f} MB"] + ([f"{rows} rows"] if rows else [])
    counts = [f"{name} {n}" for name, n in manifest.counts.items() if isinstance(n, int)]
    dropped = manifest.counts.get("dropped")
    if isinstance(dropped, dict):
        counts.append("dropped " + ", ".join(f"{n} {reason}" for reason, n in dropped.items()))
    return (
        f"[bold]{escape(manifest.kind)}[/bold] {escape(str(path))}  sha256 {manifest.digest[:16]}…\n"
        f"[dim]{manifest.created:%Y-%m-%d %H:%M} · {' · '.join(parts)}[/dim]"
        + (f"\n[dim]{escape(' · '.join(counts))}[/dim]" if counts else "")
    )


def _add(tree: Tree, directory: Path, manifest: Manifest, above: set[Path]) -> None:
    for record in manifest.inputs:
        source = locate(directory, record)
        if not source.exists():
            tree.add(f"[red]missing[/red] {escape(str(source))}  sha256 {record.sha256[:16]}…")
        elif source in above:
            tree.add(f"[red]in a circle[/red] {escape(str(source))}")
        elif is_artefact(source):
            _add_artefact(tree, source, record, above)
        else:
            tree.add(f"found {escape(str(source))}{_contents(source)}  sha256 {record.sha256[:16]}…")


def _add_artefact(tree: Tree, source: Path, record: InputRecord, above: set[Path]) -> None:
    try:
        manifest = read_manifest(source)
    except LineageError as error:
        tree.add(f"[red]unreadable[/red] {escape(error.message)}")
        return
    title = _title(source, manifest)
    if manifest.digest != record.sha256:
        title = f"[red]no longer the one that was read ({record.sha256[:16]}…)[/red]\n{title}"
    _add(tree.add(title), source, manifest, above | {source})


def _contents(source: Path) -> str:
    return f" ({len(walk(source, through_links=True))} files)" if source.is_dir() else ""
