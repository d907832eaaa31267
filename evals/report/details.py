"""The stability profile in detail: conditions, wording and noise, worst case, option order, batches, calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evals.report import charts
from evals.report.charts import Bins, Mark, Row
from evals.report.words import DASH, arm_name, condition_name, condition_order, number, p_value, percent, points

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Figures of every task and arm that has them.

    Attributes:
        heads: of the columns after task and model, in Chinese and English.
        rows: task, model, and what stands in the columns.
    """

    title: str
    english: str
    explained: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, str, Sequence[str]]]


def condition_plots(tasks: Json, arms: Sequence[str]) -> list[tuple[str, Markup]]:
    """Score of each arm under each condition, per task."""
    drawn = []
    for task in tasks.values():
        conditions = task.get("conditions", {})
        names = {name for arm in arms for name in conditions.get(arm, {})}
        rows = [_condition(name, conditions, arms) for name in sorted(names, key=condition_order)]
        if len(rows) > 1:
            drawn.append((task["title"], charts.intervals([("", rows)], "各条件下的得分与置信区间", signed=False)))
    return drawn


def calibration_plots(tasks: Json, arms: Sequence[str]) -> list[Markup]:
    """Reliability curves, per task."""
    drawn = []
    for task in tasks.values():
        lines, source = [], ""
        for arm in arms:
            found = task["stability"].get(arm, {}).get("calibration", {})
            bins = [(bin["confidence"], bin["accuracy"], bin["n"]) for bin in found.get("curve", [])]
            if bins:
                source = found["confidence"]
                lines.append(Bins(f"{arm_name(arm)} {arm}", arm, bins))
        if lines:
            drawn.append(charts.calibration(task["title"], lines, f"把握程度（%）：{source}；旁注为题数"))
    return drawn


def tables(tasks: Json, arms: Sequence[str]) -> list[Table]:
    """The tables for which any task has figures."""
    made = []
    for title, english, explained, heads, cells in _TABLES:
        rows = []
        for task in tasks.values():
            of_task = [(arm_name(arm), found) for arm in arms if (found := cells(task, arm)) is not None]
            rows += [(task["title"] if place == 0 else "", arm, found) for place, (arm, found) in enumerate(of_task)]
        if rows:
            made.append(Table(title, english, explained, heads, rows))
    return made


def _condition(name: str, conditions: Json, arms: Sequence[str]) -> Row:
    found = [(arm, conditions[arm][name]) for arm in arms if name in conditions.get(arm, {})]
    marks = [Mark(row["score"], row["interval"][0], row["interval"][1], arm) for arm, row in found]
    told = " → ".join(percent(row["score"]) for _, row in found)
    return Row(condition_name(name), marks, f"{told} · {max(row['n'] for _, row in found)} 题")


def _noise(task: Json, arm: str) -> Sequence[str] | None:
    found = task["stability"].get(arm, {}).get("wording")
    if not found:
        return None
    effect = points(found["W-B"])
    return str(found["n"]), str(found["conditions"]), percent(found["W"]), percent(found["B"]), effect


def _spread(task: Json, arm: str) -> Sequence[str] | None:
    found = task["stability"].get(arm, {}).get("spread")
    if not found:
        return None
    return (
        f"{found['n']} / {len(found['conditions'])}",
        percent(found["worst_prompt"]),
        percent(found["worst_prompt_null"]),
        p_value(found["worst_prompt_p"]),
        percent(found["worst_prompt_crossfit"]),
        f"{percent(found['range'])} ({percent(found['range_null'])})",
        percent(found["all_conditions_success"]),
    )


def _options(task: Json, arm: str) -> Sequence[str] | None:
    found = task.get("options", {}).get(arm)
    if not found:
        return None
    circles = [circle for circle in found["circular"].values() if circle["n"]]
    turned = "；".join(" / ".join(percent(circle[key]) for key in ("perf", "acc", "vote")) for circle in circles)
    letters = "；".join(" ".join(percent(share, 0) for share in circle["letters"]) for circle in circles)
    return str(found["n"]), percent(found["consistency"]), number(found["rstd"], 1), turned or DASH, letters or DASH


def _determinism(task: Json, arm: str) -> Sequence[str] | None:
    found = task.get("determinism", {}).get(arm)
    if not found:
        return None
    return (
        str(found["n"]),
        "、".join(map(str, found["concurrency"])),
        percent(found["BDR"]),
        percent(found["BDRa"]),
        number(found["first_divergence_characters"], 0),
    )


def _doubt(task: Json, arm: str) -> Sequence[str] | None:
    stable = task["stability"].get(arm, {})
    if "calibration" not in stable:
        return None
    found, entropy = stable["calibration"], stable["semantic_entropy"]
    return (
        str(found["n"]),
        number(entropy["miller_madow"]),
        number(found["brier"], 3),
        number(found["ece"], 3),
        number(found["ece_null"], 3),
        number(found["ece_excess"], 3),
        p_value(found["ece_p"]),
    )


_TABLES: tuple[tuple[str, str, str, Sequence[tuple[str, str]], Callable[[Json, str], Sequence[str] | None]], ...] = (
    (
        "采样噪声与措辞效应",
        "Noise split",
        "W：同一问法重复时答案一致的比例；B：不同问法之间一致的比例。W−B 是换问法本身造成的不一致，已扣除采样噪声。",
        (("题数", "n"), ("问法数", "conditions"), ("同问法", "W"), ("跨问法", "B"), ("措辞效应", "W−B, points")),
        _noise,
    ),
    (
        "最差条件",
        "Worst condition",
        "从多个条件里挑出的最差者，没有差别也会偏低：与“无差别时”对照，p 小才说明确有更差的条件。"
        "交叉估计在一半题目上挑、另一半上算，不受挑选影响。",
        (
            ("题数／条件数", "n / conditions"),
            ("最差条件得分", "worst"),
            ("无差别时", "null"),
            ("p", ""),
            ("交叉估计", "cross-fitted"),
            ("极差（无差别时）", "range (null)"),
            ("所有条件全对", "all conditions"),
        ),
        _spread,
    ),
    (
        "选项换位",
        "Option order",
        "选项换了位置，选的内容是否不变；RStd 是各位置召回率的标准差，越小越不偏爱某个位置。",
        (
            ("题数", "n"),
            ("内容一致", "consistency"),
            ("位置偏好", "RStd, points"),
            ("轮换全对 / 平均 / 表决", "perf / acc / vote"),
            ("各位置被选比例", "letters"),
        ),
        _options,
    ),
    (
        "批次确定性",
        "Batch determinism",
        "温度为 0 时，同一问题在不同并发下得到的文字、读出的答案是否相同。",
        (
            ("题数", "n"),
            ("并发", "concurrency"),
            ("文字相同", "BDR"),
            ("答案相同", "BDRa"),
            ("首次分歧（字，中位）", "first divergence"),
        ),
        _determinism,
    ),
    (
        "不确定性与校准",
        "Uncertainty and calibration",
        "Brier 分越低越好。ECE 在完全校准时也不为 0，“无差别时”是那时的读数，两者之差才是校准误差。",
        (
            ("题数", "n"),
            ("语义熵", "semantic entropy, nats"),
            ("Brier 分", "Brier"),
            ("校准误差", "ECE"),
            ("无差别时", "null"),
            ("差", "ECE − null"),
            ("p", ""),
        ),
        _doubt,
    ),
)
