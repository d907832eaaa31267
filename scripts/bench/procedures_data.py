"""Written procedures and their cases for `procedures.py`: STAR's task graphs and dialogues, ABCD's workflows."""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_recipes.experience.procedures import Case, Step
from data_recipes.experience.procedures.gold import Gold, chain, contract


@dataclass(frozen=True)
class Turn:
    """A reply the wizard picked: what it says, the label that the tool logged, and when (seconds)."""

    text: str
    label: str
    at: int


def star_dialogues(archive: Path) -> dict[str, dict[str, list[Turn]]]:
    """Task -> dialogue -> picked replies, of complete dialogues with one task."""
    found: dict[str, dict[str, list[Turn]]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.name.endswith(".json") else None
            if stream is None or Path(member.name).name.startswith("."):
                continue
            value = json.load(stream)
            tasks = value["Scenario"]["WizardCapabilities"]
            if value["CompletionLevel"] != "Complete" or len(tasks) != 1:
                continue
            turns = [
                Turn(event["Text"], event["ActionLabel"], event["UnixTime"])
                for event in value["Events"]
                if event["Action"] == "pick_suggestion"
            ]
            found.setdefault(tasks[0]["Task"], {})[str(value["DialogueID"])] = turns
    return {task: dict(sorted(rows.items())) for task, rows in sorted(found.items())}


def star_gold(folder: Path, task: str, uttered: Iterable[str]) -> Gold:
    """The task graph without the nodes that no dialogue of the task utters (queries, results, answers of the user).

    A query ends a path of the graph and a result begins one: the file does not join them. An edge from a step at such
    an end to a step at such a beginning is left open.
    """
    graph: Mapping[str, str] = json.loads((folder / task / f"{task}.json").read_text("utf-8"))["graph"]
    nodes = {node for edge in graph.items() for node in edge}
    steps = nodes & set(uttered)
    hidden = nodes - steps
    edges = frozenset(graph.items())
    # A hidden node with nothing before or after it in the file gets a marker there, which contraction leaves behind.
    ends, begins = nodes - {a for a, _ in edges}, hidden - {b for _, b in edges}
    marked = contract(edges | {(e, "END") for e in ends} | {("BEGIN", b) for b in begins}, hidden)
    left_open = {(a, b) for a, end in marked if end == "END" for begin, b in marked if begin == "BEGIN"}
    stated = contract(edges, hidden)
    return Gold(task, frozenset(steps), stated, frozenset((a, b) for a, b in left_open if a != b and a in steps))


def star_cases(
    task: str, dialogues: Mapping[str, Sequence[Turn]], labels: Mapping[str, str] | None = None
) -> list[Case]:
    """Cases by logged labels, or by those of `labels` (text -> label). Empty dialogues are none."""
    return [
        Case(
            name,
            task,
            tuple(Step(turn.label if labels is None else labels[turn.text], rank) for rank, turn in enumerate(turns)),
        )
        for name, turns in dialogues.items()
        if turns
    ]


def abcd_gold(folder: Path) -> list[Gold]:
    """The 55 workflows of kb.json, each one sequence of actions."""
    workflows: Mapping[str, list[str]] = json.loads((folder / "kb.json").read_text("utf-8"))
    return [chain(task, steps) for task, steps in workflows.items()]


def abcd_workflows(folder: Path) -> dict[str, list[str]]:
    return json.loads((folder / "kb.json").read_text("utf-8"))  # type: ignore[no-any-return]


def play(workflows: Mapping[str, Sequence[str]], cases: int, rate: float, seed: int) -> list[Case]:
    """Cases that follow each workflow as people do.

    Every step is left out with probability `rate`; with probability `rate` each, a case has two neighbours swapped, one
    step done again later, and one action of another workflow put in anywhere.
    """
    rng = random.Random(seed)
    actions = sorted({action for steps in workflows.values() for action in steps})
    found = []
    for task, steps in workflows.items():
        for number in range(cases):
            done = [step for step in steps if rng.random() >= rate]
            if len(done) > 1 and rng.random() < rate:
                place = rng.randrange(len(done) - 1)
                done[place : place + 2] = reversed(done[place : place + 2])
            if done and rng.random() < rate:
                done.insert(rng.randrange(len(done)) + 1, done[rng.randrange(len(done))])
            if rng.random() < rate:
                done.insert(rng.randrange(len(done) + 1), rng.choice(actions))
            if done:
                played = tuple(Step(step, rank) for rank, step in enumerate(done))
                found.append(Case(f"{task}-{number}", task, played))
    return found


def abcd_sample(folder: Path) -> list[Case]:
    """The three sample dialogues: the actions that the agent took, under the subflow without its variant's number."""
    rows: list[dict[str, Any]] = json.loads((folder / "abcd_sample.json").read_text("utf-8"))
    workflows = abcd_workflows(folder)
    found = []
    for row in rows:
        subflow = row["scenario"]["subflow"]
        task = subflow if subflow in workflows else subflow.rpartition("_")[0]
        actions = [turn["targets"][2] for turn in row["delexed"] if turn["speaker"] == "action"]
        done = tuple(Step(action, rank) for rank, action in enumerate(actions))
        found.append(Case(f"{row['convo_id']} {subflow}", task, done))
    return found
