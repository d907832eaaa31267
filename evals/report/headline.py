"""What the first screen says: the lead, the figures that decide, and what the run does not show."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from evals.records import GREEDY, SAMPLED, Attempt, Item
from evals.report import charts
from evals.report.charts import Mark, Row
from evals.report.words import arm_name, condition_name, interval, percent, points

Json = Mapping[str, Any]

# A difference that a run cannot tell from nothing is no evidence for or against; from here on the page says so.
WIDE = 0.10


def forest(tasks: Json) -> Markup:
    """Differences per task with their intervals; tuned − base, and tuned − format-only control."""
    groups = []
    for task in tasks.values():
        control = task["format_only"]
        rows = [
            _difference("微调 − 原模型", task["difference"], task["ci_low"], task["ci_high"], "tuned"),
            _difference("微调 − 仅格式对照", control["difference"], control["ci_low"], control["ci_high"], "control"),
        ]
        groups.append((_sized(task), [row for row in rows if row.marks[0].value is not None]))
    return charts.intervals(groups, "得分差（百分点）；线段为置信区间，整条在 0 右侧即为有把握的提高", signed=True)


def scores(tasks: Json, arms: Sequence[str], level: int) -> Markup:
    """Score of each arm and of the format-only control, per task."""
    groups = []
    for task in tasks.values():
        bounds = task["intervals"]
        rows = [
            _score("仅格式对照 format-only", task["format_only"]["score"], bounds["format_only"], "control"),
            *(_score(f"{arm_name(arm)} {arm}", task[arm], bounds[arm], arm) for arm in arms),
        ]
        groups.append((_sized(task), rows))
    return charts.intervals(groups, f"得分与 {level}% 置信区间", signed=False)


def limits(summary: Json, items: Sequence[Item], attempts: Sequence[Attempt]) -> list[str]:
    """What a reader might take for shown and is not: sentences in Chinese, the gravest first."""
    found = []
    tasks, arms = summary["tasks"], summary["arms"]
    if summary["unmatched"]:
        found.append(f"{len(summary['unmatched'])} 个请求只有一个模型有答案，两者没有可比的结果。")
    if summary.get("differences"):
        found.append(f"两次评测的设置不同，差别不能归于模型：{'；'.join(summary['differences'])}")
    for arm, details in arms.items():
        if details.get("unknown"):
            found.append(f"{arm_name(arm)}由外部端点提供，无从核实：{'、'.join(details['unknown'])}。")
    if len(arms) < 2:
        found.append(f"只评测了{arm_name(next(iter(arms)))}，没有对照，不能说它比别的模型更好或更差。")
    if summary.get("shared_groups"):
        found.append(f"{summary['shared_groups']} 个测试客户或文件也出现在训练数据中，得分可能偏高。")
    if summary["error_rate"]:
        found.append(f"{percent(summary['error_rate'])} 的请求失败，均按答错计分。")
    few = [f"{task['title']}（{task['groups']} 个）" for task in tasks.values() if task["few_groups"]]
    if few:
        found.append(f"独立群组不足 20 个，区间已放宽，结论宜谨慎：{'、'.join(few)}。")
    coarse = [
        f"{task['title']}（{100 * task['mde']:.0f} 个百分点）"
        for task in tasks.values()
        if len(arms) > 1 and task["mde"] is not None and task["mde"] > WIDE
    ]
    if coarse:
        found.append(f"题数较少，小于括号内数值的差别本次看不清：{'、'.join(coarse)}。")
    found += _conditions(summary, items, attempts)
    safety = summary.get("safety") or {}
    if not any(safety.get("turns", {}).values()):
        found.append("本次没有测量：安全与合规。")
    elif not safety["probes"]:
        found.append("本次没有测量：安全探针（诱导、泄露、拒答）；合规只看这些题目的回答。")
    found.append("结论只对这些题目、问法和解码设置成立；换了数据来源、提示词或引擎版本，需重新评测。")
    return found


def _conditions(summary: Json, items: Sequence[Item], attempts: Sequence[Attempt]) -> list[str]:
    """Tasks without stability items, and conditions that only a part of a task's stability items could be asked in."""
    chosen: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if item.stability:
            chosen[item.task].add(item.id)
    tasks = summary["tasks"]
    found = []
    silent = [task["title"] for name, task in tasks.items() if not chosen[name]]
    if silent:
        found.append(f"没有测量稳定性（重复、换问法）：{'、'.join(silent)}。")
    asked: Counter[tuple[str, str]] = Counter()
    for task, condition, _ in {(a.task, a.condition, a.item) for a in attempts if a.item in chosen[a.task]}:
        asked[task, condition] += 1
    partial = [
        f"{tasks[task]['title']}·{condition_name(condition)}（{count}/{len(chosen[task])} 题）"
        for (task, condition), count in sorted(asked.items())
        if task in tasks and condition not in (GREEDY, SAMPLED) and count < len(chosen[task])
    ]
    if partial:
        found.append(f"有的题不能在保持答案不变的前提下改写，这些条件只覆盖部分题目：{'、'.join(partial)}。")
    return found


def _sized(task: Json) -> str:
    return f"{task['title']} · {task['n']} 题／{task['groups']} 组"


def _difference(label: str, value: float | None, low: float | None, high: float | None, style: str) -> Row:
    return Row(label, [Mark(value, low, high, style)], f"{points(value)} [{interval(low, high)}]")


def _score(label: str, value: float | None, bounds: Sequence[float | None], style: str) -> Row:
    low, high = bounds
    told = f"{percent(value)} [{percent(low)}, {percent(high)}]" if low is not None else percent(value)
    return Row(label, [Mark(value, low, high, style)], told)
