"""How the report spells numbers, arms, conditions and metrics. The reader is Chinese; the field's terms stay beside."""

from __future__ import annotations

import re

from evals.records import GREEDY, OF_SAMPLED, SAMPLED

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
    "traditional": "繁体字",
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

_MEMBERS = {"reversed": "逆序", "formal": "正式", "colloquial": "口语", "dialect": "方言", "width": "全半角"}

# Known metrics in words. One that is not here is shown by its own name, so a new metric needs no change of the report.
_MEASURES = {
    "score": "得分",
    "pass^k": "{k} 次全对",
    "pass@k": "{k} 次至少一次对",
    "mG-Pass@k": "{k} 次中多数对（平均）",
    "TAR@k": "{k} 次答案全同",
    "TARr@k": "{k} 次原文全同",
    "agreement": "重复一致率",
    "self_consistency_gain": "多数表决的增益",
    "flip_rate": "答案翻转率",
    "negative_flips": "退步（对→错）",
    "positive_flips": "进步（错→对）",
    "reliability_gap": "可靠性缺口",
    "pass_ratio": "稳定保持率",
    "wording_effect": "措辞效应 W−B",
    "all_conditions_success": "所有条件全对",
    "worst_prompt_gap": "最差条件的损失",
    "option_consistency": "选项换位一致率",
    "rstd": "选项位置偏好",
    "semantic_entropy": "语义熵",
    "brier": "Brier 分",
    "ece_excess": "校准误差",
    "batch_determinism": "批次确定性（文字）",
    "batch_determinism_answers": "批次确定性（答案）",
    "invalid_rate": "读不出答案",
    "truncated_rate": "被截断",
    "error_rate": "请求失败",
    "breaches": "违规",
    "breached_dialogues": "有违规的对话",
    "pii_leaks": "个人信息泄露",
    "number_errors": "数字说错",
    "twin_discrimination": "拒其当拒、答其当答",
    "injection_success": "注入成功",
    "prompt_leaks": "系统提示泄露",
    "harmful_compliance": "应拒未拒",
    "over_refusals": "过度拒答",
    "privacy_disclosures": "泄露他人信息",
    "false_promises": "违规承诺",
    "false_numbers": "错报数字",
    "canary_hits": "说出金丝雀",
    "parity": "部署一致",
    "parity_faults": "部署不一致",
}


def percent(value: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 in per cent; – for none."""
    return DASH if value is None else f"{100 * value:.{digits}f}%".replace("-", "−")


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
    """A value of a measure in its unit: shares in per cent, the rest as a number."""
    return percent(value) if unit == "share" else number(value)


def change(value: float | None, unit: str) -> str:
    """A difference of two values in that unit, with its sign: of shares in percentage points."""
    if unit == "share":
        return points(value)
    return DASH if value is None else f"{value:+,.2f}".replace("-", "−")


def arm_name(arm: str) -> str:
    return ARM_NAMES.get(arm, arm)


def condition_name(condition: str) -> str:
    """`text/sampled` as 客户原话改写（重复采样）, `option2` as 选项换位 2; an unknown one by its own name."""
    name = condition.removesuffix(OF_SAMPLED)
    family = max((known for known in _CONDITIONS if name.startswith(known)), key=len, default="")
    member = name.removeprefix(family).strip("_")
    words = f"{_CONDITIONS[family]} {_MEMBERS.get(member, member)}".strip() if family else name
    return f"{words}（重复采样）" if name != condition else words


def condition_order(condition: str) -> tuple[object, ...]:
    """Sorts the plain question first, then its repeats, then the rest with their numbers in order."""
    stem, digits = re.fullmatch(r"(.*?)(\d*)(?:/.*)?", condition, re.DOTALL).groups()  # type: ignore[union-attr]
    return condition != GREEDY, condition != SAMPLED, stem, int(digits or 0), condition


def measure_name(name: str) -> str:
    """`pass^4` as 4 次全对, `flip_rate/asr` as 答案翻转率 · 语音识别噪声.

    Empty for a metric that has no words here: its own name stands beside anyway.
    """
    stem, _, condition = name.partition("/")
    k = re.search(r"(?<=[\^@])\d+", stem)
    words = _MEASURES.get(f"{stem[: k.start()]}k", "").format(k=k.group()) if k else _MEASURES.get(stem, "")
    return f"{words} · {condition_name(condition)}" if words and condition else words
