"""What a run took: requests, tokens, time, money; and a plot of latency over length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evals.records import Attempt
from evals.report import charts
from evals.report.words import DASH, number

Json = Mapping[str, Any]

_POINTS_PER_ARM = 350


@dataclass(frozen=True)
class CostRow:
    """One arm; `cells` in the order of `HEADS`, – where the run did not measure it."""

    arm: str
    cells: Sequence[str]


HEADS = (
    ("请求数", "requests"),
    ("重发", "sent again"),
    ("沿用旧答案", "reused"),
    ("输入词元", "prompt tokens"),
    ("其中命中缓存", "cached"),
    ("输出词元", "output tokens"),
    ("时延 p50 / p95", "latency, s"),
    ("首词元 p50 / p95", "first token, s"),
    ("吞吐（词元/秒）", "output tokens/s"),
    ("用时", "wall time, s"),
    ("费用", "cost"),
)


def cost_table(summary: Json, arms: Sequence[str]) -> tuple[list[tuple[str, str]], list[CostRow]]:
    """Heads and rows, without the columns that no arm has."""
    rows = [CostRow(arm, _cells(summary, arm)) for arm in arms]
    kept = [place for place in range(len(HEADS)) if any(row.cells[place] != DASH for row in rows)]
    heads = [HEADS[place] for place in kept]
    return heads, [CostRow(row.arm, [row.cells[place] for place in kept]) for row in rows]


def latency_plot(attempts: Sequence[Attempt]) -> Markup:
    """Latency over answer length, an evenly spaced part of the answers of each arm."""
    answered = [attempt for attempt in attempts if attempt.error is None and attempt.latency_s > 0]
    points = []
    for arm in dict.fromkeys(attempt.arm for attempt in answered):
        of_arm = [attempt for attempt in answered if attempt.arm == arm]
        step = -(-len(of_arm) // _POINTS_PER_ARM)
        points += [(float(a.output_tokens), a.latency_s, arm) for a in of_arm[::step]]
    return charts.scatter(points, "输出词元数", "时延（秒）") if points else Markup("")


def _cells(summary: Json, arm: str) -> list[str]:
    took = {**summary.get("cost", {}).get(arm, {}), **summary.get("performance", {}).get(arm, {})}
    latency = took.get("latency_s") or {"p50": took.get("latency_p50_s"), "p95": took.get("latency_p95_s")}
    first = took.get("first_token_s") or {"p50": took.get("first_token_p50_s"), "p95": took.get("first_token_p95_s")}
    seconds, price = summary["arms"][arm].get("seconds"), took.get("cost")
    return [
        number(took.get("requests"), 0),
        _some(took.get("sent_again")),
        _some(took.get("reused")),
        number(took.get("prompt_tokens"), 0),
        _some(took.get("cached_tokens")),
        number(took.get("output_tokens"), 0),
        _pair(latency),
        _pair(first),
        number(took["output_tokens"] / seconds, 0) if seconds and took.get("output_tokens") else DASH,
        number(seconds, 0),
        f"{price['currency']} {number(price['total'])}" if price else DASH,
    ]


def _some(count: int | None) -> str:
    """A count that is worth a column only where it is not 0."""
    return number(count, 0) if count else DASH


def _pair(percentiles: Json) -> str:
    if percentiles["p50"] is None:
        return DASH
    return f"{number(percentiles['p50'])} / {number(percentiles['p95'])}"
