"""A mined procedure against a written one: steps found, order agreed, direct edges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from data_recipes.experience.procedures.order import Pair
from tianjing.records import Procedure


@dataclass(frozen=True)
class Gold:
    """A written procedure: its steps and direct edges. `left_open` are edges that it neither states nor rules out."""

    task: str
    steps: frozenset[str]
    edges: frozenset[Pair]
    left_open: frozenset[Pair] = frozenset()


@dataclass(frozen=True)
class Found:
    """What a miner says of a task. `course` is its usual sequence of all steps; empty if it gives none."""

    steps: frozenset[str]
    order: frozenset[Pair]
    edges: frozenset[Pair]
    course: tuple[str, ...] = ()

    @classmethod
    def of(cls, procedure: Procedure) -> Found:
        return cls(frozenset(procedure.steps), frozenset(procedure.order), frozenset(procedure.direct), procedure.steps)


@dataclass(frozen=True)
class Score:
    """Counts that add up over tasks.

    `pairs`: ordered by the written procedure (one way only, by its paths) between found steps; `course_pairs` of them
    stand so in the usual course, `stated_pairs` are stated by the mined order either way and `agreed_pairs` rightly.
    `claimed_edges` are those mined between steps of the written procedure, `open_edges` those of them it leaves open.
    """

    tasks: int = 0
    gold_steps: int = 0
    found_steps: int = 0
    pairs: int = 0
    course_pairs: int = 0
    stated_pairs: int = 0
    agreed_pairs: int = 0
    gold_edges: int = 0
    claimed_edges: int = 0
    open_edges: int = 0
    right_edges: int = 0
    exact: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @property
    def step_recall(self) -> float:
        return _ratio(self.found_steps, self.gold_steps)

    @property
    def course_agreement(self) -> float:
        """Share of all pairs that stand rightly in the usual course: nothing is left out."""
        return _ratio(self.course_pairs, self.pairs)

    @property
    def order_agreement(self) -> float:
        """Share of the stated pairs that are right."""
        return _ratio(self.agreed_pairs, self.stated_pairs)

    @property
    def order_stated(self) -> float:
        """Share of the pairs about which the mined order says something."""
        return _ratio(self.stated_pairs, self.pairs)

    @property
    def edge_f1(self) -> float:
        """Harmonic mean of precision and recall; an edge that the written procedure leaves open counts as wrong."""
        return _ratio(2 * self.right_edges, self.claimed_edges + self.gold_edges)

    @property
    def edge_f1_open(self) -> float:
        """The same without the edges that the written procedure leaves open."""
        return _ratio(2 * self.right_edges, self.claimed_edges - self.open_edges + self.gold_edges)


def score(found: Found, gold: Gold) -> Score:
    """Compare. Mined steps that the written procedure does not have are contracted: it says nothing of them."""
    paths = reachable(gold.edges)
    pairs = {(a, b) for a, b in paths if (b, a) not in paths and a in found.steps and b in found.steps}
    order = reachable(found.order)
    place = {step: number for number, step in enumerate(found.course)}
    claimed = contract(found.edges, found.steps - gold.steps)
    return Score(
        tasks=1,
        gold_steps=len(gold.steps),
        found_steps=len(gold.steps & found.steps),
        pairs=len(pairs),
        course_pairs=sum(bool(place) and place[a] < place[b] for a, b in pairs),
        stated_pairs=sum((a, b) in order or (b, a) in order for a, b in pairs),
        agreed_pairs=sum((a, b) in order and (b, a) not in order for a, b in pairs),
        gold_edges=len(gold.edges),
        claimed_edges=len(claimed),
        open_edges=len(claimed & (gold.left_open - gold.edges)),
        right_edges=len(claimed & gold.edges),
        exact=int(found.steps == gold.steps and claimed == gold.edges),
    )


def contract(edges: Iterable[Pair], hidden: Collection[str]) -> frozenset[Pair]:
    """Edges without the hidden nodes: what led to one leads on to what it led to. No step leads to itself."""
    left = set(edges)
    for node in hidden:
        sources = [a for a, b in left if b == node and a != node]
        targets = [b for a, b in left if a == node and b != node]
        left = {(a, b) for a, b in left if node not in (a, b)} | {(a, b) for a in sources for b in targets}
    return frozenset((a, b) for a, b in left if a != b)


def reachable(edges: Iterable[Pair]) -> frozenset[Pair]:
    """Pairs joined by a path; edges may run in circles."""
    after: dict[str, set[str]] = {}
    for a, b in edges:
        after.setdefault(a, set()).add(b)
    found = set()
    for start in after:
        seen: set[str] = set()
        queue = list(after[start])
        while queue:
            node = queue.pop()
            if node not in seen:
                seen.add(node)
                queue += after.get(node, ())
        found |= {(start, node) for node in seen}
    return frozenset(found)


def chain(task: str, steps: Sequence[str]) -> Gold:
    """A written procedure that is one sequence."""
    return Gold(task, frozenset(steps), frozenset((a, b) for a, b in pairwise(steps) if a != b))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
