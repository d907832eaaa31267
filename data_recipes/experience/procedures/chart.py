"""What a chart of a procedure shows, before it is drawn: lines of text for each step, and arrows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from data_recipes.experience.procedures.branches import SKIPPED
from data_recipes.experience.procedures.order import Pair, closure, reduction
from tianjing.acts import ACTS
from tianjing.records import Procedure

_MAX_Q = 0.05


@dataclass(frozen=True)
class Node:
    """A step. `notes` are conditions and associations, one line each."""

    step: str
    label: str
    optional: bool
    repeated: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Arrow:
    """`direct`: comes next; `branch`: one of several ways; `order`: somewhere after."""

    source: str
    target: str
    kind: Literal["direct", "branch", "order"]
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """Steps in their usual course, which every arrow follows."""

    title: str
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def chart(procedure: Procedure) -> Chart:
    """Arrows are the direct edges and the ways of each branch; a step that neither leads to hangs on the order.

    Notes: the condition under which a way or an optional step is taken, and sure associations with an outcome.
    """
    place = {step: number for number, step in enumerate(procedure.steps)}
    arrows = {(a, b): Arrow(a, b, "direct") for a, b in procedure.direct}
    notes: dict[str, list[str]] = {step: [] for step in procedure.steps}
    for branch in procedure.branches:
        exclusive = all(option.step != SKIPPED for option in branch.options)
        for option in branch.options:
            if exclusive:
                way = (branch.after, option.step)
                arrows[way] = Arrow(*way, "branch", f"{option.share:.0%}")
            if option.condition and option.step != SKIPPED:
                notes[option.step].append(f"当 {printable(option.condition)}")
    for row in procedure.separating:
        if row.q <= _MAX_Q and not row.exploratory:
            notes[row.step].append(f"相关 {printable(row.outcome)} {row.difference:+.2f}")
    for a, b in _loose_ends(procedure, arrows, place):
        arrows[a, b] = Arrow(a, b, "order")
    nodes = tuple(
        Node(step, label(step), step in procedure.optional, step in procedure.repeated, tuple(notes[step]))
        for step in procedure.steps
    )
    figures = f"{procedure.support:,} 例，完全合规 {procedure.coverage:.0%}，平均 {procedure.fitness:.2f}"
    return Chart(f"{printable(procedure.task)}（{figures}）", nodes, tuple(arrows.values()))


def label(step: str) -> str:
    """A step as a person reads it: an act by its Chinese name."""
    return f"话术：{ACTS[step]}" if step in ACTS else printable(step)


def printable(text: str) -> str:
    """Without what no drawing can hold: control characters and line separators become spaces, half characters �."""
    kinds = {"Cc": " ", "Zl": " ", "Zp": " ", "Cs": "�", "Cn": "�"}
    return "".join(kinds.get(unicodedata.category(character), character) for character in text)


def _loose_ends(procedure: Procedure, arrows: Iterable[Pair], place: dict[str, int]) -> list[Pair]:
    """Pairs of the reduced order for steps that no arrow leads to, or from."""
    drawn = closure(arrows)
    reduced = reduction(closure(procedure.order))
    reached, left = {b for _, b in arrows}, {a for a, _ in arrows}
    found = []
    for step in procedure.steps:
        if step not in reached and (before := [a for a, b in reduced if b == step]):
            found.append((max(before, key=place.__getitem__), step))
        if step not in left and (after := [b for a, b in reduced if a == step and (a, b) not in drawn]):
            found.append((step, min(after, key=place.__getitem__)))
    return found
