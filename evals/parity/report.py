"""A parity check in Markdown: the verdict, every two cells, and the items that differ with both texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evals.parity.records import TITLES, Pair
from evals.parity.verdict import percent, share_text

if TYPE_CHECKING:
    from rich.table import Table

MOST_SHOWN = 40
Json = dict[str, Any]


def render(summary: Json, pairs: Sequence[Pair], token: Callable[[int], str]) -> str:
    """The page.

    Args:
        token: the text of one token id.
    """
    lines = [f"# Parity: {'met' if summary['met'] else 'not met'}", ""]
    lines += [f"- {line}" for line in verdicts(summary)]
    config = summary["config"]
    lines += [
        "",
        f"{summary['items']} items, {summary['closed_items']} of closed-form tasks. Wanted: at least "
        f"{percent(config['target'])} equal canonical answers between any two ways at the same load, and no text "
        f"that parts more than {config['rounding_steps']:g} bfloat16 steps from a tie "
        f"({config['float32_rounding_steps']:g} where engines compute in float32).",
        "",
        "## The ways",
        "",
        "| cell | what answers | computes in | requests at a time | tokens | errors | cut short | seconds an answer "
        "| log-probabilities from float32: steps, nats |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in summary["cells"].items():
        counts = " | ".join(str(cell[column]) for column in ("dtype", "load", "tokens", "errors", "cut_short"))
        far = _far(summary["distances"][name])
        lines.append(f"| {name} | {TITLES[cell['way']]} | {counts} | {cell['mean_seconds']:.2f} | {far} |")
    lines += ["", "## Two by two", "", _line(_COLUMNS), "|---" * len(_COLUMNS) + "|"]
    lines += [_line(row) for row in _pair_rows(summary["pairs"])]
    lines += [
        "",
        "## Tasks (the least equal deciding pair)",
        "",
        "| engines in | task | answers | items | equal | parted | faults |",
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for dtype, tasks in summary["tasks"].items():
        for name, task in tasks.items():
            kind = "closed-form" if task["closed"] else "written"
            counts = " | ".join(str(task[column]) for column in ("items", "equal", "parted", "faults"))
            lines.append(f"| {dtype} | {name} | {kind} | {counts} |")
    lines += ["", *_differences(summary, pairs, token)]
    return "\n".join(lines) + "\n"


def verdicts(summary: Json) -> list[str]:
    """A line for the format that is served and for each other that was asked in, each before its reasons."""
    lines = [] if summary["served"] in summary["formats"] else list(summary["reasons"])
    for dtype, verdict in sorted(summary["formats"].items(), key=lambda entry: not entry[1]["served"]):
        what = "as served" if verdict["served"] else "apart from rounding: merge, template, adapter and sampling"
        lines.append(f"engines in {dtype} ({what}): {'met' if verdict['met'] else 'not met'}")
        lines += summary["reasons"] if verdict["served"] else verdict["reasons"]
    return lines


def console_table(summary: Json) -> Table:
    """Every two cells, for the console."""
    from rich.table import Table

    table = Table()
    for column in _COLUMNS:
        table.add_column(column)
    for row in _pair_rows(summary["pairs"]):
        table.add_row(*row)
    return table


_COLUMNS = (
    "pair",
    "role",
    "closed-form answers equal",
    "same tokens",
    "rounding",
    "fault",
    "prompt",
    "error",
    "parts after tokens (median)",
    "behind the best, steps (median, most)",
)


def _pair_rows(figures: Sequence[Json]) -> list[list[str]]:
    rows = []
    for figure in sorted(figures, key=lambda figure: (not figure["decides"], _role(figure))):
        closed, outcomes = figure["closed"], figure["outcomes"]
        share = f"{closed['equal']}/{closed['n']}, {share_text(closed)}" if closed["n"] else "none"
        parts, steps = figure["first_divergence"], figure["behind_steps"]
        role = f"decides {figure['decides']}" if figure["decides"] else _role(figure)
        rows.append(
            [
                f"{figure['a']} and {figure['b']}",
                role,
                share,
                *(str(outcomes[name]) for name in ("identical", "rounding", "fault", "prompt", "error")),
                "" if parts is None else format(parts["median"], "g"),
                "" if steps is None else "{median:.2f}, {most:.2f}".format(**steps),
            ]
        )
    return rows


def _far(distance: Json | None) -> str:
    return "" if distance is None else "{steps:.3g}, {mean_nats:.2g}".format(**distance)


def _line(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |"


def _differences(summary: Json, pairs: Sequence[Pair], token: Callable[[int], str]) -> list[str]:
    deciding = {(figure["a"], figure["b"]) for figure in summary["pairs"] if figure["decides"]}
    shown = [
        pair
        for pair in pairs
        if (pair.a, pair.b) in deciding and (pair.outcome in ("fault", "prompt", "error") or not pair.equal)
        if pair.closed or pair.outcome != "rounding"
    ]
    shown.sort(key=lambda pair: (pair.outcome == "rounding", pair.item, pair.a, pair.b))
    if not shown:
        return ["No closed-form answer differs, and no text parts beyond rounding."]
    lines = [f"## Items that differ ({len(shown)}{', the first shown' if len(shown) > MOST_SHOWN else ''})"]
    for pair in shown[:MOST_SHOWN]:
        lines += ["", f"### {pair.item}: {pair.a} and {pair.b}, {pair.outcome}", ""]
        if pair.gap is not None:
            chosen = f"{_token(pair.token_a, token)} or {_token(pair.token_b, token)}"
            lines += [
                f"After {pair.position} tokens: {chosen}; best in float32 {_token(pair.gap.best, token)}, "
                f"top-2 gap {pair.gap.top2:.4f}, the lesser choice {pair.gap.behind:.4f} behind = "
                f"{pair.gap.steps:.2f} steps.",
                "",
            ]
        for cell, answer, text in ((pair.a, pair.answer_a, pair.text_a), (pair.b, pair.answer_b, pair.text_b)):
            lines += [f"{cell} (answer {'not readable' if answer is None else f'`{answer}`'}):", ""]
            lines += [*(f"> {line}" for line in (text or "").splitlines() or [""]), ""]
    return lines


def _token(given: int | None, token: Callable[[int], str]) -> str:
    return "the end" if given is None else f"`{token(given)!r}`"


def _role(figure: Json) -> str:
    return "load alone" if figure["a"].partition("@")[0] == figure["b"].partition("@")[0] else "format alone"
