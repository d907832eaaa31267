"""Peers of the procedure miner: frequency-pruned graph, heuristics dependency, the former miner, and pm4py if given."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

from data_recipes.experience.procedures.gold import Found, reachable

Trace = Sequence[str]

_PM4PY = """
import json, sys
import pandas, pm4py
tasks = json.load(open(sys.argv[1]))
found = {}
for task, traces in tasks.items():
    rows = [(str(n), step, pandas.Timestamp(2026, 1, 1) + pandas.Timedelta(seconds=i))
            for n, trace in enumerate(traces) for i, step in enumerate(trace)]
    log = pandas.DataFrame(rows, columns=["case:concept:name", "concept:name", "time:timestamp"])
    net = pm4py.discover_heuristics_net(log, dependency_threshold=0.5)
    edges = [(a, b.node_name) for a, node in net.nodes.items() for b in node.output_connections]
    found[task] = {"steps": sorted(net.nodes), "edges": edges}
json.dump(found, sys.stdout)
"""


def pruned_graph(traces: Sequence[Trace]) -> Found:
    """Directly-follows graph: nodes of at least 2.3 % of the events, edges of at least 20 % of their source's (the
    thresholds of Dialog2Flow, arXiv 2410.18481)."""
    events = Counter(step for trace in traces for step in trace)
    steps = {step for step, count in events.items() if count >= 0.023 * events.total()}
    follows = Counter(pair for trace in traces for pair in pairwise(step for step in trace if step in steps))
    out = Counter[str]()
    for (a, _), count in follows.items():
        out[a] += count
    return _graph(steps, {(a, b) for (a, b), count in follows.items() if count >= 0.2 * out[a]})


def heuristics(traces: Sequence[Trace], least: float = 0.5) -> Found:
    """Dependency (a>b − b>a)/(a>b + b>a + 1) of at least `least` (Weijters and others 2006), steps of 5 % of cases."""
    present = Counter(step for trace in traces for step in set(trace))
    steps = {step for step, count in present.items() if count >= 0.05 * len(traces)}
    f = Counter(pair for trace in traces for pair in pairwise(step for step in trace if step in steps))
    return _graph(steps, {(a, b) for a, b in f if a != b and (f[a, b] - f[b, a]) / (f[a, b] + f[b, a] + 1) >= least})


def former(traces: Sequence[Trace]) -> Found:
    """The miner this one replaced: fixed shares, mean positions, every directly-follows pair an edge."""
    present = Counter(step for trace in traces for step in set(trace))
    steps = {step for step, count in present.items() if count >= 0.05 * len(traces)}
    first = [{step: trace.index(step) for step in steps & set(trace)} for trace in map(list, traces)]
    before = Counter[tuple[str, str]]()
    for seen in first:
        before.update((a, b) if seen[a] < seen[b] else (b, a) for a, b in combinations(sorted(seen), 2))
    order = {(a, b) for a, b in before if (n := before[a, b] + before[b, a]) >= 5 and before[a, b] >= 0.95 * n}
    follows = {pair for trace in traces for pair in pairwise(step for step in trace if step in steps)}
    positions = {step: [seen[step] for seen in first if step in seen] for step in steps}
    course = sorted(steps, key=lambda step: (sum(positions[step]) / len(positions[step]), step))
    return Found(frozenset(steps), frozenset(order), frozenset(follows), tuple(course))


def pm4py(python: Path, tasks: Mapping[str, Sequence[Trace]], folder: Path) -> dict[str, Found]:
    """pm4py's heuristics net (dependency 0.5) in an interpreter of its own: it is AGPL, so nothing imports it."""
    traces = folder / "traces.json"
    traces.write_text(json.dumps({task: [list(t) for t in some] for task, some in tasks.items()}), "utf-8")
    run = subprocess.run([python, "-c", _PM4PY, traces], capture_output=True, text=True, check=True)
    return {
        task: _graph(set(value["steps"]), {(a, b) for a, b in value["edges"]})
        for task, value in json.loads(run.stdout[run.stdout.index("{") :]).items()
    }


def _graph(steps: set[str], edges: set[tuple[str, str]]) -> Found:
    """A graph orders two steps that a path joins one way only."""
    paths = reachable(edges)
    return Found(frozenset(steps), frozenset((a, b) for a, b in paths if (b, a) not in paths), frozenset(edges))
