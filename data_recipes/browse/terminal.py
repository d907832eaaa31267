"""A view and a difference on the terminal; colour only where standard output is one."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from data_recipes.browse.differences import Change, Difference, TextChange
from data_recipes.browse.view import Entry, Tab, Table, View
from tianjing.console import make_console, print_table

TERMINAL_ROWS = 8
"""Entries of a tab, or changes of a section, that are printed."""
_LONGEST_CHARS = 400
_STYLES = {"added": "green", "removed": "red", "changed": "yellow", "moved": "cyan", "renumbered": "cyan"}
_RUN_STYLES = {"same": "", "removed": "red strike", "added": "green bold"}
# Where there is no colour, marks say the same: they are those of wdiff.
_RUN_MARKS = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}


def print_view(view: View) -> None:
    """Tables of an artefact, and a few entries of each tab."""
    console = make_console(soft_wrap=True)
    console.print(Text(f"{view.kind} {view.folder} {view.digest[:12]} {view.created}", style="bold"))
    for note in view.notes:
        console.print(Text(note, style="yellow"))
    for table in view.tables:
        if table.rows:
            print_table(_table(table))
    for tab in view.tabs:
        if tab.entries:
            _print_tab(console, tab)


def _table(table: Table) -> RichTable:
    made = RichTable(title=Text(table.title), title_justify="left")
    for number, heading in enumerate(table.headings):
        made.add_column(Text(heading), justify="left" if number == 0 else "right", overflow="fold")
    for row in table.rows:
        made.add_row(*map(Text, row))
    return made


def _print_tab(console: Console, tab: Tab) -> None:
    console.print()
    shown = len(tab.entries)
    console.print(Text(f"{tab.title}: {shown:,} of {tab.matched:,} that match, {tab.total:,} in all", style="bold"))
    for entry in tab.entries:
        _print_entry(console, entry)


def _print_entry(console: Console, entry: Entry) -> None:
    tags = " ".join(part for part in (entry.task, entry.split, entry.rule, entry.reason) if part)
    console.print(Text.assemble((entry.title or entry.id, "cyan"), " ", (tags, "dim")))
    lines = [message for message in entry.messages if message[0] != "system"]
    lines += [(speaker, text) for source in entry.sources if not lines for speaker, text, _ in source.lines]
    for role, text in lines:
        shown = Text(f"  {role}: {_cut(text)}")
        shown.highlight_words(entry.marks, "bold yellow")
        console.print(shown)


def print_difference(difference: Difference) -> None:
    """Counts that differ, and the first changes of each section with their characters marked."""
    console = make_console(soft_wrap=True)
    console.print(Text(f"{difference.kind}: {difference.old} → {difference.new}", style="bold"))
    for note in difference.notes:
        console.print(Text(note, style="yellow"))
    if difference.same:
        console.print("nothing differs")
        return
    figures = [row for row in difference.counts if row.old != row.new]
    if figures:
        table = RichTable()
        table.add_column("count", overflow="fold")
        for heading in ("old", "new", "difference"):
            table.add_column(heading, justify="right")
        for row in figures:
            table.add_row(Text(row.name), f"{row.old:,}", f"{row.new:,}", f"{row.new - row.old:+,}")
        print_table(table)
    for section in difference.sections:
        counts = ", ".join(f"{kind} {count:,}" for kind, count in section.counts.items())
        console.print()
        console.print(Text(f"{section.title}: {counts}", style="bold"))
        for change in section.changes[:TERMINAL_ROWS]:
            _print_change(console, change, "  ")
        left = sum(section.counts.values()) - min(len(section.changes), TERMINAL_ROWS)
        if left:
            console.print(f"  … {left:,} more; --out PAGE shows them", style="dim")


def _print_change(console: Console, change: Change, indent: str) -> None:
    console.print(Text.assemble(indent, (change.kind, _STYLES.get(change.kind, "magenta")), " ", (change.name, "bold")))
    for note in change.notes:
        console.print(Text(f"{indent}  {_cut(note)}"))
    for text in change.texts:
        console.print(_marked(text, f"{indent}  ", console.is_terminal))
    for part in change.parts:
        _print_change(console, part, indent + "  ")


def _marked(text: TextChange, indent: str, colour: bool) -> Text:
    made = Text(indent + (f"{text.name}: " if text.name else ""))
    for kind, run in text.runs():
        before, after = ("", "") if colour else _RUN_MARKS[kind]
        made.append(f"{before}{_cut(run)}{after}", style=_RUN_STYLES[kind])
    return made


def _cut(text: str) -> str:
    flat = text.replace("\n", " ⏎ ")
    return flat if len(flat) <= _LONGEST_CHARS else f"{flat[:_LONGEST_CHARS]}…"
