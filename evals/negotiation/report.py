"""The comparison as a page of Markdown: what was measured, in two tables, and what it means."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

TITLES: dict[str, str] = {
    "recovery": "recovery",
    "agreed": "agreed",
    "over_concession": "over-concession",
    "outside_policy": "outside the policy",
    "breached": "with a breach",
    "complained": "complaints",
    "hung_up": "hung up",
    "next_reply": "practice's act, held-out replies",
}


def render(summary: Json) -> str:
    """Markdown of `ablation.json`."""
    config, first = summary["config"], summary["candidate"]
    lines = [
        "# Negotiation: what experience changes",
        "",
        f"{config['debtors']} debtors from number {config['first_debtor']} ({', '.join(config['sites'])}), seed "
        f"{config['seed']}, at most {config['max_turns']} answers, temperature {config['temperature']:g}.",
        "",
        verdict(summary),
        "",
        f"| arm | {' | '.join(TITLES.values())} | misquoted | turns |",
        f"|---|{'---:|' * (len(TITLES) + 2)}",
    ]
    for arm, figures in summary["arms"].items():
        cells = [_share(figures.get(name)) for name in TITLES]
        misquoted = "–" if figures["misquoted"] is None else f"{figures['misquoted']:.3f}"
        lines.append(f"| {arm} | {' | '.join(cells)} | {misquoted} | {figures['turns']:.1f} |")
    lines += ["", f"Difference of {first} to each other arm, on the same debtors and seeds, with its interval:", ""]
    lines += [f"| {first} − | {' | '.join(TITLES.values())} |", f"|---|{'---:|' * len(TITLES)}"]
    for other, figures in summary["differences"].items():
        lines.append(f"| {other} | {' | '.join(_difference(figures.get(name)) for name in TITLES)} |")
    lines += [
        "",
        "recovery: present value of what was agreed, of what is owed; 0 without an agreement. over-concession: value "
        "given away beyond what this customer needed, over agreements (differences: where both agreed). outside the "
        "policy: agreed to what may not be offered. misquoted: offers that state other amounts than the cost engine. "
        "The scripts are no models: one does the practice's act for a situation that it is told, the other any act.",
        "",
    ]
    return "\n".join(lines)


def verdict(summary: Json) -> str:
    """One sentence on the first arm against the second."""
    first = summary["candidate"]
    other, figures = _models(summary)[0]
    recovery = figures["recovery"]
    if recovery["low"] is None:
        return f"{first} and {other} cannot be told apart on so few debtors."
    span = f"{recovery['estimate']:+.3f} [{recovery['low']:+.3f}, {recovery['high']:+.3f}]"
    worse = [
        TITLES[name]
        for name in ("breached", "over_concession", "outside_policy")
        if figures[name]["estimate"] is not None and figures[name]["estimate"] > 0
    ]
    price = f", with more {' and '.join(worse)}" if worse else ""
    if recovery["low"] > 0:
        return f"{first} recovers more than {other}{price}: {span}."
    if recovery["high"] < 0:
        return f"{first} recovers less than {other}{price}: {span}."
    return f"{first} and {other} are not told apart in recovery{price}: {span}."


def _models(summary: Json) -> list[tuple[str, Json]]:
    """The other arms that are models, in the order given."""
    return [(arm, summary["differences"][arm]) for arm in summary["models"] if arm != summary["candidate"]]


def _share(figure: Json | None) -> str:
    if figure is None or figure["estimate"] is None:
        return "–"
    span = "" if figure["low"] is None else f" [{figure['low']:.2f}, {figure['high']:.2f}]"
    return f"{figure['estimate']:.3f}{span}"


def _difference(figure: Json | None) -> str:
    if figure is None or figure["estimate"] is None:
        return "–"
    span = "" if figure["low"] is None else f" [{figure['low']:+.2f}, {figure['high']:+.2f}]"
    return f"{figure['estimate']:+.3f}{span}"
