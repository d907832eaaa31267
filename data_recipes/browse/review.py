"""The page on which a person decides on knowledge: one HTML file that saves what is filled in as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from data_recipes.browse.pages import asset, digest, json_block, render
from data_recipes.browse.view import shown
from data_recipes.experience.decisions import Standing
from data_recipes.experience.sheet import COLUMNS, cells
from data_recipes.experience.units import EDITABLE, SEPARATORS, Unit
from tianjing.lineage import Manifest
from tianjing.records import Clause, Dialogue, Practice, Procedure

_EXEMPLARS = 2
_EXEMPLAR_TURNS = 12
_FACT_CHARS = 400
_NAMES = {
    "support": "支持 support",
    "strata": "分层 strata",
    "exploratory": "探索性 exploratory",
    "earlier_outcome": "此前结果 earlier outcome",
    "coverage": "覆盖 coverage",
    "variants": "变体 variants",
    "modality": "情态 modality",
    "subject": "主体 subject",
    "conditions": "条件 conditions",
    "exception": "例外 exception",
    "strength": "效力 strength",
    "effective_from": "施行 in force from",
    "effective_to": "失效 in force to",
}
_KIND_TITLES = {"practice": "做法 practices", "procedure": "流程 procedures", "clause": "条款 clauses"}


def review_page(
    name: str, manifest: Manifest, dialogues: Iterable[Dialogue], found: Sequence[tuple[Unit, Standing]]
) -> str:
    """The page of a knowledge artefact called `name`; `dialogues` are looked through for the exemplars of practices."""
    wanted = {one for unit, _ in found for one in getattr(unit.record, "exemplars", ())[:_EXEMPLARS]}
    exemplars = {dialogue.id: dialogue for dialogue in dialogues if dialogue.id in wanted}
    script = asset("shared.js") + asset("review.js")
    return render(
        "review.html.j2",
        name=name,
        manifest=manifest,
        counts=Counter(where.state for _, where in found),
        data=json_block(
            {
                "knowledge": manifest.digest,
                "columns": COLUMNS,
                "separators": dict(SEPARATORS),
                "kinds": _KIND_TITLES,
                "units": [_entry(unit, where, exemplars) for unit, where in found],
            }
        ),
        style=asset("page.css") + asset("review.css"),
        script=script,
        script_digest=digest(script),
    )


def _entry(unit: Unit, where: Standing, exemplars: Mapping[str, Dialogue]) -> dict[str, Any]:
    """One unit as the script draws it; `row` is its line of the table."""
    return {
        "kind": unit.kind,
        "state": where.state,
        "vetoed": unit.vetoed,
        "weak": isinstance(unit.record, Practice) and _weak(unit.record),
        "row": cells(unit, where),
        "editable": {name: unit.value(name) for name in EDITABLE[unit.kind]},
        "decision": where.decision.decision if where.decision else "",
        "before": dict(where.decision.edits) if where.decision else {},
        "comment": where.decision.comment if where.decision else "",
        "text": unit.record.text if isinstance(unit.record, Clause) else "",
        "interval": _interval(unit.record) if isinstance(unit.record, Practice) else None,
        "facts": list(_facts(unit, where)),
        "exemplars": [
            _exemplar(exemplars[one]) for one in getattr(unit.record, "exemplars", ())[:_EXEMPLARS] if one in exemplars
        ],
    }


def _interval(practice: Practice) -> list[float]:
    return [practice.effect, practice.ci_low, practice.ci_high]


def _weak(practice: Practice) -> bool:
    """Whether it is too uncertain to be taught, whatever is decided."""
    return practice.exploratory or practice.ci_low <= 0 <= practice.ci_high


def _facts(unit: Unit, where: Standing) -> Iterator[tuple[str, str]]:
    record = unit.record
    if isinstance(record, Practice):
        yield (
            "效应 effect, 95 % interval",
            f"{_points(record.effect)} [{_points(record.ci_low)}, {_points(record.ci_high)}]",
        )
        yield "q", f"{record.q:.3g}"
        yield "结论 verdict", " ".join((record.verdict, *record.rules))
    elif isinstance(record, Procedure):
        yield "先后 order", "；".join(f"{before} < {after}" for before, after in record.order)
    named = {"order", "edges", "direct", "support" if isinstance(record, Procedure) else ""}
    if isinstance(record, Practice):
        yield "结果率 rate with, without", f"{record.rate_treated:.1%}, {record.rate_control:.1%}"
        named |= {"rate_treated", "rate_control"}
    yield from ((_NAMES.get(name, name), _brief(value)) for name, value in unit.facts() if name not in named)
    if isinstance(record, Procedure):
        yield _NAMES["support"], str(record.support)
    if where.state == "changed" and isinstance(where.reviewed.record if where.reviewed else None, Practice):
        old: Any = where.reviewed.record if where.reviewed else None
        yield (
            "审阅时 as reviewed",
            f"{_points(old.effect)} [{_points(old.ci_low)}, {_points(old.ci_high)}], q {old.q:.3g}",
        )


def _brief(value: str) -> str:
    return value if len(value) <= _FACT_CHARS else f"{value[:_FACT_CHARS]}……"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _exemplar(dialogue: Dialogue) -> dict[str, Any]:
    turns = [(turn.speaker, shown(turn.text)) for turn in dialogue.turns[:_EXEMPLAR_TURNS]]
    return {"id": dialogue.id, "turns": turns}
