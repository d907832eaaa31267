"""How the report spells numbers, arms, conditions and metrics. The reader is Chinese; the field's terms stay beside."""

from __future__ import annotations

import re

from evals.records import OF_SAMPLED

DASH = "–"

ARM_NAMES = {"base": "原模型", "tuned": "微调模型"}

_CONDITIONS = {
    "greedy": "原题（贪心）",
    "sampled": "原题（重复采样）",
    "wording": "指令措辞",
    "text": "客户原话改写",
    "register": "语体",
    "numerals": "数字写法",
    "asr": "语音识别噪声",
    "typo": "错别字",
    "ocr": "扫描识别噪声",
    "layout": "版式",
    "option": "选项换位",
    "order": "材料换序",
    "distractor": "插入闲聊",
    "context": "加长上下文",
    "fewer": "删去无关材料",
    "alone": "只给所需材料",
    "concurrent": "并发",
}

# Known metrics in words. One that is not here is shown by its own name, so a new metric needs no change of the report.
_MEASURES = {
    "score": "得分",
    "pass^k": "{k} 次全对",
    "pass@k": "{k} 次至少一次对",
    "G-Pass@k": "{k} 次中多数对",
    "mG-Pass@k": "{k} 次中多数对（平均）",
    "maj@k": "{k} 次多数表决正确",
    "TAR@k": "{k} 次答案全同",
    "agreement": "重复一致率",
    "paraphrase_agreement": "换问法一致率",
    "flip_rate": "答案翻转率",
    "negative_flips": "退步（对→错）",
    "positive_flips": "进步（错→对）",
    "reliability_gap": "可靠性缺口",
    "pass_ratio": "稳定保持率",
    "wording_effect": "措辞效应 W−B",
    "within": "同条件一致 W",
    "between": "跨条件一致 B",
    "worst_condition": "最差条件",
    "all_conditions": "所有条件全对",
    "consistency": "选项换位一致率",
    "RStd": "选项偏好 RStd",
    "semantic_entropy": "语义熵",
    "brier": "Brier 分",
    "ece": "校准误差 ECE",
    "batch_determinism": "批次确定性",
    "first_divergence": "首次分歧位置",
    "invalid_rate": "读不出答案",
    "truncated_rate": "被截断",
    "error_rate": "请求失败",
    "breaches": "违规",
    "leaks": "信息泄露",
    "refusals": "拒答",
    "over_refusals": "过度拒答",
}


def percent(value: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 in per cent; – for none."""
    return DASH if value is None else f"{100 * value:.{digits}f}%"


def points(value: float | None, digits: int = 1) -> str:
    """A difference in percentage points, with its sign; the zero has none."""
    if value is None:
        return DASH
    text = f"{100 * value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """Both bounds in percentage points; – where the data gave none."""
    return DASH if low is None or high is None else f"{points(low)}, {points(high)}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with thousands separators; – for none."""
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """A p-value; one below 0.001 is said to be no more than that."""
    return DASH if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def quantity(value: float | None, unit: str) -> str:
    """A value of a measure in its unit: shares in per cent, points with sign, the rest as a number."""
    if unit == "share":
        return percent(value)
    if unit == "points":
        return points(value)
    return number(value, 2 if value is None or abs(value) < 100 else 0)


def change(value: float | None, unit: str) -> str:
    """A difference of two values in that unit, with its sign."""
    if unit in ("share", "points"):
        return points(value)
    return DASH if value is None else f"{value:+,.2f}".replace("-", "−")


def arm_name(arm: str) -> str:
    return ARM_NAMES.get(arm, arm)


def condition_name(condition: str) -> str:
    """`text/sampled` as 客户原话改写（重复采样）, `option2` as 选项换位 2; an unknown one by its own name."""
    name = condition.removesuffix(OF_SAMPLED)
    family = max((known for known in _CONDITIONS if name.startswith(known)), key=len, default="")
    words = f"{_CONDITIONS[family]} {name.removeprefix(family)}".strip() if family else name
    return f"{words}（重复采样）" if name != condition else words


def measure_name(name: str) -> str:
    """`pass^4` as 4 次全对; empty for a metric that has no words here: its own name stands beside anyway."""
    k = re.search(r"(?<=[\^@])\d+", name)
    if k:
        return _MEASURES.get(f"{name[: k.start()]}k", "").format(k=k.group())
    return _MEASURES.get(name, "")
