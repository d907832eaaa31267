"""From pairs of answers to the figures and the verdict."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from evals.measures import Estimate, Measure
from evals.parity.config import Limits, ParityConfig
from evals.parity.records import Cell, Distance, Outcome, Pair
from evals.stats import clopper_pearson
from tianjing.models.precision import Precision

NAMED = 5
Json = dict[str, Any]


def judge(
    pairs: Sequence[Pair], distances: Mapping[Cell, Distance | None], config: ParityConfig, served: Precision
) -> Json:
    """Figures of every two cells; for every number format asked in, whether parity is met, and why not.

    Met: every two ways at the same load give equal canonical answers on `config.target` of the closed-form items;
    wherever two texts part, in any task, the adapter in float32 is near a tie; and the log-probabilities of the engines
    are the adapter's but for rounding. The last is the sharpest: a model that is sure of its answers gives the same
    ones under a wrong merge too.

    The verdict of the whole is that of `served`, the format that the engines serve in; another stands beside it only.
    """
    together: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        together.setdefault((pair.a, pair.b), []).append(pair)
    figures = [_figures(a, b, rows, config) for (a, b), rows in together.items()]
    formats: Json = {}
    for dtype in config.dtypes(served):
        reasons = _format_reasons(dtype, figures, together, distances, config)
        formats[dtype] = {"served": dtype == served, "met": not reasons, "reasons": reasons}
    unasked = f"{served}, which is served, was not asked: what holds in {' and '.join(formats)} says nothing of it"
    verdict = formats.get(served, {"met": False, "reasons": [unasked]})
    return {
        "met": verdict["met"],
        "reasons": list(verdict["reasons"]),
        "served": served,
        "formats": formats,
        "pairs": figures,
        "distances": {cell.name: far and far.model_dump(mode="json") for cell, far in distances.items()},
        "tasks": _tasks(pairs),
    }


def _format_reasons(
    dtype: Precision,
    figures: Sequence[Json],
    together: Mapping[tuple[str, str], Sequence[Pair]],
    distances: Mapping[Cell, Distance | None],
    config: ParityConfig,
) -> list[str]:
    """Why parity is not met with engines that compute in `dtype`; empty when it is."""
    deciding = [figure for figure in figures if figure["decides"] == dtype]
    limits = config.limits(dtype)
    reasons = []
    for figure in deciding:
        reasons += _reasons(figure, together[figure["a"], figure["b"]], config, limits)
    reasons += [
        f"{cell.name}: log-probabilities are {far.steps:.2f} bfloat16 steps ({far.mean_nats:.4f} nats) from the "
        f"adapter's in float32 on average, allowed {limits.distance_steps:g}: it serves another model"
        for cell, far in distances.items()
        if far is not None and cell.dtype == dtype and far.steps > limits.distance_steps
    ]
    if not any(figure["closed"]["n"] for figure in deciding):
        reasons.append("no item of a closed-form task: whether answers are equal was not measured")
    if reasons:
        named = {name for figure in deciding for name in (figure["a"], figure["b"])}
        loads = [figure for figure in figures if {figure["a"], figure["b"]} <= named and not figure["decides"]]
        reasons += [note for figure in loads if (note := _floor(figure, config)) is not None]
    return reasons


def measures(pairs: Sequence[Pair], config: ParityConfig) -> list[Measure]:
    """`parity` over all closed-form tasks and of each: the deciding pair of cells that agrees least; and
    `parity_faults`: items that part further from a tie than rounding explains, in any deciding pair.

    Args:
        pairs: those that decide in one number format.
    """
    found = []
    closed = [pair for pair in pairs if pair.closed]
    for task in ("", *sorted({pair.task for pair in closed})):
        rows = [pair for pair in closed if task in ("", pair.task)]
        if not rows:
            continue
        figure = _worst(rows, config)
        share, n = figure["closed"], figure["closed"]["n"]
        found.append(
            Measure(
                name="parity",
                task=task,
                arms={"tuned": Estimate(value=share["share"], low=share["low"], high=share["high"])},
                n=n,
                groups=len({pair.group for pair in rows}),
                events={"tuned": n - share["equal"]},
                trials={"tuned": n},
                note=f"least equal pair: {figure['a']} and {figure['b']}",
            )
        )
    items = {pair.item for pair in pairs}
    faults = {pair.item for pair in pairs if pair.outcome == "fault"}
    low, high = clopper_pearson(len(faults), len(items), config.confidence)
    found.append(
        Measure(
            name="parity_faults",
            better="lower",
            arms={"tuned": Estimate(value=len(faults) / len(items), low=low, high=high)},
            n=len(items),
            groups=len({pair.group for pair in pairs}),
            events={"tuned": len(faults)},
            trials={"tuned": len(items)},
            note="texts part further from a tie than rounding explains",
        )
    )
    return found


def _figures(a: str, b: str, rows: Sequence[Pair], config: ParityConfig) -> Json:
    closed = [row for row in rows if row.closed]
    equal = sum(row.equal for row in closed)
    low, high = clopper_pearson(equal, len(closed), config.confidence) if closed else (None, None)
    outcomes = Counter(row.outcome for row in rows)
    positions = [row.position for row in rows if row.position is not None]
    gaps = [row.gap for row in rows if row.gap is not None]
    return {
        "a": a,
        "b": b,
        "decides": rows[0].decides,
        "closed": {
            "n": len(closed),
            "equal": equal,
            "share": equal / len(closed) if closed else None,
            "low": low,
            "high": high,
        },
        "outcomes": {outcome: outcomes[outcome] for outcome in get_args(Outcome)},
        "first_divergence": _spread(positions),
        "behind_logits": _spread([gap.behind for gap in gaps]),
        "behind_steps": _spread([gap.steps for gap in gaps]),
    }


def _spread(values: Sequence[float]) -> Json | None:
    if not values:
        return None
    return {"n": len(values), "least": min(values), "median": statistics.median(values), "most": max(values)}


def _reasons(figure: Json, rows: Sequence[Pair], config: ParityConfig, limits: Limits) -> list[str]:
    pair, closed, reasons = f"{figure['a']} and {figure['b']}", figure["closed"], []
    if closed["n"] and closed["share"] < config.target:
        different = [row for row in rows if row.closed and not row.equal]
        kinds = Counter(row.outcome for row in different)
        reasons.append(
            f"{pair}: {closed['equal']} of {closed['n']} closed-form answers equal, {share_text(closed)}, wanted "
            f"{percent(config.target)}; different ({', '.join(f'{n} {kind}' for kind, n in kinds.items())}): "
            f"{_named([row.item for row in different])}"
        )
    faults = [row for row in rows if row.outcome == "fault"]
    if faults:
        worst = max(faults, key=lambda row: row.gap.steps if row.gap else 0.0)
        assert worst.gap is not None
        reasons.append(
            f"{pair}: {len(faults)} texts part where rounding does not explain it: {_named([r.item for r in faults])}; "
            f"furthest {worst.item}, token {worst.position}: {worst.gap.behind:.3f} logits behind the best, "
            f"{worst.gap.steps:.1f} bfloat16 steps, allowed {limits.rounding_steps:g}"
        )
    prompts = [row.item for row in rows if row.outcome == "prompt"]
    if prompts:
        reasons.append(f"{pair}: {len(prompts)} items were asked in different tokens: {_named(prompts)}")
    errors = [row for row in rows if row.outcome == "error"]
    if errors:
        reasons.append(
            f"{pair}: {len(errors)} items were not answered: {_named([r.item for r in errors])}: {errors[0].error}"
        )
    return reasons


def _floor(figure: Json, config: ParityConfig) -> str | None:
    """What load alone changes, where that is already below the target."""
    (way, _, _), (other, _, _), closed = figure["a"].partition("@"), figure["b"].partition("@"), figure["closed"]
    if way != other or not closed["n"] or closed["share"] >= config.target:
        return None
    return (
        f"note: load alone changes answers: {figure['a']} and {figure['b']} agree on {share_text(closed)} of the "
        "closed-form items"
    )


def _tasks(pairs: Sequence[Pair]) -> Json:
    """Per format and task, of its least equal deciding pair: items, equal ones, and texts that part in any of them."""
    found: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        if pair.decides is not None:
            found.setdefault(pair.decides, {}).setdefault(pair.task, []).append(pair)
    return {dtype: {task: _task(rows) for task, rows in sorted(tasks.items())} for dtype, tasks in found.items()}


def _task(rows: Sequence[Pair]) -> Json:
    equal = dict.fromkeys(((row.a, row.b) for row in rows), 0)
    for row in rows:
        equal[row.a, row.b] += row.equal
    return {
        "closed": rows[0].closed,
        "items": len({row.item for row in rows}),
        "equal": min(equal.values()),
        "parted": len({row.item for row in rows if row.outcome in ("rounding", "fault")}),
        "faults": len({row.item for row in rows if row.outcome == "fault"}),
    }


def _worst(rows: Sequence[Pair], config: ParityConfig) -> Json:
    pairs = dict.fromkeys((row.a, row.b) for row in rows)
    figures = [_figures(a, b, [row for row in rows if (row.a, row.b) == (a, b)], config) for a, b in pairs]
    return min(figures, key=lambda figure: figure["closed"]["equal"])


def percent(value: float) -> str:
    """Shares near 1 with the digit that decides."""
    return f"{100 * value:.1f} %"


def share_text(closed: Json) -> str:
    """Share with its Clopper-Pearson interval."""
    return f"{percent(closed['share'])} [{100 * closed['low']:.1f}, {100 * closed['high']:.1f}]"


def _named(items: Sequence[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more
