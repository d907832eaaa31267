"""Layered drawing of an acyclic graph (Sugiyama, Tagawa and Toda 1981): where boxes stand and lines run, in pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from data_recipes.experience.procedures.order import Pair

_SWEEPS = 12
_GAP_X, _GAP_Y, _LANE = 24.0, 52.0, 12.0
# Nodes side by side, at most: more would not fit a page at a readable size.
_ABREAST = 6


@dataclass(frozen=True)
class Box:
    """Centre and size of a node."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """`lines` run from the lower edge of a box to the upper edge of another, through points between."""

    boxes: Mapping[str, Box]
    lines: Mapping[Pair, tuple[tuple[float, float], ...]]
    width: float
    height: float


def layout(nodes: Sequence[str], edges: Sequence[Pair], sizes: Mapping[str, tuple[float, float]]) -> Layout:
    """Lay out from top to bottom.

    Args:
        nodes: in a sequence that every edge follows.
        sizes: width and height of each node.
    """
    layers, chains = _layers(nodes, edges)
    width = {item: sizes[item][0] if isinstance(item, str) else _LANE for layer in layers for item in layer}
    above: dict[Item, list[Item]] = {item: [] for layer in layers for item in layer}
    below: dict[Item, list[Item]] = {item: [] for layer in layers for item in layer}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    _untangle(layers, above, below)
    x = _place(layers, above, below, width)
    left = min((x[item] - width[item] / 2 for item in x), default=0.0)
    heights = [max((sizes[i][1] for i in layer if isinstance(i, str)), default=0.0) for layer in layers]
    tops, top = [], 0.0
    for height in heights:
        tops.append(top)
        top += height + _GAP_Y
    boxes, middle = {}, {}
    for number, layer in enumerate(layers):
        for item in layer:
            middle[item] = (x[item] - left, tops[number] + heights[number] / 2)
            if isinstance(item, str):
                boxes[item] = Box(*middle[item], *sizes[item])
    lines = {}
    for (a, b), chain in chains.items():
        start, end = boxes[a], boxes[b]
        through = []
        for item in chain[1:-1]:
            number = item[2] if isinstance(item, tuple) else 0
            # Straight past the boxes of the layer, so that a line bends only between layers.
            through += [(middle[item][0], tops[number]), (middle[item][0], tops[number] + heights[number])]
        lines[a, b] = ((start.x, start.y + start.height / 2), *through, (end.x, end.y - end.height / 2))
    right = max((x[item] + width[item] / 2 for item in x), default=0.0)
    return Layout(boxes, lines, right - left, max(0.0, top - _GAP_Y))


# A node, or where the line (a, b) passes through layer n.
Item = str | tuple[str, str, int]


def _layers(nodes: Sequence[str], edges: Sequence[Pair]) -> tuple[list[list[Item]], dict[Pair, list[Item]]]:
    """Items of each layer, and for each edge the items it runs through."""
    depth = dict.fromkeys(nodes, 0)
    filled: Counter[int] = Counter()
    for node in nodes:
        level = max((depth[a] + 1 for a, b in edges if b == node), default=0)
        while filled[level] >= _ABREAST:
            level += 1
        depth[node] = level
        filled[level] += 1
    led_to = {b for _, b in edges}
    for node in reversed(nodes):
        # What nothing leads to stands just above what it leads to, where there is room.
        level = min((depth[b] for a, b in edges if a == node), default=0) - 1
        while level > depth[node] and filled[level] >= _ABREAST:
            level -= 1
        if node not in led_to and level > depth[node]:
            filled[depth[node]] -= 1
            filled[level] += 1
            depth[node] = level
    layers: list[list[Item]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    chains: dict[Pair, list[Item]] = {}
    for a, b in edges:
        between: list[Item] = [(a, b, number) for number in range(depth[a] + 1, depth[b])]
        chains[a, b] = [a, *between, b]
        for number, item in enumerate(between, depth[a] + 1):
            layers[number].append(item)
    return layers, chains


def _untangle(layers: list[list[Item]], above: Mapping[Item, list[Item]], below: Mapping[Item, list[Item]]) -> None:
    """Order each layer by the mean place of its neighbours, down and up, and keep what crosses least."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for number in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            near = {item: place for place, item in enumerate(layers[number - 1 if down else number + 1])}
            neighbours = above if down else below
            own = {item: float(place) for place, item in enumerate(layers[number])}
            key = {
                item: sum(near[one] for one in neighbours[item]) / len(neighbours[item]) if neighbours[item] else place
                for item, place in own.items()
            }
            layers[number].sort(key=lambda item: (key[item], own[item]))
        if (crossings := _crossings(layers, below)) < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: Sequence[Sequence[Item]], below: Mapping[Item, list[Item]]) -> int:
    found = 0
    for upper, lower in pairwise(layers):
        place = {item: number for number, item in enumerate(lower)}
        lines = [(number, place[one]) for number, item in enumerate(upper) for one in below[item]]
        found += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(lines) for c, d in lines[:i])
    return found


def _place(
    layers: Sequence[Sequence[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    width: Mapping[Item, float],
) -> dict[Item, float]:
    """Centres: each layer drawn towards the mean of its neighbours, as far as the boxes leave room."""
    x: dict[Item, float] = {}
    for layer in layers:
        at = 0.0
        for item in layer:
            x[item] = at + width[item] / 2
            at += width[item] + _GAP_X
        for item in layer:
            x[item] -= at / 2
    for sweep in range(_SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [
                sum(x[one] for one in neighbours[item]) / len(neighbours[item]) if neighbours[item] else x[item]
                for item in layer
            ]
            x.update(zip(layer, _apart(wanted, [width[item] for item in layer]), strict=True))
    return x


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Positions nearest to those wanted (least squares) that keep order and gaps: pool adjacent violators."""
    offsets, total = [], 0.0
    for number, width in enumerate(widths):
        total += (width + widths[number - 1]) / 2 + _GAP_X if number else 0.0
        offsets.append(total)
    blocks: list[tuple[float, int]] = []
    for value, offset in zip(wanted, offsets, strict=True):
        blocks.append((value - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (m, n), (o, p) = blocks.pop(), blocks.pop()
            blocks.append(((m * n + o * p) / (n + p), n + p))
    means = [mean for mean, size in blocks for _ in range(size)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
